"""The person table: exactly one row per person token (privacy rule 1).

1. All records of one token become one profile by the merge rule of each attribute. Every rule ignores the order of the records and
   how often one is repeated, so a person falls into one cell of every table whatever they, or whoever uploads them, send.
2. Known values win over missing ones. Two records that contradict each other under `agree` leave the value missing.
3. Consent is a person's: one refusal anywhere keeps the whole person out; records without consent are not read.
4. `people_cap` is public; more persons than that are refused here, before anything is measured (privacy rule 8).
5. Memory grows with the records: a byte for each column of the domain (two where its list has more than 256 values), 8, and the token. A merge adds
   as much again for one column at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casesynth.codes import Codes, narrow
from casesynth.derived import with_derived
from casesynth.domain import Column, Domain
from casesynth.encode import CodedTable
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


def first_without_token(tokens: pa.Array) -> int | None:
    """Return the place of the first record without a person token; None when each has one."""
    return None if tokens.null_count == 0 else int(pc.index(pc.is_null(tokens), True).as_py())


class DistinctTokens:
    """Counts distinct person tokens exactly, batch by batch, without making a table of persons.

    Holds each token once as text, and at most as many again that are still to be compared; no object per token.

    >>> tokens = DistinctTokens()
    >>> tokens.add(pa.array(["a", "b", "a"], pa.large_string()))
    >>> len(tokens)
    2
    """

    def __init__(self) -> None:
        self._known = pa.array([], type=pa.large_string())
        self._waiting: list[pa.Array] = []
        self._waiting_count = 0

    def add(self, tokens: pa.Array) -> None:
        """Take in one batch of what `casesynth.encode.person_tokens` returned."""
        fresh = pc.unique(tokens)
        self._waiting.append(fresh)
        self._waiting_count += len(fresh)
        if self._waiting_count >= max(
            len(self._known), BATCH_ROWS
        ):  # doubles: each token is compared a few times at most
            self._settle()

    def __len__(self) -> int:
        if self._waiting:
            self._settle()
        return len(self._known)

    @property
    def at_least(self) -> int:
        """A lower bound that costs nothing to know."""
        return len(self._known)

    def _settle(self) -> None:
        self._known = pc.unique(pa.chunked_array([self._known, *self._waiting]))
        self._waiting, self._waiting_count = [], 0


class PersonTableBuilder:
    """Collects coded records, batch by batch, and merges them into one row per person."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._columns: list[list[Codes]] = [[] for _ in domain.columns]
        self._persons: list[pa.Array | None] = []
        self._permitted: list[NDArray[np.int8] | None] = []
        self._records = 0

    def add(self, records: CodedTable) -> None:
        """Take in one batch of records.

        Raises:
            PersonKeyError: a record has no person token; names its row, never its content.
        """
        if records.persons is not None:
            place = first_without_token(records.persons)
            if place is not None:
                raise PersonKeyError(
                    f"record {self._records + place + 1} has no person key; give each person a key, "
                    "or declare that one row is one person"
                )
        if self._persons and (self._persons[0] is None) != (records.persons is None):
            raise PersonKeyError("some batches have a person key and some have none")
        for parts, codes, size in zip(self._columns, records.columns, self._domain.sizes, strict=True):
            parts.append(narrow(codes, size))
        self._persons.append(records.persons)
        self._permitted.append(records.permitted)
        self._records += records.records

    def build(self, *, people_cap: int) -> PersonTable:
        """Return one row per person, and let go of the records: a builder builds once.

        Raises:
            PeopleCapError: more persons than people_cap.
        """
        persons = self._person_indices()
        permitted = self._permitted_records(persons)
        columns: list[Codes] = []
        for size in self._domain.sizes:
            parts = self._columns.pop(0)  # freed column by column: all columns and their parts never stand side by side
            column = np.concatenate([narrow(np.zeros(0, dtype=np.uint8), size), *parts])
            columns.append(column if permitted is None else column[permitted])
        if permitted is not None:
            persons = None if persons is None else persons[permitted]
        if persons is not None and len(persons):
            _merge(columns, persons, self._domain.measured)
            columns = list(with_derived(columns, self._domain))
        people = len(columns[0])
        if people > people_cap:
            raise PeopleCapError("the files hold more people than people_cap allows; declare a larger people_cap")
        return PersonTable(columns=tuple(columns))

    def _person_indices(self) -> NDArray[np.int32] | None:
        parts, self._persons = self._persons, []
        if not parts or parts[0] is None:
            return None
        encoded = pc.dictionary_encode(pa.chunked_array(parts))  # exact: no two tokens share an index
        del parts
        if not _one_dictionary(encoded):
            encoded = encoded.unify_dictionaries()
        indices = [np.from_dlpack(chunk.indices).astype(np.int32, copy=False) for chunk in encoded.chunks]
        del encoded
        pa.default_memory_pool().release_unused()
        return np.concatenate([np.zeros(0, dtype=np.int32), *indices])  # no record, no chunk

    def _permitted_records(self, persons: NDArray[np.int32] | None) -> NDArray[np.bool_] | None:
        flags = [part for part in self._permitted if part is not None]
        if not flags:
            return None
        if len(flags) != len(self._permitted):
            raise PersonKeyError("some batches have a consent column and some have none")
        consent = np.concatenate(flags)
        if persons is None or not len(persons):
            permitted: NDArray[np.bool_] = consent == 1
            return permitted
        refused = np.zeros(int(persons.max()) + 1, dtype=bool)
        refused[persons[consent == -1]] = True
        kept: NDArray[np.bool_] = (consent == 1) & ~refused[persons]
        return kept


def _one_dictionary(encoded: pa.ChunkedArray) -> bool:
    """Whether all chunks point to the very same dictionary, so that their indices mean the same."""
    ends = [chunk.dictionary.buffers()[-1] for chunk in encoded.chunks]
    return all(end is not None and end.address == ends[0].address for end in ends)


def _merge(columns: list[Codes], persons: NDArray[np.int32], domain: Domain) -> None:
    """Merge the records of each person, in place; order-free, and blind to repeated records."""
    counts = np.bincount(persons)
    single = counts[persons] == 1
    if single.all():
        return
    rows = np.flatnonzero(~single)
    rows = rows[np.argsort(persons[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(persons[rows], prepend=-1))
    order, undated = _order(columns, domain, rows)
    attributes = {attribute.name: attribute for attribute in domain.attributes}
    for place, (column, codes) in enumerate(zip(domain.columns, columns, strict=False)):  # derived ones come last
        attribute = attributes[column.attribute]
        blank = 0 if attribute.multi else attribute.blank
        profile = _merge_one(codes[rows].astype(np.int64), starts, attribute.merge, column, blank, order, undated)
        columns[place] = np.concatenate([codes[single], narrow(profile, column.size)])


def _order(
    columns: list[Codes], domain: Domain, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the public position of each record's date, and whether it has none."""
    for column, codes in zip(domain.columns, columns, strict=False):
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
