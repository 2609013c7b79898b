"""The objective's gradient against central differences of a slow, independent objective in double precision."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth._features import Features, prior_shares
from casesynth._objective import TAU, TAU_MOST, Objective, softmax
from casesynth.contrasts import Contrasts, combine
from casesynth.folds import stored_folds
from casesynth.marginals import signed_shape
from casesynth.measure import Measurement

Floats = NDArray[np.float64]


def _up_to_pairs(columns: int) -> list[tuple[int, ...]]:
    return [clique for length in range(3) for clique in itertools.combinations(range(columns), length)]


DOMAINS: dict[str, tuple[tuple[int, ...], list[tuple[int, ...]], int]] = {
    "one column": ((4,), [(0,)], 0),
    "one flag": ((2,), [(), (0,)], 0),
    "pairs only": ((3, 5, 2), _up_to_pairs(3), 0),
    "all triples": ((4, 2, 3), [*_up_to_pairs(3), (0, 1, 2)], 0),
    "some triples": ((5, 2, 3, 4), [*_up_to_pairs(4), (1, 2, 3), (0, 1, 2)], 0),
    "flags alone": ((2, 2, 2, 2), [*_up_to_pairs(4), (0, 1, 2), (1, 2, 3)], 0),
    "one column that folds": ((54,), [(0,)], 1),
    "two columns that fold and two that do not": (
        (53, 2, 3, 52),
        [*_up_to_pairs(4), (0, 1, 2), (0, 1, 3), (1, 2, 3)],
        2,
    ),
    "short columns in several bands": ((20, 2, 2, 25, 24, 51), [*_up_to_pairs(6), (0, 1, 2), (1, 2, 5), (0, 1, 3)], 1),
}
"""Sizes, tables, and how many columns fold."""


def _contrasts(sizes: tuple[int, ...], cliques: list[tuple[int, ...]], seed: int) -> Contrasts:
    random = np.random.default_rng(seed)

    def measured(cliques: list[tuple[int, ...]], shapes: Sequence[int]) -> list[Measurement]:
        return [
            Measurement(
                clique=c,
                values=np.array(random.integers(-2, 30, signed_shape(c, shapes))),
                nano_rho=5_000_000 * (1 + len(c)),
            )
            for c in cliques
        ]

    first = measured([c for c in cliques if len(c) < 2], sizes)
    folds = stored_folds(first, sizes)
    rest = [
        table
        for length in (2, 3)
        for table in measured([c for c in cliques if len(c) == length], [fold.cells(length) for fold in folds])
    ]
    return combine([*first, *rest], sizes)


def _misfit(contrasts: Contrasts, w: Floats, p: list[Floats], long_pair: float = 1.0) -> float:
    """Return half the misfit, slowly; a pair of two lists of 50 values or more counts so many times."""
    layout = contrasts.layout
    long = [contrasts.folds[column].values >= 50 for column in layout.order]
    people = max(contrasts.people, 1.0)
    z = [layout.basis(place)[1:] @ part for place, part in enumerate(p)]
    at = [slice(offset, offset + size - 1) for offset, size in zip(layout.offsets, layout.sizes, strict=True)]
    total = 0.0
    for i in range(len(z)):
        total += float((contrasts.q1[at[i]] * (people * z[i] @ w - contrasts.c1[at[i]]) ** 2).sum())
    for i, j in itertools.combinations(range(len(z)), 2):
        model = people * np.einsum("ak,bk,k->ab", z[i], z[j], w)
        times = long_pair if long[i] and long[j] else 1.0
        total += times * float((contrasts.q2[at[i], at[j]] * (model - contrasts.c2[at[i], at[j]]) ** 2).sum())
    for (i, j), row in layout.row_offsets.items():
        for k in range(j + 1, len(z)):
            model = people * np.einsum("ak,bk,ck,k->abc", z[i], z[j], z[k], w)
            rows = slice(row, row + len(z[i]) * len(z[j]))
            c, q = (part[rows, at[k]].reshape(model.shape) for part in (contrasts.c3, contrasts.q3))
            total += float((q * (model - c) ** 2).sum())
    return total / 2


def _slow(
    contrasts: Contrasts, features: Features, stiffness: float, long_pair: float
) -> Callable[[Floats, Floats, Floats], float]:
    """Return the objective by its formula: class logits, scores, and the logits at which the divergence is weighted."""
    columns = range(len(contrasts.layout.sizes))
    prior, by_value = features.prior.astype(np.float64), prior_shares(contrasts)
    rows = [features.column_of == i for i in columns]

    def value(logits: Floats, scores: Floats, held: Floats) -> float:
        w = np.exp(logits) / np.exp(logits).sum()
        fixed = np.exp(held) / np.exp(held).sum()
        p = [np.exp(scores[rows[i]]) / np.exp(scores[rows[i]]).sum(axis=0) for i in columns]
        divergence = sum(
            ((len(part) - 1) / 8) ** 0.3 * (fixed @ (part * np.log(part / shares[:, None])).sum(axis=0))
            for part, shares in zip(p, by_value, strict=True)
        )
        spread = ((scores - np.log(prior)[:, None]) ** 2).sum() / (2 * TAU**2)
        return (
            _misfit(contrasts, w, p, long_pair)
            + stiffness * float(divergence)
            + float(spread)
            - float(np.log(w).mean())
        )

    return value


@pytest.mark.parametrize(("stiffness", "long_pair"), [(0.0, 2.0), (3.0, 2.0), (3.0, 1.0)])
@pytest.mark.parametrize("name", DOMAINS)
def test_the_gradient_is_that_of_the_formula(name: str, stiffness: float, long_pair: float) -> None:
    sizes, cliques, pooling = DOMAINS[name]
    contrasts = _contrasts(sizes, cliques, seed=len(name))
    features = Features.of(contrasts)
    assert sum(bool(fold.folded) for fold in contrasts.folds) == pooling
    prior = features.prior.astype(np.float64)
    random = np.random.default_rng(3)
    logits = random.normal(0, 0.5, 4)
    scores = np.log(prior)[:, None] + random.normal(0, 0.7, (len(prior), 4))
    objective = Objective(features, contrasts) if long_pair == 2.0 else Objective(features, contrasts, long_pair=1.0)
    found = objective.gradient(logits.astype(np.float32), scores.astype(np.float32), stiffness)
    slow = _slow(contrasts, features, stiffness, long_pair)
    step = 1e-5

    by_logits = np.zeros_like(logits)
    for k in range(len(logits)):
        nudge = np.zeros_like(logits)
        nudge[k] = step
        by_logits[k] = (slow(logits + nudge, scores, logits) - slow(logits - nudge, scores, logits)) / (2 * step)
    by_scores = np.zeros_like(scores)
    for place in np.ndindex(*scores.shape):
        nudge = np.zeros_like(scores)
        nudge[place] = step
        by_scores[place] = (slow(logits, scores + nudge, logits) - slow(logits, scores - nudge, logits)) / (2 * step)

    # single precision: about seven digits of the largest terms
    np.testing.assert_allclose(found.logits, by_logits, atol=2e-5 * max(1.0, np.abs(by_logits).max()), rtol=1e-3)
    np.testing.assert_allclose(found.scores, by_scores, atol=2e-5 * max(1.0, np.abs(by_scores).max()), rtol=1e-3)
    assert np.abs(by_scores).max() > 0.1  # there is something to get wrong


@pytest.mark.parametrize(
    ("people", "tau"), [(100.0, TAU), (12_500.0, 4.0), (25_000.0, 4 * math.sqrt(2)), (50_000.0, 8.0), (1e7, TAU_MOST)]
)
def test_scores_of_many_people_are_held_more_loosely(people: float, tau: float) -> None:
    contrasts = _contrasts((3, 5, 2), _up_to_pairs(3), seed=5)
    unmeasured = replace(
        contrasts, people=people, q1=0 * contrasts.q1, q2=0 * contrasts.q2, q3=0 * contrasts.q3
    )  # what is left is the hold on the scores
    features = Features.of(contrasts)
    away = np.random.default_rng(6).normal(0, 0.7, (len(features.prior), 3)).astype(np.float32)
    found = Objective(features, unmeasured).gradient(
        np.zeros(3, dtype=np.float32), np.log(features.prior)[:, None] + away, 0.0
    )
    np.testing.assert_allclose(found.scores, away / tau**2, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", DOMAINS)
def test_chi_square_is_twice_the_misfit(name: str) -> None:
    sizes, cliques, _ = DOMAINS[name]
    contrasts = _contrasts(sizes, cliques, seed=len(name))
    features = Features.of(contrasts)
    objective = Objective(features, contrasts)
    random = np.random.default_rng(4)
    gaps, whole = [], []
    for _ in range(3):
        logits = random.normal(0, 0.5, 3).astype(np.float32)
        scores = np.log(features.prior)[:, None] + random.normal(0, 0.7, (len(features.prior), 3)).astype(np.float32)
        shares = np.split(objective.probabilities(scores).astype(np.float64), features.starts[1:])
        whole.append(2 * _misfit(contrasts, softmax(logits).astype(np.float64), shares))
        gaps.append(whole[-1] - sum(objective.chi_square(logits, scores)))
    np.testing.assert_allclose(gaps, 0.0, atol=1e-4 * max(whole))
    assert np.ptp(whole) > 0.005 * max(whole)  # the models differ


def test_weights_sum_to_one_and_survive_large_logits() -> None:
    weights = softmax(np.array([1000.0, 999.0, -1000.0], dtype=np.float32))
    np.testing.assert_allclose(weights, [1 / (1 + math.exp(-1)), 1 / (1 + math.e), 0], atol=1e-6)


def test_shares_sum_to_one_within_each_column_and_survive_large_scores() -> None:
    contrasts = _contrasts((3, 2), _up_to_pairs(2), seed=1)
    features = Features.of(contrasts)
    objective = Objective(features, contrasts)
    scores = np.array(
        [[500, 0], [-500, 1], [500, 0], [500, -500], [0, 0]], dtype=np.float32
    )  # the two values come first
    shares = objective.probabilities(scores)
    np.testing.assert_allclose(shares[:2].sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(shares[2:].sum(axis=0), 1, atol=1e-6)
    assert shares[0, 0] == 1 and shares[2, 0] == pytest.approx(0.5)
