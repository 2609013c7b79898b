"""Intervals hold the true number in at least 95 of 100 cases: counts, percentages, means, quantiles, changes, and answers that rest on earlier ones.

The truth is drawn once; what is repeated is the noise, by the real mechanism. Cases of one check have independent noise: one per part of an axis of 200. With
2,000 cases and a true share of .95, fewer than .92 hold by chance in fewer than one of 10^8 runs (binomial).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from casesynth.answers import (
    AnswerRow,
    CountTable,
    answer_rows,
    helping,
    measure_answer,
    parse_question,
    plan_answer,
)
from casesynth.answers.question import Integers
from casesynth.domain import Domain, Multi
from casesynth.persons import PersonTable
from casesynth.privacy import Receipt

PARTS, REPEATS, FEWEST = 200, 10, 0.92
AGES = ["0-8", "9-17", "18-29", "30-44", "45+"]
BOUNDS = {"0-8": [0, 8], "9-17": [9, 17], "18-29": [18, 29], "30-44": [30, 44], "45+": [45, 90]}
DOMAIN = Domain.declare(
    {
        "place": [f"p{i}" for i in range(PARTS)],
        "sex": ["f", "m"],
        "age": AGES,
        "means": Multi(values=["threats", "debt"]),
    }
)
RANDOM = np.random.default_rng(95)
COUNT = 120_000
PLACE = RANDOM.integers(1, PARTS + 1, COUNT).astype(np.uint16)
SEX = RANDOM.choice(3, COUNT, p=[0.1, 0.6, 0.3]).astype(np.uint8)
AGE = RANDOM.choice(6, COUNT, p=[0.1, 0.1, 0.2, 0.3, 0.2, 0.1]).astype(np.uint8)
MEANS = [RANDOM.choice(2, COUNT, p=[1 - p, p]).astype(np.uint8) for p in (0.5, 0.3)]
PEOPLE = PersonTable(columns=(PLACE, SEX, AGE, *MEANS))
NUMBERS = np.array([0, 0, 9, 18, 30, 45]), np.array([0, 8, 17, 29, 44, 90])
WHERE = np.where(RANDOM.random(COUNT) < 0.5, NUMBERS[0][AGE], NUMBERS[1][AGE])
"""Where in their bands people stand: at either end."""

Tables = list[tuple[CountTable, Integers]]


def _asked(document: Mapping[str, Any], epsilon: float, earlier: Tables) -> tuple[tuple[AnswerRow, ...], Tables]:
    question = parse_question({**document, "accuracy": {"epsilon": epsilon}}, DOMAIN)
    plan = plan_answer(question, people_cap=200_000)
    tables, _ = measure_answer(
        plan,
        DOMAIN,
        charge=lambda loss: Receipt(charge_id="coverage", loss=loss),
        open_rows=lambda receipt: PEOPLE,
    )
    own = [(found.table, found.values) for found in tables]
    return answer_rows(question, [*own, *helping(question, earlier)]), own


def _truth(row: AnswerRow) -> float:
    """Return the true number of a row."""
    return _true(row.kind, row.cell)


@cache
def _true(kind: str, pairs: tuple[tuple[str, str], ...]) -> float:
    cell = dict(pairs)
    here = PLACE == int(cell["place"][1:]) + 1
    if kind == "count":
        for name, codes, labels in (("sex", SEX, ["", "f", "m"]), ("age", AGE, ["", *AGES])):
            if name in cell:
                here = here & (codes == labels.index(cell[name]))
        if "means" in cell:
            here = here & (MEANS[["threats", "debt"].index(cell["means"])] == 1)
        return float(here.sum())
    if kind == "percentage" and "sex" in cell:
        return float(100 * (here & (SEX == 1)).sum() / (here & (SEX > 0)).sum())
    if kind == "percentage":
        answered = here & ((MEANS[0] == 1) | (MEANS[1] == 1))
        return float(100 * (here & (MEANS[0] == 1)).sum() / answered.sum())
    return float(WHERE[here & (AGE > 0)].mean())


def _chosen(row: AnswerRow) -> bool:
    """One case for each place, so that cases are independent."""
    cell = dict(row.cell)
    first = {"sex": "f", "age": "18-29", "means": "threats"}
    return cell["place"] != "" and all(cell.get(name, code) == code for name, code in first.items())


CASES: dict[str, tuple[dict[str, Any], float]] = {
    "counts": ({"by": ["place", "sex"]}, 2),
    "counts of several values": ({"by": ["place", "means"]}, 2),
    "percentages": ({"by": ["place", "sex"], "show": "percentages"}, 1),
    "percentages of several values": ({"by": ["place", "means"], "show": "percentages"}, 1),
    "means": ({"by": ["place"], "show": {"mean": "age", "bounds": BOUNDS}}, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_intervals_hold(name: str) -> None:
    document, epsilon = CASES[name]
    held = []
    for _ in range(REPEATS):
        rows, _ = _asked(document, epsilon, [])
        for row in rows:
            if not row.hidden and _chosen(row):
                true = _truth(row)
                assert isinstance(row.low, float) and isinstance(row.high, float)
                held.append(row.low <= true <= row.high)
    assert len(held) >= 0.9 * PARTS * REPEATS
    assert np.mean(held) >= FEWEST
    if name in ("percentages", "percentages of several values"):
        assert np.mean(held) <= 0.98  # as wide as it has to be, and not much wider


@cache
def _quantile(place: str, level: float) -> int:
    codes = np.sort(AGE[(int(place[1:]) + 1 == PLACE) & (AGE > 0)])
    return int(codes[int(np.ceil(level * len(codes))) - 1])


@pytest.mark.parametrize("level", [0.25, 0.5])
def test_the_value_of_a_quantile_is_in_its_interval(level: float) -> None:
    held = []
    for _ in range(REPEATS):
        rows, _ = _asked({"by": ["place"], "show": {"quantiles": [level], "of": "age"}}, 0.5, [])
        for row in rows:
            if row.hidden or not _chosen(row):
                continue
            true = _quantile(dict(row.cell)["place"], level)
            low, high = (AGES.index(str(end)) + 1 for end in (row.low, row.high))
            held.append(low <= true <= high)
    assert len(held) >= 0.9 * PARTS * REPEATS and np.mean(held) >= FEWEST


EARLIER: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "the same at another accuracy": ([{"by": ["place", "sex"]}], {"by": ["place", "sex"]}),
    "totals of a finer table": ([{"by": ["place", "sex"]}, {"by": ["place", "age"]}], {"by": ["place"]}),
    "a slice": ([{"by": ["place", "sex"]}], {"by": ["place"], "where": {"attribute": "sex", "equals": "f"}}),
    "parts joined unequally": (
        [{"by": ["place", "age"]}],
        {"by": ["place", {"attribute": "age", "groups": [{"label": "child", "codes": AGES[:2]}]}]},
    ),
}


@cache
def _number(place: str, women: bool, children: bool) -> int:
    here = PLACE == int(place[1:]) + 1
    if women:
        here = here & (SEX == 1)
    if children:
        here = here & np.isin(AGE, [1, 2])
    return int(here.sum())


@pytest.mark.parametrize("name", EARLIER)
def test_answers_that_rest_on_earlier_ones_are_sharper_and_their_intervals_hold(name: str) -> None:
    before, asked = EARLIER[name]
    held: list[bool] = []
    errors: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(REPEATS):
        earlier = [table for document in before for table in _asked(document, 2, [])[1]]
        for with_earlier in (True, False):
            rows, _ = _asked(asked, 1.5, earlier if with_earlier else [])
            for row in rows:
                cell = dict(row.cell)
                if (
                    row.hidden
                    or cell["place"] == ""
                    or cell.get("sex", "f") != "f"
                    or cell.get("age", "child") != "child"
                ):
                    continue
                true = _number(cell["place"], "sex" in cell or "where" in asked, "age" in cell)
                assert isinstance(row.estimate, float) and isinstance(row.low, float) and isinstance(row.high, float)
                errors[with_earlier].append(row.estimate - true)
                if with_earlier:
                    held.append(row.low <= true <= row.high)
    assert len(held) >= 0.9 * PARTS * REPEATS and np.mean(held) >= FEWEST
    assert np.std(errors[True]) < 0.95 * np.std(errors[False])
