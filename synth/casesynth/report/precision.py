"""How good the numbers are: expected error, widths of what is shown, and how much is shown.

Everything comes from the model, the error scale and public value lists; nothing real is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from casesynth.aggregates import LENGTH, MINIMUM
from casesynth.domain import known_values
from casesynth.intervals import ErrorScale
from casesynth.synthesis import Synthesis

SIZES = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000, 10_000_000)
"""Sizes of counts for which errors are stated, in people."""

TYPICAL_SIZES = (100, 1_000)
"""Sizes that the first lines of a release speak of."""

LENGTH_NAMES = ("one value", "two values", "three values")


def half_widths(errors: ErrorScale, sizes: Sequence[float]) -> list[list[float]]:
    """Return half of the 95 % interval, in people: per length, one number per size."""
    estimates = np.array(sizes, dtype=np.float64)
    return [
        [float(width) for width in errors.half_width(np.full(len(sizes), length), estimates)]
        for length in range(1, LENGTH + 1)
    ]


def stated_sizes(people: float) -> tuple[int, ...]:
    """Return the sizes that a count in this release can have; at least the smallest that is shown."""
    return tuple(size for size in SIZES if size <= max(people, MINIMUM))


@dataclass(frozen=True, kw_only=True)
class Typical:
    """A count that a reader meets often, and how far off it may be."""

    size: int
    half_widths: tuple[float, ...]
    """Half of the 95 % interval, in people, per length."""


def typical(synthesis: Synthesis) -> tuple[Typical, ...]:
    """Return how far counts of about 100 and 1,000 people may be off; of fewer, in small releases.

    A size is left out where a count of it would be off by as much as itself. Nothing is left where the noise drowns
    what there is to count, above all where no combination of known values can be shown.
    """
    if not synthesis.aggregates.known:
        return ()
    possible = stated_sizes(synthesis.model.people)
    sizes = [size for size in TYPICAL_SIZES if size in possible] or [possible[-1]]
    each = zip(*half_widths(synthesis.errors, sizes), strict=True)
    return tuple(
        Typical(size=size, half_widths=widths)
        for size, widths in zip(sizes, each, strict=True)
        if max(widths[1:]) < size
    )


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How many combinations of one length are shown."""

    length: int
    shown: int
    """Combinations of known values that pass rule 25."""
    possible: int
    """Combinations that the public value lists allow."""
    missing_shown: int
    """Single values that mean missing, shown beside them."""

    @property
    def hidden(self) -> int:
        """Combinations that are not shown; some have people, most have none."""
        return self.possible - self.shown


def shown_by_length(synthesis: Synthesis) -> tuple[Shown, ...]:
    """Return how many combinations are shown, per length."""
    table, columns = synthesis.aggregates, synthesis.plan.domain.columns
    possible = [1] + [0] * LENGTH
    for places in known_values(synthesis.plan.domain):
        for length in range(LENGTH, 0, -1):
            possible[length] += possible[length - 1] * len(places)
    lengths = table.lengths
    missing = sum(
        int(value) in columns[int(column)].missing
        for column, value in zip(table.columns[lengths == 1, 0], table.values[lengths == 1, 0], strict=True)
    )
    result = []
    for length in range(1, LENGTH + 1):
        alone = missing if length == 1 else 0
        found = int((lengths == length).sum()) - alone
        result.append(Shown(length=length, shown=found, possible=possible[length], missing_shown=alone))
    return tuple(result)


def drowned_lengths(synthesis: Synthesis) -> tuple[int, ...]:
    """Return the lengths of which there are combinations, and none can be shown: beside the noise none is large enough."""
    return tuple(row.length for row in shown_by_length(synthesis) if row.possible and not row.shown)


def drowned_words(synthesis: Synthesis) -> str | None:
    """Return in a sentence of which lengths nothing can be shown, and what would help; None where something of each can."""
    drowned = drowned_lengths(synthesis)
    if not drowned:
        return None
    names = " or ".join(LENGTH_NAMES[length - 1] for length in drowned)
    return (
        f"The noise is larger than what was counted: nothing of {names} can be shown. To show more, raise epsilon, count more people, or "
        "pool values and leave attributes out."
    )


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Interval widths of the published combinations of one length and size."""

    length: int
    low: int
    high: int | None
    """Sizes from `low` to below `high`; None: no upper end."""
    combinations: int
    half_width: float
    """Median half width, in people."""
    relative: float
    """Median of half width over estimate."""


def widths(synthesis: Synthesis) -> tuple[Widths, ...]:
    """Return the interval widths of what is published, by length and size; empty classes are left out."""
    table, result = synthesis.aggregates, []
    lengths, half = table.lengths, (table.high - table.low) / 2
    edges = [float(size) for size in SIZES if size <= 10_000] + [np.inf]
    for length in range(1, LENGTH + 1):
        for low, high in itertools.pairwise(edges):
            inside = (lengths == length) & (table.estimate >= low) & (table.estimate < high)
            if inside.any():
                result.append(
                    Widths(
                        length=length,
                        low=int(low),
                        high=None if high == np.inf else int(high),
                        combinations=int(inside.sum()),
                        half_width=float(np.median(half[inside])),
                        relative=float(np.median(half[inside] / table.estimate[inside])),
                    )
                )
    return tuple(result)
