"""The public periods of a date attribute: every year, month or day from a first to a last one."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Granularity = Literal["year", "month", "day"]
"""How fine a date may be seen."""

DIGITS: dict[Granularity, int] = {"year": 4, "month": 7, "day": 10}
"""The length of a period's code: `2019`, `2019-03`, `2019-03-15`."""

_PERIOD = re.compile(r"[0-9]{4}(?:-[0-9]{2}){0,2}")


@dataclass(frozen=True, kw_only=True)
class Periods:
    """Consecutive periods of one granularity.

    >>> periods = Periods(granularity="month", first=date(2019, 11, 1), last=date(2020, 2, 1))
    >>> periods.codes(), periods.position(2020, 1, None), periods.position(2021, 1, None)
    (('2019-11', '2019-12', '2020-01', '2020-02'), 2, None)
    """

    granularity: Granularity
    """Year, month or day."""
    first: date
    """First day of the first period."""
    last: date
    """First day of the last period; not before the first."""

    def code(self, day: date) -> str:
        """The code of the period that holds a day."""
        return day.isoformat()[: DIGITS[self.granularity]]

    def codes(self) -> tuple[str, ...]:
        """The codes of all periods, in order of time."""
        return tuple(self.code(self._start(position)) for position in range(len(self)))

    def __len__(self) -> int:
        """The number of periods."""
        return self._count(self.last) + 1

    def position(self, year: int, month: int | None, day: int | None) -> int | None:
        """The position of the period of a real, partial date; None if it is outside, or too partial to say."""
        if self.granularity != "year" and month is None or self.granularity == "day" and day is None:
            return None
        position = self._count(date(year, month or 1, day or 1))
        return position if 0 <= position < len(self) else None

    def _count(self, day: date) -> int:
        if self.granularity == "year":
            return day.year - self.first.year
        if self.granularity == "month":
            return (day.year - self.first.year) * 12 + day.month - self.first.month
        return (day - self.first).days

    def _start(self, position: int) -> date:
        if self.granularity == "year":
            return date(self.first.year + position, 1, 1)
        if self.granularity == "month":
            months = self.first.year * 12 + self.first.month - 1 + position
            return date(months // 12, months % 12 + 1, 1)
        return self.first + timedelta(days=position)


def parse_period(text: str, granularity: Granularity) -> date | None:
    """Read a period's code as its first day; None if it is not one of this granularity.

    >>> parse_period("2019-03", "month"), parse_period("2019-13", "month"), parse_period("2019", "month")
    (datetime.date(2019, 3, 1), None, None)
    """
    if len(text) != DIGITS[granularity] or _PERIOD.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text + "-01-01"[len(text) - 4 :])
    except ValueError:
        return None


def last_day(year: int, month: int) -> int:
    """Return the number of days of a month.

    >>> last_day(2020, 2)
    29
    """
    return monthrange(year, month)[1]
