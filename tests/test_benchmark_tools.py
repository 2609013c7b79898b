"""Rows of benchmarks stay until their sources change, sections are written one by one, and charts are whole SVG files."""

from __future__ import annotations

import importlib
import itertools
import math
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tools() -> Iterator[dict[str, ModuleType]]:
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    yield {name: importlib.import_module(name) for name in ("rows", "draw", "run", "intervals", "optimal")}
    sys.path.remove(folder)
    for name in ("rows", "draw", "run", "intervals", "optimal", "engine"):
        sys.modules.pop(name, None)


def test_a_row_is_measured_once_for_the_same_question_and_sources(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    measured = []

    def measure() -> dict[str, int]:
        measured.append(1)
        return {"seconds": len(measured)}

    kept = partial(tools["rows"].kept_row, folder=tmp_path / "kept")
    assert kept({"data": "adult"}, "a", measure) == kept({"data": "adult"}, "a", measure) == {"seconds": 1}
    assert kept({"data": "complaints"}, "a", measure) == {"seconds": 2}
    assert kept({"data": "adult"}, "b", measure) == {"seconds": 3}  # the sources changed
    assert kept({"data": "adult"}, "a", measure, fresh=True) == {"seconds": 4}
    assert kept({"data": "adult"}, "a", measure) == {"seconds": 4}


def test_a_row_that_failed_is_not_kept(tools: dict[str, ModuleType], tmp_path: Path) -> None:

    kept = partial(tools["rows"].kept_row, folder=tmp_path / "kept")

    def fail() -> dict[str, int]:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        kept({}, "a", fail)
    assert kept({}, "a", lambda: {"seconds": 1}) == {"seconds": 1}


def test_the_digest_of_sources_changes_with_any_byte_of_them(tools: dict[str, ModuleType]) -> None:
    digest = tools["rows"].sources_digest
    one, other = ROOT / "benchmarks" / "rows.py", ROOT / "benchmarks" / "draw.py"
    assert len({digest([one]), digest([other]), digest([one, other])}) == 3
    assert digest([ROOT / "benchmarks" / "peers"]) == digest([ROOT / "benchmarks" / "peers"])


def test_a_chart_is_a_whole_svg_with_each_line_named_and_each_point_marked(tools: dict[str, ModuleType]) -> None:
    draw = tools["draw"]
    lines = [
        draw.Line(name="ours & theirs", points=[(10_000, 1.5), (10_000_000, 300.0)]),
        draw.Line(name="one mark", points=[(50_000, 4.0)], joined=False),
    ]
    drawn = ElementTree.fromstring(draw.chart(lines, title="Time <s>", x_name="people", y_name="seconds"))
    name = "{http://www.w3.org/2000/svg}"
    words = [element.text for element in drawn.iter(f"{name}text")]
    assert {"ours & theirs", "one mark", "Time <s>", "people", "seconds", "10,000", "1,000,000"} <= set(words)
    assert len(list(drawn.iter(f"{name}polyline"))) == 1
    assert len(list(drawn.iter(f"{name}circle"))) == 3  # two points and the key
    places = [float(c.get("cy", "nan")) for c in drawn.iter(f"{name}circle")][:2]
    assert places[0] > places[1]  # more seconds stand higher


def test_sections_of_the_page_are_found_by_their_marks(tools: dict[str, ModuleType]) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    found = tools["run"]._sections(page)
    assert "engine" in found and "vault" in found
    assert all(part.startswith("## ") and f"<!-- section {name} -->" in part for name, part in found.items())
    assert set(found) <= set(tools["run"].RUNS)


@pytest.mark.parametrize(
    ("sizes", "length"), [((2, 3, 4), 1), ((2, 3, 4), 2), ((2, 3, 4), 3), ((2, 2, 5, 3), 2), ((7,), 1)]
)
def test_the_optimal_mechanism_meets_the_lower_bound_for_its_workload(
    tools: dict[str, ModuleType], sizes: tuple[int, ...], length: int
) -> None:
    """The bound of singular values: no noise for these tables has less summed variance than (sum of singular values)^2 / cells / (2 rho)."""
    rho = 0.03
    cells = list(itertools.product(*(range(size) for size in sizes)))
    queries = [
        [all(cell[i] == v for i, v in zip(table, values, strict=True)) for cell in cells]
        for table in itertools.combinations(range(len(sizes)), length)
        for values in itertools.product(*(range(sizes[i]) for i in table))
    ]
    bound = np.linalg.svd(np.array(queries, dtype=float), compute_uv=False).sum() ** 2 / len(cells) / (2 * rho)
    sigmas = tools["optimal"].together_sigmas(sizes, length, rho)
    total = sum(sigma**2 * math.prod(sizes[i] for i in table) for table, sigma in sigmas.items())
    assert total == pytest.approx(bound)
    alone = tools["optimal"].alone_sigma(rho)
    assert all(alone <= sigma * (1 + 1e-9) for sigma in sigmas.values())
    if length == len(sizes):
        assert list(sigmas.values()) == [pytest.approx(alone)]  # one table: all of the budget is its own
