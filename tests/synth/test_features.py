"""Features: prior shares that sum to one, and where values and features stand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casesynth._features import Features, prior_shares
from casesynth.contrasts import Contrasts, basis, combine
from casesynth.folds import FLOOR
from casesynth.marginals import signed_shape
from casesynth.measure import Measurement


def _single(counts: Sequence[int], nano_rho: int) -> Contrasts:
    """Return the contrasts of one column with these noisy counts."""
    tables: list[tuple[tuple[int, ...], list[int] | int]] = [((0,), [*counts])]
    if len(counts) == 2:
        tables = [((), sum(counts)), ((0,), counts[0] - counts[1])]
    measured = [Measurement(clique=c, values=np.array(v, dtype=np.int64), nano_rho=nano_rho) for c, v in tables]
    return combine(measured, (len(counts),))


# --- prior shares ---


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


# --- features ---


def _folding() -> Contrasts:
    """Return contrasts of three flags and a list of sixty values of which three have people."""
    random = np.random.default_rng(5)
    sizes = (2, 60, 3, 2)
    counts = np.array([700, 200, 100, *[0] * 57])
    measured = [Measurement(clique=(1,), values=counts, nano_rho=10**7)]
    folded = (2, 4, 3, 2)
    for clique in [(), *((i,) for i in (0, 2, 3)), *itertools.combinations(range(4), 2), (0, 2, 3), (0, 1, 3)]:
        values = np.array(random.integers(0, 40, signed_shape(clique, folded)))
        measured.append(Measurement(clique=clique, values=values, nano_rho=10**7))
    return combine(measured, sizes)


def test_folded_values_are_one_value_of_the_fit_and_keep_their_shares_among_each_other() -> None:
    contrasts = _folding()
    features = Features.of(contrasts)
    assert contrasts.layout.sizes == (2, 2, 3, 4) and len(features.prior) == 11
    random = np.random.default_rng(4)
    columns = features.by_column(random.random((11, 7)) + 0.01)  # rounded sums of one are made whole
    assert [part.shape for part in columns] == [(2, 7), (2, 7), (3, 7), (60, 7)]
    for part in columns:
        assert part.min() >= 0
        np.testing.assert_allclose(part.sum(axis=0), 1, atol=1e-12)
    rest = columns[3][3:]
    inside = np.array(contrasts.folds[1].inside)
    np.testing.assert_allclose(rest / rest.sum(axis=0), np.repeat(inside[:, None], 7, axis=1), rtol=1e-9)


def test_blocks_are_the_basis_of_each_column() -> None:
    features = Features.of(_folding())
    whole = np.zeros((features.count, len(features.prior)))
    for rows, columns, block in features.blocks:
        whole[rows, columns] = block
    expected = np.zeros_like(whole)
    row = column = 0
    for size in (2, 2, 3, 4):
        expected[row : row + size - 1, column : column + size] = basis(size)[1:]
        row, column = row + size - 1, column + size
    np.testing.assert_allclose(whole, expected, atol=1e-6)


@pytest.mark.parametrize("sizes", [(55, 55, 2, 2), (51, 53, 4), (2,), (60,)])
def test_blocks_of_long_lists_stand_by_themselves(sizes: tuple[int, ...]) -> None:
    cliques = [(), *((i,) for i in range(len(sizes)))] if 2 in sizes else [(i,) for i in range(len(sizes))]
    measured = [Measurement(clique=c, values=np.full(signed_shape(c, sizes), 900), nano_rho=10**7) for c in cliques]
    features = Features.of(combine(measured, sizes))
    covered = [place for rows, _, _ in features.blocks for place in range(rows.start, rows.stop)]
    assert covered == list(range(features.count)) and features.count == sum(sizes) - len(sizes)
    uniform = np.concatenate([np.full(size, 1 / size) for size in sorted(sizes)])
    for _, columns, block in features.blocks:
        np.testing.assert_allclose(block @ uniform[columns], 0, atol=1e-6)


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
