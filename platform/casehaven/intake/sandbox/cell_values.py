"""What a cell of a workbook shows, as text.

1. Numbers as they are stored, whole ones without a point. Truth values as TRUE and FALSE. Errors (`#N/A`) as their text.
2. A number under a date format is a date: `2019-04-01`, with its time if there is one. Where the format shows no day or no month, neither does the text: people who entered
   "April 2019" did not enter a day.
3. Both calendars of spreadsheet programs are known (from 1900, with its 29 February 1900, and from 1904).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Literal

from casehaven.intake.sandbox.faults import FaultError

DateKind = Literal["date", "month", "year", "time"]

_BUILT_IN: dict[int, DateKind] = {
    **dict.fromkeys((*range(14, 17), 22, *range(27, 37), *range(50, 59)), "date"),
    17: "month",
    **dict.fromkeys((*range(18, 22), 45, 46, 47), "time"),
}
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h|m|s)[^\]]*\]', re.IGNORECASE)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_DAY_SECONDS = 86_400
_LAST_COLUMN = 1 << 14
_LAST_DAY = 2_958_466


def date_kind(number_format: int, code: str | None) -> DateKind | None:
    """Return what a number format shows of a date; None when it shows a number.

    >>> date_kind(0, None), date_kind(14, None), date_kind(164, "mmm\\\\ yyyy"), date_kind(165, "0.00"), date_kind(166, "yyyy")
    (None, 'date', 'month', None, 'year')
    """
    if code is None:
        return _BUILT_IN.get(number_format)
    shown = _LITERAL.sub("", code.split(";")[0]).lower()
    if "general" in shown or not re.search(r"[dyhs]|m", shown) or re.search(r"[0#?]", shown.replace(".0", "")):
        return None
    if "y" in shown or "d" in shown:
        if "d" in shown:
            return "date"
        return "month" if "m" in shown else "year"
    if "h" in shown or "s" in shown:
        return "time"
    return "date"


def date_text(number: str, kind: DateKind, from_1904: bool) -> str:
    """Return a stored number as the date that its cell shows; the number itself when it is no date.

    >>> date_text("43556", "date", False), date_text("43556.5", "date", False), date_text("43556", "month", False)
    ('2019-04-01', '2019-04-01T12:00:00', '2019-04')
    >>> date_text("59", "date", False), date_text("61", "date", False), date_text("-3", "date", False)
    ('1900-02-28', '1900-03-01', '-3')
    """
    try:
        value = float(number)
    except ValueError:
        return number
    if not 0 <= value < _LAST_DAY:
        return number
    seconds = round(value * _DAY_SECONDS)
    days, rest = divmod(seconds, _DAY_SECONDS)
    if kind == "time" and not days:
        return str(timedelta(seconds=rest)).rjust(8, "0")
    if from_1904:
        start = datetime(1904, 1, 1)
    else:
        start = datetime(1899, 12, 30) if days >= 60 else datetime(1899, 12, 31)
    moment = start + timedelta(days=days, seconds=rest)
    if kind == "year":
        return f"{moment.year:04d}"
    if kind == "month":
        return f"{moment.year:04d}-{moment.month:02d}"
    return moment.isoformat() if rest else moment.date().isoformat()


def number_text(number: str) -> str:
    """Return a stored number as people write it.

    >>> number_text("12"), number_text("12.0"), number_text("1.5E3"), number_text("0.1"), number_text("x")
    ('12', '12', '1500', '0.1', 'x')
    """
    try:
        value = float(number)
    except ValueError:
        return number
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value) if isfinite(value) else number


def unescaped(text: str) -> str:
    """Return text with the escapes of workbooks undone.

    >>> unescaped("a_x000D_b")
    'a\\rb'
    """
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


class CellReader:
    """Shows the cells of one workbook."""

    def __init__(self, texts: Sequence[str], dates: Mapping[str, DateKind], from_1904: bool) -> None:
        self._texts = texts
        self._dates = dates
        self._from_1904 = from_1904
        self.positions = _Positions()

    def shown(self, kind: str, style: str, text: str) -> str:
        """Return what a cell shows.

        Args:
            kind: of its value, as the workbook says (`n` is a number, `s` the place of a text).
            style: number of its style.
            text: its value as stored.

        Raises:
            FaultError: the value is not what its kind says.
        """
        if kind == "s":
            if not (text.isascii() and text.isdigit()):
                text = text.strip()
            if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(self._texts)):
                raise FaultError(
                    "damaged", "the workbook points to a text that it has not; save it again in a spreadsheet program"
                )
            return self._texts[int(text)]
        if kind == "n":
            if style in self._dates:
                return date_text(text, self._dates[style], self._from_1904)
            return text if text.isascii() and text.isdigit() else number_text(text)
        if kind == "b":
            return "TRUE" if text.strip() == "1" else "FALSE"
        return unescaped(text) if kind in ("str", "inlineStr") else text


class _Positions(dict[str, int]):
    """Place of a column, from 0, by its letters."""

    def __missing__(self, letters: str) -> int:
        position = 0
        for letter in letters[:4]:
            position = position * 26 + ord(letter) - 64
        if not 0 < position <= _LAST_COLUMN or not letters.isalpha():
            raise FaultError(
                "damaged", "the workbook names a cell that cannot be; save it again in a spreadsheet program"
            )
        self[letters] = position - 1
        return position - 1
