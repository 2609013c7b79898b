"""Exact counting: coded columns in, integer tables out.

1. Output is integers only, and each person changes exactly one cell of every table, by one.
2. It takes batches and holds one at a time, beside the tables; this is the seam where a distributed engine plugs in. The person table that the batches
   are slices of does grow: a byte or two for each column of a person.
3. Plain tables are counted with `bincount` on packed keys that neighbouring tables share.
4. Signed tables over the same axes are counted together: the people are sorted by their cell once, and products of the signs in each cell give
   all its sums of one, two or three signs. Exact, because partial sums stay below 2^24 where float32 holds integers exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.marginals import LENGTH_MAX, Clique, Marginal, axes_of, signed_shape, signs_of

_PEOPLE = 1 << 18
"""People counted at a time; far below 2^24."""

Check = Callable[[], None]
"""Called now and then during long work; raises to cancel."""


def count(
    batches: Iterable[tuple[Codes, ...]],
    cliques: Sequence[Clique],
    sizes: Sequence[int],
    *,
    check: Check = lambda: None,
) -> list[Marginal]:
    """Return the exact histogram of every clique, in the order given.

    Args:
        batches: coded columns of one row per person; every batch has all columns.
        cliques: ascending column positions, one to three.
        sizes: number of values of each column.
        check: called between tables.
    """
    if any(not 1 <= len(clique) <= LENGTH_MAX for clique in cliques):
        raise ValueError(f"tables must have 1 to {LENGTH_MAX} columns")
    totals = {clique: np.zeros(int(np.prod([sizes[i] for i in clique])), dtype=np.int64) for clique in cliques}
    for batch in batches:
        for start in range(0, len(batch[0]), _PEOPLE):
            _count_batch(tuple(column[start : start + _PEOPLE] for column in batch), totals, sizes, check)
    return [Marginal(clique=clique, counts=totals[clique].reshape([sizes[i] for i in clique])) for clique in cliques]


def _count_batch(
    batch: tuple[Codes, ...], totals: dict[Clique, NDArray[np.int64]], sizes: Sequence[int], check: Check
) -> None:
    rows = len(batch[0])
    wide: dict[int, NDArray[np.int64]] = {i: batch[i].astype(np.int64) for i in sorted({i for c in totals for i in c})}
    pair_key, key = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    for pair, group in itertools.groupby(sorted(totals), key=lambda clique: clique[:2]):
        check()
        if len(pair) == 1:
            totals[pair] += np.bincount(wide[pair[0]], minlength=sizes[pair[0]])
            continue
        np.multiply(wide[pair[0]], sizes[pair[1]], out=pair_key)
        np.add(pair_key, wide[pair[1]], out=pair_key)
        for clique in group:
            if len(clique) == 2:
                totals[clique] += np.bincount(pair_key, minlength=len(totals[clique]))
            else:
                np.multiply(pair_key, sizes[clique[2]], out=key)
                np.add(key, wide[clique[2]], out=key)
                totals[clique] += np.bincount(key, minlength=len(totals[clique]))


def count_signed(
    batches: Iterable[tuple[Codes, ...]],
    cliques: Sequence[Clique],
    sizes: Sequence[int],
    *,
    check: Check = lambda: None,
) -> list[Marginal]:
    """Return the exact signed marginal of every clique, in the order given.

    Args:
        batches: coded columns of one row per person; every batch has all columns.
        cliques: ascending column positions, none to three.
        sizes: number of values of each column.
        check: called between tables.
    """
    if any(len(clique) > LENGTH_MAX for clique in cliques):
        raise ValueError(f"tables must have at most {LENGTH_MAX} columns")
    binary = sorted({column for clique in cliques for column in signs_of(clique, sizes)})
    deepest: dict[Clique, int] = {}
    for clique in cliques:
        axes = axes_of(clique, sizes)
        deepest[axes] = max(deepest.get(axes, 0), len(clique) - len(axes))
    groups = [_SignedSums(axes, sizes, len(binary), depth) for axes, depth in deepest.items()]
    for batch in batches:
        for start in range(0, len(batch[0]), _PEOPLE):
            part = [column[start : start + _PEOPLE] for column in batch]
            signs = np.empty((len(part[0]), len(binary)), dtype=np.float32)
            for place, column in enumerate(binary):
                if len(part[column]) and int(part[column].max()) > 1:
                    raise ValueError(f"column {column} holds a code beyond its two values")
                np.subtract(1, 2 * part[column].astype(np.float32), out=signs[:, place])
            for group in groups:
                check()
                group.add(part, signs)
    place_of = {column: place for place, column in enumerate(binary)}
    found = {group.axes: group for group in groups}
    return [
        Marginal(
            clique=clique,
            counts=found[axes_of(clique, sizes)]
            .sums([place_of[column] for column in signs_of(clique, sizes)])
            .reshape(signed_shape(clique, sizes)),
        )
        for clique in cliques
    ]


class _SignedSums:
    """Sums of products of signs in every cell of a table over some axes."""

    def __init__(self, axes: Clique, sizes: Sequence[int], signs: int, depth: int) -> None:
        self.axes = axes
        self._sizes = [sizes[column] for column in axes]
        self._cells = int(np.prod(self._sizes, dtype=np.int64)) if axes else 1
        self._totals = [np.zeros((self._cells, *[signs] * length), dtype=np.int64) for length in range(depth + 1)]

    def add(self, part: Sequence[Codes], signs: NDArray[np.float32]) -> None:
        """Count one part of a batch; `signs` has one row per person and one column per binary column."""
        key = np.zeros(len(signs), dtype=np.int64)
        for column, size in zip(self.axes, self._sizes, strict=True):
            key = key * size + part[column]
        inside = np.bincount(key, minlength=self._cells)
        self._totals[0] += inside
        if len(self._totals) == 1 or not len(key):
            return
        ordered = signs[np.argsort(key.astype(np.min_scalar_type(self._cells)), kind="stable")] if self.axes else signs
        filled = np.flatnonzero(inside)
        starts = np.concatenate([[0], np.cumsum(inside[filled])])
        self._totals[1][filled] += np.rint(np.add.reduceat(ordered, starts[:-1], axis=0)).astype(np.int64)
        for cell, first, last in zip(filled, starts[:-1], starts[1:], strict=True) if len(self._totals) > 2 else ():
            rows = ordered[first:last]
            self._totals[2][cell] += np.rint(rows.T @ rows).astype(np.int64)
            for one in range(rows.shape[1] if len(self._totals) > 3 else 0):
                rest = rows[:, one + 1 :]
                products = (rest * rows[:, one : one + 1]).T @ rest
                self._totals[3][cell, one, one + 1 :, one + 1 :] += np.rint(products).astype(np.int64)

    def sums(self, places: Sequence[int]) -> NDArray[np.int64]:
        """Return the sum over each cell of the product of the signs at ascending places; shape (cells,)."""
        index: tuple[slice | int, ...] = (slice(None), *places)
        sums: NDArray[np.int64] = self._totals[len(places)][index]
        return sums
