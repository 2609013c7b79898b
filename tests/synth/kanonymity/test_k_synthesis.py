"""k-synthetic records: known tables, larger tables, missing values, and faults that the last check must find."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.domain import Attribute, Domain, Multi
from casesynth.kanonymity import (
    ATTACKS,
    OPEN,
    BrokenPromiseError,
    Items,
    KModeError,
    Mode,
    check_promises,
    k_synthetic,
)
from casesynth.kanonymity.holders import Holders
from casesynth.persons import PersonTable

MODES: tuple[Mode, Mode] = ("seeded", "unseeded")

FIVE = Domain.declare({"A": ["a1", "a2"], "B": ["b1", "b2"], "C": ["c1", "c2"]})
FIVE_PEOPLE = PersonTable(
    columns=tuple(np.array(column, dtype=np.uint16) for column in ([1, 1, 2, 2, 1], [1, 2, 0, 2, 2], [1, 1, 2, 1, 0]))
)
"""(a1,b1,c1) (a1,b2,c1) (a2,-,c2) (a2,b2,c1) (a1,b2,-): 6 values, 8 pairs and 3 triples."""


def _made_up(people: int, seed: int = 1) -> tuple[Domain, PersonTable]:
    """People whose values depend on a hidden kind, so that there are common and rare combinations."""
    domain = Domain.declare(
        {
            "country": [f"c{i}" for i in range(60)],
            "age": [f"a{i}" for i in range(8)],
            "gender": ["f", "m"],
            "means": Multi(values=[f"m{i}" for i in range(6)]),
        }
    )
    random = np.random.Generator(np.random.PCG64(seed))
    kind = random.integers(0, 4, people)
    columns = [
        np.where(random.random(people) < 0.1, 0, 1 + (kind * 15 + random.geometric(0.2, people)) % size)
        if (size := column.size - 1) > 1
        else (random.random(people) < 0.1 + 0.2 * ((place + kind) % 4)).astype(np.int64)
        for place, column in enumerate(domain.columns)
    ]
    return domain, PersonTable(columns=tuple(column.astype(np.uint16) for column in columns))


def _table(columns: tuple[Codes, ...]) -> list[tuple[str, ...]]:
    return [
        tuple("-" if code == OPEN else FIVE.columns[place].values[code] for place, code in enumerate(row))
        for row in np.stack(columns, axis=1)
    ]


def test_every_value_is_an_item_but_the_empty_cell() -> None:
    numbers = Items.of(FIVE).numbered(FIVE_PEOPLE.columns)
    assert Holders(numbers, 9).counts.tolist() == [0, 3, 2, 0, 1, 3, 0, 3, 1]
    assert len({int(number) for number in numbers.ravel() if number >= 0}) == 6


@pytest.mark.parametrize("mode", MODES)
def test_the_five_row_table_gives_two_of_each_value_that_two_people_state(mode: Mode) -> None:
    rows = _table(k_synthetic(FIVE_PEOPLE, FIVE, k=2, mode=mode).columns)
    cells = Counter(cell for row in rows for cell in row if cell != "-")
    assert cells == {"a1": 2, "a2": 2, "b2": 2, "c1": 2}
    pairs = {("a1", "b2", "-"), ("a1", "-", "c1"), ("-", "b2", "c1")}  # the only ones that two people state
    assert {row for row in rows if row.count("-") < 2} <= pairs
    assert ("a1", "b2", "c1") not in rows


def test_with_k_three_only_what_three_people_state_is_left() -> None:
    rows = _table(k_synthetic(FIVE_PEOPLE, FIVE, k=3).columns)
    assert sorted(rows) == sorted(3 * [("-", "-", "c1"), ("-", "b2", "-"), ("a1", "-", "-")])


@pytest.mark.parametrize("mode", MODES)
def test_fewer_people_than_k_leave_nothing(mode: Mode) -> None:
    made = k_synthetic(FIVE_PEOPLE, FIVE, k=6, mode=mode)
    assert made.records == 0
    assert len(made.columns) == 3


@pytest.mark.parametrize("mode", MODES)
def test_nobody_leaves_nothing(mode: Mode) -> None:
    nobody = PersonTable(columns=tuple(np.zeros(0, dtype=np.uint16) for _ in range(3)))
    assert k_synthetic(nobody, FIVE, k=2, mode=mode).records == 0


def test_people_who_are_all_alike_come_back_as_they_are_rounded_down() -> None:
    alike = PersonTable(columns=tuple(np.full(23, code, dtype=np.uint16) for code in (1, 2, 1)))
    assert _table(k_synthetic(alike, FIVE, k=10).columns) == 20 * [("a1", "b2", "c1")]


@pytest.mark.parametrize("mode", MODES)
def test_three_thousand_people_keep_the_promises(mode: Mode) -> None:
    domain, people = _made_up(3000)
    made = k_synthetic(people, domain, k=10, mode=mode)  # checked inside; here the same by hand
    table, records = np.stack(people.columns, axis=1), np.stack(made.columns, axis=1)
    for record in np.unique(records, axis=0):
        said = record != OPEN
        assert said.any()
        assert (table[:, said] == record[said]).all(axis=1).sum() >= 10
    for place, size in enumerate(domain.sizes):
        true, given = (
            np.bincount(table[:, place], minlength=size),
            np.bincount(made.coded(domain)[place], minlength=size),
        )
        assert (given[1:] == true[1:] // 10 * 10).all()


def test_most_of_what_people_state_together_is_kept() -> None:
    """The records are worth something: of pairs that 50 people state, nearly all are there, and none is invented."""
    domain, people = _made_up(3000)
    made = k_synthetic(people, domain, k=10).coded(domain)
    kept = large = 0
    for i in range(len(domain.sizes)):
        for j in range(i):
            true, given = (_pairs(columns, i, j, domain) for columns in (people.columns, made))
            large += int((true >= 50).sum())
            kept += int(((true >= 50) & (given > 0)).sum())
            assert not ((given > 0) & (true < 10)).any()
    assert large > 100
    assert kept / large > 0.95


def _pairs(columns: tuple[Codes, ...], i: int, j: int, domain: Domain) -> NDArray[np.int64]:
    joined = columns[i].astype(np.int64) * domain.sizes[j] + columns[j]
    table = np.bincount(joined, minlength=domain.sizes[i] * domain.sizes[j]).reshape(domain.sizes[i], domain.sizes[j])
    return table[1:, 1:]


def test_combinations_of_few_and_of_many_people_are_counted_alike() -> None:
    """Few people are kept as a few words, many as all words: both are compared with looking at everybody."""
    domain, people = _made_up(5000)
    items = Items.of(domain)
    numbers = items.numbered(people.columns)
    holders = Holders(numbers, len(items.column))
    random = np.random.Generator(np.random.PCG64(7))
    sparse = dense = 0
    for _ in range(300):
        support, mine = holders.everyone, np.ones(5000, dtype=bool)
        for item in numbers[random.integers(5000)]:
            narrowed = None if item < 0 else holders.narrow(support, int(item), 1)
            if narrowed is not None:
                support, mine = narrowed, mine & (numbers == item).any(axis=1)
            sparse, dense = sparse + (support.places is not None), dense + (support.places is None)
            assert support.people == mine.sum()
            there = np.flatnonzero(mine)
            for place in {0, len(there) // 2, len(there) - 1}:
                assert support.pick(place) == there[place]
    assert sparse > 300 and dense > 300


def _with_kinds_of_missing() -> Domain:
    def read(cell: str) -> None:
        return None

    asked = Attribute(name="asked", values=("", "not_asked", "unknown", "yes"), missing=frozenset({0, 1, 2}), read=read)
    flag = Attribute(name="flag", values=("yes", "no"), missing=frozenset(), blank=1, outside=1, read=read)
    return Domain(attributes=(asked, flag))


def test_unknown_and_not_asked_stay_apart_and_are_no_empty_cells() -> None:
    domain = _with_kinds_of_missing()
    asked = np.repeat(np.array([0, 1, 2, 3], dtype=np.uint16), 10)
    flag = np.tile(np.array([0, 1], dtype=np.uint16), 20)
    made = k_synthetic(PersonTable(columns=(asked, flag)), domain, k=5)
    assert Counter(made.columns[0].tolist()) >= Counter({1: 10, 2: 10, 3: 10})
    assert 0 not in made.columns[0]
    # an empty cell that means no is an answer: it is counted, and a cell that was left away does not look like it
    assert Counter(made.columns[1][made.columns[1] != OPEN].tolist()) == {0: 20, 1: 20}


def test_two_runs_differ_and_a_seed_repeats() -> None:
    domain, people = _made_up(2000)

    def run(seed: bytes | None) -> NDArray[np.uint16]:
        return np.stack(k_synthetic(people, domain, k=10, seed=seed).columns)

    assert not np.array_equal(run(None), run(None))
    assert np.array_equal(run(b"one"), run(b"one"))


@pytest.mark.parametrize("k", [1, 0, -3, 2.5, True])
def test_k_below_two_or_no_whole_number_is_refused(k: int) -> None:
    with pytest.raises(KModeError, match="k must be a whole number from 2"):
        k_synthetic(FIVE_PEOPLE, FIVE, k=k)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(KModeError, match="seeded or unseeded"):
        k_synthetic(FIVE_PEOPLE, FIVE, k=2, mode="other")  # type: ignore[arg-type]  # that is the point


class _StopError(Exception):
    pass


@pytest.mark.parametrize("mode", MODES)
def test_raising_from_progress_cancels(mode: Mode) -> None:
    def stop(phase: str, share: float | None, /) -> None:
        if phase == "sample":
            raise _StopError

    with pytest.raises(_StopError):
        k_synthetic(FIVE_PEOPLE, FIVE, k=2, mode=mode, progress=stop)


@pytest.mark.parametrize("mode", MODES)
def test_the_last_thing_is_the_check_of_the_promises(mode: Mode) -> None:
    phases: list[str] = []
    k_synthetic(FIVE_PEOPLE, FIVE, k=2, mode=mode, progress=lambda phase, share: phases.append(phase))
    assert list(dict.fromkeys(phases)) == ["count", "sample", "check"]


def _without_one_record(columns: tuple[Codes, ...]) -> tuple[Codes, ...]:
    return tuple(column[1:] for column in columns)


def _with_a_record_too_many(columns: tuple[Codes, ...]) -> tuple[Codes, ...]:
    return tuple(np.append(column, column[-1]) for column in columns)


def _with_a_record_that_says_nothing(columns: tuple[Codes, ...]) -> tuple[Codes, ...]:
    return tuple(np.append(column, np.uint16(OPEN)) for column in columns)


def _with_an_empty_cell_stated(columns: tuple[Codes, ...]) -> tuple[Codes, ...]:
    return (np.where(columns[0] == OPEN, 0, columns[0]).astype(np.uint16), *columns[1:])


def _with_two_cells_exchanged(columns: tuple[Codes, ...]) -> tuple[Codes, ...]:
    """The counts of values stay; two records now state what fewer people do."""
    rare = next(place for place in range(len(columns[0])) if columns[0][place] == 1 and columns[1][place] == OPEN)
    other = next(place for place in range(len(columns[0])) if columns[1][place] == 2 and columns[0][place] == OPEN)
    changed = columns[1].copy()
    changed[[rare, other]] = changed[[other, rare]]
    return (columns[0], changed, *columns[2:])


@pytest.mark.parametrize(
    "fault",
    [
        _without_one_record,
        _with_a_record_too_many,
        _with_a_record_that_says_nothing,
        _with_an_empty_cell_stated,
        _with_two_cells_exchanged,
    ],
    ids=lambda fault: fault.__name__.strip("_"),
)
def test_planted_faults_are_found_before_anything_is_returned(fault: object) -> None:
    people = PersonTable(
        columns=tuple(np.array(c, dtype=np.uint16) for c in ([1] * 6 + [0] * 6, [1] * 3 + [0] * 3 + [2] * 6, [0] * 12))
    )
    columns = k_synthetic(people, FIVE, k=4).columns
    check_promises(columns, people, FIVE, k=4)
    assert callable(fault)
    with pytest.raises(BrokenPromiseError) as refusal:
        check_promises(fault(columns), people, FIVE, k=4)
    assert not any(character.isdigit() for character in str(refusal.value))


def test_the_document_and_the_code_name_the_same_three_attacks() -> None:
    text = (Path(__file__).parents[3] / "docs" / "spec" / "k-mode.md").read_text(encoding="utf-8")
    assert [attack.name for attack in ATTACKS] == ["k-1 insider", "repeated release", "homogeneity"]
    for attack in ATTACKS:
        assert f"**{attack.name}**" in text
        assert attack.how in text and attack.remedy in text
