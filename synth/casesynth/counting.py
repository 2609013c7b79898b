"""Exact counting: coded columns in, integer histograms out.

1. Output is integers only, and each person adds one to exactly one cell of every table.
2. It takes batches and holds one at a time, beside the tables; this is the seam where a distributed engine plugs in. The person table that the batches
   are slices of does grow: about 2 bytes for each column of a person.
3. Tables of up to three columns are counted with `bincount` on packed keys that neighbouring tables share. Tables of four binary
   columns come from one matrix product of pair indicators over the distinct rows: every four-way count at once, exact because
   all partial sums stay below 2^24 where float32 holds integers exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from casesynth.encode import Codes
from casesynth.marginals import Clique, Marginal

_CHUNK = 1 << 15
"""Distinct rows per matrix product."""

_PEOPLE = 1 << 22
"""People per matrix product; float32 holds whole numbers exactly up to 2^24."""

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
        cliques: ascending column positions; cliques of four or more columns must be binary throughout.
        sizes: number of values of each column.
        check: called between tables.
    """
    small = [clique for clique in cliques if len(clique) <= 3]
    large = [clique for clique in cliques if len(clique) > 3]
    totals = {clique: np.zeros(int(np.prod([sizes[i] for i in clique])), dtype=np.int64) for clique in small}
    binary = sorted({i for clique in large for i in clique})
    if any(sizes[i] != 2 for i in binary) or any(len(clique) != 4 for clique in large):
        raise ValueError("tables of more than three columns must be quadruples of binary columns")
    products = _PairProducts(binary)
    for batch in batches:
        if len(batch[0]) == 0:
            continue
        _count_small(batch, totals, sizes, check)
        if binary:
            products.add(batch, check)
    quadruples = products.tables(large) if large else {}
    found = {**{c: totals[c].reshape([sizes[i] for i in c]) for c in small}, **quadruples}
    return [Marginal(clique=clique, counts=found[clique]) for clique in cliques]


def _count_small(
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


class _PairProducts:
    """Counts, for every four binary columns, the people who have a one in all of them."""

    def __init__(self, columns: Sequence[int]) -> None:
        self._columns = list(columns)
        self._place = {column: place for place, column in enumerate(self._columns)}
        self._pairs = list(itertools.combinations_with_replacement(range(len(self._columns)), 2))
        self._pair_place = {pair: place for place, pair in enumerate(self._pairs)}
        self._joint = np.zeros((len(self._pairs), len(self._pairs)), dtype=np.int64)
        self._people = 0

    def add(self, batch: tuple[Codes, ...], check: Check) -> None:
        """Count one batch."""
        for start in range(0, len(batch[0]), _PEOPLE):
            self._add([batch[i][start : start + _PEOPLE] for i in self._columns], check)

    def _add(self, columns: Sequence[Codes], check: Check) -> None:
        ones = np.stack(columns, axis=1).astype(bool)
        self._people += len(ones)
        bits = np.packbits(ones, axis=1)
        words = np.zeros(
            (len(bits), -(-bits.shape[1] // 8)), dtype=np.uint64
        )  # whole words sort much faster than bytes
        words.view(np.uint8)[:, : bits.shape[1]] = bits
        keys = words[:, 0] if words.shape[1] == 1 else words.view([("", np.uint64)] * words.shape[1]).ravel()
        distinct, weights = np.unique(keys, return_counts=True)
        rows = distinct.view(np.uint8).reshape(len(distinct), -1)
        first = np.array([a for a, _ in self._pairs])
        second = np.array([b for _, b in self._pairs])
        for start in range(0, len(rows), _CHUNK):
            check()
            part = np.unpackbits(rows[start : start + _CHUNK], axis=1, count=len(self._columns)).astype(np.float32)
            weight = weights[start : start + _CHUNK].astype(np.float32)
            product = part[:, first] * part[:, second]
            self._joint += np.rint((product * weight[:, None]).T @ product).astype(np.int64)

    def _ones(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of people with a one in all given columns; places of shape (tables, 1 to 4), ascending."""
        padded = np.concatenate([places, np.repeat(places[:, -1:], 4 - places.shape[1], axis=1)], axis=1)
        size = len(self._columns)
        lookup = np.zeros((size, size), dtype=np.int64)
        for (a, b), place in self._pair_place.items():
            lookup[a, b] = lookup[b, a] = place
        result: NDArray[np.int64] = self._joint[lookup[padded[:, 0], padded[:, 1]], lookup[padded[:, 2], padded[:, 3]]]
        return result

    def tables(self, cliques: Sequence[Clique]) -> dict[Clique, NDArray[np.int64]]:
        """Return the 2 x 2 x 2 x 2 table of each clique, by inclusion and exclusion over the counts of ones."""
        places = np.array([[self._place[i] for i in clique] for clique in cliques])
        tables = np.zeros((len(cliques), 2, 2, 2, 2), dtype=np.int64)
        for chosen in itertools.product((0, 1), repeat=4):
            axes = [axis for axis in range(4) if chosen[axis]]
            ones = self._ones(places[:, axes]) if axes else np.full(len(cliques), self._people, dtype=np.int64)
            tables[:, chosen[0], chosen[1], chosen[2], chosen[3]] = ones
        for axis in range(1, 5):  # turn "at least these ones" into "exactly these ones", one column at a time
            by_axis = np.moveaxis(tables, axis, 0)
            by_axis[0] -= by_axis[1]
        return dict(zip(cliques, tables, strict=True))
