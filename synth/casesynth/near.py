"""Near-deterministic pairs that nobody declared: found in noisy numbers, and linked.

A column may say nearly the same as another, or nearly follow from it (a code and its label, a place and its region). A mixture of classes shows
such a pair blurred. All of this is post-processing of noisy tables: it costs no budget (privacy rule 6), and anyone can repeat it.

1. A pair is a candidate when its chi-square per cell against the fitted model stands well above 1.
2. In which direction one column follows from the other is decided value by value. For each value of the source, "everyone has value j of the
   column" is weighed for every j against "as the model says", by how likely either makes the noisy row. A pair becomes a link when the
   first explanation is far likelier for the pair as a whole, leaves little to chance, and explains the column's other tables no worse.
3. The link's table holds the rows so found, with noisy values where they stand more than 4 standard errors off, raked to the model's margins.
4. A column that a release declares as derived, or on which a derived one builds, is never linked to a source here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.contrasts import Contrasts, Floats, basis
from casesynth.domain import Domain
from casesynth.links import Link
from casesynth.model import LatentClassModel

STANDS_OUT = 4.0
"""Smallest excess over 1 of a candidate's chi-square per cell, in standard errors of a chi-square."""
SIZE_LEAST = 3
"""Columns of two values are never candidates: two classes say all about a pair of them."""
EVIDENCE = 20.0
"""By how much the logarithm of the likelihood has to speak for a link."""
SURE = 0.8
"""Share of the people whose value the link has to tell."""
OFF = 4.0
"""Standard errors from which a noisy cell counts by itself."""
ROUNDS = 40
"""Of raking."""
LEFT = 1e-6
"""Part of each row that stays as the model says, so that no combination becomes impossible by noise."""


@dataclass(frozen=True, kw_only=True)
class NearPair:
    """Two columns of which one follows from the other, and no schema says so."""

    column: str
    source: str
    share: float
    """Of the people, those whose value the source tells; an estimate."""

    def sentence(self) -> str:
        """Say what was found and what to do."""
        return (
            f"{self.column} follows from {self.source} for about {min(self.share, 0.999):.1%} of the people, and the schema does not say so. It "
            f"was linked by noisy numbers. If there is a public table, declare {self.column} as derived: then it is exact and costs nothing."
        )


def near_pairs(model: LatentClassModel, domain: Domain) -> tuple[NearPair, ...]:
    """Return the links that noisy numbers alone say, for the steward and the readers."""
    return tuple(
        NearPair(
            column=domain.columns[link.column].name,
            source=domain.columns[link.source].name,
            share=float((model.shares[link.source] @ model.weights) @ link.table.max(axis=1)),
        )
        for link in model.links
        if not link.declared
    )


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    columns: tuple[int, int]
    excess: float


def with_links(model: LatentClassModel, contrasts: Contrasts, *, fixed: Collection[int] = ()) -> LatentClassModel:
    """Return the model with a link for each near-deterministic pair; the same model where there is none.

    Args:
        model: fitted to the contrasts, without links.
        contrasts: combined noisy measurements.
        fixed: columns that must not follow from another.
    """
    for candidate in _candidates(model, contrasts):
        taken = {column for link in model.links for column in (link.column, link.source)}
        linked = {link.column for link in model.links}
        best: tuple[float, Link] | None = None
        for column, source in (candidate.columns, candidate.columns[::-1]):
            if column in fixed or column in taken or source in linked:
                continue
            found = _link(model, contrasts, column, source)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
        if best is not None:
            changed = model.linked([best[1]])
            column = best[1].column
            if _left(changed, contrasts, column) < _left(model, contrasts, column):
                model = changed
    return model


def followed(model: LatentClassModel, contrasts: Contrasts, links: Sequence[Link]) -> LatentClassModel:
    """Return a refit with links between the same columns, estimated anew from its own contrasts; declared ones as they are."""
    for link in links:
        again = link if link.declared else _estimated(model, contrasts, link.column, link.source)[1]
        model = model.linked([again])
    return model


def _features(model: LatentClassModel, contrasts: Contrasts, column: int) -> Floats:
    fold = contrasts.folds[column]
    features: Floats = basis(fold.size, fold.large)[1:] @ fold.fold(model.shares[column], 0, 2)
    return features


def _candidates(model: LatentClassModel, contrasts: Contrasts) -> list[_Candidate]:
    """Return the pairs that stand out, worst first."""
    layout = contrasts.layout
    features = np.concatenate([_features(model, contrasts, column) for column in layout.order])
    gaps = model.people * (features * model.weights) @ features.T
    gaps -= contrasts.c2
    gaps *= gaps
    gaps *= contrasts.q2
    starts = [offset for offset, size in zip(layout.offsets, layout.sizes, strict=True) if size > 1]
    places = [place for place, size in enumerate(layout.sizes) if size > 1]
    sums = np.add.reduceat(np.add.reduceat(gaps, starts, axis=0), starts, axis=1)
    widths = np.array([layout.sizes[place] - 1 for place in places], dtype=np.float64)
    cells = np.outer(widths, widths)
    excess = (sums / cells - 1) * np.sqrt(cells / 2)
    large = np.flatnonzero(widths + 1 >= SIZE_LEAST)
    found = [
        _Candidate(columns=(layout.order[places[i]], layout.order[places[j]]), excess=float(excess[i, j]))
        for at, i in enumerate(large)
        for j in large[at + 1 :]
        if excess[i, j] > STANDS_OUT
    ]
    return sorted(found, key=lambda each: (-each.excess, each.columns))


def _left(model: LatentClassModel, contrasts: Contrasts, column: int) -> float:
    """Return the chi-square of all pairs of a column."""
    total = 0.0
    for other in contrasts.layout.order:
        if other != column:
            values, precisions = contrasts.of((column, other))
            table = model.marginal((column, other))
            for axis, place in enumerate((column, other)):
                fold = contrasts.folds[place]
                rows = basis(fold.size, fold.large)[1:]
                table = np.moveaxis(np.tensordot(rows, fold.fold(table, axis, 2), axes=(1, axis)), 0, axis)
            total += float((precisions * (table - values) ** 2).sum())
    return total


def _link(model: LatentClassModel, contrasts: Contrasts, column: int, source: int) -> tuple[float, Link] | None:
    """Return how strongly noisy numbers say that the column follows from the source, and the link; None where they do not."""
    evidence, link = _estimated(model, contrasts, column, source)
    rows = model.shares[source] @ model.weights
    sure = float(rows @ link.table.max(axis=1))
    return (evidence, link) if evidence > EVIDENCE and sure > SURE else None


def _estimated(model: LatentClassModel, contrasts: Contrasts, column: int, source: int) -> tuple[float, Link]:
    """Return the evidence for a link, in logarithms of the likelihood, and the link."""
    expected = np.maximum(model.marginal((source, column)), 0.0)
    if not expected.any():  # noise left nobody: nothing speaks for a link
        usual = model.shares[column] @ model.weights
        table = np.tile(usual / usual.sum(), (len(expected), 1))
        return 0.0, Link(column=column, source=source, table=table)
    rows, columns = expected.sum(axis=1), expected.sum(axis=0)
    noisy = contrasts.table((source, column))
    if noisy is None:
        noisy = expected
    sigma = 1 / math.sqrt(float(contrasts.of((source, column))[1].mean()))
    whole = rows[:, None]
    known = np.isfinite(noisy)
    noisy = np.where(known, noisy, whole / 2)  # a folded cell speaks neither for nor against
    usual = expected / np.maximum(whole, 1e-300)
    others = columns / max(float(columns.sum()), 1e-300)
    prior = (usual + others) / 2
    prior /= prior.sum(axis=1, keepdims=True)
    exceptions = 0.0
    for _ in range(2):
        weights, function = _rows(noisy, known, whole, prior, others * exceptions, 1 - exceptions, sigma)
        exceptions = _exceptions(noisy, whole, np.where(known, weights, 0.0), others, sigma)
    weights, function = _rows(noisy, known, whole, prior, others * exceptions, 1 - exceptions, sigma)
    mixture = np.where(known, noisy * expected - expected**2 / 2, 0.0).sum(axis=1) / sigma**2
    evidence = float((function - mixture).sum())
    target = ((1 - exceptions) * weights + exceptions * others) * whole
    off = known & (np.abs(noisy - target) > OFF * sigma)
    target = np.where(off, np.maximum(noisy, 0.0), target)
    target = (1 - LEFT) * target + LEFT * whole * usual
    for _ in range(ROUNDS):
        target *= columns / np.maximum(target.sum(axis=0), 1e-300)
        target *= (rows / np.maximum(target.sum(axis=1), 1e-300))[:, None]
    total = target.sum(axis=1, keepdims=True)
    table = np.where(total > 0, target / np.where(total > 0, total, 1.0), usual)
    empty = table.sum(axis=1) <= 0
    table[empty] = columns / columns.sum()
    return evidence, Link(column=column, source=source, table=table / table.sum(axis=1, keepdims=True))


def _rows(
    noisy: Floats, known: NDArray[np.bool_], whole: Floats, prior: Floats, rest: Floats, part: float, sigma: float
) -> tuple[Floats, Floats]:
    """Weigh, for each value of the source, which value of the column goes with it.

    Args:
        noisy: the noisy table; half of the row's people where a cell has no noisy value of its own.
        known: which cells have one.
        whole: people of each row, shape (rows, 1).
        prior: probability of each value, per row.
        rest: share of the people who have each value as exceptions.
        part: share of the people who are no exceptions.
        sigma: standard deviation of the noise.

    Returns:
        The probability of each value, and the logarithm of the likelihood of each row against that of an empty one.
    """
    base = np.where(known, noisy * (rest * whole) - (rest * whole) ** 2 / 2, 0.0).sum(axis=1, keepdims=True)
    step = part * whole
    one = np.log(np.maximum(prior, 1e-300)) + (base + (noisy - rest * whole) * step - step**2 / 2) / sigma**2
    top = one.max(axis=1, keepdims=True)
    weights = np.exp(one - top)
    total = weights.sum(axis=1, keepdims=True)
    return weights / total, (top + np.log(total)).ravel()


def _exceptions(noisy: Floats, whole: Floats, weights: Floats, others: Floats, sigma: float) -> float:
    """Return the share of the people whose value the link does not tell, by least squares; zero where noise alone may say so."""
    step = weights * whole * (1 - others)  # what a cell loses when everyone is an exception
    bottom = float((step**2).sum())
    if bottom <= 0:
        return 0.0
    share = float((step * (weights * whole - noisy)).sum()) / bottom
    return min(share, 1 - SURE) if share > 2 * sigma / math.sqrt(bottom) else 0.0
