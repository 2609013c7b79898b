"""Synthetic records written as CSV and Parquet, part by part: what is held does not grow with their number.

1. The files hold what `casesynth.tables.records_frame` says: the attributes' own codes, values of a multi-value attribute joined with `;`.
2. Each distinct cell is made once, as a spreadsheet may safely read it (threat 20) and quoted where CSV asks for it; a row is its cells joined.
3. Only protected codes are taken: nothing here accepts a `PersonTable`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.domain import Attribute, Domain
from casesynth.tables import safe_cell

PART_ROWS = 1 << 18
"""Records written at a time."""

_LINE_END = "\r\n"


def write_records(
    records: tuple[Codes, ...],
    domain: Domain,
    folder: Path,
    stem: str,
    *,
    part_rows: int = PART_ROWS,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Write synthetic records as `stem.csv` and `stem.parquet`.

    Args:
        records: codes, one array per column of the domain.
        domain: the public value lists.
        folder: where the files go.
        stem: of their names.
        part_rows: records written at a time.
        check: called per part; raises to cancel.
    """
    columns = [_Cells.of(domain, attribute) for attribute in domain.attributes]
    stored = pa.schema([(column.name, column.type) for column in columns])
    rows = len(records[0])
    with (
        pq.ParquetWriter(folder / f"{stem}.parquet", stored, compression="zstd") as parquet,
        (folder / f"{stem}.csv").open("wb") as text,
    ):
        text.write(_line([safe_cell(column.name) for column in columns]).encode())
        for start in range(0, max(rows, 1), part_rows):
            check()
            part = [codes[start : start + part_rows] for codes in records]
            parquet.write_table(pa.table([column.arrow(part) for column in columns], schema=stored))
            cells = [column.text(part, last=place + 1 == len(columns)) for place, column in enumerate(columns)]
            text.writelines(_bytes(chunk) for chunk in _joined(cells, alone=len(columns) == 1))


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """How the codes of one attribute become cells."""

    name: str
    places: tuple[int, ...]
    """Its columns of the domain."""
    values: tuple[str, ...]
    """Of a single-valued attribute: all its values; of a multi-value one: the value of each column."""
    multi: bool

    @classmethod
    def of(cls, domain: Domain, attribute: Attribute) -> _Cells:
        places = [place for place, column in enumerate(domain.columns) if column.attribute == attribute.name]
        values = [domain.columns[place].value or "" for place in places] if attribute.multi else attribute.values
        return cls(name=attribute.name, places=tuple(places), values=tuple(values), multi=attribute.multi)

    @property
    def type(self) -> pa.DataType:
        """Of the attribute in Parquet."""
        if self.multi:
            return pa.string()
        return pa.dictionary(pa.int8() if len(self.values) <= 1 << 7 else pa.int32(), pa.string())

    def distinct(self, part: Sequence[Codes]) -> tuple[NDArray[np.int64], list[str]]:
        """Return for each record the place of its cell among the distinct cells, and those."""
        if not self.multi:
            return part[self.places[0]].astype(np.int64), list(self.values)
        rows = np.stack([part[place] == 1 for place in self.places], axis=1)
        packed = np.ascontiguousarray(np.packbits(rows, axis=1))
        keys, first, found = np.unique(
            packed.view(np.dtype((np.void, packed.shape[1]))).ravel(), return_index=True, return_inverse=True
        )
        del keys
        cells = [";".join(value for value, held in zip(self.values, rows[row], strict=True) if held) for row in first]
        return found.astype(np.int64), cells

    def arrow(self, part: Sequence[Codes]) -> pa.Array:
        """Return the cells of one part as Parquet holds them."""
        index, cells = self.distinct(part)
        if self.multi:
            return pa.array(cells, pa.string()).take(pa.array(index))
        indices = pa.array(index).cast(self.type.index_type)
        return pa.DictionaryArray.from_arrays(indices, pa.array(self.values, pa.string()))

    def text(self, part: Sequence[Codes], *, last: bool) -> pa.Array:
        """Return the cells of one part as they stand in CSV, with the mark that ends them."""
        index, cells = self.distinct(part)
        ended = [_quoted(safe_cell(cell)) + (_LINE_END if last else ",") for cell in cells]
        return pa.array(ended, pa.large_string()).take(pa.array(index))


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=_LINE_END).writerow(cells)
    return text.getvalue()


def _quoted(cell: str) -> str:
    """Return a cell with the quotes that CSV needs.

    >>> _quoted("a"), _quoted("a,b"), _quoted("")
    ('a', '"a,b"', '')
    """
    return _line([cell, ""]).removesuffix("," + _LINE_END)


def _joined(cells: Sequence[pa.Array], *, alone: bool) -> Iterator[pa.Array]:
    lines = cells[0] if alone else pc.binary_join_element_wise(*cells, pa.scalar("", pa.large_string()))
    if alone:  # an empty cell that is a whole line would be no line at all
        lines = pc.if_else(pc.equal(lines, _LINE_END), f'""{_LINE_END}', lines)
    yield from lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]


def _bytes(lines: pa.Array) -> memoryview:
    """Return the text of an array of strings, one after the other, without copying it."""
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(lines.buffers()[2] or b"")[int(offsets[0]) : int(offsets[-1])]
