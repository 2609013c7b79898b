"""Noisy tables over one grid, combined exactly: the best unbiased estimate of every number, and its variance.

The grid crosses axes; its cells partition the people. A table over the grid keeps an axis *whole*, *sums* over it, or takes the *sign* of a
two-valued one (people of the second value less people of the first). Each table has independent noise of one variance in every cell.

1. For every set R of axes, the *component* of R is what the cells say that no smaller set says: centred along the axes of R, constant along the others.
   Components are orthogonal projections, and every table tells each of its components with noise of equal size, so inverse variance, component by
   component, is the generalised least squares estimate over all tables. Totals and parts then agree by themselves.
2. An axis that is summed over makes a component more precise by its size, a sign by two.
3. Numbers that are shown are products of one row per axis (a *family*); their variances and covariances follow in closed form. Nothing here reads data: the
   variances of a plan are known before it is paid for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from casesynth.errors import CasesynthError

Floats: TypeAlias = NDArray[np.float64]
Use: TypeAlias = Literal["whole", "sum", "sign"]
Family: TypeAlias = Sequence[Floats]
"""One matrix per axis, rows times values: the numbers wanted are all products of one row of each."""

_NOTHING = 1e-9


class GridError(CasesynthError):
    """A number is asked for that no table of the grid tells."""


@dataclass(frozen=True, kw_only=True)
class GridTable:
    """A noisy table over a grid."""

    uses: tuple[Use, ...]
    """Per axis of the grid."""
    values: Floats | None
    """One axis per whole axis; None in a plan."""
    variance: float
    """Of the noise of each cell."""


@dataclass(frozen=True, kw_only=True)
class GridEstimate:
    """The combined estimate of all cells of a grid."""

    sizes: tuple[int, ...]
    precisions: Mapping[tuple[int, ...], float]
    """Per component, one over its variance; a component that no table tells is absent."""
    components: Mapping[tuple[int, ...], Floats]
    """Means over the axes outside; one axis per axis of the component. Empty in a plan."""

    def values(self, family: Family) -> Floats:
        """Return the numbers of a family, one axis per axis of the grid."""
        total = np.zeros([len(rows) for rows in family])
        for chosen, component in self.components.items():
            part: Floats = component
            for place, axis in enumerate(chosen):
                part = np.moveaxis(np.tensordot(family[axis], part, axes=(1, place)), 0, place)
            for axis in range(len(self.sizes)):
                if axis not in chosen:
                    part = np.expand_dims(part, axis)
            for axis in range(len(self.sizes)):
                if axis not in chosen:
                    part = part * _along(family[axis].sum(axis=1), axis, len(self.sizes))
            total = total + part
        return total

    def covariance(self, one: Family, other: Family) -> Floats:
        """Return the covariances of two families of equal shape, number by number; of a family with itself the variances.

        Raises:
            GridError: no table tells a part of both.
        """
        total = np.zeros([max(len(a), len(b)) for a, b in zip(one, other, strict=True)])
        inside, outside = [], []
        for size, a, b in zip(self.sizes, one, other, strict=True):
            common = a.sum(axis=1) * b.sum(axis=1) / size
            outside.append(common)
            inside.append((a * b).sum(axis=1) - common)
        for chosen in _subsets(len(self.sizes)):
            factor = np.ones_like(total)
            for axis in range(len(self.sizes)):
                factor = factor * _along((inside if axis in chosen else outside)[axis], axis, len(self.sizes))
            if not np.any(np.abs(factor) > _NOTHING):
                continue
            if chosen not in self.precisions:
                raise GridError("a number is asked for that no table tells")
            total = total + factor / self.precisions[chosen]
        return total


def combine(sizes: Sequence[int], tables: Sequence[GridTable]) -> GridEstimate:
    """Return the generalised least squares estimate of the cells from all tables.

    Args:
        sizes: number of values of each axis of the grid.
        tables: noisy tables, or planned ones, which have no values; all or none of them have.
    """
    weights: dict[tuple[int, ...], float] = {}
    sums: dict[tuple[int, ...], Floats] = {}
    for table in tables:
        whole = [axis for axis, use in enumerate(table.uses) if use == "whole"]
        signs = [axis for axis, use in enumerate(table.uses) if use == "sign"]
        summed = math.prod(size for size, use in zip(sizes, table.uses, strict=True) if use == "sum")
        precision = summed * 2 ** len(signs) / table.variance  # rule 2
        for part in _subsets(len(whole)):
            chosen = tuple(sorted([*signs, *(whole[place] for place in part)]))
            weights[chosen] = weights.get(chosen, 0.0) + precision
            if table.values is not None:
                found = _component(table.values, part, chosen, whole, signs) / summed
                sums[chosen] = sums.get(chosen, 0.0) + precision * found
    return GridEstimate(
        sizes=tuple(sizes),
        precisions=weights,
        components={chosen: total / weights[chosen] for chosen, total in sums.items()},
    )


def _component(
    values: Floats, part: tuple[int, ...], chosen: Sequence[int], whole: Sequence[int], signs: Sequence[int]
) -> Floats:
    """Return what a table says about one component: centred along its axes, the mean along the others."""
    others = tuple(place for place in range(values.ndim) if place not in part)
    found = np.asarray(values.mean(axis=others) if others else values, dtype=np.float64)
    for place in range(found.ndim):
        found = found - found.mean(axis=place, keepdims=True)
    axes = [whole[place] for place in part]
    for sign in signs:  # a difference of two means, half of it on each side of their middle
        place = sum(axis < sign for axis in axes)
        found = np.stack([-found / 2, found / 2], axis=place)
        axes = sorted([*axes, sign])
    return found


def _subsets(count: int) -> Iterator[tuple[int, ...]]:
    for length in range(count + 1):
        yield from itertools.combinations(range(count), length)


def _along(row: Floats, axis: int, axes: int) -> Floats:
    return row.reshape([-1 if place == axis else 1 for place in range(axes)])
