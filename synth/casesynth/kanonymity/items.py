"""Items: the values that a record of a k-synthetic file can state, one column and one of its public values each.

1. Every public value is an item, but the one that an empty cell means where that is missing: an empty cell states nothing.
2. Where a schema tells unknown, not asked and no apart, each that is not the empty cell is an item of its own and stays one.
3. A cell that states nothing is `OPEN`. In a k-synthetic file that means: missing in the record, or left away by the rule of k. The file cannot say which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.kanonymity.errors import KModeError

OPEN = 0xFFFF
"""Code of a cell that states nothing."""


@dataclass(frozen=True, kw_only=True)
class Items:
    """All items of a domain, numbered column by column."""

    column: NDArray[np.int64]
    """Column of each item."""
    code: NDArray[np.int64]
    """Position of each item in its column's value list."""
    first: NDArray[np.int64]
    """Number of the first value of each column."""
    blank: tuple[int, ...]
    """Code that an empty cell of each column has."""
    stated: NDArray[np.bool_]
    """Whether a value states something: rule 1."""

    @staticmethod
    def of(domain: Domain) -> Items:
        """Return the items of a domain.

        Raises:
            KModeError: an attribute has so many values that no code is left for an open cell.
        """
        if max(domain.sizes) > OPEN:
            raise KModeError(f"an attribute has {max(domain.sizes)} values; the k mode takes up to {OPEN}")
        attributes = {attribute.name: attribute for attribute in domain.attributes}
        blank = tuple(
            0 if column.value is not None else attributes[column.attribute].blank for column in domain.columns
        )
        first = np.concatenate([[0], np.cumsum(domain.sizes)[:-1]]).astype(np.int64)
        stated = np.ones(sum(domain.sizes), dtype=bool)
        for column, place, start in zip(domain.columns, blank, first, strict=True):
            stated[start + place] = place not in column.missing
        return Items(
            column=np.repeat(np.arange(len(domain.sizes)), domain.sizes),
            code=np.concatenate([np.arange(size) for size in domain.sizes]),
            first=first,
            blank=blank,
            stated=stated,
        )

    def numbered(self, columns: tuple[Codes, ...]) -> NDArray[np.int32]:
        """Return records as item numbers, -1 where a cell states nothing; shape (records, columns)."""
        table = np.stack([column.astype(np.int64) for column in columns], axis=1)
        numbers = np.where(table == OPEN, 0, table) + self.first
        numbers[(table == OPEN) | ~self.stated[numbers]] = -1
        return numbers.astype(np.int32)

    def columns_of(self, numbers: NDArray[np.int32]) -> tuple[Codes, ...]:
        """Return records of item numbers as codes, `OPEN` where a cell states nothing."""
        codes = np.where(numbers < 0, OPEN, numbers - self.first[None, :])
        return tuple(codes[:, place].astype(np.uint16) for place in range(codes.shape[1]))
