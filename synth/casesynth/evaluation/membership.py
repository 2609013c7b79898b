"""Membership inference: can somebody who sees a release tell whether one person was in the data?

1. The game: a release is made many times with the person and many times without. The attacker has a score for each, and says "was in" above a threshold. At a threshold that a share of the releases without the
   person pass (false positives), the share with the person that pass (true positives) is at most e^epsilon times that share plus delta, for every attacker and every person (privacy rule 31).
2. Judged are certain bounds: the lower Clopper-Pearson end of true positives against the upper end of false positives. So chance alone raises no alarm, with the stated probability.
3. The worst person is an outlier with values that nobody else has; the worst attacker knows everybody else and sees all measurements. Its best score is the likelihood ratio (Neyman and Pearson): `evidence`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casesynth.marginals import axes_of, signs_of
from casesynth.measure import Measurement

FALSE_POSITIVES = 0.01
"""Share of releases without the person at which true positives are stated (privacy rule 31)."""

ALARM = 5e-8
"""Probability that one bound is wrong by chance; a judgement uses two."""


@dataclass(frozen=True, kw_only=True)
class Membership:
    """What one attacker reached at one threshold."""

    true_positives: int
    with_person: int
    """Releases with the person."""
    false_positives: int
    without: int
    """Releases without."""
    epsilon: float
    delta: float

    @property
    def rate(self) -> float:
        """Share of true positives."""
        return self.true_positives / self.with_person

    @property
    def false_rate(self) -> float:
        """Share of false positives."""
        return self.false_positives / self.without

    @property
    def bound(self) -> float:
        """What true positives are at most, at the share of false positives of rule 31."""
        return min(math.exp(self.epsilon) * FALSE_POSITIVES + self.delta, 1.0)

    @property
    def broken(self) -> bool:
        """Whether the attacker certainly does better than the guarantee allows."""
        low = proportion_low(self.true_positives, self.with_person)
        high = 1 - proportion_low(self.without - self.false_positives, self.without)
        return low > math.exp(self.epsilon) * high + self.delta


def judge_scores(
    with_person: NDArray[np.float64], without: NDArray[np.float64], *, epsilon: float, delta: float, threshold: float
) -> Membership:
    """Return what scores reach at a threshold that was fixed beforehand, or on other releases."""
    return Membership(
        true_positives=int((with_person > threshold).sum()),
        with_person=len(with_person),
        false_positives=int((without > threshold).sum()),
        without=len(without),
        epsilon=epsilon,
        delta=delta,
    )


def threshold_of(without: NDArray[np.float64]) -> float:
    """Return the smallest score that at most the share of rule 31 of the releases without the person passes."""
    ordered = np.sort(without)[::-1]
    return float(ordered[math.floor(FALSE_POSITIVES * len(ordered))])


def evidence(measurements: Sequence[Measurement], person: Sequence[int], sizes: Sequence[int]) -> float:
    """Return the log-likelihood ratio of a person, up to a constant: the noisy cells that the person changes, with the sign of the change, by precision.

    Args:
        measurements: of one release.
        person: a value per column of the domain.
        sizes: of the columns.
    """
    total = 0.0
    for m in measurements:
        cell = tuple(person[column] for column in axes_of(m.clique, sizes))
        sign = (-1) ** sum(person[column] for column in signs_of(m.clique, sizes))
        total += sign * float(m.values[cell]) * 2 * m.nano_rho * 1e-9
    return total


def proportion_low(successes: int, trials: int, alarm: float = ALARM) -> float:
    """Return the lower Clopper-Pearson end of a proportion: it is larger than the true one with probability `alarm` at most.

    >>> proportion_low(0, 10), round(proportion_low(10, 10, 0.025), 4)
    (0.0, 0.6915)
    """
    if successes == 0:
        return 0.0
    low, high = 0.0, successes / trials
    for _ in range(60):
        middle = (low + high) / 2
        if _at_least(successes, trials, middle) > alarm:
            high = middle
        else:
            low = middle
    return low


def _at_least(successes: int, trials: int, p: float) -> float:
    """Return the probability of at least so many successes."""
    if p <= 0:
        return 0.0
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * math.log(p) + (trials - k) * math.log1p(-p)
        for k in range(successes, trials + 1)
    ]  # fmt: skip
    top = max(logs)
    return math.exp(top) * math.fsum(math.exp(each - top) for each in logs)
