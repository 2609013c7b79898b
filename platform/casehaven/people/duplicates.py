"""Possible duplicates: two person tokens of one organisation whose records agree in a compound of identifiers.

1. A proposal says that two records agree in, say, names and date of birth. It does not say that they are one person: twins, borrowed telephones and a case worker's
   own number agree too. People decide; nothing is merged here.
2. Only one organisation's datasets are compared, under that organisation's key. Nothing tells whether a person is known elsewhere (privacy rule 2).
3. Comparing reads the blind index alone. Naming the two by their case references opens their records, for a reason, and is logged for each.
4. A compound that more than `PEOPLE_MOST` people share proposes nothing.
5. What follows is done at the source: give both the same person token in the case files, and erase the token that goes. A merge inside the vault would come
   apart with the next file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

from sqlalchemy import Connection, and_, func, select

from casehaven.people.matching import REFERENCE_FIELD, matching_fields, reference_column
from casehaven.vault import models
from casehaven.vault.datasets import Dataset

PEOPLE_MOST = 10
"""More people than this who agree in a compound say nothing: it is a shelter's telephone, or a birthday that was filled in."""


@dataclass(frozen=True, kw_only=True)
class PossibleDuplicate:
    """Two persons whose records agree in one or more compounds."""

    first: int
    second: int
    """Numbers of the persons; the first is the smaller, which means nothing."""
    fields: tuple[str, ...]
    """Names of the compounds, most telling proposals have several."""

    def labels(self, dataset: Dataset) -> tuple[str, ...]:
        """Return what the two agree in, for people."""
        known = {field.name: field.label for field in matching_fields(dataset.schema)} | {
            REFERENCE_FIELD: "case reference"
        }
        return tuple(known.get(name, name) for name in self.fields)


def possible_duplicates(connection: Connection, datasets: Sequence[Dataset]) -> tuple[PossibleDuplicate, ...]:
    """Return every pair of persons that agrees in a compound, those that agree in most first.

    Args:
        connection: a transaction.
        datasets: of one organisation.
    """
    if len({dataset.organisation for dataset in datasets}) > 1:
        raise ValueError("possible duplicates are looked for inside one organisation")
    index = models.blind_index.c
    here = index.dataset_id.in_([dataset.dataset_id for dataset in datasets])
    people = func.count(index.person_id.distinct())
    few = (people > 1, people <= PEOPLE_MOST)
    pairs: dict[tuple[int, int], set[str]] = {}
    for keys, meant in (
        ((index.field, index.value), index.field != REFERENCE_FIELD),
        ((index.field, index.value, index.dataset_id), index.field == REFERENCE_FIELD),  # each dataset numbers its own
    ):
        meeting = select(*keys).where(here, meant).group_by(*keys).having(and_(*few)).subquery()
        same = and_(*(key == meeting.c[key.name] for key in keys))
        query = (
            select(*keys, index.person_id).join(meeting, same).where(here).order_by(*keys, index.person_id).distinct()
        )
        for group, rows in groupby(connection.execute(query), key=lambda row: tuple(row[:-1])):
            for pair in combinations([row.person_id for row in rows], 2):
                pairs.setdefault(pair, set()).add(group[0])
    found = [
        PossibleDuplicate(first=first, second=second, fields=tuple(sorted(fields)))
        for (first, second), fields in pairs.items()
    ]
    return tuple(sorted(found, key=lambda pair: (-len(pair.fields), pair.first, pair.second)))


def can_be_compared(dataset: Dataset) -> bool:
    """Whether the index of a dataset's schema has anything that could meet."""
    return bool(matching_fields(dataset.schema)) or reference_column(dataset.schema) is not None
