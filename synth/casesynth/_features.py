"""Features: the space in which the latent class model is fitted, and the prior shares of the values.

1. A column's features are the coordinates of its value shares in an orthonormal basis of their centred space.
2. Values that nobody seems to have share one score. A long public list of countries holds many values whose noisy count is within the noise;
   what single tables say about each of them is noise, and it would be paid for in time and in error. They stay in the model with fixed shares
   among each other, in proportion to the prior. Which values these are comes from noisy numbers only (privacy rule 6).
3. Sharing a score keeps a class's shares in a smaller linear space, so contrasts are projected onto it. The projection has orthonormal rows:
   noise stays independent and as large as it was, and what is left out does not depend on the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.contrasts import Contrasts, Floats, Layout, basis

F32 = NDArray[np.float32]

POOLED_BELOW = 1.5
"""A value whose noisy count is below so many standard errors shares a score with its like."""

POOLED_SIZE = 12
"""Fewest values of a column that pools."""

FLOOR = 0.1
"""Smallest prior share, in standard errors of a noisy count: noise must not make a value impossible."""


def prior_counts(contrasts: Contrasts) -> list[Floats]:
    """Return the noisy number of people with each value, per column in layout order; may be negative."""
    layout = contrasts.layout
    return [
        basis(size)[1:].T @ contrasts.c1[offset : offset + size - 1] + contrasts.people / size
        for offset, size in zip(layout.offsets, layout.sizes, strict=True)
    ]


def prior_shares(contrasts: Contrasts) -> list[Floats]:
    """Return the prior share of every value from noisy one-way contrasts, per column in layout order.

    The noisy counts are lowered together until, with what is below the floor raised to it, they sum to the number of people.
    """
    people = max(contrasts.people, 1.0)
    shares = []
    for counts, offset in zip(prior_counts(contrasts), contrasts.layout.offsets, strict=True):
        size = len(counts)
        if size == 1:
            shares.append(np.ones(1))
            continue
        sigma = 1 / math.sqrt(contrasts.q1[offset])
        found = _lowered(counts, min(FLOOR * sigma, people / (2 * size)), people)
        shares.append(found / found.sum())
    return shares


def _lowered(counts: Floats, floor: float, total: float) -> Floats:
    """Return max(counts - t, floor) with the t that makes its sum the total.

    >>> _lowered(np.array([70.0, 40.0, -5.0]), 1.0, 101.0).tolist()
    [65.0, 35.0, 1.0]
    """
    falling = np.sort(counts)[::-1]
    above = np.arange(1, len(counts) + 1)
    lower = (np.cumsum(falling) + floor * (len(counts) - above) - total) / above
    kept = max(int((falling - lower > floor).sum()), 1)
    lowered: Floats = np.maximum(counts - lower[kept - 1], floor)
    return lowered


@dataclass(frozen=True, kw_only=True)
class Features:
    """Where the values and the features of each column stand, and how contrasts reach them."""

    prior: F32
    """Prior share of each score's values together, concatenated in layout order."""
    starts: NDArray[np.int64]
    """First score of each column."""
    column_of: NDArray[np.int64]
    """Column, in layout order, of each score."""
    to_features: F32
    """From shares per score to features, shape (features, scores)."""
    first: NDArray[np.int64]
    """Feature of the first column of each third-order row."""
    second: NDArray[np.int64]
    layout: Layout
    """Of the contrasts that are projected."""
    projections: tuple[Floats | None, ...]
    """Per column from the layout's features to these, rows orthonormal; None where they are the same."""
    spread: tuple[Floats | None, ...]
    """Per column from shares per score to shares per value, shape (values, scores); None where each value has a score."""

    @classmethod
    def of(cls, contrasts: Contrasts) -> Features:
        """Decide from noisy contrasts which values share a score."""
        layout = contrasts.layout
        prior: list[Floats] = []
        to_features: list[Floats] = []
        projections: list[Floats | None] = []
        spread: list[Floats | None] = []
        for shares, counts, offset in zip(
            prior_shares(contrasts), prior_counts(contrasts), layout.offsets, strict=True
        ):
            size = len(shares)
            centred = basis(size)[1:]
            pooled = counts < POOLED_BELOW / math.sqrt(contrasts.q1[offset]) if size >= POOLED_SIZE else None
            if pooled is None or pooled.sum() < 2:
                prior.append(shares)
                to_features.append(centred)
                projections.append(None)
                spread.append(None)
                continue
            kept = np.flatnonzero(~pooled)
            members = np.zeros((size, len(kept) + 1))
            members[kept, np.arange(len(kept))] = 1.0
            members[pooled, -1] = shares[pooled] / shares[pooled].sum()
            rows = np.linalg.qr(centred @ members)[0].T
            prior.append(np.append(shares[kept], shares[pooled].sum()))
            to_features.append(rows @ centred @ members)
            projections.append(rows)
            spread.append(members)
        widths = [len(block) for block in to_features]
        scores = [len(part) for part in prior]
        offsets = np.cumsum([0, *widths])
        starts = np.cumsum([0, *scores])
        matrix = np.zeros((offsets[-1], starts[-1]), dtype=np.float32)
        for place, block in enumerate(to_features):
            matrix[offsets[place] : offsets[place + 1], starts[place] : starts[place + 1]] = block
        first, second = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for i, j in layout.row_offsets:
            first.append(np.repeat(np.arange(offsets[i], offsets[i + 1]), widths[j]))
            second.append(np.tile(np.arange(offsets[j], offsets[j + 1]), widths[i]))
        return cls(
            prior=np.concatenate(prior).astype(np.float32),
            starts=starts[:-1],
            column_of=np.repeat(np.arange(len(scores)), scores),
            to_features=matrix,
            first=np.concatenate(first),
            second=np.concatenate(second),
            layout=layout,
            projections=tuple(projections),
            spread=tuple(spread),
        )

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.to_features)

    def project(self, contrasts: Contrasts) -> Projected:
        """Return contrasts of the same layout in these features."""
        layout = self.layout
        whole = np.zeros((self.count, layout.features))
        leads = []  # for each feature, one of its column in the layout: precisions are equal within a set of columns
        row = 0
        for rows, offset, size in zip(self.projections, layout.offsets, layout.sizes, strict=True):
            block = np.eye(size - 1) if rows is None else rows
            whole[row : row + len(block), offset : offset + size - 1] = block
            leads += [offset] * len(block)
            row += len(block)
        lead = np.array(leads, dtype=np.int64)
        values, precisions = [np.zeros((0, self.count))], [np.zeros((0, self.count))]
        third = contrasts.c3 @ whole.T
        for (i, j), start in layout.row_offsets.items():
            shape = (layout.sizes[i] - 1, layout.sizes[j] - 1)
            block = third[start : start + shape[0] * shape[1]].reshape(*shape, self.count)
            for axis, column in enumerate((i, j)):
                rows = self.projections[column]
                if rows is not None:
                    block = np.moveaxis(np.tensordot(rows, block, axes=(1, axis)), 0, axis)
            block = block.reshape(-1, self.count)
            values.append(block)
            precisions.append(np.broadcast_to(contrasts.q3[start, lead], block.shape))
        return Projected(
            people=max(contrasts.people, 1.0),
            c1=(whole @ contrasts.c1).astype(np.float32),
            q1=contrasts.q1[lead].astype(np.float32),
            c2=(whole @ contrasts.c2 @ whole.T).astype(np.float32),
            q2=contrasts.q2[np.ix_(lead, lead)].astype(np.float32),
            c3=np.concatenate(values).astype(np.float32),
            q3=np.concatenate(precisions).astype(np.float32),
        )

    def by_column(self, shares: Floats) -> list[Floats]:
        """Return shares per value, shape (C, K) per column in layout order, from shares per score of shape (scores, K)."""
        columns = []
        for part, members in zip(np.split(shares, self.starts[1:]), self.spread, strict=True):
            whole = part / part.sum(axis=0)
            columns.append(whole if members is None else members @ whole)
        return columns


@dataclass(frozen=True, kw_only=True)
class Projected:
    """Contrasts in the features of a fit, with their precisions; see `casesynth.contrasts.Contrasts`."""

    people: float
    c1: F32
    q1: F32
    c2: F32
    q2: F32
    c3: F32
    q3: F32
