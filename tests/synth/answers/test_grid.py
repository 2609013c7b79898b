"""The combination of noisy tables, beside generalised least squares written out with matrices, and beside what simulations scatter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from casesynth.answers.grid import Floats, GridError, GridTable, Use, combine

SIZES = (3, 4, 2)
RANDOM = np.random.default_rng(8)


def _matrix(sizes: Sequence[int], uses: Sequence[Use]) -> Floats:
    """The linear map of a table: cells of the grid to cells of the table."""
    found = np.ones((1, 1))
    for size, use in zip(sizes, uses, strict=True):
        part = {"whole": np.eye(size), "sum": np.ones((1, size)), "sign": np.array([[-1.0, 1.0]])}[use]
        found = np.kron(found, part)
    return found


def _cases() -> list[list[tuple[tuple[Use, ...], float]]]:
    kinds: list[tuple[Use, ...]] = [
        ("whole", "whole", "sum"),
        ("whole", "sum", "sum"),
        ("sum", "whole", "sum"),
        ("whole", "whole", "sign"),
        ("sum", "sum", "sign"),
        ("sum", "sum", "sum"),
        ("whole", "whole", "whole"),
        ("whole", "sum", "sign"),
    ]
    return [
        [(kinds[0], 4.0), (kinds[3], 9.0)],
        [(kinds[0], 4.0), (kinds[3], 9.0), (kinds[1], 1.0), (kinds[2], 2.0), (kinds[5], 0.5)],
        [(kinds[6], 3.0), (kinds[4], 1.0), (kinds[7], 7.0)],
        [(kinds[6], 3.0), (kinds[6], 1.0), (kinds[0], 2.0), (kinds[0], 20.0)],
        [(kind, 1.0 + place) for place, kind in enumerate(kinds)],
    ]


@pytest.mark.parametrize("tables", _cases())
def test_the_estimate_and_its_covariances_are_those_of_generalised_least_squares(
    tables: list[tuple[tuple[Use, ...], float]],
) -> None:
    truth = RANDOM.integers(0, 100, math.prod(SIZES)).astype(float)
    design = [_matrix(SIZES, uses) for uses, _ in tables]
    noisy = [
        matrix @ truth + RANDOM.normal(0, math.sqrt(variance), len(matrix))
        for matrix, (_, variance) in zip(design, tables, strict=True)
    ]
    information = sum(
        (matrix.T @ matrix / variance for matrix, (_, variance) in zip(design, tables, strict=True)),
        np.zeros((truth.size, truth.size)),
    )
    score = sum(
        (matrix.T @ values / variance for matrix, values, (_, variance) in zip(design, noisy, tables, strict=True)),
        np.zeros(truth.size),
    )
    covariance = np.linalg.pinv(information)
    expected = covariance @ score
    shapes = [[size for size, use in zip(SIZES, uses, strict=True) if use == "whole"] for uses, _ in tables]
    found = combine(
        SIZES,
        [
            GridTable(uses=uses, values=values.reshape(shape), variance=variance)
            for (uses, variance), values, shape in zip(tables, noisy, shapes, strict=True)
        ],
    )
    one = [RANDOM.normal(size=(3, size)) for size in SIZES[:2]] + [np.array([[0.0, 1.0], [1.0, 1.0]])]
    other = [RANDOM.normal(size=(3, size)) for size in SIZES[:2]] + [np.array([[1.0, 1.0], [0.0, 1.0]])]
    rows = [np.kron(np.kron(a, b), c) for a, b, c in itertools.product(*one)]
    others = [np.kron(np.kron(a, b), c) for a, b, c in itertools.product(*other)]
    np.testing.assert_allclose(found.values(one).ravel(), [row @ expected for row in rows], atol=1e-8)
    np.testing.assert_allclose(found.covariance(one, one).ravel(), [r @ covariance @ r for r in rows], atol=1e-8)
    np.testing.assert_allclose(
        found.covariance(one, other).ravel(),
        [a @ covariance @ b for a, b in zip(rows, others, strict=True)],
        atol=1e-8,
    )


def test_totals_and_parts_agree_and_a_second_table_never_makes_a_number_less_exact() -> None:
    first = GridTable(uses=("whole", "whole"), values=RANDOM.normal(50, 9, (3, 4)), variance=81.0)
    margin = GridTable(uses=("whole", "sum"), values=RANDOM.normal(200, 4, 3), variance=16.0)
    cells, totals = [np.eye(3), np.eye(4)], [np.eye(3), np.ones((1, 4))]
    alone, both = combine((3, 4), [first]), combine((3, 4), [first, margin])
    np.testing.assert_allclose(both.values(cells).sum(axis=1, keepdims=True), both.values(totals))
    for family in (cells, totals):
        assert np.all(both.covariance(family, family) <= alone.covariance(family, family))
    assert both.covariance(totals, totals)[0, 0] == pytest.approx(1 / (1 / 16 + 1 / (4 * 81)))


def test_what_no_table_tells_is_refused() -> None:
    found = combine((3, 4), [GridTable(uses=("whole", "sum"), values=None, variance=1.0)])
    assert found.covariance([np.eye(3), np.ones((1, 4))], [np.eye(3), np.ones((1, 4))]).shape == (3, 1)
    with pytest.raises(GridError):
        found.covariance([np.eye(3), np.eye(4)], [np.eye(3), np.eye(4)])
