"""Tables found by their facts: which of many may say something about a grid, without asking each.

1. A table helps a grid only where each of its facts is an axis of the grid: the same fact, or a split into exactly those who have it and those who have not
   (`casesynth.answers.reuse`). A grid has few axes, so a few look-ups find all of them among a thousand tables.
2. What is found is in the order of the tables, whatever the order of the look-ups.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from casesynth.answers.question import CountTable, Fact, Split

T = TypeVar("T")
_Keys = frozenset[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True)
class ByFacts(Generic[T]):
    """Tables, and what belongs to each."""

    kept: tuple[tuple[CountTable, T], ...]
    _places: dict[_Keys, list[int]] = field(repr=False)
    _most: int

    @classmethod
    def of(cls, kept: Sequence[tuple[CountTable, T]]) -> ByFacts[T]:
        """Look once at the facts of each table."""
        places: dict[_Keys, list[int]] = {}
        for place, (table, _) in enumerate(kept):
            places.setdefault(frozenset(fact.key for fact in table.facts), []).append(place)
        return cls(kept=tuple(kept), _places=places, _most=max(map(len, places), default=0))

    def about(self, axes: Sequence[Split | Fact]) -> list[tuple[CountTable, T]]:
        """Return the tables whose facts are all axes of a grid (rule 1)."""
        known: set[tuple[object, ...]] = set()
        for axis in axes:
            if isinstance(axis, Fact):
                known.add(axis.key)
            elif len(axis.parts) == 2:
                known |= {Fact(label="", holds=((axis.attribute, part.positions),)).key for part in axis.parts}
        found: list[int] = []
        for length in range(min(self._most, len(known)) + 1):
            for some in itertools.combinations(known, length):
                found += self._places.get(frozenset(some), [])
        return [self.kept[place] for place in sorted(found)]
