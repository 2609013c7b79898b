"""What tests of the ledger share: the same ledger in a file and on a real Postgres server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, text

from casehaven.ledger import ANSWER_PURPOSE, AnalystId, BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy, models
from casehaven.ledger.anchoring import move_anchor
from casesynth.privacy import PrivacyLoss, Receipt
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.service.conftest import Postgres

POLICY = LedgerPolicy(account=BudgetPolicy.of("2", "1e-6"))
CAP = POLICY.account.cap_nano_rho()
DATASETS = ("north/cases", "south/cases")
BLOCKS = ("2021", "2022", "")
ONE, TWO = SigningKey.create(), SigningKey.create()
APPROVERS = TrustStore().add("Director", ONE.public_key).add("Data steward", TWO.public_key)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A ledger with two datasets of three blocks, and where it is."""

    place: Path | str
    folder: Path

    @property
    def anchor(self) -> Path:
        """The anchor file."""
        return self.folder / "ledger.anchor"

    def open(self, **options: Any) -> Ledger:
        """Open the ledger anew, as a later process does."""
        return Ledger.open(self.place, **options)

    def charge(self, nano_rho: int = 1000, *, ledger: Ledger | None = None, **changes: Any) -> Receipt:
        """Charge a question about block 2021 of the first dataset, or what `changes` say."""
        request: dict[str, Any] = {
            "key": IdempotencyKey.create(),
            "body": {"plan": 1},
            "datasets": ["north/cases"],
            "blocks": ["2021"],
            "loss": PrivacyLoss(nano_rho=nano_rho),
            "purpose": ANSWER_PURPOSE,
        }
        return (ledger or self.open()).charge(**{**request, **changes})

    def draw(self, nano_rho: int, **changes: Any) -> int:
        """Charge and draw: a loss that really happened. Return it."""
        receipt = self.charge(nano_rho, **changes)
        self.open().begin_draw(receipt)
        return nano_rho

    def copy(self) -> Callable[[], None]:
        """Copy the ledger as it is, the whole file or every row of the server; return what puts the copy back."""
        if isinstance(self.place, Path):
            place, kept = self.place, self.folder / f"kept-{len(list(self.folder.glob('kept-*')))}.sqlite"
            shutil.copy(place, kept)

            def put_back_file() -> None:
                for name in ("", "-wal", "-shm"):
                    Path(f"{place}{name}").unlink(missing_ok=True)
                shutil.copy(kept, place)

            return put_back_file
        with self.open()._store.transaction(writes=False) as connection:
            rows = {
                table.name: [row._asdict() for row in connection.execute(table.select())]
                for table in models.metadata.sorted_tables
            }

        def put_back_rows() -> None:
            with self.open()._store.transaction(writes=True) as connection:
                names = ", ".join(table.name for table in models.metadata.sorted_tables)
                connection.execute(text(f"TRUNCATE {names}"))  # what a restore of the server does
                for table in models.metadata.sorted_tables:
                    if rows[table.name]:
                        connection.execute(insert(table), rows[table.name])

        return put_back_rows

    def spent(self) -> dict[tuple[str, str], int]:
        """What every account spent."""
        return {(row.dataset, row.block): row.spent_nano_rho for row in self.open().statement().rows}


@dataclass(kw_only=True)
class EmptyDesk:
    """A desk that was made once in a file or on Postgres, and is copied: to copy takes a tenth of the time."""

    folder: Path
    place: Path | str | None = None

    def copy_to(self, folder: Path, server: Postgres | None) -> Desk:
        """Copy the ledger and its anchor."""
        if self.place is None:
            self.place = new_desk(self.folder, server, POLICY, APPROVERS).place
        if isinstance(self.place, Path) or server is None:
            for file in self.folder.iterdir():
                shutil.copy(file, folder)
            return Desk(place=folder / "ledger.sqlite", folder=folder)
        made = Desk(place=server.copy(self.place), folder=folder)
        shutil.copy(self.folder / made.anchor.name, made.anchor)
        with made.open()._store.transaction(writes=True) as connection:
            move_anchor(connection, None, made.anchor, None)
        return made


def new_desk(folder: Path, server: Postgres | None, policy: LedgerPolicy, approvers: TrustStore) -> Desk:
    """Make a ledger and open its two datasets."""
    desk = Desk(place=folder / "ledger.sqlite" if server is None else server(), folder=folder)
    ledger = Ledger.create(desk.place, policy, anchor=desk.anchor, approvers=approvers)
    for dataset in DATASETS:
        ledger.open_dataset(dataset, BLOCKS)
    return desk


@pytest.fixture(scope="session")
def empty_desks(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, EmptyDesk]:
    """An empty desk of each kind, on a server or not; made when it is first copied."""
    return {on_server: EmptyDesk(folder=tmp_path_factory.mktemp("desk")) for on_server in (False, True)}


MakeDesk = Callable[..., Desk]


@pytest.fixture(params=["sqlite", "postgresql"])
def make_desk(request: pytest.FixtureRequest, tmp_path: Path, empty_desks: dict[bool, EmptyDesk]) -> Iterator[MakeDesk]:
    """Make a desk: first with a file, then on Postgres. Only those with a policy or approvers of their own are made anew."""
    taken: list[str] = []
    server: Postgres | None = None if request.param == "sqlite" else request.getfixturevalue("postgres")

    def make(policy: LedgerPolicy = POLICY, approvers: TrustStore = APPROVERS) -> Desk:
        if policy is POLICY and approvers is APPROVERS:
            desk = empty_desks[server is not None].copy_to(tmp_path, server)
        else:
            desk = new_desk(tmp_path, server, policy, approvers)
        if server is not None:
            taken.append(str(desk.place))
        return desk

    yield make
    for address in taken:
        if server is not None:
            server.give_back(address)


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    """One desk."""
    return make_desk()


@pytest.fixture
def amina() -> AnalystId:
    """An analyst."""
    return AnalystId(text="amina")
