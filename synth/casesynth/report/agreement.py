"""Do the synthetic records say what the noisy measurements say? In units of the noise.

1. Records are synthetic and measurements are protected, so this is post-processing and tells nothing about a person.
2. If the records had exactly the counts of the people, the differences would be the noise alone: root mean square 1 in
   units of its scale, and 95.4 % of them within 2. What is above that is what the records get wrong.
3. Compared are contrasts: what a column's counts say beyond the number of people, and what a pair's counts say beyond its two columns.
   All tables that hold the column or pair are combined in them, and their noise is independent from number to number.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from casesynth.contrasts import Contrasts, Floats, combine
from casesynth.counting import count
from casesynth.marginals import Clique, Marginal
from casesynth.synthesis import Synthesis

WITHIN_EXPECTED = 0.9545
"""Share of normal noise within two scales."""

STANDS_OUT = 4.0
"""A table is named when its mean square is this many standard errors above 1."""

NAMED = 10
"""Most tables that are named."""

NORMAL = NormalDist()

EDGES: Floats = np.array([-np.inf, -3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, np.inf])


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How the records compare with the measured tables of one kind."""

    kind: str
    tables: int
    numbers: int
    """Contrasts that were compared."""
    within: float
    """Share of them that lie within two standard errors of the noise."""
    root_mean_square: float
    """Of the differences, in standard errors."""


@dataclass(frozen=True, kw_only=True)
class StrayTable:
    """A pair of columns that the records copy less well than the noise allows."""

    columns: tuple[str, str]
    root_mean_square: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Records against measurements."""

    agreements: tuple[Agreement, ...]
    strays: tuple[StrayTable, ...]
    """Worst first."""
    histogram: tuple[float, ...]
    """Share of the pairs' contrasts by difference in standard errors, between the `EDGES`; empty without pairs."""


def compare(synthesis: Synthesis) -> Comparison:
    """Compare the synthetic records with the noisy measurements."""
    domain = synthesis.plan.measured  # what is derived has no measurement to be compared with
    contrasts = combine(synthesis.measurements, domain.sizes)
    columns = range(len(domain.columns))
    cliques: list[Clique] = [(column,) for column in columns]
    cliques += list(itertools.combinations(columns, 2))
    gaps = {
        marginal.clique: _gaps(contrasts, marginal) for marginal in count([synthesis.records], cliques, domain.sizes)
    }
    together = {clique: found for clique, found in gaps.items() if len(clique) == 2}
    agreements = [_agreement("single columns", [found for clique, found in gaps.items() if len(clique) == 1])]
    histogram: tuple[float, ...] = ()
    if together:
        agreements.append(_agreement("pairs of columns", list(together.values())))
        histogram = _shares(np.concatenate(list(together.values())))
    strays = []
    for clique, gap in together.items():
        square = float((gap**2).mean())
        if (square - 1) / math.sqrt(2 / len(gap)) > STANDS_OUT:
            first, second = (domain.columns[place].name for place in clique)
            strays.append(StrayTable(columns=(first, second), root_mean_square=math.sqrt(square)))
    strays.sort(key=lambda stray: (-stray.root_mean_square, stray.columns))
    return Comparison(agreements=tuple(agreements), strays=tuple(strays), histogram=histogram)


def expected_histogram() -> tuple[float, ...]:
    """Return the shares between the `EDGES` that noise alone would give."""
    return tuple(NORMAL.cdf(high) - NORMAL.cdf(low) for low, high in itertools.pairwise(EDGES.tolist()))


def _shares(gaps: Floats) -> tuple[float, ...]:
    """Return the shares between the `EDGES`; what lies on an edge, as whole people often do, counts half on each side."""
    rounded = np.round(gaps, 9)
    left, right = (np.searchsorted(EDGES, rounded, side="left"), np.searchsorted(EDGES, rounded, side="right"))
    sides = np.concatenate([left, right]) - 1
    shares: Floats = np.bincount(sides, minlength=len(EDGES) - 1) / len(sides)
    return tuple(shares.tolist())


def _gaps(contrasts: Contrasts, marginal: Marginal) -> Floats:
    """Return the contrasts of a table of records minus the measured ones, in standard errors."""
    found = marginal.counts.astype(np.float64)
    for axis, column in enumerate(marginal.clique):
        found = contrasts.folds[column].fold(found, axis, 2)
        rows = contrasts.layout.basis(contrasts.layout.order.index(column))[1:]
        found = np.moveaxis(np.tensordot(found, rows, axes=(axis, 1)), -1, axis)
    values, precisions = contrasts.of(marginal.clique)
    gaps: Floats = ((found - values) * np.sqrt(precisions)).ravel()
    return gaps


def _agreement(kind: str, gaps: list[Floats]) -> Agreement:
    every = np.concatenate(gaps)
    return Agreement(
        kind=kind,
        tables=len(gaps),
        numbers=len(every),
        within=float((np.abs(every) <= 2).mean()),
        root_mean_square=float(np.sqrt((every**2).mean())),
    )
