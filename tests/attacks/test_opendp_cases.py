"""Privacy rule 9: known cases of the library that draws the noise, OpenDP 0.16, and why none of them reaches a release.

Eight cases are known, and a ninth from rule 8. Those that need no more than OpenDP itself are reproduced here: when one of these tests fails, the library was changed, and the rule
can be read anew. The others live in its Polars part, which is not installed; `test_opendp_polars.py` reproduces them in an environment of its own. Either way the engine uses six names of the library and none that any of the cases
is about; a list of what is allowed, not of what is forbidden, holds that.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import math
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import opendp.prelude as dp
import pytest

from casesynth.privacy import mechanisms
from casesynth.privacy.mechanisms import MechanismError, add_gaussian_noise

dp.enable_features("contrib")

ROOT = Path(__file__).resolve().parents[2]
CODE = [path for root in ("platform", "synth", "schemas") for path in sorted((ROOT / root).rglob("*.py"))]

ALLOWED = {
    "dp.enable_features",
    "dp.m.make_gaussian",
    "dp.vector_domain",
    "dp.atom_domain",
    "dp.l2_distance",
    "dp.Measurement",
}
"""Everything that the engine may use of OpenDP."""

POLARS_CASES = ("max_length", "with_columns", "to_physical", "fill_null", "cut")
"""Names that the cases of OpenDP's Polars part go by."""


def _used(source: str) -> set[str]:
    """Return the names of OpenDP that a module uses, dotted, the longest ones."""
    dotted = {ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return {
        name
        for name in dotted
        if name.split(".")[0] in ("dp", "opendp") and not any(other.startswith(f"{name}.") for other in dotted)
    }


def _engine() -> str:
    return inspect.getsource(mechanisms)


def test_the_engine_uses_six_names_of_the_library_and_no_other() -> None:
    assert _used(_engine()) == ALLOWED
    for path in CODE:
        text = path.read_text(encoding="utf-8")
        if path.name != "mechanisms.py":
            assert not re.search(r"^\s*(import|from) opendp\b", text, re.MULTILINE), path


@pytest.mark.parametrize(
    "planted",
    [
        "dp.m.make_laplace_threshold(x)",
        "dp.c.make_privacy_filter(x, d_in=(1, 1), d_out=1.0)",
        "dp.polars.Margin(max_length=5)",
        "dp.t.make_count(x, y)",
        "dp.m.make_gaussian",
    ],
)
def test_another_name_would_be_found(planted: str) -> None:
    assert (_used(f"{_engine()}\n{planted}\n") == ALLOWED) == (planted == "dp.m.make_gaussian")


def test_only_64_bit_integers_are_named() -> None:
    calls = [node for node in ast.walk(ast.parse(_engine())) if isinstance(node, ast.Call)]
    kinds = [
        ast.unparse(keyword)
        for call in calls
        if ast.unparse(call.func) == "dp.atom_domain"
        for keyword in call.keywords
    ]
    assert kinds == ["T='i64'"]


# --- cases of OpenDP itself -------------------------------------------------------------------------------------------------


def test_case_1_a_thresholded_release_says_less_delta_than_it_spends() -> None:
    """A key that one person brings, with noise of scale 1 and threshold 5, shows with probability 0.0134; the map says 0.0049. Ours has no threshold on
    exact counts: all keys are public, and the minimum count is applied to noisy numbers."""
    kind = dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T="i64"))
    release = dp.m.make_laplace_threshold(
        kind, dp.l01inf_distance(dp.absolute_distance(T="i64")), scale=1.0, threshold=5
    )
    epsilon, said = release.map((1, 1, 1))  # type: ignore[no-untyped-call]  # opendp leaves it untyped
    share = math.exp(-1)
    shows = share**4 / (1 + share)  # the chance that noise is 4 or more
    assert (epsilon, round(said, 4), round(shows, 4)) == (1.0, 0.0049, 0.0134)
    drawn = sum("a" in release({"a": 1}) for _ in range(20_000)) / 20_000
    assert drawn > 0.0049 + 5 * math.sqrt(0.0049 / 20_000)  # false alarm below 1e-9: 0.0134 is ten standard errors away


def test_case_2_integers_are_32_bits_wide_unless_64_are_asked_for() -> None:
    """A sum of two large numbers stops at 2^31 - 1 without a word. Ours asks for 64 bits, and refuses what could come near their end."""
    kind = dp.vector_domain(dp.atom_domain(bounds=(0, 2**31 - 1)))
    assert dp.t.make_sum(kind, dp.symmetric_distance())([2**31 - 1, 2**31 - 1]) == 2**31 - 1
    with pytest.raises(MechanismError, match=r"pass 2\^62"):
        add_gaussian_noise(np.zeros(1, dtype=np.int64), nano_rho=10**9, people_cap=2**62)


def test_case_3_noise_stops_at_the_end_of_the_integers_without_a_word() -> None:
    """Half of all draws on the largest number are exactly the largest number: no noise at all. Ours stays below 2^62."""
    noise = dp.m.make_gaussian(dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float), scale=100.0)
    drawn = noise([2**63 - 1] * 1000)
    assert 300 < sum(number == 2**63 - 1 for number in drawn) < 700  # false alarm below 1e-30
    with pytest.raises(MechanismError, match="further than people_cap"):
        add_gaussian_noise(np.array([2**63 - 1], dtype=np.int64), nano_rho=10**9, people_cap=2**40)


ABORTS = """
import opendp.prelude as dp
dp.enable_features("contrib")
space = dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T="i64")), dp.l01inf_distance(dp.absolute_distance(T="i64"))
odometer = dp.c.make_fully_adaptive_composition(*space, output_measure=dp.approximate(dp.max_divergence()))
print("made", flush=True)
answers = dp.c.make_privacy_filter(odometer, d_in=(1, 1, 1), d_out=(1.0, 1e-6))({"a": 1})
answers(dp.m.make_laplace_threshold(*space, scale=4.0, threshold=80))
print("answered", flush=True)
"""


def test_case_4_a_filter_with_a_tuple_as_distance_ends_the_process() -> None:
    """No exception: the process is gone, and with it whatever the ledger was about to write. Ours composes in the ledger, which outlives a process."""
    ended = subprocess.run([sys.executable, "-c", ABORTS], capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout == "made\n"
    assert ended.returncode == -signal.SIGABRT


def test_case_5_one_request_over_the_budget_ends_a_filter_for_good() -> None:
    """A request that costs too much is refused, and so is everything after it that would have fitted. In our ledger a refused charge changes nothing (rule 18)."""
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    odometer = dp.c.make_fully_adaptive_composition(*space, output_measure=dp.max_divergence())
    answers = dp.c.make_privacy_filter(odometer, d_in=1, d_out=1.0)([1, 2])
    cheap, dear = (dp.m.make_laplace(*space, scale=scale) for scale in (4.0, 0.5))
    answers(cheap)
    with pytest.raises(dp.OpenDPException, match="exceed privacy budget"):
        answers(dear)
    with pytest.raises(dp.OpenDPException, match="exhausted"):
        answers(cheap)  # costs a quarter, and three quarters are left


# --- cases of its Polars part ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POLARS_CASES)
def test_cases_6_to_9_a_bound_by_margin_columns_made_anew_cuts_and_filled_nulls_cannot_come_in(name: str) -> None:
    """`Margin.max_length` taken for a bound, columns made anew after truncation, `cut().to_physical()` and `fill_null(NaN)` are of the Polars part. What runs is
    locked without Polars, nothing imports it, and the module that draws noise has none of the names."""
    for lock in ("run.lock", "test.lock"):
        text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
        assert not re.search(r"^polars", text, re.MULTILINE)
    assert importlib.util.find_spec("polars") is None
    assert not any(
        re.search(r"^\s*(import|from) polars\b", path.read_text(encoding="utf-8"), re.MULTILINE) for path in CODE
    )
    assert not re.search(rf"\b{name}\b", _engine())
