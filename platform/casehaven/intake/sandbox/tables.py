"""One table as it lies in a file: numbered rows of cells, before anything is known of headers or tools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Row = tuple[int, list[str]]
"""Number of the row in its file, from 1, and its cells."""


@dataclass(kw_only=True)
class RawTable:
    """Rows as a file has them."""

    name: str
    """Of the sheet, or of the file in a ZIP; empty for a file of one table."""
    rows: Iterator[Row]
    """Read once. Rows without any cell may be absent; numbers go up."""
    notes: list[str] = field(default_factory=list)
    """What was done so far. Grows while rows are read."""
    formulas: set[int] = field(default_factory=set)
    """Positions of columns with formulas, as far as rows were read."""
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Merged areas: first row, first column, last row, last column; rows from 1, columns from 0."""
    even: bool = False
    """Every row must have as many cells as the header (a text file); else missing cells are empty."""


def column_letters(position: int) -> str:
    """Return how a spreadsheet names a column.

    >>> column_letters(0), column_letters(27)
    ('A', 'AB')
    """
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
