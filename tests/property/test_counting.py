"""Counting against brute force over random domains, people and cuts into batches."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from casesynth.counting import count
from casesynth.domain import Domain
from casesynth.plan import ReleasePlan


@st.composite
def people_and_sizes(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """Return people as rows of codes, and the sizes of the columns."""
    sizes = tuple(draw(st.lists(st.sampled_from((2, 2, 2, 3, 5)), min_size=1, max_size=7)))
    people = draw(st.lists(st.tuples(*(st.integers(0, size - 1) for size in sizes)), max_size=25))
    return people, sizes


def _columns(people: list[tuple[int, ...]], width: int) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint16]], ...]:
    return tuple(np.array([row[i] for row in people], dtype=np.uint16) for i in range(width))


def _planned(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    domain = Domain.declare({f"c{i}": [str(v) for v in range(1, size)] for i, size in enumerate(sizes)})
    return [table.clique for table in ReleasePlan.make(domain, epsilon=1, people_cap=100).tables]


@settings(deadline=None, max_examples=150)
@given(people_and_sizes(), st.data())
def test_every_planned_table_is_the_brute_force_table_for_any_batches(
    made: tuple[list[tuple[int, ...]], tuple[int, ...]], data: st.DataObject
) -> None:
    people, sizes = made
    cuts = sorted(data.draw(st.lists(st.integers(0, len(people)), max_size=4)))
    batches = [_columns(people[a:b], len(sizes)) for a, b in itertools.pairwise([0, *cuts, len(people)])]
    for marginal in count(batches, _planned(sizes), sizes):
        expected = dict.fromkeys(itertools.product(*(range(sizes[i]) for i in marginal.clique)), 0)
        for row in people:
            expected[tuple(row[i] for i in marginal.clique)] += 1
        assert marginal.counts.ravel().tolist() == list(expected.values())


@settings(deadline=None)
@given(people_and_sizes(), st.data())
def test_one_person_more_is_one_more_in_one_cell_of_every_planned_table(
    made: tuple[list[tuple[int, ...]], tuple[int, ...]], data: st.DataObject
) -> None:
    people, sizes = made
    person = data.draw(st.tuples(*(st.integers(0, size - 1) for size in sizes)))
    cliques = _planned(sizes)
    before = count([_columns(people, len(sizes))], cliques, sizes)
    after = count([_columns([*people, person], len(sizes))], cliques, sizes)
    for one, two in zip(before, after, strict=True):
        gap = two.counts - one.counts
        assert gap[tuple(person[i] for i in one.clique)] == 1 == np.abs(gap).sum()
