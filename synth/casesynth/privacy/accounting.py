"""Conversions between zCDP, the currency inside, and (epsilon, delta), the numbers people read.

1. zCDP to (epsilon, delta): Canonne, Kamath, Steinke 2020, "The Discrete Gaussian for Differential Privacy", proposition 12 with the
   Renyi-divergence bound of a zCDP mechanism. For every order a > 1 the formula is a valid upper bound, so the search for
   the best order cannot void the guarantee, only loosen it.
2. A policy (epsilon, delta) becomes the largest integer nano-rho whose conversion stays within it (privacy rule 13).
3. Float evaluation is covered by a relative margin far above its error, always in the safe direction.
"""

from __future__ import annotations

import math

from casesynth.privacy.loss import NANO, PrivacyLossError

EPSILON_MIN, EPSILON_MAX = 0.001, 100.0
"""Range of epsilon that a policy may name. Above 100 there is no protection to speak of."""

_MARGIN = 1e-9
"""Relative safety margin on a converted epsilon; the float error of the formula is below 1e-12."""


def check_epsilon(epsilon: float) -> float:
    """Return epsilon as a float when a policy may name it.

    Raises:
        PrivacyLossError: epsilon is not a finite number within [0.001, 100].
    """
    value = float(epsilon)
    if not math.isfinite(value) or not EPSILON_MIN <= value <= EPSILON_MAX:
        raise PrivacyLossError(f"epsilon must be a number from {EPSILON_MIN:g} to {EPSILON_MAX:g}, got {epsilon}")
    return value


def check_delta(delta: float) -> float:
    """Return delta as a float when it is a probability that can mean anything.

    Raises:
        PrivacyLossError: delta is not within [1e-15, 0.01].
    """
    value = float(delta)
    if not math.isfinite(value) or not 1e-15 <= value <= 0.01:
        raise PrivacyLossError(f"delta must be a number from 1e-15 to 0.01, got {delta}")
    return value


def default_delta(people_cap: int) -> float:
    """The smaller of 1e-6 and 1 / (10 people_cap): public, never from the number of people (privacy rule 8)."""
    return min(1e-6, 1 / (10 * people_cap))


def _epsilon_at(order_minus_one: float, rho: float, log_inverse_delta: float) -> float:
    order = 1 + order_minus_one
    # CKS20, proposition 12: delta = exp((a-1)(a rho - epsilon)) / (a-1) * (1 - 1/a)^a, solved for epsilon
    return (
        order * rho + (log_inverse_delta + order * math.log1p(-1 / order) - math.log(order_minus_one)) / order_minus_one
    )


def epsilon_for(nano_rho: int, delta: float) -> float:
    """Return an epsilon, rounded up, such that every rho-zCDP mechanism is (epsilon, delta)-differentially private.

    Args:
        nano_rho: zCDP rho times 1e9, a positive integer.
        delta: probability, from 1e-15 to 0.01.

    >>> round(epsilon_for(100_000_000, 1e-6), 3)
    2.142
    """
    if isinstance(nano_rho, bool) or not isinstance(nano_rho, int) or nano_rho < 1:
        raise PrivacyLossError(f"nano_rho must be a positive integer, got {nano_rho!r}")
    rho, log_inverse_delta = nano_rho / NANO, -math.log(check_delta(delta))
    low, high = math.log(1e-6), math.log(1e12)
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(200):  # golden-section search over log(order - 1); any point gives a valid bound
        left, right = high - golden * (high - low), low + golden * (high - low)
        if _epsilon_at(math.exp(left), rho, log_inverse_delta) < _epsilon_at(math.exp(right), rho, log_inverse_delta):
            high = right
        else:
            low = left
    best = _epsilon_at(math.exp((low + high) / 2), rho, log_inverse_delta)
    return max(best, 0.0) * (1 + _MARGIN) + 1e-12


def rho_for(epsilon: float, delta: float) -> int:
    """Return the largest integer nano-rho whose conversion stays within (epsilon, delta) (privacy rule 13).

    Raises:
        PrivacyLossError: epsilon or delta is out of range, or so small that not one nano-rho fits.

    >>> rho_for(1.0, 1e-6) > 0 and epsilon_for(rho_for(1.0, 1e-6), 1e-6) <= 1.0
    True
    """
    epsilon, delta = check_epsilon(epsilon), check_delta(delta)
    low, high = 0, math.ceil(epsilon * NANO) + 1  # rho-zCDP with rho >= epsilon never meets a delta below 0.01
    while high - low > 1:
        middle = (low + high) // 2
        if epsilon_for(middle, delta) <= epsilon:
            low = middle
        else:
            high = middle
    if low < 1:
        raise PrivacyLossError(
            f"epsilon {epsilon:g} with delta {delta:g} is below one nano-rho; ask for a larger epsilon"
        )
    return low
