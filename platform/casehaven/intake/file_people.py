"""The people of one case file on its way into a dataset: who is known, who is new, and the block that each is in for good.

1. A person who is known by token keeps number, key and block; a new one gets a number and a key. More people than the dataset's people cap are refused before anything is
   written (privacy rule 8).
2. A new person's block is fixed when the whole file was read: the earliest year among all of the person's records in it, in whatever order they stand
   (`casehaven.vault.blocks`, privacy rule 12). Whoever was known under another token keeps that one's block, the earliest where there were several.
3. Who is known keeps their block, whatever the file says.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from casehaven.vault import models
from casehaven.vault.blocks import UNKNOWN, UNSETTLED, Places, earlier, earliest_by_person
from casehaven.vault.bound_rows import person_key_context
from casehaven.vault.chunks import TOKEN_BYTES
from casehaven.vault.datasets import Dataset, this_month
from casehaven.vault.keystore import OrganisationKeys
from casehaven.vault.mac import MacKey
from casehaven.vault.sealed import KEY_BYTES
from casehaven.vault.store import Vault, token_indices
from casesynth.persons import PeopleCapError

Numbers: TypeAlias = NDArray[np.int64]
PersonRow: TypeAlias = tuple[int, int, bytes, bytes, str, str, bytes]

PERSON_COLUMNS = ("person_id", "dataset_id", "token_index", "wrapped_dek", "epoch", "created_month", "block_code")
"""Of a `PersonRow`."""

_AT_ONCE = 500


@dataclass(kw_only=True)
class FilePeople:
    """The persons of one file; a person is a place in these lists."""

    vault: Vault
    dataset: Dataset
    """Held."""
    keys: OrganisationKeys
    known: int
    """How many people the dataset has."""
    places: dict[bytes, int] = field(default_factory=dict)
    """By token index."""
    numbers: list[int] = field(default_factory=list)
    deks: list[bytes] = field(default_factory=list)
    linkage: list[bytes] = field(default_factory=list)
    """Token of each under the linkage key."""
    fresh: list[int] = field(default_factory=list)
    """Places of those who are new."""
    blocks: list[int] = field(default_factory=list)
    """Place of each one's block; `UNSETTLED` for those who are new, until the file was read."""
    _said: list[tuple[Numbers, Places]] = field(default_factory=list)
    """Of each batch, whose its records are and which block each record says."""

    def __post_init__(self) -> None:
        self._linkage_mac = MacKey(self.vault.keystore.linkage_key())
        self._token_key = self.keys.index_key("person-token")
        self._codes = self.vault.block_codes(self.dataset)

    def places_of(self, tokens: Sequence[str]) -> Numbers:
        """Return each token's person, and add those who are new.

        Raises:
            PeopleCapError: there would be more people than the dataset's people cap.
            SealBrokenError: the row of a person who is there was changed.
        """
        indices = token_indices(self._token_key, self.dataset, tokens)
        unseen = [place for place, index in enumerate(indices) if index not in self.places]
        there = self._stored([indices[place] for place in unseen]) if self.known else {}
        ids = os.urandom(8 * len(unseen))
        keys = os.urandom(KEY_BYTES * len(unseen))
        for count, place in enumerate(unseen):
            index = indices[place]
            if index in there:
                self._add(index, *there[index])
            else:
                number = int.from_bytes(ids[8 * count : 8 * count + 8], "big") >> 1
                self.fresh.append(len(self.numbers))
                self._add(index, number, keys[KEY_BYTES * count : KEY_BYTES * (count + 1)], UNSETTLED)
            self.linkage.append(self._linkage_mac.digest(tokens[place].encode())[:TOKEN_BYTES])
        if self.known + len(self.fresh) > self.dataset.people_cap:
            raise PeopleCapError(
                f"{self.dataset.id} would hold more than {self.dataset.people_cap} people, the people_cap that was declared"
            )
        return np.array([self.places[index] for index in indices], np.int64)

    def known_places_of(self, tokens: Sequence[str]) -> Numbers:
        """Return those of some tokens' persons whom the dataset has, when every record was read; nobody is added to the dataset."""
        there = self._stored(token_indices(self._token_key, self.dataset, tokens))
        for index, found in there.items():
            if index not in self.places:
                self._add(index, *found)
        return np.array([self.places[index] for index in there], np.int64)

    def add_records(self, persons: Numbers, said: Places) -> None:
        """Take note of which block the records of a batch say.

        Args:
            persons: place of each record's person.
            said: what each record says (`blocks.record_places`).
        """
        self._said.append((persons, said))

    def settle_blocks(self, moved: Mapping[int, Collection[int]]) -> None:
        """Fix the block of everyone who is new (rule 2).

        Args:
            moved: by place, the numbers under which a person was known with another token.
        """
        blocks = np.full(len(self.numbers), UNKNOWN, np.int16)
        while self._said:
            persons, said = self._said.pop()
            blocks = earlier(blocks, earliest_by_person(len(blocks), persons, said))
        former = self._blocks_of({number for numbers in moved.values() for number in numbers})
        for place in self.fresh:
            before = [former[number] for number in moved.get(place, ())]
            self.blocks[place] = min(before, key=lambda block: (block == UNKNOWN, block), default=int(blocks[place]))

    def blocks_of_rows(self, persons: Numbers) -> Places:
        """Return the place of the block of each record's person, once they are fixed.

        Args:
            persons: number of each record's person.
        """
        numbers = np.array(self.numbers, np.int64)
        order = np.argsort(numbers)
        found: Places = np.array(self.blocks, np.int16)[order][np.searchsorted(numbers, persons, sorter=order)]
        return found

    def rows(self) -> Iterator[PersonRow]:
        """Yield the rows of new persons. The organisation is held, so the epoch that wraps their keys is not retired before they are stored."""
        month, indices = this_month(), list(self.places)
        contexts = (person_key_context(self.dataset, self.numbers[place], indices[place]) for place in self.fresh)
        epoch, wrapped = self.keys.wrap_deks(zip((self.deks[place] for place in self.fresh), contexts, strict=True))
        for place, key in zip(self.fresh, wrapped, strict=True):
            number = self.numbers[place]
            code = self._codes.code(number, self.blocks[place])
            yield number, self.dataset.dataset_id, indices[place], key, epoch, month, code

    def _add(self, index: bytes, number: int, dek: bytes, block: int) -> None:
        self.places[index] = len(self.numbers)
        self.numbers.append(number)
        self.deks.append(dek)
        self.blocks.append(block)

    def _stored(self, indices: Sequence[bytes]) -> dict[bytes, tuple[int, bytes, int]]:
        """Return number, key and block of those persons whom the dataset has."""
        person, found = models.person.c, dict[bytes, tuple[int, bytes, int]]()
        columns = (person.token_index, person.person_id, person.wrapped_dek, person.epoch, person.block_code)
        with self.vault.database.transaction(writes=False) as connection:
            for start in range(0, len(indices), _AT_ONCE):
                some = person.token_index.in_(indices[start : start + _AT_ONCE])
                where = (person.dataset_id == self.dataset.dataset_id, some)
                for index, number, wrapped, epoch, code in connection.execute(select(*columns).where(*where)):
                    context = person_key_context(
                        self.dataset, number, bytes(index)
                    )  # the person of this token, or nobody
                    dek = self.keys.unwrap_dek(bytes(wrapped), epoch, context)
                    found[bytes(index)] = number, dek, self._codes.place(number, code)
        return found

    def _blocks_of(self, numbers: Collection[int]) -> dict[int, int]:
        """Return the block of each of some persons of the dataset, by number."""
        person, wanted, found = models.person.c, sorted(numbers), dict[int, int]()
        with self.vault.database.transaction(writes=False) as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                some = person.person_id.in_(wanted[start : start + _AT_ONCE])
                where = (person.dataset_id == self.dataset.dataset_id, some)
                for number, code in connection.execute(select(person.person_id, person.block_code).where(*where)):
                    found[number] = self._codes.place(number, code)
        return found
