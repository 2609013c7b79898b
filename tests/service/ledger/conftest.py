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


MakeDesk = Callable[..., Desk]


@pytest.fixture(params=["sqlite", "postgresql"])
def make_desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeDesk]:
    """Make a desk: first with a file, then on Postgres."""
    taken: list[str] = []
    server: Postgres | None = None if request.param == "sqlite" else request.getfixturevalue("postgres")

    def make(policy: LedgerPolicy = POLICY, approvers: TrustStore = APPROVERS) -> Desk:
        place: Path | str = tmp_path / "ledger.sqlite"
        if server is not None:
            place = server()
            taken.append(str(place))
        desk = Desk(place=place, folder=tmp_path)
        ledger = Ledger.create(place, policy, anchor=desk.anchor, approvers=approvers)
        for dataset in DATASETS:
            ledger.open_dataset(dataset, BLOCKS)
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
