"""Public logic: whatever the rules, the model and the records, nothing that cannot occur is in a release."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from casesynth.aggregates import aggregate
from casesynth.domain import Domain
from casesynth.estimates import Estimates
from casesynth.intervals import ErrorScale
from casesynth.logic import ColumnRule, forbidden, forbidden_rows, obey
from casesynth.model import LatentClassModel
from casesynth.sample import sample_records

SIZES = (3, 2, 4, 2, 2)
DOMAIN = Domain.declare({f"c{i}": [f"v{k}" for k in range(1, size)] for i, size in enumerate(SIZES)})


@st.composite
def _rules(draw: st.DrawFn) -> ColumnRule:
    column = draw(st.integers(0, 4))
    others = draw(st.lists(st.sampled_from([i for i in range(5) if i != column]), min_size=1, max_size=3, unique=True))
    conditions = []
    for other in others:
        values = draw(st.sets(st.integers(0, SIZES[other] - 1), min_size=1))
        conditions.append((other, frozenset(values)))
    return ColumnRule(column=column, ordinary=frozenset(range(1, SIZES[column])), blank=0, conditions=tuple(conditions))


def _model(seed: int) -> LatentClassModel:
    random = np.random.default_rng(seed)
    return LatentClassModel(
        people=400.0,
        people_sigma=1.0,
        weights=random.dirichlet(np.ones(6)),
        shares=tuple(random.dirichlet(np.ones(size), size=6).T for size in SIZES),
        stiffness=0.01,
        residual=(1.0, 1.0, 1.0),
    )


@settings(deadline=None, max_examples=150)
@given(st.lists(_rules(), min_size=1, max_size=6), st.integers(0, 1000))
def test_no_synthetic_record_breaks_a_rule(rules: list[ColumnRule], seed: int) -> None:
    records = sample_records(_model(seed), b"s", rules=rules)
    assert {len(column) for column in records} == {400}
    for rule in rules:
        assert not rule.broken(records).any()


@settings(deadline=None, max_examples=100)
@given(st.lists(_rules(), min_size=1, max_size=4), st.integers(0, 1000), st.integers(1, 300))
def test_obeying_changes_only_columns_with_rules_and_never_adds_a_value(
    rules: list[ColumnRule], seed: int, people: int
) -> None:
    random = np.random.default_rng(seed)
    records = [random.integers(0, size, people).astype(np.uint8) for size in SIZES]
    before = [column.copy() for column in records]
    obey(records, random.integers(0, 5, people), rules, random)
    for place, (one, other) in enumerate(zip(before, records, strict=True)):
        counts = [np.bincount(column, minlength=SIZES[place]) for column in (one, other)]
        assert (counts[1][1:] <= counts[0][1:]).all()  # swapped, or blank
        if place not in {rule.column for rule in rules}:
            np.testing.assert_array_equal(one, other)


@settings(deadline=None, max_examples=60)
@given(st.lists(_rules(), min_size=1, max_size=4), st.integers(0, 1000))
def test_nothing_forbidden_is_listed_and_its_estimate_is_zero(rules: list[ColumnRule], seed: int) -> None:
    domain = Domain(attributes=DOMAIN.attributes, rules=tuple(rules))
    errors = ErrorScale(centres=np.array([1.0, 9.0]), half_widths=np.full((3, 2), 0.1), misfit=np.zeros(3))
    model = _model(seed)
    table = aggregate(model, domain, errors)
    every = aggregate(model, DOMAIN, errors)
    estimates = Estimates(domain=domain, model=model, errors=errors)
    shown = {(tuple(c), tuple(v)) for c, v in zip(table.columns.tolist(), table.values.tolist(), strict=True)}
    hidden = 0
    for columns, values in zip(every.columns.tolist(), every.values.tolist(), strict=True):
        facts = {c: v for c, v in zip(columns, values, strict=True) if c >= 0}
        impossible = forbidden(facts, rules)
        hidden += impossible
        assert not (impossible and (tuple(columns), tuple(values)) in shown)
        assert (estimates.of(list(facts.items())).value == 0) == impossible
    assert forbidden_rows(every.columns, every.values, rules).sum() == hidden
