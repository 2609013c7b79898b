"""Raw cells to integer codes of the public domain.

1. Codes come from the domain alone. A cell outside the value list takes the position that the schema names; nothing else about it
   is kept (privacy rule 3).
2. An empty cell, a null and a NaN take the attribute's blank value (privacy rule 4).
3. Work is done on each distinct cell once, then on integers.
4. Whatever a cell holds, it ends as a code or as a null; a message names columns, never cells (privacy rule 23).
5. The column of a derived attribute is not read: its codes follow from its source (`casesynth.derived`).
6. What can be refused is refused by structure: names and types of columns, and text that is no UTF-8. `check_columns` finds it before a charge;
   a table that passes it encodes.
7. A person token is what `person_tokens` makes of a cell, and nothing else is: whoever counts, checks or merges persons uses that one function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.derived import with_derived
from casesynth.domain import Attribute, Domain
from casesynth.errors import CasesynthError

if TYPE_CHECKING:
    import pandas as pd


class UnknownColumnError(CasesynthError):
    """The file lacks a column that the domain needs."""


class RepeatedColumnError(CasesynthError):
    """A needed column is there twice; which one is meant cannot be told."""


class ColumnTypeError(CasesynthError):
    """A column holds something that cannot be read as text: lists, structures, bytes, text that is no UTF-8."""


@dataclass(frozen=True, kw_only=True)
class CodedTable:
    """Records as codes: one row per record, one array per column of the domain. Holds real data; never written to a release."""

    columns: tuple[Codes, ...]
    """One array per column of the domain, each of shape (records,)."""
    persons: pa.Array | None
    """Person token of each record, as `person_tokens` makes them; None when each record is one person."""
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
    import pandas as pd  # takes half a second; only who has a frame has loaded it already

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
    fault = type_fault(column.type)
    if fault is None:
        array = _one_array(column)
        try:
            if not isinstance(array, pa.DictionaryArray):
                array = pc.dictionary_encode(array)
            return pa.DictionaryArray.from_arrays(array.indices, _text(array.dictionary))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # Arrow's message may quote the cell
            fault = "cells that cannot be read"
    raise ColumnTypeError(f"column {name} holds {fault}; expected text, numbers or dates")


def type_fault(stored: pa.DataType) -> str | None:
    """Return what a column of this type holds that cannot be read as text; None when it can be read.

    >>> type_fault(pa.list_(pa.string())), type_fault(pa.dictionary(pa.int8(), pa.string()))
    ('lists or structures', None)
    """
    kinds = pa.types
    if kinds.is_dictionary(stored):
        return type_fault(stored.value_type)
    if kinds.is_nested(stored):
        return "lists or structures"
    if stored in (pa.binary(), pa.large_binary(), pa.binary_view()) or kinds.is_fixed_size_binary(stored):
        return "bytes"
    if kinds.is_timestamp(stored) and stored.tz is not None:
        try:
            pa.array([0], type=stored).cast(pa.string())
        except pa.ArrowInvalid:
            return "times in an unknown time zone"
    text = kinds.is_string(stored) or kinds.is_large_string(stored) or kinds.is_string_view(stored)
    number = kinds.is_integer(stored) or kinds.is_floating(stored) or kinds.is_decimal(stored)
    known = text or number or kinds.is_temporal(stored) or kinds.is_boolean(stored) or kinds.is_null(stored)
    return None if known and stored != pa.month_day_nano_interval() else "cells of an unknown type"


def _text(values: pa.Array) -> pa.Array:
    """Return distinct cells as text: NaN as null, and whole numbers alike whether they were stored as integers or not."""
    if not pa.types.is_floating(values.type):
        return values.cast(pa.string())
    wide = values.cast(pa.float64())
    whole = pc.and_(pc.equal(pc.floor(wide), wide), pc.less(pc.abs(wide), 2.0**53))
    integers = pc.if_else(whole, wide, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(integers, pc.if_else(pc.is_nan(wide), None, values).cast(pa.string()))


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # an empty table combines to no chunk
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    return array


def person_tokens(column: pa.ChunkedArray, name: str, *, issuer: str = "") -> pa.Array:
    """Return the person token of each cell as text without spaces around it; null where there is none.

    Args:
        column: the person key.
        name: of the column, for messages.
        issuer: who made the tokens, where equal tokens of different issuers mean different persons; it becomes part of the token. Digits.

    Raises:
        ColumnTypeError: the cells cannot be read as text; names the column.

    >>> person_tokens(pa.chunked_array([[7.0, float("nan"), 8.0]]), "id", issuer="2").to_pylist()
    ['2/7', None, '2/8']
    """
    text = _one_array(column) if pa.types.is_string(column.type) else text_column(column, name).dictionary_decode()
    tokens = pc.utf8_trim_whitespace(text.cast(pa.large_string()))  # more than 2 GiB of tokens are no fault
    tokens = pc.if_else(pc.equal(tokens, ""), None, tokens)
    if not issuer:
        return tokens
    return pc.binary_join_element_wise(pa.scalar(issuer, pa.large_string()), tokens, pa.scalar("/", pa.large_string()))


def check_columns(table: pa.Table, names: Sequence[str]) -> None:
    """Refuse a table that `encode` would refuse. Reads no value; whether text is UTF-8 is all that it learns of cells.

    Args:
        table: raw cells.
        names: columns that will be read.

    Raises:
        UnknownColumnError: a needed column is absent; names it.
        RepeatedColumnError: a needed column is there twice; names it.
        ColumnTypeError: a needed column cannot be read as text; names it.
    """
    absent = sorted(set(names) - set(table.column_names))
    if absent:
        raise UnknownColumnError(
            f"columns missing from the file: {', '.join(absent)}; every column of the schema is needed"
        )
    repeated = sorted(name for name in set(names) if table.column_names.count(name) > 1)
    if repeated:
        raise RepeatedColumnError(f"columns named more than once: {', '.join(repeated)}; every name must be used once")
    for name in names:
        fault = type_fault(table.column(name).type)
        if fault is None and not _valid(table.column(name)):
            fault = "text that is not UTF-8"
        if fault is not None:
            raise ColumnTypeError(f"column {name} holds {fault}; expected text, numbers or dates")


def _valid(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:  # Arrow's message may quote the cell
        return False
    return True


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
    issuer: str = "",
    consent: Callable[[str], int] | None = None,
    consent_column: str | None = None,
) -> CodedTable:
    """Return the records of a frame as codes.

    Args:
        frame: raw cells; columns that the domain does not name are ignored.
        domain: the public value lists.
        person: name of the column with the person token; None when the steward declares that one record is one person.
        issuer: who made the tokens, where equal tokens of different issuers mean different persons.
        consent: what a consent cell means: 1 yes, -1 refused, 0 not given.
        consent_column: name of the column with the consent that this release needs.

    Raises:
        UnknownColumnError: a needed column is absent; names it.
        RepeatedColumnError: a needed column is there twice; names it.
        ColumnTypeError: a needed column cannot be read as text; names it.
    """
    table = as_table(frame)
    needed = [attribute.name for attribute in domain.measured.attributes]
    needed += [name for name in (person, consent_column) if name is not None]
    check_columns(table, needed)
    columns: list[Codes] = []
    for attribute in domain.measured.attributes:
        indices, cells = _places(table.column(attribute.name), attribute)
        if not attribute.multi:
            columns.append(np.array([cell[0] for cell in cells], dtype=np.uint16)[indices])
            continue
        for place in range(len(attribute.values)):
            if place not in attribute.missing:
                columns.append(np.array([place in cell for cell in cells], dtype=np.uint16)[indices])
    persons = None if person is None else person_tokens(table.column(person), person, issuer=issuer)
    permitted = None
    if consent_column is not None:
        encoded = text_column(table.column(consent_column), consent_column)
        meaning = [
            0 if consent is None or cell is None else consent(cell) for cell in encoded.dictionary.to_pylist()
        ] + [0]
        places = pc.fill_null(encoded.indices.cast(pa.int64()), len(meaning) - 1)
        permitted = np.array(meaning, dtype=np.int8)[np.asarray(places)]
    return CodedTable(
        columns=with_derived(columns, domain),
        persons=persons,
        permitted=permitted,
    )
