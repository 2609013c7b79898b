"""Aggregates are the model's products of shares, and only those that privacy rule 25 lets through."""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import numpy as np
import pytest

from casesynth.aggregates import ABSENT, LENGTH, MINIMUM, AggregateTable, aggregate, large_cells
from casesynth.domain import Attribute, Domain, Multi, known_values
from casesynth.intervals import ErrorScale
from casesynth.model import LatentClassModel

Combination: TypeAlias = tuple[tuple[int, int], ...]
"""(column, value) pairs in column order."""


def _flat(half: tuple[float, float, float]) -> ErrorScale:
    """Errors of the same half width for every estimate of a length."""
    return ErrorScale(centres=np.array([0.0, 20.0]), half_widths=np.array([[h, h] for h in half]), misfit=np.zeros(3))


DOMAIN = Domain(
    attributes=(
        *Domain.declare({"sex": ["f", "m"], "means": Multi(values=["threats", "debt"])}).attributes,
        Attribute(
            name="age",
            values=("", "not asked", "young", "old"),
            missing=frozenset({0, 1}),
            read=lambda cell: None,
        ),
        Attribute(name="minor", values=("no", "yes"), missing=frozenset(), read=lambda cell: None),
    )
)


def _model(people: float, seed: int = 1) -> LatentClassModel:
    random = np.random.default_rng(seed)
    return LatentClassModel(
        people=people,
        people_sigma=1.0,
        weights=random.dirichlet(np.ones(5)),
        shares=tuple(random.dirichlet(np.full(size, 0.6), size=5).T for size in DOMAIN.sizes),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )


def _estimate(model: LatentClassModel, combination: Combination) -> float:
    """Return the model's expected number of people, class by class."""
    return model.people * math.fsum(
        w * math.prod(float(model.shares[column][value, k]) for column, value in combination)
        for k, w in enumerate(model.weights.tolist())
    )


def _every(model: LatentClassModel) -> dict[Combination, float]:
    """Return every combination that may be reported: known values up to length 3, and missing values alone."""
    columns = DOMAIN.columns
    known = [[v for v in range(c.size) if v not in c.missing] for c in columns]
    found: dict[Combination, float] = {}
    for length in range(1, LENGTH + 1):
        for chosen in itertools.combinations(range(len(columns)), length):
            for values in itertools.product(*(known[i] for i in chosen)):
                combination = tuple(zip(chosen, values, strict=True))
                found[combination] = _estimate(model, combination)
    for place, column in enumerate(columns):
        for value in column.missing:
            found[((place, value),)] = _estimate(model, ((place, value),))
    return found


def _shown(table: AggregateTable) -> dict[Combination, tuple[float, float, float]]:
    shown = {}
    rows = zip(table.columns.tolist(), table.values.tolist(), table.estimate, table.low, table.high, strict=True)
    for columns, values, estimate, low, high in rows:
        pairs = [(c, v) for c, v in zip(columns, values, strict=True) if c != ABSENT]
        assert columns[len(pairs) :] == values[len(pairs) :] == [ABSENT] * (LENGTH - len(pairs))
        assert tuple(pairs) not in shown, "shown twice"
        shown[tuple(pairs)] = (float(estimate), float(low), float(high))
    return shown


@pytest.mark.parametrize("people", [60.0, 400.0, 50_000.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_shown_is_every_combination_of_at_least_10_people_with_its_product_of_shares(people: float, seed: int) -> None:
    model = _model(people, seed)
    shown = _shown(aggregate(model, DOMAIN, _flat((1.0, 2.0, 3.0))))
    expected = {c: estimate for c, estimate in _every(model).items() if estimate >= 10}
    assert set(shown) == set(expected)
    for combination, (estimate, low, high) in shown.items():
        half = float(len(combination))
        assert estimate == pytest.approx(expected[combination], rel=1e-9)
        assert low == pytest.approx(max(estimate - half, 0.0))
        assert high == pytest.approx(estimate + half)


def test_what_could_be_nobody_is_hidden_however_large_its_estimate() -> None:
    model = _model(400.0)
    half = (30.0, 60.0, 90.0)
    shown = _shown(aggregate(model, DOMAIN, _flat(half)))
    expected = {c for c, estimate in _every(model).items() if estimate >= 10 and estimate - half[len(c) - 1] >= 1}
    assert set(shown) == expected
    assert 0 < len(shown) < len(_shown(aggregate(model, DOMAIN, _flat((0.5, 0.5, 0.5)))))


def test_a_combination_is_hidden_with_any_of_its_parts() -> None:
    model = _model(400.0)
    half = (5.0, 40.0, 2.0)  # pairs are known less well than triples: some are hidden whose triples could be shown
    shown = set(_shown(aggregate(model, DOMAIN, _flat(half))))
    alone = {c for c, estimate in _every(model).items() if estimate >= 10 and estimate - half[len(c) - 1] >= 1}
    expected: set[Combination] = set()
    for combination in sorted(alone, key=len):
        parts = itertools.combinations(combination, len(combination) - 1) if len(combination) > 1 else ()
        if all(part in expected for part in parts):
            expected.add(combination)
    assert shown == expected
    lost = [c for c in alone - expected if len(c) == LENGTH]
    pairs = [tuple(part in expected for part in itertools.combinations(c, 2)) for c in lost]
    assert (True, True, False) in pairs  # the last pair alone can hide a triple
    assert len(expected) > 20


def test_both_conditions_of_rule_25_hold_for_everything_shown() -> None:
    for seed, half in itertools.product(range(5), (0.5, 9.0, 40.0)):
        table = aggregate(_model(500.0, seed), DOMAIN, _flat((half, half, half)))
        assert (table.estimate >= MINIMUM).all() and (table.low >= 1).all()
        assert (table.low <= table.estimate).all() and (table.estimate <= table.high).all()


def test_no_combination_is_larger_than_its_parts() -> None:
    shown = _shown(aggregate(_model(5000.0, 3), DOMAIN, _flat((1.0, 1.0, 1.0))))
    children = [c for c in shown if len(c) > 1]
    assert len(children) > 30
    for combination in children:
        for part in itertools.combinations(combination, len(combination) - 1):
            assert shown[combination][0] <= shown[part][0] * (1 + 1e-12)


def test_missing_values_are_shown_alone_only() -> None:
    shown = _shown(aggregate(_model(5000.0), DOMAIN, _flat((1.0, 1.0, 1.0))))
    missing = {c for c in shown if any(value in DOMAIN.columns[column].missing for column, value in c)}
    assert len(missing) >= 4
    assert {len(c) for c in missing} == {1}


def test_a_recorded_no_is_an_answer_and_is_combined() -> None:
    minor = len(DOMAIN.columns) - 1
    shown = _shown(aggregate(_model(5000.0), DOMAIN, _flat((1.0, 1.0, 1.0))))
    assert any(len(c) == 3 and (minor, 0) in c for c in shown)


def test_rows_come_by_length_known_values_first_and_then_by_size() -> None:
    table = aggregate(_model(5000.0), DOMAIN, _flat((1.0, 1.0, 1.0)))
    missing = [
        value in DOMAIN.columns[column].missing and length == 1
        for column, value, length in zip(table.columns[:, 0], table.values[:, 0], table.lengths, strict=True)
    ]
    order = list(zip(table.lengths.tolist(), missing, (-table.estimate).tolist(), strict=True))
    assert order == sorted(order)
    assert table.missing_values == sum(missing) > 0
    assert table.known == table.combinations - sum(missing)
    assert table.combinations == len(order)


@pytest.mark.parametrize("people", [0.0, -100.0, 9.9])
def test_a_model_of_nobody_shows_nothing(people: float) -> None:
    table = aggregate(_model(people), DOMAIN, _flat((1.0, 1.0, 1.0)))
    assert table.combinations == 0
    assert table.columns.shape == table.values.shape == (0, LENGTH)


def test_known_values_are_those_that_do_not_mean_missing() -> None:
    assert [places.tolist() for places in known_values(DOMAIN)] == [[1, 2], [1], [1], [2, 3], [0, 1]]


def test_a_lower_minimum_yields_every_smaller_cell() -> None:
    model = _model(300.0)
    for minimum in (0.5, 3.0):
        found = {
            tuple(zip(cells.columns, values, strict=True)): float(estimate)
            for cells in large_cells(model, DOMAIN, minimum=minimum)
            for values, estimate in zip(cells.values.tolist(), cells.estimate, strict=True)
        }
        expected = {
            c: e
            for c, e in _every(model).items()
            if e >= minimum and not any(v in DOMAIN.columns[i].missing for i, v in c)
        }
        assert found == pytest.approx(expected)
