"""Swapping values between records of one class changes nothing that a class says, and brings pairs closer to the model."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.balance import balance

SIZES = (4, 3, 5)


def _placed(
    rows: int, seed: int
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64], list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return records placed at random inside three classes, their classes, shares and weights."""
    random = np.random.default_rng(seed)
    shares = [random.dirichlet(np.ones(size), size=3).T for size in SIZES]
    classes = np.sort(random.integers(0, 3, rows))
    records = []
    for part in shares:
        column = np.zeros(rows, dtype=np.int64)
        for k in range(3):
            own = np.flatnonzero(classes == k)
            edges = np.rint(
                np.cumsum(part[:, k]) * len(own)
            )  # as many of each value as the class says, in random places
            column[random.permutation(own)] = np.searchsorted(edges, np.arange(len(own)), side="right")
        records.append(column)
    return records, classes, shares, np.bincount(classes, minlength=3) / max(rows, 1)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 50, 601])
def test_every_column_keeps_its_counts_in_every_class(rows: int) -> None:
    records, classes, shares, weights = _placed(rows, seed=rows)
    before = [column.copy() for column in records]
    after = balance(records, classes, shares, weights, np.random.default_rng(1))
    for one, other in zip(before, after, strict=True):
        for k in range(3):
            np.testing.assert_array_equal(np.sort(one[classes == k]), np.sort(other[classes == k]))


def test_pairs_come_closer_to_the_model() -> None:
    records, classes, shares, weights = _placed(3000, seed=7)
    expected = [(a, b, (shares[a] * weights * 3000) @ shares[b].T) for a, b in ((0, 1), (0, 2), (1, 2))]

    def distance(columns: list[NDArray[np.int64]]) -> float:
        total = 0.0
        for a, b, model in expected:
            found = np.zeros(model.shape)
            np.add.at(found, (columns[a], columns[b]), 1)
            total += float(np.abs(found - model).sum())
        return total

    after = balance(records, classes, shares, weights, np.random.default_rng(1))
    assert distance(after) < 0.5 * distance(_placed(3000, seed=7)[0])


def test_one_column_is_left_as_it_is() -> None:
    records, classes, shares, weights = _placed(50, seed=2)
    (after,) = balance(records[:1], classes, shares[:1], weights, np.random.default_rng(1))
    np.testing.assert_array_equal(after, records[0])
