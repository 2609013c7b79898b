"""What tests of the store share: the same vault on SQLite and on a real Postgres server, and made-up case files for it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from casehaven.intake.upload import Upload
from casehaven.intake.uploads import take_in
from casehaven.vault.datasets import Dataset
from casehaven.vault.rootkeys import HeldKey, create_file_key
from casehaven.vault.sealed import new_key
from casehaven.vault.store import Vault
from caseschemas import CaseSchema
from casesynth.privacy import PrivacyLoss, Receipt

if TYPE_CHECKING:
    from tests.conftest import Record
    from tests.service.conftest import Postgres

RECEIPT = Receipt(charge_id="c1", loss=PrivacyLoss(nano_rho=1))
HEADER = ("token", "notes", "mayCare", "mayCount", "mayPool", "mayRelease", "year", "gender", "age", "means")

Databases = Callable[[], str | None]
"""Gives the address of an empty database; None: a file in the vault's folder."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """The database that a test runs on: first SQLite, then Postgres."""
    if request.param == "sqlite":
        yield lambda: None
        return
    server: Postgres = request.getfixturevalue("postgres")
    taken: list[str] = []

    def take() -> str:
        taken.append(server())
        return taken[-1]

    yield take
    for address in taken:
        server.give_back(address)


@pytest.fixture(scope="session")
def house_schema(_empty_house: Path) -> CaseSchema:
    """The schema of the safe house."""
    from casehaven.vault.rootkeys import file_key

    return Vault.open(_empty_house / "vault", file_key(_empty_house / "root.key")).dataset("north", "cases").schema


@dataclass(frozen=True, kw_only=True)
class Store:
    """A vault in a folder of its own, and what a test does with it again and again."""

    folder: Path
    root: HeldKey
    schema: CaseSchema
    written: list[Path] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The vault's folder."""
        return self.folder / "vault"

    def open(self) -> Vault:
        """Open the vault anew, as a later command does."""
        return Vault.open(self.path, self.root)

    def dataset(self, organisation: str = "north", name: str = "cases", *, people_cap: int = 10_000) -> Dataset:
        """Return a dataset as it is now; make it when it is not there."""
        vault = self.open()
        if f"{organisation}/{name}" not in {dataset.id for dataset in vault.datasets()}:
            return vault.add_dataset(organisation, name, self.schema, people_cap)
        return vault.dataset(organisation, name)

    def write(self, records: Sequence[Record]) -> Path:
        """Write records as a CSV file; absent cells are empty."""
        path = self.folder / f"upload-{len(self.written)}.csv"
        self.written.append(path)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEADER, restval="")
            writer.writeheader()
            writer.writerows(records)
        return path

    def take_in(self, records: Sequence[Record], organisation: str = "north", name: str = "cases") -> Upload:
        """Take records into a dataset."""
        return take_in(self.open(), self.dataset(organisation, name), self.write(records), keep=["notes"])

    def cells(self, token: str, organisation: str = "north", name: str = "cases") -> list[dict[str, str]]:
        """Return the cells of a person's records."""
        vault, dataset = self.open(), self.dataset(organisation, name)
        person = vault.person_by_token(dataset, token)
        assert person is not None
        return [dict(record.cells) for record in vault.read_records(person, reason="a test")]


MakeStore = Callable[..., Store]


@pytest.fixture
def make_store(tmp_path: Path, database: Databases, house_schema: CaseSchema) -> MakeStore:
    """Make a vault on the database of this test, in a folder of its own."""

    def make(name: str = "store") -> Store:
        folder = tmp_path / name
        folder.mkdir()
        store = Store(folder=folder, root=HeldKey(key=new_key()), schema=house_schema)
        Vault.create(store.path, store.root, database=database())
        return store

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """One vault, on SQLite and on Postgres."""
    return make_store()


@pytest.fixture
def sqlite_store(tmp_path: Path, house_schema: CaseSchema) -> Store:
    """One vault on SQLite with its root key in a file, for processes of their own."""
    store = Store(folder=tmp_path, root=create_file_key(tmp_path / "root.key"), schema=house_schema)
    Vault.create(store.path, store.root)
    return store


@pytest.fixture(scope="session")
def receipt() -> Receipt:
    """Proof of a charge that was never made."""
    return RECEIPT
