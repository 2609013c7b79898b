"""Folds: values of a long list that nobody seems to have are counted together in tables of several columns.

A public list of 250 countries meets 250 others in 62,500 cells, and nearly all of them hold noise alone. They would be paid for in time, and
in budget that cells with people in them need.

1. Single columns are measured first, value by value. Which values fold follows from those noisy counts alone (privacy rule 6): it is
   post-processing, and anyone who has the measurements can repeat it.
2. A value of a list of at least `FOLD_SIZE` folds when its noisy count lies below `FOLD_BELOW` of its own standard errors. Two values, or more, always stay.
3. Folded values share the last cell of each axis. Among each other they keep fixed shares, in proportion to their noisy counts with what
   noise alone would give taken off. A person still falls into one cell of every table, so sensitivity stays 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from casesynth.marginals import Clique

Floats = NDArray[np.float64]
Number = TypeVar("Number", np.int64, np.float64)

FOLD_SIZE = 50
"""Fewest values of a column that folds."""

FOLD_BELOW = 1.25
"""A value folds when its noisy count is below so many standard errors."""

BROAD_BELOW = 6.0
"""In tables of three columns a value folds when its noisy count is below so many standard errors: such a table's noise drowns it."""

KEPT_LEAST = 2
"""Fewest values that stay, so that no fold makes a column binary."""

FLOOR = 0.1
"""Smallest prior count, in standard errors of a noisy count: noise must not make a value impossible."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """How the values of one column are counted in tables of several columns."""

    kept: tuple[int, ...]
    """Values with a cell of their own in tables of two columns: the large ones ascending, then the others ascending."""
    folded: tuple[int, ...] = ()
    """Values that share the last cell, ascending; none, or at least two."""
    inside: tuple[float, ...] = ()
    """Share of each folded value among them."""
    small: int = 0
    """How many of the kept values, the last ones, share the last cell with the folded ones in tables of three columns."""

    @property
    def size(self) -> int:
        """Number of cells in tables of two columns."""
        return len(self.kept) + bool(self.folded)

    @property
    def large(self) -> int:
        """Number of cells that tables of two and of three columns have in common, the first ones."""
        return len(self.kept) - self.small if self.small else self.size

    def cells(self, length: int) -> int:
        """Return the number of cells in tables of so many columns."""
        if length < 2:
            return self.values
        return self.large + 1 if self.small and length > 2 else self.size

    @property
    def values(self) -> int:
        """Number of values of the column."""
        return len(self.kept) + len(self.folded)

    @classmethod
    def none(cls, values: int) -> Fold:
        """Return the fold that leaves every value its cell."""
        return cls(kept=tuple(range(values)))

    @classmethod
    def of(cls, counts: Floats, sigma: float, people: float) -> Fold:
        """Decide which values of a column fold.

        Args:
            counts: noisy number of people with each value.
            sigma: standard deviation of their noise.
            people: noisy number of people.

        >>> Fold.of(np.array([70.0, 3.0, 40.0, -5.0] + [0.0] * 46), 10.0, 100.0).kept
        (0, 2)
        """
        if len(counts) < FOLD_SIZE:
            return cls.none(len(counts))
        largest = np.argsort(-counts, kind="stable")[:KEPT_LEAST]
        drowned, small = counts < FOLD_BELOW * sigma, counts < BROAD_BELOW * sigma
        drowned[largest] = small[largest] = False
        if drowned.sum() < 2:
            drowned[:] = False
        small &= ~drowned
        if small.sum() + drowned.any() < 2:
            small[:] = False
        prior = lowered(counts, FLOOR * sigma, max(people, 1.0))[drowned]
        return cls(
            kept=(*np.flatnonzero(~(small | drowned)).tolist(), *np.flatnonzero(small).tolist()),
            folded=tuple(np.flatnonzero(drowned).tolist()),
            inside=tuple((prior / prior.sum()).tolist()),
            small=int(small.sum()),
        )

    def fold(self, table: NDArray[Number], axis: int, length: int) -> NDArray[Number]:
        """Return a table of `length` columns with this column's axis folded: values with cells of their own, then the sum of the others."""
        if self.kept == tuple(range(self.values)) and not (self.small and length > 2):
            return table
        alone: tuple[int, ...] = self.kept[: self.large] if self.small and length > 2 else self.kept
        others = (*self.kept[len(alone) :], *self.folded)
        own = table.take(alone, axis=axis)
        if not others:
            return own
        return np.concatenate([own, table.take(others, axis=axis).sum(axis=axis, keepdims=True)], axis=axis)

    def unfold(self, shares: Floats) -> Floats:
        """Return shares per value from shares per cell, shape (cells, ...)."""
        whole = np.empty((self.values, *shares.shape[1:]))
        whole[list(self.kept)] = shares[: len(self.kept)]
        if self.folded:
            whole[list(self.folded)] = np.multiply.outer(np.array(self.inside), shares[-1])
        return whole


def lowered(counts: Floats, floor: float, total: float) -> Floats:
    """Return max(counts - t, floor) with the t that makes its sum the total, or as near as the floor lets it.

    >>> lowered(np.array([70.0, 40.0, -5.0]), 1.0, 101.0).tolist()
    [65.0, 35.0, 1.0]
    """
    falling = np.sort(counts)[::-1]
    above = np.arange(1, len(counts) + 1)
    lower = (np.cumsum(falling) + floor * (len(counts) - above) - total) / above
    kept = max(int((falling - lower > floor).sum()), 1)
    result: Floats = np.maximum(counts - lower[kept - 1], floor)
    return result


def folds_of(singles: Mapping[Clique, tuple[NDArray[np.int64], float]], sizes: Sequence[int]) -> tuple[Fold, ...]:
    """Return the fold of every column.

    Args:
        singles: the noisy number of people (the empty clique, where it is measured) and of each single column, with the scale of the noise.
        sizes: number of values of each column.
    """
    folds = []
    for column, size in enumerate(sizes):
        if size < FOLD_SIZE or (column,) not in singles:
            folds.append(Fold.none(size))
            continue
        counts, sigma = singles[column,]
        people = float(singles[()][0]) if () in singles else float(counts.sum())
        folds.append(Fold.of(counts.astype(np.float64), sigma, people))
    return tuple(folds)


class NoisyTable(Protocol):
    """A measured table, as far as folds need it."""

    @property
    def clique(self) -> Clique:
        """Its columns."""

    @property
    def values(self) -> NDArray[np.int64]:
        """Its noisy cells."""

    @property
    def scale(self) -> float:
        """Scale of the noise on each cell."""


def stored_folds(measurements: Iterable[NoisyTable], sizes: Sequence[int]) -> tuple[Fold, ...]:
    """Return how the columns of tables of several columns are folded: what the measured single columns say."""
    return folds_of({m.clique: (m.values, m.scale) for m in measurements if len(m.clique) < 2}, sizes)


def folded(table: NDArray[Number], clique: Clique, folds: Sequence[Fold]) -> NDArray[Number]:
    """Return a signed marginal of several columns with its axes folded; other tables as they are."""
    if len(clique) > 1:
        for axis, column in enumerate(column for column in clique if folds[column].values != 2):  # a sign has no axis
            table = folds[column].fold(table, axis, len(clique))
    return table
