"""What is hidden in one answer is not the difference of numbers that two answers show: compared with sets of people, one by one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from casesynth.answers import answer_rows, parse_question, plan_answer
from casesynth.answers.answer import seen_grids
from casesynth.answers.counted import NoisyTable, exact_tables
from casesynth.answers.document import answer_document, read_seen, stored_document
from casesynth.answers.question import Condition, CountTable, Every, Part, Split
from casesynth.answers.told import SeenGrid, hide_beside_earlier
from casesynth.domain import Domain, Multi
from casesynth.persons import PersonTable

SIZES = {"sex": 3, "age": 4, "year": 3}
Place = tuple[int, ...]


def _random_grid(random: np.random.Generator) -> SeenGrid:
    splits, conditions = [], []
    for name, size in SIZES.items():
        if random.random() < 0.6:
            holder = random.integers(0, int(random.integers(1, size + 1)), size)
            parts = [frozenset(np.flatnonzero(holder == n).tolist()) for n in np.unique(holder)]
            splits.append(Split(attribute=name, parts=tuple(Part(label="", positions=p, answered=True) for p in parts)))
        if random.random() < 0.3:
            some = frozenset(np.flatnonzero(random.random(size) < 0.6).tolist())
            if some and len(some) < size:
                conditions.append(Condition(attribute=name, positions=some))
    order = random.permutation(len(splits))
    where = conditions[0] if len(conditions) == 1 else Every(parts=tuple(conditions))
    table = CountTable(splits=tuple(splits[n] for n in order), facts=(), nano_rho=1, where=where)
    return SeenGrid(table=table, seen=random.random(table.shape) < 0.7)


def _cells(grid: SeenGrid) -> dict[Place, frozenset[Place]]:
    """Return each cell as the set of all kinds of people who are in it."""
    where = grid.table.where
    conditions = where.parts if isinstance(where, Every) else (where,)
    found = {}
    for place in itertools.product(*(range(size) for size in grid.table.shape)):
        inside = set()
        for person in itertools.product(*(range(size) for size in SIZES.values())):
            values = dict(zip(SIZES, person, strict=True))
            held = all(isinstance(c, Condition) and values[c.attribute] in c.positions for c in conditions)
            if held and all(
                values[s.attribute] in s.parts[n].positions for s, n in zip(grid.table.splits, place, strict=True)
            ):
                inside.add(person)
        found[place] = frozenset(inside)
    return found


def _told(sums: SeenGrid, parts: SeenGrid) -> set[tuple[Place, Place]]:
    """Return sums that are shown with the one part of each that is hidden."""
    found = set()
    inner = _cells(parts)
    for place, people in _cells(sums).items():
        inside = [other for other, of in inner.items() if of and of <= people]
        if not sums.seen[place] or len(inside) < 2 or frozenset[Place]().union(*(inner[n] for n in inside)) != people:
            continue
        hidden = [other for other in inside if not parts.seen[other]]
        if len(hidden) == 1:
            found.add((place, hidden[0]))
    return found


@pytest.mark.parametrize("seed", range(150))
def test_no_hidden_count_is_the_difference_of_counts_that_two_answers_show(seed: int) -> None:
    random = np.random.default_rng(seed)
    grid, earlier = _random_grid(random), [_random_grid(random) for _ in range(3)]
    values: NDArray[np.float64] = random.random(grid.table.shape) * 100
    seen = hide_beside_earlier(grid, values, earlier)
    after = SeenGrid(table=grid.table, seen=seen)
    assert not (seen & ~grid.seen).any()  # nothing is shown that would not have been
    for other in earlier:
        assert not _told(other, after) and not _told(after, other)
    if not any(_told(other, grid) or _told(grid, other) for other in earlier):
        assert (seen == grid.seen).all()  # and nothing is hidden without a reason


def test_the_search_finds_something_to_hide() -> None:
    """So that the check above is about something."""
    changed = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        grid, earlier = _random_grid(random), [_random_grid(random) for _ in range(3)]
        changed += bool((hide_beside_earlier(grid, random.random(grid.table.shape), earlier) != grid.seen).any())
    assert changed >= 12


# --- in answers ---

DOMAIN = Domain.declare({"sex": ["f", "m"], "age": ["young", "old"], "means": Multi(values=["debt", "threats"])})


def _people() -> PersonTable:
    """500 young women, 4 young men, 300 old women and 200 old men."""
    sex = np.repeat([1, 2, 1, 2], [500, 4, 300, 200]).astype(np.uint8)
    age = np.repeat([1, 1, 2, 2], [500, 4, 300, 200]).astype(np.uint8)
    return PersonTable(columns=(sex, age, np.ones_like(sex), np.zeros_like(sex)))


def _answer(document: dict[str, Any], earlier: list[SeenGrid]) -> tuple[dict[tuple[str, ...], bool], list[SeenGrid]]:
    """Answer without noise; return what is shown, and what is stored of it."""
    question = parse_question({**document, "accuracy": {"within_people": 3}}, DOMAIN)
    plan = plan_answer(question, people_cap=5000)
    tables = [
        NoisyTable(table=table, values=values)
        for table, values in zip(plan.tables, exact_tables(plan, DOMAIN, _people()), strict=True)
    ]
    answer = answer_document(plan, [(t.table, t.values) for t in tables], {}, earlier=earlier)
    rows: Any = answer["rows"]
    shown = {tuple(part for _, part in row["cell"]): not row.get("hidden", False) for row in rows}
    return shown, read_seen(stored_document(answer, tables, question))


YOUNG = {"attribute": "age", "equals": "young"}
KNOWN = {"attribute": "sex", "in": ["f", "m"]}


def test_a_part_that_an_earlier_total_would_tell_takes_another_one_with_it() -> None:
    by_sex = {"by": ["sex"], "where": {"all": [YOUNG, KNOWN]}}
    alone, _ = _answer(by_sex, [])
    assert alone["f",] and not alone["m",]
    total, stored = _answer({"where": {"all": [YOUNG, KNOWN]}}, [])
    assert total == {(): True}
    after, _ = _answer(by_sex, stored)
    assert not after["f",] and not after["m",]


def test_a_total_that_would_tell_a_part_which_was_hidden_is_hidden() -> None:
    alone, stored = _answer({"by": ["sex", "age"], "where": KNOWN}, [])
    assert alone["f", "young"] and not alone["m", "young"]
    for document, cell in (
        ({"by": ["age"], "where": KNOWN}, ("young",)),
        ({"where": {"all": [YOUNG, KNOWN]}}, ()),
        ({"by": [{"attribute": "age", "groups": [{"label": "y", "codes": ["young"]}]}], "where": KNOWN}, ("y",)),
    ):
        assert not _answer(document, stored)[0][cell]
    assert _answer({"by": ["age"], "where": KNOWN}, stored)[0]["old",]
    men, _ = _answer({"by": ["age"], "where": {"attribute": "sex", "equals": "m"}}, stored)
    assert men["old",] and not men["young",]


def test_people_who_have_a_fact_are_told_apart_from_all() -> None:
    _, stored = _answer({"where": {"all": [YOUNG, KNOWN]}}, [])
    after, _ = _answer({"by": ["sex", "means"], "where": {"all": [YOUNG, KNOWN]}}, stored)
    assert after["f", "debt"] and not after["m", "debt"]


def test_parts_that_were_asked_one_by_one_are_not_put_together_with_their_sum() -> None:
    """The limit that docs/spec/queries.md states: whoever repairs it changes the page as well."""
    conditions = [YOUNG, KNOWN]
    total, stored = _answer({"where": {"all": conditions}}, [])
    women, more = _answer({"where": {"all": [YOUNG, {"attribute": "sex", "equals": "f"}]}}, stored)
    men, _ = _answer({"where": {"all": [YOUNG, {"attribute": "sex", "equals": "m"}]}}, [*stored, *more])
    assert (total[()], women[()], men[()]) == (True, True, False)


def test_what_is_stored_of_an_answer_is_what_it_shows() -> None:
    question = parse_question({"by": ["sex", "age"], "totals": True, "accuracy": {"within_people": 3}}, DOMAIN)
    plan = plan_answer(question, people_cap=5000)
    tables = list(zip(plan.tables, exact_tables(plan, DOMAIN, _people()), strict=True))
    rows = answer_rows(question, tables)
    grids = seen_grids(question, [not row.hidden for row in rows if row.kind == "count"])
    assert sum(int(grid.seen.sum()) for grid in grids) == sum(not row.hidden for row in rows)
    assert [grid.table.shape for grid in grids] == [(3, 3), (3,), (3,), ()]
