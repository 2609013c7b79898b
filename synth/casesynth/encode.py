"""Raw cells to integer codes of the public domain.

1. Codes come from the domain alone. A cell outside the value list takes the position that the schema names; nothing else about it
   is kept (privacy rule 3).
2. An empty cell, a null and a NaN take the attribute's blank value (privacy rule 4).
3. Work is done on each distinct cell once, then on integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casesynth.domain import Attribute, Domain
from casesynth.errors import CasesynthError

Codes = NDArray[np.uint16]


class UnknownColumnError(CasesynthError):
    """The file lacks a column that the domain needs."""


@dataclass(frozen=True, kw_only=True)
class CodedTable:
    """Records as codes: one row per record, one array per column of the domain. Holds real data; never written to a release."""

    columns: tuple[Codes, ...]
    """One array per column of the domain, each of shape (records,)."""
    persons: pa.Array | None
    """Person token of each record as text; None when each record is one person."""
    permitted: NDArray[np.int8] | None = None
    """Consent of each record: 1 yes, 0 not given, -1 refused; None when no consent column applies."""

    @property
    def records(self) -> int:
        """Number of records: private, never shown to anyone but the organisation."""
        return len(self.columns[0])


def as_table(frame: pd.DataFrame | pa.Table | pa.RecordBatch) -> pa.Table:
    """Return any accepted frame as an Arrow table, NaN as null."""
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    arrays = {str(name): pa.array(frame[name], from_pandas=True) for name in frame.columns}
    return pa.table(arrays)


def text_column(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return a column as dictionary-encoded text, nulls kept."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # an empty table combines to no chunk
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if not isinstance(array, pa.DictionaryArray):
        array = pc.dictionary_encode(array)
    values = array.dictionary.cast(pa.string())
    return pa.DictionaryArray.from_arrays(array.indices, values)


def _places(column: pa.ChunkedArray, attribute: Attribute) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    """Return, per record, the index of its distinct cell, and per distinct cell the positions it holds."""
    encoded = text_column(column)
    cells: list[tuple[int, ...]] = []
    for cell in encoded.dictionary.to_pylist():
        found = (attribute.blank,) if cell is None or not cell.strip() else attribute.read(cell)
        cells.append((attribute.outside,) if found is None else found)
    cells.append((attribute.blank,))  # nulls
    indices = pc.fill_null(encoded.indices.cast(pa.int64()), len(cells) - 1)
    return np.asarray(indices), cells


def encode(
    frame: pd.DataFrame | pa.Table | pa.RecordBatch,
    domain: Domain,
    *,
    person: str | None,
    consent: Callable[[str], int] | None = None,
    consent_column: str | None = None,
) -> CodedTable:
    """Return the records of a frame as codes.

    Args:
        frame: raw cells; columns that the domain does not name are ignored.
        domain: the public value lists.
        person: name of the column with the person token; None when the steward declares that one record is one person.
        consent: what a consent cell means: 1 yes, -1 refused, 0 not given.
        consent_column: name of the column with the consent that this release needs.

    Raises:
        UnknownColumnError: a needed column is absent; names it.
    """
    table = as_table(frame)
    needed = [attribute.name for attribute in domain.attributes]
    needed += [name for name in (person, consent_column) if name is not None]
    absent = sorted(set(needed) - set(table.column_names))
    if absent:
        raise UnknownColumnError(
            f"columns missing from the file: {', '.join(absent)}; every column of the schema is needed"
        )
    columns: list[Codes] = []
    for attribute in domain.attributes:
        indices, cells = _places(table.column(attribute.name), attribute)
        if not attribute.multi:
            columns.append(np.array([cell[0] for cell in cells], dtype=np.uint16)[indices])
            continue
        for place in range(len(attribute.values)):
            if place not in attribute.missing:
                columns.append(np.array([place in cell for cell in cells], dtype=np.uint16)[indices])
    persons = None if person is None else table.column(person).cast(pa.string())
    permitted = None
    if consent_column is not None:
        encoded = text_column(table.column(consent_column))
        meaning = [0 if consent is None else consent(cell) for cell in encoded.dictionary.to_pylist()] + [0]
        places = pc.fill_null(encoded.indices.cast(pa.int64()), len(meaning) - 1)
        permitted = np.array(meaning, dtype=np.int8)[np.asarray(places)]
    return CodedTable(
        columns=tuple(columns),
        persons=None if persons is None else _one_array(persons),
        permitted=permitted,
    )


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined
