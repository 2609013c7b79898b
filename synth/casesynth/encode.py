"""Raw cells to integer codes of the public domain.

1. Codes come from the domain alone. A cell outside the value list takes the position that the schema names; nothing else about it
   is kept (privacy rule 3).
2. An empty cell, a null and a NaN take the attribute's blank value (privacy rule 4).
3. Work is done on each distinct cell once, then on integers.
4. Whatever a cell holds, it ends as a code or as a null; a message names columns, never cells (privacy rule 23).
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


class RepeatedColumnError(CasesynthError):
    """A needed column is there twice; which one is meant cannot be told."""


class ColumnTypeError(CasesynthError):
    """A column holds something that cannot be read as text: lists, structures, bytes that are no UTF-8."""


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
    """Return any accepted frame as an Arrow table."""
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    arrays = [_arrow(frame.iloc[:, place]) for place in range(frame.shape[1])]
    return pa.table(arrays, names=[str(name) for name in frame.columns])


def _arrow(cells: pd.Series) -> pa.Array:
    """Return a pandas column as an Arrow array; cells of several kinds as text."""
    if cells.dtype != object or not pd.api.types.infer_dtype(cells, skipna=True).startswith("mixed"):
        try:
            return pa.array(cells, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):  # Arrow's message quotes the cell
            pass
    return pa.array([None if blank else _cell_text(cell) for cell, blank in zip(cells, cells.isna(), strict=True)])


def _cell_text(cell: object) -> str:
    """Return one cell as the text that it would have in a column of its own kind."""
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).encode("utf-8", "replace").decode()


def text_column(column: pa.ChunkedArray, name: str) -> pa.DictionaryArray:
    """Return a column as dictionary-encoded text, NaN and nulls as null.

    Raises:
        ColumnTypeError: the cells cannot be read as text; names the column.
    """
    array = _one_array(column)
    try:
        if not isinstance(array, pa.DictionaryArray):
            array = pc.dictionary_encode(array)
        values = array.dictionary
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), None, values)
        return pa.DictionaryArray.from_arrays(array.indices, values.cast(pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # Arrow's message may quote the cell
        pass
    raise ColumnTypeError(f"column {name} holds {array.type}, expected text, numbers or dates")


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # an empty table combines to no chunk
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    return array


def _tokens(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Return person tokens as text; they rarely repeat, so text is taken as it is."""
    return _one_array(column) if pa.types.is_string(column.type) else text_column(column, name).dictionary_decode()


def _places(column: pa.ChunkedArray, attribute: Attribute) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
    """Return, per record, the index of its distinct cell, and per distinct cell the positions it holds."""
    encoded = text_column(column, attribute.name)
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
        RepeatedColumnError: a needed column is there twice; names it.
        ColumnTypeError: a needed column cannot be read as text; names it.
    """
    table = as_table(frame)
    needed = [attribute.name for attribute in domain.attributes]
    needed += [name for name in (person, consent_column) if name is not None]
    absent = sorted(set(needed) - set(table.column_names))
    if absent:
        raise UnknownColumnError(
            f"columns missing from the file: {', '.join(absent)}; every column of the schema is needed"
        )
    repeated = sorted(name for name in set(needed) if table.column_names.count(name) > 1)
    if repeated:
        raise RepeatedColumnError(f"columns named more than once: {', '.join(repeated)}; every name must be used once")
    columns: list[Codes] = []
    for attribute in domain.attributes:
        indices, cells = _places(table.column(attribute.name), attribute)
        if not attribute.multi:
            columns.append(np.array([cell[0] for cell in cells], dtype=np.uint16)[indices])
            continue
        for place in range(len(attribute.values)):
            if place not in attribute.missing:
                columns.append(np.array([place in cell for cell in cells], dtype=np.uint16)[indices])
    persons = None if person is None else _tokens(table.column(person), person)
    permitted = None
    if consent_column is not None:
        encoded = text_column(table.column(consent_column), consent_column)
        meaning = [
            0 if consent is None or cell is None else consent(cell) for cell in encoded.dictionary.to_pylist()
        ] + [0]
        places = pc.fill_null(encoded.indices.cast(pa.int64()), len(meaning) - 1)
        permitted = np.array(meaning, dtype=np.int8)[np.asarray(places)]
    return CodedTable(
        columns=tuple(columns),
        persons=persons,
        permitted=permitted,
    )
