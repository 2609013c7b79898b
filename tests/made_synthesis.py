"""A synthesis that nobody fitted: a model that is written down, error scales that are written down, and tables from which the model is a little off. For tests of what is made of a release; it takes no time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from casesynth.aggregates import aggregate
from casesynth.contrasts import Floats
from casesynth.domain import Domain
from casesynth.intervals import ErrorScale
from casesynth.marginals import Clique
from casesynth.measure import Measurement
from casesynth.model import FitSettings, LatentClassModel
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import Receipt
from casesynth.synthesis import Synthesis

PEOPLE = 20_000.0


def scale(lengths: int) -> ErrorScale:
    """Half widths that grow with the estimate and the length."""
    centres = np.log(np.array([10.0, 30, 100, 300, 1000, 3000, 10_000]))
    rows = [(6 + length) * np.exp(centres) ** 0.25 for length in range(1, lengths + 1)]
    return ErrorScale(centres=centres, half_widths=np.array(rows), misfit=np.arange(2.0, 2 + lengths))


def signed(model: LatentClassModel, clique: Clique, sizes: Sequence[int]) -> Floats:
    """The model's signed marginal of a clique: columns of two values are differences and no axes."""
    if not clique:
        return np.array(model.people)
    found = model.marginal(clique)
    for axis in reversed(range(len(clique))):
        if sizes[clique[axis]] == 2:
            found = np.asarray(found.take(0, axis) - found.take(1, axis))
    return found


def synthesis_of(domain: Domain, model: LatentClassModel, errors: ErrorScale) -> Synthesis:
    """A synthesis with this model; without records, and with tables of small columns from which the model is a little off."""
    plan = ReleasePlan.make(domain, epsilon=2.0, people_cap=50_000, max_tokens_per_person=2)
    small = [place for place, size in enumerate(domain.sizes) if size <= 3]
    tables: list[Clique] = [(), *((place,) for place in small), *itertools.combinations(small, 2)]
    off = np.random.default_rng(9)
    measurements = tuple(
        Measurement(
            clique=table,
            values=np.rint(signed(model, table, domain.sizes) + off.normal(0, 30, 1)[0]).astype(np.int64),
            nano_rho=10_000,
        )
        for table in tables
    )
    return Synthesis(
        plan=plan,
        receipt=Receipt(charge_id="charge-1", loss=plan.loss),
        measurements=measurements,
        model=model,
        records=(),
        aggregates=aggregate(model, domain, errors),
        errors=errors,
        settings=FitSettings(),
    )


def model_of(
    shares: list[np.ndarray[Any, np.dtype[np.float64]]], weights: np.ndarray[Any, Any], people: float = PEOPLE
) -> LatentClassModel:
    """A model of so many people with these shares of values in each class."""
    return LatentClassModel(
        people=people,
        people_sigma=13.0,
        weights=weights / weights.sum(),
        shares=tuple(part / part.sum(axis=0) for part in shares),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )


def leaning(domain: Domain, *, seed: int = 4, people: float = PEOPLE, classes: int = 4) -> Synthesis:
    """A synthesis over a domain whose classes lean to different values, by the seed."""
    random = np.random.default_rng(seed)
    shares = [random.dirichlet(np.full(size, 0.4), size=classes).T for size in domain.sizes]
    return synthesis_of(domain, model_of(shares, np.ones(classes), people), scale(3))
