"""What is not shown of an answer, decided by public facts and noisy numbers alone (privacy rule 25).

1. A count is shown when its estimate passes both 10 and so many standard deviations of its noise. With m counts in an answer that is the larger of 2.5 and
   sqrt(2 ln m): of cells that hold nobody then about one in seven answers shows one, however many cells there are. At 2.5 throughout, a table of 20,000 such
   cells would show more than a hundred made-up groups.
2. Where a total is shown and exactly one of its parts is hidden, the difference would tell it, because totals and parts are one estimate. So the smallest of the
   shown parts is hidden as well. The same holds for percentages of one base.
3. This is within one answer. Whoever subtracts the numbers of two answers can still come to a hidden one; noise protects those people, as it does all others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from casesynth.answers.families import shown_families
from casesynth.answers.grid import Floats
from casesynth.answers.question import Question

MINIMUM: Final = 10.0
"""Smallest count that is shown."""

MINIMUM_SIGMAS: Final = 2.5
"""Fewest standard deviations of noise that a count has to pass to be shown."""

Seen: TypeAlias = NDArray[np.bool_]


def threshold_sigmas(question: Question) -> float:
    """Return the standard deviations of its noise that a count of an answer has to pass (rule 1)."""
    counts = sum(math.prod(len(rows) for rows in shown.rows) for shown in shown_families(question))
    return max(MINIMUM_SIGMAS, math.sqrt(2 * math.log(max(counts, 1))))


def without_lone(seen: Seen, values: Floats, whole: Seen, axis: int) -> Seen:
    """Return what is shown of some parts, so that none is hidden alone beside a whole that is shown (rule 2).

    Args:
        seen: which parts are shown.
        values: their estimates.
        whole: whether their whole is shown; one long along the axis.
        axis: of the parts.

    >>> without_lone(np.array([True, False, True]), np.array([90.0, 1.0, 40.0]), np.array([True]), 0).tolist()
    [True, False, False]
    """
    if seen.shape[axis] < 2:
        return seen
    lone = ((~seen).sum(axis=axis, keepdims=True) == 1) & whole
    smallest = np.expand_dims(np.where(seen, values, np.inf).argmin(axis=axis), axis)
    kept = seen.copy()
    np.put_along_axis(kept, smallest, np.take_along_axis(seen, smallest, axis) & ~lone, axis)
    return kept


def hide_beside_totals(
    seen: dict[tuple[bool, ...], Seen], values: Mapping[tuple[bool, ...], Floats]
) -> dict[tuple[bool, ...], Seen]:
    """Return what is shown of counts and their totals, with no part hidden alone beside its total.

    Args:
        seen: by which axes are summed over: which counts are shown.
        values: the estimates, by the same.
    """
    kept = dict(seen)
    changed = True
    while changed:  # each turn hides one more, or is the last
        changed = False
        for total in values:
            for axis, summed in enumerate(total):
                over = (*total[:axis], True, *total[axis + 1 :])
                if summed or over not in kept:
                    continue
                found = without_lone(kept[total], values[total], kept[over], axis)
                changed = changed or bool((found != kept[total]).any())
                kept[total] = found
    return kept
