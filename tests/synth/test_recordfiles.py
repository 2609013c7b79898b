"""Records are written part by part, byte for byte as a frame of all of them would be."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from casesynth.codes import Codes
from casesynth.domain import Domain, Multi
from casesynth.recordfiles import write_records
from casesynth.tables import records_frame, write_frame

DOMAINS = {
    "one column": Domain.declare({"s": ["a", "b"]}),
    "one multi-value attribute": Domain.declare({"m": Multi(values=["a", "b"])}),
    "marks of CSV and of formulas": Domain.declare(
        {"=sex": ["f", "=m", "-1", '"'], 'me,a"ns': Multi(values=['thr"eats', "@debt", "x y", "\u00e9"]), "c": [f"v{i},{i}" for i in range(300)]}
    ),
    "ten flags of one attribute": Domain.declare({"m": Multi(values=[f"f{i}" for i in range(10)]), "end": ["1"]}),
}  # fmt: skip


def _records(domain: Domain, rows: int) -> tuple[Codes, ...]:
    random = np.random.default_rng(3)
    return tuple(random.integers(0, size, rows).astype(np.uint16) for size in domain.sizes)


@pytest.mark.parametrize("rows", [0, 1, 299, 300, 301, 1000])
@pytest.mark.parametrize("name", DOMAINS)
def test_files_written_part_by_part_are_those_of_the_whole_frame(name: str, rows: int, tmp_path: Path) -> None:
    domain = DOMAINS[name]
    records = _records(domain, rows)
    write_frame(records_frame(records, domain), tmp_path, "whole")
    write_records(records, domain, tmp_path, "parts", part_rows=300)
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    parts, whole = (pd.read_parquet(tmp_path / f"{stem}.parquet") for stem in ("parts", "whole"))
    pd.testing.assert_frame_equal(parts, whole, check_dtype=False, check_index_type=False)


def test_every_cell_is_the_code_that_was_drawn(tmp_path: Path) -> None:
    domain = DOMAINS["marks of CSV and of formulas"]
    records = _records(domain, 700)
    write_records(records, domain, tmp_path, "synthetic", part_rows=256)
    with (tmp_path / "synthetic.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    assert len(rows) == 700
    for place, row in enumerate(rows):
        sex = domain.attributes[0].values[int(records[0][place])]
        assert row[0] == (f"'{sex}" if sex.startswith(("=", "-")) else sex)
        held = [v for v, codes in zip(domain.attributes[1].values[1:], records[1:5], strict=True) if codes[place] == 1]
        assert row[1].removeprefix("'") == ";".join(held)


def test_cancelling_stops_the_writing(tmp_path: Path) -> None:
    domain = DOMAINS["one column"]
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(_records(domain, 100), domain, tmp_path, "synthetic", part_rows=10, check=check)
    assert len(calls) == 3
