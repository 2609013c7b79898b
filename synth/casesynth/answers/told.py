"""What the answers of a day tell together: no number that one of them hides is the difference of numbers that others show (privacy rule 25).

1. The counts of an answer are cells of grids. A cell of one grid may be the sum of cells of another: all people and people by sex, women and women by age, a group and its values, whatever
   of it is an axis and what a condition.
2. Where a shown cell is such a sum, and exactly one of its parts is hidden, the difference would tell it. If the parts are of the new answer, the smallest of those that are shown is hidden as
   well. If they are of an earlier answer, the new sum is hidden. What was shown before stands.
3. Decided by what was shown and by noisy numbers alone. It is about counts, and about two tables at a time: whoever puts together a sum and its parts from several answers, or a percentage
   and a count, may still come to a number that is hidden. Noise protects those people, as it does all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from casesynth.answers.grid import Floats
from casesynth.answers.hiding import Seen
from casesynth.answers.question import Condition, CountTable, Every, Where

T = TypeVar("T", bound=Any)
"""What cells hold."""


@dataclass(frozen=True, kw_only=True)
class SeenGrid:
    """Counts that cross some splits, with what is shown of them."""

    table: CountTable
    """What they count, of whom: its splits are the axes, and the people of every cell have all its facts."""
    seen: Seen = field(repr=False)
    """One axis per split."""

    def alike(self, other: SeenGrid) -> bool:
        """Whether both count the same things, but for what their axes and conditions are about."""
        one, two = (
            (frozenset(fact.key for fact in grid.table.facts), grid.table.at_most, grid.table.registered)
            for grid in (self, other)
        )
        return one == two


def hide_beside_earlier(grid: SeenGrid, values: Floats, earlier: Sequence[SeenGrid]) -> Seen:
    """Return what is shown of a grid, so that together with earlier answers nothing hidden is told (rule 2).

    Args:
        grid: of an answer, with what would be shown of it alone.
        values: its estimates.
        earlier: grids of earlier answers about the same snapshot.
    """
    seen = grid.seen
    pairs = [(_parts(grid.table, other.table), other) for other in earlier if grid.alike(other)]
    changed = True
    while changed:  # each turn hides one more, or is the last
        before = seen
        for found, other in pairs:
            if found is None:
                continue
            own, theirs = found
            shaped = own.turned(seen)
            shaped = _without_lone_part(shaped, own.turned(values), theirs.turned(other.seen), _made_of(theirs, own))
            shaped = _without_sum_of_lone(shaped, theirs.turned(other.seen), _made_of(own, theirs))
            seen = own.turned_back(shaped, grid.table)
        changed = bool((seen != before).any())
    return seen


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """The cells of a table as sets of values: one axis for each attribute that either of two tables has, within its condition."""

    attributes: tuple[str, ...]
    parts: tuple[tuple[frozenset[int], ...], ...]
    order: tuple[int, ...]
    """Of the table's own axes, those of the attributes in turn."""

    def turned(self, cells: NDArray[T]) -> NDArray[T]:
        """Return cells with one axis for each attribute."""
        return cells.transpose(self.order).reshape([len(parts) for parts in self.parts])

    def turned_back(self, cells: Seen, table: CountTable) -> Seen:
        """Return cells with the table's own axes."""
        flat = cells.reshape([table.shape[place] for place in self.order])
        return flat.transpose(np.argsort(self.order)) if self.order else flat


def _parts(one: CountTable, other: CountTable) -> tuple[_Parts, _Parts] | None:
    """Return the cells of two tables side by side; None where a condition that is about no axis of theirs keeps them apart."""
    whole = {
        split.attribute: frozenset[int]().union(*(part.positions for part in split.parts))
        for split in (*one.splits, *other.splits)
    }
    names = tuple(sorted(whole))
    found, left = [], []
    for table in (one, other):
        conjuncts = table.where.parts if isinstance(table.where, Every) else (table.where,)
        kept = dict(whole)
        rest: list[Where] = []
        for part in conjuncts:
            if isinstance(part, Condition) and part.attribute in whole:
                kept[part.attribute] &= part.positions
            else:
                rest.append(part)
        own = {
            split.attribute: [part.positions & kept[split.attribute] for part in split.parts] for split in table.splits
        }
        left.append(rest)
        places = [split.attribute for split in table.splits]
        found.append(
            _Parts(
                attributes=names,
                parts=tuple(tuple(own.get(name, [kept[name]])) for name in names),
                order=tuple(places.index(name) for name in names if name in own),
            )
        )
    same = all(part in left[1] for part in left[0]) and all(part in left[0] for part in left[1])
    return (found[0], found[1]) if same else None


def _made_of(sums: _Parts, parts: _Parts) -> list[Floats]:
    """Return per attribute which parts each sum is made of; none where it is not made of whole parts."""
    rows = []
    for outer, inner in zip(sums.parts, parts.parts, strict=True):
        row = np.zeros((len(outer), len(inner)))
        for number, values in enumerate(outer):
            inside = [place for place, other in enumerate(inner) if other and other <= values]
            if values and frozenset[int]().union(*(inner[place] for place in inside)) == values:
                row[number, inside] = 1.0
        rows.append(row)
    return rows


def _count(rows: Sequence[Floats], cells: Seen) -> Floats:
    """Return how many of some cells each sum holds."""
    found: Floats = cells.astype(np.float64)
    for place, row in enumerate(rows):
        found = np.moveaxis(np.tensordot(row, found, axes=(1, place)), 0, place)
    return found


def _lone(rows: Sequence[Floats], seen: Seen) -> Seen:
    """Return which sums have several parts, one of them hidden."""
    lone: Seen = (_count(rows, ~seen) == 1) & (_count(rows, np.ones_like(seen)) > 1)
    return lone


def _without_lone_part(seen: Seen, values: Floats, sums: Seen, rows: Sequence[Floats]) -> Seen:
    """Hide the smallest shown part where one part alone is hidden of a sum that was shown before."""
    kept = seen.copy()
    for place in np.argwhere(sums & _lone(rows, seen)):
        parts = np.ix_(*(np.flatnonzero(row[number]) for row, number in zip(rows, place, strict=True)))
        inside = kept[parts]
        if (~inside).sum() == 1:  # not hidden yet beside another sum
            smallest = np.where(inside, values[parts], np.inf).argmin()
            inside[np.unravel_index(int(smallest), inside.shape)] = False
            kept[parts] = inside
    return kept


def _without_sum_of_lone(seen: Seen, parts: Seen, rows: Sequence[Floats]) -> Seen:
    """Hide sums of which one part alone was hidden before."""
    kept: Seen = seen & ~_lone(rows, parts)
    return kept
