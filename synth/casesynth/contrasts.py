"""Noisy tables combined into independent centred contrasts with their precisions.

For every set S of one to three columns, c_S is the S-marginal in an orthonormal basis of each column's centred space (Helmert rows).
Each measured table whose signs are the binary columns of S and whose axes hold the others gives an unbiased estimate of c_S with
independent noise of equal variance; they are combined by inverse variance. Contrasts of different S are orthogonal projections, so for
Gaussian noise they are independent: nothing is lost, and nothing is counted twice. A sign is the one Helmert contrast of a binary column
times the root of two.

Values of a folded column (`casesynth.folds`) are its cells in tables of several columns. Its single table was measured value by value; there
the folded values' sum comes last, where Helmert contrasts keep it apart from the others, so that its larger noise stays independent of theirs.

Columns are laid out by ascending size, so that the two smaller columns of a triple form the rows of the third-order array.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from casesynth.folds import Fold, stored_folds
from casesynth.marginals import axes_of
from casesynth.measure import Measurement

Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def basis(size: int, large: int | None = None) -> Floats:
    """Return an orthonormal basis of shape (size, size) whose first row is constant.

    The others are Helmert contrasts: of the first `large` cells, then of these against the rest, then of the rest.
    """
    large = size if large is None else large
    rows = np.zeros((size, size))
    rows[0] = 1 / math.sqrt(size)
    for k in [*range(1, large), *range(large + 1, size)]:
        first = 0 if k < large else large
        inside = k - first
        rows[k, first:k] = 1 / math.sqrt(inside * (inside + 1))
        rows[k, k] = -inside / math.sqrt(inside * (inside + 1))
    if large < size:
        rest = size - large
        rows[large, :large] = math.sqrt(rest / (large * size))
        rows[large, large:] = -math.sqrt(large / (rest * size))
    rows.setflags(write=False)
    return rows


@lru_cache(maxsize=64)
def broad_basis(size: int, large: int) -> tuple[Floats, Floats]:
    """Return the first `large` contrasts of `basis` as they read a table whose other cells are one, and what noise each collects (its squared norm).

    They are orthogonal to each other there too.
    """
    fine = basis(size, large)[1 : large + 1]
    rows = np.append(fine[:, :large], fine[:, large : large + 1], axis=1)
    norms: Floats = (rows**2).sum(axis=1)
    return rows, norms


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where each column's features stand in the arrays of contrasts."""

    order: tuple[int, ...]
    """Column positions of the domain by ascending size."""
    sizes: tuple[int, ...]
    """Number of cells of each column in tables of two columns, in this order."""
    large: tuple[int, ...]
    """How many of them, the first ones, tables of three columns have too; the others are one cell there. All, where nothing folds further."""
    offsets: tuple[int, ...]
    """First feature of each column; a column of C values has C - 1 features."""
    row_offsets: dict[tuple[int, int], int]
    """First row of each pair of places in the third-order array."""
    rows: int

    @property
    def features(self) -> int:
        """Number of features of all columns."""
        return sum(size - 1 for size in self.sizes)

    def basis(self, place: int) -> Floats:
        """Return the orthonormal basis of a column's cells."""
        return basis(self.sizes[place], self.large[place])

    @classmethod
    def make(
        cls, sizes: Sequence[int], cliques: Sequence[tuple[int, ...]], large: Sequence[int] | None = None
    ) -> Layout:
        """Lay out the columns; rows only for pairs that are the smaller two of some measured triple."""
        order = tuple(sorted(range(len(sizes)), key=lambda column: (sizes[column], column)))
        place = {column: position for position, column in enumerate(order)}
        pairs: set[tuple[int, int]] = set()
        for clique in cliques:
            if len(clique) >= 3:
                for triple in itertools.combinations(sorted(place[column] for column in clique), 3):
                    pairs.add((triple[0], triple[1]))
        ordered = tuple(sizes[column] for column in order)
        offsets = tuple(int(x) for x in np.cumsum([0, *(size - 1 for size in ordered)])[:-1])
        row_offsets, rows = {}, 0
        for pair in sorted(pairs):
            row_offsets[pair] = rows
            rows += (ordered[pair[0]] - 1) * (ordered[pair[1]] - 1)
        return cls(
            order=order,
            sizes=ordered,
            large=tuple((large or sizes)[column] for column in order),
            offsets=offsets,
            row_offsets=row_offsets,
            rows=rows,
        )


@dataclass(frozen=True, kw_only=True)
class Contrasts:
    """Independent contrasts of orders 0 to 3 with their precisions (1 / variance; 0 where nothing was measured)."""

    layout: Layout
    folds: tuple[Fold, ...]
    """Of the columns of the domain."""
    people: float
    """Noisy number of people (order 0)."""
    people_variance: float
    c1: Floats
    q1: Floats
    c2: Floats
    """Shape (features, features); only blocks of an earlier with a later column carry weight."""
    q2: Floats
    c3: Floats
    """Shape (rows, features); only triples that were measured carry weight."""
    q3: Floats

    def table(self, columns: Sequence[int]) -> Floats | None:
        """Return the direct noisy estimate of a table over one to three columns, unbiased; None where it was not measured.

        Args:
            columns: positions in the domain; the axes of the result are in this order. Values without a cell of their own have NaN.
        """
        layout = self.layout
        places = sorted(layout.order.index(column) for column in columns)
        sizes = [layout.sizes[p] for p in places]
        coefficients = np.zeros(sizes)
        coefficients[(0,) * len(sizes)] = self.people
        blocks = [slice(layout.offsets[p], layout.offsets[p] + layout.sizes[p] - 1) for p in places]
        for order in range(1, len(places) + 1):
            for axes in itertools.combinations(range(len(places)), order):
                part, precision = self._block(places, blocks, axes)
                told = precision
                if precision.ndim > 2:  # the others are one cell in tables of three columns
                    told = precision[tuple(slice(self._told(places[axis])) for axis in axes)]
                if not told.size or not np.all(told > 0):
                    return None
                index = tuple(slice(1, None) if axis in axes else 0 for axis in range(len(places)))
                coefficients[index] = part
        rest = np.ones_like(coefficients)
        for axis, size in enumerate(
            sizes
        ):  # a sum over a column is the constant coefficient times the root of its size
            scale = np.ones(size)
            scale[0] = 1 / math.sqrt(size)
            rest = rest * scale.reshape([-1 if a == axis else 1 for a in range(len(sizes))])
        result = coefficients * rest
        for axis in range(len(sizes)):
            result = np.moveaxis(np.tensordot(result, layout.basis(places[axis]), axes=(axis, 0)), -1, axis)
        position = [places.index(layout.order.index(column)) for column in columns]
        table: Floats = result.transpose(position)
        folds = [self.folds[column] for column in columns]
        alone = [fold.kept[: fold.large] if len(columns) > 2 else fold.kept for fold in folds]
        if all(kept == tuple(range(fold.values)) for kept, fold in zip(alone, folds, strict=True)):
            return table
        whole = np.full([fold.values for fold in folds], np.nan)
        whole[np.ix_(*alone)] = table[tuple(slice(len(kept)) for kept in alone)]
        return whole

    def _told(self, place: int) -> int:
        """Return how many of a column's features, the first ones, tables of three columns tell."""
        return min(self.layout.large[place], self.layout.sizes[place] - 1)

    def of(self, columns: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the contrasts of one to three columns and their precisions; one axis per column, in the order given."""
        places = [self.layout.order.index(column) for column in columns]
        ordered = sorted(places)
        blocks = [slice(self.layout.offsets[p], self.layout.offsets[p] + self.layout.sizes[p] - 1) for p in ordered]
        values, precisions = self._block(ordered, blocks, tuple(range(len(ordered))))
        order = [ordered.index(place) for place in places]
        return values.transpose(order), precisions.transpose(order)

    def _block(self, places: Sequence[int], blocks: Sequence[slice], axes: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Return the contrasts of one set of columns and their precisions, one axis per column."""
        layout = self.layout
        if len(axes) == 1:
            return self.c1[blocks[axes[0]]], self.q1[blocks[axes[0]]]
        if len(axes) == 2:
            index = (blocks[axes[0]], blocks[axes[1]])
            return self.c2[index], self.q2[index]
        i, j, k = places
        if (i, j) not in layout.row_offsets:
            return np.zeros(1), np.zeros(1)
        shape = [layout.sizes[p] - 1 for p in (i, j, k)]
        row = layout.row_offsets[i, j]
        rows = slice(row, row + shape[0] * shape[1])
        return self.c3[rows, blocks[2]].reshape(shape), self.q3[rows, blocks[2]].reshape(shape)

    def thinned(self, random: np.random.Generator) -> tuple[Contrasts, Contrasts]:
        """Split into two independent sets: one to fit (4/5 of the precision) and one to validate (1/5).

        With fresh noise e of the same variance, c + e/2 and c - 2e are uncorrelated, hence independent (Gaussian thinning). Post-processing of
        noisy numbers with the seeded generator (privacy rule 7): it protects nobody and need not.
        """
        fit, check = {}, {}
        for values, precisions in (("c1", "q1"), ("c2", "q2"), ("c3", "q3")):
            c, q = getattr(self, values), getattr(self, precisions)
            noise = random.standard_normal(c.shape) / np.sqrt(np.where(q > 0, q, 1.0))
            fit[values], fit[precisions] = c + noise / 2, q / 1.25
            check[values], check[precisions] = c - 2 * noise, q / 5
        return replace(self, **fit), replace(self, **check)


def combine(measurements: Sequence[Measurement], sizes: Sequence[int]) -> Contrasts:
    """Combine noisy tables into contrasts.

    Args:
        measurements: noisy signed tables; together they measure the number of people, every column and every pair of columns.
        sizes: number of values of each column of the domain.
    """
    folds = stored_folds(measurements, sizes)
    lengths, sizes = sizes, [fold.size for fold in folds]
    layout = Layout.make(sizes, [measurement.clique for measurement in measurements], [fold.large for fold in folds])
    features = layout.features
    sums = {1: np.zeros(features), 2: np.zeros(features * features), 3: np.zeros(layout.rows * features)}
    weights = {order: np.zeros_like(array) for order, array in sums.items()}
    people_sum = people_weight = 0.0
    place = {column: position for position, column in enumerate(layout.order)}
    groups: dict[tuple[tuple[tuple[int, int, int], ...], int, int], list[Measurement]] = {}
    by_value: list[Measurement] = []
    for measurement in measurements:
        length = len(measurement.clique)
        if length == 1 and folds[measurement.clique[0]].folded:
            by_value.append(measurement)
            continue
        ordered = sorted(axes_of(measurement.clique, sizes), key=lambda column: place[column])
        kinds = tuple((folds[i].cells(max(length, 2)), folds[i].size, folds[i].large) for i in ordered)
        groups.setdefault((kinds, length, measurement.nano_rho), []).append(measurement)
    for (kinds, length, _), group in groups.items():
        signs = length - len(kinds)
        precision = 2.0**signs / group[0].scale ** 2
        # in the layout binary columns, the smallest, come first: a clique's places are its signs, then its axes
        places_of = np.array([sorted(place[column] for column in m.clique) for m in group], dtype=np.int64)
        stacked = np.stack([_by_place(m, place, folds, lengths) for m in group]).astype(np.float64) / 2 ** (signs / 2)
        broad, noise = [], []
        for axis, (cells, size, large) in enumerate(kinds):
            broad.append(cells < size)
            rows, norms = broad_basis(size, large) if broad[axis] else (basis(size, large), np.ones(size))
            noise.append(norms)
            stacked = np.moveaxis(np.tensordot(stacked, rows, axes=(axis + 1, 1)), -1, axis + 1)
        for order in range(len(kinds) + 1):
            for axes in itertools.combinations(range(len(kinds)), order):
                if any(broad[axis] for axis in range(len(kinds)) if axis not in axes):
                    continue  # what such a table says beyond: nearly all of it noise of its large cells, and not independent of the rest
                rest = math.prod(size for axis, (_, size, _) in enumerate(kinds) if axis not in axes)
                index = tuple(
                    slice(None) if broad[axis] else slice(1, None) if axis in axes else 0 for axis in range(len(kinds))
                )
                values = stacked[(slice(None), *index)].reshape(len(group), -1) * math.sqrt(rest)
                spread = np.ones(1)
                for axis in axes:
                    spread = np.multiply.outer(spread, noise[axis] if broad[axis] else noise[axis][1:])
                q = np.broadcast_to(precision / rest / spread.ravel(), values.shape)
                if signs + order == 0:
                    people_sum += float((q * values).sum())
                    people_weight += float(q.sum())
                    continue
                kept = [*range(signs), *(signs + axis for axis in axes)]
                told = [*[1] * signs, *(kinds[axis][2] if broad[axis] else kinds[axis][1] - 1 for axis in axes)]
                flat = _indices(layout, places_of[:, kept], told).ravel()
                length_of = signs + order
                sums[length_of] += np.bincount(flat, weights=(q * values).ravel(), minlength=len(sums[length_of]))
                weights[length_of] += np.bincount(flat, weights=q.ravel(), minlength=len(sums[length_of]))
    if by_value and not people_weight:  # no other table tells the number of people
        people_sum = sum(float(m.values.sum()) / (m.values.size * m.scale**2) for m in by_value)
        people_weight = sum(1 / (m.values.size * m.scale**2) for m in by_value)
    for measurement in by_value:
        column = measurement.clique[0]
        offset = layout.offsets[place[column]]
        inside = slice(offset, offset + sizes[column] - 1)
        found, precisions = _folded_single(measurement, folds[column], people_sum / people_weight)
        sums[1][inside] += precisions * found
        weights[1][inside] += precisions
    means = {order: sums[order] / np.where(weights[order] > 0, weights[order], 1.0) for order in sums}
    return Contrasts(
        layout=layout,
        folds=folds,
        people=people_sum / people_weight,
        people_variance=1 / people_weight,
        c1=means[1],
        q1=weights[1],
        c2=means[2].reshape(features, features),
        q2=weights[2].reshape(features, features),
        c3=means[3].reshape(layout.rows, features),
        q3=weights[3].reshape(layout.rows, features),
    )


def _folded_single(measurement: Measurement, fold: Fold, people: float) -> tuple[Floats, Floats]:
    """Return the contrasts of a single column that was measured value by value, over its cells, and their precisions.

    Values with cells of their own have their own contrasts. The last cell, of the folded values, is in one more, or in two where values fold further in
    tables of three columns. The first of the two sets the large values against the rest, told by the large values and the number of people; the other sets the small values against
    the folded ones. So all are independent. Where there is one, it is told twice, given the number of people: by the sum of the folded values, and by what the
    others leave of all people.
    """
    counts = measurement.values.astype(np.float64)
    kept, folded = counts[list(fold.kept)], counts[list(fold.folded)]
    size, large, variance = fold.size, fold.large, measurement.scale**2
    if fold.small:
        rows = basis(size, large)[1:]
        contrasts = rows @ np.append(kept, folded.sum())
        norms = (rows[:, :-1] ** 2).sum(axis=1) + len(folded) * rows[:, -1] ** 2
        one, other = rows[large - 1, 0], rows[large - 1, -1]
        contrasts[large - 1] = (one - other) * kept[:large].sum() + other * people
        norms[large - 1] = (one - other) ** 2 * large
        return contrasts, 1 / (norms * variance)
    direct, left = 1 / len(folded), 1 / len(kept)  # precisions times the variance of one cell
    others = (direct * folded.sum() + left * (people - kept.sum())) / (direct + left)
    last = (people - size * others) / math.sqrt(size * (size - 1))
    contrasts = np.append(basis(len(kept))[1:] @ kept, last)
    precisions = np.full(size - 1, 1 / variance)
    precisions[-1] = (direct + left) * (size - 1) / (size * variance)
    return contrasts, precisions


def _by_place(
    measurement: Measurement, place: dict[int, int], folds: Sequence[Fold], lengths: Sequence[int]
) -> NDArray[np.int64]:
    """Return the table with its axes in the layout's order, and the cells of a single column in the order of its fold."""
    axes = axes_of(measurement.clique, lengths)
    if len(measurement.clique) == 1 and axes:
        return measurement.values[list(folds[axes[0]].kept)]
    return measurement.values.transpose(sorted(range(len(axes)), key=lambda axis: place[axes[axis]]))


def _indices(layout: Layout, places: NDArray[np.int64], told: Sequence[int]) -> NDArray[np.int64]:
    """Return flat positions, shape (tables, features of the set), in the array of that order; all tables have equal sizes and tell the first `told` features."""
    offsets = np.array(layout.offsets)[places]
    steps = [np.arange(count) for count in told]
    last = offsets[:, -1:] + steps[-1][None, :]
    if places.shape[1] == 1:
        singles: NDArray[np.int64] = last
        return singles
    if places.shape[1] == 2:
        first = offsets[:, :1] + steps[0][None, :]
        pairs: NDArray[np.int64] = (first[:, :, None] * layout.features + last[:, None, :]).reshape(len(places), -1)
        return pairs
    row = np.array([layout.row_offsets[int(a), int(b)] for a, b in places[:, :2]])
    inside = (steps[0][:, None] * (layout.sizes[places[0, 1]] - 1) + steps[1][None, :]).ravel()
    rows = row[:, None] + inside[None, :]
    triples: NDArray[np.int64] = (rows[:, :, None] * layout.features + last[:, None, :]).reshape(len(places), -1)
    return triples
