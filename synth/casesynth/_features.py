"""Features: the space in which the latent class model is fitted, and the prior shares of the values.

1. A column's features are the coordinates of its value shares in an orthonormal basis of their centred space.
2. Values that nobody seems to have are one value here (`casesynth.folds`). In the model they keep fixed shares among each other.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.contrasts import Contrasts, Floats, Layout, basis
from casesynth.folds import FLOOR, FOLD_SIZE, Fold, lowered

F32 = NDArray[np.float32]


def prior_shares(contrasts: Contrasts) -> list[Floats]:
    """Return the prior share of every value from noisy one-way contrasts, per column in layout order; folded values count once.

    The noisy counts are lowered together until, with what is below the floor raised to it, they sum to the number of people.
    """
    people = max(contrasts.people, 1.0)
    layout = contrasts.layout
    shares = []
    for place, (offset, size) in enumerate(zip(layout.offsets, layout.sizes, strict=True)):
        counts = layout.basis(place)[1:].T @ contrasts.c1[offset : offset + size - 1] + contrasts.people / size
        sigma = 1 / math.sqrt(contrasts.q1[offset])
        found = lowered(counts, min(FLOOR * sigma, people / (2 * size)), people)
        shares.append(found / found.sum())
    return shares


@dataclass(frozen=True, kw_only=True)
class Features:
    """Where the values and the features of each column stand."""

    prior: F32
    """Prior share of each value, concatenated in layout order."""
    starts: NDArray[np.int64]
    """First value of each column."""
    column_of: NDArray[np.int64]
    """Column, in layout order, of each value."""
    blocks: tuple[tuple[slice, slice, F32], ...]
    """From shares per value to features: blocks of a matrix that is zero elsewhere, each with its features and its values."""
    count: int
    """Number of features."""
    first: NDArray[np.int64]
    """Feature of the first column of each third-order row."""
    second: NDArray[np.int64]
    folds: tuple[Fold, ...]
    """Of the columns in layout order."""

    @classmethod
    def of(cls, contrasts: Contrasts) -> Features:
        """Lay out the values and features of contrasts."""
        layout: Layout = contrasts.layout
        offsets = [*layout.offsets, layout.features]
        starts = np.cumsum([0, *layout.sizes]).tolist()
        blocks = []
        place = 0
        for (size, large), group in itertools.groupby(zip(layout.sizes, layout.large, strict=True)):
            together = len(list(group))
            count = together if size < FOLD_SIZE else 1  # a few large blocks are faster than many small ones
            for _ in range(together // count):
                rows = slice(offsets[place], offsets[place + count])
                block = np.kron(np.eye(count), basis(size, large)[1:]).astype(np.float32)
                blocks.append((rows, slice(starts[place], starts[place + count]), block))
                place += count
        first, second = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for i, j in layout.row_offsets:
            first.append(np.repeat(np.arange(offsets[i], offsets[i + 1]), layout.sizes[j] - 1))
            second.append(np.tile(np.arange(offsets[j], offsets[j + 1]), layout.sizes[i] - 1))
        return cls(
            prior=np.concatenate(prior_shares(contrasts)).astype(np.float32),
            starts=np.array(starts[:-1], dtype=np.int64),
            column_of=np.repeat(np.arange(len(layout.sizes)), layout.sizes),
            blocks=tuple(blocks),
            count=layout.features,
            first=np.concatenate(first),
            second=np.concatenate(second),
            folds=tuple(contrasts.folds[column] for column in layout.order),
        )

    def by_column(self, shares: Floats) -> list[Floats]:
        """Return shares per value of the domain, shape (C, K) per column in layout order, from shares of shape (values, K)."""
        parts = np.split(shares, self.starts[1:])
        return [fold.unfold(part / part.sum(axis=0)) for part, fold in zip(parts, self.folds, strict=True)]
