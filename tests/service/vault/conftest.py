"""What tests of the store share: the same vault on SQLite and on a real Postgres server, and made-up case files for it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from casehaven.intake.upload import Upload
from casehaven.intake.uploads import take_in
from casehaven.vault.datasets import Dataset
from casehaven.vault.folder import VaultFolder
from casehaven.vault.keystore import Keystore
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


@dataclass(frozen=True, kw_only=True)
class Databases:
    """Gives databases of one kind to one test."""

    server: Postgres | None
    """None: SQLite."""
    taken: list[str] = field(default_factory=list)

    def __call__(self) -> str | None:
        """Return the address of an empty database; None: a file in the vault's folder."""
        return None if self.server is None else self._taken(self.server())

    def copy(self, address: str | None) -> str | None:
        """Return the address of a copy of a database on the server."""
        return None if self.server is None or address is None else self._taken(self.server.copy(address))

    def _taken(self, address: str) -> str:
        self.taken.append(address)
        return address


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """The database that a test runs on: first SQLite, then Postgres."""
    server: Postgres | None = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = Databases(server=server)
    yield made
    for address in made.taken:
        assert server is not None
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


@dataclass(kw_only=True)
class EmptyVault:
    """A vault that was made once on SQLite or on Postgres, and is copied: to copy takes a tenth of the time."""

    folder: Path
    root: HeldKey = field(default_factory=lambda: HeldKey(key=new_key()))
    _address: str | None = None

    def copy_to(self, folder: Path, databases: Databases) -> None:
        """Copy the vault and what is beside it."""
        if not self.folder.exists():
            self._address = None if databases.server is None else databases.server()
            Vault.create(self.folder / "vault", self.root, database=self._address)
        shutil.copytree(self.folder, folder)
        if self._address is not None:
            there = VaultFolder.open(folder / "vault")
            moved = replace(there, database=databases.copy(self._address) or "")
            moved.write(Keystore.open(moved.keystore_path, self.root))


@pytest.fixture(scope="session")
def empty_vaults(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, EmptyVault]:
    """An empty vault of each kind, on a server or not; made when it is first copied."""
    folder = tmp_path_factory.mktemp("empty")
    return {False: EmptyVault(folder=folder / "sqlite"), True: EmptyVault(folder=folder / "postgresql")}


MakeStore = Callable[..., Store]


@pytest.fixture
def make_store(
    tmp_path: Path, database: Databases, house_schema: CaseSchema, empty_vaults: dict[bool, EmptyVault]
) -> MakeStore:
    """Make a vault on the database of this test, in a folder of its own; the first of a test is a copy, any other one has keys of its own."""
    made: list[Store] = []

    def make(name: str = "store") -> Store:
        folder = tmp_path / name
        if made:
            folder.mkdir()
            store = Store(folder=folder, root=HeldKey(key=new_key()), schema=house_schema)
            Vault.create(store.path, store.root, database=database())
        else:
            empty = empty_vaults[database.server is not None]
            store = Store(folder=folder, root=empty.root, schema=house_schema)
            empty.copy_to(folder, database)
        made.append(store)
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
