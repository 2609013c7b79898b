"""Privacy rule 27: take any one person away, and each table that is measured changes by one in one cell. Nothing more.

The noise of a release is sized for exactly that. If one person could move a table by more, the noise would not cover them.

A table counts people. Where it is about yes-or-no columns it counts differences: people with an even number of the named means, say, less
people with an odd number. A person who leaves takes one away from such a difference, or adds one to it.

Here a small shelter has eleven people with one to five records each. Its schema has single values, a list of means of which a
record may hold several, and a date. For every person in turn, all their records are removed, and every table of the release plan is
counted again, with and without them. Then every person who could ever come is added, one at a time.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from casesynth.counting import count_signed
from casesynth.domain import Attribute, Domain
from casesynth.encode import encode
from casesynth.marginals import signs_of
from casesynth.persons import PersonTable, PersonTableBuilder
from casesynth.plan import ReleasePlan
from casesynth.privacy.mechanisms import gaussian_scale

Record = Mapping[str, str | None]

MEANS = ("threats", "debt", "papers kept", "excessive hours")


def _listed(name: str, values: tuple[str, ...], merge: str) -> Attribute:
    places = {value: place for place, value in enumerate(values)}
    return Attribute(
        name=name,
        values=values,
        missing=frozenset({0}),
        multi=merge == "union",
        merge=merge,  # type: ignore[arg-type]  # one of the merge rules
        read=lambda cell: tuple(places[part] for part in cell.split(";") if part in places) or None,
    )


DOMAIN = Domain(
    attributes=(
        _listed("year", ("", "2019", "2020", "2021"), "min"),
        _listed("gender", ("", "woman", "man"), "agree"),
        _listed("age", ("", "0-17", "18-29", "30+"), "latest"),
        _listed("means", ("", *MEANS), "union"),
    ),
    order_attribute="year",
)
PLAN = ReleasePlan.make(DOMAIN, epsilon=1, people_cap=1000)


def _shelter() -> list[Record]:
    """Return the records of eleven people: the i-th has up to five, some contradicting each other, some nearly empty."""
    draw = random.Random(27)
    records: list[Record] = []
    for i in range(11):
        for _ in range(draw.randint(1, 5)):
            records.append(
                {
                    "person": f"person {i}",
                    "year": draw.choice(["2019", "2020", "2021", "", "1066"]),
                    "gender": draw.choice(["woman", "man", None]),
                    "age": draw.choice(["0-17", "18-29", "30+", ""]),
                    "means": ";".join(draw.sample([*MEANS, "unheard of"], draw.randint(0, 5))),
                    "consent": "yes",
                }
            )
    records.append({"person": "person 11", "consent": "yes"})  # a record that says nothing
    return records


def _people(records: list[Record]) -> PersonTable:
    """Return the people of raw records, as a release reads them."""
    frame = pd.DataFrame(records, columns=["person", "year", "gender", "age", "means", "consent"], dtype=object)
    builder = PersonTableBuilder(DOMAIN)
    builder.add(
        encode(
            frame,
            DOMAIN,
            person="person",
            consent=lambda cell: {"yes": 1, "no": -1}.get(cell, 0),
            consent_column="consent",
        )
    )
    return builder.build(people_cap=PLAN.people_cap)


def _tables(records: list[Record]) -> list[NDArray[np.int64]]:
    """Return every table that a release measures, exactly, from raw records."""
    return _measured(_people(records))


def _measured(people: PersonTable) -> list[NDArray[np.int64]]:
    return [m.counts for m in count_signed(people.batches(), [table.clique for table in PLAN.tables], DOMAIN.sizes)]


def _by_person(records: list[Record]) -> dict[str, list[Record]]:
    own: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        own[str(record["person"])].append(record)
    return own


def _changes(before: list[NDArray[np.int64]], after: list[NDArray[np.int64]]) -> list[dict[int, int]]:
    """Return, for each table, by how much each cell changed that did change."""
    gaps = [(b - a).ravel() for a, b in zip(before, after, strict=True)]
    return [{int(cell): int(gap[cell]) for cell in np.flatnonzero(gap)} for gap in gaps]


def _assert_one_in_one_cell(changes: list[dict[int, int]], *, people: int) -> None:
    """One cell of every table changed, by one: by a person more or less where the table counts people, up or down where it counts differences."""
    for table, change in zip(PLAN.tables, changes, strict=True):
        assert (
            math.sqrt(sum(gap**2 for gap in change.values())) == 1
        )  # the length of the change, for which the noise is sized
        assert len(change) == 1
        if not signs_of(table.clique, DOMAIN.sizes):
            assert list(change.values()) == [people]


def test_the_plan_has_tables_of_every_kind() -> None:
    kinds = {(len(c), len(signs_of(c, DOMAIN.sizes))) for c in (table.clique for table in PLAN.tables)}
    assert kinds == {(length, signs) for length in range(4) for signs in range(length + 1)}


@pytest.mark.parametrize("person", [f"person {i}" for i in range(12)])
def test_taking_a_person_away_changes_one_cell_of_every_table_by_one(person: str) -> None:
    records = _shelter()
    without = [record for record in records if record["person"] != person]
    _assert_one_in_one_cell(_changes(_tables(records), _tables(without)), people=-1)


def test_every_person_who_could_come_changes_one_cell_of_every_table_by_one() -> None:
    there = _people(_shelter()).columns
    before = _measured(PersonTable(columns=there))
    possible = list(itertools.product(*(range(size) for size in DOMAIN.sizes)))
    assert len(possible) == 4 * 3 * 4 * 2**4
    for person in possible:
        codes = (np.append(column, np.uint16(code)) for column, code in zip(there, person, strict=True))
        _assert_one_in_one_cell(_changes(before, _measured(PersonTable(columns=tuple(codes)))), people=1)


@pytest.mark.parametrize(
    "record",
    [
        {"year": "2020", "gender": "woman", "age": "30+", "means": "threats;debt"},
        {"year": "2020", "gender": "a value that nobody had", "age": "-5", "means": "rare;rarer"},
        {"means": ";".join(MEANS)},
        {},
    ],
    ids=["ordinary", "values outside the lists", "every mean at once", "nothing but nulls"],
)
def test_a_new_person_changes_one_cell_of_every_table_by_one(record: Record) -> None:
    records = _shelter()
    with_them = _tables([*records, {"person": "someone new", "consent": "yes", **record}])
    _assert_one_in_one_cell(_changes(_tables(records), with_them), people=1)


@pytest.mark.parametrize("person", [f"person {i}" for i in range(0, 12, 3)])
def test_a_thousand_more_records_of_one_person_still_move_one_person(person: str) -> None:
    records = _shelter()
    draw = random.Random(person)
    more: list[Record] = [
        {
            "person": person,
            "year": draw.choice(["2019", "2020", "2021"]),
            "gender": draw.choice(["woman", "man"]),
            "age": draw.choice(["0-17", "18-29", "30+"]),
            "means": draw.choice(MEANS),
            "consent": "yes",
        }
        for _ in range(1000)
    ]
    for change in _changes(_tables(records), _tables([*records, *more])):
        assert sum(map(abs, change.values())) in (0, 2)  # the person stays as they were, or goes and comes as another


@pytest.mark.parametrize(
    "rearranged",
    [
        lambda records: records[::-1],
        lambda records: random.Random(1).sample(records, len(records)),
        lambda records: [record for record in records for _ in range(3)],
    ],
    ids=["backwards", "shuffled", "every record three times"],
)
def test_order_and_repetition_of_records_change_no_table(
    rearranged: Callable[[list[Record]], list[Record]],
) -> None:
    records = _shelter()
    assert all(change == {} for change in _changes(_tables(records), _tables(rearranged(records))))


@pytest.mark.parametrize("person", [f"person {i}" for i in range(0, 12, 4)])
def test_a_person_who_refuses_once_is_counted_like_a_person_who_is_not_there(person: str) -> None:
    records = _shelter()
    refused = [*records, {"person": person, "consent": "no"}]
    absent = [record for record in records if record["person"] != person]
    assert all(change == {} for change in _changes(_tables(refused), _tables(absent)))


def test_two_people_away_change_what_each_of_them_changed() -> None:
    own = _by_person(_shelter())
    everyone = _tables([record for records in own.values() for record in records])
    without = {
        name: _tables([record for other, records in own.items() if other not in name for record in records])
        for name in (("person 1",), ("person 2",), ("person 1", "person 2"))
    }
    for whole, one, two, both in zip(everyone, *without.values(), strict=True):
        np.testing.assert_array_equal(whole - both, (whole - one) + (whole - two))


def test_one_cell_of_every_table_costs_no_more_than_the_release_is_charged() -> None:
    # zCDP of the discrete Gaussian: (change / scale)^2 / 2 per table, and losses add
    spent = sum((Fraction(1) / Fraction(gaussian_scale(table.nano_rho))) ** 2 / 2 for table in PLAN.tables)
    assert spent <= PLAN.loss.rho
    assert spent > PLAN.loss.rho * Fraction(999, 1000)
