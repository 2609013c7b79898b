"""Where released estimates are right and where they are not: by the size of the count, and by who is counted. Uses real data, like `private`.

1. Sizes are those of the real counts, so what is hidden or lost is looked at as well as what is shown.
2. A subgroup is the people who have one value. Its error is that of the numbers a reader would take for them: the value crossed with every value of every other attribute.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.aggregates import LOWEST_END, MINIMUM
from casesynth.domain import Domain, known_values
from casesynth.intervals import ErrorScale, half_widths
from casesynth.marginals import Clique
from casesynth.model import LatentClassModel

EDGES = (1, 10, 20, 50, 100, 200, 500, 1_000, 5_000, math.inf)
"""Sizes of real counts, from each to below the next."""

SUBGROUP_LEAST = 50
"""People that a subgroup has at least; errors of smaller ones say little."""

Tables = dict[Clique, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Combinations of one length that about so many real people have."""

    length: int
    low: int
    high: int | None
    """Sizes from `low` to below `high`; None: no upper end."""
    combinations: int
    mean_error: float
    """Mean distance of the estimate from the real count, in people."""
    error: float
    """How far off 19 of 20 estimates are at most, in people."""
    shown: float
    """Part that the release shows."""
    held: float | None
    """Part of the shown ones whose interval holds the real count; None where none is shown."""


@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """People who have one value, and how right their numbers are."""

    attribute: str
    value: str
    people: int
    """Exact."""
    relative_error: float
    """Mean of |estimate - real| / real over the value crossed with every other value, for real counts of 10 and more."""
    shown: float
    """Part of those that the release shows."""


def buckets(real: Tables, model: LatentClassModel, errors: ErrorScale, domain: Domain) -> tuple[Bucket, ...]:
    """Return the errors of one length by size; sizes that nobody has are left out."""
    truth, guess, half = _flat(real, model, errors, domain)
    shown = _shown(guess, half)
    gap, found = np.abs(guess - truth), []
    for low, high in itertools.pairwise(EDGES):
        inside = (truth >= low) & (truth < high)
        if inside.any():
            both = inside & shown
            found.append(
                Bucket(
                    length=len(next(iter(real))),
                    low=int(low),
                    high=None if high == math.inf else int(high),
                    combinations=int(inside.sum()),
                    mean_error=float(gap[inside].mean()),
                    error=float(np.quantile(gap[inside], 0.95)),
                    shown=float(shown[inside].mean()),
                    held=float((gap <= half)[both].mean()) if both.any() else None,
                )
            )
    return tuple(found)


def subgroups(pairs: Tables, model: LatentClassModel, errors: ErrorScale, domain: Domain) -> tuple[Subgroup, ...]:
    """Return every subgroup of some size, the one with the largest error first.

    Args:
        pairs: exact tables of every pair of columns.
        model: the released model.
        errors: its error scale.
        domain: the public value lists.
    """
    known, columns = known_values(domain), domain.columns
    found = []
    for place, column in enumerate(columns):
        others = [clique for clique in pairs if place in clique]
        for value in known[place]:
            truths, guesses, halves = [], [], []
            people = 0
            for clique in others:
                axis = clique.index(place)
                other = clique[1 - axis]
                row = np.take(pairs[clique], int(value), axis=axis)
                people = int(row.sum())
                truths.append(row[known[other]])
                guesses.append(np.take(model.marginal(clique), int(value), axis=axis)[known[other]])
                halves.append(np.take(half_widths(model, errors, clique), int(value), axis=axis)[known[other]])
            if people < SUBGROUP_LEAST:
                continue
            truth, guess = np.concatenate(truths), np.concatenate(guesses)
            large = truth >= MINIMUM
            if not large.any():
                continue
            half = np.concatenate(halves)
            found.append(
                Subgroup(
                    attribute=column.attribute,
                    value=column.value if column.value is not None else column.values[int(value)],
                    people=people,
                    relative_error=float((np.abs(guess - truth)[large] / truth[large]).mean()),
                    shown=float(_shown(guess, half)[large].mean()),
                )
            )
    return tuple(sorted(found, key=lambda each: -each.relative_error))


def _flat(
    real: Tables, model: LatentClassModel, errors: ErrorScale, domain: Domain
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return real counts, estimates and half widths of all combinations of known values."""
    known: Sequence[NDArray[np.int64]] = known_values(domain)
    truth = np.concatenate([table[np.ix_(*(known[i] for i in clique))].ravel() for clique, table in real.items()])
    guess = np.concatenate([model.marginal(clique, known).ravel() for clique in real])
    halves = [half_widths(model, errors, clique)[np.ix_(*(known[i] for i in clique))].ravel() for clique in real]
    return truth, guess, np.concatenate(halves)


def _shown(guess: NDArray[np.float64], half: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Privacy rule 25, as the release applies it."""
    shown: NDArray[np.bool_] = (guess >= MINIMUM) & (guess - half >= LOWEST_END)
    return shown
