"""Features: prior shares that sum to one, values that share a score, and what their sharing leaves out of the misfit: nothing that a model can change."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from casesynth._features import (
    FLOOR,
    POOLED_BELOW,
    POOLED_SIZE,
    Features,
    Projected,
    prior_counts,
    prior_shares,
)
from casesynth.contrasts import Contrasts, basis, combine
from casesynth.marginals import signed_shape
from casesynth.measure import Measurement

if TYPE_CHECKING:
    from tests.synth.conftest import Exact

Floats = NDArray[np.float64]

SIZES = (2, 20, 3, 15, 2, 11)
"""Two columns long enough to pool, two flags, two short lists."""

CLIQUES: list[tuple[int, ...]] = [
    *(clique for length in range(3) for clique in itertools.combinations(range(6), length)),
    (0, 1, 4),
    (0, 1, 2),
    (1, 2, 3),
    (0, 3, 5),
    (0, 2, 4),
]

NANO_RHO = 10_000_000
"""Scale 7.07 of the noise on each cell."""


def _contrasts(
    people: Sequence[NDArray[np.uint16]], exact: Exact, seed: int | None = 0, sizes: Sequence[int] = SIZES
) -> Contrasts:
    measured = exact(tuple(people), CLIQUES, sizes, NANO_RHO)
    if seed is not None:
        random = np.random.default_rng(seed)
        measured = [
            Measurement(
                clique=m.clique,
                values=m.values + np.rint(random.normal(0, m.scale, m.values.shape)).astype(np.int64),
                nano_rho=NANO_RHO,
            )
            for m in measured
        ]
    return combine(measured, sizes)


@pytest.fixture(scope="module")
def people() -> list[NDArray[np.uint16]]:
    """Four hundred people of whom the long lists' later values have next to none."""
    random = np.random.default_rng(11)
    return [np.minimum(random.geometric(0.45, 400) - 1, size - 1).astype(np.uint16) for size in SIZES]


def _single(counts: Sequence[int], nano_rho: int) -> Contrasts:
    """Return the contrasts of one column with these noisy counts."""
    tables: list[tuple[tuple[int, ...], list[int] | int]] = [((0,), [*counts])]
    if len(counts) == 2:
        tables = [((), sum(counts)), ((0,), counts[0] - counts[1])]
    measured = [Measurement(clique=c, values=np.array(v, dtype=np.int64), nano_rho=nano_rho) for c, v in tables]
    return combine(measured, (len(counts),))


# --- prior shares ---


def test_prior_counts_are_the_noisy_counts() -> None:
    (counts,) = prior_counts(_single([70, 40, -5], 125_000_000))
    np.testing.assert_allclose(counts, [70, 40, -5], atol=1e-9)


def test_prior_shares_are_worked_out_by_hand() -> None:
    # scale 2, so the floor is a tenth of it, .2 people; the noisy number of people is 105: with -5 raised to .2, the two others have 110
    # and must have 104.8 together, so each is lowered by 2.6
    (shares,) = prior_shares(_single([70, 40, -5], 125_000_000))
    np.testing.assert_allclose(shares, np.array([67.4, 37.4, 0.2]) / 105, rtol=1e-9)


def test_a_value_that_falls_below_the_floor_by_lowering_is_raised_to_it() -> None:
    # 50 people; lowered by 11 each, 1 would fall below .2: it is raised too, and 40 and 39 are lowered until they have 49.4 together
    (shares,) = prior_shares(_single([40, 39, 1, -30], 125_000_000))
    np.testing.assert_allclose(shares, np.array([25.3, 24.3, 0.2, 0.2]) / 50, rtol=1e-9)


def test_the_prior_shares_of_a_flag_come_from_the_number_of_people_and_their_signs() -> None:
    (shares,) = prior_shares(_single([30, 70], 125_000_000))
    np.testing.assert_allclose(shares, [0.3, 0.7], rtol=1e-9)


def test_without_negative_counts_prior_shares_are_the_noisy_shares() -> None:
    (shares,) = prior_shares(_single([4, 1, 5], 125_000_000))
    np.testing.assert_allclose(shares, [0.4, 0.1, 0.5], rtol=1e-9)


def test_a_floor_never_takes_more_than_half_of_the_people() -> None:
    # scale 2,236: a tenth of it would be 223 people for each of three values, but there are 12 people
    (shares,) = prior_shares(_single([30, -9, -9], 100))
    np.testing.assert_allclose(shares, np.array([8, 2, 2]) / 12, rtol=1e-9)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-200, 500), min_size=2, max_size=30), st.sampled_from((10**5, 10**7, 10**9, 10**12)))
def test_prior_shares_sum_to_one_are_floored_and_keep_the_order(counts: list[int], nano_rho: int) -> None:
    contrasts = _single(counts, nano_rho)
    (shares,) = prior_shares(contrasts)
    people = max(sum(counts), 1)
    sigma = math.sqrt(1e9 / (2 * nano_rho)) / (math.sqrt(2) if len(counts) == 2 else 1)  # of a sign, halved
    floor = min(FLOOR * sigma, people / (2 * len(counts)))
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert shares.min() >= floor / people * (1 - 1e-9)
    for a, b in itertools.combinations(range(len(counts)), 2):
        if counts[a] <= counts[b]:
            assert shares[a] <= shares[b] + 1e-12
    above = shares * people > floor * (1 + 1e-9)  # what is above the floor was lowered by the same for all
    lowered = (np.array(counts) - shares * people)[above]
    assert np.ptp(lowered) < 1e-6 if above.any() else True


# --- shared scores ---


def test_values_below_the_noise_share_a_score_and_the_others_have_their_own(
    people: list[NDArray[np.uint16]], exact: Exact
) -> None:
    contrasts = _contrasts(people, exact)
    features = Features.of(contrasts)
    pooling = 0
    for place, (counts, offset, size) in enumerate(
        zip(prior_counts(contrasts), contrasts.layout.offsets, contrasts.layout.sizes, strict=True)
    ):
        few = counts < POOLED_BELOW / math.sqrt(contrasts.q1[offset])
        scores = int((features.column_of == place).sum())
        members = features.spread[place]
        if size < POOLED_SIZE:
            assert members is None and features.projections[place] is None and scores == size
            continue
        assert members is not None and 2 <= few.sum() < size
        assert members.shape == (size, scores) and scores == size - few.sum() + 1
        np.testing.assert_array_equal(members[~few, :-1], np.eye(scores - 1))
        np.testing.assert_array_equal(members[~few, -1], 0)
        np.testing.assert_array_equal(members[few, :-1], 0)
        pooling += 1
    assert pooling == 2


def test_shares_of_values_that_share_a_score_are_proportional_to_the_prior(
    people: list[NDArray[np.uint16]], exact: Exact
) -> None:
    contrasts = _contrasts(people, exact)
    features = Features.of(contrasts)
    random = np.random.default_rng(3)
    made = np.concatenate([random.dirichlet(np.ones(int((features.column_of == c).sum())), size=5).T for c in range(6)])
    for place, (values, prior) in enumerate(zip(features.by_column(made), prior_shares(contrasts), strict=True)):
        members = features.spread[place]
        if members is not None:
            few = members[:, -1] > 0
            ratio = values[few] / prior[few, None]
            np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-12)
            np.testing.assert_allclose(values[few].sum(axis=0), made[features.column_of == place][-1], rtol=1e-12)


def test_shares_by_column_sum_to_one_and_lie_in_layout_order(people: list[NDArray[np.uint16]], exact: Exact) -> None:
    contrasts = _contrasts(people, exact)
    features = Features.of(contrasts)
    random = np.random.default_rng(4)
    scores = random.random((len(features.prior), 7)) + 0.01  # rounded sums of one are made whole
    values = features.by_column(scores)
    assert [part.shape for part in values] == [(size, 7) for size in contrasts.layout.sizes]
    for part in values:
        assert part.min() >= 0
        np.testing.assert_allclose(part.sum(axis=0), 1, atol=1e-12)


def test_the_prior_of_scores_is_that_of_their_values(people: list[NDArray[np.uint16]], exact: Exact) -> None:
    contrasts = _contrasts(people, exact)
    features = Features.of(contrasts)
    assert features.prior.sum() == pytest.approx(6, abs=1e-5)  # one for each column
    spread = features.by_column(features.prior.astype(np.float64)[:, None])
    for values, prior in zip(spread, prior_shares(contrasts), strict=True):
        np.testing.assert_allclose(values[:, 0], prior, rtol=1e-5)


@pytest.mark.parametrize("size", [2, 3, POOLED_SIZE - 1])
def test_columns_with_fewer_values_never_pool(size: int) -> None:
    features = Features.of(_single([1000] + [0] * (size - 1), 10**7))
    assert (features.spread, features.projections, len(features.prior)) == ((None,), (None,), size)


def test_a_column_of_twelve_values_pools() -> None:
    features = Features.of(_single([1000] + [0] * (POOLED_SIZE - 1), 10**7))
    assert len(features.prior) == 2 and features.spread[0] is not None


def test_one_value_alone_below_the_noise_keeps_its_score() -> None:
    assert Features.of(_single([1000] * 11 + [0], 10**7)).spread == (None,)
    assert Features.of(_single([1000] * 10 + [0, 0], 10**7)).spread[0] is not None


def test_a_column_that_nobody_seems_to_have_any_value_of_is_one_score() -> None:
    features = Features.of(_single([0] * 15, 10**7))
    assert len(features.prior) == 1
    np.testing.assert_allclose(features.by_column(np.ones((1, 3)))[0], 1 / 15)


def test_which_values_pool_is_told_by_one_and_a_half_standard_errors() -> None:
    nano_rho = 5_000_000  # scale 10
    features = Features.of(_single([500, 15, 14, 16, *[0] * 10], nano_rho))
    members = features.spread[0]
    assert members is not None
    assert [place for place in range(14) if not members[place, -1]] == [0, 1, 3]


# --- projection ---


def test_projections_have_orthonormal_rows_that_hold_every_reachable_feature(
    people: list[NDArray[np.uint16]], exact: Exact
) -> None:
    features = Features.of(_contrasts(people, exact))
    used = 0
    for rows, members, size in zip(features.projections, features.spread, features.layout.sizes, strict=True):
        if rows is None or members is None:
            continue
        used += 1
        np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-12)
        whole = basis(size)[1:] @ members
        np.testing.assert_allclose(rows.T @ (rows @ whole), whole, atol=1e-12)
    assert used == 2


def test_features_are_the_basis_where_nothing_pools(exact: Exact) -> None:
    sizes = (2, 3, 2, 4, 2, 5)
    random = np.random.default_rng(5)
    people = [random.integers(0, size, 300).astype(np.uint16) for size in sizes]
    contrasts = _contrasts(people, exact, sizes=sizes)
    features = Features.of(contrasts)
    found = features.project(contrasts)
    assert features.count == contrasts.layout.features
    for name in ("c1", "q1", "c2", "q2", "c3", "q3"):
        np.testing.assert_allclose(getattr(found, name), getattr(contrasts, name), rtol=1e-6, atol=1e-4)
    uniform = np.concatenate([np.full(size, 1 / size) for size in contrasts.layout.sizes])
    np.testing.assert_allclose(features.to_features @ uniform, 0, atol=1e-7)


def test_every_third_order_row_names_the_features_of_its_two_columns() -> None:
    sizes = (3, 4, 5)
    values = [np.full(signed_shape(c, sizes), 50, dtype=np.int64) for c in ((0, 1), (0, 2), (1, 2), (0, 1, 2))]
    cliques = ((0, 1), (0, 2), (1, 2), (0, 1, 2))
    contrasts = combine(
        [Measurement(clique=c, values=v, nano_rho=10**7) for c, v in zip(cliques, values, strict=True)], sizes
    )
    features = Features.of(contrasts)
    assert list(zip(features.first.tolist(), features.second.tolist(), strict=True)) == [
        (f, s) for f in (0, 1) for s in (2, 3, 4)
    ]


def _random_model(features: Features, seed: int, classes: int = 4) -> tuple[Floats, Floats]:
    """Return class weights, and shares of the scores of each class."""
    random = np.random.default_rng(seed)
    parts = [
        random.dirichlet(np.full(int((features.column_of == c).sum()), 0.8), size=classes).T
        for c in range(len(features.starts))
    ]
    return random.dirichlet(np.ones(classes)), np.concatenate(parts)


def _whole_misfit(contrasts: Contrasts, weights: Floats, columns: Sequence[Floats]) -> float:
    """Return the misfit in all features of the layout, in double precision and set by set of columns."""
    layout = contrasts.layout
    wn = weights * max(contrasts.people, 1.0)
    z = [basis(size)[1:] @ part for size, part in zip(layout.sizes, columns, strict=True)]
    blocks = [slice(offset, offset + size - 1) for offset, size in zip(layout.offsets, layout.sizes, strict=True)]
    total = 0.0
    for i in range(len(z)):
        total += float((contrasts.q1[blocks[i]] * (z[i] @ wn - contrasts.c1[blocks[i]]) ** 2).sum())
    for i, j in itertools.combinations(range(len(z)), 2):
        gap = (z[i] * wn) @ z[j].T - contrasts.c2[blocks[i], blocks[j]]
        total += float((contrasts.q2[blocks[i], blocks[j]] * gap**2).sum())
    for (i, j), row in layout.row_offsets.items():
        for k in range(j + 1, len(z)):
            shape = (len(z[i]), len(z[j]), len(z[k]))
            rows = slice(row, row + shape[0] * shape[1])
            model = np.einsum("ak,bk,ck,k->abc", z[i], z[j], z[k], wn)
            gap = model - contrasts.c3[rows, blocks[k]].reshape(shape)
            total += float((contrasts.q3[rows, blocks[k]].reshape(shape) * gap**2).sum())
    return total


def _projected_misfit(features: Features, target: Projected, weights: Floats, shares: Floats) -> float:
    """Return the misfit in the features of the fit, in double precision."""
    wn = weights * target.people
    z = features.to_features.astype(np.float64) @ shares
    first = z @ wn - target.c1
    second = (z * wn) @ z.T - target.c2
    third = (z[features.first] * z[features.second] * wn) @ z.T - target.c3
    parts = ((target.q1, first), (target.q2, second), (target.q3, third))
    return sum(float((q.astype(np.float64) * gap**2).sum()) for q, gap in parts)


@pytest.mark.parametrize("seed", range(3))
def test_what_pooling_leaves_out_of_the_misfit_does_not_depend_on_the_model(
    people: list[NDArray[np.uint16]], exact: Exact, seed: int
) -> None:
    contrasts = _contrasts(people, exact, seed=seed)
    features = Features.of(contrasts)
    assert sum(part is not None for part in features.spread) == 2
    target = features.project(contrasts)
    left_out, whole = [], []
    for model in range(4):
        weights, shares = _random_model(features, seed=model)
        whole.append(_whole_misfit(contrasts, weights, features.by_column(shares)))
        left_out.append(whole[-1] - _projected_misfit(features, target, weights, shares))
    assert left_out[0] > 1  # something is left out: the noise of the values that share a score
    assert np.ptp(whole) > 1000 * np.ptp(left_out)  # single precision of the largest terms
    assert np.ptp(left_out) < 1e-5 * max(whole)


def test_without_pooling_nothing_is_left_out_of_the_misfit(exact: Exact) -> None:
    sizes = (2, 3, 2, 4, 2, 5)
    random = np.random.default_rng(6)
    people = [random.integers(0, size, 300).astype(np.uint16) for size in sizes]
    contrasts = _contrasts(people, exact, sizes=sizes)
    features = Features.of(contrasts)
    target = features.project(contrasts)
    for model in range(4):
        weights, shares = _random_model(features, seed=model)
        whole = _whole_misfit(contrasts, weights, features.by_column(shares))
        assert _projected_misfit(features, target, weights, shares) == pytest.approx(whole, rel=1e-5)


def test_projected_noise_is_as_large_as_it_was_and_uncorrelated(people: list[NDArray[np.uint16]], exact: Exact) -> None:
    features = Features.of(_contrasts(people, exact))
    assert features.count < features.layout.features
    nobody = [np.zeros(0, dtype=np.uint16)] * 6
    rounds = 600
    drawn = []
    for seed in range(rounds):
        target = features.project(_contrasts(nobody, exact, seed=seed))
        c = np.concatenate([target.c1, target.c2.ravel(), target.c3.ravel()]).astype(np.float64)
        q = np.concatenate([target.q1, target.q2.ravel(), target.q3.ravel()]).astype(np.float64)
        drawn.append((c * np.sqrt(q))[q > 0])
    numbers = np.stack(drawn)
    # seeded, so no false alarm; 6 standard errors of a variance and 6.5 of a correlation, over some 600 numbers
    assert np.abs(numbers.var(axis=0) - 1).max() < 6 * math.sqrt(2 / rounds)
    correlation = np.corrcoef(numbers.T) - np.eye(numbers.shape[1])
    assert np.abs(correlation).max() < 6.5 / math.sqrt(rounds)
