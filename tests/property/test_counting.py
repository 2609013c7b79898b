"""Counting against brute force over random domains, people and cuts into batches."""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from casesynth.counting import count, count_signed
from casesynth.domain import Domain
from casesynth.marginals import axes_of, signs_of
from casesynth.plan import ReleasePlan

Row: TypeAlias = tuple[int, ...]
Made: TypeAlias = tuple[list[Row], tuple[int, ...]]


@st.composite
def people_and_sizes(draw: st.DrawFn) -> Made:
    """Return people as rows of codes, and the sizes of the columns."""
    sizes = tuple(draw(st.lists(st.sampled_from((2, 2, 2, 3, 5)), min_size=1, max_size=7)))
    people = draw(st.lists(st.tuples(*(st.integers(0, size - 1) for size in sizes)), max_size=25))
    return people, sizes


def _columns(people: list[Row], width: int) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint16]], ...]:
    return tuple(np.array([row[i] for row in people], dtype=np.uint16) for i in range(width))


def _planned(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    domain = Domain.declare({f"c{i}": [str(v) for v in range(1, size)] for i, size in enumerate(sizes)})
    return [table.clique for table in ReleasePlan.make(domain, epsilon=1, people_cap=100).tables]


def _sign(row: Row, columns: tuple[int, ...]) -> int:
    return math.prod(1 - 2 * row[i] for i in columns)


@settings(deadline=None, max_examples=150)
@given(people_and_sizes(), st.data())
def test_every_planned_table_is_the_brute_force_table_for_any_batches(made: Made, data: st.DataObject) -> None:
    people, sizes = made
    cuts = sorted(data.draw(st.lists(st.integers(0, len(people)), max_size=4)))
    batches = [_columns(people[a:b], len(sizes)) for a, b in itertools.pairwise([0, *cuts, len(people)])]
    for marginal in count_signed(batches, _planned(sizes), sizes):
        axes, signs = axes_of(marginal.clique, sizes), signs_of(marginal.clique, sizes)
        expected = dict.fromkeys(itertools.product(*(range(sizes[i]) for i in axes)), 0)
        for row in people:
            expected[tuple(row[i] for i in axes)] += _sign(row, signs)
        assert marginal.counts.ravel().tolist() == list(expected.values())


@settings(deadline=None)
@given(people_and_sizes(), st.data())
def test_one_person_more_is_one_more_or_one_less_in_one_cell_of_every_planned_table(
    made: Made, data: st.DataObject
) -> None:
    people, sizes = made
    person = data.draw(st.tuples(*(st.integers(0, size - 1) for size in sizes)))
    cliques = _planned(sizes)
    before = count_signed([_columns(people, len(sizes))], cliques, sizes)
    after = count_signed([_columns([*people, person], len(sizes))], cliques, sizes)
    for one, two in zip(before, after, strict=True):
        gap = two.counts - one.counts
        cell = tuple(person[i] for i in axes_of(one.clique, sizes))
        assert gap[cell] == _sign(person, signs_of(one.clique, sizes))
        assert np.abs(gap).sum() == 1


@settings(deadline=None)
@given(people_and_sizes(), st.data())
def test_one_person_more_is_one_more_in_one_cell_of_every_plain_table(made: Made, data: st.DataObject) -> None:
    people, sizes = made
    person = data.draw(st.tuples(*(st.integers(0, size - 1) for size in sizes)))
    cliques = [clique for clique in _planned(sizes) if clique]
    before = count([_columns(people, len(sizes))], cliques, sizes)
    after = count([_columns([*people, person], len(sizes))], cliques, sizes)
    for one, two in zip(before, after, strict=True):
        gap = two.counts - one.counts
        assert gap[tuple(person[i] for i in one.clique)] == 1 == np.abs(gap).sum()


@settings(deadline=None)
@given(people_and_sizes())
def test_plain_tables_are_rebuilt_from_the_signed_ones(made: Made) -> None:
    """A plain table is the sum, over every set of its binary columns, of the set's signs times its signed table, over 2 for each binary column."""
    people, sizes = made
    columns = range(len(sizes))
    every = [clique for length in range(4) for clique in itertools.combinations(columns, length)]
    batch = _columns(people, len(sizes))
    signed = {marginal.clique: marginal.counts for marginal in count_signed([batch], every, sizes)}
    for marginal in count([batch], every[1:], sizes):
        axes, signs = axes_of(marginal.clique, sizes), signs_of(marginal.clique, sizes)
        rebuilt = np.zeros(marginal.counts.shape, dtype=np.int64)
        for cell in np.ndindex(*rebuilt.shape):
            value = dict(zip(marginal.clique, cell, strict=True))
            place = tuple(value[i] for i in axes)
            for length in range(len(signs) + 1):
                for chosen in itertools.combinations(signs, length):
                    sign = math.prod(1 - 2 * value[i] for i in chosen)
                    rebuilt[cell] += sign * signed[tuple(sorted(axes + chosen))][place]
        assert not (rebuilt % 2 ** len(signs)).any()
        np.testing.assert_array_equal(rebuilt // 2 ** len(signs), marginal.counts)
