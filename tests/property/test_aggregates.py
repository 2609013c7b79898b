"""Published aggregates agree with each other, whatever the model: parents and children, sums, and the parts of what is shown."""

from __future__ import annotations

import itertools
from typing import TypeAlias

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from casesynth.aggregates import ABSENT, LENGTH, AggregateTable, aggregate
from casesynth.domain import Domain, Multi
from casesynth.intervals import ErrorScale
from casesynth.model import LatentClassModel
from casesynth.tables import aggregates_frame

Combination: TypeAlias = tuple[tuple[int, int], ...]

HALF_A_TENTH = 0.05
"""Published numbers are rounded to one decimal."""

EPSILON = 1e-6
"""Sums of floating point numbers of up to ten million."""


@st.composite
def models(draw: st.DrawFn) -> tuple[LatentClassModel, Domain]:
    """Return any model over a small domain: one to six columns, flags of one attribute among them, peaked or flat."""
    lists = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    flags = draw(st.integers(0, 2))
    attributes: dict[str, list[str] | Multi] = {f"a{i}": [f"v{j}" for j in range(size)] for i, size in enumerate(lists)}
    if flags:
        attributes["flags"] = Multi(values=[f"f{j}" for j in range(flags)])
    domain = Domain.declare(attributes)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, peaked = draw(st.integers(1, 6)), draw(st.sampled_from([0.05, 0.5, 5.0]))
    model = LatentClassModel(
        people=draw(st.one_of(st.floats(0, 600), st.floats(0, 1e7))),
        people_sigma=1.0,
        weights=random.dirichlet(np.ones(classes)),
        shares=tuple(random.dirichlet(np.full(size, peaked), size=classes).T for size in domain.sizes),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )
    return model, domain


scales = st.lists(st.floats(0.5, 200), min_size=6, max_size=6).map(
    lambda widths: ErrorScale(
        centres=np.array([2.0, 9.0]), half_widths=np.array(widths).reshape(3, 2), misfit=np.array([0.0, 0.1, 0.3])
    )
)


def _published(table: AggregateTable, domain: Domain) -> dict[Combination, float]:
    estimates = aggregates_frame(table, domain)["estimate"]
    cells = zip(table.columns.tolist(), table.values.tolist(), estimates, strict=True)
    return {
        tuple((c, v) for c, v in zip(columns, values, strict=True) if c != ABSENT): float(estimate)
        for columns, values, estimate in cells
    }


@settings(max_examples=60, deadline=None)
@given(made=models(), errors=scales)
def test_published_parents_are_there_and_never_below_their_children(
    made: tuple[LatentClassModel, Domain], errors: ErrorScale
) -> None:
    model, domain = made
    shown = _published(aggregate(model, domain, errors), domain)
    for combination, estimate in shown.items():
        for part in itertools.combinations(combination, len(combination) - 1) if len(combination) > 1 else ():
            assert part in shown
            assert shown[part] >= estimate


@settings(max_examples=60, deadline=None)
@given(made=models(), errors=scales)
def test_a_columns_values_sum_to_their_parent_missing_ones_included(
    made: tuple[LatentClassModel, Domain], errors: ErrorScale
) -> None:
    model, domain = made
    shown = _published(aggregate(model, domain, errors), domain)
    whole: dict[Combination, float] = {(): model.people}
    for combination, estimate in {**whole, **shown}.items():
        if len(combination) == LENGTH:
            continue
        columns = [column for column, _ in combination]
        for other in set(range(len(domain.sizes))) - set(columns):
            axes = sorted([*columns, other])
            row = model.marginal(axes)
            for column, value in sorted(combination, reverse=True):
                row = np.asarray(row.take(value, axis=axes.index(column)))
            published, hidden = [], 0.0
            for value, exact in enumerate(row.tolist()):
                child = tuple(sorted([*combination, (other, value)]))
                if child in shown:
                    published.append(shown[child])
                else:
                    hidden += exact
            allowed = HALF_A_TENTH * (len(published) + 1) + EPSILON
            assert abs(sum(published) + hidden - estimate) <= allowed
