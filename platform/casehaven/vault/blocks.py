"""A person's block: the year in which the person was first registered, fixed once, so that each person of a dataset is in exactly one account (privacy rule 12).

1. Which blocks there are is public (`casehaven.blocks`). A dataset's schema never changes, so neither do its blocks.
2. A person's block is fixed when the person comes into the dataset: the earliest year among all of the person's records in that file. What the schema
   does not understand, or does not list, becomes the value that it names for that; where that is no year, and for who has no year, the block is `""`.
3. Nothing moves it: no correction, no later file, no consent, no new epoch. A record that is corrected to another year stays in the person's block.
4. With the person stands a code of the block: an HMAC over dataset, person and block under a key of the organisation. Whoever holds the database and no key learns neither
   a person's block nor how many people a block has, and can put no person into another one.
5. Beside each record's codes, sealed in its chunk, stands the place of the person's block in the list of rule 1.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from casehaven.blocks import schema_blocks, years_of_values
from casehaven.vault.context import prefixed
from casehaven.vault.errors import SealBrokenError
from casehaven.vault.mac import MacKey
from caseschemas import CaseSchema
from casesynth.codes import Codes
from casesynth.domain import Domain

BLOCK_KEY: Final = "row/person-block"
"""Name of the organisation's key that codes are made with."""

CODE_BYTES: Final = 16
"""Of the code that stands with a person."""

UNKNOWN: Final = 0
"""Place of the block of people whose year is unknown."""

UNSETTLED: Final = -1
"""Stands in the place of a block that is not fixed yet; never stored."""

Places = NDArray[np.int16]
"""Places in the list of a schema's blocks."""


def record_places(schema: CaseSchema, domain: Domain, columns: Sequence[Codes]) -> Places:
    """Return the place of the year that each coded record says; `UNKNOWN` where it says none (rule 2).

    Args:
        schema: of the dataset.
        domain: of the schema.
        columns: one array per column of the domain.
    """
    if schema.block is None:
        return np.full(len(columns[0]), UNKNOWN, np.int16)
    column = next(place for place, one in enumerate(domain.columns) if one.attribute == schema.block.attribute)
    place_of = {year: place for place, year in enumerate(schema_blocks(schema))}
    of_code = np.array([place_of[year] for year in years_of_values(schema)], np.int16)
    return of_code[columns[column]]


def earlier(places: Places, others: Places) -> Places:
    """Return, place by place, the earlier of two blocks; a known year is earlier than an unknown one.

    >>> earlier(np.array([0, 3, 5], np.int16), np.array([2, 0, 4], np.int16)).tolist()
    [2, 3, 4]
    """
    return np.where(places == UNKNOWN, others, np.where(others == UNKNOWN, places, np.minimum(places, others)))


def earliest_by_person(people: int, persons: NDArray[np.int64], places: Places) -> Places:
    """Return the earliest block among each person's records (rule 2).

    Args:
        people: how many there are.
        persons: of each record, from 0.
        places: what each record says.
    """
    none = np.iinfo(np.int16).max
    found = np.full(people, none, np.int16)
    known = places != UNKNOWN
    np.minimum.at(found, persons[known], places[known])
    found[found == none] = UNKNOWN
    return found


class BlockCodes:
    """Makes and reads the codes of one dataset (rule 4)."""

    def __init__(self, key: bytes, dataset_id: int, schema: CaseSchema) -> None:
        """Take the organisation's `BLOCK_KEY`."""
        self._mac = MacKey(key)
        self._dataset = _number(dataset_id)
        self._blocks = [prefixed(block.encode()) for block in schema_blocks(schema)]
        self._latest = UNKNOWN

    def code(self, person_id: int, place: int) -> bytes:
        """Return the code of a person who is in a block."""
        if not 0 <= place < len(self._blocks):
            raise ValueError("a person is in one of the schema's blocks")
        return self._mac.digest(self._dataset + _number(person_id) + self._blocks[place])[:CODE_BYTES]

    def place(self, person_id: int, code: bytes | None) -> int:
        """Return the place of a person's block: the one whose code it is; the one that was found last is tried first.

        Raises:
            SealBrokenError: nobody with the keys wrote this code for this person.
        """
        for place in self._order():
            if hmac.compare_digest(self.code(person_id, place), code or b""):
                self._latest = place
                return place
        raise SealBrokenError("the block of a person is not what was written; restore a backup")

    def _order(self) -> Iterable[int]:
        return (self._latest, *(place for place in range(len(self._blocks)) if place != self._latest))


def _number(number: int) -> bytes:
    return number.to_bytes(8, "big")
