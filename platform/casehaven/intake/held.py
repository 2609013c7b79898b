"""A source that was read once and is held in memory, column by column, each distinct cell once.

1. Reading a workbook takes longest, so it is done once: the proposal, the check and the taking in work on what is held. Nothing of it is written anywhere.
2. Memory: 4 bytes for each cell, and the text of each distinct cell of a column.
3. The file is the same before and after the reading, or it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casehaven.intake.errors import ChangedCaseFileError
from casehaven.intake.source import SourceColumn, SourceTable

Places = NDArray[np.int64]
Progress = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class HeldColumn:
    """The cells of one column."""

    places: NDArray[np.int32] = field(repr=False)
    """Of each row: which distinct cell it holds."""
    cells: tuple[str, ...] = field(repr=False)
    """Every distinct cell; an absent one is empty text."""

    def counts(self) -> NDArray[np.int64]:
        """How many rows hold each distinct cell."""
        return np.bincount(self.places, minlength=len(self.cells))


@dataclass(frozen=True, kw_only=True)
class HeldSource:
    """A source in memory."""

    source: SourceTable
    sha256: str
    """Of the file's bytes, as hex."""
    rows: Places = field(repr=False)
    """Number of each row in its file, from 1."""
    table: pa.Table = field(repr=False)

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        """The columns in the order of the file."""
        return self.source.columns

    def column(self, name: str) -> HeldColumn:
        """Return the cells of a column; KeyError when there is none."""
        chunked = self.table.column(name)
        if not len(chunked):
            return HeldColumn(places=np.zeros(0, np.int32), cells=())
        array = chunked.combine_chunks()
        found = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
        return HeldColumn(
            places=np.asarray(found.indices).astype(np.int32, copy=False),
            cells=tuple(cell or "" for cell in found.dictionary.to_pylist()),
        )


def hold(source: SourceTable, *, check: Progress = lambda: None, names: Sequence[str] | None = None) -> HeldSource:
    """Read a source.

    Args:
        source: what to read.
        check: called per batch; raises to cancel.
        names: columns to read; all of them by default.

    Raises:
        CaseFileError: it cannot be read; says where.
        ChangedCaseFileError: the file changed meanwhile.
    """
    names = [column.name for column in source.columns] if names is None else list(names)
    before = source.digest()
    rows: list[Places] = []
    batches: list[pa.RecordBatch] = []
    schema = pa.schema([(name, pa.dictionary(pa.int32(), pa.string())) for name in names])
    for batch in source.batches(names):
        check()
        rows.append(batch.rows)
        batches.append(
            pa.RecordBatch.from_arrays([_encoded(batch.cells.column(name)) for name in names], schema=schema)
        )
    if source.digest() != before:
        raise ChangedCaseFileError(f"{source.path.name} changed while it was being read")
    table = pa.Table.from_batches(batches, schema=schema).unify_dictionaries()
    return HeldSource(
        source=source, sha256=before, rows=np.concatenate(rows) if rows else np.zeros(0, np.int64), table=table
    )


def _encoded(array: pa.Array) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(array.type):
        return array.dictionary_encode()
    return pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), array.dictionary.cast(pa.string()))
