"""Aggregates: every combination of attribute values up to the reporting length, as an estimate with its interval.

All of it is post-processing of the model; no record is read.

1. Estimates are the model's expected numbers of people, in closed form. A combination is never larger than its parts.
2. Combinations are of known values; single values also list what is missing, so that "of those who answered" can be computed.
3. Numbers agree: all come from one model, so a combination is never larger than its parts and a column's values, missing ones included, sum to
   their parent. A combination is shown only where all its parts are.
4. Shown is what passes privacy rule 25: an estimate of at least 10 people and a lower interval end of at least 1. What is not listed
   is hidden by that rule, which does not mean that nobody has the combination.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from casesynth.contrasts import Floats
from casesynth.domain import Domain, known_values
from casesynth.intervals import ErrorScale, half_widths
from casesynth.links import joint, related
from casesynth.logic import forbidden_rows
from casesynth.model import LatentClassModel
from casesynth.progress import Progress, silent
from casesynth.sharper import of_table

MINIMUM = 10.0
"""Smallest estimate that is shown (privacy rule 25)."""

LOWEST_END = 1.0
"""Smallest lower interval end that is shown (privacy rule 25)."""

LENGTH = 3
"""Longest combination that is reported."""

ABSENT = -1
"""In a combination of fewer than `LENGTH` values, the column of the places that are not used."""


@dataclass(frozen=True, kw_only=True)
class AggregateTable:
    """Combinations with their estimates and 95 % intervals, in people."""

    columns: NDArray[np.int32]
    """Column positions, shape (combinations, LENGTH); ABSENT where unused."""
    values: NDArray[np.int32]
    """Value positions, same shape; ABSENT where unused."""
    estimate: Floats
    low: Floats
    high: Floats
    missing_values: int = 0
    """How many of the combinations are single missing values."""

    @property
    def combinations(self) -> int:
        """Number of combinations shown."""
        return len(self.estimate)

    @property
    def known(self) -> int:
        """Number of combinations shown, those of missing values left out."""
        return self.combinations - self.missing_values

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of values in each combination."""
        result: NDArray[np.int64] = (self.columns != ABSENT).sum(axis=1)
        return result


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Model estimates of combinations of one length, before rule 25."""

    columns: tuple[int, ...]
    values: NDArray[np.int64]
    """Shape (cells, length)."""
    estimate: Floats
    missing: bool = False
    """Whether these are missing values."""


def large_cells(
    model: LatentClassModel, domain: Domain, *, minimum: float = MINIMUM, progress: Progress = silent
) -> Iterator[Cells]:
    """Yield every combination of known values, up to LENGTH, that the model expects at least `minimum` people to have.

    A combination cannot be larger than its parts, so only extensions of large combinations are computed.
    """
    weight = model.weights * model.people
    kept: list[NDArray[np.int64]] = []
    for column, places in enumerate(known_values(domain)):
        estimate = model.shares[column][places] @ weight
        large = estimate >= minimum
        kept.append(places[large])
        yield Cells(columns=(column,), values=places[large][:, None], estimate=estimate[large])
    count = len(kept)
    for i in range(count):
        progress("aggregate", i / count)
        first = model.shares[i][kept[i]] * weight
        for j in range(i + 1, count):
            linked = related((i, j), model.links)
            pair = model.marginal((i, j), kept) if linked else first @ model.shares[j][kept[j]].T
            a, b = np.nonzero(pair >= minimum)
            yield Cells(columns=(i, j), values=np.stack([kept[i][a], kept[j][b]], axis=1), estimate=pair[a, b])
            if not len(a) or j + 1 == count:
                continue
            rows = (
                joint((i, j), model.shares, model.links, {i: kept[i], j: kept[j]})[a, b] * weight
                if linked
                else first[a] * model.shares[j][kept[j][b]]
            )
            rest = np.concatenate([model.shares[k][kept[k]] for k in range(j + 1, count)])
            triple = rows @ rest.T
            edges = np.cumsum([0] + [len(kept[k]) for k in range(j + 1, count)])
            for place, k in enumerate(range(j + 1, count)):
                part = triple[:, edges[place] : edges[place + 1]]
                if related((i, k), model.links) or related((j, k), model.links):
                    part = model.marginal((i, j, k), kept)[a, b]
                r, c = np.nonzero(part >= minimum)
                if len(r):
                    values = np.stack([kept[i][a[r]], kept[j][b[r]], kept[k][c]], axis=1)
                    yield Cells(columns=(i, j, k), values=values, estimate=part[r, c])


def aggregate(
    model: LatentClassModel, domain: Domain, errors: ErrorScale, *, progress: Progress = silent
) -> AggregateTable:
    """Return every combination that passes rule 25.

    Args:
        model: the fitted model.
        domain: the public value lists.
        errors: how far estimates of each length and size may be off.
        progress: called often; raising from it cancels.
    """
    blocks = [_shown(part, errors, model) for part in large_cells(model, domain, progress=progress)]
    blocks += [_shown(part, errors, model) for part in missing_cells(model, domain)]
    columns, values = (np.concatenate(parts) for parts in ([b[0] for b in blocks], [b[1] for b in blocks]))
    estimate, half = (np.concatenate(parts) for parts in ([b[2] for b in blocks], [b[3] for b in blocks]))
    unknown = np.concatenate([b[4] for b in blocks])
    order = np.lexsort((-estimate, unknown, (columns != ABSENT).sum(axis=1)))
    order = order[~forbidden_rows(columns[order], values[order], domain.rules)]
    order = order[_with_parts(columns[order], values[order], domain)]
    return AggregateTable(
        columns=columns[order],
        values=values[order],
        estimate=estimate[order],
        low=np.maximum(estimate - half, 0.0)[order],
        high=(estimate + half)[order],
        missing_values=int(unknown[order].sum()),
    )


def _with_parts(columns: NDArray[np.int32], values: NDArray[np.int32], domain: Domain) -> NDArray[np.bool_]:
    """Return which combinations have all their parts, one value less, among the others that do."""
    starts = np.cumsum([0, *domain.sizes])
    used = columns != ABSENT
    cells = np.where(used, starts[columns] + values, 0).astype(np.int64)
    lengths: NDArray[np.int64] = used.sum(axis=1)
    width = int(starts[-1])
    kept: NDArray[np.bool_] = lengths == 1
    single = cells[kept, 0]
    two = lengths == 2
    kept[two] = np.isin(cells[two, 0], single) & np.isin(cells[two, 1], single)
    pairs = kept & two
    known = cells[pairs, 0] * width + cells[pairs, 1]
    triples = np.flatnonzero(lengths == 3)
    inside = [np.isin(cells[triples, a] * width + cells[triples, b], known) for a, b in ((0, 1), (0, 2), (1, 2))]
    kept[triples] = np.logical_and.reduce(inside)
    return kept


def missing_cells(model: LatentClassModel, domain: Domain, *, minimum: float = MINIMUM) -> Iterator[Cells]:
    """Yield the missing values of each column that the model expects at least `minimum` people to have."""
    for column, spec in enumerate(domain.columns):
        places = np.array(sorted(spec.missing), dtype=np.int64)
        estimate = model.marginal((column,))[places]
        large = estimate >= minimum
        yield Cells(columns=(column,), values=places[large][:, None], estimate=estimate[large], missing=True)


_Block: TypeAlias = tuple[NDArray[np.int32], NDArray[np.int32], Floats, Floats, NDArray[np.bool_]]
"""Columns, values, estimates, half widths, and whether they are missing values."""


def _shown(part: Cells, errors: ErrorScale, model: LatentClassModel) -> _Block:
    """Return what privacy rule 25 shows of some cells."""
    length = len(part.columns)
    derived = any(link.declared and link.column in part.columns for link in model.links)
    if derived or of_table(errors.sharper, part.columns) is not None:
        half = half_widths(model, errors, part.columns)[tuple(part.values.T)]
    else:
        half = errors.of(part.columns, part.estimate)
    shown = (part.estimate >= MINIMUM) & (part.estimate - half >= LOWEST_END)  # privacy rule 25
    columns, values = (np.full((int(shown.sum()), LENGTH), ABSENT, dtype=np.int32) for _ in range(2))
    columns[:, :length] = part.columns
    values[:, :length] = part.values[shown]
    return columns, values, part.estimate[shown], half[shown], np.full(len(columns), part.missing)
