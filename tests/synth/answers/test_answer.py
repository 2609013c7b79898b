"""What is shown of given noisy tables: no draw decides here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from casesynth.answers import AnswerPlan, AnswerRow, answer_rows, parse_question, plan_answer
from casesynth.domain import Domain, Multi

DOMAIN = Domain.declare(
    {
        "sex": ["f", "m"],
        "year": ["2019", "2020", "2021"],
        "age": ["0-17", "18+"],
        "means": Multi(values=["debt", "papers"]),
    }
)


def _plan(within: float, **document: Any) -> AnswerPlan:
    question = parse_question({**document, "accuracy": {"within_people": within}}, DOMAIN)
    return plan_answer(question, people_cap=10_000)


def _rows(plan: AnswerPlan, *values: Any) -> dict[tuple[str, ...], AnswerRow]:
    tables = [
        (table, np.array(found, np.int64).reshape(table.shape))
        for table, found in zip(plan.tables, values, strict=True)
    ]
    return {tuple(part for _, part in row.cell): row for row in answer_rows(plan.question, tables)}


@pytest.mark.parametrize(("within", "least"), [(2.0, 10), (7.8, 10), (19.6, 25), (39.2, 50), (196.0, 250)])
def test_hidden_is_what_is_below_ten_or_below_two_and_a_half_standard_deviations(within: float, least: int) -> None:
    """Noise has the standard deviation within / 1.96: of 1, 4, 10, 20 and 100 people."""
    rows = _rows(_plan(within, by=["sex"]), [0, least - 1, least + 1])
    assert rows["",].hidden and rows["f",].hidden and rows["f",].low is None and rows["f",].high is None
    assert rows["m",].estimate == least + 1


def test_a_negative_count_is_hidden_and_a_low_end_is_never_below_zero() -> None:
    rows = _rows(_plan(30, by=["sex"]), [-500, 39, 200])
    assert rows["",].hidden
    assert (rows["f",].estimate, rows["f",].low, rows["f",].high) == (39, 9, 69)
    assert (rows["m",].low, rows["m",].high) == (170, 230)


def test_totals_and_parts_are_one_estimate() -> None:
    plan = _plan(30, by=["sex", "year"], totals=True)
    shapes = [table.cells for table in plan.tables]
    assert sorted(shapes) == [1, 3, 4, 12]
    values = {12: np.full(12, 100), 3: np.full(3, 430), 4: np.full(4, 290), 1: np.array([1260])}
    rows = _rows(plan, *(values[cells] for cells in shapes))
    parts = [rows[sex, year].estimate for sex in ("", "f", "m") for year in ("", "2019", "2020", "2021")]
    whole = rows["(all)", "(all)"].estimate
    assert isinstance(whole, float) and abs(sum(float(part or 0) for part in parts) - whole) <= 6  # rounding of twelve
    assert 1200 < whole < 1290 and rows["f", "(all)"].estimate == rows["m", "(all)"].estimate


def test_several_values_are_read_from_signs() -> None:
    plan = _plan(10, by=["means"])
    values = {(): 300, ("debt",): 100, ("papers",): -200}
    rows = _rows(plan, *(values[tuple(fact.label for fact in table.facts)] for table in plan.tables))
    assert (rows["debt",].estimate, rows["papers",].estimate) == (200, 50)  # (300 + 100) / 2, (300 - 200) / 2


def test_a_percentage_a_mean_and_a_quantile_of_too_few_are_hidden() -> None:
    few = [500, 12, 11]  # 23 answered, noise of 10 people
    for show in ("percentages", {"median": "age"}, {"mean": "age", "bounds": {"0-17": [0, 17], "18+": [18, 90]}}):
        by = ["age"] if show == "percentages" else []
        assert all(row.hidden for row in _rows(_plan(19.6, by=by, show=show), few).values())
        many = _rows(_plan(19.6, by=by, show=show), [500, 300, 700])
        assert not any(row.hidden for row in many.values())


def test_the_base_of_a_percentage_is_who_answered() -> None:
    rows = _rows(_plan(5, by=["sex"], show="percentages"), [1000, 300, 100])
    assert set(rows) == {("f",), ("m",)}
    assert rows["f",].estimate == pytest.approx(75) and rows["m",].estimate == pytest.approx(25)


def test_the_mean_holds_wherever_people_stand_in_their_bands() -> None:
    bounds = {"0-17": [0, 17], "18+": [18, 90]}
    (row,) = _rows(_plan(5, show={"mean": "age", "bounds": bounds}), [1000, 500, 500]).values()
    assert row.estimate == pytest.approx((8.5 + 54) / 2)
    assert isinstance(row.low, float) and isinstance(row.high, float)
    assert 8 < row.low < 9 and 53.5 < row.high < 55


def test_changes_are_between_neighbouring_periods_that_are_both_shown() -> None:
    rows = _rows(_plan(10, by=["year"], show={"changes": "year"}), [700, 100, 160, 2])
    assert rows["2019 to 2020",].estimate == 60
    low, high = rows["2019 to 2020",].low, rows["2019 to 2020",].high
    assert isinstance(low, float) and isinstance(high, float) and 45 <= low < 47 and 74 <= high <= 75
    assert rows["2020 to 2021",].hidden and rows["2021",].hidden
    assert set(rows) == {("",), ("2019",), ("2020",), ("2021",), ("2019 to 2020",), ("2020 to 2021",)}
