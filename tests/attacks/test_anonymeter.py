"""The attackers of anonymeter on a release of generated people (privacy rule 31): each upper end of a risk is within 5 %, and copies of records fail every attack.

anonymeter lives in an environment of its own, from pinned versions; where it cannot be installed the tests are skipped and say why.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from casesynth.api import EACH_ROW, release

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = 5000


@pytest.fixture(scope="module")
def attacks() -> Iterator[ModuleType]:
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("attacks")
    sys.path.remove(folder)
    for name in ("attacks", "engine"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def world(attacks: ModuleType) -> Any:
    try:
        attacks.environment()
    except attacks.NotInstalled as why:
        pytest.skip(str(why))
    return attacks.world(PEOPLE)


@pytest.mark.audit
def test_a_release_withstands_anonymeter(attacks: ModuleType, world: Any) -> None:
    """Singling out and linkability are certainly within 5 %. Inference of one attribute needs tens of thousands of people for that; no risk is certainly beyond 5 %, and that one is by
    chance has a probability below one in ten thousand."""
    made = release(world.frame, world.domain, person=EACH_ROW, epsilon=2, people_cap=10_000)
    found = attacks.anonymeter_verdicts(world, made.synthesis.records, attacks=PEOPLE, queries=4000)
    assert {verdict.attack for verdict in found} == {"singling out", "linkability", "inference"}
    for verdict in found:
        assert verdict.low <= 0.05, verdict
        assert verdict.attack == "inference" or verdict.high <= 0.05, verdict


@pytest.mark.audit
def test_copies_of_records_fail_every_attack_of_anonymeter(attacks: ModuleType, world: Any) -> None:
    for verdict in attacks.anonymeter_verdicts(world, world.real, attacks=1000, queries=300):
        assert verdict.low > 0.05, verdict


def test_the_list_of_anonymeters_environment_names_one_version_of_each_package() -> None:
    text = (ROOT / "benchmarks" / "attackers" / "anonymeter_attacks.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert any(line.startswith("anonymeter==") for line in lines)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert len({line.partition("==")[0].lower() for line in lines}) == len(lines)


def test_the_script_of_the_environment_imports_nothing_of_ours() -> None:
    text = (ROOT / "benchmarks" / "attackers" / "anonymeter_attacks.py").read_text(encoding="utf-8")
    assert not re.search(r"import case(synth|haven|schemas)|from case", text)


@pytest.mark.audit
def test_membership_of_the_outlier_withstands_and_the_broken_ones_do_not(attacks: ModuleType) -> None:
    """The functions that the table of docs/benchmarks.md is made with."""
    assert not attacks.best_attacker(1.0, 60, noise=True).broken
    assert attacks.best_attacker(1.0, 100, noise=False).broken
    assert attacks.insider(100, 1.0).broken
