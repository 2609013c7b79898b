"""Conversions between zCDP and (epsilon, delta), held against an independent accountant (privacy rules 8 and 13)."""

from __future__ import annotations

import math

import pytest
from dp_accounting.pld import privacy_loss_distribution as pld

from casesynth.privacy.accounting import check_delta, default_delta, epsilon_for, rho_for
from casesynth.privacy.loss import NANO, PrivacyLossError

EPSILONS = (0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 4.0, 12.0, 50.0, 100.0)
DELTAS = (1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 0.01)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_rho_is_the_largest_whole_nano_rho_within_the_policy(epsilon: float, delta: float) -> None:
    nano_rho = rho_for(epsilon, delta)
    assert epsilon_for(nano_rho, delta) <= epsilon < epsilon_for(nano_rho + 1, delta)


@pytest.mark.parametrize("delta", DELTAS)
def test_more_epsilon_buys_more_rho_and_more_rho_costs_more_epsilon(delta: float) -> None:
    budgets = [rho_for(epsilon, delta) for epsilon in EPSILONS]
    assert budgets == sorted(set(budgets))
    prices = [epsilon_for(10**power, delta) for power in range(12)]
    paid = [price for price in prices if price > 1e-12]  # a rho so small that delta alone covers it has no price
    assert prices == sorted(prices)
    assert len(paid) >= 6 and paid == sorted(set(paid))


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_more_delta_buys_more_rho(epsilon: float) -> None:
    budgets = [rho_for(epsilon, delta) for delta in DELTAS]
    assert budgets == sorted(set(budgets))


@pytest.mark.parametrize("delta", (1e-9, 1e-6, 1e-3))
@pytest.mark.parametrize("epsilon", (0.05, 0.1, 0.5, 1.0, 2.0, 4.0, 8.0))
def test_reported_epsilon_lies_between_the_tight_one_and_the_naive_bound(epsilon: float, delta: float) -> None:
    nano_rho = rho_for(epsilon, delta)
    rho = nano_rho / NANO
    scale = math.sqrt(1 / (2 * rho))
    reported = epsilon_for(nano_rho, delta)
    naive = rho + 2 * math.sqrt(rho * math.log(1 / delta))
    grid = epsilon / 1000
    gaussian = pld.from_gaussian_mechanism(scale, value_discretization_interval=grid)
    discrete = pld.from_discrete_gaussian_mechanism(scale, value_discretization_interval=grid)
    # the accountant rounds the loss up to its grid, so its answers are upper ends of the tight epsilon
    for tight in (gaussian.get_epsilon_for_delta(delta), discrete.get_epsilon_for_delta(delta)):
        assert 0.6 * reported < tight <= reported
    assert reported <= naive


def test_published_value_of_the_conversion() -> None:
    # rho = 0.1, delta = 1e-6: minimum over orders of proposition 12 of Canonne, Kamath, Steinke 2020, by brute force over a grid
    rho, delta = 0.1, 1e-6
    orders = [1 + step / 1000 for step in range(1, 100_000)]
    best = min(a * rho + (math.log(1 / delta) + math.log(1 - 1 / a) * a - math.log(a - 1)) / (a - 1) for a in orders)
    assert epsilon_for(100_000_000, delta) == pytest.approx(best, rel=1e-6)
    assert epsilon_for(100_000_000, delta) >= best - 1e-9


@pytest.mark.parametrize(
    "epsilon", [float("nan"), 0, -1.0, float("inf"), float("-inf"), 1e-300, 0.000999, 100.0001, 101]
)
def test_an_epsilon_that_means_nothing_is_refused(epsilon: float) -> None:
    with pytest.raises(PrivacyLossError, match="epsilon must be a number from 0.001 to 100"):
        rho_for(epsilon, 1e-6)


@pytest.mark.parametrize("delta", [float("nan"), 0, -1e-6, float("inf"), 1e-300, 0.9e-15, 0.011, 1])
def test_a_delta_that_means_nothing_is_refused(delta: float) -> None:
    with pytest.raises(PrivacyLossError, match="delta must be a number from 1e-15 to 0.01"):
        rho_for(1.0, delta)
    with pytest.raises(PrivacyLossError):
        epsilon_for(1, delta)


@pytest.mark.parametrize("nano_rho", [0, -1, 1.0, True, float("nan")])
def test_a_loss_that_is_no_positive_whole_number_has_no_epsilon(nano_rho: int) -> None:
    with pytest.raises(PrivacyLossError, match="positive integer"):
        epsilon_for(nano_rho, 1e-6)


def test_the_ends_of_both_ranges_are_accepted() -> None:
    assert rho_for(0.001, 1e-15) >= 1
    assert rho_for(100, 0.01) < 100 * NANO
    assert check_delta(1e-15) == 1e-15


@pytest.mark.parametrize(
    ("people_cap", "expected"), [(1, 1e-6), (1000, 1e-6), (100_000, 1e-6), (200_000, 5e-7), (10**9, 1e-10)]
)
def test_delta_follows_from_the_public_cap(people_cap: int, expected: float) -> None:
    assert default_delta(people_cap) == pytest.approx(expected)
