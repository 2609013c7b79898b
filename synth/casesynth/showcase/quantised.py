"""The model in 16 bits per share, small enough to travel inside a page, and how close its numbers stay.

1. A share is kept as the whole-numbered step of its logarithm nearest to it, from `FLOOR` to 1 in 65,534 steps; a share below `FLOOR`
   becomes zero. Weights are kept exactly.
2. A factor is then off by at most a factor `exp(STEP / 2)`. Terms are positive, so an estimate of a combination of L values is off by at
   most `exp(L STEP / 2) - 1` of itself (0.053 % for three values, 0.071 % for four), and by what falls below the floor.
3. The tables of links (`casesynth.links`) are kept exactly.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.aggregates import ABSENT, AggregateTable
from casesynth.contrasts import Floats
from casesynth.links import Link, joint, related
from casesynth.model import LatentClassModel

FLOOR = 1e-10
"""Smallest share that is kept."""

CODES = 65_535
"""Largest code; 0 stands for a share of zero."""

STEP = -math.log(FLOOR) / (CODES - 1)
"""Step of the logarithm between two codes."""


@dataclass(frozen=True, kw_only=True)
class QuantisedModel:
    """A model with shares of 16 bits."""

    people: float
    weights: Floats
    """Shape (K,)."""
    codes: tuple[NDArray[np.uint16], ...]
    """Per column, one code per value and class, shape (C, K)."""
    links: tuple[Link, ...] = ()
    """Columns that follow from another one."""

    @classmethod
    def of(cls, model: LatentClassModel) -> QuantisedModel:
        """Return the nearest quantised model."""
        codes = tuple(_codes(part) for part in model.shares)
        return cls(people=model.people, weights=model.weights, codes=codes, links=model.links)

    def shares(self) -> tuple[Floats, ...]:
        """Return the shares that a reader of the codes gets."""
        return tuple(_shares(part) for part in self.codes)

    def weights_text(self) -> str:
        """Return the weights as base64 of little-endian 64-bit floats."""
        return base64.b64encode(self.weights.astype("<f8").tobytes()).decode()

    def codes_text(self) -> str:
        """Return the codes as base64 of little-endian 16-bit integers, column by column, value by value."""
        return base64.b64encode(np.concatenate(self.codes).astype("<u2").tobytes()).decode()

    def links_facts(self) -> list[dict[str, object]]:
        """Return the links: of a declared one the value that goes with each value of the source, else the table as base64 of 64-bit floats."""
        return [
            {
                "column": link.column,
                "source": link.source,
                "values": link.table.shape[1],
                **(
                    {
                        "places": link.table.argmax(axis=1).tolist(),
                        "doubt": None if link.doubt is None else link.doubt.tolist(),
                    }
                    if link.declared
                    else {"table": base64.b64encode(link.table.astype("<f8").tobytes()).decode()}
                ),
            }
            for link in self.links
        ]


@dataclass(frozen=True, kw_only=True)
class Closeness:
    """How far the numbers of a page are from those of the aggregates, at most."""

    people: float
    """Largest difference in people, over all combinations of the aggregates."""
    relative: float
    """Largest difference as a share of the estimate."""
    combinations: int
    """How many were compared."""


def closeness(quantised: QuantisedModel, aggregates: AggregateTable) -> Closeness:
    """Compare every combination of the aggregates with what the quantised model says."""
    shares = quantised.shares()
    starts = np.cumsum([0] + [len(part) for part in shares])
    ones = np.ones((1, len(quantised.weights)))
    stacked = np.concatenate([*shares, ones])  # the last row stands for a place that is not used
    rows = np.where(
        aggregates.columns == ABSENT, len(stacked) - 1, starts[aggregates.columns] + np.maximum(aggregates.values, 0)
    )
    people = relative = 0.0
    weights = quantised.weights * quantised.people
    for first in range(0, len(rows), 4096):
        part = rows[first : first + 4096]
        product = stacked[part[:, 0]]
        for axis in range(1, part.shape[1]):
            product = product * stacked[part[:, axis]]
        exact = aggregates.estimate[first : first + 4096]
        found = product @ weights
        _relate(found, first, quantised, shares, aggregates)
        gap = np.abs(found - exact)
        people = max(people, float(gap.max()))
        relative = max(relative, float((gap / exact).max()))
    return Closeness(people=people, relative=relative, combinations=len(rows))


def _relate(
    found: Floats, first: int, quantised: QuantisedModel, shares: tuple[Floats, ...], aggregates: AggregateTable
) -> None:
    """Put right, in place, what the combinations from `first` on come to where their columns hang together."""
    if not quantised.links:
        return
    columns = aggregates.columns[first : first + len(found)]
    values = aggregates.values[first : first + len(found)]
    weights = quantised.weights * quantised.people
    for clique in np.unique(columns, axis=0):
        used = [int(column) for column in clique if column != ABSENT]
        if related(used, quantised.links):
            inside = (columns == clique).all(axis=1)
            table = joint(used, shares, quantised.links) @ weights
            found[inside] = table[tuple(values[inside][:, : len(used)].T)]


def _codes(shares: Floats) -> NDArray[np.uint16]:
    logs = np.log(np.clip(shares, FLOOR, 1.0))
    found = np.rint((logs - math.log(FLOOR)) / STEP) + 1
    return np.where(shares < FLOOR, 0, found).astype(np.uint16)


def _shares(codes: NDArray[np.uint16]) -> Floats:
    found: Floats = np.where(codes == 0, 0.0, np.exp(math.log(FLOOR) + (codes.astype(np.float64) - 1) * STEP))
    return found
