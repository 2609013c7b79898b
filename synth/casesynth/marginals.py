"""Cliques and marginals: which columns a table crosses, and its integer histogram.

A *signed* marginal has no axis for a binary column. A person counts +1 where the product of their signs is positive and -1 where it is
negative; the sign of a binary column is +1 for its first value and -1 for its second. So a person still changes one number by one, and a
clique of three binary columns is one number in place of eight. What the plain table says about the clique beyond its smaller parts is
exactly what the signed one says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Clique: TypeAlias = tuple[int, ...]
"""Column positions of a table, strictly ascending; empty for the number of people."""

LENGTH_MAX = 3
"""Most columns of a table."""


def axes_of(clique: Clique, sizes: Sequence[int]) -> Clique:
    """Return the columns that have an axis in the signed marginal: those that are not binary.

    >>> axes_of((0, 2, 3), (2, 5, 4, 2))
    (2,)
    """
    return tuple(column for column in clique if sizes[column] != 2)


def signs_of(clique: Clique, sizes: Sequence[int]) -> Clique:
    """Return the columns that give a sign in the signed marginal: the binary ones."""
    return tuple(column for column in clique if sizes[column] == 2)


def signed_shape(clique: Clique, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a signed marginal.

    >>> signed_shape((0, 2, 3), (2, 5, 4, 2)), signed_shape((0, 3), (2, 5, 4, 2))
    ((4,), ())
    """
    return tuple(sizes[column] for column in axes_of(clique, sizes))


@dataclass(frozen=True, kw_only=True)
class Marginal:
    """An exact integer table over the columns of a clique, plain or signed. Holds real data; never written to a release."""

    clique: Clique
    counts: NDArray[np.int64]
    """Plain: one axis per column of the clique, each person adds one to one cell. Signed: one axis per column that is not binary, each person
    adds or takes one in one cell."""
