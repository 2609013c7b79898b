"""Folds: which values are counted together is told by noisy single columns alone, and nothing is lost or counted twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casesynth.contrasts import _folded_single, basis
from casesynth.domain import Domain
from casesynth.folds import BROAD_BELOW, FOLD_BELOW, FOLD_SIZE, KEPT_LEAST, Fold, folded, folds_of, stored_folds
from casesynth.marginals import Marginal, signed_shape
from casesynth.measure import Measurement, in_two_stages
from casesynth.plan import ReleasePlan

SIGMA = 10.0


def _fold(*counts: float) -> Fold:
    return Fold.of(np.array(counts), SIGMA, max(sum(counts), 0.0))


def test_values_below_one_and_a_quarter_standard_errors_fold() -> None:
    assert FOLD_BELOW == 1.25
    fold = _fold(500, 400, 12.4, 12.5, 12.6, *[0] * 50)
    assert fold.kept == (0, 1, 3, 4)
    assert fold.folded == (2, *range(5, 55))
    assert (fold.size, fold.values) == (5, 55)


@pytest.mark.parametrize("size", [2, 3, FOLD_SIZE - 1])
def test_shorter_lists_never_fold(size: int) -> None:
    assert _fold(1000, *[0] * (size - 1)) == Fold.none(size)
    assert _fold(1000, *[0] * (FOLD_SIZE - 1)).folded


def test_one_value_alone_does_not_fold() -> None:
    assert _fold(*[1000] * 59, 0) == Fold.none(60)
    assert _fold(*[1000] * 58, 0, 0).folded == (58, 59)


def test_two_values_always_stay_so_that_no_column_becomes_a_flag() -> None:
    fold = _fold(*[0] * 30, 3, *[0] * 30, 2)
    assert fold.kept == (30, 61) and fold.size == KEPT_LEAST + 1 == 3


def test_values_of_few_people_fold_in_tables_of_three_columns_only() -> None:
    assert BROAD_BELOW == 6.0
    below, above = BROAD_BELOW * SIGMA - 0.1, BROAD_BELOW * SIGMA
    fold = _fold(below, 900, above, below, *[0] * 56)
    assert fold.kept == (1, 2, 0, 3) and fold.folded == tuple(range(4, 60))  # the large ones come first
    assert (fold.small, fold.large, fold.size, fold.cells(2), fold.cells(3)) == (2, 2, 5, 5, 3)
    joins = _fold(below, 900, 900, *[0] * 57)  # one value folds with those that fold in pairs
    assert (joins.kept, joins.small, joins.cells(2), joins.cells(3)) == ((1, 2, 0), 1, 4, 3)
    alone = _fold(*[900] * 59, below)  # one value has nobody to fold with
    assert alone == Fold.none(60) and alone.cells(3) == 60
    two = _fold(below, *[900] * 58, below)  # nothing folds in pairs, but the order is that of the cells
    assert two.folded == () and two.small == 2 and (two.size, two.cells(3)) == (60, 59)
    table = np.arange(60)
    np.testing.assert_array_equal(two.fold(table, 0, 2), [*range(1, 59), 0, 59])
    np.testing.assert_array_equal(two.fold(table, 0, 3), [*range(1, 59), 59])
    np.testing.assert_array_equal(two.unfold(two.fold(table.astype(float), 0, 2)), table)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-1e6, 1e6), min_size=FOLD_SIZE, max_size=99), st.floats(0.1, 1e5))
def test_folding_keeps_every_person_and_unfolding_keeps_shares(counts: list[float], sigma: float) -> None:
    fold = Fold.of(np.array(counts), sigma, max(sum(counts), 0.0))
    assert sorted(fold.kept + fold.folded) == list(range(len(counts)))
    table = np.arange(3 * len(counts), dtype=np.int64).reshape(3, -1)
    there = fold.fold(table, 1, 2)
    assert there.shape == (3, fold.size) and there.dtype == np.int64
    np.testing.assert_array_equal(there.sum(axis=1), table.sum(axis=1))
    np.testing.assert_array_equal(there[:, : len(fold.kept)], table[:, list(fold.kept)])
    broad = fold.fold(table, 1, 3)
    assert broad.shape == (3, fold.cells(3)) and fold.cells(1) == len(counts)
    np.testing.assert_array_equal(broad[:, : fold.large], there[:, : fold.large])
    np.testing.assert_array_equal(broad.sum(axis=1), table.sum(axis=1))
    shares = np.random.default_rng(1).dirichlet(np.ones(fold.size), 4).T
    whole = fold.unfold(shares)
    assert whole.min() >= 0
    np.testing.assert_allclose(whole.sum(axis=0), 1, rtol=1e-9)
    if fold.folded:
        np.testing.assert_allclose(whole[list(fold.folded)].sum(axis=0), shares[-1], rtol=1e-9)


def test_tables_of_several_columns_fold_on_every_axis_and_single_ones_do_not() -> None:
    folds = (Fold.none(2), Fold(kept=(0, 2), folded=(1, 3), inside=(0.5, 0.5)), Fold.none(3))
    pair = np.arange(12, dtype=np.int64).reshape(4, 3)
    np.testing.assert_array_equal(folded(pair, (1, 2), folds), [[0, 1, 2], [6, 7, 8], [12, 14, 16]])
    np.testing.assert_array_equal(folded(np.array([1, 2, 3, 4]), (0, 1), folds), [1, 3, 6])  # a sign and a list
    np.testing.assert_array_equal(folded(np.array([1, 2, 3, 4]), (1,), folds), [1, 2, 3, 4])


@pytest.mark.parametrize("value", [0, 7, 59])
def test_one_person_moves_one_cell_of_a_folded_table_by_one(value: int) -> None:
    folds = (Fold.of(np.array([500.0, 400, *[0] * 58]), SIGMA, 900.0), Fold.none(3))
    pair = np.random.default_rng(2).integers(0, 9, (60, 3))
    more = pair.copy()
    more[value, 1] += 1
    gap = folded(more, (0, 1), folds) - folded(pair, (0, 1), folds)
    assert np.abs(gap).sum() == gap.sum() == 1


def test_folds_come_from_noisy_single_columns_and_the_number_of_people() -> None:
    counts = np.array([300, 200, *[0] * 58])
    (none, fold) = folds_of({(): (np.array(510), 5.0), (1,): (counts, 10.0)}, (2, 60))
    assert none == Fold.none(2) and fold.kept == (0, 1)
    assert fold == Fold.of(counts.astype(np.float64), 10.0, 510.0)
    assert folds_of({}, (2, 60)) == (Fold.none(2), Fold.none(60))  # not measured: nothing is known, nothing folds


def test_the_contrasts_of_a_folded_column_are_unbiased_independent_and_as_precise_as_stated() -> None:
    """20,000 draws, seeded; 5 standard errors."""
    truth = np.array([900.0, 500.0, 300.0, *[2.0] * 37])
    people = truth.sum()
    fold = Fold(kept=(0, 1, 2), folded=tuple(range(3, 40)), inside=(1 / 37,) * 37)
    random = np.random.default_rng(7)
    rounds, nano_rho = 20_000, 5_000_000  # scale 10
    drawn = []
    for _ in range(rounds):
        values = np.rint(truth + random.normal(0, SIGMA, 40)).astype(np.int64)
        contrasts, precisions = _folded_single(Measurement(clique=(0,), values=values, nano_rho=nano_rho), fold, people)
        drawn.append(contrasts)
    expected = basis(4)[1:] @ np.array([900.0, 500.0, 300.0, 74.0])
    scaled = (np.stack(drawn) - expected) * np.sqrt(precisions)
    assert np.abs(scaled.mean(axis=0)).max() < 5 / math.sqrt(rounds)
    np.testing.assert_allclose(np.cov(scaled.T), np.eye(3), atol=5 * math.sqrt(2 / rounds))
    # told twice, the sum of the 37 is told better than by either: 37 cells, or 3 cells that are not among them
    assert 1 / precisions[-1] < SIGMA**2 * 3 * 4 / 3


def test_the_contrasts_of_a_column_that_folds_further_are_unbiased_independent_and_as_precise_as_stated() -> None:
    """20,000 draws, seeded; 5 standard errors."""
    truth = np.array([30.0, 900.0, 40.0, 500.0, 20.0, *[2.0] * 35])
    people = truth.sum()
    fold = Fold(kept=(1, 3, 0, 2, 4), folded=tuple(range(5, 40)), inside=(1 / 35,) * 35, small=3)
    random = np.random.default_rng(7)
    rounds, nano_rho = 20_000, 5_000_000  # scale 10
    drawn = []
    for _ in range(rounds):
        values = np.rint(truth + random.normal(0, SIGMA, 40)).astype(np.int64)
        contrasts, precisions = _folded_single(Measurement(clique=(0,), values=values, nano_rho=nano_rho), fold, people)
        drawn.append(contrasts)
    expected = basis(6, 2)[1:] @ np.array([900.0, 500.0, 30.0, 40.0, 20.0, 70.0])
    scaled = (np.stack(drawn) - expected) * np.sqrt(precisions)
    assert np.abs(scaled.mean(axis=0)).max() < 5 / math.sqrt(rounds)
    np.testing.assert_allclose(np.cov(scaled.T), np.eye(5), atol=5 * math.sqrt(2 / rounds))


def test_measuring_in_two_stages_folds_by_what_the_first_stage_said() -> None:
    domain = Domain.declare({"place": [f"p{i}" for i in range(59)], "sex": ["f"], "age": ["a", "b"]})
    plan = ReleasePlan.make(domain, epsilon=1, people_cap=1000)
    sizes = domain.sizes
    random = np.random.default_rng(1)
    marginals = [
        Marginal(clique=t.clique, counts=np.array(random.integers(0, 9, signed_shape(t.clique, sizes))))
        for t in plan.tables
    ]
    asked: list[int] = []

    def noisy(flat: np.ndarray, nano_rho: int) -> np.ndarray:
        asked.append(nano_rho)
        return flat + (np.arange(len(flat)) == 5) * 10_000 if len(flat) == 60 else flat  # p4 seems to have many

    measured = in_two_stages(plan, marginals, noisy)
    assert [(m.clique, m.nano_rho) for m in measured] == [(t.clique, t.nano_rho) for t in plan.tables]
    (fold, *_) = stored_folds(measured, sizes)
    assert fold.size == 3 and 5 in fold.kept
    for m, marginal in zip(measured, marginals, strict=True):
        if len(m.clique) > 1:
            np.testing.assert_array_equal(m.values, folded(marginal.counts, m.clique, stored_folds(measured, sizes)))
    first = {t.nano_rho for t in plan.tables if len(t.clique) < 2}
    assert set(asked[: len(first)]) == first  # the first stage has all its noise before the second begins
