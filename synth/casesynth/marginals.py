"""Cliques and marginals: which columns a table crosses, and its integer histogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Clique: TypeAlias = tuple[int, ...]
"""Column positions of a table, strictly ascending."""


@dataclass(frozen=True, kw_only=True)
class Marginal:
    """An exact integer histogram over the columns of a clique. Holds real data; never written to a release."""

    clique: Clique
    counts: NDArray[np.int64]
    """One axis per column of the clique; each person is in exactly one cell."""
