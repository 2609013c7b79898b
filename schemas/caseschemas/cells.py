"""What one raw cell of a file says: words of yes and no, whole numbers and their ranges, partial dates.

Every function takes a cell in normal form (`caseschemas.words.normal`), never raises, and answers None for what it does not understand.
"""

from __future__ import annotations

import re
from datetime import date

YES_WORDS = frozenset({"1", "1.0", "true", "yes", "y", "t", "on", "oui", "vrai", "sí", "si", "verdadero", "نعم"})
"""Understood as yes by every flag, beside its own code, labels and synonyms."""

NO_WORDS = frozenset({"0", "0.0", "false", "no", "n", "f", "off", "non", "faux", "falso", "لا"})
"""Understood as no by every flag; a flag that does not tell no apart reads it as its blank value."""

_NUMBER = re.compile(r"([+-]?)(\d{1,15})(?:\.(\d{1,30}))?")
_RANGE = re.compile(r"(\d{1,15}) ?-{1,3} ?(\d{1,15})")
_AND_MORE = re.compile(r"(\d{1,15}) ?\+|>= ?(\d{1,15})|≥ ?(\d{1,15})")
_YEAR_FIRST = re.compile(r"(\d{4})(?:\.0)?(?:[-/.](\d{1,2})(?:[-/.](\d{1,2})(?:[t ].{0,40})?)?)?")
_YEAR_LAST = re.compile(r"(?:(\d{1,2})[-/.])?(\d{1,2})[-/.](\d{4})(?: .{0,40})?")


def whole_number(cell: str) -> int | None:
    """Read a number; a decimal part is cut down to the whole number below.

    >>> [whole_number(cell) for cell in ("48", "8.7", "-0.5", "٤٨", "1e3", "")]
    [48, 8, -1, 48, None, None]
    """
    match = _NUMBER.fullmatch(cell)
    if match is None:
        return None
    sign, digits, decimals = match.groups()
    number = int(digits)
    if sign == "-":
        return -number - (1 if decimals and int(decimals) else 0)
    return number


def number_range(cell: str) -> tuple[int, int | None] | None:
    """Read a range of whole numbers; None as its end means no end.

    >>> [number_range(cell) for cell in ("0--8", "09--17", "18 - 20", "48+", ">= 48", "17-9", "9")]
    [(0, 8), (9, 17), (18, 20), (48, None), (48, None), None, None]
    """
    match = _RANGE.fullmatch(cell)
    if match is not None:
        low, high = int(match[1]), int(match[2])
        return (low, high) if low <= high else None
    match = _AND_MORE.fullmatch(cell)
    return None if match is None else (int(match[1] or match[2] or match[3]), None)


def partial_date(cell: str) -> tuple[int, int | None, int | None] | None:
    """Read a date that may be partial, as year, month, day. What cannot be told without guessing (`03/04/2019`) has no month and no day.

    >>> [partial_date(cell) for cell in ("2019", "2019-03", "2019-03-15t10:00", "03/2019", "15/03/2019", "03/04/2019", "2019-02-30")]
    [(2019, None, None), (2019, 3, None), (2019, 3, 15), (2019, 3, None), (2019, 3, 15), (2019, None, None), None]
    """
    match = _YEAR_FIRST.fullmatch(cell)
    if match is not None:
        year, month, day = (None if part is None else int(part) for part in match.groups())
        return _real(year, month, day)
    match = _YEAR_LAST.fullmatch(cell)
    if match is None:
        return None
    year = int(match[3])
    if match[1] is None:
        return _real(year, int(match[2]), None)
    first, second = int(match[1]), int(match[2])
    if first == second or second > 12:
        return _real(year, first, second)
    if first > 12:
        return _real(year, second, first)
    return _real(year, first, second) and (year, None, None)


def _real(year: int | None, month: int | None, day: int | None) -> tuple[int, int | None, int | None] | None:
    """The date if the calendar has it."""
    if year is None:
        return None
    try:
        date(year, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None
    return year, month, day
