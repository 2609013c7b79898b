"""What a fit works through: bounded by the value lists, whatever the number of people; and in pilots a pair of two long lists counts once.

The real fit runs. A watcher sees each call of the objective's gradient in its threads, how many classes it has, and how its pairs are weighted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth._features import Features
from casesynth._objective import Objective
from casesynth.contrasts import Layout, combine
from casesynth.counting import count_signed
from casesynth.domain import Domain
from casesynth.intervals import simulate
from casesynth.marginals import Marginal
from casesynth.measure import Measurement
from casesynth.model import EFFORTS, LADDER, STEPS_MOST, FitSettings, fit
from casesynth.plan import ReleasePlan

SEED = b"seed"
SETTINGS = FitSettings(classes=6, steps=16, starts=3, pilot_classes=10, pilot_steps=8)
MOST_PILOTS = 4
"""Two rungs of the ladder to begin with, and at most two more one way."""
LONG = 60


@dataclass(kw_only=True)
class Seen:
    """What gradients were taken of."""

    classes: list[int] = field(default_factory=list)
    """Of each step."""
    weights: list[tuple[int, set[float]]] = field(default_factory=list)
    """Of each step: the classes, and how many times pairs of columns count."""


@contextmanager
def _watched() -> Iterator[Seen]:
    """Watch every gradient that threads of this process take; nothing is replaced."""
    seen, lock = Seen(), threading.Lock()
    code = Objective.gradient.__code__

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or frame.f_code is not code:
            return
        objective, classes = frame.f_locals["self"], len(frame.f_locals["logits"])
        counts = {
            float(times)
            for band in objective._pairs
            for times in np.unique(np.round(band.weight[band.q2 > 0] / band.q2[band.q2 > 0], 3))
        }
        with lock:
            seen.classes.append(classes)
            seen.weights.append((classes, counts))

    threading.setprofile(watch)
    try:
        yield seen
    finally:
        threading.setprofile(None)


def _people(random: np.random.Generator) -> tuple[Domain, tuple[NDArray[np.uint16], ...]]:
    """People with two long lists, of which each tells much about the other, and three short ones."""
    people = 4_000
    first = np.minimum(random.geometric(0.06, people) - 1, LONG - 1)
    second = np.where(random.random(people) < 0.7, (first * 7) % LONG, random.integers(0, LONG, people))
    short = [(first + random.integers(0, 3, people)) % size for size in (6, 2, 2)]
    columns = tuple(column.astype(np.uint16) for column in (first + 1, second + 1, *short))
    lists = {"one": LONG, "two": LONG, "three": 5, "flag": 1, "sign": 1}
    return Domain.declare({name: [f"{name}{v}" for v in range(size)] for name, size in lists.items()}), columns


def _measured(times: int, epsilon: float = 1.0) -> tuple[ReleasePlan, tuple[Measurement, ...]]:
    """Noisy tables of the same people, each of whom stands for so many."""
    domain, columns = _people(np.random.default_rng(3))
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=1 << 40)
    counted = count_signed([columns], [table.clique for table in plan.tables], domain.sizes)
    larger = [Marginal(clique=table.clique, counts=table.counts * times) for table in counted]
    return plan, simulate(plan, larger, np.random.default_rng(4))


@pytest.mark.parametrize("times", [1, 10**3, 10**6])
def test_the_value_lists_bound_the_work_of_a_fit_whatever_the_number_of_people(times: int) -> None:
    plan, measured = _measured(times)
    contrasts = combine(measured, plan.measured.sizes)
    with _watched() as seen:
        model = fit(contrasts, SEED, settings=SETTINGS)
    hardest = SETTINGS.harder(EFFORTS[-1][1])
    most = MOST_PILOTS * SETTINGS.pilot_classes * SETTINGS.pilot_steps
    most += hardest.starts * hardest.classes * hardest.steps
    least = 2 * SETTINGS.pilot_classes * SETTINGS.pilot_steps + SETTINGS.starts * SETTINGS.classes * SETTINGS.steps
    assert least <= sum(seen.classes) <= most
    assert len(model.weights) <= hardest.starts * hardest.classes
    unfolded = Layout.make(plan.measured.sizes, [table.clique for table in plan.tables])
    assert contrasts.layout.features <= unfolded.features and contrasts.layout.rows <= unfolded.rows
    assert sum(table.values.size for table in measured) <= plan.cells


def test_beyond_some_number_of_people_more_of_them_change_nothing_about_the_size() -> None:
    """Every value stands out of the noise by then."""
    found = []
    for times in (10**4, 10**7):
        plan, measured = _measured(times)
        contrasts = combine(measured, plan.measured.sizes)
        model = fit(contrasts, SEED, settings=SETTINGS)
        sizes = (contrasts.layout.features, contrasts.layout.rows, len(model.weights))
        found.append((sum(table.values.size for table in measured), *sizes))
    assert found[0] == found[1]


def test_the_hardest_fit_is_a_public_constant() -> None:
    usual, hardest = FitSettings(), FitSettings().harder(EFFORTS[-1][1])
    assert (hardest.classes * hardest.starts, hardest.steps) == (450, 510)
    assert max(effort for _, effort in EFFORTS) == EFFORTS[-1][1] and hardest.steps == usual.steps * STEPS_MOST
    assert len(LADDER) - 2 == MOST_PILOTS  # from the middle two rungs, all the way in the longer direction


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_pilots_count_a_pair_of_two_long_lists_once_and_the_fit_twice(epsilon: float) -> None:
    plan, measured = _measured(1, epsilon)
    with _watched() as seen:
        fit(combine(measured, plan.measured.sizes), SEED, settings=SETTINGS)
    pilots = [counts for classes, counts in seen.weights if classes == SETTINGS.pilot_classes]
    starts = [counts for classes, counts in seen.weights if classes != SETTINGS.pilot_classes]
    assert len(pilots) >= 2 * SETTINGS.pilot_steps and all(counts == {1.0} for counts in pilots)
    assert len(starts) >= SETTINGS.starts * SETTINGS.steps and all(counts == {1.0, 2.0} for counts in starts)


def test_the_validation_of_a_pilot_counts_every_pair_once() -> None:
    """Chi-square is the same whatever a pair counts in the fit: what is judged is what was measured."""
    plan, measured = _measured(1)
    contrasts = combine(measured, plan.measured.sizes)
    features = Features.of(contrasts)
    random = np.random.default_rng(5)
    logits = random.standard_normal(4).astype(np.float32)
    scores = random.standard_normal((len(features.prior), 4)).astype(np.float32)
    once, twice = (Objective(features, contrasts, long_pair=times).chi_square(logits, scores) for times in (1.0, 2.0))
    assert once == twice
