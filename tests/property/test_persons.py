"""The person table against a slow reference in plain Python, over random records."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from casesynth.counting import count
from casesynth.domain import Attribute, Domain, Merge
from casesynth.encode import CodedTable
from casesynth.persons import PersonTable, PersonTableBuilder

Record: TypeAlias = tuple[str, tuple[int, ...]]
"""Person token, and one position per column."""

MISSING, KNOWN = ("", "not asked"), ("a", "b", "c")
RULES: tuple[Merge, ...] = ("min", "max", "agree", "earliest", "latest")


def _single(name: str, merge: Merge) -> Attribute:
    return Attribute(
        name=name,
        values=(*MISSING, *KNOWN),
        missing=frozenset({0, 1}),
        merge=merge,
        blank=1,
        outside=0,
        read=lambda cell: None,
    )


DOMAIN = Domain(
    attributes=(
        Attribute(name="year", values=("", "2019", "2020"), missing=frozenset({0}), merge="min", read=lambda c: None),
        *(_single(rule, rule) for rule in RULES),
        Attribute(
            name="means", values=("", "x", "y"), missing=frozenset({0}), multi=True, merge="union", read=lambda c: None
        ),
    ),
    order_attribute="year",
)

positions = st.tuples(*(st.integers(0, size - 1) for size in DOMAIN.sizes))
records = st.lists(st.tuples(st.sampled_from("pqrs"), positions), max_size=12)


def _merge(rule: str, seen: Sequence[tuple[int, int]]) -> int:
    """Merge (year, value) pairs of one attribute by the words of the contract."""
    known = [(year, value) for year, value in seen if value > 1]
    if not known:
        return min(value for _, value in seen)
    values = {value for _, value in known}
    if rule == "min":
        return min(values)
    if rule == "max":
        return max(values)
    if rule == "agree":
        return values.pop() if len(values) == 1 else 1
    dated = [(year, value) for year, value in known if year > 0]
    if not dated:
        return min(values)
    day = (min if rule == "earliest" else max)(year for year, _ in dated)
    return min(value for year, value in dated if year == day)


def _reference(given_records: Sequence[Record]) -> list[tuple[int, ...]]:
    profiles = []
    for token in {token for token, _ in given_records}:
        own = [row for other, row in given_records if other == token]
        years = [row[0] for row in own if row[0] > 0]
        profile = [min(years, default=0)]
        profile += [_merge(rule, [(row[0], row[1 + i]) for row in own]) for i, rule in enumerate(RULES)]
        profile += [max(row[6] for row in own), max(row[7] for row in own)]
        profiles.append(tuple(profile))
    return sorted(profiles)


def _people(given_records: Sequence[Record], consent: Sequence[int] | None = None) -> PersonTable:
    width = len(DOMAIN.sizes)
    columns = tuple(np.array([row[i] for _, row in given_records], dtype=np.uint16) for i in range(width))
    builder = PersonTableBuilder(DOMAIN)
    builder.add(
        CodedTable(
            columns=columns,
            persons=pa.array([token for token, _ in given_records], type=pa.large_string()),
            permitted=None if consent is None else np.array(consent, dtype=np.int8),
        )
    )
    return builder.build(people_cap=100)


def _profiles(people: PersonTable) -> list[tuple[int, ...]]:
    return sorted(zip(*(column.tolist() for column in people.columns), strict=True))


@settings(deadline=None, max_examples=300)
@given(records)
def test_profiles_are_those_of_the_slow_reference(given_records: list[Record]) -> None:
    assert _profiles(_people(given_records)) == _reference(given_records)


@settings(deadline=None)
@given(records, st.randoms(use_true_random=False), st.data())
def test_order_and_repetition_of_records_change_nothing(
    given_records: list[Record], shuffle: random.Random, data: st.DataObject
) -> None:
    repeated = [r for r in given_records for _ in range(data.draw(st.integers(1, 3)))]
    shuffle.shuffle(repeated)
    assert _profiles(_people(repeated)) == _profiles(_people(given_records))


@settings(deadline=None)
@given(records, st.lists(positions, min_size=1, max_size=6), st.sampled_from("pz"))
def test_more_records_of_one_person_move_one_person(
    given_records: list[Record], more: list[tuple[int, ...]], token: str
) -> None:
    before, after = _people(given_records), _people([*given_records, *((token, row) for row in more)])
    cliques = [(0, 1), (2, 3, 4), (5, 6, 7), (1, 2)]
    for a, b in zip(*(count(p.batches(), cliques, DOMAIN.sizes) for p in (before, after)), strict=True):
        gap = np.abs(b.counts - a.counts)
        assert gap.max() <= 1 and (gap > 0).sum() <= 2


@settings(deadline=None)
@given(records, st.data())
def test_consent_keeps_exactly_the_permitted_records_of_people_who_never_refused(
    given_records: list[Record], data: st.DataObject
) -> None:
    consent = [data.draw(st.sampled_from((1, 1, 0, -1))) for _ in given_records]
    refused = {token for (token, _), said in zip(given_records, consent, strict=True) if said == -1}
    kept = [r for r, said in zip(given_records, consent, strict=True) if said == 1 and r[0] not in refused]
    assert _profiles(_people(given_records, consent)) == _reference(kept)
