"""The release plan: which tables, how much of the budget each, and nothing that depends on data (privacy rules 2, 6, 8)."""

from __future__ import annotations

import inspect
import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caseschemas import load_schema
from casesynth.domain import Domain, Multi
from casesynth.plan import (
    CELLS,
    FILLED,
    FILLED_IN_TRIPLES,
    LENGTH_SHARES,
    PEOPLE_CAP_MAX,
    SHORT_LENGTH_SHARES,
    TRIPLE_VALUES,
    PlanError,
    ReleasePlan,
    named_cliques,
)
from casesynth.privacy.accounting import epsilon_for, rho_for
from casesynth.privacy.loss import PrivacyLossError


def _domain(*sizes: int, prefix: str = "c") -> Domain:
    return Domain.declare({f"{prefix}{i}": [f"v{k}" for k in range(1, size)] for i, size in enumerate(sizes)})


def _plan(*sizes: int, epsilon: float = 1.0, people_cap: int = 1000) -> ReleasePlan:
    return ReleasePlan.make(_domain(*sizes), epsilon=epsilon, people_cap=people_cap)


def _lengths(plan: ReleasePlan) -> dict[int, int]:
    return dict(Counter(len(table.clique) for table in plan.tables))


def _cells(clique: tuple[int, ...], sizes: Sequence[int]) -> int:
    """Return the cells of a signed marginal: a binary column has no axis."""
    return math.prod(1 if sizes[i] == 2 else sizes[i] for i in clique)


def _expected(sizes: Sequence[int]) -> dict[tuple[int, ...], float]:
    """Return the tables of the design with their shares of the budget; slow, and another way round than the plan."""
    filled = {n: [min(size, most) if size >= 50 else size for size in sizes] for n, most in ((2, 110), (3, 45))}
    every = {
        n: {c: _cells(c, filled.get(n, sizes)) for c in itertools.combinations(range(len(sizes)), n)} for n in range(4)
    }
    if 2 not in sizes:
        every[0] = {}
    always = sum(sum(every[n].values()) for n in (0, 1, 2))
    every[3] = {
        clique: cells
        for clique, cells in every[3].items()
        if max(sizes[i] for i in clique) <= 100 or sorted(sizes[i] for i in clique)[:2] == [2, 2]
    }
    within = [
        largest
        for largest in {cells for cells in every[3].values() if cells <= 4_000}
        if always + sum(cells for cells in every[3].values() if cells <= largest) <= 240_000
    ]
    every[3] = {clique: cells for clique, cells in every[3].items() if cells <= max(within, default=0)}
    by_length = (0.01, 0.22, 0.44, 0.33) if max(sizes) >= 50 else (0.02, 0.14, 0.38, 0.46)
    parts = {n: part for n, part in enumerate(by_length) if every[n]}
    return {
        clique: part / sum(parts.values()) * math.sqrt(cells) / sum(math.sqrt(c) for c in every[n].values())
        for n, part in parts.items()
        for clique, cells in every[n].items()
    }


def _assert_as_designed(plan: ReleasePlan, budget: int) -> None:
    sizes = plan.domain.sizes
    expected = _expected(sizes)
    assert [table.clique for table in plan.tables] == sorted(expected, key=lambda c: (len(c), _order(c, sizes), c))
    for table in plan.tables:
        assert table.cells == _cells(table.clique, sizes)
        share = budget * expected[table.clique]
        assert share * (1 - 1e-12) - 1 < table.nano_rho <= share * (1 + 1e-12)


def _order(clique: tuple[int, ...], sizes: Sequence[int]) -> int:
    return _cells(clique, [min(s, 45) if s >= 50 else s for s in sizes]) if len(clique) == 3 else 0


def test_one_column_is_measured_with_the_whole_budget() -> None:
    plan = _plan(7)
    assert [(table.clique, table.cells) for table in plan.tables] == [((0,), 7)]
    assert plan.loss.nano_rho == rho_for(1.0, 1e-6)


def test_one_binary_column_is_a_number_beside_the_number_of_people() -> None:
    plan = _plan(2)
    assert [(table.clique, table.cells) for table in plan.tables] == [((), 1), ((0,), 1)]
    budget = rho_for(1.0, 1e-6)
    assert [table.nano_rho for table in plan.tables] == [math.floor(budget / 8), math.floor(budget * 7 / 8)]


def test_two_columns_are_measured_singly_and_as_their_pair() -> None:
    plan = _plan(7, 3)
    assert [(table.clique, table.cells) for table in plan.tables] == [((0,), 7), ((1,), 3), ((0, 1), 21)]


@pytest.mark.parametrize(("sizes", "asked"), [((3, 4, 5), False), ((9,), False), ((2,), True), ((3, 2, 5), True)])
def test_the_number_of_people_is_measured_where_a_column_is_binary(sizes: tuple[int, ...], asked: bool) -> None:
    assert (() in {table.clique for table in _plan(*sizes).tables}) == asked


@pytest.mark.parametrize(
    ("longest", "shares"),
    [(5, SHORT_LENGTH_SHARES), (49, SHORT_LENGTH_SHARES), (50, LENGTH_SHARES), (250, LENGTH_SHARES)],
)
def test_parts_of_the_budget_by_length_are_those_of_the_design(longest: int, shares: tuple[float, ...]) -> None:
    plan = _plan(2, 2, 3, longest, epsilon=8)
    parts = {n: sum(t.nano_rho for t in plan.tables if len(t.clique) == n) for n in range(4)}
    whole = sum(parts.values())
    for length, share in enumerate(shares):
        assert parts[length] / whole == pytest.approx(share, abs=1e-6)
    assert sum(shares) == pytest.approx(1)


def test_what_has_no_table_leaves_its_part_to_the_others() -> None:
    plan = _plan(20, 20, 20)  # no binary column, no small triple
    assert _lengths(plan) == {1: 3, 2: 3}
    singles, pairs = (sum(t.nano_rho for t in plan.tables if len(t.clique) == n) for n in (1, 2))
    assert plan.loss.nano_rho > rho_for(1.0, 1e-6) - 6
    assert singles / pairs == pytest.approx(14 / 38, rel=1e-3)


def test_within_a_length_shares_grow_with_the_root_of_the_cells() -> None:
    rho = {table.clique: table.nano_rho for table in _plan(2, 4, 9, 16, epsilon=8).tables}
    assert rho[1,] / rho[0,] == pytest.approx(2, rel=1e-5)  # 4 cells against 1
    assert rho[3,] / rho[0,] == pytest.approx(4, rel=1e-5)
    assert rho[2, 3] / rho[0, 1] == pytest.approx(6, rel=1e-5)  # 144 cells against 4
    assert rho[1, 2, 3] / rho[0, 1, 2] == pytest.approx(4, rel=1e-5)  # 576 cells against 36


def test_all_pairs_are_measured_and_triples_up_to_4000_cells() -> None:
    plan = _plan(10, 20, 20, 21)
    assert {t.clique for t in plan.tables if len(t.clique) == 2} == set(itertools.combinations(range(4), 2))
    assert {t.clique for t in plan.tables if len(t.clique) == 3} == {(0, 1, 2)}


def test_a_binary_column_takes_no_room_in_a_triple() -> None:
    assert _lengths(_plan(2, 40, 49))[3] == _lengths(_plan(2, 2, 40, 100))[3] - 3 == 1
    assert 3 not in _lengths(_plan(3, 40, 49))
    assert 3 not in _lengths(_plan(2, 40, 101))


def test_a_column_of_more_than_100_values_is_in_triples_with_two_flags_alone() -> None:
    assert TRIPLE_VALUES == 100
    assert {t.clique for t in _plan(2, 2, 3, 100).tables if len(t.clique) == 3} == set(
        itertools.combinations(range(4), 3)
    )
    assert {t.clique for t in _plan(2, 2, 3, 101).tables if len(t.clique) == 3} == {(0, 1, 2), (0, 1, 3)}


def test_a_long_list_is_expected_to_fill_110_cells_beside_another_column_and_45_in_triples() -> None:
    assert (FILLED, FILLED_IN_TRIPLES) == (110, 45)
    triples = {t.clique: t.nano_rho for t in _plan(2, 2, 45, 49, 50, 250, epsilon=8).tables if len(t.clique) == 3}
    assert triples[0, 1, 2] == triples[0, 1, 4] == triples[0, 1, 5] < triples[0, 1, 3]
    rho = {table.clique: table.nano_rho for table in _plan(2, 3, 110, 250, epsilon=8).tables}
    assert rho[0, 3] == rho[0, 2] and rho[1, 3] == rho[1, 2]
    assert rho[3,] / rho[2,] == pytest.approx(
        math.sqrt(250 / 110), rel=1e-5
    )  # single columns are measured value by value


def test_triples_are_measured_while_all_tables_are_expected_to_have_no_more_than_240000_cells() -> None:
    assert CELLS == 240_000
    assert _lengths(_plan(*[2] * 22, *[100] * 6))[3] == math.comb(22, 3) + 231 * 6
    wide = _plan(*[2] * 22, *[100] * 7)
    assert _lengths(wide)[3] == math.comb(22, 3)  # with the lists there would be 231 x 7 x 45 cells more
    assert wide.cells + 231 * 7 * 45 > CELLS > wide.cells


def test_of_triples_with_equally_many_cells_all_are_measured_or_none() -> None:
    plan = _plan(*[2] * 60, 90, 90, 90)
    triples = {t.cells for t in plan.tables if len(t.clique) == 3}
    assert triples == {1}  # 1,770 pairs of flags would fit with two of the lists, not with all three
    assert plan.cells + 3 * 1770 * 45 > CELLS > plan.cells + 2 * 1770 * 45


def test_sixty_binary_columns_are_measured_with_all_their_triples() -> None:
    plan = _plan(*[2] * 60, epsilon=2.0)
    assert _lengths(plan) == {0: 1, 1: 60, 2: math.comb(60, 2), 3: math.comb(60, 3)}
    assert plan.cells == len(plan.tables) == 36_051
    assert min(table.nano_rho for table in plan.tables) >= 1
    assert plan.loss.nano_rho > 0.99 * rho_for(2.0, 1e-6)


def test_the_plan_of_ctdc_global_is_the_one_of_the_design() -> None:
    domain = Domain.from_schema(load_schema("ctdc-global"))
    plan = ReleasePlan.make(domain, epsilon=1.0, people_cap=1_000_000)
    assert len([size for size in domain.sizes if size == 2]) == 21
    assert plan.cells == 223_662
    _assert_as_designed(plan, rho_for(1.0, 1e-7))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from((2, 2, 2, 3, 5, 12, 40, 90, 250)), min_size=1, max_size=12))
def test_any_plan_is_the_one_of_the_design(sizes: list[int]) -> None:
    _assert_as_designed(_plan(*sizes, epsilon=4), rho_for(4, 1e-6))


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
    assert facts == {"domain", "epsilon", "people_cap", "delta", "max_tokens_per_person", "tables", "table_share"}
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
    assert plan.cells == 1 + (1 + 3 + 4) + (3 + 4 + 3 * 4) + 3 * 4


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
    assert _plan(2000, 1000).cells == 2_003_000
    with pytest.raises(PlanError, match="2002000 cells"):
        _plan(2002, 1000)


@pytest.mark.parametrize("epsilon", [0.01, 0.03, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("wide", ["ctdc-global", "htcds-2.0", "sixty flags"])
def test_wide_schemas_can_be_planned_from_tiny_to_huge_epsilon(wide: str, epsilon: float) -> None:
    domain = _domain(*[2] * 60) if wide == "sixty flags" else Domain.from_schema(load_schema(wide))
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=1_000_000)
    assert min(table.nano_rho for table in plan.tables) >= 1
    assert plan.loss.nano_rho <= rho_for(epsilon, plan.delta)
    assert len({t.clique for t in plan.tables if len(t.clique) == 2}) == math.comb(len(domain.sizes), 2)
    triples = sum(len(table.clique) == 3 for table in plan.tables)
    assert triples + plan.triples_left_out == len(
        [t for t in ReleasePlan.make(domain, epsilon=1, people_cap=10).tables if len(t.clique) == 3]
    )
    assert (plan.triples_left_out > 0) == (epsilon < 0.1 and not (wide == "ctdc-global" and epsilon > 0.01))


def test_the_largest_triples_are_left_out_first() -> None:
    every = {t.clique for t in _plan(*[2] * 20, *[9] * 3).tables if len(t.clique) == 3}
    assert {math.comb(20, 3) + 190 * 3 + 20 * 3 + 1} == {len(every)}
    small = _plan(*[2] * 20, *[9] * 3, epsilon=0.009)
    kept = {t.clique for t in small.tables if len(t.clique) == 3}
    assert kept == {c for c in every if max(c) < 20} and small.triples_left_out == len(every) - len(kept)


def test_an_epsilon_too_small_for_the_pairs_is_refused() -> None:
    message = "epsilon 0.001 is too small for the pairs of 60 columns: raise epsilon or use fewer attributes"
    with pytest.raises(PlanError, match=message):
        ReleasePlan.make(_domain(*[2] * 60), epsilon=0.001, people_cap=1000)


def test_every_table_gets_a_whole_nano_rho_or_the_plan_is_refused() -> None:
    # ten flags: 1 + 10 + 45 tables without triples
    budgets = {rho_for(epsilon, 1e-6): epsilon for epsilon in np.arange(0.001, 0.0011, 1e-6).tolist()}
    delta = {budget: 1e-6 for budget in budgets}
    least = min(budgets)
    assert least >= 56
    plan = ReleasePlan.make(_domain(*[2] * 10), epsilon=budgets[least], people_cap=1000, delta=delta[least])
    assert min(t.nano_rho for t in plan.tables) == 1 and plan.loss.nano_rho <= least and plan.triples_left_out == 120
    with pytest.raises(PlanError, match="is too small for the pairs of 12 columns"):
        _plan(*[2] * 12, epsilon=budgets[least])


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


# --- named tables ---


def _rho(plan: ReleasePlan) -> dict[tuple[int, ...], int]:
    return {table.clique: table.nano_rho for table in plan.tables}


def _named(
    *tables: Sequence[str], sizes: Sequence[int] = (2, 3, 4, 2, 2), table_share: float | None = None
) -> ReleasePlan:
    return ReleasePlan.make(_domain(*sizes), epsilon=1, people_cap=1000, tables=tables, table_share=table_share)


def test_a_named_table_gets_a_quarter_of_the_budget_and_the_others_keep_their_proportions() -> None:
    budget = rho_for(1.0, 1e-6)
    plain, named = _rho(_named()), _rho(_named(["c1", "c2"]))
    assert named.keys() == plain.keys()
    others = [clique for clique in plain if clique != (1, 2)]
    for clique in others:
        assert named[clique] == pytest.approx(0.75 * plain[clique], abs=2)
    assert named[1, 2] == pytest.approx(0.75 * plain[1, 2] + 0.25 * budget, abs=2)
    assert 0.99 * budget < sum(named.values()) <= budget
    plan = _named(["c1", "c2"])
    assert (plan.named, plan.table_share) == ((("c1", "c2"),), 0.25)
    assert (_named().named, _named().table_share) == ((), 0.0)


def test_what_a_named_table_gets_is_spread_over_the_signs_of_its_columns() -> None:
    budget = rho_for(1.0, 1e-6)
    plain, named = _rho(_named()), _rho(_named(["c4", "c2", "c0"], table_share=0.4))
    for clique in plain:
        own = 0.1 * budget if clique in {(2,), (0, 2), (2, 4), (0, 2, 4)} else 0.0
        assert named[clique] == pytest.approx(0.6 * plain[clique] + own, abs=3)


def test_several_named_tables_share_by_the_root_of_their_cells() -> None:
    plain, named = _rho(_named()), _rho(_named(["c1"], ["c1", "c2"], ["c1"]))
    gain = {clique: named[clique] - 0.75 * plain[clique] for clique in ((1,), (1, 2))}
    assert gain[1, 2] / gain[1,] == pytest.approx(math.sqrt(12 / 3), rel=1e-3)


def test_a_table_that_would_not_be_measured_is_measured_when_it_is_named() -> None:
    sizes = (15, 15, 15, 101, 2)
    tables = {t.clique for t in _named(sizes=sizes).tables}
    assert (1, 3, 4) not in tables
    plan = _named(["c3", "c1", "c4"], sizes=sizes)
    assert {t.clique for t in plan.tables} == tables | {(1, 3, 4)}
    assert next(t for t in plan.tables if t.clique == (1, 3, 4)).cells == 15 * 101


def test_a_multi_value_attribute_in_a_named_table_stands_for_one_table_for_each_value() -> None:
    domain = Domain.declare({"sex": ["f", "m"], "means": Multi(values=["threats", "debt", "papers"])})
    assert named_cliques(domain, [["means", "sex"]]) == ((0, 1), (0, 2), (0, 3))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([[]], "1 to 3 different attributes, got none"),
        ([["c0", "c1", "c2", "c3"]], "1 to 3 different attributes"),
        ([["c1", "c1"]], "1 to 3 different attributes"),
        ([["c1", "age"]], "no attribute age in the domain"),
        ([["c5", "c2"]], "table c5,c2 has 4004 cells, more than 4000"),
    ],
)
def test_a_named_table_that_cannot_be_measured_is_refused(tables: list[list[str]], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        _named(*tables, sizes=(2, 3, 4, 2, 2, 1001))


@pytest.mark.parametrize("share", [0, -0.1, 0.91, 1, float("nan")])
def test_a_share_of_the_named_tables_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(PlanError, match="table_share must be above 0 and at most 0.9"):
        _named(["c1"], table_share=share)


def test_a_share_without_named_tables_is_refused() -> None:
    with pytest.raises(PlanError, match="none is named"):
        _named(table_share=0.3)
