"""The objective's gradient against central differences of a slow, independent objective in double precision."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth._objective import TAU, Objective, block_basis, softmax
from casesynth.contrasts import Contrasts, basis, combine
from casesynth.measure import Measurement
from casesynth.model import prior_shares

Floats = NDArray[np.float64]

DOMAINS: dict[str, tuple[tuple[int, ...], list[tuple[int, ...]]]] = {
    "one column": ((4,), [(0,)]),
    "pairs only": ((3, 5, 2), [(0, 1), (0, 2), (1, 2)]),
    "all triples": ((4, 2, 3), [(0, 1), (0, 2), (1, 2), (0, 1, 2)]),
    "some triples": ((5, 2, 3, 4), [*itertools.combinations(range(4), 2), (1, 2, 3), (0, 1, 2)]),
    "a quadruple": ((2, 3, 2, 2, 2), [*itertools.combinations(range(5), 2), (0, 1, 2), (0, 2, 3, 4)]),
}


def _contrasts(sizes: tuple[int, ...], cliques: list[tuple[int, ...]], seed: int) -> Contrasts:
    random = np.random.default_rng(seed)
    measured = [
        Measurement(clique=c, values=random.integers(-2, 30, [sizes[i] for i in c]), nano_rho=5_000_000 * (1 + len(c)))
        for c in cliques
    ]
    return combine(measured, sizes)


def _slow(contrasts: Contrasts, shares: Floats, stiffness: float) -> Callable[[Floats, Floats, Floats], float]:
    """Return the objective by its formula: class logits, value scores, and the logits at which the divergence is weighted."""
    layout = contrasts.layout
    edges = np.cumsum([0, *layout.sizes])
    columns = range(len(layout.sizes))
    people = max(contrasts.people, 1.0)

    def shares_of(scores: Floats, i: int) -> Floats:
        part = np.exp(scores[edges[i] : edges[i + 1]])
        result: Floats = part / part.sum(axis=0)
        return result

    def misfit(w: Floats, z: list[Floats]) -> float:
        total = 0.0
        for i in columns:
            for a in range(layout.sizes[i] - 1):
                f = layout.offsets[i] + a
                total += contrasts.q1[f] * (people * (w * z[i][a]).sum() - contrasts.c1[f]) ** 2
        for i, j in itertools.combinations(columns, 2):
            for a, b in itertools.product(range(layout.sizes[i] - 1), range(layout.sizes[j] - 1)):
                f, g = layout.offsets[i] + a, layout.offsets[j] + b
                total += contrasts.q2[f, g] * (people * (w * z[i][a] * z[j][b]).sum() - contrasts.c2[f, g]) ** 2
        for i, j, k in itertools.combinations(columns, 3):
            if (i, j) not in layout.row_offsets:
                continue
            cells = itertools.product(*(range(layout.sizes[x] - 1) for x in (i, j, k)))
            for a, b, c in cells:
                r = layout.row_offsets[i, j] + a * (layout.sizes[j] - 1) + b
                g = layout.offsets[k] + c
                model = people * (w * z[i][a] * z[j][b] * z[k][c]).sum()
                total += contrasts.q3[r, g] * (model - contrasts.c3[r, g]) ** 2
        return float(total) / 2

    def value(logits: Floats, scores: Floats, held: Floats) -> float:
        w = np.exp(logits) / np.exp(logits).sum()
        fixed = np.exp(held) / np.exp(held).sum()
        p = [shares_of(scores, i) for i in columns]
        z = [basis(layout.sizes[i])[1:] @ p[i] for i in columns]
        divergence = sum(
            fixed @ (p[i] * np.log(p[i] / shares[edges[i] : edges[i + 1], None])).sum(axis=0) for i in columns
        )
        spread = ((scores - np.log(shares)[:, None]) ** 2).sum() / (2 * TAU**2)
        return misfit(w, z) + stiffness * float(divergence) + float(spread) - float(np.log(w).mean())

    return value


@pytest.mark.parametrize("stiffness", [0.0, 3.0])
@pytest.mark.parametrize("name", DOMAINS)
def test_the_gradient_is_that_of_the_formula(name: str, stiffness: float) -> None:
    sizes, cliques = DOMAINS[name]
    contrasts = _contrasts(sizes, cliques, seed=len(name))
    prior = prior_shares(contrasts)
    random = np.random.default_rng(3)
    logits = random.normal(0, 0.5, 4)
    scores = np.log(prior.astype(float))[:, None] + random.normal(0, 0.7, (len(prior), 4))
    objective = Objective(contrasts, prior)
    found = objective.gradient(logits.astype(np.float32), scores.astype(np.float32), stiffness)
    slow = _slow(contrasts, prior.astype(float), stiffness)
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


@pytest.mark.parametrize("name", DOMAINS)
def test_chi_square_is_twice_the_misfit_of_the_formula(name: str) -> None:
    sizes, cliques = DOMAINS[name]
    contrasts = _contrasts(sizes, cliques, seed=2)
    prior = prior_shares(contrasts)
    scores = np.log(prior)[:, None] + np.zeros((1, 3), dtype=np.float32)
    logits = np.zeros(3, dtype=np.float32)
    chi = sum(Objective(contrasts, prior).chi_square(logits, scores))
    # with all classes at the prior, only the misfit and the constant log 3 of the class weights are left
    slow = _slow(contrasts, prior.astype(float), 0.0)(logits.astype(float), scores.astype(float), logits.astype(float))
    assert chi == pytest.approx(2 * (slow - math.log(3)), rel=1e-4)


def test_weights_sum_to_one_and_survive_large_logits() -> None:
    weights = softmax(np.array([1000.0, 999.0, -1000.0], dtype=np.float32))
    np.testing.assert_allclose(weights, [1 / (1 + math.exp(-1)), 1 / (1 + math.e), 0], atol=1e-6)


def test_shares_sum_to_one_within_each_column_and_survive_large_scores() -> None:
    contrasts = _contrasts((3, 2), [(0, 1)], seed=1)
    objective = Objective(contrasts, prior_shares(contrasts))
    scores = np.array(
        [[500, 0], [-500, 1], [500, 0], [500, -500], [0, 0]], dtype=np.float32
    )  # the two values come first
    shares = objective.probabilities(scores)
    np.testing.assert_allclose(shares[:2].sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(shares[2:].sum(axis=0), 1, atol=1e-6)
    assert shares[0, 0] == 1 and shares[2, 0] == pytest.approx(0.5)


def test_features_of_uniform_shares_are_zero() -> None:
    contrasts = _contrasts((3, 2, 4), [(0, 1), (0, 2), (1, 2)], seed=1)
    uniform = np.concatenate([np.full(size, 1 / size) for size in contrasts.layout.sizes]).astype(np.float32)
    np.testing.assert_allclose(block_basis(contrasts.layout) @ uniform, 0, atol=1e-7)
