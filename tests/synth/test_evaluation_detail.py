"""Errors by size and by subgroup are those that somebody finds who counts one combination at a time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from casesynth.contrasts import combine
from casesynth.counting import count
from casesynth.domain import Domain, known_values
from casesynth.evaluation.detail import EDGES, buckets, subgroups
from casesynth.intervals import ErrorScale
from casesynth.model import FitSettings, LatentClassModel, fit
from casesynth.plan import ReleasePlan

if TYPE_CHECKING:
    from tests.synth.conftest import Exact, People

HALF = 15.0
FLAT = ErrorScale(centres=np.array([0.0, 10.0]), half_widths=np.full((3, 2), HALF), misfit=np.zeros(3))
"""Every interval has the same half width."""


@pytest.fixture(scope="module")
def fitted(shelter: Domain, residents: People, exact: Exact, quick: FitSettings) -> LatentClassModel:
    cliques = [table.clique for table in ReleasePlan.make(shelter, epsilon=1, people_cap=5000).tables]
    return fit(combine(exact(residents, cliques, shelter.sizes, 10_000_000), shelter.sizes), b"seed", settings=quick)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_buckets_hold_every_combination_of_known_values_once(
    length: int, shelter: Domain, residents: People, fitted: LatentClassModel
) -> None:
    cliques = list(itertools.combinations(range(len(shelter.sizes)), length))
    real = {m.clique: m.counts for m in count([residents], cliques, shelter.sizes)}
    by_hand: dict[int, list[tuple[int, float]]] = {}
    known = known_values(shelter)
    for clique in cliques:
        for cell in itertools.product(*(known[column] for column in clique)):
            truth, guess = int(real[clique][cell]), float(fitted.marginal(clique)[cell])
            if truth:
                by_hand.setdefault(max(e for e in EDGES if e <= truth), []).append((truth, guess))  # type: ignore[arg-type]  # the last edge is no int, and never the largest below
    found = buckets(real, fitted, FLAT, shelter)
    assert {bucket.low: bucket.combinations for bucket in found} == {low: len(pairs) for low, pairs in by_hand.items()}
    for bucket in found:
        pairs = by_hand[bucket.low]
        gaps = [abs(truth - guess) for truth, guess in pairs]
        shown = [(truth, guess) for truth, guess in pairs if guess >= 10 and guess - HALF >= 1]
        assert bucket.length == length
        assert bucket.mean_error == pytest.approx(sum(gaps) / len(gaps))
        assert bucket.shown == pytest.approx(len(shown) / len(pairs))
        if shown:
            held = sum(abs(truth - guess) <= HALF for truth, guess in shown) / len(shown)
            assert bucket.held == pytest.approx(held)
        else:
            assert bucket.held is None


def test_subgroups_are_counted_person_by_person(shelter: Domain, residents: People, fitted: LatentClassModel) -> None:
    pairs = {
        m.clique: m.counts
        for m in count([residents], list(itertools.combinations(range(len(shelter.sizes)), 2)), shelter.sizes)
    }
    found = subgroups(pairs, fitted, FLAT, shelter)
    assert [each.relative_error for each in found] == sorted((each.relative_error for each in found), reverse=True)
    women = next(each for each in found if (each.attribute, each.value) == ("gender", "woman"))
    place = next(i for i, column in enumerate(shelter.columns) if column.name == "gender")
    value = shelter.columns[place].values.index("woman")
    members = residents[place] == value
    assert women.people == int(members.sum())
    errors, shown = [], []
    known = known_values(shelter)
    for other in range(len(shelter.sizes)):
        if other == place:
            continue
        clique = tuple(sorted((place, other)))
        table = fitted.marginal(clique)
        for cell in known[other]:
            truth = int((members & (residents[other] == cell)).sum())
            guess = float(table[value, cell] if clique[0] == place else table[cell, value])
            if truth >= 10:
                errors.append(abs(guess - truth) / truth)
                shown.append(guess >= 10 and guess - HALF >= 1)
    assert women.relative_error == pytest.approx(sum(errors) / len(errors))
    assert women.shown == pytest.approx(sum(shown) / len(shown))
