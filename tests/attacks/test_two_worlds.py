"""Privacy rule 29: two neighbouring worlds cannot be told apart better than the claim, measured by drawing from both.

Drawn are the one mechanism, a table of 1,000 cells a hundred times over, the whole of charge, count and noise, and what is read from a finished release.

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
from casesynth.model import FitSettings
from casesynth.persons import PersonTable
from casesynth.plan import ReleasePlan
from casesynth.privacy import Receipt
from casesynth.privacy.accounting import epsilon_for
from casesynth.privacy.mechanisms import add_gaussian_noise, gaussian_scale
from casesynth.synthesis import synthesise

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


WIDE = Domain.declare({"country": [f"c{i}" for i in range(39)], "age": [f"a{i}" for i in range(24)]})
"""Forty values by twenty-five: a table of 1,000 cells."""


def _cells(plan: ReleasePlan, *, somebody: bool, times: int = 100) -> NDArray[np.int64]:
    """Return the noisy cells of the 1,000-cell table of `times` releases: of nobody, or of one person in each cell.

    For every cell the two worlds differ by one person who comes. They differ in the other cells too, but the noise of a cell is its own.
    """
    people = np.indices((40, 25)).reshape(2, -1)[:, : 1000 if somebody else 0].astype(np.uint16)
    tables = []
    for _ in range(times):
        measured, _ = measure(
            plan,
            charge=lambda loss: Receipt(charge_id="two-worlds", loss=loss),
            open_people=lambda receipt: PersonTable(columns=(people[0], people[1])),
        )
        (table,) = (m for m in measured if m.values.size == 1000)
        tables.append(table.values.ravel())
    return np.concatenate(tables)


def test_of_a_thousand_cells_a_hundred_times_none_tells_that_a_person_came_and_the_check_has_power() -> None:
    """A cell of nobody beside a cell of one person: 100,000 draws of each. The last line fails by chance in fewer than one of a million runs."""
    plan = ReleasePlan.make(WIDE, epsilon=6.0, people_cap=10_000)
    (share,) = (table.nano_rho for table in plan.tables if table.cells == 1000)
    one, other = (_cells(plan, somebody=somebody) for somebody in (True, False))
    assert certain_delta(one, other, epsilon_for(share, 1e-4)) <= 1e-4
    assert certain_delta(-other, -one, epsilon_for(share, 1e-4)) <= 1e-4
    delta = 1e-2
    exact = _tight_epsilon(gaussian_scale(share), delta)
    assert certain_delta(one, other, exact) <= delta
    louder = tuple(replace(table, nano_rho=math.ceil(table.nano_rho * 1.25**2)) for table in plan.tables)
    found = [_cells(replace(plan, tables=louder), somebody=somebody) for somebody in (True, False)]
    assert certain_delta(found[0], found[1], exact) > delta


def test_a_cell_of_nobody_is_as_noisy_as_any_other() -> None:
    """Nothing is hidden, or left without noise, because its true count is small (privacy rule 11). False alarm below 1e-9."""
    plan = ReleasePlan.make(WIDE, epsilon=1.0, people_cap=10_000)
    (share,) = (table.nano_rho for table in plan.tables if table.cells == 1000)
    scale = gaussian_scale(share)
    for somebody in (True, False):
        cells = _cells(plan, somebody=somebody, times=20)
        assert abs((cells == 0).mean() - 1 / (scale * math.sqrt(2 * math.pi))) < 6.5 * math.sqrt(
            0.4 / scale / len(cells)
        )
        assert abs(cells.std() / scale - 1) < 6.5 / math.sqrt(2 * len(cells))


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


TINY = FitSettings(classes=6, steps=20, starts=1, pilot_classes=5, pilot_steps=10)


@pytest.mark.audit
def test_what_is_read_from_a_finished_release_tells_no_more_and_the_check_has_power() -> None:
    """1,000 whole releases of each world. Counted in the synthetic file: its records, and in each column those with the value that only the extra person has.

    What is made of noisy tables cannot tell more than they do. With all noise divided by 64 the same numbers do tell. A
    thousand releases show a gross leak only; the tables themselves are drawn more often above.
    """
    domain = Domain.declare({"a": ["1", "2", "3"], "b": ["1", "2", "3"], "c": ["1", "2", "3"]})
    plan = ReleasePlan.make(domain, epsilon=2.0, people_cap=1000, delta=1e-4)
    assert certain_delta(*_kept(plan, 1_000), plan.epsilon) <= plan.delta
    louder = replace(plan, tables=tuple(replace(table, nano_rho=table.nano_rho * 4096) for table in plan.tables))
    assert certain_delta(*_kept(louder, 200), plan.epsilon) > plan.delta


def _kept(plan: ReleasePlan, times: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what is counted in `times` releases with and without the extra person, who has the last value of every column."""
    base = tuple(np.repeat(np.array([2, 1, 0], dtype=np.uint16), 10) for _ in range(3))
    more = tuple(np.append(column, np.uint16(3)) for column in base)
    found = []
    for columns in (more, base):
        people = PersonTable(columns=columns)
        counts = []
        for _ in range(times):
            made = synthesise(
                plan,
                charge=lambda loss: Receipt(charge_id="two-worlds", loss=loss),
                open_people=lambda receipt, people=people: people,  # type: ignore[misc]  # bound now, not later
                settings=TINY,
            )
            counts.append(len(made.records[0]) + sum(int((column == 3).sum()) for column in made.records))
        found.append(np.array(counts, dtype=np.int64))
    return found[0], found[1]
