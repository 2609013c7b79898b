"""Singling out, linkability and inference by our own attacks (privacy rule 31): a release withstands them, copies of records do not, and a brute-force attacker agrees.

The people are generated, and the noise is seeded but where a test says that it is the real one; control people are another sample of the same population, who were really left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from tests.seeded_release import seeded_release

from casehaven.generate import generate_population
from caseschemas import load_schema
from casesynth.api import EACH_ROW, release
from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.evaluation.attacks import RISK_LIMIT, Rate, Risk, attack_all

DOMAIN = Domain.from_schema(load_schema("ctdc-global"))
NAMES = [column.name for column in DOMAIN.columns]
PEOPLE = 4000


@dataclass(frozen=True, kw_only=True)
class World:
    real: tuple[Codes, ...]
    control: tuple[Codes, ...]
    released: tuple[Codes, ...]


def sample(seed: int) -> tuple[Codes, ...]:
    return encode(generate_population(PEOPLE, seed), DOMAIN, person=None).columns


@pytest.fixture(scope="module")
def world() -> World:
    frame = generate_population(PEOPLE, 1)
    made = seeded_release(frame, DOMAIN, epsilon=2, people_cap=10_000)
    return World(real=sample(1), control=sample(2), released=made.synthesis.records)


def attacked(world: World, synthetic: Sequence[Codes], attacks: int = 5000) -> dict[tuple[str, str], Risk]:
    found = attack_all(
        synthetic,
        world.real,
        world.control,
        sizes=DOMAIN.sizes,
        names=NAMES,
        seed=b"attacks",
        attacks=attacks,
    )
    return {(risk.attack, risk.about): risk for risk in found}


def standard_errors_beyond(risk: Risk) -> float:
    """Return by how many standard errors what an attack gains on real people is beyond the bound.

    The verdict is about an interval of 95 %. Of thirty attributes, some of which nearly everybody has, one is outside of its interval in many a
    run; beyond 5.5 standard errors none of them is by chance in a million runs.
    """
    allowed = RISK_LIMIT * (1 - risk.control.value)
    error = math.hypot(risk.real.half, (1 - RISK_LIMIT) * risk.control.half) / 1.96
    return (risk.real.value - risk.control.value - allowed) / error


def test_a_release_withstands_all_three_attacks(world: World) -> None:
    """No risk is beyond the bound by more than chance does in one of a million runs; that of all attributes together is not beyond it at all."""
    risks = attacked(world, world.released)
    assert {attack for attack, _ in risks} == {"singling out", "linkability", "inference"}
    for name, risk in risks.items():
        assert standard_errors_beyond(risk) < 5.5, name
    for attack in ("singling out", "linkability", "inference"):
        assert risks[attack, ""].verdict != "beyond", attack
    assert risks["linkability", ""].verdict == "within"


def test_a_release_with_the_systems_own_noise_withstands_them_as_well(world: World) -> None:
    """Drawn by the real mechanism, another one in every run: no risk is beyond the bound by more than chance does in one of a million runs."""
    made = release(generate_population(PEOPLE, 1), DOMAIN, person=EACH_ROW, epsilon=2, people_cap=10_000)
    for name, risk in attacked(world, made.synthesis.records).items():
        assert standard_errors_beyond(risk) < 5.5, name


def test_copies_of_the_records_fail_all_three(world: World) -> None:
    risks = attacked(world, world.real)
    for attack in ("singling out", "linkability", "inference"):
        assert risks[attack, ""].verdict == "beyond", attack
        assert standard_errors_beyond(risks[attack, ""]) > 20, attack
    assert risks["singling out", ""].lower > 0.9
    assert risks["inference", "citizenship"].verdict == "beyond"


def test_every_second_record_copied_is_found(world: World) -> None:
    """A broken engine that lets half of the records through."""
    half = PEOPLE // 2
    mixed = tuple(
        np.concatenate([real[:half], made[half:]]) for real, made in zip(world.real, world.released, strict=True)
    )
    assert attacked(world, mixed)["singling out", ""].verdict == "beyond"


def test_another_sample_of_the_population_is_no_risk(world: World) -> None:
    """Records that know nothing of the people attacked, and are as true as can be: what works on both is no fault."""
    risks = attacked(world, sample(3))
    assert all(risk.verdict != "beyond" for risk in risks.values())


def test_the_nearest_record_is_the_one_that_a_slow_attacker_finds() -> None:
    """Inference against brute force, person by person."""
    random = np.random.default_rng(5)
    sizes = (3, 4, 2, 5)
    synthetic, real, control = ([random.integers(0, size, n).astype(np.uint8) for size in sizes] for n in (40, 30, 30))
    risks = attack_all(synthetic, real, control, sizes=sizes, names=list("abcd"), seed=b"x", attacks=30)
    for place, name in enumerate("abcd"):
        hits = 0
        for person in range(30):
            apart = [sum(synthetic[c][row] != real[c][person] for c in range(4) if c != place) for row in range(40)]
            hits += int(synthetic[place][apart.index(min(apart))] == real[place][person])
        (risk,) = [each for each in risks if (each.attack, each.about) == ("inference", name)]
        assert risk.real == Rate.of(hits, 30)


def test_two_people_with_the_same_values_are_not_singled_out() -> None:
    random = np.random.default_rng(3)
    once = [random.integers(0, 9, 60).astype(np.uint8) for _ in range(3)]
    twice = [np.concatenate([column, column]) for column in once]
    risks = attack_all(once, twice, twice, sizes=(9, 9, 9), names=list("abc"), seed=b"x", attacks=200)
    assert risks[0].attack == "singling out"
    assert risks[0].real.attacks > 20
    assert risks[0].real == Rate.of(0, risks[0].real.attacks)


def test_a_rate_has_its_wilson_interval_and_a_risk_its_ends() -> None:
    rate = Rate.of(20, 100)
    assert (rate.value, rate.half) == pytest.approx((0.2111, 0.0778), abs=2e-4)  # Wilson 1927, for 20 of 100
    equal = Risk(attack="linkability", about="", real=rate, control=rate)
    assert (equal.value, equal.lower) == (0, 0)
    assert equal.verdict == "cannot say"
    sure = Risk(attack="linkability", about="", real=Rate.of(9000, 10_000), control=Rate.of(1000, 10_000))
    assert sure.value == pytest.approx(8 / 9, abs=0.01)
    assert sure.verdict == "beyond"
    none = Risk(attack="linkability", about="", real=Rate.of(5, 10_000), control=Rate.of(5, 10_000))
    assert none.upper <= RISK_LIMIT
    assert none.verdict == "within"


def test_people_alike_are_no_success_of_linkability() -> None:
    """Everybody is the same: every synthetic record is nearest, and one of fifty is right by chance."""
    same = [np.zeros(50, np.uint8) for _ in range(4)]
    risks = attack_all(same, same, same, sizes=(2, 2, 2, 2), names=list("abcd"), seed=b"x", attacks=50)
    (risk,) = [each for each in risks if each.attack == "linkability"]
    assert risk.real.value == pytest.approx(1 / 50)
    assert risk.real.half == pytest.approx(0)


def test_nothing_to_attack_is_no_risk() -> None:
    empty = [np.zeros(0, np.uint8)]
    assert attack_all(empty, [np.zeros(5, np.uint8)], [np.zeros(5, np.uint8)], sizes=(2,), names=["a"], seed=b"") == ()
    assert math.isclose(Rate.of(0, 0).value, 0.5)
