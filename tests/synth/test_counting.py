"""Exact counting against brute force, person by person."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from casesynth.counting import count
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.persons import PersonTableBuilder

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, People


def _population(sizes: tuple[int, ...], people: int, seed: int) -> People:
    random = np.random.default_rng(seed)
    return tuple(random.integers(0, size, people).astype(np.uint16) for size in sizes)


def _all_cliques(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return every set of one to three columns, and every four binary columns."""
    columns = range(len(sizes))
    cliques = [c for length in (1, 2, 3) for c in itertools.combinations(columns, length)]
    return cliques + list(itertools.combinations([i for i in columns if sizes[i] == 2], 4))


def test_the_five_row_table_has_6_singles_8_pairs_and_3_triples() -> None:
    rows = ["a1 b1 c1", "a1 b2 c1", "a2 - c2", "a2 b2 c1", "a1 b2 -"]
    cells = [["" if cell == "-" else cell for cell in row.split()] for row in rows]
    domain = Domain.declare({name: [f"{name}1", f"{name}2"] for name in "abc"})
    builder = PersonTableBuilder(domain)
    builder.add(encode(pd.DataFrame(cells, columns=list("abc")), domain, person=None))
    people = builder.build(people_cap=5)
    found: Counter[int] = Counter()
    total = 0
    for marginal in count(people.batches(), _all_cliques(domain.sizes), domain.sizes):
        known = marginal.counts[(slice(1, None),) * len(marginal.clique)]
        found[len(marginal.clique)] += int((known > 0).sum())
        total += int((known > 0).sum())
    assert (dict(found), total) == ({1: 6, 2: 8, 3: 3}, 17)


@pytest.mark.parametrize("seed", range(4))
def test_every_table_is_the_brute_force_table(brute: Brute, seed: int) -> None:
    sizes = (2, 3, 2, 4, 2, 2, 2, 5)
    people = _population(sizes, 60, seed)
    for marginal in count([people], _all_cliques(sizes), sizes):
        assert marginal.counts.dtype == np.int64
        np.testing.assert_array_equal(marginal.counts, brute(people, marginal.clique, sizes), str(marginal.clique))


def test_quadruples_of_skewed_and_repeated_people_are_exact(brute: Brute) -> None:
    random = np.random.default_rng(5)
    sizes = (2,) * 11  # more than one packed byte
    shares = np.linspace(0.02, 0.98, 11)
    people = tuple((random.random(3000) < share).astype(np.uint16) for share in shares)
    cliques = list(itertools.combinations(range(11), 4))
    for marginal in count([people], cliques, sizes)[::7]:
        np.testing.assert_array_equal(marginal.counts, brute(people, marginal.clique, sizes))


@pytest.mark.parametrize("columns", [7, 8, 9, 63, 64, 65])
def test_any_number_of_binary_columns_is_packed_without_loss(brute: Brute, columns: int) -> None:
    sizes = (2,) * columns
    people = _population(sizes, 40, columns)
    last = columns - 1
    cliques = [
        (0, 1, 2, last),
        (0, columns // 2, last - 1, last),
        *((i, i + 1, i + 2, i + 3) for i in range(columns - 3)),
    ]
    for marginal in count([people], cliques, sizes):
        np.testing.assert_array_equal(marginal.counts, brute(people, marginal.clique, sizes))


def test_many_people_in_one_cell_are_counted_exactly() -> None:
    sizes, people = (2, 2, 2, 2, 3), 200_003
    columns = tuple(np.full(people, size - 1, dtype=np.uint16) for size in sizes)
    for marginal in count([columns], _all_cliques(sizes), sizes):
        assert marginal.counts.ravel()[-1] == marginal.counts.sum() == people


def test_more_people_in_one_batch_than_single_precision_counts_are_exact() -> None:
    people = (1 << 24) + 3
    column = np.ones(people, dtype=np.uint16)
    column[-2:] = 0
    (marginal,) = count([(column,) * 4], [(0, 1, 2, 3)], (2,) * 4)
    assert (marginal.counts[0, 0, 0, 0], marginal.counts[1, 1, 1, 1]) == (2, people - 2)
    assert marginal.counts.sum() == people


@pytest.mark.parametrize("rows", [1, 7, 59, 60, 1000])
def test_batches_do_not_matter(rows: int) -> None:
    sizes = (2, 3, 2, 2, 2, 4)
    people = _population(sizes, 60, 9)
    batches = [tuple(c[start : start + rows] for c in people) for start in range(0, 60, rows)]
    cliques = _all_cliques(sizes)
    for whole, parts in zip(count([people], cliques, sizes), count(batches, cliques, sizes), strict=True):
        np.testing.assert_array_equal(whole.counts, parts.counts)


def test_no_people_give_zeros_of_the_public_shape() -> None:
    sizes = (2, 3, 2, 2, 2)
    empty: People = tuple(np.zeros(0, dtype=np.uint16) for _ in sizes)
    no_batch: list[People] = []
    for batches in ([empty], no_batch):
        for marginal in count(batches, _all_cliques(sizes), sizes):
            assert marginal.counts.shape == tuple(sizes[i] for i in marginal.clique)
            assert not marginal.counts.any()


def test_tables_come_in_the_order_asked_for() -> None:
    sizes = (2, 2, 2, 2, 3)
    asked = [(1, 4), (0, 1, 2, 3), (2,), (0, 1, 4), (0,), (0, 1)]
    assert [m.clique for m in count([_population(sizes, 5, 1)], asked, sizes)] == asked


@pytest.mark.parametrize("clique", [(0, 1, 2, 4), (0, 1, 2, 3, 5)])
def test_other_tables_of_four_and_more_columns_are_refused(clique: tuple[int, ...]) -> None:
    sizes = (2, 2, 2, 2, 3, 2)
    with pytest.raises(ValueError, match="quadruples of binary columns"):
        count([_population(sizes, 5, 1)], [clique], sizes)


def test_a_value_beyond_the_list_is_not_counted_as_another() -> None:
    columns: list[NDArray[np.uint16]] = [np.array([0, 3], dtype=np.uint16), np.array([0, 0], dtype=np.uint16)]
    with pytest.raises(ValueError):
        count([tuple(columns)], [(0,)], (3, 2))


class _CancelledError(Exception):
    pass


@pytest.mark.parametrize("clique", [(0,), (0, 4), (0, 1, 2, 3)])
def test_raising_from_the_check_cancels(clique: tuple[int, ...]) -> None:
    def cancel() -> None:
        raise _CancelledError

    sizes = (2, 2, 2, 2, 3)
    with pytest.raises(_CancelledError):
        count([_population(sizes, 5, 1)], [clique], sizes, check=cancel)
