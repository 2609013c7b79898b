"""Cells of a named table have intervals by their own noisy numbers: narrower than others of their size, and they hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.near_people import NEAR_DOMAIN, near_people

import casesynth
from casesynth.contrasts import combine
from casesynth.counting import count, count_signed
from casesynth.domain import Domain
from casesynth.estimates import Estimates
from casesynth.intervals import ErrorScale, half_widths, simulate
from casesynth.model import FitSettings, LatentClassModel
from casesynth.plan import ReleasePlan, named_cliques
from casesynth.sharper import Sharper, cell_sigma, of_table, read_sharper, stored_sharper
from casesynth.synthesis import Synthesis, recompute
from casesynth.tables import TableFormatError, read_model, write_model

NAMED = ("first", "u", "v")
QUICK = FitSettings(classes=30, steps=100, starts=1, pilot_classes=30, pilot_steps=50)
SMALL = Domain.declare({"one": ["a", "b"], "two": ["c"], "three": ["e", "f", "g"]})
HALVES = np.arange(1.0, 13.0).reshape(3, 4)
OWN = Sharper(columns=(0, 2), half_widths=HALVES)
ERRORS = ErrorScale(centres=np.log([10.0, 1e6]), half_widths=np.full((3, 2), 6.5), misfit=np.zeros(3), sharper=(OWN,))


def _released(seed: int, tables: tuple[tuple[str, ...], ...]) -> Synthesis:
    people = near_people(8_000, 1)
    plan = ReleasePlan.make(NEAR_DOMAIN, epsilon=1, people_cap=1_000_000, tables=tables)
    marginals = count_signed([people], [table.clique for table in plan.tables], NEAR_DOMAIN.sizes)
    measurements = simulate(plan, marginals, np.random.default_rng(seed))
    return recompute(plan, casesynth.Receipt(charge_id="c", loss=plan.loss), measurements, settings=QUICK)


def test_intervals_of_a_named_table_are_narrower_and_hold() -> None:
    """Seeded, so no false alarm: six draws of the noise."""
    (clique,) = named_cliques(NEAR_DOMAIN, [NAMED])
    (truth,) = count([near_people(8_000, 1)], [clique], NEAR_DOMAIN.sizes)
    held: list[float] = []
    widths: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(6):
        for named in (True, False) if seed < 2 else (True,):
            made = _released(seed, (NAMED,) if named else ())
            half = half_widths(made.model, made.errors, clique)
            widths[named].append(float(half.mean()))
            assert bool(made.errors.sharper) == named
            if named:
                held.append(float((np.abs(made.model.marginal(clique) - truth.counts) <= half).mean()))
                table = made.aggregates
                rows = (table.columns == clique).all(axis=1)
                assert rows.any()
                listed = (table.high - table.estimate)[rows]
                assert listed == pytest.approx(half[tuple(table.values[rows].T)])
    assert np.mean(held) >= 0.95
    assert np.mean(widths[True]) < 0.6 * np.mean(widths[False])


def test_the_noise_of_a_cell_is_what_draws_of_it_show() -> None:
    plan = ReleasePlan.make(NEAR_DOMAIN, epsilon=1, people_cap=1_000_000, tables=(NAMED, ("place", "w")))
    marginals = count_signed([near_people(500, 1)], [table.clique for table in plan.tables], NEAR_DOMAIN.sizes)
    random = np.random.default_rng(2)
    for clique in named_cliques(NEAR_DOMAIN, plan.named):
        drawn = []
        for _ in range(60):
            contrasts = combine(simulate(plan, marginals, random), NEAR_DOMAIN.sizes)
            drawn.append(contrasts.table(clique))
        spread = np.sqrt(np.array(drawn).var(axis=0, ddof=1).mean())
        assert spread == pytest.approx(cell_sigma(contrasts, clique), rel=0.1)


def test_a_table_with_folded_values_has_no_intervals_of_its_own() -> None:
    domain = Domain.declare({"country": [f"c{i}" for i in range(80)], "flag": ["yes"], "sex": ["f", "m"]})
    random = np.random.default_rng(4)
    people = tuple(random.integers(0, n, 2_000).astype(np.uint16) for n in (5, 2, 3))
    plan = ReleasePlan.make(domain, epsilon=1, people_cap=10_000, tables=(("country", "flag"), ("flag", "sex")))
    measurements = simulate(plan, count_signed([people], [t.clique for t in plan.tables], domain.sizes), random)
    receipt = casesynth.Receipt(charge_id="c", loss=plan.loss)
    assert [own.columns for own in recompute(plan, receipt, measurements, settings=QUICK).errors.sharper] == [(1, 2)]


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


def test_the_narrower_of_two_intervals_is_taken_in_any_order_of_columns() -> None:
    model = _small_model()
    assert half_widths(model, ERRORS, (0, 2)) == pytest.approx(np.minimum(HALVES, 6.5))
    assert half_widths(model, ERRORS, (2, 0)) == pytest.approx(np.minimum(HALVES, 6.5).T)
    assert half_widths(model, ERRORS, (0, 1)) == pytest.approx(6.5)
    assert of_table(ERRORS.sharper, (0, 1, 2)) is None
    estimates = Estimates(domain=SMALL, model=model, errors=ERRORS)
    for one, three in ((0, 0), (0, 3), (1, 2), (2, 3)):
        found = estimates.of([(2, three), (0, one)])
        assert found.high - found.value == pytest.approx(min(HALVES[one, three], 6.5))


def test_named_tables_come_back_from_the_stored_model(tmp_path: Path) -> None:
    write_model(_small_model(), ERRORS, SMALL, tmp_path / "m.parquet")
    (own,) = read_model(tmp_path / "m.parquet", SMALL)[1].sharper
    assert own.columns == (0, 2)
    assert np.array_equal(own.half_widths, HALVES)
    header = json.loads(pq.read_schema(tmp_path / "m.parquet").metadata[b"casesynth"])
    assert header["format"] == "casesynth-model/3"
    assert header["named"] == [{"columns": ["one", "three"], "half_widths": HALVES.ravel().tolist()}]
    write_model(_small_model(), replace(ERRORS, sharper=()), SMALL, tmp_path / "plain.parquet")
    header = json.loads(pq.read_schema(tmp_path / "plain.parquet").metadata[b"casesynth"])
    assert header["format"] == "casesynth-model/2" and "named" not in header


GOOD = {"columns": ["one", "two"], "half_widths": [1.0] * 6}


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [None],
        [{}],
        [{**GOOD, "columns": []}],
        [{**GOOD, "columns": ["two", "one"]}],
        [{**GOOD, "columns": ["one", "one"]}],
        [{**GOOD, "columns": ["one", "four"]}],
        [{**GOOD, "columns": [0, 1]}],
        [{**GOOD, "half_widths": [1.0] * 5}],
        [{**GOOD, "half_widths": [*[1.0] * 5, 0.0]}],
        [{**GOOD, "half_widths": [*[1.0] * 5, True]}],
        [{**GOOD, "half_widths": [*[1.0] * 5, float("nan")]}],
    ],
    ids=str,
)
def test_what_is_no_named_table_is_refused(stored: object, tmp_path: Path) -> None:
    assert read_sharper([GOOD], SMALL) is not None
    assert stored_sharper(read_sharper([GOOD], SMALL) or (), SMALL) == [GOOD]
    assert read_sharper(stored, SMALL) is None
    path = tmp_path / "m.parquet"
    write_model(_small_model(), ERRORS, SMALL, path)
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[b"casesynth"]) | {"named": stored}
    pq.write_table(table.replace_schema_metadata({"casesynth": json.dumps(header)}), path)
    with pytest.raises(TableFormatError, match="named table"):
        read_model(path, SMALL)
