"""Dates in cells: partial ones, orders, two-digit years, names of months, and what is no date."""

from __future__ import annotations

from datetime import date

import pytest

from casehaven.intake.dates import DateReading, order_of


def days(first: str, last: str | None = None) -> tuple[date, date]:
    """The days from the first to the last."""
    return date.fromisoformat(first), date.fromisoformat(last or first)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("2019", days("2019-01-01", "2019-12-31")),
        ("2019.0", days("2019-01-01", "2019-12-31")),
        ("2019-02", days("2019-02-01", "2019-02-28")),
        ("02/2020", days("2020-02-01", "2020-02-29")),
        ("2019-03-15", days("2019-03-15")),
        ("2019/3/5", days("2019-03-05")),
        ("20190315", days("2019-03-15")),
        ("2021-03-15T10:00:00.000+03:00", days("2021-03-15")),
        ("15.03.2019 10:30", days("2019-03-15")),
        ("15 mars 2021", days("2021-03-15")),
        ("1er août 2021", days("2021-08-01")),
        ("March 15, 2021", days("2021-03-15")),
        ("12 de enero de 2020", days("2020-01-12")),
        ("١٥ آذار ٢٠٢١", days("2021-03-15")),
        ("5 كانون الثاني 2020", days("2020-01-05")),
        ("Mar-21", days("2021-03-01", "2021-03-31")),
        ("31/12/99", days("1999-12-31")),
        ("03/04/2019", days("2019-03-04", "2019-04-03")),
        ("04/04/2019", days("2019-04-04")),
    ],
)
def test_a_date_is_the_days_that_it_may_mean(cell: str, found: tuple[date, date]) -> None:
    assert DateReading().span(cell) == found


@pytest.mark.parametrize(
    "cell", ["", "soon", "2019-02-30", "31/11/2020", "-5", "12", "1.5", "0791234567", "15 Amina 2021", "3/4", "9" * 80]
)
def test_what_is_no_date_is_none(cell: str) -> None:
    assert DateReading().span(cell) is None


def test_a_declared_order_decides_and_refuses_what_is_not_in_it() -> None:
    assert DateReading(order="day-first").span("03/04/2019") == days("2019-04-03")
    assert DateReading(order="month-first").span("03/04/2019") == days("2019-03-04")
    assert DateReading(order="year-first").span("19/04/03") == days("2019-04-03")
    assert DateReading(order="month-first").span("25/12/2018") is None
    assert DateReading(order="day-first").span("2018-12-25") == days("2018-12-25"), (
        "four digits in front say it themselves"
    )


def test_three_parts_of_two_digits_may_begin_with_the_year() -> None:
    for cell in ("19-04-03", "19/04/03", "19.04.03", "١٩/٠٤/٠٣"):
        assert DateReading().span(cell) == days("2003-04-19", "2019-04-03")
    assert DateReading().span("9/04/03") == days("2003-04-09", "2003-09-04"), "no year has one digit"
    assert DateReading(order="year-first").span("19-04-03") == days("2019-04-03")
    assert DateReading().span("25/12/99") == days("1999-12-25")
    assert order_of(["99-04-03", "05-06-07"]).order == "year-first"
    assert order_of(["99-04-03", "25-12-07"]).order == "year-first", "the only order in which both are dates"
    assert order_of(["99-04-03", "25-12-87"]).order is None
    years = order_of(["19/04/03", "20/01/02", "19/12/25"])
    assert (years.order, years.open, years.year_open) == (None, True, True), "2019 and 2020, or days of a month"
    told = order_of(["19/04/03", "31/12/87"])
    assert (told.order, told.open, told.year_open) == ("day-first", False, False)
    assert not order_of(["03/04/2019"]).year_open
    assert DateReading(calendar="islamic", order="day-first").span("1/9/46") == days("2025-03-01")


@pytest.mark.parametrize(("pivot", "year"), [(30, 2030), (29, 1930), (99, 2030)])
def test_the_pivot_decides_the_century(pivot: int, year: int) -> None:
    found = DateReading(pivot=pivot, order="day-first").span("01/02/30")
    assert found is not None and found[0].year == year


def test_other_calendars_are_read_with_their_digits() -> None:
    assert DateReading(calendar="solar-hijri").span("۱۴۰۰/۰۱/۰۱") == days("2021-03-21")
    assert DateReading(calendar="islamic").span("١٤٤٦-٩-١") == days("2025-03-01")
    assert DateReading(calendar="buddhist").span("2567-02") == days("2024-02-01", "2024-02-29")
    assert DateReading(calendar="ethiopian", order="day-first").span("1/1/2000") == days("2007-09-12")


@pytest.mark.parametrize(
    ("cells", "order", "open_"),
    [
        (["25/12/2018", "03/04/2019"], "day-first", False),
        (["12/25/2018", "03/04/2019"], "month-first", False),
        (["03/04/2019", "04/05/2019"], None, True),
        (["25/12/2018", "12/25/2018", "01/02/2019"], None, True),
        (["2018-12-25", "2019", "mars 2021", ""], None, False),
        (["04/04/2019"], None, False),
        (["04/04/04"], None, False),
        (["45/45/45", ""], None, False),
    ],
)
def test_the_order_comes_from_the_whole_column_or_stays_open(cells: list[str], order: str | None, open_: bool) -> None:
    found = order_of(cells)
    assert (found.order, found.open) == (order, open_)
