"""The honest measures of utility, on tables small enough to work out by hand."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.evaluation.private import Utility, tables, utility

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, People

KNOWN = [np.array([False, True, True]), np.array([False, True, True])]
"""Two columns of three values, the first of each missing."""

Tables = dict[tuple[int, ...], NDArray[np.int64]]

REAL = np.array([[5, 0, 0], [0, 40, 10], [0, 20, 0]])
"""75 people; known combinations: 40, 10, 20 and 0."""


def test_tables_are_those_counted_person_by_person(shelter_people: People, brute: Brute) -> None:
    sizes = (3, 2, 4)
    for length in (1, 2, 3):
        found = tables(shelter_people, sizes, length)
        assert list(found) == list(itertools.combinations(range(3), length))
        for clique, table in found.items():
            np.testing.assert_array_equal(table, brute(shelter_people, clique, sizes))


def _utility(real: NDArray[np.int64], released: NDArray[np.int64]) -> Utility:
    truth: Tables = {(0, 1): real}
    shown: Tables = {(0, 1): released}
    return utility(truth, shown, KNOWN)


@pytest.fixture
def shelter_people() -> People:
    random = np.random.default_rng(1)
    return tuple(random.integers(0, size, 50).astype(np.uint16) for size in (3, 2, 4))


def test_the_real_data_is_perfect() -> None:
    found = _utility(REAL, REAL)
    assert (found.length, found.total_variation, found.mean_error, found.relative_error) == (2, 0, 0, 0)
    assert (found.suppressed, found.fabricated, found.fabricated_shown) == (0, 0, 0)


def test_each_measure_is_what_its_words_say() -> None:
    released = np.array([[5, 0, 0], [0, 30, 0], [0, 25, 15]])
    found = _utility(REAL, released)
    assert found.total_variation == pytest.approx(0.5 * (10 + 10 + 5 + 15) / 75)
    assert found.mean_error == pytest.approx((10 + 10 + 5 + 15) / 4)  # over the union of real and released
    assert found.relative_error == pytest.approx((10 / 40 + 10 / 10 + 5 / 20) / 3)  # real counts of 10 and more
    assert found.suppressed == pytest.approx(1 / 3)  # the 10 is gone
    assert found.fabricated == pytest.approx(1 / 3)  # the 15 is nobody
    assert found.fabricated_shown == pytest.approx(1 / 3)


def test_a_small_fabricated_count_is_not_shown_as_ten() -> None:
    released = np.array([[5, 0, 0], [0, 40, 10], [0, 20, 9]])
    found = _utility(REAL, released)
    assert found.fabricated == pytest.approx(1 / 4)
    assert found.fabricated_shown == 0


def test_hiding_everything_does_not_score_zero() -> None:
    found = _utility(REAL, np.zeros((3, 3), dtype=np.int64))
    assert found.total_variation == pytest.approx(0.5)
    assert found.mean_error == pytest.approx((40 + 10 + 20) / 3)
    assert (found.relative_error, found.suppressed) == (1, 1)


def test_measures_are_means_over_tables() -> None:
    half = np.array([[5, 0, 0], [0, 20, 5], [0, 10, 0]])
    real: Tables = {(0, 1): REAL, (1, 2): REAL}
    released: Tables = {(0, 1): REAL, (1, 2): half}
    both, one = utility(real, released, KNOWN * 2), _utility(REAL, half)
    assert both.total_variation == pytest.approx(one.total_variation / 2)
    assert both.relative_error == pytest.approx(one.relative_error / 2) == pytest.approx(0.25)


def test_nobody_at_all_divides_by_nothing() -> None:
    empty = np.zeros((3, 3), dtype=np.int64)
    found = _utility(empty, empty)
    assert (found.total_variation, found.mean_error, found.relative_error, found.suppressed) == (0, 0, 0, 0)
