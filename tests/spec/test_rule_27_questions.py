"""Privacy rule 27 for questions: whoever comes or goes, each table that a question counts moves by the stated bound at most.

Thirty questions are asked about a small shelter: by single values, groups, lists of means of which a person may have several, under conditions, of people and of
case records. For every person in turn, all their records are taken away, and every table is counted again. Then people come who have any
values at all, with up to six records. The sum of the squares of all changes of a table, its L2 distance, must not pass the bound that its noise is made for.
"""

from __future__ import annotations

import itertools
import math
import random
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from casesynth.answers import AnswerPlan, RecordTable, parse_question, plan_answer
from casesynth.answers.counted import exact_tables
from casesynth.answers.records import RecordTableBuilder
from casesynth.domain import Attribute, Domain
from casesynth.encode import encode
from casesynth.persons import PersonTable, PersonTableBuilder

Record = Mapping[str, str | None]

MEANS = ("threats", "debt", "papers kept", "excessive hours")
CAP = 1000
QUESTIONS = 30


def _listed(name: str, values: tuple[str, ...], merge: str) -> Attribute:
    places = {value: place for place, value in enumerate(values)}
    return Attribute(
        name=name,
        values=values,
        missing=frozenset({0}),
        multi=merge == "union",
        merge=merge,  # type: ignore[arg-type]  # one of the merge rules
        read=lambda cell: tuple(places[part] for part in cell.split(";") if part in places) or None,
    )


DOMAIN = Domain(
    attributes=(
        _listed("year", ("", "2019", "2020", "2021"), "min"),
        _listed("gender", ("", "woman", "man"), "agree"),
        _listed("age", ("", "0-17", "18-29", "30+"), "latest"),
        _listed("means", ("", *MEANS), "union"),
    ),
    order_attribute="year",
)


def _any_records(draw: random.Random, person: str, most: int = 6) -> list[Record]:
    return [
        {
            "person": person,
            "year": draw.choice(["2019", "2020", "2021", "", "1066"]),
            "gender": draw.choice(["woman", "man", None]),
            "age": draw.choice(["0-17", "18-29", "30+", ""]),
            "means": ";".join(draw.sample([*MEANS, "unheard of"], draw.randint(0, 5))),
            "consent": draw.choice(["yes", "yes", "yes", ""]),
        }
        for _ in range(draw.randint(1, most))
    ]


def _shelter() -> list[Record]:
    draw = random.Random(27)
    return [record for i in range(12) for record in _any_records(draw, f"person {i}")]


def _question(draw: random.Random) -> dict[str, Any]:
    """Return any question."""
    axes: list[Any] = [
        "gender",
        "means",
        {"attribute": "age", "groups": [{"label": "child", "codes": ["0-17"]}]},
        {"attribute": "year", "period": "year"},
        {
            "label": "mixed",
            "facts": [
                {"label": "in debt", "attribute": "means", "codes": ["debt", "papers kept"]},
                {"label": "a woman", "attribute": "gender", "codes": ["woman"]},
                {"label": "of unknown age", "attribute": "age", "codes": [""]},
            ],
        },
    ]
    by = draw.sample(axes, draw.randint(0, 3))
    question: dict[str, Any] = {"by": by, "accuracy": {"epsilon": 1}}
    leaves: list[Any] = [
        {"attribute": "gender", "equals": "woman"},
        {"attribute": "means", "in": ["threats", "debt"]},
        {"attribute": "year", "between": ["2019", "2020"]},
        {"attribute": "age", "in": ["", "30+"]},
    ]
    if draw.random() < 0.7:
        question["where"] = {draw.choice(["all", "any"]): draw.sample(leaves, draw.randint(1, 3))}
    if draw.random() < 0.4:
        question["count"] = {"records": {"at_most": draw.randint(1, 4)}}
    if draw.random() < 0.5:
        question["totals"] = True
    elif by and by[-1] in ("means", "gender") and "mixed" not in str(by[:-1]) and "means" not in by[:-1]:
        question["show"] = "percentages"
    return question


def _plan(document: Mapping[str, Any]) -> AnswerPlan:
    return plan_answer(parse_question(document, DOMAIN), people_cap=CAP)


def _rows(records: Sequence[Record], plan: AnswerPlan) -> PersonTable | RecordTable:
    """Return people or records as a snapshot opens them."""
    frame = pd.DataFrame(records, columns=["person", "year", "gender", "age", "means", "consent"], dtype=object)
    coded = encode(
        frame,
        DOMAIN,
        person="person",
        consent=lambda cell: {"yes": 1, "no": -1}.get(cell, 0),
        consent_column="consent",
    )
    if plan.question.unit is None:
        builder = PersonTableBuilder(DOMAIN)
        builder.add(coded)
        return builder.build(people_cap=CAP)
    kept = RecordTableBuilder(DOMAIN, at_most=plan.question.unit.at_most)
    kept.add(
        coded, np.array([zlib.crc32(str(sorted(map(str, record.items()))).encode()) for record in records], np.int64)
    )
    return kept.build(people_cap=CAP)


def _tables(records: Sequence[Record], plan: AnswerPlan) -> list[NDArray[np.int64]]:
    return exact_tables(plan, DOMAIN, _rows(records, plan))


def _worst(plan: AnswerPlan, one: Sequence[NDArray[np.int64]], other: Sequence[NDArray[np.int64]]) -> float:
    """Return the largest L2 change of a table, over the bound that its noise is made for."""
    return max(
        math.sqrt(float(((a - b) ** 2).sum())) / table.spread
        for a, b, table in zip(one, other, plan.tables, strict=True)
    )


@pytest.mark.parametrize("seed", range(QUESTIONS))
def test_whoever_comes_or_goes_no_table_moves_by_more_than_its_bound(seed: int) -> None:
    draw = random.Random(seed)
    plan = _plan(_question(draw))
    assert sum(table.nano_rho * table.spread**2 for table in plan.tables) <= plan.nano_rho
    base = _shelter()
    tables = _tables(base, plan)
    for person in sorted({str(record["person"]) for record in base}):
        left = [record for record in base if record["person"] != person]
        assert _worst(plan, tables, _tables(left, plan)) <= 1 + 1e-12
    for number in range(12):
        new = _any_records(draw, f"new {number}")
        mixed = [*base, *new, *new]  # their records twice
        draw.shuffle(mixed)
        assert _worst(plan, tables, _tables(mixed, plan)) <= 1 + 1e-12


def test_the_bound_is_reached_so_it_is_not_too_wide() -> None:
    base = _shelter()
    new = [{"person": "new", "gender": "man", "age": age, "consent": "yes"} for age in ("0-17", "18-29", "30+", "")]
    for document in ({"by": ["gender", "means"]}, {"by": ["gender"], "count": {"records": {"at_most": 3}}}):
        plan = _plan({**document, "accuracy": {"epsilon": 1}})
        assert _worst(plan, _tables(base, plan), _tables([*base, *new], plan)) == pytest.approx(1)


def test_every_profile_that_a_person_can_have_moves_each_table_of_overlapping_means_by_one() -> None:
    """All subsets of means, with and without what else the question asks for: the sum over all tables together is what is charged."""
    plan = _plan({"by": ["gender", "means"], "accuracy": {"epsilon": 1}})
    base = _shelter()
    before = _tables(base, plan)
    for size in range(len(MEANS) + 1):
        for means in itertools.combinations(MEANS, size):
            new: Record = {"person": "new", "gender": "man", "means": ";".join(means), "consent": "yes"}
            after = _tables([*base, new], plan)
            spent = sum(
                table.nano_rho * int(((a - b) ** 2).sum())
                for a, b, table in zip(before, after, plan.tables, strict=True)
            )
            assert spent == sum(table.nano_rho for table in plan.tables) <= plan.nano_rho


def test_a_table_without_the_bound_on_records_would_be_caught() -> None:
    """The check has power: counted without the bound, a person with six records passes it."""
    plan = _plan({"by": ["gender"], "count": {"records": {"at_most": 2}}, "accuracy": {"epsilon": 1}})
    wide = _plan({"by": ["gender"], "count": {"records": {"at_most": 6}}, "accuracy": {"epsilon": 1}})
    base = _shelter()
    same: Record = {"person": "new", "gender": "man", "means": "", "consent": "yes"}
    six = [{**same, "age": age} for age in ("", "0-17", "18-29", "30+", "0-17;", "18-29;")]
    moved = np.abs(_tables(base, wide)[0] - _tables([*base, *six], wide)[0]).sum()
    assert moved == 6 > plan.tables[0].spread
    assert np.abs(_tables(base, plan)[0] - _tables([*base, *six], plan)[0]).sum() == 2
