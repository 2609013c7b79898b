"""Utility of released records or estimates against the real ones. Uses real data: for benchmarks on generated people, and for the
steward's private report after the decision to publish is final (privacy rule 33). Never part of a release.

The honest measures: over the *union* of combinations in the real and in the released data, so that hiding everything does not score 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.counting import count
from casesynth.marginals import Clique

SHOWN = 10
"""A combination counts as shown, or as real, from this many people."""


@dataclass(frozen=True, kw_only=True)
class Utility:
    """How far released numbers are from real ones, for tables of one length."""

    length: int
    """Columns per table."""
    total_variation: float
    """Mean over tables of half the L1 distance between the two normalised tables; missing values included."""
    mean_error: float
    """Mean absolute error in people over the union of combinations of known values."""
    relative_error: float
    """Mean of |released - real| / real over combinations of known values with a real count of 10 and more."""
    suppressed: float
    """Share of combinations with a real count of 10 and more that the release lacks."""
    fabricated: float
    """Share of released combinations that nobody has."""
    fabricated_shown: float
    """Share of combinations released with 10 and more that nobody has."""


def tables(columns: tuple[Codes, ...], sizes: Sequence[int], length: int) -> dict[Clique, NDArray[np.int64]]:
    """Return the exact table of every set of `length` columns."""
    cliques = list(itertools.combinations(range(len(sizes)), length))
    return {m.clique: m.counts for m in count([columns], cliques, sizes)}


def utility(
    real: dict[Clique, NDArray[np.int64]],
    released: dict[Clique, NDArray[np.int64]] | dict[Clique, NDArray[np.float64]],
    known: Sequence[NDArray[np.bool_]],
) -> Utility:
    """Compare tables of one length.

    Args:
        real: exact tables.
        released: tables over the same cliques, counts or estimates.
        known: per column, which values are known (not missing).
    """
    distances, errors, relative = [], [0.0, 0], [0.0, 0]
    big = lost = shown = false = shown_ten = false_ten = 0
    for clique, truth in real.items():
        guess = released[clique]
        a, b = truth / max(truth.sum(), 1), guess / max(guess.sum(), 1)
        distances.append(0.5 * float(np.abs(a - b).sum()))
        inside = np.ix_(*(np.flatnonzero(known[i]) for i in clique))
        t, g = truth[inside].ravel(), guess[inside].ravel()
        union = (t > 0) | (g > 0)
        gap = np.abs(g - t)
        errors = [errors[0] + float(gap[union].sum()), errors[1] + int(union.sum())]
        large = t >= SHOWN
        relative = [relative[0] + float((gap[large] / t[large]).sum()), relative[1] + int(large.sum())]
        big += int(large.sum())
        lost += int((g[large] <= 0).sum())
        shown += int((g > 0).sum())
        false += int(((g > 0) & (t == 0)).sum())
        shown_ten += int((g >= SHOWN).sum())
        false_ten += int(((g >= SHOWN) & (t == 0)).sum())
    return Utility(
        length=len(next(iter(real))),
        total_variation=float(np.mean(distances)),
        mean_error=errors[0] / max(errors[1], 1),
        relative_error=relative[0] / max(relative[1], 1),
        suppressed=lost / max(big, 1),
        fabricated=false / max(shown, 1),
        fabricated_shown=false_ten / max(shown_ten, 1),
    )
