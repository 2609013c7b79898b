"""The benchmark beside peers gives them the coded people, reads their records back as codes, and says why one has no numbers."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from casesynth.domain import Domain, Multi

ROOT = Path(__file__).resolve().parents[1]
PINNED = sorted((ROOT / "benchmarks" / "peers").glob("*.txt"))
DOMAIN = Domain.declare({"sex": ["female", "male"], "means": Multi(values=["threats", "debt"]), "age": ["NA", "0-17"]})
CODES = tuple(np.array(code, dtype=np.uint16) for code in ([0, 1, 2, 1], [0, 1, 0, 1], [1, 1, 0, 0], [0, 1, 2, 2]))


@pytest.fixture(scope="module")
def peers() -> Iterator[ModuleType]:
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    yield importlib.import_module("peers")
    sys.path.remove(folder)
    for name in ("peers", "engine"):
        sys.modules.pop(name, None)


def test_records_come_back_as_the_codes_that_a_peer_was_shown(peers: ModuleType, tmp_path: Path) -> None:
    shown = peers.shown_to_peers(CODES, DOMAIN)
    assert shown.columns.tolist() == ["sex", "means=threats", "means=debt", "age"]
    assert shown["age"].tolist() == ["", "NA", "0-17", "0-17"]
    shown.to_csv(tmp_path / "records.csv", index=False)
    again = peers.codes_from_peers(pd.read_csv(tmp_path / "records.csv", dtype=str, keep_default_na=False), DOMAIN)
    assert all(np.array_equal(a, b) for a, b in zip(again, CODES, strict=True))


def test_a_peer_that_makes_up_a_value_is_left_out(peers: ModuleType) -> None:
    with pytest.raises(peers.LeftOut, match="outside the list of sex"):
        peers.codes_from_peers(peers.shown_to_peers(CODES, DOMAIN).replace("male", "Male"), DOMAIN)


def test_shuffled_records_keep_every_column_and_nothing_else(peers: ModuleType) -> None:
    columns = tuple(np.arange(1000, dtype=np.uint16) for _ in range(2))
    first, second = peers.independent_records(columns)
    assert np.array_equal(np.sort(first), columns[0])
    assert np.array_equal(np.sort(second), columns[1])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("code", "cpu", "clock", "why"),
    [
        ("while True: pass", 1, 300, "not finished in 1 CPU s"),
        ("import time; time.sleep(300)", 30, 1, "not finished in 1 s by the clock"),
        ("raise SystemExit(3)", 30, 300, "failed with exit code 3"),
    ],
)
def test_a_run_that_does_not_end_well_is_left_out_and_the_reason_said(
    peers: ModuleType, code: str, cpu: float, clock: float, why: str
) -> None:
    with pytest.raises(peers.LeftOut, match=why):
        peers.run_within([sys.executable, "-c", code], cpu=cpu, clock=clock)


def test_a_run_that_ends_in_time_is_read(peers: ModuleType) -> None:
    assert peers.run_within([sys.executable, "-c", "print('done')"], cpu=30, clock=300) == "done\n"


def _row(cpu: float, distance: float) -> dict[str, Any]:
    measures = dict.fromkeys(
        ("total_variation", "relative_error", "suppressed", "fabricated_shown", "mean_error"), distance
    )
    return {"cpu": cpu, "peak_mb": 100.0, "rows": 10, "people": 10, "scores": {"2": measures, "3": measures}}


@pytest.mark.parametrize(
    ("first", "later", "runs"),
    [
        (149.9, "finished", 3),
        (150.0, "finished", 1),  # too long to be run again
        (1.0, "left out", 1),
        (1.0, "not measured", 1),
        (None, "finished", 1),  # said to be left out
    ],
)
def test_a_peer_that_takes_little_time_runs_as_often_as_ours(
    peers: ModuleType, first: float | None, later: str, runs: int
) -> None:
    asked = []

    def measure(run: int) -> dict[str, Any]:
        asked.append(run)
        if run and later == "not measured":
            raise peers.NotMeasuredError("not measured")
        if (run and later == "left out") or first is None:
            return {"left_out": "not finished in 300 CPU s"}
        return _row(first + 1000 * run, 0.1)

    assert len(peers.peer_rows(measure, 3)) == runs
    assert asked == ([0, 1, 2] if first is not None and first < 150 else [0])


def test_a_line_says_of_how_many_runs_its_numbers_are_the_mean(peers: ModuleType) -> None:
    cells = peers._cells([_row(10, 0.1), _row(20, 0.2), _row(60, 0.6)], (0.03, 3.0))
    line = dict(zip(peers.HEAD[3:], cells, strict=True))
    assert line["runs"] == "3"
    assert (line["3-way TV"], line["ours / theirs, 3-way"]) == ("0.3000", "0.100")
    assert (line["CPU s"], line["theirs / ours, CPU"]) == ("30.0", "10.0")


def test_each_peer_has_its_script_and_every_version_that_it_needs(peers: ModuleType) -> None:
    asked_questions = {"opendp_context"}  # by benchmarks/queries.py
    assert {path.stem for path in PINNED} == {peer.script for peer in peers.PEERS.values()} | asked_questions
    assert all(path.with_suffix(".py").is_file() for path in PINNED)


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.stem)
def test_a_peers_list_names_one_version_of_each_package(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert len({line.partition("==")[0].lower() for line in lines}) == len(lines)
