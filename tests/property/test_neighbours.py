"""Privacy rule 27 for any schema: over random domains, records and people, every neighbour moves every planned table by one in one cell.

From raw cells to tables, as a release goes: encoding, merging, counting. Lists of several values are among the columns. Rows are shuffled and repeated as well.
"""

from __future__ import annotations

import random
from typing import TypeAlias

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from casesynth.counting import count_signed
from casesynth.domain import Domain, Multi
from casesynth.encode import encode
from casesynth.persons import PersonTableBuilder
from casesynth.plan import ReleasePlan

Record: TypeAlias = dict[str, str | None]


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    """Return a domain of one to five attributes, some of which hold several values."""
    sizes = draw(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=5))
    listed = ([f"v{value}" for value in range(size)] for size, _ in sizes)
    return Domain.declare(
        {
            f"a{place}": Multi(values=values) if multi else values
            for place, (values, (_, multi)) in enumerate(zip(listed, sizes, strict=True))
        }
    )


def _records(domain: Domain, draw: random.Random) -> list[Record]:
    """Return records of up to twelve people with one to four each; some cells empty, some outside the list."""
    records: list[Record] = []
    for person in range(draw.randint(0, 12)):
        for _ in range(draw.randint(1, 4)):
            record: Record = {"person": f"p{person}"}
            for attribute in domain.attributes:
                values = [*attribute.values, "unheard of"]
                several = (
                    draw.sample(values, draw.randint(0, len(values))) if attribute.multi else [draw.choice(values)]
                )
                record[attribute.name] = draw.choice([None, "nan", *[";".join(several)] * 5])
            records.append(record)
    return records


def _tables(domain: Domain, records: list[Record]) -> list[NDArray[np.int64]]:
    plan = ReleasePlan.make(domain, epsilon=1, people_cap=1000)
    builder = PersonTableBuilder(domain)
    names = ["person", *(attribute.name for attribute in domain.attributes)]
    builder.add(encode(pd.DataFrame(records, columns=names, dtype=object), domain, person="person"))
    people = builder.build(people_cap=1000)
    return [m.counts for m in count_signed(people.batches(), [table.clique for table in plan.tables], domain.sizes)]


@settings(deadline=None, max_examples=30)
@given(domains(), st.integers(0, 2**32))
def test_taking_anyone_away_moves_every_table_by_one_in_one_cell(domain: Domain, seed: int) -> None:
    draw = random.Random(seed)
    records = _records(domain, draw)
    everyone = _tables(domain, records)
    for person in {str(record["person"]) for record in records}:
        others = [record for record in records if record["person"] != person]
        for whole, rest in zip(everyone, _tables(domain, others), strict=True):
            gap = (whole - rest).ravel()
            assert np.abs(gap).sum() == 1  # the length of the change for which the noise is sized, in L1 and so in L2


@settings(deadline=None, max_examples=30)
@given(domains(), st.integers(0, 2**32))
def test_shuffling_and_repeating_rows_moves_nothing(domain: Domain, seed: int) -> None:
    draw = random.Random(seed)
    records = _records(domain, draw)
    changed = [record for record in records for _ in range(draw.randint(1, 3))]
    draw.shuffle(changed)
    for one, other in zip(_tables(domain, records), _tables(domain, changed), strict=True):
        np.testing.assert_array_equal(one, other)


@settings(deadline=None, max_examples=30)
@given(domains(), st.integers(0, 2**32))
def test_whatever_a_person_adds_to_their_own_records_moves_a_table_by_two_at_most(domain: Domain, seed: int) -> None:
    draw = random.Random(seed)
    records = _records(domain, draw)
    if not records:
        return
    person = records[0]["person"]
    more = [{**record, "person": person} for record in _records(domain, draw)]
    for one, other in zip(_tables(domain, records), _tables(domain, [*records, *more]), strict=True):
        assert np.abs(one - other).sum() in (0, 2)  # they stay as they were, or go and come as another
