"""Another accountant, written by others, agrees with every number that a release and the ledger state about privacy (privacy rule 13).

The numbers are taken from the files: the scales of the noise from `measurements.parquet`, the guarantee from `manifest.json`, what was spent from the
ledger's statement. Google's `dp-accounting` computes the same from the scales alone, in two ways that share no code with ours: exactly, by
the distribution of the privacy loss (its answer is an upper end of the tight epsilon), and by Renyi orders.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from dp_accounting import ComposedDpEvent, GaussianDpEvent
from dp_accounting.pld import privacy_loss_distribution as pld
from dp_accounting.rdp import RdpAccountant

from casehaven.ledger import BudgetPolicy
from caseschemas import load_schema
from casesynth.domain import Domain
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import NANO

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Shelter

ORDERS = [1 + 10 ** (step / 40) for step in range(-60, 160)]


def _scales(bundle: Path) -> list[float]:
    """The scale of the noise of each table, as the release states it."""
    header = json.loads(pq.read_schema(bundle / "measurements.parquet").metadata[b"casesynth"])
    return [float(table["scale"]) for table in header["tables"]]


def _spent(scales: list[float]) -> Fraction:
    """What noise of these scales spends in nano-rho, in exact fractions (Canonne, Kamath and Steinke 2020, theorem 4)."""
    return NANO * sum((1 / (2 * Fraction(scale) ** 2) for scale in scales), start=Fraction(0))


def _facts(bundle: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["facts"]
    return facts


def _renyi(scales: list[float], delta: float, tokens: int = 1) -> float:
    """Epsilon of all tables together by Renyi orders; a person with k tokens moves each table by k."""
    accountant = RdpAccountant(ORDERS)
    accountant.compose(ComposedDpEvent([GaussianDpEvent(scale / tokens) for scale in scales]))
    return float(accountant.get_epsilon(delta))


def _tight(scales: list[float], delta: float, tokens: int = 1) -> float:
    """Epsilon of all tables together by the distribution of the loss: independent Gaussians are one, of the summed precision."""
    together = 1 / math.sqrt(sum((tokens / scale) ** 2 for scale in scales))
    loss = pld.from_gaussian_mechanism(together, value_discretization_interval=1e-3)
    return float(loss.get_epsilon_for_delta(delta))


def _agrees(stated: float, scales: list[float], delta: float, tokens: int = 1) -> None:
    tight, renyi = _tight(scales, delta, tokens), _renyi(scales, delta, tokens)
    rho = sum((tokens / scale) ** 2 / 2 for scale in scales)
    assert 0.8 * stated < tight <= stated + 2e-3  # the grid of the loss is 0.001
    assert stated <= rho + 2 * math.sqrt(rho * math.log(1 / delta))  # the naive bound
    assert (
        0.99 * stated < renyi < 1.002 * stated
    )  # its orders are a grid, ours are searched; it knows a better bound where epsilon is small


@pytest.mark.parametrize("epsilon", ["0.5", "2", "7"])
def test_what_the_manifest_of_one_organisation_states(shelter: Shelter, people: MakePeople, epsilon: str) -> None:
    result = shelter.release(shelter.write("north.csv", people(80)), extra=("--epsilon", epsilon))
    assert result.exit_code == 0, result.output
    _manifest_agrees(shelter.folder / "bundle")


def test_what_the_manifest_of_two_organisations_states_for_a_person_with_a_token_in_each(
    shelter: Shelter, people: MakePeople
) -> None:
    files = [shelter.write("north.csv", people(60)), shelter.write("south.csv", people(60, start=50))]
    result = shelter.release(*files)
    assert result.exit_code == 0, result.output
    bundle = shelter.folder / "bundle"
    _manifest_agrees(bundle)
    assert _facts(bundle)["guarantee"]["max_tokens_per_person"] == 2


def _manifest_agrees(bundle: Path) -> None:
    facts, scales = _facts(bundle), _scales(bundle)
    stated, (mechanism,) = facts["guarantee"], facts["mechanisms"]
    delta, tokens = stated["delta"], stated["max_tokens_per_person"]
    assert delta == min(1e-6, 1 / (10 * facts["people_cap"]))
    _agrees(stated["epsilon"], scales, delta)
    _agrees(stated["epsilon_per_person"], scales, delta, tokens)
    spent = _spent(scales)
    assert 0.9999 * stated["nano_rho"] < spent <= stated["nano_rho"]
    assert stated["nano_rho_per_person"] == stated["nano_rho"] * tokens**2
    assert mechanism["sensitivity_l2"] == 1 and mechanism["tables"] == len(scales)
    assert (mechanism["scale_min"], mechanism["scale_max"]) == (min(scales), max(scales))


def test_what_the_ledger_states_after_three_releases(shelter: Shelter, people: MakePeople) -> None:
    """The epsilon of a sum is that of all the tables of all releases together, not the sum of epsilons."""
    scales: list[float] = []
    cases = shelter.write("north.csv", people(80))
    for place, epsilon in enumerate(("0.5", "1", "2")):
        result = shelter.release(cases, out=f"bundle-{place}", extra=("--epsilon", epsilon))
        assert result.exit_code == 0, result.output
        scales += _scales(shelter.folder / f"bundle-{place}")
    shown = shelter.run("ledger", "show", "--json", "--ledger", shelter.folder / "ledger.sqlite")
    statement = json.loads(shown.output)
    for row in statement["accounts"]:
        assert 0.9999 * row["spent_nano_rho"] < _spent(scales) <= row["spent_nano_rho"]
        _agrees(row["epsilon"], scales, row["delta_units"] / 1e15)
    _agrees(statement["odometer"]["epsilon"], scales, statement["odometer"]["delta_units"] / 1e15)
    assert statement["accounts"][0]["epsilon"] < 3.5


@pytest.mark.parametrize(("epsilon", "delta"), [("0.1", "1e-6"), ("1", "1e-6"), ("4", "1e-9"), ("8", "1e-6")])
def test_a_cap_of_the_ledger_spent_to_the_last_unit_stays_within_its_policy(epsilon: str, delta: str) -> None:
    """The largest rho of a policy: all of it spent, the exact epsilon is within the policy's, and one unit more is not promised."""
    policy = BudgetPolicy.of(epsilon, delta)
    cap = policy.cap_nano_rho()
    _agrees(policy.epsilon_of(cap), [math.sqrt(NANO / (2 * cap))], float(delta))
    assert policy.epsilon_of(cap) <= float(epsilon) < policy.epsilon_of(cap + 1)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("tokens", [1, 3])
def test_the_plan_of_the_worlds_file_agrees_too(epsilon: float, tokens: int) -> None:
    plan = ReleasePlan.make(
        Domain.from_schema(load_schema("ctdc-global")),
        epsilon=epsilon,
        people_cap=1_000_000,
        max_tokens_per_person=tokens,
    )
    scales = [table.scale for table in plan.tables]
    together = [1 / math.sqrt(sum(scale**-2 for scale in scales))]  # thousands of tables: as one, for the sake of time
    assert len(scales) > 1000
    _agrees(plan.epsilon, together, plan.delta)
    _agrees(plan.epsilon_per_person, together, plan.delta, tokens)


def test_the_check_has_power(shelter: Shelter, people: MakePeople) -> None:
    """Scales a little smaller than stated, or an epsilon a little smaller than theirs, and it fails."""
    assert shelter.release(shelter.write("north.csv", people(80))).exit_code == 0
    facts, scales = _facts(shelter.folder / "bundle")["guarantee"], _scales(shelter.folder / "bundle")
    for stated, drawn in ((facts["epsilon"], [scale / 1.05 for scale in scales]), (facts["epsilon"] * 0.95, scales)):
        with pytest.raises(AssertionError):
            _agrees(stated, drawn, facts["delta"])
