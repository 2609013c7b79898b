"""Dates of other calendars as days of ours, by arithmetic and one table.

1. A calendar turns its year, month and day into a Gregorian day. What the calendar does not have is None.
2. Calendars that are arithmetic are here in the years in which they are; that of Nepal is a table (`bikram_sambat`). The Islamic calendar is the tabular one (civil epoch, leap years 2, 5, 7, 10,
   13, 16, 18, 21, 24, 26 and 29 of 30): where the moon is sighted, a date may be off by a day or two.
3. A year or a month alone is the span of Gregorian days that it covers: nothing finer is made up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Final, Literal, get_args

from casehaven.intake import bikram_sambat

Calendar = Literal["gregorian", "islamic", "solar-hijri", "ethiopian", "buddhist", "bikram-sambat"]
"""`islamic` is the tabular Hijri calendar, `solar-hijri` that of Iran and Afghanistan, `buddhist` that of Thailand, `bikram-sambat` that of Nepal."""

CALENDARS: Final[tuple[Calendar, ...]] = get_args(Calendar)

Span = tuple[date, date]
"""First and last day, both included."""

YEARS: Final[dict[Calendar, tuple[int, int]]] = {
    "gregorian": (1800, 2200),
    "islamic": (1215, 1625),
    "solar-hijri": (1200, 1560),
    "ethiopian": (1793, 2190),
    "buddhist": (2484, 2740),
    "bikram-sambat": (bikram_sambat.FIRST, bikram_sambat.LAST),
}
"""First and last year that is read. The Thai year begins in January from 2484 on."""

_ISLAMIC_EPOCH: Final = 227_014  # ordinal day before 1 Muharram 1, which is 19 July 622 in our calendar
_NOWRUZ_1400: Final = date(2021, 3, 21).toordinal()


def span(calendar: Calendar, year: int, month: int | None = None, day: int | None = None) -> Span | None:
    """Return the Gregorian days of a date that may be partial; None where the calendar has no such date.

    >>> span("islamic", 1446, 9, 1), span("ethiopian", 2000, 1, 1)
    ((datetime.date(2025, 3, 1), datetime.date(2025, 3, 1)), (datetime.date(2007, 9, 12), datetime.date(2007, 9, 12)))
    >>> span("solar-hijri", 1403), span("buddhist", 2567, 2)
    ((datetime.date(2024, 3, 20), datetime.date(2025, 3, 20)), (datetime.date(2024, 2, 1), datetime.date(2024, 2, 29)))
    """
    first, last = YEARS[calendar]
    months = 13 if calendar == "ethiopian" else 12
    if not first <= year <= last or (month is not None and not 1 <= month <= months):
        return None
    length = _LENGTHS[calendar]
    if day is not None and (month is None or not 1 <= day <= length(year, month)):
        return None
    begin = _ORDINAL[calendar](year, month or 1, day or 1)
    if day is not None:
        return date.fromordinal(begin), date.fromordinal(begin)
    if month is not None:
        return date.fromordinal(begin), date.fromordinal(begin + length(year, month) - 1)
    return date.fromordinal(begin), date.fromordinal(_ORDINAL[calendar](year, months, length(year, months)))


@lru_cache(maxsize=256)
def year_at(calendar: Calendar, day: date) -> int:
    """Return the year of a calendar that a day of ours is in; the nearest one that is read, where it is in none.

    >>> year_at("solar-hijri", date(2030, 12, 31)), year_at("bikram-sambat", date(2030, 12, 31))
    (1409, 2080)
    """
    first, last = YEARS[calendar]
    begin = _ORDINAL[calendar]
    return max((year for year in range(first, last + 1) if begin(year, 1, 1) <= day.toordinal()), default=first)


def _gregorian_length(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return following.toordinal() - date(year, month, 1).toordinal()


def _gregorian(year: int, month: int, day: int) -> int:
    return date(year, month, 1).toordinal() + day - 1


def _islamic_length(year: int, month: int) -> int:
    return 29 + month % 2 + (month == 12 and (14 + 11 * year) % 30 < 11)


def _islamic(year: int, month: int, day: int) -> int:
    return _ISLAMIC_EPOCH + 354 * (year - 1) + (3 + 11 * year) // 30 + 29 * (month - 1) + month // 2 + day


def _solar_leap(year: int) -> bool:
    return (25 * year + 11) % 33 < 8  # the 33-year rule, which is the observed calendar from 1178 to 1633


def _solar_length(year: int, month: int) -> int:
    return 31 if month <= 6 else 30 if month <= 11 else 29 + _solar_leap(year)


def _solar(year: int, month: int, day: int) -> int:
    between = range(min(year, 1400), max(year, 1400))
    days = sum(365 + _solar_leap(other) for other in between) * (1 if year >= 1400 else -1)
    return _NOWRUZ_1400 + days + 31 * (month - 1) - max(0, month - 7) + day - 1


def _ethiopian_length(year: int, month: int) -> int:
    return 30 if month <= 12 else 5 + (year % 4 == 3)


def _ethiopian(year: int, month: int, day: int) -> int:
    return 2_430 + 365 * year + year // 4 + 30 * (month - 1) + day


def _buddhist_length(year: int, month: int) -> int:
    return _gregorian_length(year - 543, month)


def _buddhist(year: int, month: int, day: int) -> int:
    return _gregorian(year - 543, month, day)


_LENGTHS: Final[dict[Calendar, Callable[[int, int], int]]] = {
    "gregorian": _gregorian_length,
    "islamic": _islamic_length,
    "solar-hijri": _solar_length,
    "ethiopian": _ethiopian_length,
    "buddhist": _buddhist_length,
    "bikram-sambat": bikram_sambat.month_length,
}
_ORDINAL: Final[dict[Calendar, Callable[[int, int, int], int]]] = {
    "gregorian": _gregorian,
    "islamic": _islamic,
    "solar-hijri": _solar,
    "ethiopian": _ethiopian,
    "buddhist": _buddhist,
    "bikram-sambat": bikram_sambat.ordinal,
}
