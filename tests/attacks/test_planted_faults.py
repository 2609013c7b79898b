"""Privacy rule 30: faults that void the guarantee are planted in a copy of the engine, and the suite must fail on each, or it proves nothing.

A fault is a few characters of source that are exchanged. The tests that must catch it then run against the copy, in a process of their own; they pass on
a copy that was not touched. When the source changed so that a fault cannot be planted any more, the test here fails and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault and what must catch it."""

    what: str
    module: str
    """Below `synth/casesynth`."""
    right: str
    wrong: str
    caught_by: tuple[str, ...]
    """Arguments of pytest."""


DRAWN = "np.asarray(measurement(counts.ravel().tolist()), dtype=np.int64).reshape(counts.shape)"
"""How a table gets its noise."""

FAULTS = (
    Fault(
        what="noise is divided by 1.25",
        module="privacy/mechanisms.py",
        right="dp.l2_distance(T=float), scale=scale)\n    spent = measurement.map(1.0)",
        wrong="dp.l2_distance(T=float), scale=scale / 1.25)\n    spent = measurement.map(1.0) / 1.25**2",
        caught_by=("tests/synth/test_mechanisms.py", "-k", "noise_follows_the_discrete_gaussian"),
    ),
    Fault(
        what="a person's records are not made one",
        module="persons.py",
        right="    if single.all():\n        return\n",
        wrong="    if len(single):\n        return\n",
        caught_by=("tests/spec/test_rule_27_neighbours.py", "-k", "thousand_more_records"),
    ),
    Fault(
        what="the domain is taken from the data: columns without a value are left out",
        module="measure.py",
        right='    progress("count", 0.0)\n    cliques',
        wrong=(
            '    progress("count", 0.0)\n'
            "    there = [bool(column.any()) for column in people.columns]\n"
            "    kept = tuple(table for table in plan.tables if all(there[place] for place in table.clique))\n"
            "    plan = ReleasePlan(**{**{f: getattr(plan, f) for f in plan.__dataclass_fields__}, 'tables': kept})\n"
            "    cliques"
        ),
        caught_by=("tests/spec/test_rule_28_record_and_replay.py", "-k", "empty"),
    ),
    Fault(
        what="the charge follows the reading",
        module="measure.py",
        right="    receipt = charge(plan.loss)\n",
        wrong='    open_people(Receipt(charge_id="", loss=plan.loss))\n    receipt = charge(plan.loss)\n',
        caught_by=("tests/synth/test_measure.py", "-k", "committed_before or opens_nothing"),
    ),
)

MORE = (
    Fault(
        what="empty cells get no noise",
        module="privacy/mechanisms.py",
        right=DRAWN,
        wrong=f"({DRAWN}) * (counts != 0)",
        caught_by=("tests/synth/test_mechanisms.py", "-k", "cells_at_zero"),
    ),
    Fault(
        what="small true counts are hidden",
        module="measure.py",
        right="        return add_gaussian_noise(",
        wrong="        return (np.abs(counts) >= 3) * add_gaussian_noise(",
        caught_by=("tests/attacks/test_two_worlds.py", "-k", "cell_of_nobody"),
    ),
    Fault(
        what="both halves of a table get the same noise",
        module="privacy/mechanisms.py",
        right=DRAWN,
        wrong=(
            "(counts.ravel() + np.resize(np.asarray(measurement([0] * -(-counts.size // 2)), dtype=np.int64), counts.size))"
            ".reshape(counts.shape)"
        ),
        caught_by=("tests/synth/test_mechanisms.py", "-k", "independent_noise"),
    ),
    Fault(
        what="a value outside the list is let in where it fits",
        module="encode.py",
        right="(attribute.outside,) if found is None else found",
        wrong="(len(cell) % len(attribute.values),) if found is None else found",
        caught_by=("tests/property/test_encode.py", "tests/synth/test_encode.py"),
    ),
    Fault(
        what="a refused consent is silence",
        module="persons.py",
        right="(consent == 1) & ~refused[persons]",
        wrong="consent == 1",
        caught_by=("tests/spec/test_rule_27_neighbours.py", "-k", "refuses_once"),
    ),
    Fault(
        what="seeds can be tried",
        module="synthesis.py",
        right="seed = measurements_digest(measurements)",
        wrong='seed = __import__("os").urandom(32)',
        caught_by=("tests/synth/test_synthesis.py",),
    ),
    Fault(
        what="rho is rounded to the safe side of the seller",
        module="privacy/accounting.py",
        right="        if epsilon_for(middle, delta) <= epsilon:",
        wrong="        if epsilon_for(middle, delta) <= epsilon * 1.001:",
        caught_by=("tests/synth/test_accounting.py",),
    ),
    Fault(
        what="shares pass the budget",
        module="plan.py",
        right="return {clique: math.floor(budget * share)",
        wrong="return {clique: 1 + math.floor(budget * share)",
        caught_by=("tests/synth/test_plan.py",),
    ),
)


def _run(copy: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("CASEHAVEN_NO_SKIPS", None)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


def _copy(folder: Path) -> Path:
    shutil.copytree(ROOT / "synth", folder / "synth", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "synth"


def _caught(fault: Fault, folder: Path) -> None:
    copy = _copy(folder)
    module = copy / "casesynth" / fault.module
    text = module.read_text(encoding="utf-8")
    assert text.count(fault.right) >= 1, f"{fault.module} changed: plant anew that {fault.what}"
    module.write_text(text.replace(fault.right, fault.wrong, 1), encoding="utf-8")
    ended = _run(copy, fault.caught_by)
    assert ended.returncode == 1, f"not caught that {fault.what}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    assert "failed" in ended.stdout and "SyntaxError" not in ended.stdout and "ImportError" not in ended.stdout


@pytest.mark.parametrize("fault", [*FAULTS, *MORE], ids=lambda fault: fault.what)
def test_a_fault_can_be_planted_in_the_source_as_it_is(fault: Fault) -> None:
    """So that whoever changes the source hears of a fault that only the audit plants."""
    assert fault.right in (ROOT / "synth" / "casesynth" / fault.module).read_text(encoding="utf-8")
    assert all((ROOT / part).exists() for part in fault.caught_by if part.startswith("tests/"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_planted_fault_is_caught(fault: Fault, tmp_path: Path) -> None:
    _caught(fault, tmp_path)


@pytest.mark.audit
@pytest.mark.parametrize("fault", MORE, ids=lambda fault: fault.what)
def test_another_planted_fault_is_caught(fault: Fault, tmp_path: Path) -> None:
    _caught(fault, tmp_path)


@pytest.mark.audit
def test_without_a_fault_the_same_tests_pass(tmp_path: Path) -> None:
    """What catches the faults catches them, and not the copy."""
    copy = _copy(tmp_path)
    for fault in (*FAULTS, *MORE):
        ended = _run(copy, fault.caught_by)
        assert ended.returncode == 0, f"{fault.caught_by}:\n{ended.stdout[-2000:]}"
        assert "passed" in ended.stdout


def test_the_copy_is_what_runs(tmp_path: Path) -> None:
    copy = _copy(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    found = subprocess.run(
        [sys.executable, "-c", "import casesynth; print(casesynth.__file__)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).is_relative_to(copy)
