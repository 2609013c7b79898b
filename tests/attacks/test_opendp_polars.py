"""Privacy rule 9: the four known cases of OpenDP's Polars part, reproduced; nothing of ours can reach them (`test_opendp_cases.py`).

The Polars part lives in an environment of its own, from pinned versions; where it cannot be installed the tests are skipped and say why. When one fails, the library was changed.
"""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "attackers" / "opendp_polars_cases.py"


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    """What the library says and does in each case."""
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    try:
        environments = importlib.import_module("environments")
    finally:
        sys.path.remove(folder)
    try:
        python = environments.environment(SCRIPT.with_suffix(".txt"), ROOT / ".cache" / "attackers")
    except environments.NotInstalled as why:
        pytest.skip(str(why))
    done = subprocess.run([python, "-I", SCRIPT], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _above(numbers: Sequence[float | str], limit: float) -> float:
    return sum(float(number) > limit for number in numbers) / len(numbers)


@pytest.mark.audit
def test_bins_by_number_tell_one_row_in_front_of_all_others(cases: dict[str, Any]) -> None:
    """One row moves a sum of 200 ages below a bound from 0 to 200; noise of scale 2 is said to hide it. False alarm below 1e-18."""
    case = cases["cut"]
    assert case["epsilon"] == 0.5
    assert _above(case["without"], 100) == 0
    assert _above(case["with"], 100) == 1


@pytest.mark.audit
def test_a_null_that_becomes_no_number_takes_the_whole_sum_with_it(cases: dict[str, Any]) -> None:
    """A sum near 294 becomes one near 0. Noise of scale 50 passes the limit in one of 35 draws: false alarm below 1e-9."""
    case = cases["fill_null"]
    assert case["epsilon"] < 0.5
    often, seldom = _above(case["without"], 150), _above(case["with"], 150)
    assert often > 0.9 and seldom < 0.1
    assert often > math.exp(case["epsilon"]) * seldom


@pytest.mark.audit
def test_a_group_that_is_exchanged_moves_twice_as_far_as_is_said(cases: dict[str, Any]) -> None:
    case = cases["max_length"]
    assert case["sums_differ_by"] / case["noise"] == pytest.approx(2 * case["epsilon"])


@pytest.mark.audit
def test_a_column_that_is_redefined_keeps_a_bound_that_it_no_longer_has(cases: dict[str, Any]) -> None:
    """One person of fifty rows moves a count from 50 to 100; noise of standard deviation 1 is said to cost a rho of one half. False alarm below 1e-100."""
    case = cases["redefined"]
    assert case["rho"] == 0.5
    assert _above(case["without"], 75) == 0
    assert _above(case["with"], 75) == 1


def test_the_script_imports_nothing_of_ours() -> None:
    assert "import case" not in SCRIPT.read_text(encoding="utf-8")
