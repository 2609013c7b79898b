"""Links: columns that follow from another column, and not from the class, of a person.

Inside a class of the model columns are independent. Where one column is (nearly) a function of another, no number of classes says so. A link
does: it gives the shares of the column's values for each value of its source, the same in every class.

1. A *declared* link is a public table of noughts and ones (a region of a country). It is exact (`casesynth.derived`).
2. An *estimated* link comes from noisy tables alone (`casesynth.near`): post-processing.
3. A source has no source of its own, so columns with one source hang together through its values, and sums stay short. The model's shares
   of a linked column are those that follow from its source, so only combinations of two columns of one family need the link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.errors import CasesynthError

Floats = NDArray[np.float64]


class LinkError(CasesynthError):
    """Links that contradict each other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Link:
    """One column that follows from another."""

    column: int
    source: int
    table: Floats
    """Share of each value of the column for each value of the source, shape (source values, column values); rows sum to one."""
    declared: bool = False
    """Whether a public table says so; else noisy numbers do."""
    doubt: Floats | None = None
    """Of a declared link: by what part of itself the number of people with each value may be off, at 95 %; None where it is not known."""

    def __post_init__(self) -> None:
        if self.column == self.source or self.table.ndim != 2:
            raise LinkError(f"column {self.column} cannot follow from column {self.source} by this table")
        if self.table.min() < 0 or not np.allclose(self.table.sum(axis=1), 1.0, atol=1e-9):
            raise LinkError(f"column {self.column}: shares for a value of its source must be from 0 and sum to 1")

    def follow(self, shares: Floats) -> Floats:
        """Return the shares of the column, shape (values, ...), from those of its source."""
        result: Floats = np.tensordot(self.table, shares, axes=(0, 0))
        return result


def checked(links: Sequence[Link]) -> None:
    """Refuse links of which one builds on another.

    Raises:
        LinkError: a column is linked twice, or a source is linked itself.
    """
    linked = [link.column for link in links]
    if len(set(linked)) != len(linked) or set(linked) & {link.source for link in links}:
        raise LinkError("a linked column has one source, and a source has none")


def family(column: int, links: Sequence[Link]) -> int:
    """Return the column that stands for all that hang together with this one: its source, or itself."""
    return next((link.source for link in links if link.column == column), column)


def related(columns: Sequence[int], links: Sequence[Link]) -> bool:
    """Whether two of the columns hang together."""
    return bool(links) and len({family(column, links) for column in columns}) < len(columns)


def joint(
    columns: Sequence[int],
    shares: Sequence[Floats],
    links: Sequence[Link],
    values: Mapping[int, NDArray[np.int64]] | None = None,
) -> Floats:
    """Return the share of each combination in each class, shape (values of the first column, of the second, ..., classes).

    Args:
        columns: positions in the domain, each once.
        shares: per column of the domain, value shares of each class, shape (C, K).
        links: which columns follow from others.
        values: per column, the values that are wanted; by default all.
    """
    groups: dict[int, list[int]] = {}
    for column in columns:
        groups.setdefault(family(column, links), []).append(column)
    tables = {link.column: link.table for link in links}
    result: Floats | None = None
    order: list[int] = []
    for source, members in groups.items():
        part = _together(source, members, shares, tables, values or {})
        order += members
        if result is None:
            result = part
        else:
            result = result.reshape(*result.shape[:-1], *(1,) * len(members), result.shape[-1]) * part
    if result is None:
        raise LinkError("a combination needs a column")
    return result.transpose([*(order.index(column) for column in columns), len(order)])


def _together(
    source: int,
    members: Sequence[int],
    shares: Sequence[Floats],
    tables: Mapping[int, Floats],
    values: Mapping[int, NDArray[np.int64]],
) -> Floats:
    """Return the joint shares of columns of one family."""
    if len(members) == 1:
        part = shares[members[0]]
        return part[values[members[0]]] if members[0] in values else part
    size = len(shares[source])
    together = np.ones((size,))
    for member in members:
        table = np.eye(size) if member == source else tables[member]
        if member in values:
            table = table[:, values[member]]
        together = together[..., None] * table.reshape(size, *(1,) * (together.ndim - 1), table.shape[1])
    result: Floats = np.tensordot(together, shares[source], axes=(0, 0))
    return result


def unfolded(columns: Sequence[int], links: Sequence[Link]) -> tuple[tuple[int, ...], dict[int, Link]]:
    """Return the columns that a combination comes down to when declared ones are read as values of their sources, and those that were declared."""
    declared = {link.column: link for link in links if link.declared and link.column in columns}
    sources = [declared[column].source if column in declared else column for column in columns]
    return tuple(dict.fromkeys(sources)), declared
