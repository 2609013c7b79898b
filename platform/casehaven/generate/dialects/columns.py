"""One column of a made-up export, and columns that every tool adds beside the questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casehaven.generate import _text

__all__ = ["CellKind", "Column", "constant", "numbers", "serials", "stamps", "uuids"]

CellKind = Literal["text", "number", "date"]
"""What a workbook keeps a cell as. A CSV file has text only."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A header and its cells."""

    name: str
    """The header."""
    cells: pa.Array
    """One text per row; empty where nothing was answered. Dates of kind `date` are written YYYY-MM-DD."""
    kind: CellKind = "text"
    """What a workbook keeps the cells as; a cell that is not of this kind is kept as text."""

    def named(self, name: str) -> Column:
        """The same cells below another header."""
        return Column(name=name, cells=self.cells, kind=self.kind)


def constant(name: str, text: str, rows: int) -> Column:
    """A column that says the same in every row."""
    return Column(name=name, cells=pa.repeat(pa.scalar(text, pa.string()), rows))


def serials(name: str, before: str, numbers: NDArray[np.int64], after: str = "") -> Column:
    """A column of one numbered text per row."""
    return Column(name=name, cells=_text.labelled(before, numbers, after))


def numbers(name: str, values: NDArray[Any]) -> Column:
    """A column of whole numbers."""
    return Column(name=name, cells=pa.array(values).cast(pa.string()), kind="number")


def uuids(name: str, rows: NDArray[np.int64], salt: int, before: str = "") -> Column:
    """A column of made-up identities of submissions, in the form of a UUID."""
    digits = _text.mixed_hexadecimal(rows.astype(np.uint64), salt & 0xFFFF_FFFF)
    parts = [pa.compute.utf8_slice_codeunits(digits, start, stop) for start, stop in ((0, 8), (8, 12), (12, 16))]
    last = _text.mixed_hexadecimal(rows.astype(np.uint64), (salt + 1) & 0xFFFF_FFFF)
    ends = [pa.compute.utf8_slice_codeunits(last, start, stop) for start, stop in ((0, 4), (4, 16))]
    joined = pa.compute.binary_join_element_wise(*parts, *ends, "-")
    return Column(name=name, cells=pa.compute.binary_join_element_wise(pa.scalar(before), joined, ""))


def stamps(name: str, days: NDArray[Any], rows: NDArray[np.int64], *, zone: str = "") -> Column:
    """A column of times of submission: a day per row, and a time of day that follows from the row's number."""
    seconds = (rows * 7919) % 86_400
    moments = days.astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    return Column(
        name=name, cells=pa.array([f"{moment}{zone}" for moment in np.datetime_as_string(moments)], pa.string())
    )
