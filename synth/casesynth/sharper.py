"""Intervals of named tables: their own noisy numbers say more than the size of a combination does.

A table that a steward names is measured with a share of the budget of its own. Each of its cells has an unbiased noisy number y with normal noise of known
standard deviation s, beside the model's estimate e. The truth is within z s of y in more than 95 of 100 cases, so it is within |y - e| + z s of e. Where that
is less than what the length and size of the combination say, it is the half width. Post-processing of noisy numbers (privacy rule 6).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from casesynth.contrasts import Contrasts, Floats
from casesynth.domain import Domain
from casesynth.marginals import Clique
from casesynth.model import LatentClassModel

ERRORS = 2.17
"""Standard errors of the noise on each side: 97 of 100, because the narrower of two intervals is taken."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sharper:
    """How far the cells of one table may be off, by its own noisy numbers."""

    columns: Clique
    """Positions in the domain, ascending."""
    half_widths: Floats
    """In people, one axis per column."""


def sharper(model: LatentClassModel, contrasts: Contrasts, cliques: Sequence[Clique]) -> tuple[Sharper, ...]:
    """Return the half widths of tables by their own noisy numbers; of those in which values fold there are none.

    Args:
        model: the fitted model, linked.
        contrasts: the noisy measurements that it was fitted to.
        cliques: the tables, columns ascending.
    """
    found = []
    for clique in cliques:
        direct = contrasts.table(clique)
        if direct is not None and np.isfinite(direct).all():
            halves = np.abs(direct - model.marginal(clique)) + ERRORS * cell_sigma(contrasts, clique)
            found.append(Sharper(columns=clique, half_widths=halves))
    return tuple(found)


def cell_sigma(contrasts: Contrasts, clique: Clique) -> float:
    """Return the standard deviation of the noise on a cell of `Contrasts.table`, or a little more where cells differ."""
    sizes = [contrasts.layout.sizes[contrasts.layout.order.index(column)] for column in clique]
    total = contrasts.people_variance / math.prod(size**2 for size in sizes)
    for length in range(1, len(clique) + 1):
        for axes in itertools.combinations(range(len(clique)), length):
            _, precisions = contrasts.of([clique[axis] for axis in axes])
            inside = math.prod(1 - 1 / sizes[axis] for axis in axes)
            outside = math.prod(sizes[axis] ** 2 for axis in range(len(clique)) if axis not in axes)
            total += inside / outside / float(precisions.min())
    return math.sqrt(total)


def of_table(tables: Sequence[Sharper], columns: Clique) -> Floats | None:
    """Return the half widths of a table with its axes in this order; None where it is not among them."""
    for each in tables:
        if each.columns == tuple(sorted(columns)):
            return each.half_widths.transpose([each.columns.index(column) for column in columns])
    return None


def stored_sharper(tables: Sequence[Sharper], domain: Domain) -> list[dict[str, Any]]:
    """Return tables as JSON, by the names of their columns; cells in row-major order."""
    return [
        {"columns": [domain.columns[c].name for c in each.columns], "half_widths": each.half_widths.ravel().tolist()}
        for each in tables
    ]


def read_sharper(stored: object, domain: Domain) -> tuple[Sharper, ...] | None:
    """Return stored tables; None where one is not different columns in ascending order with a positive half width for each cell."""
    places = {column.name: place for place, column in enumerate(domain.columns)}
    found = []
    for entry in stored if isinstance(stored, list) else [None]:
        names, halves = (entry.get("columns"), entry.get("half_widths")) if isinstance(entry, dict) else (None, None)
        if not isinstance(names, list) or not names or not all(isinstance(n, str) and n in places for n in names):
            return None
        clique = tuple(places[name] for name in names)
        shape = [domain.sizes[column] for column in clique]
        if list(clique) != sorted(set(clique)) or not isinstance(halves, list) or len(halves) != math.prod(shape):
            return None
        if not all(type(half) in (int, float) and 0 < half < math.inf for half in halves):
            return None
        found.append(Sharper(columns=clique, half_widths=np.array(halves, dtype=np.float64).reshape(shape)))
    return tuple(found)
