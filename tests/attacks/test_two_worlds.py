"""Privacy rule 29: two neighbouring worlds cannot be told apart better than the claim, measured by drawing from both.

From draws in both worlds, Clopper-Pearson bounds give a delta that the mechanism certainly spends at the claimed epsilon; it must not
pass the claimed one. The false-alarm rate of each check is below 1e-6. The same check finds a mechanism whose
noise is divided by 1.25 (privacy rule 30), so it has power.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from casesynth.domain import Domain
from casesynth.measure import measure
from casesynth.persons import PersonTable
from casesynth.plan import ReleasePlan
from casesynth.privacy import Receipt
from casesynth.privacy.accounting import epsilon_for
from casesynth.privacy.mechanisms import add_gaussian_noise, gaussian_scale

ALARM = 5e-7
"""False-alarm rate of one confidence bound; each check uses two."""


def certain_delta(one: NDArray[np.int64], other: NDArray[np.int64], epsilon: float) -> float:
    """Return a delta that certainly is spent at this epsilon: P(event in one) - e^epsilon P(event in other), at worst over thresholds."""
    draws, found = len(one), -1.0
    for threshold in np.unique(np.quantile(one, [0.5, 0.7, 0.9, 0.97, 0.99, 0.999], method="higher")):
        here, there = int((one >= threshold).sum()), int((other >= threshold).sum())
        low = float(beta.ppf(ALARM, here, draws - here + 1)) if here else 0.0
        high = float(beta.ppf(1 - ALARM, there + 1, draws - there)) if there < draws else 1.0
        found = max(found, low - math.exp(epsilon) * high)
    return found


def _worlds(nano_rho: int, draws: int) -> list[NDArray[np.int64]]:
    """Return draws of one count with and without the person."""
    return [add_gaussian_noise(np.full(draws, n, dtype=np.int64), nano_rho=nano_rho, people_cap=100) for n in (8, 7)]


@pytest.mark.parametrize("nano_rho", [10_000_000, 50_000_000, 500_000_000, 4_000_000_000])
def test_discrete_gaussian_spends_no_more_than_it_says(nano_rho: int) -> None:
    delta = 1e-4
    one, other = _worlds(nano_rho, 100_000)
    assert certain_delta(one, other, epsilon_for(nano_rho, delta)) <= delta


def test_the_check_has_power_against_noise_divided_by_1_25() -> None:
    """At the exact epsilon of the claimed noise, honest draws stay within delta and draws with smaller noise do not."""
    nano_rho, delta = 50_000_000, 1e-2
    exact = _tight_epsilon(gaussian_scale(nano_rho), delta)
    one, other = _worlds(nano_rho, 200_000)
    assert certain_delta(one, other, exact) <= delta
    one, other = _worlds(math.ceil(nano_rho * 1.25**2), 200_000)
    assert certain_delta(one, other, exact) > delta


def _tight_epsilon(scale: float, delta: float) -> float:
    """Return the exact epsilon of Gaussian noise of this scale at sensitivity 1 (Balle and Wang 2018, theorem 8)."""

    def spent(epsilon: float) -> float:
        def phi(x: float) -> float:
            return 0.5 * math.erfc(-x / math.sqrt(2))

        return phi(0.5 / scale - epsilon * scale) - math.exp(epsilon) * phi(-0.5 / scale - epsilon * scale)

    low, high = 0.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > delta else (low, middle)
    return high


@pytest.mark.audit
def test_a_measured_release_spends_no_more_than_it_says_and_the_check_has_power() -> None:
    """The whole of charge, count and noise on a tiny domain, by the likelihood ratio of the extra person over all tables.

    All tables together are worth one Gaussian of the plan's rho. At its exact epsilon honest draws stay within delta; draws of a release whose
    noise is divided by 1.25 do not.
    """
    domain = Domain.declare({"a": ["1"], "b": ["1", "2"], "c": ["1"]})
    plan = ReleasePlan.make(domain, epsilon=4.0, people_cap=1000, delta=1e-4)
    worlds = _released(plan)
    assert certain_delta(*worlds, plan.epsilon) <= plan.delta
    delta = 0.1
    exact = _tight_epsilon(1 / math.sqrt(2 * plan.loss.rho), delta)
    assert certain_delta(*worlds, exact) <= delta
    louder = (replace(table, nano_rho=math.ceil(table.nano_rho * 1.25**2)) for table in plan.tables)
    assert certain_delta(*_released(replace(plan, tables=tuple(louder))), exact) > delta


def _released(plan: ReleasePlan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return draws of the statistic with and without the extra person."""
    base = tuple(np.zeros(3, dtype=np.uint16) for _ in range(3))
    more = tuple(np.append(column, np.uint16(1)) for column in base)
    one, other = (np.array([_statistic(plan, columns) for _ in range(10_000)]) for columns in (more, base))
    return one, other


def _statistic(plan: ReleasePlan, columns: tuple[NDArray[np.uint16], ...]) -> int:
    """Return the likelihood-ratio statistic of the extra person, who has the second value of every column: the noisy cells that they change,
    with the sign with which they change them, weighted by precision."""
    measured, _ = measure(
        plan,
        charge=lambda loss: Receipt(charge_id="two-worlds", loss=loss),
        open_people=lambda receipt: PersonTable(columns=columns),
    )
    total = 0
    for m in measured:
        signs = len(m.clique) - m.values.ndim
        total += (-1) ** signs * int(m.values[(1,) * m.values.ndim]) * m.nano_rho
    return total // 1000
