"""One row per person token, whatever the records say, in which order, and how often (privacy rule 1)."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from casesynth import persons
from casesynth.counting import count
from casesynth.domain import Attribute, Domain, Merge, Multi
from casesynth.encode import CodedTable, encode, person_tokens
from casesynth.persons import (
    DistinctTokens,
    PeopleCapError,
    PersonKeyError,
    PersonTable,
    PersonTableBuilder,
)

SEX = Domain.declare({"sex": ["f", "m"], "means": Multi(values=["threats", "debt"])})


def _dated(merge: Merge) -> Domain:
    """A year (blank, 2019, 2020) that dates records, and one attribute with two kinds of missing."""
    year = Attribute(name="year", values=("", "2019", "2020"), missing=frozenset({0}), merge="min", read=lambda c: None)
    state = Attribute(
        name="state",
        values=("", "not asked", "a", "b", "c"),
        missing=frozenset({0, 1}),
        merge=merge,
        read=lambda c: None,
    )
    return Domain(attributes=(year, state), order_attribute="year")


def _records(
    rows: Sequence[tuple[int, ...]], persons: Sequence[str | None] | None, consent: Sequence[int] | None = None
) -> CodedTable:
    return CodedTable(
        columns=tuple(np.array(column, dtype=np.uint16) for column in zip(*rows, strict=True)),
        persons=None if persons is None else person_tokens(pa.chunked_array([persons], type=pa.string()), "id"),
        permitted=None if consent is None else np.array(consent, dtype=np.int8),
    )


def _build(domain: Domain, *parts: CodedTable, people_cap: int = 1000) -> PersonTable:
    builder = PersonTableBuilder(domain)
    for part in parts:
        builder.add(part)
    return builder.build(people_cap=people_cap)


def _rows(people: PersonTable) -> list[tuple[int, ...]]:
    """Return the profiles, sorted: a person table has no meaningful order."""
    return sorted(zip(*(column.tolist() for column in people.columns), strict=True))


# positions of `state`: 0 blank, 1 not asked, 2 a, 3 b, 4 c; a record is (year, state)
@pytest.mark.parametrize(
    ("merge", "records", "expected"),
    [
        ("min", [(1, 4), (2, 2), (0, 1)], 2),
        ("max", [(1, 4), (2, 2), (0, 1)], 4),
        ("agree", [(1, 3), (2, 3)], 3),
        ("agree", [(1, 3), (2, 4)], 0),
        ("agree", [(1, 3), (2, 1), (0, 0)], 3),
        ("earliest", [(2, 2), (1, 4)], 4),
        ("latest", [(1, 4), (2, 2)], 2),
        ("earliest", [(1, 1), (2, 3)], 3),
        ("latest", [(2, 1), (1, 3)], 3),
        ("earliest", [(0, 2), (2, 4)], 4),
        ("latest", [(0, 2), (1, 4)], 4),
        ("earliest", [(1, 4), (1, 3)], 3),
        ("latest", [(1, 4), (1, 3)], 3),
        ("latest", [(0, 4), (0, 3)], 3),
        ("min", [(1, 0), (1, 1)], 0),
        ("max", [(1, 1), (1, 1)], 1),
    ],
)
def test_each_rule_merges_the_records_of_one_person(
    merge: Merge, records: list[tuple[int, int]], expected: int
) -> None:
    for order in (records, records[::-1], records * 3):
        people = _build(_dated(merge), _records(order, ["p"] * len(order)))
        assert [row[1] for row in _rows(people)] == [expected]


def test_union_keeps_every_value_that_any_record_holds() -> None:
    people = _build(SEX, _records([(1, 1, 0), (1, 0, 1), (0, 0, 0)], ["p"] * 3))
    assert _rows(people) == [(1, 1, 1)]


def test_people_with_one_record_keep_it() -> None:
    people = _build(SEX, _records([(1, 1, 0), (2, 0, 0), (2, 0, 1)], ["p", "q", "q"]))
    assert _rows(people) == [(1, 1, 0), (2, 0, 1)]


def test_without_a_key_every_record_is_a_person() -> None:
    people = _build(SEX, _records([(1, 1, 0), (1, 1, 0)], None))
    assert _rows(people) == [(1, 1, 0), (1, 1, 0)]


def test_tokens_that_differ_in_case_are_two_people_and_blanks_around_a_token_mean_nothing() -> None:
    people = _build(SEX, _records([(1, 0, 0), (2, 0, 0), (0, 1, 0)], ["p", "P", " p\t"]))
    assert _rows(people) == [(1, 1, 0), (2, 0, 0)]


def test_a_thousand_records_of_one_person_move_every_table_by_one_person_in_two_cells() -> None:
    random = np.random.default_rng(3)
    domain = _dated("max")
    rows = [(int(random.integers(3)), int(random.integers(5))) for _ in range(40)]
    rows[3] = rows[28] = (2, 2)  # person p3 before the flood
    tokens = [f"p{i % 25}" for i in range(40)]
    flood = [(int(random.integers(3)), int(random.integers(5))) for _ in range(1000)]
    before = _build(domain, _records(rows, tokens))
    known = _build(domain, _records([*rows, *flood], [*tokens, *["p3"] * 1000]))
    new = _build(domain, _records([*rows, *flood], [*tokens, *["someone else"] * 1000]))
    cliques = [(0,), (1,), (0, 1)]

    def moved(after: PersonTable) -> list[tuple[int, int]]:
        tables = [count(people.batches(), cliques, domain.sizes) for people in (before, after)]
        gaps = [np.abs(b.counts - a.counts) for a, b in zip(*tables, strict=True)]
        return [(int(gap.max()), int((gap > 0).sum())) for gap in gaps]

    assert moved(known)[2] == (1, 2)  # the flood does change this person's profile
    assert all(largest <= 1 and cells <= 2 for largest, cells in moved(known))
    assert moved(new) == [(1, 1)] * 3


def test_batches_joined_give_the_same_people_as_one_batch() -> None:
    rows = [(1, 1, 0), (2, 0, 0), (0, 0, 1), (2, 1, 1), (1, 0, 0)]
    tokens = ["p", "q", "p", "r", "r"]
    whole = _build(SEX, _records(rows, tokens))
    for cut in range(1, 5):
        parts = _build(SEX, _records(rows[:cut], tokens[:cut]), _records(rows[cut:], tokens[cut:]))
        assert _rows(parts) == _rows(whole) == [(0, 1, 1), (1, 1, 1), (2, 0, 0)]


def test_one_refusal_anywhere_keeps_the_person_out() -> None:
    rows = [(1, 1, 0), (1, 0, 1), (2, 0, 0)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        shuffled = [rows[i] for i in order]
        tokens = [["p", "p", "q"][i] for i in order]
        consent = [[1, -1, 1][i] for i in order]
        assert _rows(_build(SEX, _records(shuffled, tokens, consent))) == [(2, 0, 0)]


def test_a_refusal_in_another_batch_keeps_the_person_out() -> None:
    people = _build(SEX, _records([(1, 1, 0)], ["p"], [1]), _records([(1, 1, 0)], [" p"], [-1]))
    assert people.people == 0


def test_records_without_consent_are_not_read() -> None:
    records = _records([(1, 1, 0), (0, 0, 1), (2, 0, 0)], ["p", "p", "q"], [1, 0, 0])
    assert _rows(_build(SEX, records)) == [(1, 1, 0)]


def test_consent_without_a_key_is_a_records_own() -> None:
    records = _records([(1, 1, 0), (0, 0, 1), (2, 0, 0)], None, [1, 0, -1])
    assert _rows(_build(SEX, records)) == [(1, 1, 0)]


def test_everyone_refusing_leaves_an_empty_table() -> None:
    people = _build(SEX, _records([(1, 1, 0)], ["p"], [-1]))
    assert people.people == 0
    assert [column.dtype for column in people.columns] == [np.uint8] * 3


@pytest.mark.parametrize("token", [None, "", "  ", "\u00a0"])
def test_a_record_without_a_key_is_refused_by_number_over_all_batches_and_without_its_content(
    token: str | None,
) -> None:
    builder = PersonTableBuilder(SEX)
    builder.add(_records([(1, 0, 0)] * 3, ["AMINA", "BEA", "CARLA"]))
    with pytest.raises(PersonKeyError, match=r"^record 5 has no person key;") as refusal:
        builder.add(_records([(1, 0, 0)] * 3, ["DINA", token, "EVA"]))
    assert not any(name in str(refusal.value) for name in ("AMINA", "BEA", "CARLA", "DINA", "EVA"))


@pytest.mark.parametrize("order", [1, -1])
def test_batches_with_and_without_a_key_do_not_mix(order: int) -> None:
    first, second = [_records([(1, 0, 0)], ["p"]), _records([(1, 0, 0)], None)][::order]
    builder = PersonTableBuilder(SEX)
    builder.add(first)
    with pytest.raises(PersonKeyError, match="some batches have a person key and some have none"):
        builder.add(second)


def test_batches_with_and_without_consent_do_not_mix() -> None:
    with pytest.raises(PersonKeyError, match="some batches have a consent column and some have none"):
        _build(SEX, _records([(1, 0, 0)], ["p"], [1]), _records([(1, 0, 0)], ["q"]))


def test_more_people_than_people_cap_are_refused_and_not_counted_out_loud() -> None:
    records = _records([(1, 0, 0)] * 6, ["a", "b", "c", "d", "e", "e"])
    assert _build(SEX, records, people_cap=5).people == 5
    with pytest.raises(PeopleCapError) as refusal:
        _build(SEX, records, people_cap=4)
    assert not any(character.isdigit() for character in str(refusal.value))


def test_the_cap_counts_people_who_consented() -> None:
    records = _records([(1, 0, 0)] * 3, ["a", "b", "c"], [1, 1, -1])
    assert _build(SEX, records, people_cap=2).people == 2


def test_no_record_at_all_gives_an_empty_table() -> None:
    for people in (_build(SEX), _build(SEX, encode(pa.table({"sex": [], "means": [], "id": []}), SEX, person="id"))):
        assert people.people == 0
        assert len(people.columns) == 3


def test_batches_cover_every_person_once() -> None:
    people = _build(SEX, _records([(i % 3, i % 2, 0) for i in range(7)], None))
    sizes = [[len(column) for column in batch] for batch in people.batches(3)]
    assert sizes == [[3] * 3, [3] * 3, [1] * 3]
    joined = [np.concatenate(parts).tolist() for parts in zip(*people.batches(3), strict=True)]
    assert joined == [column.tolist() for column in people.columns]


def test_an_empty_table_has_one_empty_batch() -> None:
    assert [[len(column) for column in batch] for batch in _build(SEX).batches()] == [[0, 0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_distinct_tokens_are_counted_exactly_whatever_the_batches(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casesynth.persons.BATCH_ROWS", 8)  # so that little is compared at a time
    draw = random.Random(seed)
    tokens, seen = DistinctTokens(), set[str]()
    for _ in range(60):
        batch = [str(draw.randrange(200)) for _ in range(draw.randrange(12))]
        tokens.add(pa.array(batch, pa.large_string()))
        seen.update(batch)
        assert tokens.at_least <= len(seen)
        if draw.random() < 0.2:
            assert len(tokens) == len(seen)
    assert len(tokens) == len(seen)


def test_counting_tokens_makes_no_object_per_person() -> None:
    batches = [
        pa.array([f"{i:012d}" for i in range(s, s + 50_000)], pa.large_string()) for s in range(0, 200_000, 50_000)
    ]
    tokens = DistinctTokens()
    tracemalloc.start()
    for batch in batches:
        tokens.add(batch)
    assert len(tokens) == 200_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000  # a set of texts takes over 15 MB


def test_building_never_holds_all_columns_and_all_their_parts_at_once() -> None:
    width, records, parts = 40, 50_000, 4
    domain = Domain.declare({f"a{i}": ["x"] for i in range(width)})
    builder = PersonTableBuilder(domain)
    tracemalloc.start()
    for _ in range(parts):
        columns = tuple(np.zeros(records, dtype=np.uint16) for _ in range(width))
        builder.add(CodedTable(columns=columns, persons=None))
        del columns
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    people = builder.build(people_cap=records * parts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert people.people == records * parts
    assert peak < 1.2 * held  # both at once would be twice as much


def test_chunks_whose_dictionaries_differ_are_told_from_those_that_share_one() -> None:
    shared = pc.dictionary_encode(pa.chunked_array([["a", "b"], ["b", "c"]]))
    assert persons._one_dictionary(shared)
    apart = pa.chunked_array([pa.array(part).dictionary_encode() for part in (["a", "b"], ["b", "a"])])
    assert not persons._one_dictionary(apart)  # index 0 is "a" in one and "b" in the other
