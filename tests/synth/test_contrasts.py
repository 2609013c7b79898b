"""Noisy tables combined into independent contrasts: exact without noise, unbiased with it, and as precise as they say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.contrasts import Contrasts, Layout, basis, combine
from casesynth.folds import folded, stored_folds
from casesynth.marginals import signed_shape
from casesynth.measure import Measurement

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, Exact, People

SIZES = (3, 2, 5, 2, 2, 4, 2)
CLIQUES: list[tuple[int, ...]] = [
    (),
    *itertools.combinations(range(7), 1),
    *itertools.combinations(range(7), 2),
    (0, 2, 5),  # no sign
    (0, 1, 2),  # one sign
    (1, 2, 5),
    (2, 3, 5),
    (0, 1, 3),  # two signs
    (1, 3, 5),
    (1, 3, 4),  # three signs: one number
    (3, 4, 6),
]
RHOS = {0: 90, 1: 150, 2: 400, 3: 700}
"""Nano-rho per table by its length: small shares, so that noise of about a thousand people dwarfs the rounding."""

ROUNDS = 1500


@pytest.fixture(scope="module")
def people() -> People:
    random = np.random.default_rng(8)
    skewed = [np.minimum(random.geometric(0.4, 300) - 1, size - 1) for size in SIZES]
    return tuple(column.astype(np.uint16) for column in skewed)


def _measured(columns: Sequence[int]) -> bool:
    return tuple(sorted(columns)) in CLIQUES


def _signs(columns: Sequence[int]) -> set[int]:
    return {i for i in columns if SIZES[i] == 2}


@pytest.mark.parametrize("size", [2, 3, 7, 250])
def test_the_basis_is_orthonormal_and_only_its_first_row_is_not_centred(size: int) -> None:
    rows = basis(size)
    np.testing.assert_allclose(rows @ rows.T, np.eye(size), atol=1e-12)
    np.testing.assert_allclose(rows.sum(axis=1), [math.sqrt(size)] + [0] * (size - 1), atol=1e-12)


def test_columns_are_laid_out_by_size_and_rows_exist_for_measured_triples_only() -> None:
    layout = Layout.make(SIZES, CLIQUES)
    assert layout.order == (1, 3, 4, 6, 0, 5, 2)
    assert layout.sizes == (2, 2, 2, 2, 3, 4, 5)
    assert layout.offsets == (0, 1, 2, 3, 4, 6, 9)
    assert layout.features == 1 + 1 + 1 + 1 + 2 + 3 + 4
    triples = [clique for clique in CLIQUES if len(clique) == 3]
    smaller = {tuple(sorted(sorted(layout.order.index(c) for c in triple)[:2])) for triple in triples}
    assert set(layout.row_offsets) == smaller
    assert layout.rows == sum((layout.sizes[a] - 1) * (layout.sizes[b] - 1) for a, b in smaller)


def test_without_triples_there_are_no_rows() -> None:
    layout = Layout.make((3, 4), [(0,), (1,), (0, 1)])
    assert (layout.rows, layout.row_offsets) == (0, {})


def test_without_noise_every_measured_table_and_all_its_margins_come_back(
    people: People, exact: Exact, brute: Brute
) -> None:
    contrasts = combine(exact(people, CLIQUES, SIZES, 10**6), SIZES)
    assert contrasts.people == pytest.approx(300, abs=1e-9)
    for length in (1, 2, 3):
        for columns in itertools.permutations(range(7), length):
            table = contrasts.table(columns)
            if not _measured(columns):
                assert table is None
                continue
            assert table is not None
            np.testing.assert_allclose(table, brute(people, columns, SIZES), atol=1e-8, err_msg=str(columns))


def test_one_column_alone_comes_back(exact: Exact) -> None:
    alone = (np.array([0, 1, 1, 2, 2, 2], dtype=np.uint16),)
    table = combine(exact(alone, [(0,)], (4,), 10**6), (4,)).table([0])
    assert table is not None
    np.testing.assert_allclose(table, [1, 2, 3, 0], atol=1e-12)


def test_one_flag_alone_comes_back_from_the_number_of_people_and_their_signs(exact: Exact) -> None:
    alone = (np.array([0, 1, 1, 0, 1, 1], dtype=np.uint16),)
    table = combine(exact(alone, [(), (0,)], (2,), 10**6), (2,)).table([0])
    assert table is not None
    np.testing.assert_allclose(table, [2, 4], atol=1e-12)


@pytest.mark.parametrize("columns", [*((i,) for i in range(7)), *itertools.permutations(range(7), 2)])
def test_contrasts_of_a_column_or_pair_are_its_counts_in_the_basis(
    people: People, exact: Exact, brute: Brute, columns: tuple[int, ...]
) -> None:
    contrasts = combine(exact(people, CLIQUES, SIZES, 10**6), SIZES)
    expected = brute(people, columns, SIZES).astype(np.float64)
    for axis, column in enumerate(columns):
        expected = np.moveaxis(np.tensordot(expected, basis(SIZES[column])[1:], axes=(axis, 1)), -1, axis)
    values, precisions = contrasts.of(columns)
    assert values.shape == precisions.shape == tuple(SIZES[i] - 1 for i in columns)
    np.testing.assert_allclose(values, expected, atol=1e-9)
    assert np.ptp(precisions) == 0 and precisions.min() > 0
    assert precisions.flat[0] == pytest.approx(contrasts.of(columns[::-1])[1].flat[0])


def _noisy(random: np.random.Generator) -> list[Measurement]:
    """Return tables of nobody: noise alone, of the scale that each table's share buys."""
    measured = []
    for clique in CLIQUES:
        rho = RHOS[len(clique)]
        noise = random.standard_normal(signed_shape(clique, SIZES)) * math.sqrt(1e9 / (2 * rho))
        measured.append(Measurement(clique=clique, values=np.rint(noise).astype(np.int64), nano_rho=rho))
    return measured


def _weighted(contrasts: Contrasts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return every contrast that carries weight, and its precision."""
    c = np.concatenate([[contrasts.people], contrasts.c1, contrasts.c2.ravel(), contrasts.c3.ravel()])
    q = np.concatenate([[1 / contrasts.people_variance], contrasts.q1, contrasts.q2.ravel(), contrasts.q3.ravel()])
    return c[q > 0], q[q > 0]


@pytest.fixture(scope="module")
def drawn() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Contrasts over many rounds of noise, in units of the standard error they claim; and their precisions."""
    random = np.random.default_rng(77)
    rounds = [_weighted(combine(_noisy(random), SIZES)) for _ in range(ROUNDS)]
    precision = rounds[0][1]
    return np.stack([c for c, _ in rounds]) * np.sqrt(precision), precision


def test_combined_noise_is_centred_at_zero(drawn: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    # standard errors of a mean; 6 of them: false alarm 2e-9 for each of 145 numbers
    assert np.abs(drawn[0].mean(axis=0)).max() < 6 / math.sqrt(ROUNDS)


def test_the_stated_precision_is_the_real_one(drawn: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    # a variance estimated from n rounds has relative standard error sqrt(2 / n); 6 of them, as above
    assert np.abs(drawn[0].var(axis=0) - 1).max() < 6 * math.sqrt(2 / ROUNDS)


def test_contrasts_of_different_sets_of_columns_are_uncorrelated(
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    correlation = np.corrcoef(drawn[0].T) - np.eye(drawn[0].shape[1])
    assert np.abs(correlation).max() < 6.5 / math.sqrt(ROUNDS)  # false alarm 8e-11 for each of some 10,000 pairs


def test_precision_is_the_sum_over_the_tables_with_the_same_signs_that_hold_the_columns() -> None:
    contrasts = combine(_noisy(np.random.default_rng(1)), SIZES)
    layout = contrasts.layout
    blocks = {
        column: slice(layout.offsets[place], layout.offsets[place] + SIZES[column] - 1)
        for place, column in enumerate(layout.order)
    }

    def expected(columns: Sequence[int]) -> float:
        holding = [c for c in CLIQUES if set(columns) <= set(c) and _signs(columns) == _signs(c)]
        rest = [math.prod(SIZES[i] for i in clique if i not in columns) for clique in holding]
        alone = sum(2 * RHOS[len(clique)] / 1e9 / cells for clique, cells in zip(holding, rest, strict=True))
        # a sign is +1 or -1, the contrast of a flag +1 or -1 over the root of two: half the variance for each
        return float(2 ** len(_signs(columns)) * alone)

    assert 1 / contrasts.people_variance == pytest.approx(expected(()), rel=1e-9)
    for column, block in blocks.items():
        np.testing.assert_allclose(contrasts.q1[block], expected([column]), rtol=1e-9)
    weight = 0.0
    for a, b in itertools.combinations(layout.order, 2):
        np.testing.assert_allclose(contrasts.q2[blocks[a], blocks[b]], expected([a, b]), rtol=1e-9)
        assert not contrasts.q2[blocks[b], blocks[a]].any()  # every pair counts once
        weight += expected([a, b]) * (SIZES[a] - 1) * (SIZES[b] - 1)
    assert contrasts.q2.sum() == pytest.approx(weight, rel=1e-9)
    triples = [sorted(t, key=layout.order.index) for t in itertools.combinations(range(7), 3) if _measured(t)]
    for a, b, c in triples:
        row = layout.row_offsets[layout.order.index(a), layout.order.index(b)]
        rows = slice(row, row + (SIZES[a] - 1) * (SIZES[b] - 1))
        np.testing.assert_allclose(contrasts.q3[rows, blocks[c]], expected([a, b, c]), rtol=1e-9)
    cells = [expected(t) * math.prod(SIZES[i] - 1 for i in t) for t in triples]
    assert contrasts.q3.sum() == pytest.approx(sum(cells), rel=1e-9)


def test_order_of_the_tables_does_not_matter(people: People, exact: Exact) -> None:
    measured = exact(people, CLIQUES, SIZES, 10**6)
    one, other = combine(measured, SIZES), combine(measured[::-1], SIZES)
    for a, b in zip(_weighted(one), _weighted(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_thinning_gives_two_uncorrelated_parts_of_four_fifths_and_one_fifth_of_the_precision() -> None:
    random = np.random.default_rng(4)
    sizes = (40, 41, 42)
    empty = combine(
        [
            Measurement(clique=c, values=np.zeros([sizes[i] for i in c], dtype=np.int64), nano_rho=10**6)
            for c in ((0, 1), (0, 2), (1, 2), (0, 1, 2))
        ],
        sizes,
    )
    noise = random.standard_normal(empty.c3.shape) / np.sqrt(np.where(empty.q3 > 0, empty.q3, 1.0))
    fit, check = replace(empty, c3=noise).thinned(np.random.default_rng(5))
    np.testing.assert_allclose(fit.q3, empty.q3 / 1.25)
    np.testing.assert_allclose(check.q3, empty.q3 / 5)
    used = empty.q3 > 0
    a, b = fit.c3[used] * np.sqrt(fit.q3[used]), check.c3[used] * np.sqrt(check.q3[used])
    cells = a.size
    assert cells == 39 * 40 * 41
    # standard errors: 1 / sqrt(n) of a correlation, sqrt(2 / n) of a variance; 6 of them: false alarm 1e-8
    assert abs(float((a * b).mean())) < 6 / math.sqrt(cells)
    for part in (a, b):
        assert abs(float((part**2).mean()) - 1) < 6 * math.sqrt(2 / cells)


def test_thinning_keeps_the_truth_in_both_parts(people: People, exact: Exact) -> None:
    contrasts = combine(exact(people, CLIQUES, SIZES, 10**15), SIZES)  # next to no noise to add
    for part in contrasts.thinned(np.random.default_rng(6)):
        assert part.people == contrasts.people
        for name in ("c1", "c2", "c3"):
            weight = getattr(part, name.replace("c", "q")) > 0
            np.testing.assert_allclose(getattr(part, name)[weight], getattr(contrasts, name)[weight], atol=0.1)


LISTED = np.array([30.0, 900.0, 40.0, 500.0, 700.0, *[0.5] * 55])
"""People by value of a long list; at a scale of 10 three values are large, two small, and the others fold."""


def _broad(random: np.random.Generator | None = None) -> tuple[Contrasts, np.ndarray]:
    """Return contrasts of a list of sixty values and two flags, measured with noise of scale 10 or none, and the exact plain table."""
    sizes = (60, 2, 2)
    exact = np.random.default_rng(1).poisson(LISTED[:, None, None] * np.array([[0.4, 0.1], [0.2, 0.3]]))
    measured: list[Measurement] = []
    for clique in [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]:
        signed = exact.astype(np.int64)
        for column in (2, 1):  # the last axis each time
            signed = signed[..., 0] - signed[..., 1] if column in clique else signed.sum(axis=-1)
        values = signed if 0 in clique else signed.sum(axis=0)
        values = np.asarray(folded(values, clique, stored_folds(measured, sizes)) if len(clique) > 1 else values)
        if random is not None and len(clique) > 2:
            values = values + np.rint(random.normal(0, 10, values.shape)).astype(np.int64)
        measured.append(Measurement(clique=clique, values=values, nano_rho=5_000_000))
    return combine(measured, sizes), exact


def test_a_triple_whose_list_folds_further_tells_its_large_values_exactly() -> None:
    contrasts, exact = _broad()
    (fold, _, _) = contrasts.folds
    assert fold.kept == (1, 3, 4, 0, 2) and (fold.small, fold.large) == (2, 3)
    triple = contrasts.table((0, 1, 2))
    assert triple is not None
    np.testing.assert_allclose(triple[[1, 3, 4]], exact[[1, 3, 4]], atol=1e-6)
    assert np.isnan(np.delete(triple, [1, 3, 4], axis=0)).all()
    pair = contrasts.table((1, 0))
    assert pair is not None
    np.testing.assert_allclose(pair[:, list(fold.kept)], exact.sum(axis=2).T[:, list(fold.kept)], atol=1e-6)
    assert np.isnan(np.delete(pair, fold.kept, axis=1)).all()


def test_the_noise_of_such_a_triple_is_as_stated_and_independent() -> None:
    """1,500 draws, seeded; 5 standard errors."""
    rounds = 1500
    random = np.random.default_rng(2)
    still, _ = _broad()
    told = still.q3 > 0
    assert told.sum() == 3  # large values against each other, and against the rest
    scaled = np.stack([((_broad(random)[0].c3 - still.c3) * np.sqrt(still.q3))[told] for _ in range(rounds)])
    np.testing.assert_allclose(np.cov(scaled.T), np.eye(3), atol=5 * math.sqrt(2 / rounds))
