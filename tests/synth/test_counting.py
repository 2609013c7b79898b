"""Exact counting, of plain and of signed tables, against brute force, person by person."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from casesynth.counting import count, count_signed
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.marginals import Marginal, axes_of, signed_shape, signs_of
from casesynth.persons import PersonTableBuilder

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, People

Counting = Callable[..., list[Marginal]]

BOTH = pytest.mark.parametrize("counting", [count, count_signed])


def _population(sizes: tuple[int, ...], people: int, seed: int) -> People:
    random = np.random.default_rng(seed)
    return tuple(random.integers(0, size, people).astype(np.uint16) for size in sizes)


def _cliques(columns: int, shortest: int = 0) -> list[tuple[int, ...]]:
    """Return every set of at most three columns."""
    return [c for length in range(shortest, 4) for c in itertools.combinations(range(columns), length)]


def _asked(counting: Counting, sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return _cliques(len(sizes), shortest=1 if counting is count else 0)


def test_the_five_row_table_has_6_singles_8_pairs_and_3_triples() -> None:
    rows = ["a1 b1 c1", "a1 b2 c1", "a2 - c2", "a2 b2 c1", "a1 b2 -"]
    cells = [["" if cell == "-" else cell for cell in row.split()] for row in rows]
    domain = Domain.declare({name: [f"{name}1", f"{name}2"] for name in "abc"})
    builder = PersonTableBuilder(domain)
    builder.add(encode(pd.DataFrame(cells, columns=list("abc")), domain, person=None))
    people = builder.build(people_cap=5)
    found: Counter[int] = Counter()
    total = 0
    for marginal in count(people.batches(), _cliques(3, shortest=1), domain.sizes):
        known = marginal.counts[(slice(1, None),) * len(marginal.clique)]
        found[len(marginal.clique)] += int((known > 0).sum())
        total += int((known > 0).sum())
    assert (dict(found), total) == ({1: 6, 2: 8, 3: 3}, 17)


def test_signs_of_four_people_are_added_by_hand() -> None:
    flag, other, place = ([0, 0, 1, 1], [0, 1, 1, 1], [2, 0, 2, 2])
    people = tuple(np.array(column, dtype=np.uint16) for column in (flag, other, place))
    cliques = [(), (0,), (1,), (0, 1), (2,), (0, 2), (1, 2), (0, 1, 2)]
    found = [marginal.counts.tolist() for marginal in count_signed([people], cliques, (2, 2, 3))]
    assert found[:4] == [4, 0, -2, 2]  # numbers, not tables: 4 people; 1 1 -1 -1; 1 -1 -1 -1; 1 -1 1 1
    assert found[4:] == [[1, 0, 3], [1, 0, -1], [-1, 0, -1], [-1, 0, 3]]


@pytest.mark.parametrize("seed", range(4))
def test_every_table_is_the_brute_force_table(brute: Brute, seed: int) -> None:
    sizes = (2, 3, 2, 4, 2, 2, 2, 5)
    people = _population(sizes, 60, seed)
    for marginal in count([people], _cliques(8, shortest=1), sizes):
        assert marginal.counts.dtype == np.int64
        np.testing.assert_array_equal(marginal.counts, brute(people, marginal.clique, sizes), str(marginal.clique))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [(2, 3, 2, 4, 2, 5, 2), (2, 2, 2, 2), (3, 1, 5, 4), (2,), (7,)])
def test_every_signed_table_is_the_brute_force_table(brute_signed: Brute, sizes: tuple[int, ...], seed: int) -> None:
    people = _population(sizes, 60, seed)
    cliques = _cliques(len(sizes))
    for marginal in count_signed([people], cliques, sizes):
        expected = brute_signed(people, marginal.clique, sizes)
        assert marginal.counts.dtype == np.int64
        assert marginal.counts.shape == expected.shape
        np.testing.assert_array_equal(marginal.counts, expected, str(marginal.clique))


def test_the_signed_tables_compared_are_of_every_kind() -> None:
    sizes = (2, 3, 2, 4, 2, 5, 2)
    kinds = {(len(signs_of(c, sizes)), len(axes_of(c, sizes))) for c in _cliques(7)}
    assert kinds == {(signs, axes) for signs in range(4) for axes in range(4) if signs + axes <= 3}


@pytest.mark.parametrize("clique", [(), (1,), (3,), (0, 2), (1, 2), (1, 3), (0, 2, 4), (0, 1, 2), (0, 1, 3), (1, 3, 5)])
def test_a_signed_table_is_the_same_alone_and_among_others(brute_signed: Brute, clique: tuple[int, ...]) -> None:
    sizes = (2, 3, 2, 4, 2, 5)
    people = _population(sizes, 80, 3)
    (alone,) = count_signed([people], [clique], sizes)
    np.testing.assert_array_equal(alone.counts, brute_signed(people, clique, sizes))


def test_signed_tables_of_fifty_seven_skewed_binary_columns_are_exact(brute_signed: Brute) -> None:
    random = np.random.default_rng(5)
    sizes = (2,) * 57 + (30,)
    people = tuple((random.random(700) < share).astype(np.uint16) for share in np.linspace(0.001, 0.999, 57))
    people = (*people, random.integers(0, 30, 700).astype(np.uint16) // 2)  # half of the places are empty
    found = count_signed([people], _cliques(58), sizes)
    assert len(found) == 1 + 58 + 1653 + 30856
    for marginal in found[::173]:
        np.testing.assert_array_equal(marginal.counts, brute_signed(people, marginal.clique, sizes))


def test_many_people_in_one_cell_are_counted_exactly() -> None:
    sizes, people = (2, 2, 2, 2, 3), 200_003
    columns = tuple(np.full(people, size - 1, dtype=np.uint16) for size in sizes)
    for marginal in count([columns], _cliques(5, shortest=1), sizes):
        assert marginal.counts.ravel()[-1] == marginal.counts.sum() == people
    for marginal in count_signed([columns], _cliques(5), sizes):
        last = marginal.counts.ravel()[-1]
        assert last == marginal.counts.sum() == people * (-1) ** len(signs_of(marginal.clique, sizes))


def test_more_people_in_one_batch_than_single_precision_counts_are_exact() -> None:
    people = (1 << 24) + 3
    flag = np.ones(people, dtype=np.uint16)
    flag[-2:] = 0
    place = np.full(people, 2, dtype=np.uint16)
    place[0] = 0
    columns, sizes = (flag, place), (2, 3)
    (plain,) = count([columns], [(0, 1)], sizes)
    assert plain.counts.tolist() == [[0, 0, 2], [1, 0, people - 3]]
    number, by_flag, by_place, both = count_signed([columns], [(), (0,), (1,), (0, 1)], sizes)
    assert [number.counts.tolist(), by_flag.counts.tolist()] == [people, 2 - (people - 2)]
    assert by_place.counts.tolist() == [1, 0, people - 1]
    assert both.counts.tolist() == [-1, 0, 2 - (people - 3)]
    same = (flag, flag, flag)
    pair, triple = count_signed([same], [(0, 1), (0, 1, 2)], (2, 2, 2))
    assert [pair.counts.tolist(), triple.counts.tolist()] == [people, 2 - (people - 2)]


@BOTH
@pytest.mark.parametrize("rows", [1, 7, 59, 60, 1000])
def test_batches_do_not_matter(counting: Counting, rows: int) -> None:
    sizes = (2, 3, 2, 2, 2, 4)
    people = _population(sizes, 60, 9)
    batches = [tuple(c[start : start + rows] for c in people) for start in range(0, 60, rows)]
    cliques = _asked(counting, sizes)
    for whole, parts in zip(counting([people], cliques, sizes), counting(batches, cliques, sizes), strict=True):
        np.testing.assert_array_equal(whole.counts, parts.counts)


@BOTH
def test_no_people_give_zeros_of_the_public_shape(counting: Counting) -> None:
    sizes = (2, 3, 2, 2, 2)
    empty: People = tuple(np.zeros(0, dtype=np.uint16) for _ in sizes)
    no_batch: list[People] = []
    for batches in ([empty], no_batch, [empty, empty]):
        for marginal in counting(batches, _asked(counting, sizes), sizes):
            plain = tuple(sizes[i] for i in marginal.clique)
            assert marginal.counts.shape == (plain if counting is count else signed_shape(marginal.clique, sizes))
            assert marginal.counts.dtype == np.int64
            assert not marginal.counts.any()


@BOTH
def test_tables_come_in_the_order_asked_for(counting: Counting) -> None:
    sizes = (2, 2, 2, 2, 3)
    asked = [(1, 4), (0, 1, 2), (2,), (0, 1, 4), (0,), (0, 1)]
    assert [m.clique for m in counting([_population(sizes, 5, 1)], asked, sizes)] == asked


@BOTH
def test_a_clique_asked_for_twice_is_counted_once(counting: Counting) -> None:
    sizes = (2, 3)
    for clique in ((0,), (0, 1)):
        one, two = counting([_population(sizes, 30, 1)], [clique, clique], sizes)
        np.testing.assert_array_equal(one.counts, two.counts)
        np.testing.assert_array_equal(one.counts, counting([_population(sizes, 30, 1)], [clique], sizes)[0].counts)


@BOTH
@pytest.mark.parametrize("clique", [(0, 1, 2, 3), (0, 1, 2, 4), (0, 1, 2, 3, 5)])
def test_tables_of_four_and_more_columns_are_refused(counting: Counting, clique: tuple[int, ...]) -> None:
    sizes = (2, 2, 2, 2, 3, 2)
    with pytest.raises(ValueError, match="3 columns"):
        counting([_population(sizes, 5, 1)], [(0,), clique], sizes)


def test_a_plain_table_of_no_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 3 columns"):
        count([_population((2,), 5, 1)], [()], (2,))


@BOTH
def test_a_value_beyond_the_list_is_not_counted_as_another(counting: Counting) -> None:
    columns: list[NDArray[np.uint16]] = [np.array([0, 3], dtype=np.uint16), np.array([0, 0], dtype=np.uint16)]
    with pytest.raises(ValueError):
        counting([tuple(columns)], [(0,)], (3, 2))


@pytest.mark.parametrize("code", [2, 3, 65535])
@pytest.mark.parametrize("clique", [(1,), (0, 1), (1, 2), (0, 1, 2)])
def test_a_code_beyond_two_values_is_no_sign(clique: tuple[int, ...], code: int) -> None:
    people = tuple(np.array(column, dtype=np.uint16) for column in ([0, 2], [0, code], [1, 0]))
    with pytest.raises(ValueError, match="column 1 holds a code beyond its two values"):
        count_signed([people], [clique], (3, 2, 2))


class _CancelledError(Exception):
    pass


@BOTH
@pytest.mark.parametrize("clique", [(0,), (4,), (0, 4), (0, 1, 2), (0, 1, 4)])
def test_raising_from_the_check_cancels(counting: Counting, clique: tuple[int, ...]) -> None:
    def cancel() -> None:
        raise _CancelledError

    sizes = (2, 2, 2, 2, 3)
    with pytest.raises(_CancelledError):
        counting([_population(sizes, 5, 1)], [clique], sizes, check=cancel)


def test_the_check_is_called_between_tables() -> None:
    sizes, calls = (2, 3, 4, 5), []
    count_signed([_population(sizes, 5, 1)], _cliques(4), sizes, check=lambda: calls.append(1))
    assert len(calls) == 1 + 3 + 3 + 1  # once for each set of axes


def test_a_batch_longer_than_what_is_counted_at_a_time_is_counted_whole() -> None:
    people = 600_011
    random = np.random.default_rng(4)
    columns = tuple(random.integers(0, size, people).astype(np.uint8) for size in (3, 2))
    expected = np.bincount(columns[0].astype(np.int64) * 2 + columns[1], minlength=6).reshape(3, 2)
    (plain,) = count([columns], [(0, 1)], (3, 2))
    (signed,) = count_signed([columns], [(0, 1)], (3, 2))
    np.testing.assert_array_equal(plain.counts, expected)
    np.testing.assert_array_equal(signed.counts, expected[:, 0] - expected[:, 1])
