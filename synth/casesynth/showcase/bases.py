"""How many people answered any of several questions: an estimate over more columns than intervals are known for, and how far it may be off.

1. The estimate is everyone in view without those who lack an answer in every column of the group, read from the model like any number.
2. The error of "no answer in any of m columns" is systematic where records of one source lack most answers. It grows with the number of
   pairs among the columns, m (m - 1) / 2. Its size per pair is read from public numbers: the model against the direct noisy tables,
   averaged over the pairs, and over the triples, of the group's columns, with the standard error of each average added; the larger counts.
3. The interval of the number who answered is widened by that size times the number of pairs, in proportion to the people in view.

All of it is post-processing of noisy measurements.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from casesynth.contrasts import Contrasts, combine
from casesynth.domain import Domain
from casesynth.model import LatentClassModel
from casesynth.showcase.dimensions import Dimension
from casesynth.synthesis import Synthesis

TRIPLES_MOST = 120
"""Most triples of one group that are compared."""


def spreads(synthesis: Synthesis, dimensions: Sequence[Dimension]) -> tuple[float, ...]:
    """Return, per dimension, how far off "no answer" may be for each pair of its columns, as a share of everyone; 0 for one column."""
    domain = synthesis.plan.measured
    sources = {link.column: link.source for link in synthesis.model.links if link.declared}
    groups = [  # a derived column was not measured: whoever answered its source answered it
        tuple(dict.fromkeys(sources.get(column, column) for column in answered_columns(dimension)))
        for dimension in dimensions
    ]
    if all(len(group) < 2 for group in groups):
        return (0.0,) * len(groups)
    contrasts = combine(synthesis.measurements, domain.sizes)
    known: dict[tuple[int, ...], float] = {}
    for group in groups:
        if group not in known:
            known[group] = 0.0 if len(group) < 2 else _spread(synthesis.model, contrasts, domain, group)
    return tuple(known[group] for group in groups)


def answered_columns(dimension: Dimension) -> tuple[int, ...]:
    """Return the columns whose answers make up the base of a dimension."""
    return () if dimension.answered is None else tuple(column for part in dimension.answered.sets for column in part)


def _spread(model: LatentClassModel, contrasts: Contrasts, domain: Domain, group: Sequence[int]) -> float:
    largest = 0.0
    for length in (2, 3):
        subsets = list(itertools.combinations(group, length))
        subsets = subsets[:: max(len(subsets) // TRIPLES_MOST, 1)]
        gaps = np.array([_gap(model, contrasts, domain, subset) for subset in subsets])
        gaps = gaps[np.isfinite(gaps)]
        if len(gaps):
            error = float(gaps.std(ddof=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
            largest = max(largest, (abs(float(gaps.mean())) + error) / math.comb(length, 2))
    return largest / max(model.people, 1.0)


def _gap(model: LatentClassModel, contrasts: Contrasts, domain: Domain, columns: tuple[int, ...]) -> float:
    """Return model minus direct noisy estimate of the people without an answer in any of the columns; NaN where not measured."""
    direct = contrasts.table(columns)
    if direct is None:
        return math.nan
    missing = np.ix_(*(sorted(domain.columns[column].missing) for column in columns))
    return float((model.marginal(columns)[missing] - direct[missing]).sum())
