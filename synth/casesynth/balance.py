"""Swaps values between synthetic records of one class until the counts of all pairs of columns follow the model.

Inside a class every column is independent in the model, so a swap of two records' values of one column changes nothing that the class
says; it only removes the noise of having placed values at random. Post-processing: only the model and its records are used.

1. For one column, records of a class are paired at random, and a pair is a candidate when swapping lowers the weighted squared
   distance between pair counts and the model's.
2. Candidates are judged one by one but swapped together, so a random part of them is swapped: the part that a line search along the
   sum of their effects finds best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from casesynth._features import F32
from casesynth.contrasts import Floats
from casesynth.progress import Progress, silent

SWEEPS = 3
ROWS_MAX = 400_000
"""With more records the noise of placing them is far below the noise of the measurements, and balancing is left out."""

WEIGHT_POWER = 0.8
"""A pair count's weight falls with its expected size to this power: a compromise between total variation and relative error."""


def balance(
    records: list[NDArray[np.int64]],
    classes: NDArray[np.int64],
    shares: Sequence[Floats],
    weights: Floats,
    random: np.random.Generator,
    *,
    progress: Progress = silent,
) -> list[NDArray[np.int64]]:
    """Return the records with values swapped inside classes; every column keeps its counts in every class.

    Args:
        records: codes, one array per column, each of shape (rows,).
        classes: class of each record.
        shares: per column, value shares of each class, shape (C, K).
        weights: share of each class, shape (K,).
        random: a seeded generator.
        progress: called per column; raising from it cancels.
    """
    rows = len(classes)
    if len(records) < 2 or not 2 <= rows <= ROWS_MAX:
        return records
    state = _PairCounts(records, shares, weights * rows)
    steps = SWEEPS * len(records)
    for sweep in range(SWEEPS):
        for place, column in enumerate(random.permutation(len(records))):
            progress("sample", (sweep * len(records) + place) / steps)
            order = shuffled_inside(classes, random)
            first, second = order[0 : rows - rows % 2 : 2], order[1::2]
            same = classes[first] == classes[second]
            state.swap(int(column), first[same], second[same], random)
    return state.records()


def shuffled_inside(classes: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Return the places of the records class by class, at random inside each class."""
    order = random.permutation(len(classes))
    return order[np.argsort(classes[order].astype(np.uint16), kind="stable")]  # 16 bits: a sort in linear time


class _PairCounts:
    """Records as cells of one long value list, and how far their pair counts are from the model's."""

    def __init__(self, records: Sequence[NDArray[np.int64]], shares: Sequence[Floats], expected: Floats) -> None:
        sizes = [len(part) for part in shares]
        self._starts = np.cumsum([0, *sizes])
        self._cells = np.stack([codes + start for codes, start in zip(records, self._starts, strict=False)], axis=1)
        every = np.concatenate(shares)
        self._model: F32 = ((every * expected) @ every.T).astype(np.float32)
        self._weight: F32 = (1 / np.maximum(self._model, 0.5) ** WEIGHT_POWER).astype(np.float32)
        self._gap = np.zeros_like(self._model)
        width = len(every)
        for column in range(len(sizes) - 1):
            block, later = self._block(column), slice(int(self._starts[column + 1]), width)
            keys = (self._cells[:, column, None] - block.start) * width + self._cells[:, column + 1 :]
            counts = np.bincount(keys.ravel(), minlength=(block.stop - block.start) * width).reshape(-1, width)
            self._gap[block, later] = counts[:, later] - self._model[block, later]
            self._gap[later, block] = self._gap[block, later].T

    def records(self) -> list[NDArray[np.int64]]:
        """Return the records as codes."""
        return [self._cells[:, i].astype(np.int64) - start for i, start in enumerate(self._starts[:-1])]

    def _block(self, column: int) -> slice:
        return slice(int(self._starts[column]), int(self._starts[column + 1]))

    def swap(
        self, column: int, first: NDArray[np.int64], second: NDArray[np.int64], random: np.random.Generator
    ) -> None:
        """Swap the column's values between some of the pairs (first, second), chosen to bring pair counts closer to the model."""
        differ = self._cells[first, column] != self._cells[second, column]
        first, second = first[differ], second[differ]
        block, width = self._block(column), self._model.shape[1]
        one, two = self._cells[first], self._cells[second]
        a, b = one[:, column, None] - block.start, two[:, column, None] - block.start
        one[:, column] = two[:, column] = (
            block.start
        )  # the column's own block has no gap, and equal values do not count
        pull, weight = self._weight[block] * self._gap[block], self._weight[block]
        counts: NDArray[np.bool_] = one != two
        if len(weight) == 2:  # all pairs set the same two values against each other
            step = (pull[1] - pull[0]).ravel()
            linear = (step.take(one) - step.take(two)) * (b - a)
            both = weight[0] + weight[1]
            square = both.take(one) + both.take(two)
        else:
            places = (b * width + one, a * width + one, a * width + two, b * width + two)
            linear = pull.take(places[0]) - pull.take(places[1]) + pull.take(places[2]) - pull.take(places[3])
            square = weight.take(places[0]) + weight.take(places[1]) + weight.take(places[2]) + weight.take(places[3])
        square *= np.float32(0.5)
        square *= counts
        linear += square
        good = np.flatnonzero(linear.sum(axis=1) < 0)
        if not len(good):
            return
        first, second, one, two, a, b = (part[good] for part in (first, second, one, two, a, b))
        counts = counts[good]
        keys = (b * width + one, a * width + one, a * width + two, b * width + two)
        pull, weight = pull.ravel(), weight.ravel()
        effect = self._effect(keys, counts, len(weight))
        alone = 2 * float(square[good].sum())
        slope = -float((pull * effect).sum()) - alone / 2
        bend = float((weight * effect.astype(np.float64) ** 2).sum()) - alone
        part = 1.0 if bend <= 0 else slope / bend
        chosen = random.random(len(good)) < part
        first, second = first[chosen], second[chosen]
        self._cells[first, column], self._cells[second, column] = (
            self._cells[second, column],
            self._cells[first, column],
        )
        moved = self._effect([key[chosen] for key in keys], counts[chosen], len(weight)).reshape(-1, width)
        self._gap[block] += moved
        self._gap[:, block] += moved.T

    @staticmethod
    def _effect(keys: Sequence[NDArray[np.int64]], counts: NDArray[np.bool_], length: int) -> NDArray[np.int64]:
        """Return what swapping adds to each pair count of the column: at the first and third keys one more, at the others one less."""
        more, less = (
            np.bincount(np.concatenate([keys[place][counts], keys[place + 2][counts]]), minlength=length)
            for place in (0, 1)
        )
        effect: NDArray[np.int64] = more - less
        return effect
