"""A release of any size: nobody, one person, one column, sixty; all the same, all missing; hardly any budget and far too much.

Whatever goes in, every number of every file is finite, ends enclose their estimates, and nobody is warned of anything (warnings are errors
here). Where the noise is larger than what was counted, the release says so in words.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import casesynth
from casesynth.aggregates import AggregateTable
from casesynth.domain import Domain
from casesynth.model import FitSettings
from casesynth.notes import ReleaseNotes
from casesynth.plan import PlanError
from casesynth.report import datasheet_md, report_html
from casesynth.report.precision import drowned_lengths
from casesynth.signing import SigningKey

QUICK = FitSettings(classes=12, steps=40, starts=1, pilot_classes=6, pilot_steps=20)
CTDC = (23, 4, 10, 250, 250, 4) + (2,) * 21
NO_NUMBER = re.compile(r"(?<![\w.])-?(?:nan|inf|infinity)(?![\w.])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One dataset and its budget."""

    sizes: tuple[int, ...]
    people: int
    cells: str = "any"
    """any, missing (every cell is), constant (every column is), same (every column says what the first says)."""
    epsilon: float = 1.0

    def __str__(self) -> str:
        return f"{self.people} people x {len(self.sizes)} columns of {max(self.sizes)}, {self.cells}, epsilon {self.epsilon:g}"


FAST = [
    *(Case(sizes=(3, 4, 2), people=people, epsilon=epsilon) for people in (0, 1, 2, 40) for epsilon in (0.01, 1, 100)),
    *(Case(sizes=(2,) * 6, people=300, cells=kind, epsilon=e) for kind in ("missing", "constant", "same") for e in (0.01, 1, 100)),
    *(Case(sizes=(40, 3, 2), people=300, cells=kind) for kind in ("missing", "constant", "same")),
    Case(sizes=(2,), people=0),
    Case(sizes=(2,), people=50),
    Case(sizes=(5,), people=1, epsilon=100),
    Case(sizes=(300,), people=200),
    Case(sizes=(60, 60), people=100, epsilon=0.01),
    Case(sizes=(4,) + (2,) * 11, people=2000),
]  # fmt: skip

SLOW = [
    *(Case(sizes=(2,) * 60, people=people, cells=kind, epsilon=epsilon) for people, kind, epsilon in (
        (0, "any", 1), (2000, "missing", 0.1), (2000, "constant", 1), (2000, "same", 100))),
    *(Case(sizes=CTDC, people=people, cells=kind, epsilon=epsilon) for people, kind, epsilon in (
        (0, "any", 0.01), (0, "any", 100), (1, "any", 1), (2000, "missing", 1), (2000, "constant", 1), (2000, "same", 100), (100_000, "any", 4))),
    Case(sizes=(1400, 1400), people=2000, epsilon=4),
    Case(sizes=(30,) * 20, people=50_000, cells="same", epsilon=1),
    Case(sizes=(5,) * 60, people=1000, epsilon=1),
    Case(sizes=(6, 4, 2), people=1_000_000, epsilon=100),
]  # fmt: skip


def _domain(sizes: tuple[int, ...]) -> Domain:
    return Domain.declare({f"c{place}": [f"v{value}" for value in range(1, size)] for place, size in enumerate(sizes)})


def _records(case: Case, domain: Domain) -> pa.Table:
    random = np.random.default_rng(7)
    shared = random.random(case.people)
    columns = {}
    for attribute in domain.attributes:
        size = len(attribute.values)
        if case.cells == "missing":
            drawn = np.zeros(case.people, dtype=np.int64)
        elif case.cells == "constant":
            drawn = np.full(case.people, size - 1)
        elif case.cells == "same":
            drawn = (shared * size).astype(np.int64)
        else:
            drawn = random.choice(size, case.people, p=random.dirichlet(np.full(size, 0.7)))
        columns[attribute.name] = pa.DictionaryArray.from_arrays(pa.array(drawn, pa.int32()), list(attribute.values))
    return pa.table(columns)


def _release(case: Case, folder: Path) -> casesynth.Release:
    """Release, save, and look at every number."""
    domain = _domain(case.sizes)
    made = casesynth.release(
        _records(case, domain), domain, person=casesynth.EACH_ROW, epsilon=case.epsilon, people_cap=2_000_000, settings=QUICK
    )  # fmt: skip
    bundle = made.save(folder / "bundle", SigningKey.create(), title="Any size", legal_basis="made up")
    model, errors, table = made.synthesis.model, made.synthesis.errors, made.synthesis.aggregates
    for numbers in (
        *model.shares,
        model.weights,
        errors.half_widths,
        errors.misfit,
        table.estimate,
        table.low,
        table.high,
    ):
        assert np.isfinite(numbers).all()
    assert all(math.isfinite(number) for number in (model.people, model.people_sigma, model.stiffness, *model.residual))
    assert (table.low <= table.estimate).all() and (table.estimate <= table.high).all()
    assert {len(column) for column in made.synthesis.records} == {max(round(model.people), 0)}
    for column, size in zip(made.synthesis.records, case.sizes, strict=True):
        assert not len(column) or int(column.max()) < size
    _look_at_files(bundle.folder)
    return made


def _look_at_files(folder: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"a file holds {constant}")

    for path in folder.iterdir():
        if path.suffix == ".json" or path.name == "manifest.sig":
            json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
        elif path.suffix == ".html":
            text = path.read_text(encoding="utf-8")
            for data in re.findall(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL):
                json.loads(data, parse_constant=refuse)
            shown = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
            assert not NO_NUMBER.findall(shown), path.name
        elif path.suffix in (".md", ".csv"):
            assert not NO_NUMBER.findall(path.read_text(encoding="utf-8")), path.name
        else:
            frame = pd.read_parquet(path, columns=None if path.name != "model.parquet" else ["column", "value"])
            assert all(np.isfinite(frame[name]).all() for name in frame.select_dtypes("number"))


@pytest.mark.parametrize("case", FAST, ids=str)
def test_every_number_of_a_release_is_finite(case: Case, tmp_path: Path) -> None:
    _release(case, tmp_path)


@pytest.mark.audit
@pytest.mark.parametrize("case", SLOW, ids=str)
def test_every_number_of_a_large_release_is_finite(case: Case, tmp_path: Path) -> None:
    try:
        _release(case, tmp_path)
    except PlanError as refusal:  # before anything was charged or read; what to do is in the words
        assert case.epsilon < 0.1
        assert "raise epsilon" in str(refusal)


def test_more_pair_cells_than_two_million_are_refused_with_what_to_coarsen() -> None:
    domain = _domain((1500, 1400, 3))
    with pytest.raises(PlanError, match=r"coarsen .*c0 with 1500 values, c1 with 1400 values"):
        casesynth.ReleasePlan.make(domain, epsilon=1, people_cap=1000)


def test_where_the_noise_drowns_combinations_of_a_length_report_and_datasheet_say_of_which(tmp_path: Path) -> None:
    made = _release(Case(sizes=(3, 3, 3), people=3000, epsilon=50), tmp_path).synthesis
    assert drowned_lengths(made) == ()
    notes = ReleaseNotes(title="Any size", created="2026-01-01", unit="record", legal_basis="made up")
    for longest, said in ((2, "three values"), (1, "two values or three values")):
        kept = made.aggregates.lengths <= longest
        shown = AggregateTable(
            **{name: getattr(made.aggregates, name)[kept] for name in ("columns", "values", "estimate", "low", "high")},
            missing_values=made.aggregates.missing_values,
        )
        drowned = replace(made, aggregates=shown)
        assert drowned_lengths(drowned) == tuple(range(longest + 1, 4))
        for text in (report_html(drowned, notes), datasheet_md(drowned, notes)):
            assert f"The noise is larger than what was counted: nothing of {said} can be shown." in text
    for text in (report_html(made, notes), datasheet_md(made, notes)):
        assert "larger than what was counted" not in text


def test_one_column_has_no_combinations_that_could_drown(tmp_path: Path) -> None:
    assert drowned_lengths(_release(Case(sizes=(3,), people=3000, epsilon=50), tmp_path).synthesis) == ()


def test_where_every_cell_is_missing_and_noise_is_small_that_is_shown(tmp_path: Path) -> None:
    made = _release(Case(sizes=(3, 2, 2), people=3000, cells="missing", epsilon=50), tmp_path)
    assert made.aggregates["missing"].all()
    assert len(made.aggregates) == 3
    assert made.aggregates["estimate"].between(2900, 3100).all()
    assert (made.aggregates["high"] - made.aggregates["low"] < 200).all()
