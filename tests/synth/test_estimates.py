"""Estimates from a stored model: the model's numbers, the release's intervals, and unions that cover what they should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.seeded_release import seeded_synthesis

from casesynth.domain import Domain, DomainError, Multi
from casesynth.estimates import CombinationError, Estimates
from casesynth.intervals import ErrorScale
from casesynth.model import FitSettings
from casesynth.plan import ReleasePlan
from casesynth.synthesis import Synthesis
from casesynth.tables import aggregates_frame

QUICK = FitSettings(classes=20, steps=60, starts=1, pilot_classes=10, pilot_steps=30)
DOMAIN = Domain.declare(
    {
        "sex": ["woman", "man"],
        "age": ["0-8", "9-17", "18-29", "30+"],
        "form": Multi(values=["labour", "sexual"]),
        "country": [f"C{place:02d}" for place in range(12)],
    }
)


def _people(count: int, seed: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint16]], ...]:
    random = np.random.default_rng(seed)
    group = random.choice(3, size=count, p=[0.5, 0.3, 0.2])
    columns = []
    for size in DOMAIN.sizes:
        bounds = random.dirichlet(np.full(size, 0.7), size=3).cumsum(axis=1)
        columns.append((random.random(count)[:, None] > bounds[group]).sum(axis=1).clip(0, size - 1).astype(np.uint16))
    return tuple(columns)


def _release(people: tuple[np.ndarray[tuple[int], np.dtype[np.uint16]], ...], seed: int = 1) -> Synthesis:
    return seeded_synthesis(ReleasePlan.make(DOMAIN, epsilon=4.0, people_cap=10_000), people, seed=seed, settings=QUICK)


def _estimates(synthesis: Synthesis) -> Estimates:
    return Estimates(domain=DOMAIN, model=synthesis.model, errors=synthesis.errors)


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    return _release(_people(2000, 1))


@pytest.fixture(scope="module")
def estimates(synthesis: Synthesis) -> Estimates:
    return _estimates(synthesis)


def test_every_number_is_the_one_that_the_aggregates_publish(synthesis: Synthesis, estimates: Estimates) -> None:
    frame = aggregates_frame(synthesis.aggregates, DOMAIN)
    rows = frame[~frame["missing"]].to_dict("records")
    assert {row["length"] for row in rows} == {1, 2, 3}
    for row in rows:
        named = [(row[f"attribute_{i}"], row[f"value_{i}"]) for i in (1, 2, 3) if row[f"attribute_{i}"]]
        found = estimates.of([fact for attribute, code in named for fact in estimates.facts(attribute, code)])
        assert (round(found.value, 1), round(found.low, 1), round(found.high, 1)) == pytest.approx(
            (row["estimate"], row["low"], row["high"]), abs=0.11
        )
        assert found.shown


def test_what_the_aggregates_hide_is_not_shown(synthesis: Synthesis, estimates: Estimates) -> None:
    frame = aggregates_frame(synthesis.aggregates, DOMAIN)
    listed = {
        (row["value_1"], row["value_2"])
        for row in frame[frame["length"] == 2].to_dict("records")
        if (row["attribute_1"], row["attribute_2"]) == ("age", "country")
    }
    hidden = 0
    for age in DOMAIN.attribute("age").values[1:]:
        for country in DOMAIN.attribute("country").values[1:]:
            found = estimates.of([*estimates.facts("age", age), *estimates.facts("country", country)])
            assert found.shown == ((age, country) in listed)
            hidden += not found.shown
    assert hidden


def test_nobody_in_particular_is_everybody(synthesis: Synthesis, estimates: Estimates) -> None:
    assert estimates.of([]) == estimates.people
    assert estimates.people.value == synthesis.model.people
    assert estimates.people.half_width == pytest.approx(1.96 * synthesis.model.people_sigma)


def test_a_union_adds_estimates_and_squares_of_half_widths(estimates: Estimates) -> None:
    minors = [estimates.facts("age", code) for code in ("0-8", "9-17")]
    parts = [estimates.of(facts) for facts in minors]
    found = estimates.union(minors)
    assert found.value == pytest.approx(sum(part.value for part in parts))
    assert found.half_width >= math.hypot(*(part.half_width for part in parts)) * (1 - 1e-12)
    assert found.half_width <= sum(part.half_width for part in parts)
    assert estimates.union([minors[0]]) == parts[0]
    assert estimates.union([]).high == 0.0


def test_a_union_is_never_more_certain_than_one_combination_of_its_size() -> None:
    wide = ErrorScale(  # misfit dominates: errors of the parts may go together
        centres=np.array([2.0, 9.0]), half_widths=np.full((3, 2), 0.5), misfit=np.array([0.0, 0.0, 0.0])
    )
    steep = ErrorScale(centres=np.array([2.0, 9.0]), half_widths=np.array([[1.0, 900.0]] * 3), misfit=np.zeros(3))
    synthesis = _release(_people(1000, 3))
    for errors in (wide, steep):
        estimates = Estimates(domain=DOMAIN, model=synthesis.model, errors=errors)
        ages = [estimates.facts("age", code) for code in DOMAIN.attribute("age").values]
        found = estimates.union(ages)
        alone = errors.half_width(np.array([1]), np.array([found.value]))[0]
        assert found.half_width >= alone * (1 - 1e-12)


def test_intervals_of_unions_hold_the_truth() -> None:
    """15 releases, 12 unions each, seeded, so no false alarm: of 180 fewer than 88 % would be in by chance once in 10,000 sets of seeds."""
    inside = judged = 0
    for seed in range(15):
        people = _people(2000, seed + 10)
        estimates = _estimates(_release(people, seed))
        for ages in ((1, 2), (3, 4)):
            for sex in range(3):
                for form in (2, 3):
                    found = estimates.union([[(0, sex), (1, age), (form, 1)] for age in ages])
                    truth = int(((people[0] == sex) & np.isin(people[1], ages) & (people[form] == 1)).sum())
                    inside += found.low <= truth <= found.high
                    judged += 1
    assert judged == 180
    assert inside / judged >= 0.88


@pytest.mark.parametrize(
    "parts",
    [
        [[(0, 1), (0, 2)]],
        [[(0, 1), (1, 1), (2, 1), (4, 1)]],
        [[(0, 1)], [(0, 1)]],
        [[(0, 1)], [(1, 1)]],
        [[(0, 1)], [(0, 2)], [(0, 2), (1, 1)]],
        [[], [(0, 1)]],
    ],
    ids=["a column twice", "too long", "the same twice", "overlapping", "inside another", "everybody and some"],
)
def test_what_has_no_known_error_or_counts_people_twice_is_refused(
    estimates: Estimates, parts: list[list[tuple[int, int]]]
) -> None:
    with pytest.raises(CombinationError):
        estimates.union(parts)


def test_a_fact_is_found_by_attribute_and_code(estimates: Estimates) -> None:
    assert estimates.facts("sex", "man") == ((0, 2),)
    assert estimates.facts("sex", "") == ((0, 0),)
    assert estimates.facts("form", "sexual") == ((3, 1),)
    assert estimates.facts("form", "") == ()
    with pytest.raises(DomainError, match="no value 'child'"):
        estimates.facts("age", "child")
    with pytest.raises(DomainError, match="no attribute colour"):
        estimates.facts("colour", "red")
