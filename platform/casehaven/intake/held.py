"""A source that was read once and is held in memory, column by column, each distinct cell once.

1. Reading a workbook takes longest, so it is done once: the proposal, the check and the taking in work on what is held. Nothing of it is written anywhere.
2. Memory: 4 bytes for each cell, and the text of each distinct cell of a column.
3. The file is the same before and after the reading, or it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casehaven.intake.errors import ChangedCaseFileError
from casehaven.intake.source import SourceColumn, SourceTable

_CELLS = pa.dictionary(pa.int32(), pa.string())

Places = NDArray[np.int64]
Progress = Callable[[float | None], None]


@dataclass(frozen=True, kw_only=True)
class HeldColumn:
    """The cells of one column."""

    places: NDArray[np.int32] = field(repr=False)
    """Of each row: which distinct cell it holds."""
    texts: pa.Array = field(repr=False)
    """Every distinct cell, as Arrow holds it; an absent one is empty text."""

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """Every distinct cell."""
        return tuple(self.texts.to_pylist())

    def first(self, most: int) -> tuple[str, ...]:
        """The first distinct cells, as they come in the file."""
        return tuple(self.texts.slice(0, most).to_pylist())

    def filled(self) -> NDArray[np.bool_]:
        """Which distinct cells are not empty."""
        found: NDArray[np.bool_] = np.asarray(pc.not_equal(pc.utf8_trim_whitespace(self.texts), ""))
        return found

    def counts(self) -> NDArray[np.int64]:
        """How many rows hold each distinct cell."""
        return np.bincount(self.places, minlength=len(self.texts))


@dataclass(frozen=True, kw_only=True)
class HeldSource:
    """A source in memory."""

    source: SourceTable
    sha256: str
    """Of the file's bytes, as hex."""
    rows: Places = field(repr=False)
    """Number of each row in its file, from 1."""
    table: pa.Table = field(repr=False)
    _read: dict[str, HeldColumn] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> tuple[SourceColumn, ...]:
        """The columns in the order of the file."""
        return self.source.columns

    def column(self, name: str) -> HeldColumn:
        """Return the cells of a column; KeyError when there is none."""
        if name not in self._read:
            chunked = self.table.column(name)
            if len(chunked):
                array = chunked.combine_chunks()
                found = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
            else:
                found = pa.array([], _CELLS)
            places = np.asarray(found.indices).astype(np.int32, copy=False)
            self._read[name] = HeldColumn(places=places, texts=pc.fill_null(found.dictionary, ""))
        return self._read[name]


def hold(
    source: SourceTable, *, check: Progress = lambda share: None, names: Sequence[str] | None = None
) -> HeldSource:
    """Read a source.

    Args:
        source: what to read.
        check: called per batch with the part of the file that is read, None where nobody knows it; raises to cancel.
        names: columns to read; all of them by default.

    Raises:
        CaseFileError: it cannot be read; says where.
        ChangedCaseFileError: the file changed meanwhile.
    """
    names = [column.name for column in source.columns] if names is None else list(names)
    before = source.digest()
    rows: list[Places] = []
    batches: list[pa.RecordBatch] = []
    schema = pa.schema([(name, _CELLS) for name in names])
    for batch in source.batches(names):
        check(batch.share)
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
