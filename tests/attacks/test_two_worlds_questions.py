"""Privacy rule 29 for questions: all noisy tables of an answer together tell two neighbouring worlds apart no better than its price says.

Every class of question has an axis of 1,000 parts, so one answer is a thousand trials: in one world nobody is there, in the other one person is in each part. What
the tables say about a part is one number, the most telling one there is: each table's values times what the person moves it by, over its variance. A hundred answers
in each world are 100,000 draws. Clopper-Pearson bounds give a delta that is certainly spent at the claimed epsilon; it must not pass the claimed one.
Each check fails by chance in fewer than one of a million runs; the same check finds noise that is divided by 1.25 (privacy rule 30).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from casesynth.answers import AnswerPlan, RecordTable, measure_answer, parse_question, plan_answer
from casesynth.answers.counted import exact_tables
from casesynth.codes import Codes
from casesynth.domain import Domain, Multi
from casesynth.persons import PersonTable
from casesynth.privacy import Receipt
from casesynth.privacy.accounting import epsilon_for
from casesynth.privacy.mechanisms import add_gaussian_noise

ALARM = 2e-7
"""False-alarm rate of one confidence bound; each check uses two."""

PARTS, ANSWERS, DELTA = 1000, 100, 1e-4
DOMAIN = Domain.declare(
    {
        "place": [f"p{i}" for i in range(PARTS - 1)],
        "sex": ["f", "m"],
        "age": ["0-17", "18+"],
        "means": Multi(values=["threats", "debt", "papers"]),
    }
)

CLASSES: dict[str, dict[str, Any]] = {
    "counts": {"by": ["place"]},
    "crossed": {"by": ["place", "sex"]},
    "under a condition": {
        "by": ["place"],
        "where": {"any": [{"attribute": "sex", "equals": "f"}, {"attribute": "age", "equals": "18+"}]},
    },
    "several values": {"by": ["place", "means"]},
    "percentages of several values": {"by": ["place", "means"], "show": "percentages"},
    "a mean": {"by": ["place"], "show": {"mean": "age", "bounds": {"0-17": [0, 17], "18+": [18, 100]}}},
    "changes": {"by": ["place", "age"], "show": {"changes": "age"}},
    "percentages": {"by": ["place", "sex"], "show": "percentages"},
    "quantiles": {"by": ["place", "sex"], "show": {"quantiles": [0.25, 0.75], "of": "age"}},
    "two axes of facts": {
        "by": ["place", "means", {"label": "x", "facts": [{"label": "y", "attribute": "sex", "codes": ["f"]}]}]
    },
    "records at most one": {"by": ["place"], "count": {"records": {"at_most": 1}}},
    "a median": {"by": ["place"], "show": {"median": "age"}},
    "records": {"by": ["place"], "count": {"records": {"at_most": 3}}},
}

TOTALS = {"by": ["sex", "age"], "totals": True}
"""Totals are over all parts, so an answer is one trial: a hundred thousand answers are drawn."""

USUAL = ("counts",)
"""Tried in every run, as records are by the check with power below; the others are *audit*."""


def certain_delta(one: NDArray[np.float64], other: NDArray[np.float64], epsilon: float) -> float:
    """Return a delta that certainly is spent at this epsilon: P(event in one) - e^epsilon P(event in other), at worst over thresholds."""
    draws, found = len(one), -1.0
    for threshold in np.unique(np.quantile(one, [0.5, 0.7, 0.9, 0.97, 0.99, 0.999], method="higher")):
        here, there = int((one >= threshold).sum()), int((other >= threshold).sum())
        low = float(beta.ppf(ALARM / 6, here, draws - here + 1)) if here else 0.0
        high = float(beta.ppf(1 - ALARM / 6, there + 1, draws - there)) if there < draws else 1.0
        found = max(found, low - math.exp(epsilon) * high)
    return found


def tight_epsilon(rho: float, delta: float) -> float:
    """Return the exact epsilon of Gaussian noise that spends rho (Balle and Wang 2018, theorem 8)."""
    scale = math.sqrt(1 / (2 * rho))

    def spent(epsilon: float) -> float:
        def phi(x: float) -> float:
            return 0.5 * math.erfc(-x / math.sqrt(2))

        return phi(0.5 / scale - epsilon * scale) - math.exp(epsilon) * phi(-0.5 / scale - epsilon * scale)

    low, high = 0.0, 100.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > delta else (low, middle)
    return high


def _rows(plan: AnswerPlan, *, somebody: bool, parts: int = PARTS) -> PersonTable | RecordTable:
    """Return nobody, or one person in every part: a woman of 18 who was threatened and is in debt; with as many records as count."""
    at_most = 1 if plan.question.unit is None else plan.question.unit.at_most
    place = np.repeat(np.arange(parts), at_most)[: None if somebody else 0].astype(np.uint16)
    codes = (1, 2, 1, 1, 0)  # sex, age and the three means
    columns: tuple[Codes, ...] = (place, *(np.full(len(place), code, np.uint8) for code in codes))
    return PersonTable(columns=columns) if plan.question.unit is None else RecordTable(columns=columns, at_most=at_most)


def _draws(plan: AnswerPlan, *, somebody: bool) -> NDArray[np.float64]:
    """Return what every part says in a hundred answers: the log-likelihood ratio of the two worlds, but for a constant."""
    one, none = (exact_tables(plan, DOMAIN, _rows(plan, somebody=there)) for there in (True, False))
    moved = [(a - b).reshape(PARTS, -1) for a, b in zip(one, none, strict=True)]
    found = []
    for _ in range(ANSWERS):
        tables, _ = measure_answer(
            plan,
            DOMAIN,
            charge=lambda loss: Receipt(charge_id="two-worlds", loss=loss),
            open_rows=lambda receipt: _rows(plan, somebody=somebody),
        )
        parts = [
            (table.values.reshape(PARTS, -1) * shift).sum(axis=1) / table.table.scale**2
            for table, shift in zip(tables, moved, strict=True)
        ]
        found.append(sum(parts, np.zeros(PARTS)))
    return np.concatenate(found)


def _together(plan: AnswerPlan, *, somebody: bool, answers: int) -> NDArray[np.float64]:
    """Return what whole answers say about one person: a woman of 18 who alone is there, or nobody."""
    one, none = (exact_tables(plan, DOMAIN, _rows(plan, somebody=there, parts=1)) for there in (True, False))
    found = np.zeros(answers)
    for here, nobody, table in zip(one, none, plan.tables, strict=True):
        exact = np.tile((here if somebody else nobody).ravel(), answers)  # one call for all answers: a call takes long
        noisy = add_gaussian_noise(exact, nano_rho=table.nano_rho, people_cap=plan.people_cap)
        found += noisy.reshape(answers, -1) @ ((here - nobody).ravel() / table.scale**2)
    return found


def _plan(document: dict[str, Any]) -> AnswerPlan:
    return plan_answer(parse_question({**document, "accuracy": {"epsilon": 3}}, DOMAIN), people_cap=10_000)


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.audit) for name in CLASSES]
)
def test_a_thousand_parts_a_hundred_times_tell_no_more_than_the_answer_is_charged(name: str) -> None:
    plan = _plan(CLASSES[name])
    one, other = (_draws(plan, somebody=there) for there in (True, False))
    claimed = epsilon_for(plan.nano_rho, DELTA)
    assert certain_delta(one, other, claimed) <= DELTA
    assert certain_delta(-other, -one, claimed) <= DELTA


@pytest.mark.audit
def test_an_answer_with_totals_a_hundred_thousand_times_tells_no_more_than_it_is_charged() -> None:
    plan = _plan(TOTALS)
    assert len(plan.tables) == 4  # crossed, each axis alone, and everybody: all of them know of the person
    one, other = (_together(plan, somebody=there, answers=PARTS * ANSWERS) for there in (True, False))
    claimed = epsilon_for(plan.nano_rho, DELTA)
    assert certain_delta(one, other, claimed) <= DELTA
    assert certain_delta(-other, -one, claimed) <= DELTA


@pytest.mark.audit
def test_the_check_of_whole_answers_has_power_where_noise_is_divided_by_1_25() -> None:
    plan, delta, answers = _plan(TOTALS), 1e-2, PARTS * ANSWERS
    exact = tight_epsilon(plan.nano_rho / 1e9, delta)
    louder = replace(
        plan, tables=tuple(replace(table, nano_rho=math.ceil(table.nano_rho * 1.25**2)) for table in plan.tables)
    )
    one, other = (_together(louder, somebody=there, answers=answers) for there in (True, False))
    assert certain_delta(one, other, exact) > delta


def test_the_check_has_power_against_noise_divided_by_1_25() -> None:
    plan, delta = _plan(CLASSES["records"]), 1e-2
    exact = tight_epsilon(plan.nano_rho / 1e9, delta)
    assert certain_delta(_draws(plan, somebody=True), _draws(plan, somebody=False), exact) <= delta
    louder = replace(
        plan, tables=tuple(replace(table, nano_rho=math.ceil(table.nano_rho * 1.25**2)) for table in plan.tables)
    )
    assert certain_delta(_draws(louder, somebody=True), _draws(louder, somebody=False), exact) > delta
