"""The calendar of Nepal, Bikram Sambat: lengths of months that are published, year by year.

1. Lengths of its months follow the sun and are announced, so they are a table here, from 2000 to 2080 (14 April 1943 to 12 April 2024). Two published tables were compared: months, and the day of Paush on which 1 January
   falls. They differ in four of these years; in three of them one has months that cannot be, and in the fourth (2055, the last four months) the one is taken that follows the neighbouring years.
2. Outside these years there is no date: published tables for later years contradict each other, and a guess would be off by a day or two.
"""

from __future__ import annotations

from datetime import date
from itertools import accumulate
from typing import Final

__all__ = ["FIRST", "LAST", "month_length", "ordinal"]

FIRST: Final = 2000
"""First year of the table. Its first day is 14 April 1943."""

_BEGINS: Final = date(1943, 4, 14).toordinal()

_KINDS: Final = {
    "a": (30, 32, 31, 32, 31, 30, 30, 30, 29, 30, 29, 31),
    "b": (31, 31, 32, 31, 31, 31, 30, 29, 30, 29, 30, 30),
    "c": (31, 31, 32, 32, 31, 30, 30, 29, 30, 29, 30, 30),
    "d": (31, 32, 31, 32, 31, 30, 30, 30, 29, 29, 30, 31),
    "e": (31, 31, 31, 32, 31, 31, 29, 30, 30, 29, 29, 31),
    "f": (31, 31, 31, 32, 31, 31, 29, 30, 30, 29, 30, 30),
    "g": (31, 32, 31, 32, 31, 30, 30, 29, 30, 29, 30, 30),
    "h": (31, 32, 31, 32, 31, 30, 30, 30, 29, 30, 29, 31),
    "i": (31, 31, 31, 32, 31, 31, 30, 29, 30, 29, 30, 30),
    "j": (31, 32, 31, 32, 31, 30, 30, 30, 29, 29, 30, 30),
    "k": (31, 31, 32, 31, 32, 30, 30, 29, 30, 29, 30, 30),
    "l": (30, 32, 31, 32, 31, 31, 29, 30, 30, 29, 29, 31),
    "m": (30, 32, 31, 32, 31, 31, 29, 30, 29, 30, 29, 31),
}
"""Lengths of the twelve months; so many kinds of years there are in the table."""

_YEARS: Final = "abcdabcdebcdfbcdfbghibjhibdabkdabcdlbcdfbcdfbgdibjhibjhbkdabcdmbcdebcdfbgdibjhibj"
"""The kind of each year, ten years at a time."""

LAST: Final = FIRST + len(_YEARS) - 1
"""Last year of the table."""

_STARTS: Final = tuple(accumulate((sum(_KINDS[kind]) for kind in _YEARS), initial=_BEGINS))


def month_length(year: int, month: int) -> int:
    """Return the days of a month.

    >>> month_length(2080, 1), month_length(2080, 12)
    (31, 30)
    """
    return _KINDS[_YEARS[year - FIRST]][month - 1]


def ordinal(year: int, month: int, day: int) -> int:
    """Return a day as a Gregorian ordinal.

    >>> date.fromordinal(ordinal(2072, 1, 12)), date.fromordinal(ordinal(2072, 6, 3))  # the earthquake; the constitution
    (datetime.date(2015, 4, 25), datetime.date(2015, 9, 20))
    """
    return _STARTS[year - FIRST] + sum(_KINDS[_YEARS[year - FIRST]][: month - 1]) + day - 1
