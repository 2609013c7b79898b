"""What an answer hides: made-up groups of a sparse table, a part beside a shown total, and what a mean or a percentage would tell in another form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from casesynth.answers import AnswerRow, QuestionError, answer_rows, parse_question, plan_answer
from casesynth.answers.counted import exact_tables, noisy_tables
from casesynth.answers.hiding import threshold_sigmas
from casesynth.domain import Domain, Multi
from casesynth.persons import PersonTable

DOMAIN = Domain.declare(
    {
        "sex": ["f", "m"],
        "status": ["a", "b", "c"],
        "region": [f"r{i}" for i in range(120)],
        "age": [f"{i:02d}" for i in range(100)],
        "means": Multi(values=["debt", "threats"]),
    }
)
SHARP = {"accuracy": {"within_people": 2}}


def _answered(document: Mapping[str, Any], people: PersonTable, *, people_cap: int = 10_000) -> tuple[AnswerRow, ...]:
    question = parse_question(document, DOMAIN, {"status": (None, (0.0, 1.0), (2.0, 3.0), (4.0, math.inf))})
    plan = plan_answer(question, people_cap=people_cap)
    own = [(found.table, found.values) for found in noisy_tables(plan, exact_tables(plan, DOMAIN, people))]
    return answer_rows(question, own)


def _people(**codes: list[int]) -> PersonTable:
    """People with these codes; everything else is unknown."""
    count = len(next(iter(codes.values())))
    columns = [
        np.array(codes[column.attribute], np.uint8) if column.attribute in codes else np.zeros(count, np.uint8)
        for column in DOMAIN.columns
    ]
    return PersonTable(columns=tuple(columns))


def _hidden(rows: tuple[AnswerRow, ...]) -> set[str]:
    return {row.cell[-1][1] for row in rows if row.hidden}


FEW = _people(sex=[1] * 2500 + [2] * 4 + [0] * 400, status=[1] * 2000 + [2] * 900 + [3] * 4)


def test_the_limit_grows_with_the_number_of_counts_and_is_public() -> None:
    for by, counts in (([], 1), (["sex"], 3), (["region"], 121), (["region", "age"], 121 * 101)):
        question = parse_question({"by": by, **SHARP}, DOMAIN)
        assert threshold_sigmas(question) == pytest.approx(max(2.5, math.sqrt(2 * math.log(counts))))


def test_a_table_of_nobody_shows_nobody() -> None:
    """12,221 empty cells with noise of four people. Five answers show fewer than 10 made-up groups: fewer than one is expected, and at 2.5 deviations 380 would be.

    More than 9 of a Poisson number with mean .6 have a chance below 10^-8.
    """
    nobody = _people(sex=[])
    shown = [
        row
        for _ in range(5)
        for row in _answered({"by": ["region", "age"], "accuracy": {"within_people": 8}}, nobody)
        if not row.hidden
    ]
    assert len(shown) <= 9


def test_no_part_is_hidden_alone_beside_its_total() -> None:
    """Four men: their number is the total less the others. The smallest of the others is hidden with it."""
    assert _hidden(_answered({"by": ["sex"], **SHARP}, FEW)) == {"m"}
    assert _hidden(_answered({"by": ["sex"], "totals": True, **SHARP}, FEW)) == {"m", ""}
    crossed = _answered({"by": ["sex", "status"], "totals": True, **SHARP}, FEW)
    seen = {tuple(label for _, label in row.cell): not row.hidden for row in crossed}
    for lines in (
        [([(sex, status) for status in ("", "a", "b", "c")], (sex, "(all)")) for sex in ("", "f", "m", "(all)")],
        [([(sex, status) for sex in ("", "f", "m")], ("(all)", status)) for status in ("", "a", "b", "c", "(all)")],
    ):
        for parts, total in lines:
            assert not seen[total] or sum(not seen[part] for part in parts) != 1
    assert seen["(all)", "(all)"] and seen["f", "(all)"]


def test_no_percentage_is_hidden_alone() -> None:
    assert _hidden(_answered({"by": ["sex"], "show": "percentages", **SHARP}, FEW)) == {"m", "f"}
    assert _hidden(_answered({"by": ["status"], "show": "percentages", **SHARP}, FEW)) == {"b", "c"}


def test_a_mean_does_not_show_a_hidden_count_in_another_form() -> None:
    own = {"show": {"mean": "sex", "bounds": {"f": [0, 0], "m": [1, 1]}}, **SHARP}
    assert all(row.hidden for row in _answered(own, FEW))
    far = {"show": {"mean": "status", "bounds": {"c": [1e9, 1e9]}}, **SHARP}
    assert all(row.hidden for row in _answered(far, FEW))
    many = _people(status=[1] * 2000 + [2] * 4 + [3] * 900)
    assert not any(row.hidden for row in _answered(far, many))  # of three numbers the hidden count is not told
    assert not any(row.hidden for row in _answered(own, _people(sex=[1] * 300 + [2] * 200)))


@pytest.mark.parametrize("label", ["(all)", "(other)", ""])
def test_no_group_has_the_name_of_another_row(label: str) -> None:
    groups = [{"label": label, "codes": ["f"]}]
    with pytest.raises(QuestionError, match="/by/0/groups"):
        parse_question({"by": [{"attribute": "sex", "groups": groups}], **SHARP}, DOMAIN)
