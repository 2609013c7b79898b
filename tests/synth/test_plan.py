"""The release plan: which tables, how much of the budget each, and nothing that depends on data (privacy rules 2, 6, 8)."""

from __future__ import annotations

import inspect
import itertools
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caseschemas import load_schema
from casesynth.domain import Domain
from casesynth.plan import PEOPLE_CAP_MAX, PlanError, ReleasePlan
from casesynth.privacy.accounting import epsilon_for, rho_for
from casesynth.privacy.loss import PrivacyLossError


def _domain(*sizes: int, prefix: str = "c") -> Domain:
    return Domain.declare({f"{prefix}{i}": [f"v{k}" for k in range(1, size)] for i, size in enumerate(sizes)})


def _plan(*sizes: int, epsilon: float = 1.0, people_cap: int = 1000) -> ReleasePlan:
    return ReleasePlan.make(_domain(*sizes), epsilon=epsilon, people_cap=people_cap)


def _lengths(plan: ReleasePlan) -> dict[int, int]:
    return dict(Counter(len(table.clique) for table in plan.tables))


def test_one_column_is_measured_with_the_whole_budget() -> None:
    plan = _plan(7)
    assert [(table.clique, table.cells) for table in plan.tables] == [((0,), 7)]
    assert plan.loss.nano_rho == rho_for(1.0, 1e-6)


def test_two_columns_are_measured_as_their_pair() -> None:
    plan = _plan(7, 3)
    assert [(table.clique, table.cells) for table in plan.tables] == [((0, 1), 21)]
    assert plan.loss.nano_rho == rho_for(1.0, 1e-6)


def test_all_pairs_are_measured_and_triples_up_to_2000_cells() -> None:
    plan = _plan(10, 10, 20, 21)
    assert {t.clique for t in plan.tables if len(t.clique) == 2} == set(itertools.combinations(range(4), 2))
    assert {t.clique for t in plan.tables if len(t.clique) == 3} == {(0, 1, 2)}


def test_without_a_small_triple_pairs_take_the_whole_budget() -> None:
    plan = _plan(20, 20, 20)
    assert _lengths(plan) == {2: 3}
    assert plan.loss.nano_rho > 0.99 * rho_for(1.0, 1e-6)


def test_three_binary_columns_are_a_triple_and_four_are_a_quadruple() -> None:
    assert _lengths(_plan(2, 2, 2, 5)) == {2: 6, 3: 4}
    plan = _plan(2, 2, 2, 2, 5)
    assert _lengths(plan) == {2: 10, 3: math.comb(4, 2), 4: 1}  # only triples with the longer column are left


def test_sixty_binary_columns_are_measured_as_triples() -> None:
    assert math.comb(60, 4) > 12_000
    plan = _plan(*[2] * 60, epsilon=2.0)
    assert _lengths(plan) == {2: math.comb(60, 2), 3: math.comb(60, 3)}


def test_the_plan_of_ctdc_global_is_the_one_of_the_design() -> None:
    domain = Domain.from_schema(load_schema("ctdc-global"))
    plan = ReleasePlan.make(domain, epsilon=1.0, people_cap=1_000_000)
    sizes = domain.sizes
    flags = [i for i, size in enumerate(sizes) if size == 2]
    assert len(flags) == 21
    budget = rho_for(1.0, 1e-7)
    roots = {
        length: {c: math.sqrt(math.prod(sizes[i] for i in c)) for c in itertools.combinations(range(27), length)}
        for length in (2, 3)
    }
    small = {c: root for c, root in roots[3].items() if math.prod(sizes[i] for i in c) <= 2000}
    expected = {c: 0.4 * budget * root / sum(roots[2].values()) for c, root in roots[2].items()}
    expected |= {c: 0.6 * budget * root / sum(small.values()) for c, root in small.items()}
    freed = sum(expected.pop(c) for c in itertools.combinations(flags, 3))
    expected |= {c: freed / math.comb(21, 4) for c in itertools.combinations(flags, 4)}
    assert {t.clique for t in plan.tables} == set(expected)
    for table in plan.tables:
        assert expected[table.clique] - 1.001 < table.nano_rho <= expected[table.clique] + 0.001


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1, 4, 100])
def test_the_scale_of_each_table_is_what_its_share_buys(epsilon: float) -> None:
    for table in _plan(2, 2, 2, 2, 3, 9, epsilon=epsilon).tables:
        assert table.scale == pytest.approx(math.sqrt(1e9 / (2 * table.nano_rho)), rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(2, 30), min_size=1, max_size=9), st.floats(0.05, 100), st.sampled_from((1e-9, 1e-6, 1e-3)))
def test_shares_never_pass_the_budget_and_use_nearly_all_of_it(sizes: list[int], epsilon: float, delta: float) -> None:
    plan = ReleasePlan.make(_domain(*sizes), epsilon=epsilon, people_cap=1000, delta=delta)
    budget = rho_for(epsilon, delta)
    assert 0.99 * budget < plan.loss.nano_rho <= budget
    assert epsilon_for(plan.loss.nano_rho, delta) <= epsilon


def test_the_plan_is_a_function_of_sizes_epsilon_delta_and_cap() -> None:
    facts = set(inspect.signature(ReleasePlan.make).parameters)
    assert facts == {"domain", "epsilon", "people_cap", "delta", "max_tokens_per_person"}
    one = ReleasePlan.make(_domain(2, 3, 4), epsilon=1, people_cap=1000)
    other = ReleasePlan.make(_domain(2, 3, 4, prefix="other"), epsilon=1, people_cap=1000)
    assert one.tables == other.tables
    assert ReleasePlan.make(_domain(2, 3, 4), epsilon=1, people_cap=1000) == one


def test_delta_follows_from_the_cap_unless_it_is_given() -> None:
    domain = _domain(3, 3)
    assert ReleasePlan.make(domain, epsilon=1, people_cap=10_000_000).delta == pytest.approx(1e-8)
    assert ReleasePlan.make(domain, epsilon=1, people_cap=10_000_000, delta=1e-9).delta == 1e-9


def test_the_guarantee_for_several_tokens_grows_with_their_square() -> None:
    domain = _domain(3, 3)
    plans = {t: ReleasePlan.make(domain, epsilon=1, people_cap=1000, max_tokens_per_person=t) for t in (1, 2, 5)}
    for tokens, plan in plans.items():
        assert plan.epsilon_per_person == epsilon_for(plan.loss.nano_rho * tokens**2, plan.delta)
        assert plan.tables == plans[1].tables  # the noise stays; only the promise for such a person changes
    assert 0.999 < plans[1].epsilon_per_person <= 1.0
    assert 2.0 < plans[2].epsilon_per_person < plans[5].epsilon_per_person


def test_cells_are_those_of_all_tables() -> None:
    plan = _plan(2, 3, 4)
    assert plan.cells == 2 * 3 + 2 * 4 + 3 * 4 + 2 * 3 * 4


def test_too_many_pair_cells_are_refused_with_the_attributes_to_coarsen() -> None:
    domain = Domain.declare(
        {
            "village": [str(i) for i in range(1499)],
            "sex": ["f", "m"],
            "employer": [str(i) for i in range(1399)],
            "month": [str(i) for i in range(12)],
        }
    )
    with pytest.raises(PlanError, match="coarsen.*village with 1500 values, employer with 1400 values, month with 13"):
        ReleasePlan.make(domain, epsilon=1, people_cap=1000)


def test_the_most_pair_cells_are_accepted() -> None:
    assert _plan(2000, 1000).cells == 2_000_000
    with pytest.raises(PlanError, match="2002000 cells"):
        _plan(2002, 1000)


def test_an_epsilon_too_small_for_the_tables_is_refused() -> None:
    with pytest.raises(
        PlanError, match="epsilon 0.001 is too small for .* tables: raise epsilon or use fewer attributes"
    ):
        ReleasePlan.make(_domain(*[2] * 60), epsilon=0.001, people_cap=1000)


@pytest.mark.parametrize("people_cap", [0, -1, PEOPLE_CAP_MAX + 1, True, 1000.0, None])
def test_a_cap_that_is_no_number_of_people_is_refused(people_cap: int) -> None:
    with pytest.raises(PlanError, match="people_cap must be a whole number from 1 to"):
        ReleasePlan.make(_domain(3), epsilon=1, people_cap=people_cap)


@pytest.mark.parametrize("tokens", [0, -1, 1001, 1.5, None, True])
def test_a_number_of_tokens_out_of_range_is_refused(tokens: int) -> None:
    with pytest.raises(PlanError, match="max_tokens_per_person must be from 1 to 1000"):
        ReleasePlan.make(_domain(3), epsilon=1, people_cap=10, max_tokens_per_person=tokens)


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0, None), (-1, None), (101, None), (float("nan"), None), (1, 0), (1, 0.5)]
)
def test_a_policy_out_of_range_is_refused(epsilon: float, delta: float | None) -> None:
    with pytest.raises(PrivacyLossError):
        ReleasePlan.make(_domain(3), epsilon=epsilon, people_cap=10, delta=delta)


def test_the_largest_cap_can_be_planned() -> None:
    assert ReleasePlan.make(_domain(3), epsilon=1, people_cap=PEOPLE_CAP_MAX).loss.nano_rho > 0
