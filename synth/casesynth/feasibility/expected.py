"""The error to expect of a release, and what it would show, from its plan alone.

1. Everything here follows from public facts: the sizes of the value lists, the people cap, the budget, and how many people there are about.
   No record, no file of records and no earlier release is read (privacy rule 6).
2. The *noise of a length* is the geometric mean, over the measured tables of that many columns, of the standard deviation of one cell of the plain table.
   A binary column is a sign: a plain cell is the mean of signed ones with all their signs, so k signs divide the noise by 2^k.
3. The error of an estimate is smaller than the noise of its cell, because the model knows more than one cell. How much smaller was measured on
   releases of generated people, and is a fixed formula of length, noise and size here. docs/spec/feasibility.md has the measurement.
4. It is an expectation, not a promise: another population has other structure. `FACTOR` is how far off the formula was in 19 of 20 comparisons on
   schemas that it was not fitted to.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from casesynth.aggregates import LENGTH, MINIMUM
from casesynth.marginals import Clique, axes_of, signs_of
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import NANO

FACTOR = 2.0
"""In 19 of 20 comparisons the measured error was within this factor of the expected one."""

SIZES = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""Sizes of counts for which errors are stated, in people; the formula was fitted on these."""

_ERROR = (
    (0.76, 0.422, -0.053, 0.077, -0.003),
    (0.541, 0.147, 0.297, 0.099, -0.035),
    (0.74, -0.019, 0.329, 0.109, -0.037),
)
"""Per length: logarithm of the error as a sum of these times 1, log s, log c, log s log c and (log c)^2; s the noise of the length, c the size."""

_SHOWN_FROM = ((2.744, -0.571, 0.201), (2.967, -0.756, 0.22), (3.377, -1.055, 0.276))
"""Per length: logarithm of the count from which half of all combinations are shown, as a sum of these times 1, log s and (log s)^2."""

_TAIL = (0.29, 0.59, 0.86)
"""Per length: of the combinations that c people have, the share that ten times as many have falls with this power."""

_TRIED_NOISE = (4.4, 130.0)
"""Smallest and largest noise, in people, that the formulas were tried on at every length; beyond it they are extended."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What to expect of combinations of one length."""

    length: int
    """Number of values."""
    noise: float
    """Of one cell of a measured table, in people: rule 2."""
    shown_from: int
    """About from how many people on a combination is shown (privacy rule 25): half of those with this many people are."""
    share_shown: float
    """About which share of the combinations that 10 and more people have is shown."""
    errors: tuple[tuple[int, float], ...]
    """Size of a count, and how far off 19 of 20 estimates of that size are at most; both in people."""

    def error(self, size: float) -> float:
        """Return how far off 19 of 20 estimates of a size are at most, in people."""
        return expected_error(self.length, self.noise, size)


@dataclass(frozen=True, kw_only=True)
class Feasibility:
    """What to expect of a release."""

    plan: ReleasePlan
    people: int
    """About how many people there are; a public figure, such as that of a yearly report."""
    lengths: tuple[Expected, ...]
    """One entry per length from 1 on."""

    @property
    def useful(self) -> bool:
        """Whether more than the largest combinations of two values would be shown: those that one in twenty people has."""
        return self.lengths[min(len(self.lengths), 2) - 1].shown_from * 20 <= self.people

    @property
    def extrapolated(self) -> bool:
        """Whether the noise of some length is outside of what the formulas were tried on."""
        return any(not _TRIED_NOISE[0] <= each.noise <= _TRIED_NOISE[1] for each in self.lengths)


def feasibility(plan: ReleasePlan, people: int) -> Feasibility:
    """Return what to expect of a release, from its plan.

    Args:
        plan: public facts only.
        people: about how many people there are; never counted for this.
    """
    found = []
    for length, noise in enumerate(noise_by_length(plan), 1):
        possible = [size for size in SIZES if size <= max(people, MINIMUM)]
        start = shown_from(length, noise)
        found.append(
            Expected(
                length=length,
                noise=noise,
                shown_from=start,
                share_shown=(MINIMUM / start) ** _TAIL[length - 1] if start <= people else 0.0,
                errors=tuple((size, expected_error(length, noise, size)) for size in possible),
            )
        )
    return Feasibility(plan=plan, people=people, lengths=tuple(found))


def expected_error(length: int, noise: float, size: float) -> float:
    """Return how far off 19 of 20 estimates are at most, in people.

    Args:
        length: number of values of the combination, 1 to 3.
        noise: of that length, in people.
        size: of the count, in people; beyond the sizes of the measurement, the nearest of them holds.
    """
    s, c = math.log(noise), math.log(min(max(size, SIZES[0]), SIZES[-1]))
    one, by_noise, by_size, both, square = _ERROR[length - 1]
    return math.exp(one + by_noise * s + by_size * c + both * s * c + square * c * c)


def shown_from(length: int, noise: float) -> int:
    """Return about from how many people on a combination is shown."""
    one, by_noise, square = _SHOWN_FROM[length - 1]
    s = max(math.log(noise), -by_noise / (2 * square))  # below the lowest point of the curve less noise shows no less
    return max(round(math.exp(one + by_noise * s + square * s * s)), int(MINIMUM))


def noise_by_length(plan: ReleasePlan) -> tuple[float, ...]:
    """Return the noise of each length, in people: rule 2. A length of which no table is measured has the noise of the one before it."""
    sizes = plan.measured.sizes
    variances = {table.clique: NANO / (2 * table.nano_rho) for table in plan.tables}
    logs: dict[int, list[float]] = {}
    for clique in variances:
        if clique:
            logs.setdefault(len(clique), []).append(math.log(_cell(clique, sizes, variances)))
    found: list[float] = []
    for length in range(1, min(LENGTH, len(sizes)) + 1):
        known = logs.get(length)
        found.append(math.exp(sum(known) / len(known)) if known else found[-1])
    return tuple(found)


def _cell(clique: Clique, sizes: Sequence[int], variances: dict[Clique, float]) -> float:
    """Return the standard deviation of one cell of a plain table, from the signed tables that tell it."""
    axes, signs = axes_of(clique, sizes), signs_of(clique, sizes)
    total = 0.0
    for count in range(len(signs) + 1):
        for chosen in itertools.combinations(signs, count):
            total += variances.get(tuple(sorted((*axes, *chosen))), 0.0)
    return math.sqrt(total) / float(1 << len(signs))
