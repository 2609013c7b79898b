"""Measurements: the charge comes first, every planned table comes back with its own noise, and nothing else does (privacy rule 14)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.domain import Domain
from casesynth.measure import Measurement, ReceiptError, measure
from casesynth.persons import PersonTable
from casesynth.plan import PlannedTable, ReleasePlan
from casesynth.privacy.loss import PrivacyLoss, Receipt
from casesynth.privacy.mechanisms import MechanismError

if TYPE_CHECKING:
    from tests.synth.conftest import Brute, People


class _Broke(Exception):
    """The ledger refuses."""


class _Desk:
    """A ledger and a vault that write down what happens."""

    def __init__(self, people: People) -> None:
        self.events: list[str] = []
        self._people = people

    def charge(self, loss: PrivacyLoss) -> Receipt:
        self.events.append(f"charged {loss.nano_rho}")
        return Receipt(charge_id="c1", loss=loss)

    def charge_less(self, loss: PrivacyLoss) -> Receipt:
        self.events.append("charged less")
        return Receipt(charge_id="c1", loss=PrivacyLoss(nano_rho=loss.nano_rho - 1))

    def refuse(self, loss: PrivacyLoss) -> Receipt:
        raise _Broke

    def open(self, receipt: Receipt) -> PersonTable:
        self.events.append(f"opened for {receipt.charge_id}")
        return PersonTable(columns=self._people)


def _silent_plan(domain: Domain, people_cap: int = 10_000) -> ReleasePlan:
    """A plan with shares so large that no noise is in reach: scale below 0.001. Shows what the noise is added to."""
    plan = ReleasePlan.make(domain, epsilon=1, people_cap=people_cap)
    tables = tuple(PlannedTable(clique=t.clique, cells=t.cells, nano_rho=10**15 + len(t.clique)) for t in plan.tables)
    return ReleasePlan(
        domain=domain, tables=tables, people_cap=people_cap, epsilon=1, delta=1e-6, max_tokens_per_person=1
    )


def test_the_charge_is_committed_before_people_are_opened(shelter: Domain, residents: People) -> None:
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    desk = _Desk(residents)
    _, receipt = measure(plan, charge=desk.charge, open_people=desk.open)
    assert desk.events == [f"charged {plan.loss.nano_rho}", "opened for c1"]
    assert receipt == Receipt(charge_id="c1", loss=plan.loss)


def test_a_refused_charge_opens_nothing(shelter: Domain, residents: People) -> None:
    desk = _Desk(residents)
    with pytest.raises(_Broke):
        measure(ReleasePlan.make(shelter, epsilon=1, people_cap=10_000), charge=desk.refuse, open_people=desk.open)
    assert desk.events == []


def test_a_receipt_for_less_than_the_plan_costs_opens_nothing(shelter: Domain, residents: People) -> None:
    desk = _Desk(residents)
    with pytest.raises(ReceiptError, match="nothing was opened"):
        measure(ReleasePlan.make(shelter, epsilon=1, people_cap=10_000), charge=desk.charge_less, open_people=desk.open)
    assert desk.events == ["charged less"]


def test_every_planned_table_comes_back_in_order_with_its_own_counts(
    shelter: Domain, residents: People, brute_signed: Brute
) -> None:
    plan = _silent_plan(shelter)
    desk = _Desk(residents)
    measurements, _ = measure(plan, charge=desk.charge, open_people=desk.open)
    assert [m.clique for m in measurements] == [table.clique for table in plan.tables]
    assert [m.nano_rho for m in measurements] == [table.nano_rho for table in plan.tables]
    for m in measurements:
        np.testing.assert_array_equal(m.values, brute_signed(residents, m.clique, shelter.sizes))


def test_each_table_has_noise_of_its_own_scale(shelter: Domain, residents: People, brute_signed: Brute) -> None:
    plan = ReleasePlan.make(shelter, epsilon=0.5, people_cap=10_000)
    desk = _Desk(residents)
    measurements, _ = measure(plan, charge=desk.charge, open_people=desk.open)
    by_share: dict[int, list[NDArray[np.float64]]] = {}
    for m, table in zip(measurements, plan.tables, strict=True):
        assert m.scale == table.scale
        noise = (m.values - brute_signed(residents, m.clique, shelter.sizes)) / m.scale
        by_share.setdefault(m.nano_rho, []).append(noise.ravel())
    assert len(by_share) > 15
    groups = [np.concatenate(parts) for parts in by_share.values()]  # many tables have one cell
    for noise in [*groups, np.concatenate(groups)]:
        # cube root of chi-square over its freedom (Wilson-Hilferty); 5.5 standard errors: false alarm 1e-6 over all groups
        spread = math.sqrt(2 / (9 * noise.size))
        assert abs(math.cbrt(float((noise**2).mean())) - 1 + spread**2) < 5.5 * spread
    assert sum(noise.size for noise in groups) == plan.cells > 500


def test_progress_names_public_phases_and_ends_at_one(shelter: Domain, residents: People) -> None:
    seen: list[tuple[str, float | None]] = []
    desk = _Desk(residents)
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    measure(plan, charge=desk.charge, open_people=desk.open, progress=lambda phase, share: seen.append((phase, share)))
    assert seen[0] == ("count", 0.0) and seen[-1] == ("measure", 1.0)
    shares = [share for phase, share in seen if phase == "measure" and share is not None]
    assert shares == sorted(shares) and shares[0] == 0.0


@pytest.mark.parametrize("phase", ["count", "measure"])
def test_cancelling_leaves_the_charge_and_returns_nothing(shelter: Domain, residents: People, phase: str) -> None:
    def cancel(now: str, share: float | None) -> None:
        if now == phase:
            raise KeyboardInterrupt

    desk = _Desk(residents)
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    with pytest.raises(KeyboardInterrupt):
        measure(plan, charge=desk.charge, open_people=desk.open, progress=cancel)
    assert desk.events[0] == f"charged {plan.loss.nano_rho}"


@pytest.mark.parametrize("with_flags", [0, 25])
def test_more_people_than_the_cap_never_reach_the_noise(shelter: Domain, with_flags: int) -> None:
    crowd = tuple((np.arange(50) < with_flags).astype(np.uint16) for _ in shelter.sizes)  # 25 of 50: signs add up to 0
    desk = _Desk(crowd)
    with pytest.raises(MechanismError, match="further than people_cap from zero"):
        measure(ReleasePlan.make(shelter, epsilon=1, people_cap=49), charge=desk.charge, open_people=desk.open)
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=50)
    assert len(measure(plan, charge=desk.charge, open_people=desk.open)[0]) == len(plan.tables)


def test_nobody_is_measured_like_anybody(shelter: Domain) -> None:
    nobody = tuple(np.zeros(0, dtype=np.uint16) for _ in shelter.sizes)
    desk = _Desk(nobody)
    plan = ReleasePlan.make(shelter, epsilon=1, people_cap=10_000)
    measurements, _ = measure(plan, charge=desk.charge, open_people=desk.open)
    assert sum(m.values.size for m in measurements) == plan.cells
    noise = np.concatenate([m.values.ravel() for m in measurements])
    assert np.count_nonzero(noise) > noise.size / 2  # of a table of one number alone the noise may be 0
    assert {type(m) for m in measurements} == {Measurement}
