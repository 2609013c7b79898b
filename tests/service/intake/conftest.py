"""What tests of intake share: sources of a few rows, a schema of a safe house, and a vault with a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from casehaven.intake.held import HeldSource, hold
from casehaven.intake.intake_mapping import IntakeMapping
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.proposal import propose
from casehaven.intake.source import SourceBatch, SourceColumn, SourceTable, Tool
from casehaven.intake.upload import Upload
from casehaven.intake.uploads import take_in
from casehaven.vault.datasets import Dataset
from casehaven.vault.rootkeys import HeldKey
from casehaven.vault.sealed import new_key
from casehaven.vault.store import Vault
from caseschemas import CaseSchema, load_schema

Header = Sequence[str | SourceColumn]
Rows = Sequence[Sequence[str]]
MakeSource = Callable[..., HeldSource]


@pytest.fixture
def make_source(tmp_path: Path) -> MakeSource:
    """Hold a source with these columns and rows; the first row is row 2 of its file."""
    made = [0]

    def make(header: Header, rows: Rows, *, tool: Tool = Tool.CSV, record_key: str | None = None) -> HeldSource:
        made[0] += 1
        path = tmp_path / f"source-{made[0]}.csv"
        path.write_text(repr((header, rows)), encoding="utf-8")
        columns = tuple(SourceColumn(name=name) if isinstance(name, str) else name for name in header)
        names = [column.name for column in columns]

        def read(wanted: Sequence[str]) -> Iterator[SourceBatch]:
            for start in range(0, len(rows), 3):  # several batches, whose dictionaries differ
                some = rows[start : start + 3]
                arrays = [pa.array([row[names.index(name)] for row in some], pa.string()) for name in wanted]
                numbers = np.arange(start + 2, start + 2 + len(some), dtype=np.int64)
                yield SourceBatch(rows=numbers, cells=pa.RecordBatch.from_arrays(arrays, names=list(wanted)))

        source = SourceTable(path=path, tool=tool, columns=columns, notes=(), record_key=record_key, read=read)
        return hold(source)

    return make


@pytest.fixture(scope="session")
def htcds() -> CaseSchema:
    """IOM's standard."""
    return load_schema("htcds-2.0")


@pytest.fixture(scope="session")
def ctdc() -> CaseSchema:
    """The columns of CTDC."""
    return load_schema("ctdc-global")


RecordsOf = Callable[[MappedFile], list[dict[str, str]]]


@pytest.fixture(scope="session")
def records_of() -> RecordsOf:
    """What is taken in of a file: the cells that are not empty, without record keys."""
    return _records


def _records(file: MappedFile) -> list[dict[str, str]]:
    found = []
    for batch in file.batches(file.columns):
        for row in batch.to_pylist():
            found.append({name: cell for name, cell in row.items() if cell and not name.startswith("#")})
    return found


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A vault with one dataset of HTCDS."""

    vault: Vault

    def open(self) -> Vault:
        """Return the vault, which is opened once: opening takes longest."""
        return self.vault

    @property
    def dataset(self) -> Dataset:
        """The dataset as it is now."""
        return self.open().dataset("north", "cases")

    def mapped(self, held: HeldSource, *, again: bool = False, mapping: IntakeMapping | None = None) -> MappedFile:
        """Put a source under the mapping that is proposed for it."""
        schema = self.dataset.schema
        mapping = propose(held, schema).accepted() if mapping is None else mapping
        return MappedFile(held=held, mapping=mapping, schema=schema, again=again)

    def take_in(
        self, held: HeldSource, *, again: bool = False, mapping: IntakeMapping | None = None, keep: Sequence[str] = ()
    ) -> Upload:
        """Take a source in."""
        file = self.mapped(held, again=again, mapping=mapping)
        return take_in(self.open(), self.dataset, file, keep=keep)

    def cells(self, token: str, *, history: bool = False) -> list[dict[str, str]]:
        """What counts of a person's records, oldest first; with history, what was corrected too."""
        vault, dataset = self.open(), self.dataset
        person = vault.person_by_token(dataset, token)
        assert person is not None
        found = vault.read_records(person, reason="a test")
        return [dict(record.cells) for record in found if history or record.superseded_by is None]


@pytest.fixture
def registry(tmp_path: Path, htcds: CaseSchema) -> Registry:
    """An empty dataset."""
    vault = Vault.create(tmp_path / "vault", HeldKey(key=new_key()))
    vault.add_dataset("north", "cases", htcds, 10_000)
    return Registry(vault=vault)
