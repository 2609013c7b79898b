"""The samplers after the noise follow the model that they are given: chi-square against exact probabilities, with seeds, so without false alarms.

They draw no privacy noise. But a file that does not follow its model would say other things than its intervals do.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.model import LatentClassModel
from casesynth.sample import draw_people, sample_records
from casesynth.seeded import generator

LIMIT = 4.75
"""Standard errors above what the exact distribution gives; a fresh seed would pass it once in a million."""


def _misfit(found: NDArray[np.int64], expected: NDArray[np.float64], lost: int = 1) -> float:
    """Return how far the chi-square statistic lies above its mean, in standard errors (Wilson and Hilferty)."""
    large = expected > 10
    rest = np.array([expected[~large].sum()]) if (~large).any() else np.zeros(0)
    e = np.concatenate([expected[large], rest[rest > 10]])
    f = np.concatenate([found[large], np.array([found[~large].sum()])[: len(rest[rest > 10])]])
    freedom = len(e) - lost
    statistic = float(((f - e) ** 2 / e).sum())
    return (math.cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))


def _model(people: float, seed: int) -> LatentClassModel:
    random = np.random.Generator(np.random.PCG64(seed))
    return LatentClassModel(
        people=people,
        people_sigma=1.0,
        weights=random.dirichlet(np.full(7, 2.0)),
        shares=tuple(random.dirichlet(np.full(size, 0.7), size=7).T for size in (5, 2, 9, 3)),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )


def _joint(columns: tuple[NDArray[np.unsignedinteger], ...], model: LatentClassModel) -> NDArray[np.int64]:
    sizes = [len(shares) for shares in model.shares]
    flat = np.ravel_multi_index([column.astype(np.int64) for column in columns], sizes)
    return np.bincount(flat, minlength=math.prod(sizes)).astype(np.int64)


def _exact(model: LatentClassModel) -> NDArray[np.float64]:
    """Return the probability of every record, class by class by hand."""
    total = np.zeros([len(shares) for shares in model.shares])
    for k, weight in enumerate(model.weights):
        cell = np.array(weight)
        for shares in model.shares:
            cell = np.multiply.outer(cell, shares[:, k])
        total += cell
    flat: NDArray[np.float64] = total.ravel()
    return flat


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_drawn_from_a_model_have_each_record_as_often_as_it_says(seed: int) -> None:
    model = _model(50_000, seed)
    drawn = draw_people(model, generator(bytes([seed]), "test"))
    assert abs(_misfit(_joint(drawn, model), _exact(model) * 50_000)) < LIMIT


def test_the_check_has_power() -> None:
    """Drawn from a model whose first two classes are a little heavier, or with columns of two draws put together, the check fails."""
    model = _model(50_000, 1)
    weights = model.weights + np.array([0.03, 0.0, 0.0, 0.0, 0.0, 0.0, -0.03])
    other = LatentClassModel(**{**vars(model), "weights": weights})
    assert _misfit(_joint(draw_people(other, generator(b"1", "test")), model), _exact(model) * 50_000) > LIMIT
    one, two = (draw_people(model, generator(bytes([seed]), "test")) for seed in (1, 2))
    mixed = (one[0], one[1], two[2][::-1], two[3][::-1])
    assert _misfit(_joint(mixed, model), _exact(model) * 50_000) > LIMIT


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_synthetic_records_have_each_record_no_less_evenly_than_chance_would(seed: int) -> None:
    """They are rounded, not drawn: closer to the model than chance, so the misfit may lie far below, never above."""
    model = _model(20_000, seed)
    made = sample_records(model, bytes([seed]))
    assert _misfit(_joint(made, model), _exact(model) * 20_000) < LIMIT


def test_each_purpose_has_random_numbers_of_its_own_that_are_even_and_unrelated() -> None:
    names = ("records", "fit", "k-synthetic", "refit 1", "refit 2")
    draws = {name: generator(b"seed", name).integers(0, 256, 100_000) for name in names}
    for name, numbers in draws.items():
        counts = np.bincount(numbers, minlength=256).astype(np.int64)
        assert abs(_misfit(counts, np.full(256, 100_000 / 256))) < LIMIT, name
    for i, one in enumerate(names):
        for other in names[:i]:
            pairs = np.bincount(draws[one] // 16 * 16 + draws[other] // 16, minlength=256).astype(np.int64)
            assert abs(_misfit(pairs, np.full(256, 100_000 / 256))) < LIMIT, (one, other)
    again = generator(b"seed", "records").integers(0, 256, 100_000)
    assert np.array_equal(again, draws["records"])
    assert not np.array_equal(generator(b"other", "records").integers(0, 256, 100), again[:100])
