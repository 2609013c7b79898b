"""Holders: which people state an item, and how many state all items of a combination.

People are bits, 64 to a word. The holders of a combination are the bits that all its items share. A combination of few people touches few
words, so only those are kept. `tests/property/test_k_synthetic.py` compares every count with counting person by person.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_WORD = 64
_SPARSE = 4
"""A set of people is kept as its own words alone when they are fewer than this part of all words."""


class Support:
    """The people who state all items of a combination. Holds real data; never written to a release."""

    __slots__ = ("_sums", "people", "places", "words")

    def __init__(self, places: NDArray[np.intp] | None, words: Words, people: int) -> None:
        self.places = places
        """Which words `words` are; None for all of them."""
        self.words = words
        self.people = people
        """How many they are."""
        self._sums: NDArray[np.int64] | None = None

    def pick(self, number: int) -> int:
        """Return the person at a place among them, in the order of the person table.

        Args:
            number: from 0 up to `people`, exclusive.
        """
        if self._sums is None:
            self._sums = np.bitwise_count(self.words).cumsum(dtype=np.int64)
        at = int(self._sums.searchsorted(number, side="right"))
        word = int(self.words[at])
        for _ in range(number - (int(self._sums[at - 1]) if at else 0)):
            word &= word - 1  # the lowest person of the word goes
        place = at if self.places is None else int(self.places[at])
        return place * _WORD + (word & -word).bit_length() - 1


def _support(places: NDArray[np.intp] | None, words: Words, people: int) -> Support:
    if places is None and people < len(words) // _SPARSE:
        places = np.flatnonzero(words)
        words = words[places]
    elif places is not None and people < len(words) // _SPARSE:
        kept = np.flatnonzero(words)
        places, words = places[kept], words[kept]
    return Support(places, words, people)


class Holders:
    """For every item the people who state it. Holds real data; never written to a release."""

    def __init__(self, numbers: NDArray[np.int32], items: int) -> None:
        """Count people.

        Args:
            numbers: people as item numbers, -1 where a cell states nothing; shape (people, columns).
            items: how many items there are.
        """
        self.people = len(numbers)
        length = -(-max(self.people, 1) // _WORD)
        self.counts = np.bincount(numbers[numbers >= 0], minlength=items).astype(np.int64)
        self._whole: dict[int, Words] = {}
        self._alone: dict[int, Support] = {}
        row = np.arange(self.people, dtype=np.int64)
        for column in numbers.T if self.people else ():
            order = np.argsort(column, kind="stable")
            ordered = column[order]
            starts = np.flatnonzero(np.diff(ordered, prepend=-2))
            for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
                item = int(ordered[start])
                if item >= 0:
                    self._whole[item] = _bits(row[order[start:end]], length)
        everyone = _bits(row, length)
        self.everyone = _support(None, everyone, self.people)

    def of(self, item: int) -> Support:
        """Return the people who state one item; it has at least one."""
        if item not in self._alone:
            self._alone[item] = _support(None, self._whole[item], int(self.counts[item]))
        return self._alone[item]

    def narrow(self, support: Support, item: int, least: int) -> Support | None:
        """Return those of `support` who state one item more, or None when they are fewer than `least`."""
        if self.counts[item] < least:
            return None
        whole = self._whole[item]
        words = support.words & (whole if support.places is None else whole[support.places])
        people = int(np.bitwise_count(words).sum(dtype=np.int64))
        return None if people < least else _support(support.places, words, people)


def _bits(people: NDArray[np.int64], length: int) -> Words:
    flags = np.zeros(length * _WORD, dtype=np.uint8)
    flags[people] = 1
    return np.packbits(flags, bitorder="little").view(np.dtype("<u8"))
