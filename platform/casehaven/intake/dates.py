"""One date cell as the span of days that it may mean.

1. A date may be partial: a year, a year and a month, or a day. What it may mean is a span of days; nothing finer is made up.
2. Where day and month cannot be told apart and no order is declared, the span holds both readings. What lies in the same year is known all the same. Three parts of two digits may also begin
   with the year, whatever stands between them.
3. A year of two digits needs the pivot, which is public: `30` makes `30` mean 2030 and `31` mean 1931. In another calendar it is one of the hundred years up to the one in which the Gregorian year of
   the pivot ends: under `30`, Solar Hijri years from 1310 to 1409.
4. The order of a column is known when it is declared, or when it is the only one in which all of its cells are dates.
5. Digits of every script are digits. Names of months are understood in English, French, Spanish and Arabic.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

from casehaven.intake.calendars import Calendar, Span, span, year_at
from caseschemas.words import normal

Order = Literal["day-first", "month-first", "year-first"]
"""What comes first where all parts are numbers and the year is not written with four digits in front."""

ORDERS: Final[tuple[Order, ...]] = get_args(Order)
PIVOT: Final = 30
"""Two-digit years up to this one are of the 2000s, unless a mapping says otherwise."""

_MONTHS: Final = (
    "january jan janvier janv enero ene يناير كانون_الثاني",
    "february feb fevrier fevr fev febrero فبراير شباط",
    "march mar mars marzo مارس آذار اذار",
    "april apr avril avr abril abr ابريل أبريل نيسان",
    "may mai mayo مايو ايار أيار",
    "june jun juin junio يونيو حزيران",
    "july jul juillet juil julio يوليو تموز",
    "august aug aout agosto ago اغسطس أغسطس اب آب",
    "september sept sep septembre septiembre set سبتمبر ايلول أيلول",
    "october oct octobre octubre اكتوبر أكتوبر تشرين_الاول تشرين_الأول",
    "november nov novembre noviembre نوفمبر تشرين_الثاني",
    "december dec decembre diciembre dic ديسمبر كانون_الاول كانون_الأول",
)
_FILLING: Final = frozenset(
    ["de", "del", "of", "the", "le", "el", "er", "st", "nd", "rd", "th", "du", "م", "ه", "هـ", "سنة", "ad", "ah", "be"]
)
_TIME: Final = re.compile(r"(?<=\d)(?:t| +)\d{1,2}[:h]\d{2}.*$", re.DOTALL)
_WORDS: Final = re.compile(r"\d+|[^\W\d_]+(?:_[^\W\d_]+)?")
_LONGEST: Final = 60


def _plain(text: str) -> str:
    """Fold case and accents of a word; Arabic letters keep their hamza off."""
    parted = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in parted if not unicodedata.combining(letter))


_MONTH_OF: Final = {_plain(word): number for number, words in enumerate(_MONTHS, 1) for word in words.split()}
_TWO_WORDS: Final = sorted({word.split("_")[0] for word in _MONTH_OF if "_" in word})
_JOIN: Final = re.compile(rf"({'|'.join(_TWO_WORDS)})\s+(?=\w)")


@dataclass(frozen=True, kw_only=True)
class DateReading:
    """How the dates of one column are read.

    >>> DateReading().span("03/04/2019"), DateReading(order="day-first").span("03/04/19")
    ((datetime.date(2019, 3, 4), datetime.date(2019, 4, 3)), (datetime.date(2019, 4, 3), datetime.date(2019, 4, 3)))
    >>> DateReading().span("mars 2021"), DateReading(calendar="islamic").span("١٤٤٦"), DateReading().span("soon")
    ((datetime.date(2021, 3, 1), datetime.date(2021, 3, 31)), (datetime.date(2024, 7, 8), datetime.date(2025, 6, 26)), None)
    """

    order: Order | None = None
    """None: not declared, so both readings count."""
    calendar: Calendar = "gregorian"
    pivot: int = PIVOT
    """Last Gregorian year, of two digits, that is of the 2000s (rule 3)."""

    def span(self, cell: str) -> Span | None:
        """Return the days that a cell may mean; None where it is no date."""
        spans = [found for parts in self._parts(cell) if (found := span(self.calendar, *parts)) is not None]
        if not spans:
            return None
        return min(first for first, _ in spans), max(last for _, last in spans)

    def _parts(self, cell: str) -> list[tuple[int, int | None, int | None]]:
        """Return year, month and day of every reading that the order allows."""
        numbers, month = _split(cell)
        if numbers is None:
            return []
        if month is not None:
            return self._named(numbers, month)
        match len(numbers):
            case 1 if len(numbers[0]) == 4:
                return [(int(numbers[0]), None, None)]
            case 1 if len(numbers[0]) == 8:
                return [(int(numbers[0][:4]), int(numbers[0][4:6]), int(numbers[0][6:]))]
            case 2:
                return self._month_and_year(*numbers)
            case 3:
                return self._three(*numbers)
        return []

    def _named(self, numbers: list[str], month: int) -> list[tuple[int, int | None, int | None]]:
        if len(numbers) == 1:
            return [(self._year(numbers[0]), month, None)] if len(numbers[0]) in (2, 4) else []
        if len(numbers) == 2:
            day, year = numbers if len(numbers[0]) <= 2 else reversed(numbers)
            return [(self._year(year), month, int(day))] if len(year) in (2, 4) and len(day) <= 2 else []
        return []

    def _month_and_year(self, first: str, second: str) -> list[tuple[int, int | None, int | None]]:
        if len(first) == 4 and len(second) <= 2:
            return [(int(first), None if second == "0" else int(second), None)]  # 2019.0 is a year that was a number
        if len(first) <= 2 and len(second) in (2, 4):
            return [(self._year(second), int(first), None)]
        return []

    def _three(self, first: str, second: str, third: str) -> list[tuple[int, int | None, int | None]]:
        if len(first) == 4 and len(second) <= 2 and len(third) <= 2:
            return [(int(first), int(second), int(third))]
        if max(len(first), len(second)) > 2 or len(third) not in (2, 4):
            return []
        front: list[tuple[int, int | None, int | None]]
        front = [(self._year(first), int(second), int(third))] if len(first) == len(third) == 2 else []
        if front and self.order == "year-first":
            return front
        year, one, two = self._year(third), int(first), int(second)
        day_first, month_first = (year, two, one), (year, one, two)
        if self.order == "month-first":
            return [month_first]
        if self.order == "day-first":
            return [day_first]
        return [day_first, month_first, *front]

    def _year(self, digits: str) -> int:
        number = int(digits)
        if len(digits) == 4:
            return number
        last = year_at(self.calendar, date(2000 + self.pivot, 12, 31))
        return last - (last - number) % 100


def _split(cell: str) -> tuple[list[str] | None, int | None]:
    """Return the numbers of a cell and its named month; no numbers where it holds a word that is in no date."""
    if len(cell) > _LONGEST:
        return None, None
    text = _TIME.sub("", ascii_digits(normal(cell)))
    numbers: list[str] = []
    month: int | None = None
    for word in _WORDS.findall(_JOIN.sub(r"\1_", _plain(text))):
        if word.isdigit():
            numbers.append(word)
        elif month is None and word in _MONTH_OF:
            month = _MONTH_OF[word]
        elif word not in _FILLING:
            return None, None
    return (numbers if numbers and not text.startswith("-") else None), month


def ascii_digits(text: str) -> str:
    """Write digits of every script as 0 to 9.

    >>> ascii_digits("١٢ ۳۴ 56")
    '12 34 56'
    """
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in text)


@dataclass(frozen=True, kw_only=True)
class OrderEvidence:
    """What the cells of one column say about the order of day and month."""

    order: Order | None
    """The only order in which all of them are dates; None where both are, or neither is."""
    open: bool
    """Some cells can be read in several ways, and nothing decides."""
    year_open: bool
    """Some of these ways differ in the year: it may stand in front."""


def order_of(cells: Iterable[str]) -> OrderEvidence:
    """Look at every distinct cell of a column (rule 4).

    >>> order_of(["03/04/2019", "25/12/2018"]).order, order_of(["03/04/2019"]).order, order_of(["03/04/2019"]).open
    ('day-first', None, True)
    """
    several = front = seen = False
    every: set[Order] = set(ORDERS)
    for cell in cells:
        ways = _ways(cell)
        every &= set(ways) or every  # what is no date in any order says nothing
        several |= len(set(ways.values())) > 1
        front |= "year-first" in ways and len(set(ways.values())) > 1
        seen |= bool(ways)
    order = next(iter(every)) if seen and len(every) == 1 else None
    return OrderEvidence(order=order, open=several and order is None, year_open=front and order is None)


def _ways(cell: str) -> dict[Order, tuple[int, int, int]]:
    """Return the orders in which a cell of three numbers may be a date, and year, month and day of each."""
    numbers, month = _split(cell)
    if numbers is None or month is not None or len(numbers) != 3 or len(numbers[0]) > 2 or len(numbers[1]) > 2:
        return {}
    first, second, third = map(int, numbers)
    ways: dict[Order, tuple[int, int, int]] = {
        "day-first": (third, second, first),
        "month-first": (third, first, second),
    }
    if len(numbers[0]) == len(numbers[2]) == 2:
        ways["year-first"] = (first, second, third)
    return {order: way for order, way in ways.items() if 1 <= way[1] <= 12 and 1 <= way[2] <= 31}
