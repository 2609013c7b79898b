"""Public logic from a schema: which columns depend on which, and how records come to obey."""

from __future__ import annotations

import numpy as np

from casehaven.generate import generate_population
from caseschemas import load_schema
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.logic import ColumnRule, obey

WITH = ColumnRule(column=1, ordinary=frozenset({1}), blank=0, conditions=((0, frozenset({1})),))


def test_the_rules_of_a_schema_name_its_columns() -> None:
    domain = Domain.from_schema(load_schema("ctdc-global"))
    names = [column.name for column in domain.columns]
    found = {names[rule.column]: [(names[c], values) for c, values in rule.conditions] for rule in domain.rules}
    assert found["typeOfLabourAgriculture"] == [("isForcedLabour", frozenset({1}))]
    assert found["typeOfSexPornography"] == [("isSexualExploit", frozenset({1}))]
    assert len(found) == 6


def test_a_condition_on_one_of_several_values_is_met_by_any_of_them() -> None:
    domain = Domain.from_schema(load_schema("htcds-2.0"))
    names = [column.name for column in domain.columns]
    (rule,) = [rule for rule in domain.rules if names[rule.column] == "vic_ForcedLabourIndustry"]
    assert {names[column] for column, _ in rule.conditions} == {
        f"vic_TypeOfExploitation={value}" for value in ("ForcedLabour", "ChildLabour", "ForcedBegging", "Servitude")
    }
    first = domain.attribute("vic_ForcedLabourIndustry")
    assert rule.ordinary == frozenset(range(len(first.values))) - first.missing and rule.blank == first.blank


def test_made_up_people_break_no_rule_of_their_schema() -> None:
    domain = Domain.from_schema(load_schema("ctdc-global"))
    people = encode(generate_population(2_000, seed=3), domain, person=None).columns
    assert not any(rule.broken(people).any() for rule in domain.rules)
    assert any(rule.holds(people).any() for rule in domain.rules)


def test_values_move_inside_their_class_then_to_any_class_then_away() -> None:
    condition = np.array([0, 1, 0, 1, 0, 0])
    depends = np.array([1, 0, 1, 0, 1, 0])
    classes = np.array([0, 0, 1, 2, 3, 3])
    records = [condition.copy(), depends.copy()]
    obey(records, classes, [WITH], np.random.default_rng(1))
    np.testing.assert_array_equal(records[0], condition)
    # the first gave its value to its neighbour in class 0; of the others one found room in class 2, one did not
    np.testing.assert_array_equal(records[1], [0, 1, 0, 1, 0, 0])


def test_a_column_obeys_before_others_depend_on_it() -> None:
    chain = ColumnRule(column=2, ordinary=frozenset({1}), blank=0, conditions=((1, frozenset({1})),))
    records = [np.array([1, 0]), np.array([0, 1]), np.array([0, 1])]
    obey(records, np.zeros(2, dtype=np.int64), [chain, WITH], np.random.default_rng(1))
    assert [column.tolist() for column in records] == [[1, 0], [1, 0], [1, 0]]


def test_rules_that_go_in_circles_are_obeyed() -> None:
    back = ColumnRule(column=0, ordinary=frozenset({1}), blank=0, conditions=((1, frozenset({1})),))
    records = [np.array([1, 0, 1, 1]), np.array([0, 1, 0, 1])]
    obey(records, np.zeros(4, dtype=np.int64), [WITH, back], np.random.default_rng(1))
    assert not WITH.broken(records).any() and not back.broken(records).any()


def test_nobody_obeys_too() -> None:
    nobody = [np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.uint8)]
    obey(nobody, np.zeros(0, dtype=np.int64), [WITH], np.random.default_rng(1))
    assert len(nobody[0]) == 0
