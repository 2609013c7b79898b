"""What an earlier table says about another question: held against exact counts of made-up people, and worth what the variances say."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.answers import CountTable, Question, helping, parse_question, plan_answer
from casesynth.answers.by_facts import ByFacts
from casesynth.answers.counted import exact_tables
from casesynth.answers.families import Shown, shown_families
from casesynth.answers.plan import grid_of
from casesynth.answers.question import Fact, Split
from casesynth.answers.reuse import reused
from casesynth.domain import Domain, Multi
from casesynth.persons import PersonTable

DOMAIN = Domain.declare(
    {
        "sex": ["f", "m"],
        "age": ["0-8", "9-17", "18-29", "30+"],
        "year": ["2019", "2020", "2021"],
        "means": Multi(values=["threats", "debt"]),
    }
)
RANDOM = np.random.default_rng(17)
PEOPLE = PersonTable(columns=tuple(RANDOM.integers(0, size, 3000).astype(np.uint8) for size in DOMAIN.sizes))

CHILD = {"attribute": "age", "groups": [{"label": "child", "codes": ["0-8", "9-17"]}]}
BANDS = {
    "attribute": "age",
    "groups": [
        {"label": "child", "codes": ["0-8", "9-17"]},
        {"label": "adult", "codes": ["18-29", "30+"]},
    ],
}
WOMAN = {"label": "x", "facts": [{"label": "a woman", "attribute": "sex", "codes": ["f"]}]}
BY: list[Any] = ["sex", "age", "year", "means", CHILD, BANDS, WOMAN]
LEAVES: list[Any] = [
    {"attribute": "sex", "equals": "f"},
    {"attribute": "sex", "in": ["f", "m"]},
    {"attribute": "age", "in": ["0-8", "9-17"]},
    {"attribute": "age", "in": ["9-17", "18-29"]},
    {"attribute": "year", "between": ["2019", "2020"]},
    {"attribute": "means", "equals": "debt"},
]


def _question(document: dict[str, Any]) -> Question:
    return parse_question({"accuracy": {"epsilon": 1}, **document}, DOMAIN)


def _random_question(draw: random.Random) -> Question:
    by = draw.sample(BY, draw.randint(0, 3))
    names = [axis if isinstance(axis, str) else axis.get("attribute", "x") for axis in by]
    if len(set(names)) < len(names):
        return _random_question(draw)
    document: dict[str, Any] = {"by": by}
    if draw.random() < 0.6:
        document["where"] = {"all": draw.sample(LEAVES, draw.randint(1, 2))}
    return _question(document)


def _exact(question: Question) -> list[tuple[CountTable, NDArray[np.int64]]]:
    plan = plan_answer(question, people_cap=10_000)
    return list(zip(plan.tables, exact_tables(plan, DOMAIN, PEOPLE), strict=True))


def _members(axis: Split | Fact) -> NDArray[np.bool_]:
    """Who is in each part of an axis of a grid: written out by itself, one row per part."""
    if isinstance(axis, Split):
        place = next(i for i, column in enumerate(DOMAIN.columns) if column.attribute == axis.attribute)
        return np.array([np.isin(PEOPLE.columns[place], list(part.positions)) for part in axis.parts])
    has = np.zeros(PEOPLE.people, bool)
    for name, positions in axis.holds:
        for place, column in enumerate(DOMAIN.columns):
            if column.attribute == name and column.value is not None:
                has |= (PEOPLE.columns[place] == 1) & (DOMAIN.attribute(name).values.index(column.value) in positions)
            elif column.attribute == name:
                has |= np.isin(PEOPLE.columns[place], list(positions))
    return np.array([~has, has])


def _grid(shown: Shown) -> list[Split | Fact]:
    return [*shown.splits, *shown.facts]


def _expected(shown: Shown, uses: tuple[str, ...], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Count a table over a grid, person by person."""
    axes = [_members(axis) for axis in _grid(shown)]
    whole = [rows for rows, use in zip(axes, uses, strict=True) if use == "whole"]
    weights = where.astype(float)
    for rows, use in zip(axes, uses, strict=True):
        if use == "sign":
            weights = weights * np.where(rows[1], 1.0, -1.0)
    table = np.zeros([len(rows) for rows in whole])
    for cell in np.ndindex(*table.shape):
        inside = np.ones(PEOPLE.people, bool)
        for rows, place in zip(whole, cell, strict=True):
            inside &= rows[place]
        table[cell] = weights[inside].sum()
    return table


def _who(question: Question) -> NDArray[np.bool_]:
    """Who meets the condition of a question, by the documents' own words."""
    everyone = np.ones(PEOPLE.people, bool)
    written = question.canonical["where"]
    assert isinstance(written, dict)
    for leaf in written.get("all", [written]):
        if leaf == {"all": []}:
            continue
        fact = Fact(
            label="",
            holds=(
                (leaf["attribute"], frozenset(DOMAIN.attribute(leaf["attribute"]).values.index(c) for c in leaf["in"])),
            ),
        )
        everyone &= _members(fact)[1]
    return everyone


def test_what_is_reused_is_what_counting_again_would_give() -> None:
    """Without noise, an earlier table turned to another grid is exactly the table over that grid. Four hundred pairs of questions."""
    draw, helped = random.Random(3), 0
    for _ in range(400):
        earlier, asked = _random_question(draw), _random_question(draw)
        who = _who(asked)
        for shown in shown_families(asked):
            axes = _grid(shown)
            for table, values in _exact(earlier):
                found = reused(table, values, axes, asked.where)
                if found is None or found.values is None:
                    continue
                helped += 1
                np.testing.assert_allclose(found.values, _expected(shown, found.uses, who))
                assert found.variance >= table.scale**2
    assert helped > 100


HELPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the same": ({"by": ["sex"]}, {"by": ["sex"]}),
    "a finer table": ({"by": ["sex", "year"]}, {"by": ["sex"]}),
    "a coarser table": ({"by": ["sex"]}, {"by": ["sex", "year"]}),
    "finer parts": ({"by": ["age"]}, {"by": [BANDS]}),
    "a slice": ({"by": ["sex", "year"]}, {"by": ["year"], "where": {"attribute": "sex", "equals": "f"}}),
    "one flag of the same": ({"by": ["sex", "means"]}, {"by": ["means"]}),
    "a split for a fact": ({"by": ["sex"]}, {"by": [WOMAN]}),
}


@pytest.mark.parametrize("name", HELPS)
def test_an_earlier_answer_lowers_the_price_or_sharpens_what_is_bought(name: str) -> None:
    earlier, asked = (_question(document) for document in HELPS[name])
    paid = helping(asked, _exact(earlier))
    assert paid
    alone = plan_answer(asked, people_cap=10_000)
    together = plan_answer(asked, people_cap=10_000, paid=[table for table, _ in paid])
    assert together.nano_rho == alone.nano_rho and together.within <= alone.within
    shown = shown_families(asked)[0]
    own = list(zip(alone.tables, [np.zeros(t.shape, np.int64) for t in alone.tables], strict=True))
    one, both = (
        grid_of(shown, ByFacts.of(tables), asked.where).covariance(shown.rows, shown.rows)
        for tables in (own, [*own, *paid])
    )
    assert np.all(both <= one * (1 + 1e-12)) and np.any(both < one * 0.999)


HELPS_NOT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another attribute alone under a condition": (
        {"by": ["year"], "where": {"attribute": "sex", "equals": "m"}},
        {"by": ["year"]},
    ),
    "parts that cross": ({"by": [CHILD]}, {"by": ["sex"], "where": {"attribute": "age", "in": ["9-17", "18-29"]}}),
    "a condition on several values": (
        {"by": ["year"]},
        {"by": ["year"], "where": {"attribute": "means", "equals": "debt"}},
    ),
    "records": ({"by": ["year"], "count": {"records": {"at_most": 2}}}, {"by": ["year"]}),
}


@pytest.mark.parametrize("name", HELPS_NOT)
def test_a_table_about_other_people_is_left_out(name: str) -> None:
    earlier, asked = (_question(document) for document in HELPS_NOT[name])
    plan = plan_answer(earlier, people_cap=10_000)
    assert helping(asked, [(table, np.zeros(table.shape, np.int64)) for table in plan.tables]) == []


def test_what_is_paid_for_is_free_and_more_costs_the_difference() -> None:
    asked = parse_question({"by": ["sex", "age"], "accuracy": {"within_people": 20}}, DOMAIN)
    first = plan_answer(asked, people_cap=10_000)
    again = plan_answer(asked, people_cap=10_000, paid=first.tables)
    assert again.free and again.nano_rho == 0 and again.tables == ()
    sharper = parse_question({"by": ["sex", "age"], "accuracy": {"within_people": 10}}, DOMAIN)
    whole = plan_answer(sharper, people_cap=10_000)
    rest = plan_answer(sharper, people_cap=10_000, paid=first.tables)
    assert rest.nano_rho + first.nano_rho == pytest.approx(whole.nano_rho, rel=1e-4)
