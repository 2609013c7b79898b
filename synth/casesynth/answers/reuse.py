"""What a noisy table that is paid for says about another question's grid: parts joined, axes summed over, conditions read off as slices.

1. A table helps where the grid's numbers are sums of its cells: each of its parts lies within one part of the grid's axis, or outside the condition. Axes that
   the grid lacks are summed over. Facts help where the grid has the same fact, or a split into exactly those who have it and those who have not.
2. Cells of the result are sums of different cells of the table, so their noise is independent. Where they join different numbers of cells, all get the
   variance of the largest sum: weights are then a little too small, and intervals a little too wide, never too narrow.
3. A table under a wider condition helps where the rest of the condition is about its own axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from casesynth.answers.grid import Floats, GridTable, Use
from casesynth.answers.question import Condition, CountTable, Every, Fact, Integers, Split, Where

GridAxis: TypeAlias = Split | Fact


def reused(table: CountTable, values: Integers | None, axes: Sequence[GridAxis], where: Where) -> GridTable | None:
    """Return what a table says about a grid; None where it does not help.

    Args:
        table: that is paid for, or about to be.
        values: its noisy cells; None in a plan.
        axes: of the grid.
        where: the condition of the grid's question.
    """
    left = _left(table.where, where)
    if left is None or any(condition.attribute not in {s.attribute for s in table.splits} for condition in left):
        return None
    uses: list[Use] = ["sum"] * len(axes)
    found: Floats | None = None if values is None else values.astype(np.float64)
    turns: list[tuple[int, int]] = []
    variance = table.scale**2
    for fact in table.facts:
        matched = _sign(fact, axes, uses)
        if matched is None:
            return None
        axis, sign = matched
        uses[axis] = "sign"
        if found is not None:
            found = found * sign
    for place, split in enumerate(table.splits):
        kept = frozenset[int]().union(*(part.positions for part in split.parts))
        for condition in left:
            if condition.attribute == split.attribute:
                kept &= condition.positions
        if any(part.positions & kept and not part.positions <= kept for part in split.parts):
            return None
        target, rows = _rows(split, kept, axes, uses)
        if target is not None:
            uses[target] = "whole"
            turns.append((target, place))
        variance *= max(float(rows.sum(axis=1).max()), 1.0)
        if found is not None:
            found = np.moveaxis(np.tensordot(rows, found, axes=(1, place)), 0, place)
    if found is not None:
        summed = tuple(place for place in range(len(table.splits)) if place not in {place for _, place in turns})
        order = [place for _, place in sorted(turns)]
        found = found.transpose([*order, *summed]).reshape([found.shape[place] for place in order])
    return GridTable(uses=tuple(uses), values=found, variance=variance)


def _left(wider: Where, where: Where) -> list[Condition] | None:
    """Return the conditions that a table's own condition lacks; None where it keeps people out whom the question is about."""
    own, asked = _conjuncts(wider), _conjuncts(where)
    for part in own:
        if part not in asked and not any(
            isinstance(part, Condition)
            and isinstance(other, Condition)
            and other.attribute == part.attribute
            and other.positions <= part.positions
            for other in asked
        ):
            return None
    rest = [part for part in asked if part not in own]
    return (
        [part for part in rest if isinstance(part, Condition)] if all(isinstance(p, Condition) for p in rest) else None
    )


def _conjuncts(where: Where) -> tuple[Where, ...]:
    return where.parts if isinstance(where, Every) else (where,)


def _sign(fact: Fact, axes: Sequence[GridAxis], uses: Sequence[Use]) -> tuple[int, int] | None:
    """Return the axis that a fact is the sign of, and whether its second value has it (1) or its first (-1)."""
    for place, axis in enumerate(axes):
        if uses[place] != "sum":
            continue
        if isinstance(axis, Fact):
            if axis.key == fact.key:
                return place, 1
        elif len(axis.parts) == 2 and len(fact.holds) == 1:
            ((name, positions),) = fact.holds
            for second, part in enumerate(axis.parts):
                if (name, positions) == (axis.attribute, part.positions):
                    return place, 2 * second - 1
    return None


def _rows(
    split: Split, kept: frozenset[int], axes: Sequence[GridAxis], uses: Sequence[Use]
) -> tuple[int | None, Floats]:
    """Return the axis that a split tells of, and how its parts are joined; without an axis they are summed over."""
    inside = [part.positions if part.positions <= kept else frozenset[int]() for part in split.parts]
    for place, axis in enumerate(axes):
        if uses[place] != "sum":
            continue
        if isinstance(axis, Split) and axis.attribute == split.attribute:
            targets = [part.positions for part in axis.parts]
        elif isinstance(axis, Fact) and len(axis.holds) == 1 and axis.holds[0][0] == split.attribute:
            targets = [kept - axis.holds[0][1], axis.holds[0][1]]
        else:
            continue
        holder = {position: number for number, target in enumerate(targets) for position in target}
        rows = np.zeros((len(targets), len(inside)))
        for number, part in enumerate(inside):
            holders = {holder.get(position) for position in part}
            if len(holders) == 1 and None not in holders:
                rows[holders.pop(), number] = 1.0
        if rows.sum() == sum(map(bool, inside)):
            return place, rows
    return None, np.array([[float(bool(part)) for part in inside]])
