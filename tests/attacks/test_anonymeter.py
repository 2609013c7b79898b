"""The attackers of anonymeter on a release of generated people (privacy rule 31): no risk is beyond 5 %, and copies of records fail every attack.

anonymeter lives in an environment of its own, from pinned versions; where it cannot be installed the tests are skipped and say why.
"""

from __future__ import annotations

import importlib
import math
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
VARIED = ("gender", "ageBroad", "citizenship")
"""Columns of which a few thousand people show that a risk is not far beyond 5 %."""


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
        attacks.interpreter()
    except attacks.NotInstalled as why:
        pytest.skip(str(why))
    return attacks.world(PEOPLE)


def _certain(verdict: Any) -> bool:
    """Whether an attack certainly withstood: by its interval, or, of inference, by guesses that are no better on real people than on control people."""
    if verdict.attack != "inference":
        return bool(verdict.high <= 0.05)
    rates = (verdict.real, verdict.control)
    error = math.sqrt(sum(rate * (1 - rate) for rate in rates) / PEOPLE)
    return bool(verdict.real - verdict.control <= 5.3 * error and (verdict.about not in VARIED or verdict.low <= 0.05))


@pytest.mark.audit
def test_a_release_withstands_anonymeter(attacks: ModuleType, world: Any) -> None:
    """Singling out and linkability are certainly within 5 %; the inference of none of the 27 columns is better on people who were in the data than on others. (That it is within 5 % takes tens
    of thousands of people, and more where nearly everybody is alike: docs/benchmarks.md.)

    Of releases that tell nothing, one in 5,000 fails by chance, nearly always by singling out; then a release of other people decides. False alarm below one in ten million.
    """
    for there in (world, attacks.world(PEOPLE, seed=3)):
        made = release(there.frame, there.domain, person=EACH_ROW, epsilon=2, people_cap=10_000)
        found = attacks.anonymeter_verdicts(there, made.synthesis.records, attacks=PEOPLE, queries=4000)
        assert {verdict.attack for verdict in found} == {"singling out", "linkability", "inference"}
        inferred = [verdict.about for verdict in found if verdict.attack == "inference"]
        assert inferred == [column.name for column in there.domain.columns]
        if all(_certain(verdict) for verdict in found):
            return
    assert [verdict for verdict in found if not _certain(verdict)] == []


@pytest.mark.audit
def test_copies_of_records_fail_every_attack_of_anonymeter(attacks: ModuleType, world: Any) -> None:
    secrets = (*VARIED, "meansThreats", "isForcedLabour")
    for verdict in attacks.anonymeter_verdicts(world, world.real, attacks=1000, queries=300, secrets=secrets):
        assert verdict.low > 0.05, verdict
        assert not _certain(verdict)


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
