"""Public logic: what cannot occur does not occur in a release.

A schema says that an attribute may hold an ordinary value only where another holds one of some values (a labour sector only with forced labour).
It is a public fact, fixed before any record, so enforcing it is post-processing and costs nothing (privacy rule 6).

1. Synthetic records: where a record breaks a rule, its value goes to a record of the same class that may have it, else to any that may, else
   it becomes the blank value. Swaps keep the counts of every column.
2. Aggregates and estimates: a combination that names a forbidden pair of facts is not listed, and its estimate is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ColumnRule:
    """One coded column may hold an ordinary value only where a condition is met."""

    column: int
    """The column that depends on the condition."""
    ordinary: frozenset[int]
    """Its values that need the condition."""
    blank: int
    """Its value where the condition is not met and no other is known."""
    conditions: tuple[tuple[int, frozenset[int]], ...]
    """Columns of which at least one has to hold one of the values."""

    def within(self, width: int) -> bool:
        """Whether all its columns are among the first `width`."""
        return max([self.column, *(column for column, _ in self.conditions)]) < width

    def met(self, records: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
        """Whether the condition is met, per record."""
        found = np.zeros(len(records[self.column]), dtype=bool)
        for column, values in self.conditions:
            found |= np.isin(records[column], list(values))
        return found

    def holds(self, records: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
        """Whether the column holds a value that needs the condition, per record."""
        return np.isin(records[self.column], list(self.ordinary))

    def broken(self, records: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
        """Whether a record breaks the rule."""
        return self.holds(records) & ~self.met(records)

    def forbids(self, facts: Mapping[int, int]) -> bool:
        """Whether nobody can have these facts together: values by column."""
        if facts.get(self.column) not in self.ordinary:
            return False
        return all(column in facts and facts[column] not in values for column, values in self.conditions)


def through(rule: ColumnRule, derived: int, source: int, places: Sequence[int], blank: int) -> ColumnRule:
    """Return what a rule says when a column that follows from another is replaced by its source.

    Args:
        rule: the public logic.
        derived: the column that follows.
        source: the column that it follows from.
        places: value of the derived column for each value of its source.
        blank: value of the source where nothing is known.
    """

    def before(values: frozenset[int]) -> frozenset[int]:
        return frozenset(value for value, place in enumerate(places) if place in values)

    own = rule.column == derived
    return ColumnRule(
        column=source if own else rule.column,
        ordinary=before(rule.ordinary) if own else rule.ordinary,
        blank=blank if own else rule.blank,
        conditions=tuple(
            (source, before(values)) if column == derived else (column, values) for column, values in rule.conditions
        ),
    )


def forbidden(facts: Mapping[int, int], rules: Iterable[ColumnRule]) -> bool:
    """Whether public logic says that nobody can have these facts together."""
    return any(rule.forbids(facts) for rule in rules)


def forbidden_rows(
    columns: NDArray[np.int32], values: NDArray[np.int32], rules: Iterable[ColumnRule]
) -> NDArray[np.bool_]:
    """Return which combinations public logic forbids.

    Args:
        columns: shape (combinations, length); negative where a place is not used.
        values: the same shape.
    """
    found = np.zeros(len(columns), dtype=bool)
    for rule in rules:
        against = ((columns == rule.column) & np.isin(values, list(rule.ordinary))).any(axis=1)
        for column, allowed in rule.conditions:
            against &= ((columns == column) & ~np.isin(values, list(allowed))).any(axis=1)
        found |= against
    return found


def obey(
    records: Sequence[NDArray[Any]],
    classes: NDArray[np.int64],
    rules: Sequence[ColumnRule],
    random: np.random.Generator,
) -> None:
    """Change records, in place, until none breaks a rule.

    Args:
        records: codes, one array per column.
        classes: class of each record; values are given inside a class where that is possible.
        rules: the public logic.
        random: a seeded generator.
    """
    for rule in _conditions_first(rules):
        _give(records, classes, rule, random)
    while any(
        _blanked(records, rule) for rule in rules
    ):  # rules may build on each other; each round only takes values away
        pass


def _conditions_first(rules: Sequence[ColumnRule]) -> list[ColumnRule]:
    """Return the rules so that a column obeys its own rules before others depend on it; in the order given where they go in circles."""
    waiting, ordered = list(rules), list[ColumnRule]()
    while waiting:
        later = {rule.column for rule in waiting}
        ready = [rule for rule in waiting if not later & {column for column, _ in rule.conditions}] or waiting[:1]
        ordered += ready
        waiting = [rule for rule in waiting if rule not in ready]
    return ordered


def _blanked(records: Sequence[NDArray[Any]], rule: ColumnRule) -> bool:
    broken = rule.broken(records)
    records[rule.column][broken] = rule.blank
    return bool(broken.any())


def _give(
    records: Sequence[NDArray[Any]], classes: NDArray[np.int64], rule: ColumnRule, random: np.random.Generator
) -> None:
    """Swap values of the rule's column between records that break the rule and records that may have them and do not."""
    met, holds = rule.met(records), rule.holds(records)
    givers, takers = np.flatnonzero(holds & ~met), np.flatnonzero(met & ~holds)
    givers, takers = (_by_class(places, classes, random) for places in (givers, takers))
    rank_givers, rank_takers = (_rank(classes[places]) for places in (givers, takers))
    room, asked = (
        np.bincount(classes[places], minlength=int(classes.max(initial=0)) + 1) for places in (takers, givers)
    )
    inside_givers, inside_takers = rank_givers < room[classes[givers]], rank_takers < asked[classes[takers]]
    one, two = givers[inside_givers], takers[inside_takers]
    rest_givers, rest_takers = givers[~inside_givers], random.permutation(takers[~inside_takers])
    count = min(len(rest_givers), len(rest_takers))
    one = np.concatenate([one, rest_givers[:count]])
    two = np.concatenate([two, rest_takers[:count]])
    column = records[rule.column]
    column[one], column[two] = column[two], column[one]


def _by_class(places: NDArray[np.int64], classes: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    shuffled = random.permutation(places)
    return shuffled[np.argsort(classes[shuffled], kind="stable")]


def _rank(ordered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each among its equals, of an ascending array."""
    return np.arange(len(ordered)) - np.searchsorted(ordered, ordered, side="left")
