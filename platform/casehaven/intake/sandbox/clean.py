"""Cells as text that may be shown, compared and stored.

1. Tabs and line ends inside a cell, and every other kind of space, become one space each; a no-break space is a space.
2. Control characters (NUL among them), marks of direction, zero-width characters and soft hyphens are taken out. So are the joiners of Persian and of Indian scripts: whoever
   compares a cell with a label takes them out of the label too.
3. Half of a surrogate pair becomes U+FFFD.
4. A guard against formulas (`'` before `= + - @`) is taken off; spaces at both ends too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_GUARDED = ("'=", "'+", "'-", "'@", "'\t", "'\r", "'|", "'%")


def clean_cell(cell: str) -> str:
    """Return one cell, cleaned.

    >>> clean_cell(" Debt\\u00a0bondage\\u200b ")
    'Debt bondage'
    >>> clean_cell("'=1+1"), clean_cell("'Awlaki")
    ('=1+1', "'Awlaki")
    """
    if not cell.isprintable():
        cell = "".join(_kept(character) for character in cell.replace("\r\n", "\n"))
    cell = cell.strip()
    return cell[1:].strip() if cell.startswith(_GUARDED) else cell


def clean_cells(cells: Sequence[str]) -> Sequence[str]:
    """Return the cells, each as `clean_cell` returns it; fast where there is nothing to clean."""
    text = "".join(cells)
    if not text.isprintable() or "'" in text:
        return [clean_cell(cell) for cell in cells]
    return [cell.strip() for cell in cells] if " " in text else cells


def is_clean(cell: str) -> bool:
    """Tell whether cleaning would take out or replace a character (a space at an end apart)."""
    return cell.replace("\u00a0", " ").replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable()


def _kept(character: str) -> str:
    if character.isprintable():
        return character
    if character.isspace():
        return " "
    kind = unicodedata.category(character)
    if kind == "Cs":
        return "\ufffd"
    return character if kind in ("Co", "Cn") else ""
