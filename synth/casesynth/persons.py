"""The person table: exactly one row per person token (privacy rule 1).

1. All records of one token become one profile by the merge rule of each attribute. Every rule ignores the order of the records and
   how often one is repeated, so a person falls into one cell of every table whatever they, or whoever uploads them, send.
2. Known values win over missing ones. Two records that contradict each other under `agree` leave the value missing.
3. Consent is a person's: one refusal anywhere keeps the whole person out; records without consent are not read.
4. `people_cap` is public; more persons than that are refused here, before anything is measured (privacy rule 8).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casesynth.domain import Column, Domain
from casesynth.encode import CodedTable, Codes
from casesynth.errors import CasesynthError

BATCH_ROWS = 1 << 18
"""Persons counted at a time."""


class PersonKeyError(CasesynthError):
    """A record does not say which person it belongs to."""


class PeopleCapError(CasesynthError):
    """There are more persons than the public people_cap."""


@dataclass(frozen=True, kw_only=True)
class PersonTable:
    """One row per person, as codes. Holds real data; never written to a release."""

    columns: tuple[Codes, ...]
    """One array per column of the domain, each of shape (persons,)."""

    @property
    def people(self) -> int:
        """Exact number of persons: private."""
        return len(self.columns[0])

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[tuple[Codes, ...]]:
        """Yield the columns in slices of at most `rows` persons; one empty slice for an empty table."""
        for start in range(0, max(self.people, 1), rows):
            yield tuple(column[start : start + rows] for column in self.columns)


class PersonTableBuilder:
    """Collects coded records, batch by batch, and merges them into one row per person."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._parts: list[CodedTable] = []

    def add(self, records: CodedTable) -> None:
        """Take in one batch of records.

        Raises:
            PersonKeyError: a record has no person token; names its row, never its content.
        """
        if records.persons is not None:
            blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(records.persons), ""), True)
            if pc.any(blank).as_py():
                row = pc.index(blank, True).as_py() + 1 + sum(part.records for part in self._parts)
                raise PersonKeyError(
                    f"record {row} has no person key; give each person a key, or declare that one row is one person"
                )
        if self._parts and (self._parts[0].persons is None) != (records.persons is None):
            raise PersonKeyError("some batches have a person key and some have none")
        self._parts.append(records)

    def build(self, *, people_cap: int) -> PersonTable:
        """Return one row per person.

        Raises:
            PeopleCapError: more persons than people_cap.
        """
        width = len(self._domain.columns)
        empty = np.zeros(0, dtype=np.uint16)
        columns = [np.concatenate([part.columns[i] for part in self._parts] or [empty]) for i in range(width)]
        persons = self._person_indices()
        permitted = self._permitted(persons)
        if permitted is not None:
            columns = [column[permitted] for column in columns]
            persons = None if persons is None else persons[permitted]
        if persons is not None and len(persons):
            columns = _merged(columns, persons, self._domain)
        people = len(columns[0])
        if people > people_cap:
            raise PeopleCapError("the files hold more people than people_cap allows; declare a larger people_cap")
        return PersonTable(columns=tuple(columns))

    def _person_indices(self) -> NDArray[np.int64] | None:
        if not self._parts or self._parts[0].persons is None:
            return None
        tokens = pa.chunked_array([pc.utf8_trim_whitespace(part.persons) for part in self._parts])
        encoded = pc.dictionary_encode(tokens).unify_dictionaries()  # exact: no two tokens share an index
        indices = [np.asarray(chunk.indices, dtype=np.int64) for chunk in encoded.chunks]
        return np.concatenate([np.zeros(0, dtype=np.int64), *indices])  # no record, no chunk

    def _permitted(self, persons: NDArray[np.int64] | None) -> NDArray[np.bool_] | None:
        flags = [part.permitted for part in self._parts if part.permitted is not None]
        if not flags:
            return None
        if len(flags) != len(self._parts):
            raise PersonKeyError("some batches have a consent column and some have none")
        consent = np.concatenate(flags)
        if persons is None or not len(persons):
            permitted: NDArray[np.bool_] = consent == 1
            return permitted
        refused = np.zeros(int(persons.max()) + 1, dtype=bool)
        refused[persons[consent == -1]] = True
        kept: NDArray[np.bool_] = (consent == 1) & ~refused[persons]
        return kept


def _merged(columns: list[Codes], persons: NDArray[np.int64], domain: Domain) -> list[Codes]:
    """Merge the records of each person; order-free, and blind to repeated records."""
    counts = np.bincount(persons)
    single = counts[persons] == 1
    if single.all():
        return columns
    rows = np.flatnonzero(~single)
    rows = rows[np.argsort(persons[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(persons[rows], prepend=-1))
    order, undated = _order(columns, domain, rows)
    attributes = {attribute.name: attribute for attribute in domain.attributes}
    merged = []
    for column, codes in zip(domain.columns, columns, strict=True):
        attribute = attributes[column.attribute]
        blank = 0 if attribute.multi else attribute.blank
        profile = _merge_one(codes[rows].astype(np.int64), starts, attribute.merge, column, blank, order, undated)
        merged.append(np.concatenate([codes[single], profile.astype(np.uint16)]))
    return merged


def _order(
    columns: list[Codes], domain: Domain, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the public position of each record's date, and whether it has none."""
    for column, codes in zip(domain.columns, columns, strict=True):
        if column.attribute == domain.order_attribute:
            return codes[rows].astype(np.int64), np.isin(codes[rows], list(column.missing))
    return np.zeros(len(rows), dtype=np.int64), np.ones(len(rows), dtype=bool)


def _merge_one(
    codes: NDArray[np.int64],
    starts: NDArray[np.intp],
    merge: str,
    column: Column,
    blank: int,
    order: NDArray[np.int64],
    undated: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Merge one column over runs of records that start at `starts`."""
    known = ~np.isin(codes, list(column.missing))
    nothing = np.iinfo(np.int64).max
    width = column.size + 1
    if merge in ("earliest", "latest"):
        last = int(order.max(initial=0)) + 1
        dated = order if merge == "earliest" else last - order
        key = np.where(undated, last + 1, dated) * width + codes  # undated records lose against dated ones
    elif merge in ("max", "union"):
        key = width - codes
    else:
        key = codes
    best = np.minimum.reduceat(np.where(known, key, nothing), starts)
    some = best != nothing
    if merge in ("earliest", "latest"):
        value = best % width
    elif merge in ("max", "union"):
        value = width - best
    else:
        value = best
    if merge == "agree":
        highest = np.maximum.reduceat(np.where(known, codes, -1), starts)
        value = np.where(best == highest, best, blank)
    lowest_missing = np.minimum.reduceat(np.where(known, nothing, codes), starts)
    return np.where(some, value, np.where(lowest_missing == nothing, blank, lowest_missing))
