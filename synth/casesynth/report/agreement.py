"""Do the synthetic records say what the noisy measurements say? Counts against cells, in units of the noise.

1. Records are synthetic and measurements are protected, so this is post-processing and tells nothing about a person.
2. If the records had exactly the counts of the people, the differences would be the noise alone: root mean square 1 in
   units of its scale, and 95.4 % of them within 2. What is above that is what the records get wrong.
3. Pairs are compared with their own tables as measured. Single columns have no table of their own; the best estimate
   that all tables together give is used, with its scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from casesynth.contrasts import Contrasts, Floats, combine
from casesynth.counting import count
from casesynth.synthesis import Synthesis

WITHIN_EXPECTED = 0.9545
"""Share of normal noise within two scales."""

STANDS_OUT = 4.0
"""A table is named when its mean square is this many standard errors above 1."""

NAMED = 10
"""Most tables that are named."""

EDGES: Floats = np.array([-np.inf, -3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, np.inf])


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How the records compare with the measured tables of one kind."""

    kind: str
    tables: int
    cells: int
    within: float
    """Share of cells whose difference lies within two noise scales."""
    root_mean_square: float
    """Of the differences, in noise scales."""


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
    """Share of pair cells by difference in noise scales, between the `EDGES`; empty without pairs."""


def compare(synthesis: Synthesis) -> Comparison:
    """Compare the synthetic records with the noisy measurements."""
    domain = synthesis.plan.domain
    pairs = [m for m in synthesis.measurements if len(m.clique) == 2]
    singles = [(column,) for column in range(len(domain.columns))]
    counts = count([synthesis.records], [*singles, *(m.clique for m in pairs)], domain.sizes)
    contrasts = combine(synthesis.measurements, domain.sizes)
    alone = []
    for marginal in counts[: len(singles)]:
        estimate = contrasts.table(marginal.clique)
        if estimate is not None:
            alone.append((marginal.counts - estimate) / single_scale(contrasts, marginal.clique[0]))
    together = [((c.counts - m.values) / m.scale).ravel() for c, m in zip(counts[len(singles) :], pairs, strict=True)]
    agreements = [_agreement("single columns", alone)]
    histogram: tuple[float, ...] = ()
    if together:
        agreements.append(_agreement("pairs of columns", together))
        every = np.concatenate(together)
        histogram = _shares(every, np.ones(len(every)))
    strays = []
    for measurement, gaps in zip(pairs, together, strict=True):
        square = float((gaps**2).mean())
        if (square - 1) / math.sqrt(2 / len(gaps)) > STANDS_OUT:
            first, second = (domain.columns[place].name for place in measurement.clique)
            strays.append(StrayTable(columns=(first, second), root_mean_square=math.sqrt(square)))
    strays.sort(key=lambda stray: (-stray.root_mean_square, stray.columns))
    return Comparison(agreements=tuple(agreements), strays=tuple(strays), histogram=histogram)


def expected_histogram(synthesis: Synthesis) -> tuple[float, ...]:
    """Return the shares between the `EDGES` that the noise of the pair tables alone would give."""
    points, weights = [], []
    cells: dict[float, int] = {}
    for measurement in synthesis.measurements:
        if len(measurement.clique) == 2:
            cells[measurement.scale] = cells.get(measurement.scale, 0) + measurement.values.size
    for scale, number in cells.items():
        step = max(1, round(scale / 100))  # a fine grid is as good as every whole number
        grid = np.arange(-math.ceil(8 * scale / step), math.ceil(8 * scale / step) + 1) * step / scale
        density = np.exp(-(grid**2) / 2)
        points.append(grid)
        weights.append(density * number / density.sum())
    return _shares(np.concatenate(points), np.concatenate(weights)) if points else ()


def _shares(values: Floats, weights: Floats) -> tuple[float, ...]:
    """Return the shares between the `EDGES`; what lies on an edge counts half on each side."""
    sides = [np.searchsorted(EDGES, values, side="right"), np.searchsorted(EDGES, values, side="left")]
    sums = sum(np.bincount(places - 1, weights=weights, minlength=len(EDGES) - 1) for places in sides)
    return tuple(float(share) for share in sums / (2 * weights.sum()))


def single_scale(contrasts: Contrasts, column: int) -> float:
    """Return the noise scale of one cell of the combined table over one column.

    The cell is the total over C, plus its centred part; both are independent. The centred part has C - 1 contrasts of
    precision q, spread evenly over C cells.
    """
    layout = contrasts.layout
    place = layout.order.index(column)
    size = layout.sizes[place]
    if size == 1:
        return math.sqrt(contrasts.people_variance)
    q = float(contrasts.q1[layout.offsets[place]])
    return math.sqrt(contrasts.people_variance / size**2 + (size - 1) / size / q)


def _agreement(kind: str, gaps: list[Floats]) -> Agreement:
    every = np.concatenate(gaps)
    return Agreement(
        kind=kind,
        tables=len(gaps),
        cells=len(every),
        within=float((np.abs(every) <= 2).mean()),
        root_mean_square=float(np.sqrt((every**2).mean())),
    )
