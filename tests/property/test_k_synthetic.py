"""The promises of the k mode, against counting person by person.

Nothing here uses the engine's way of counting: whether a person states a record is looked up value by value.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from casesynth.domain import Domain, Multi
from casesynth.kanonymity import OPEN, BrokenPromiseError, Items, Mode, check_promises, k_synthetic
from casesynth.kanonymity.holders import Holders
from casesynth.persons import PersonTable

DOMAIN = Domain.declare(
    {
        "a": ["1", "2", "3"],
        "b": ["1", "2", "3", "4", "5"],
        "means": Multi(values=["x", "y", "z"]),
        "c": ["1"],
    }
)
SIZES = DOMAIN.sizes

people_tables = st.integers(0, 60).flatmap(
    lambda number: st.tuples(
        *(st.lists(st.integers(0, size - 1), min_size=number, max_size=number) for size in SIZES)
    ).map(lambda columns: PersonTable(columns=tuple(np.array(column, dtype=np.uint16) for column in columns)))
)


def _said(row: NDArray[np.uint16]) -> dict[int, int]:
    """What a record states: column and code."""
    return {column: int(code) for column, code in enumerate(row) if code != OPEN}


def _who(record: dict[int, int], people: list[list[int]]) -> int:
    """How many people state all of a record."""
    return sum(all(person[column] == code for column, code in record.items()) for person in people)


def _rows(people: PersonTable) -> list[list[int]]:
    return [list(map(int, row)) for row in zip(*people.columns, strict=True)]


@settings(deadline=None, max_examples=150)
@given(
    people=people_tables, k=st.integers(2, 12), mode=st.sampled_from(["seeded", "unseeded"]), seed=st.binary(max_size=4)
)
def test_every_record_is_stated_by_k_people_and_every_value_occurs_as_often_as_promised(
    people: PersonTable, k: int, mode: Mode, seed: bytes
) -> None:
    made = k_synthetic(people, DOMAIN, k=k, mode=mode, seed=seed)
    rows = _rows(people)
    records = [_said(row) for row in np.stack(made.columns, axis=1)]
    for record in {tuple(record.items()): record for record in records}.values():
        assert record, "a record states nothing"
        assert _who(record, rows) >= k
    for column, size in enumerate(SIZES):
        for code in range(size):
            true = sum(row[column] == code for row in rows)
            promised = 0 if code in DOMAIN.columns[column].missing else k * (true // k)
            assert sum(record.get(column) == code for record in records) == promised


@settings(deadline=None, max_examples=100)
@given(people=people_tables, k=st.integers(2, 12), mode=st.sampled_from(["seeded", "unseeded"]))
def test_records_are_sorted_so_that_their_order_says_nothing(people: PersonTable, k: int, mode: Mode) -> None:
    made = k_synthetic(people, DOMAIN, k=k, mode=mode)
    rows = [tuple(row) for row in np.stack(made.columns, axis=1).tolist()]
    assert rows == sorted(rows, key=lambda row: [-1 if code == OPEN else code for code in row])


@settings(deadline=None, max_examples=150)
@given(people=people_tables, data=st.data())
def test_holders_of_a_combination_are_those_found_one_by_one(people: PersonTable, data: st.DataObject) -> None:
    items = Items.of(DOMAIN)
    numbers = items.numbered(people.columns)
    holders = Holders(numbers, len(items.column))
    rows = _rows(people)
    support = holders.everyone
    record: dict[int, int] = {}
    for column in data.draw(st.permutations(range(len(SIZES)))):
        item = int(items.first[column]) + data.draw(st.integers(1, SIZES[column] - 1))
        narrowed = holders.narrow(support, item, 1)
        wider = {**record, column: int(items.code[item])}
        assert (narrowed is None) == (_who(wider, rows) == 0)
        if narrowed is not None:
            support, record = narrowed, wider
    assert support.people == _who(record, rows)
    found = [support.pick(number) for number in range(support.people)]
    assert found == [place for place, row in enumerate(rows) if all(row[c] == v for c, v in record.items())]


@settings(deadline=None, max_examples=150)
@given(people=people_tables, k=st.integers(2, 6), data=st.data())
def test_the_last_check_agrees_with_looking_at_everybody(people: PersonTable, k: int, data: st.DataObject) -> None:
    """One cell of a good file is changed; whether it is still good is judged in both ways."""
    made = k_synthetic(people, DOMAIN, k=k, seed=b"")
    if not made.records:
        return
    columns = [column.copy() for column in made.columns]
    place = data.draw(st.integers(0, len(SIZES) - 1))
    row = data.draw(st.integers(0, made.records - 1))
    other = data.draw(st.integers(0, made.records - 1))
    columns[place][[row, other]] = columns[place][[other, row]]  # single counts stay, combinations may not
    rows = _rows(people)
    records = [_said(r) for r in np.stack(columns, axis=1)]
    good = all(record and _who(record, rows) >= k for record in records)
    if good:
        check_promises(tuple(columns), people, DOMAIN, k=k)
    else:
        with pytest.raises(BrokenPromiseError):
            check_promises(tuple(columns), people, DOMAIN, k=k)
