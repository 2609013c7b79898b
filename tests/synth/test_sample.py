"""Synthetic records follow the model as closely as whole records can, and are drawn from nothing else."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casesynth.balance import ROWS_MAX
from casesynth.model import LatentClassModel
from casesynth.sample import draw_people, sample_records

if TYPE_CHECKING:
    from tests.synth.conftest import Brute

SIZES = (3, 2, 5, 2)


def _model(
    people: float, classes: int = 6, sizes: tuple[int, ...] = SIZES, seed: int = 1, peaked: float = 0.5
) -> LatentClassModel:
    random = np.random.default_rng(seed)
    return LatentClassModel(
        people=people,
        people_sigma=1.0,
        weights=random.dirichlet(np.full(classes, 2.0)),
        shares=tuple(random.dirichlet(np.full(size, peaked), size=classes).T for size in sizes),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )


@pytest.mark.parametrize(
    ("people", "rows"), [(1000.4, 1000), (999.6, 1000), (1.2, 1), (0.4, 0), (0.0, 0), (-0.6, 0), (-1e6, 0)]
)
def test_the_number_of_rows_is_the_noisy_number_of_people(people: float, rows: int) -> None:
    records = sample_records(_model(people), b"seed")
    assert [len(column) for column in records] == [rows] * 4
    assert {column.dtype for column in records} == {np.dtype(np.uint16)}


def test_the_same_seed_gives_the_same_records_and_another_seed_others() -> None:
    one, again, other = (sample_records(_model(500), seed) for seed in (b"a", b"a", b"b"))
    assert [c.tobytes() for c in one] == [c.tobytes() for c in again]
    assert [c.tobytes() for c in one] != [c.tobytes() for c in other]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=25).filter(lambda sizes: sum(sizes) > 0),
    st.integers(0, 1000),
    st.sampled_from((0.02, 0.3, 3.0)),
)
def test_with_whole_classes_every_value_is_within_one_record_of_the_model(
    class_sizes: list[int], seed: int, peaked: float
) -> None:
    rows = sum(class_sizes)
    base = _model(rows, classes=len(class_sizes), sizes=(2, 7, 40), seed=seed, peaked=peaked)
    model = LatentClassModel(**{**vars(base), "weights": np.array(class_sizes) / rows})
    records = sample_records(model, b"seed")
    for place, column in enumerate(records):
        found = np.bincount(column, minlength=len(model.shares[place]))
        assert len(found) == len(model.shares[place])  # inside the domain
        assert found.sum() == rows
        assert np.abs(found - model.marginal([place])).max() < 1 + 1e-6


def test_with_any_classes_every_value_is_within_a_few_records_of_the_model() -> None:
    for seed in range(8):
        model = _model(731.3, classes=40, seed=seed)
        for place, column in enumerate(sample_records(model, b"seed")):
            found = np.bincount(column, minlength=SIZES[place])
            assert np.abs(found - model.marginal([place])).max() < 4  # random draws would be off by ten or more


def test_pairs_follow_the_model_more_closely_than_people_drawn_at_random(brute: Brute) -> None:
    model = _model(2000, classes=10, seed=3)
    records, drawn = sample_records(model, b"seed"), draw_people(model, np.random.default_rng(1))

    def distance(columns: tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint16]], ...]) -> float:
        pairs = itertools.combinations(range(4), 2)
        return float(np.mean([np.abs(brute(columns, pair, SIZES) - model.marginal(pair)).sum() for pair in pairs]))

    assert distance(records) < 0.3 * distance(drawn)


def test_triples_are_those_of_the_model_up_to_chance(brute: Brute) -> None:
    model = _model(4000, classes=5, seed=5)
    records = sample_records(model, b"seed")
    for triple in itertools.combinations(range(4), 3):
        expected = model.marginal(triple)
        gap = (brute(records, triple, SIZES) - expected) / np.sqrt(np.maximum(expected, 1.0))
        assert np.abs(gap).max() < 5  # drawn at random these would be standard normal; seeded, so no false alarm


def test_the_order_of_records_says_nothing_about_their_class() -> None:
    two_groups = LatentClassModel(
        people=2000.0,
        people_sigma=1.0,
        weights=np.array([0.5, 0.5]),
        shares=(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )
    first, second = sample_records(two_groups, b"seed")
    np.testing.assert_array_equal(first, second)  # the two columns agree in every record
    runs = 1 + int((np.diff(first.astype(int)) != 0).sum())
    assert abs(runs - 1001) < 5 * math.sqrt(500)  # runs in a random order; unshuffled there would be two


def test_one_class_and_one_column_work() -> None:
    model = _model(10, classes=1, sizes=(3,))
    (column,) = sample_records(model, b"seed")
    assert np.abs(np.bincount(column, minlength=3) - model.marginal([0])).max() <= 1


def test_people_drawn_at_random_vary_as_a_population_does(brute: Brute) -> None:
    model = _model(300, classes=4, seed=9)
    random = np.random.default_rng(2)
    draws = np.stack([brute(draw_people(model, random), (0, 2), SIZES).ravel() for _ in range(400)])
    expected = model.marginal([0, 2]).ravel()
    variance = expected * (1 - expected / 300)  # multinomial
    # seeded, so no false alarm; 5 standard errors of a mean and of a variance over 400 draws
    assert (np.abs(draws.mean(axis=0) - expected) <= 5 * np.sqrt(variance / 400) + 1e-9).all()
    large = expected > 5
    assert (np.abs(draws.var(axis=0)[large] / variance[large] - 1) < 5 * math.sqrt(2.4 / 400)).all()


@pytest.mark.parametrize("people", [0.0, -3.0, 0.2])
def test_nobody_is_drawn_from_a_model_of_nobody(people: float) -> None:
    drawn = draw_people(_model(people), np.random.default_rng(1))
    assert [column.shape for column in drawn] == [(0,)] * 4


def test_progress_is_told_and_may_cancel() -> None:
    seen: list[float | None] = []
    sample_records(_model(100), b"seed", progress=lambda phase, share: seen.append(share))
    assert seen and all(share is not None and 0 <= share <= 1 for share in seen)

    def cancel(phase: str, share: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_records(_model(100), b"seed", progress=cancel)


def test_more_records_than_are_balanced_follow_the_model_too() -> None:
    random = np.random.default_rng(8)
    sizes, rows = (3, 2, 300), ROWS_MAX + 7
    model = LatentClassModel(
        people=float(rows), people_sigma=5.0, weights=random.dirichlet(np.ones(6)),
        shares=tuple(random.dirichlet(np.ones(size), size=6).T for size in sizes), stiffness=0.03, residual=(1.0, 1.0, 1.0),
    )  # fmt: skip
    records = sample_records(model, b"seed")
    assert [column.dtype for column in records] == [np.uint8, np.uint8, np.uint16]
    assert {len(column) for column in records} == {rows}
    for place, (column, size) in enumerate(zip(records, sizes, strict=True)):
        counts = np.bincount(column, minlength=size)
        assert np.abs(counts - model.marginal((place,))).max() <= 2  # rounding, and nothing else
    pairs = np.bincount(records[0].astype(np.int64) * 2 + records[1], minlength=6)
    expected = model.marginal((0, 1)).ravel()
    assert (np.abs(pairs - expected) < 6 * np.sqrt(expected) + 2).all()
    halves = [np.bincount(part, minlength=3) for part in np.array_split(records[0], 2)]
    assert np.abs(halves[0] - halves[1]).max() < 6 * np.sqrt(rows)  # in no order
    again = sample_records(model, b"seed")
    assert all(np.array_equal(one, other) for one, other in zip(records, again, strict=True))
