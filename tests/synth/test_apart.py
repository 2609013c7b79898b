"""Pairs that are further off than others of their size: found in noisy numbers, widened everywhere, and said."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import casesynth
from casesynth.apart import Apart, apart_said, beyond, read_apart, stored_apart
from casesynth.codes import Codes
from casesynth.counting import count, count_signed
from casesynth.domain import Domain
from casesynth.estimates import Estimates
from casesynth.intervals import NORMAL, ErrorScale, half_widths, simulate
from casesynth.model import FitSettings, LatentClassModel
from casesynth.plan import ReleasePlan
from casesynth.signing import SigningKey
from casesynth.synthesis import Synthesis, recompute
from casesynth.tables import TableFormatError, read_model, write_model

SMALL = Domain.declare({"one": ["a", "b"], "two": ["c", "d"], "three": ["e", "f"]})
PAIR = Apart(columns=(0, 2), misfit=25.0)
ERRORS = ErrorScale(centres=np.log([10.0, 1e6]), half_widths=np.full((3, 2), 6.0), misfit=np.zeros(3), apart=(PAIR,))
VALUES = 60
QUICK = FitSettings(classes=80, steps=200, starts=1, pilot_classes=40, pilot_steps=60)


def _small_model() -> LatentClassModel:
    random = np.random.default_rng(3)
    return LatentClassModel(
        people=9_000.0,
        people_sigma=5.0,
        weights=random.dirichlet(np.ones(3)),
        shares=tuple(random.dirichlet(np.ones(size), size=3).T for size in SMALL.sizes),
        stiffness=0.03,
        residual=(1.0, 1.0, 1.0),
    )


@lru_cache(maxsize=2)
def _uneven(values: int = VALUES, people: int = 50_000, seed: int = 0) -> tuple[Domain, tuple[Codes, ...]]:
    """People with a code and another one that says the same, but for a part of those who have the first of eight flags."""
    random = np.random.default_rng(seed)
    shares = 1 / np.arange(1, values + 1)
    shares /= shares.sum()
    group = random.integers(0, 4, people)
    columns = {
        "sex": 1 + (random.random(people) < 0.3 + 0.1 * group),
        "age": 1 + (random.integers(0, 5, people) + group) % 8,
        "year": 1 + (random.integers(0, 16, people) + group) % 20,
    }
    columns |= {f"flag{i}": (random.random(people) < 0.1 + 0.08 * ((group + i) % 4)).astype(int) for i in range(8)}
    code = (random.choice(values, people, p=shares) + 3 * group) % values
    other = code.copy()
    exceptions = (columns["flag0"] == 1) & (random.random(people) < 0.45)
    other[exceptions] = random.choice(values, int(exceptions.sum()), p=shares)
    columns |= {"code": 1 + code, "other": 1 + other}
    sizes = {"sex": 2, "age": 8, "year": 20, **{f"flag{i}": 1 for i in range(8)}, "code": values, "other": values}
    domain = Domain.declare({name: [f"{name}{value}" for value in range(size)] for name, size in sizes.items()})
    return domain, tuple(column.astype(np.uint16) for column in columns.values())


SECOND = (100, 30_000, 7)
"""Another data set: longer codes, fewer people, other draws."""


@lru_cache(maxsize=2)
def _release(*data: int) -> Synthesis:
    """A release whose noise is simulated and seeded, so that no test of it gives a false alarm."""
    domain, people = _uneven(*data)
    plan = ReleasePlan.make(domain, epsilon=1, people_cap=1_000_000)
    marginals = count_signed([people], [table.clique for table in plan.tables], domain.sizes)
    measurements = simulate(plan, marginals, np.random.default_rng(5))
    return recompute(plan, casesynth.Receipt(charge_id="made-up", loss=plan.loss), measurements)


@pytest.mark.parametrize("data", [(), SECOND], ids=["first", "second"])
def test_the_uneven_pair_stands_apart_and_no_other_pair_does(data: tuple[int, ...]) -> None:
    domain, made = _uneven(*data)[0], _release(*data)
    names = [column.name for column in domain.columns]
    assert [pair.columns for pair in made.errors.apart] == [(names.index("code"), names.index("other"))]
    assert not made.model.links


@pytest.mark.parametrize(("data", "length"), [((), 2), ((), 3), (SECOND, 2), (SECOND, 3)])
def test_intervals_of_combinations_with_both_columns_hold(data: tuple[int, ...], length: int) -> None:
    """Nine of ten are asked for; without widening five to seven of ten pairs held (ADR 0015)."""
    (domain, people), made = _uneven(*data), _release(*data)
    table, (pair,) = made.aggregates, made.errors.apart
    both = np.isin(table.columns, pair.columns).sum(axis=1) == 2
    rows = np.flatnonzero(both & (table.lengths == length))
    cliques = [tuple(int(c) for c in table.columns[row][:length]) for row in rows]
    truth = {m.clique: m.counts for m in count([people], sorted(set(cliques)), domain.sizes)}
    real = np.array([truth[c][tuple(table.values[row][:length])] for row, c in zip(rows, cliques, strict=True)])
    held = (table.low[rows] <= real) & (real <= table.high[rows])
    assert len(rows) > 20 and held.mean() > 0.9
    plain = replace(made.errors, apart=())
    narrow = plain.half_width(table.lengths[rows], table.estimate[rows])
    assert (np.abs(table.estimate[rows] - real) <= narrow).mean() < held.mean()


def test_steward_and_readers_are_told(tmp_path: Path) -> None:
    bundle = casesynth.Release(synthesis=_release(), unit="record").save(
        tmp_path / "b", SigningKey.create(), title="Uneven", legal_basis="made-up people"
    )
    facts = json.loads((bundle.folder / "manifest.json").read_text(encoding="utf-8"))["facts"]
    assert facts["apart_pairs"] == [["code", "other"]]
    for name in ("report.html", "datasheet.md"):
        assert "Numbers of code together with other are further off" in (bundle.folder / name).read_text("utf-8")
    assert "further off" in apart_said(_release().errors.apart, _uneven()[0])[0]


def test_columns_that_the_classes_explain_do_not_stand_apart() -> None:
    """The same people without exceptions of one kind: the second code is drawn anew inside each group."""
    domain, people = _uneven()
    random = np.random.default_rng(8)
    group = random.integers(0, 4, len(people[0]))
    alike = (*people[:-2], *(1 + (group * 7 + random.integers(0, 9, len(group))) % VALUES for _ in range(2)))
    plan = ReleasePlan.make(domain, epsilon=2, people_cap=1_000_000)
    columns = tuple(column.astype(np.uint16) for column in alike)
    marginals = count_signed([columns], [table.clique for table in plan.tables], domain.sizes)
    measurements = simulate(plan, marginals, np.random.default_rng(5))
    made = recompute(plan, casesynth.Receipt(charge_id="made-up", loss=plan.loss), measurements, settings=QUICK)
    assert made.errors.apart == ()


@pytest.mark.parametrize(("columns", "more"), [((0,), 0), ((0, 1), 0), ((0, 2), 25), ((2, 1, 0), 25), ((1, 2), 0)])
def test_only_combinations_with_both_columns_are_widened(columns: tuple[int, ...], more: float) -> None:
    assert beyond([PAIR], columns) == more
    estimates = np.array([0.0, 16.0, 400.0])
    expected = np.sqrt(6.0**2 + NORMAL**2 * more * np.sqrt(estimates))
    assert ERRORS.of(columns, estimates) == pytest.approx(expected)
    cells = half_widths(_small_model(), ERRORS, columns)
    assert cells == pytest.approx(np.sqrt(36 + NORMAL**2 * more * np.sqrt(_small_model().marginal(columns))))


def test_estimates_and_unions_say_the_same() -> None:
    model = _small_model()
    estimates = Estimates(domain=SMALL, model=model, errors=ERRORS)
    table = model.marginal((0, 2))
    halves = half_widths(model, ERRORS, (0, 2))
    for cell in itertools.product(range(3), repeat=2):
        found = estimates.of([(0, cell[0]), (2, cell[1])])
        assert found.high - found.value == pytest.approx(halves[cell])
    both = estimates.union([[(0, 1), (2, 1)], [(0, 2), (2, 1)]])
    total = table[1, 1] + table[2, 1]
    assert both.high - both.value == pytest.approx(
        max(np.hypot(halves[1, 1], halves[2, 1]), np.sqrt(36 + NORMAL**2 * 25 * np.sqrt(total)))
    )


def test_pairs_come_back_from_the_stored_model(tmp_path: Path) -> None:
    write_model(_small_model(), ERRORS, SMALL, tmp_path / "m.parquet")
    _, errors = read_model(tmp_path / "m.parquet", SMALL)
    assert errors.apart == (PAIR,)
    header = json.loads(pq.read_schema(tmp_path / "m.parquet").metadata[b"casesynth"])
    assert header["format"] == "casesynth-model/3"
    assert header["apart"] == [{"columns": ["one", "three"], "misfit": 25.0}]
    write_model(_small_model(), replace(ERRORS, apart=()), SMALL, tmp_path / "plain.parquet")
    header = json.loads(pq.read_schema(tmp_path / "plain.parquet").metadata[b"casesynth"])
    assert header["format"] == "casesynth-model/2" and "apart" not in header


GOOD = {"columns": ["one", "three"], "misfit": 1.5}


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "one",
        [None],
        [{}],
        [{**GOOD, "columns": ["one"]}],
        [{**GOOD, "columns": ["one", "one"]}],
        [{**GOOD, "columns": ["one", "four"]}],
        [{**GOOD, "columns": [0, 2]}],
        [{**GOOD, "misfit": -1.0}],
        [{**GOOD, "misfit": "1"}],
        [{**GOOD, "misfit": True}],
        [{**GOOD, "misfit": float("inf")}],
    ],
    ids=str,
)
def test_what_is_no_pair_is_refused(stored: object, tmp_path: Path) -> None:
    assert read_apart([GOOD], SMALL) == (Apart(columns=(0, 2), misfit=1.5),)
    assert read_apart(stored_apart([PAIR], SMALL), SMALL) == (PAIR,)
    assert read_apart(stored, SMALL) is None
    path = tmp_path / "m.parquet"
    write_model(_small_model(), ERRORS, SMALL, path)
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[b"casesynth"]) | {"apart": stored}
    pq.write_table(table.replace_schema_metadata({"casesynth": json.dumps(header)}), path)
    with pytest.raises(TableFormatError, match="a pair that is apart"):
        read_model(path, SMALL)
