"""Exact tables of a plan, held against counting person by person; and noise on every cell."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from casesynth.answers import CountTable, RecordTable, measure_answer, parse_question, plan_answer
from casesynth.answers.counted import AnswerUnitError, exact_tables
from casesynth.answers.question import Condition, Every, Fact, Where
from casesynth.answers.records import RecordTableBuilder
from casesynth.domain import Domain, Multi
from casesynth.encode import CodedTable
from casesynth.measure import ReceiptError
from casesynth.persons import PeopleCapError, PersonKeyError, PersonTable
from casesynth.privacy import PrivacyLoss, Receipt

DOMAIN = Domain.declare({"sex": ["f", "m"], "age": ["0-17", "18+"], "means": Multi(values=["threats", "debt"])})
RANDOM = np.random.default_rng(5)
PEOPLE = PersonTable(columns=tuple(RANDOM.integers(0, size, 400).astype(np.uint8) for size in DOMAIN.sizes))

WHERE: dict[str, Any] = {
    "everybody": {"all": [{"attribute": "sex", "in": ["", "f", "m"]}]},
    "one of one": {"attribute": "sex", "equals": "f"},
    "several values": {"attribute": "means", "equals": "debt"},
    "any of several values": {"attribute": "means", "in": ["debt", "threats"]},
    "all": {"all": [{"attribute": "sex", "equals": "f"}, {"attribute": "age", "equals": ""}]},
    "any": {"any": [{"attribute": "sex", "equals": "f"}, {"attribute": "means", "equals": "debt"}]},
    "any in all": {
        "all": [
            {"attribute": "age", "equals": "18+"},
            {"any": [{"attribute": "sex", "equals": "m"}, {"attribute": "means", "equals": "threats"}]},
        ]
    },
    "all in any": {
        "any": [
            {"all": [{"attribute": "means", "equals": "debt"}, {"attribute": "means", "equals": "threats"}]},
            {"all": [{"attribute": "sex", "equals": "m"}, {"attribute": "age", "equals": "0-17"}]},
        ]
    },
}
BY: list[list[Any]] = [
    [],
    ["sex", "age"],
    ["means", "sex"],
    ["means", {"label": "x", "facts": [{"label": "girl", "attribute": "age", "codes": ["0-17"]}]}],
]


def _holds(person: tuple[int, ...], name: str, positions: frozenset[int]) -> bool:
    sex, age, threats, debt = person
    if name == "means":
        return bool({1: threats, 2: debt}.keys() & positions and any({1: threats, 2: debt}[p] for p in positions))
    return {"sex": sex, "age": age}[name] in positions


def _meets(person: tuple[int, ...], where: Where) -> bool:
    if isinstance(where, Condition):
        return _holds(person, where.attribute, where.positions)
    found = [_meets(person, part) for part in where.parts]
    return all(found) if isinstance(where, Every) else any(found)


def _sign(person: tuple[int, ...], fact: Fact) -> int:
    return 1 if any(_holds(person, name, positions) for name, positions in fact.holds) else -1


def _by_hand(table: CountTable) -> NDArray[np.int64]:
    total = np.zeros(table.shape, np.int64)
    for person in zip(*(column.tolist() for column in PEOPLE.columns), strict=True):
        if not _meets(person, table.where):
            continue
        cell = tuple(
            next(i for i, part in enumerate(split.parts) if _holds(person, split.attribute, part.positions))
            for split in table.splits
        )
        total[cell] += int(np.prod([_sign(person, fact) for fact in table.facts], dtype=np.int64))
    return total


@pytest.mark.parametrize(("by", "name"), list(itertools.product(range(len(BY)), WHERE)))
def test_tables_are_what_counting_person_by_person_gives(by: int, name: str) -> None:
    document = {"by": BY[by], "where": WHERE[name], "accuracy": {"epsilon": 1}}
    plan = plan_answer(parse_question(document, DOMAIN), people_cap=1000)
    for table, counts in zip(plan.tables, exact_tables(plan, DOMAIN, PEOPLE), strict=True):
        np.testing.assert_array_equal(counts, _by_hand(table))


def _receipt(nano_rho: int) -> Receipt:
    return Receipt(charge_id="test", loss=PrivacyLoss(nano_rho=nano_rho))


def test_nothing_opens_for_a_receipt_over_less_and_cells_of_nobody_are_noisy() -> None:
    plan = plan_answer(parse_question({"by": ["sex", "age"], "accuracy": {"epsilon": 0.1}}, DOMAIN), people_cap=1000)
    opened = []

    def nobody(receipt: Receipt) -> PersonTable:
        opened.append(receipt)
        return PersonTable(columns=tuple(np.zeros(0, np.uint8) for _ in DOMAIN.sizes))

    with pytest.raises(ReceiptError):
        measure_answer(plan, DOMAIN, charge=lambda loss: _receipt(loss.nano_rho - 1), open_rows=nobody)
    assert not opened
    (table,), _ = measure_answer(plan, DOMAIN, charge=lambda loss: _receipt(loss.nano_rho), open_rows=nobody)
    assert table.table.scale > 30 and (table.values != 0).sum() >= 5  # fewer by chance in one of 10^8 runs


def test_people_are_not_counted_where_records_are_asked_for_nor_the_other_way_round() -> None:
    people = plan_answer(parse_question({"accuracy": {"epsilon": 1}}, DOMAIN), people_cap=1000)
    document = {"count": {"records": {"at_most": 2}}, "accuracy": {"epsilon": 1}}
    records = plan_answer(parse_question(document, DOMAIN), people_cap=1000)
    three = RecordTable(columns=PEOPLE.columns, at_most=3)
    for plan, rows in ((people, three), (records, PEOPLE), (records, three)):
        with pytest.raises(AnswerUnitError):
            exact_tables(plan, DOMAIN, rows)


def _records(tokens: list[str], said: list[int], at_most: int, cap: int = 100) -> RecordTable:
    builder = RecordTableBuilder(DOMAIN, at_most=at_most)
    order = np.array([random.Random(i).randrange(10**6) for i in range(len(tokens))], np.int64)
    builder.add(
        CodedTable(
            columns=tuple(np.zeros(len(tokens), np.uint8) for _ in DOMAIN.sizes),
            persons=pa.array(tokens, pa.large_string()),
            permitted=np.array(said, np.int8),
        ),
        order,
    )
    return builder.build(people_cap=cap)


def test_one_refusal_keeps_all_records_of_a_person_out_and_silence_is_no_consent() -> None:
    assert len(_records(["a", "a", "b", "c"], [1, -1, 1, 0], 5).columns[0]) == 1
    assert len(_records(["a", "a", "a", "b"], [1, 1, 1, 1], 2).columns[0]) == 3
    assert len(RecordTableBuilder(DOMAIN, at_most=2).build(people_cap=1).columns[0]) == 0
    with pytest.raises(PeopleCapError):
        _records(["a", "b"], [1, 1], 2, cap=1)
    with pytest.raises(PersonKeyError):
        _records([None, "b"], [1, 1], 2)  # type: ignore[list-item]  # what is refused
