"""The one module that draws noise (privacy rules 7 to 9, 11, 13 and 30).

The checks of the noise's distribution are statistical. They use a chi-square test against the exact probabilities of the discrete
Gaussian and fail by chance once in a million runs each.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import opendp.prelude as dp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import casesynth
from casesynth.privacy import mechanisms
from casesynth.privacy.loss import NANO
from casesynth.privacy.mechanisms import MechanismError, add_gaussian_noise, gaussian_scale

CAP = 1_000_000
DRAWS = 20_000

SOURCES = Path(inspect.getfile(casesynth)).parents[2]


def _rho(scale: float) -> int:
    """Return the nano-rho that pays for a scale, rounded down."""
    return math.floor(NANO / (2 * scale**2))


def _probabilities(scale: float, reach: int) -> NDArray[np.float64]:
    """Return the exact probability of each whole number from -reach to reach under the discrete Gaussian, and of the rest."""
    far = range(-40 * math.ceil(scale), 40 * math.ceil(scale) + 1)
    total = math.fsum(math.exp(-(x**2) / (2 * scale**2)) for x in far)
    inside = [math.exp(-(x**2) / (2 * scale**2)) / total for x in range(-reach, reach + 1)]
    return np.array([*inside, 1 - math.fsum(inside)])


def _misfit(noise: NDArray[np.int64], scale: float) -> float:
    """Return how far the chi-square statistic of a sample lies above what the exact distribution gives, in standard errors."""
    reach = math.ceil(4 * scale)
    while (expected := len(noise) * _probabilities(scale, reach)).min() < 20:  # rarer than that is no chi-square
        reach -= 1
    kept = noise[np.abs(noise) <= reach]
    found = np.array([*np.bincount(kept + reach, minlength=2 * reach + 1), len(noise) - len(kept)])
    statistic = float(((found - expected) ** 2 / expected).sum())
    freedom = len(expected) - 1
    # Wilson-Hilferty: the cube root of chi-square over its freedom is nearly normal
    return (math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))


LIMIT = 4.75
"""Standard errors; a normal number lies above with probability 1e-6."""


def _noise(scale: float, draws: int = DRAWS) -> NDArray[np.int64]:
    return add_gaussian_noise(np.zeros(draws, dtype=np.int64), nano_rho=_rho(scale), people_cap=CAP)


@pytest.mark.parametrize("scale", [0.7, 2.0, 7.3, 30.0])
def test_noise_follows_the_discrete_gaussian_of_the_charged_scale(scale: float) -> None:
    assert _misfit(_noise(scale), scale) < LIMIT


@pytest.mark.parametrize("scale", [0.7, 2.0, 7.3, 30.0])
def test_planted_fault_noise_divided_by_a_quarter_more_is_caught(scale: float) -> None:
    assert _misfit(_noise(scale / 1.25), scale) > LIMIT
    assert _misfit(_noise(scale * 1.25), scale) > LIMIT


def test_neighbouring_cells_get_independent_noise() -> None:
    scale = 5.0
    noise = _noise(scale).reshape(2, -1).astype(float)
    correlations = [np.corrcoef(noise[0, shift:], noise[1, : noise.shape[1] - shift])[0, 1] for shift in (0, 1)]
    correlations.append(np.corrcoef(noise[0, 1:], noise[0, :-1])[0, 1])
    assert np.max(np.abs(correlations)) < 5.1 / math.sqrt(DRAWS / 2)  # false alarm: 1e-6 for the three together


def test_two_calls_draw_different_noise() -> None:
    assert not np.array_equal(_noise(30.0, 100), _noise(30.0, 100))


def test_cells_at_zero_get_noise_too() -> None:
    counts = np.zeros((40, 50), dtype=np.int64)
    counts[0, 0] = 500
    noisy = add_gaussian_noise(counts, nano_rho=_rho(20.0), people_cap=1000)
    untouched = float((noisy[counts == 0] == 0).mean())
    assert untouched < 0.06  # the exact share of zeros is 0.02; false alarm below 1e-9
    assert (noisy < 0).any()


def test_noise_is_added_to_the_count_in_its_own_cell() -> None:
    counts = np.arange(-3000, 3000, dtype=np.int64).reshape(20, 30, 10)  # long enough to be drawn in two halves
    noisy = add_gaussian_noise(counts, nano_rho=10**14, people_cap=CAP)
    np.testing.assert_array_equal(noisy, counts)  # scale 0.002: no noise in reach
    assert noisy.dtype == np.int64


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_a_table_without_cells_stays_without_cells(shape: tuple[int, ...]) -> None:
    noisy = add_gaussian_noise(np.zeros(shape, dtype=np.int64), nano_rho=NANO, people_cap=CAP)
    assert noisy.shape == shape


@pytest.mark.parametrize("dtype", [np.int32, np.uint64, np.float64, np.bool_, object])
def test_only_64_bit_integers_are_accepted(dtype: type) -> None:
    with pytest.raises(MechanismError, match="counts must be int64"):
        add_gaussian_noise(np.ones(3, dtype=dtype), nano_rho=NANO, people_cap=CAP)


def test_counts_up_to_the_cap_on_either_side_of_zero_are_accepted() -> None:
    counts = np.array([-10, -1, 0, 10], dtype=np.int64)
    noisy = add_gaussian_noise(counts, nano_rho=10**14, people_cap=10)
    np.testing.assert_array_equal(noisy, counts)  # scale 0.002: no noise in reach


@pytest.mark.parametrize("count", [-11, 11, 2**62, -(2**62), -(2**63)])
def test_counts_further_than_the_cap_from_zero_are_refused_and_not_shown(count: int) -> None:
    counts = np.array([0, count, 10], dtype=np.int64)
    with pytest.raises(MechanismError, match="further than people_cap from zero") as refusal:
        add_gaussian_noise(counts, nano_rho=NANO, people_cap=10)
    assert not re.search(r"\d", str(refusal.value))


@pytest.mark.parametrize("people_cap", [2**62, 2**62 - 1, 2**62 - 64, 2**63])
def test_sizes_that_could_saturate_are_refused(people_cap: int) -> None:
    with pytest.raises(MechanismError, match=r"pass 2\^62"):
        add_gaussian_noise(np.zeros(1, dtype=np.int64), nano_rho=NANO // 2, people_cap=people_cap)


def test_the_largest_size_that_cannot_saturate_is_accepted() -> None:
    counts = np.array([2**61, -(2**61)], dtype=np.int64)
    noisy = add_gaussian_noise(counts, nano_rho=NANO // 2, people_cap=2**61)
    assert np.abs(noisy - counts).max() < 64


@pytest.mark.parametrize("nano_rho", [0, -1, 1.5, True])
def test_a_share_that_is_no_positive_whole_number_is_refused(nano_rho: int) -> None:
    with pytest.raises(MechanismError, match="positive integer"):
        add_gaussian_noise(np.zeros(1, dtype=np.int64), nano_rho=nano_rho, people_cap=CAP)


@settings(deadline=None, max_examples=400)
@given(
    st.integers(1, 10**12) | st.integers(0, 40).map(lambda power: 2**power) | st.integers(0, 12).map(lambda p: 10**p)
)
def test_what_opendp_says_is_spent_never_exceeds_the_charge_and_wastes_next_to_nothing(nano_rho: int) -> None:
    scale = gaussian_scale(nano_rho)
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    spent = Fraction(dp.m.make_gaussian(*space, scale=scale).map(1.0))  # type: ignore[no-untyped-call]  # opendp leaves it untyped
    assert spent <= Fraction(nano_rho, NANO)
    assert spent > Fraction(nano_rho, NANO) * (1 - Fraction(1, 10**14))
    assert Fraction(1, 2) / Fraction(scale) ** 2 <= Fraction(nano_rho, NANO)  # theorem 4, in exact fractions
    add_gaussian_noise(np.zeros(1, dtype=np.int64), nano_rho=nano_rho, people_cap=CAP)


def _modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield every module of the engine and of the service, the generator of made-up people apart."""
    for root in (SOURCES / "synth", SOURCES / "platform"):
        for path in sorted(root.rglob("*.py")):
            name = path.relative_to(SOURCES).as_posix()
            if not name.startswith("platform/casehaven/generate/"):
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _draws(tree: ast.Module) -> list[str]:
    """Return what a module calls of NumPy's random numbers; naming a type is not calling it."""
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if re.match(r"(np|numpy)\.random\.|(.*\.)?(default_rng|RandomState|Generator|PCG64)$", call)
    ]


def test_only_the_mechanisms_import_opendp() -> None:
    modules = dict(_modules())
    assert len(modules) > 30
    users = [name for name, tree in modules.items() if any(i.split(".")[0] == "opendp" for i in _imported(tree))]
    assert users == ["synth/casesynth/privacy/mechanisms.py"]


def test_only_contrib_is_enabled() -> None:
    enabled = [
        [ast.literal_eval(argument) for argument in node.args]
        for _, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("enable_features")
    ]
    assert enabled == [["contrib"]]
    for path in [*(SOURCES / "synth").rglob("*.py"), *(SOURCES / "platform").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert "honest-but-curious" not in text and "idealized-numerics" not in text, path


def test_random_numbers_come_from_the_seeded_generator_alone() -> None:
    drawing = {name: _draws(tree) for name, tree in _modules()}
    assert {name for name, calls in drawing.items() if calls} == {"synth/casesynth/seeded.py"}
    importing = [name for name, tree in _modules() if _imported(tree) & {"random", "numpy.random"}]
    assert importing == []


@pytest.mark.parametrize(
    "planted", ["np.random.default_rng()", "numpy.random.normal(0, 1)", "default_rng(3)", "np.random.Generator(bits)"]
)
def test_planted_fault_another_generator_is_caught(planted: str) -> None:
    assert _draws(ast.parse(f"def f():\n    return {planted}"))


def test_noise_is_drawn_in_one_function_of_one_module() -> None:
    drawn = [name for name, tree in _modules() if "make_gaussian" in ast.unparse(tree)]
    assert drawn == ["synth/casesynth/privacy/mechanisms.py"]
    assert mechanisms.add_gaussian_noise.__module__ == "casesynth.privacy.mechanisms"
