"""Case records for a question that counts records: of each person at most so many (privacy rule 1).

1. Of a person with more records than the bound those with the lowest order numbers count. Order numbers are random and given at intake, so neither the content of a
   record nor the order of a file decides, and the same records count every time.
2. What a person has or has not moves no other person's records: adding or removing a person changes at most `at_most` rows.
3. Consent is a person's, as for people: one refusal anywhere keeps all their records out, and a record without a yes is not read.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casesynth.answers.counted import RecordTable
from casesynth.codes import Codes, narrow
from casesynth.domain import Domain
from casesynth.encode import CodedTable
from casesynth.persons import PeopleCapError, PersonKeyError


class RecordTableBuilder:
    """Collects coded records, batch by batch, and keeps at most so many of each person."""

    def __init__(self, domain: Domain, *, at_most: int) -> None:
        self._domain = domain
        self._at_most = at_most
        self._columns: list[list[Codes]] = [[] for _ in domain.columns]
        self._persons: list[pa.Array] = []
        self._permitted: list[NDArray[np.int8]] = []
        self._order: list[NDArray[np.int64]] = []

    def add(self, records: CodedTable, order: NDArray[np.int64]) -> None:
        """Take in one batch of records with their order numbers.

        Raises:
            PersonKeyError: a record has no person token, or no consent is known of.
        """
        if records.persons is None or records.persons.null_count or records.permitted is None:
            raise PersonKeyError("records are counted by person: each needs a person token and what the person said")
        for parts, codes, size in zip(self._columns, records.columns, self._domain.sizes, strict=True):
            parts.append(narrow(codes, size))
        self._persons.append(records.persons)
        self._permitted.append(records.permitted)
        self._order.append(order)

    def build(self, *, people_cap: int) -> RecordTable:
        """Return the records that count.

        Raises:
            PeopleCapError: more persons than people_cap.
        """
        if not self._persons:
            empty = tuple(narrow(np.zeros(0, np.uint8), size) for size in self._domain.sizes)
            return RecordTable(columns=empty, at_most=self._at_most)
        tokens = pc.dictionary_encode(pa.chunked_array(self._persons)).unify_dictionaries()
        persons = np.concatenate([np.from_dlpack(chunk.indices).astype(np.int64) for chunk in tokens.chunks])
        said, order = np.concatenate(self._permitted), np.concatenate(self._order)
        refused = np.zeros(int(persons.max(initial=-1)) + 1, bool)
        refused[persons[said == -1]] = True
        rows = np.flatnonzero((said == 1) & ~refused[persons])
        rows = rows[np.lexsort((order[rows], persons[rows]))]
        starts = np.flatnonzero(np.diff(persons[rows], prepend=-1))
        if len(starts) > people_cap:
            raise PeopleCapError("the files hold more people than people_cap allows; declare a larger people_cap")
        lengths = np.diff(np.append(starts, len(rows)))
        rank = np.arange(len(rows)) - np.repeat(starts, lengths)
        kept = rows[rank < self._at_most]
        columns = tuple(np.concatenate(parts)[kept] for parts in self._columns)
        return RecordTable(columns=columns, at_most=self._at_most)
