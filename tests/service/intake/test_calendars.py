"""Calendars: days that are published, the turn of each leap year, and what no calendar has."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from casehaven.intake import bikram_sambat
from casehaven.intake.calendars import CALENDARS, YEARS, Calendar, span
from casehaven.intake.dates import DateReading

# Reingold and Dershowitz, Calendrical Calculations, sample data of the arithmetic Islamic, Persian and Ethiopic calendars.
PUBLISHED = {
    date(1941, 9, 29): {"islamic": (1360, 9, 8), "solar-hijri": (1320, 7, 7), "ethiopian": (1934, 1, 19)},
    date(1943, 4, 19): {"islamic": (1362, 4, 13), "solar-hijri": (1322, 1, 29), "ethiopian": (1935, 8, 11)},
    date(1943, 10, 7): {"islamic": (1362, 10, 7), "solar-hijri": (1322, 7, 14), "ethiopian": (1936, 1, 26)},
    date(1945, 11, 12): {"islamic": (1364, 12, 6), "solar-hijri": (1324, 8, 21), "ethiopian": (1938, 3, 3)},
    date(1992, 3, 17): {"islamic": (1412, 9, 13), "solar-hijri": (1370, 12, 27), "ethiopian": (1984, 7, 8)},
    date(1996, 2, 25): {"islamic": (1416, 10, 5), "solar-hijri": (1374, 12, 6), "ethiopian": (1988, 6, 17)},
    date(2038, 11, 10): {"islamic": (1460, 10, 12), "ethiopian": (2031, 3, 1)},
    date(2025, 3, 21): {"solar-hijri": (1404, 1, 1), "buddhist": (2568, 3, 21)},
    date(2025, 3, 20): {"solar-hijri": (1403, 12, 30)},  # 1403 was a leap year in Iran
    date(2007, 9, 12): {"ethiopian": (2000, 1, 1)},  # the Ethiopian millennium
    # days of Nepal's history, by the names of their dates there
    date(1951, 2, 18): {"bikram-sambat": (2007, 11, 7)},  # Democracy Day, 7 Falgun
    date(2001, 6, 1): {"bikram-sambat": (2058, 2, 19)},  # 19 Jestha, at the palace
    date(2006, 4, 24): {"bikram-sambat": (2063, 1, 11)},  # Loktantra Day, 11 Baisakh
    date(2008, 5, 28): {"bikram-sambat": (2065, 2, 15)},  # Republic Day, 15 Jestha
    date(2015, 4, 25): {"bikram-sambat": (2072, 1, 12)},  # the earthquake, 12 Baisakh
    date(2015, 9, 20): {"bikram-sambat": (2072, 6, 3)},  # Constitution Day, 3 Asoj
}

PAUSH_AT_NEW_YEAR = (
    "17 18 18 17 17 18 18 17 17 18 18 17 17 18 18 17 17 18 18 17 17 18 17 17 17 18 17 17 17 18 17 17 17 18 17 17 17 18 17 17 "
    "17 18 17 17 17 18 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 16 17 17 17 16"
)
"""Day of the month Paush on which 1 January falls, of the years 2000 to 2080: from another published table than that of the month lengths."""


def test_the_first_of_january_is_where_a_second_table_of_nepal_has_it() -> None:
    days = [int(day) for day in PAUSH_AT_NEW_YEAR.split()]
    assert len(days) == bikram_sambat.LAST - bikram_sambat.FIRST + 1
    for year, day in enumerate(days, start=bikram_sambat.FIRST):
        found = span("bikram-sambat", year, 9, day)
        assert found is not None and found[0] == date(year - 56, 1, 1), year


def test_a_year_of_nepal_that_no_table_agrees_on_is_no_date() -> None:
    assert span("bikram-sambat", bikram_sambat.FIRST - 1) is None
    assert span("bikram-sambat", bikram_sambat.LAST + 1, 1, 1) is None
    assert DateReading(calendar="bikram-sambat").span("2081-01-01") is None
    assert DateReading(calendar="bikram-sambat").span("२०७२/१/१२") == (date(2015, 4, 25), date(2015, 4, 25))


@pytest.mark.parametrize(
    ("calendar", "cell", "year"),
    [
        ("solar-hijri", "1/2/98", 1398), ("solar-hijri", "1/2/09", 1409), ("solar-hijri", "1/2/10", 1310),
        ("islamic", "3/4/35", 1435), ("islamic", "3/4/52", 1452), ("islamic", "3/4/53", 1353),
        ("buddhist", "1/2/62", 2562), ("buddhist", "1/2/73", 2573), ("ethiopian", "1/2/11", 2011),
        ("bikram-sambat", "1/2/75", 2075), ("bikram-sambat", "1/2/01", 2001),
    ],
)  # fmt: skip
def test_a_year_of_two_digits_is_of_the_hundred_years_up_to_that_of_the_pivot(
    calendar: Calendar, cell: str, year: int
) -> None:
    day, month, _ = map(int, cell.split("/"))
    assert DateReading(calendar=calendar, order="day-first").span(cell) == span(calendar, year, month, day)


@pytest.mark.parametrize("day", PUBLISHED, ids=str)
def test_a_published_day_is_the_same_day_here(day: date) -> None:
    for calendar, parts in PUBLISHED[day].items():
        assert span(calendar, *parts) == (day, day), calendar  # type: ignore[arg-type]  # the keys are calendars


@pytest.mark.parametrize("calendar", CALENDARS)
def test_every_day_of_a_calendar_is_the_day_after_the_one_before(calendar: Calendar) -> None:
    first, last = YEARS[calendar]
    found = span(calendar, first)
    assert found is not None
    expected = found[0]
    for year in range(first, last + 1):
        whole = span(calendar, year)
        assert whole is not None and whole[0] == expected
        for month in range(1, 14):
            days = span(calendar, year, month)
            if days is None:
                continue
            assert days[0] == expected
            length = (days[1] - days[0]).days + 1
            assert span(calendar, year, month, length) == (days[1], days[1])
            assert span(calendar, year, month, length + 1) is None
            expected = days[1] + timedelta(days=1)
        assert whole[1] + timedelta(days=1) == expected


@pytest.mark.parametrize(
    ("calendar", "parts"),
    [
        ("gregorian", (2019, 2, 29)),
        ("gregorian", (2019, 13)),
        ("gregorian", (1799,)),
        ("islamic", (1445, 12, 31)),
        ("islamic", (2019,)),
        ("solar-hijri", (1404, 12, 30)),
        ("ethiopian", (2017, 13, 6)),
        ("ethiopian", (2016, 14)),
        ("buddhist", (2019, 1, 1)),
        ("gregorian", (2019, 0, 1)),
        ("gregorian", (2019, None, 4)),
    ],
)
def test_what_a_calendar_does_not_have_is_no_date(calendar: Calendar, parts: tuple[int, ...]) -> None:
    assert span(calendar, *parts) is None
