"""Intervals of what is made of noisy counts: ratios by Fieller's theorem, and the value in which a quantile lies.

All of it is post-processing of noisy numbers with known variances (privacy rule 10).

1. The interval of a ratio holds every r for which `part - r x whole` is no further from zero than its own noise explains (Fieller 1954). It needs no linear
   approximation, and is all of the range where the whole itself could be zero.
2. A quantile lies in the first value up to which at least its share of people is counted. Its interval holds every value for which noise does not rule that out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def ratio_interval(
    part: float, whole: float, part_variance: float, whole_variance: float, covariance: float, *, errors: float
) -> tuple[float, float]:
    """Return the ends of the interval of part / whole.

    Args:
        part: estimate of the numerator.
        whole: estimate of the denominator.
        part_variance: of the numerator's noise.
        whole_variance: of the denominator's noise.
        covariance: of both.
        errors: standard errors on each side.

    >>> low, high = ratio_interval(50, 100, 25, 100, 25, errors=1.96)
    >>> round(low, 3), round(high, 3)
    (0.41, 0.61)
    >>> ratio_interval(3, 4, 25, 100, 25, errors=1.96)
    (-inf, inf)
    """
    square = errors**2
    a = whole**2 - square * whole_variance
    b = part * whole - square * covariance
    c = part**2 - square * part_variance
    if a <= 0 or whole <= 0:
        return -math.inf, math.inf
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a, (b + root) / a


def quantile_place(leads: Sequence[float]) -> int:
    """Return the first value at which so many people are counted; the last where noise says that it is never reached.

    Args:
        leads: per value, people up to it less the quantile's share of all.

    >>> quantile_place([-30.0, -2.0, 5.0, 40.0])
    2
    """
    return next((place for place, lead in enumerate(leads) if lead >= 0), len(leads) - 1)


def quantile_ends(leads: Sequence[float], deviations: Sequence[float], *, errors: float) -> tuple[int, int]:
    """Return the first and the last value that the quantile may be in.

    Args:
        leads: per value, people up to it less the quantile's share of all.
        deviations: standard deviation of each.
        errors: standard errors, to one side each.

    >>> quantile_ends([-30.0, -2.0, 5.0, 40.0], [3.0, 3.0, 3.0, 3.0], errors=1.96)
    (1, 3)
    """
    last = len(leads) - 1
    possible = [
        place
        for place in range(len(leads))
        if (place == 0 or leads[place - 1] <= errors * deviations[place - 1])
        and (place == last or leads[place] >= -errors * deviations[place])
    ]
    return (possible[0], possible[-1]) if possible else (0, last)
