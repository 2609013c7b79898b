"""The notebooks run from their first cell to their last, and what they draw is drawn.

Cells run in order in one fresh process with plain Python: what a cell ends in is shown as a notebook would show it. No notebook server is needed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))

RUNNER = r"""
import ast, json, sys

names = {"__name__": "__main__"}
shown = []
for source in json.loads(sys.stdin.read()):
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is not None:
        found = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        shown.append(found._repr_svg_() if hasattr(found, "_repr_svg_") else repr(found))
print("SHOWN" + json.dumps(shown))
"""


def _run(path: Path, folder: Path) -> list[str]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], input=json.dumps(cells), capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    shown: list[str] = json.loads(done.stdout.rpartition("SHOWN")[2])
    return shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_what_it_printed(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")


def test_the_researchers_notebook_plots_its_questions_with_error_bars(tmp_path: Path) -> None:
    (path,) = (path for path in NOTEBOOKS if path.stem == "researcher")
    shown = _run(path, tmp_path)
    plots = [ElementTree.fromstring(text) for text in shown if text.startswith("<svg")]
    assert len(plots) == 2
    for plot in plots:
        bars = plot.findall("{*}rect")
        assert len(bars) >= 5 and len(bars) == len(
            [path for path in plot.findall("{*}path") if path.get("class") == "interval"]
        )
    assert "True" in shown  # the same question again is the same answer


def test_the_stewards_notebook_goes_from_a_tools_export_to_a_plan(tmp_path: Path) -> None:
    (path,) = (path for path in NOTEBOOKS if path.stem == "steward")
    shown = _run(path, tmp_path)
    (plot,) = (ElementTree.fromstring(text) for text in shown if text.startswith("<svg"))
    assert len([line for line in plot.findall("{*}path") if line.get("class") == "line"]) == 3
    assert "True" in shown  # the consent that was withdrawn is shown as withdrawn


def test_the_policymakers_notebook_verifies_and_draws_a_release(tmp_path: Path) -> None:
    (path,) = (path for path in NOTEBOOKS if path.stem == "policymaker")
    shown = _run(path, tmp_path)
    (plot,) = (ElementTree.fromstring(text) for text in shown if text.startswith("<svg"))
    bars, intervals = (
        plot.findall("{*}rect"),
        [line for line in plot.findall("{*}path") if line.get("class") == "interval"],
    )
    assert len(bars) == len(intervals) >= 2
    assert any("'epsilon': 2.0" in text for text in shown)
