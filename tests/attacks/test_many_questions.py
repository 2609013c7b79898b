"""Asking often, in many ways, under many names: what all answers together tell about one person is bounded by what the ledger let them pay (threats 8 and 12).

An attacker who knows everything but one person's record asks until the budget is gone. For Gaussian noise what a table tells about the person is known exactly: the
square of what the person moves it by, over the variance of its noise. Summed over all noisy tables that were ever stored, it must not pass twice the rho that was charged,
and that not the cap. No draw decides here, so nothing can fail by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from casehaven.ledger import AnalystId, BudgetExhaustedError, BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casehaven.queries import Queries
from casehaven.queries.public_facts import PURPOSE
from casehaven.vault.snapshots import snapshot
from casesynth.answers import CountTable, read_stored
from casesynth.answers.counted import exact_tables
from casesynth.answers.plan import AnswerPlan, plan_answer
from casesynth.persons import PersonTable
from casesynth.privacy import PrivacyLoss, Receipt
from casesynth.privacy.loss import NANO

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, SafeHouse

YES = dict.fromkeys(("mayRelease", "mayCare", "mayCount", "mayPool"), "yes")
TARGET: Record = {"token": "target", **YES, "year": "2023", "age": "99", "gender": "man", "means": "threats;hours"}
BLOCKS = ["", *(str(year) for year in range(2019, 2024))]


@pytest.fixture
def queries(house: SafeHouse, people: MakePeople, tmp_path: Path) -> Queries:
    """Questions about a house where the target is, under a ledger of epsilon 1."""
    house.take_in([*({**record, **YES} for record in people(60)), TARGET])
    ledger = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of("1", "1e-6")))
    ledger.open_dataset("north/cases", BLOCKS)
    vault = house.open()
    datasets = [vault.dataset("north", "cases")]
    return Queries(vault=vault, ledger=ledger, datasets=datasets, clock=lambda: 1_700_000_000)


def _spent(ledger: Ledger) -> int:
    return max(row.spent_nano_rho for row in ledger.statement().rows)


def _told(queries: Queries) -> float:
    """Return what all stored tables together tell about the target: squared distance of the two worlds, in standard deviations."""
    vault = queries.vault
    opened = snapshot(vault, queries.datasets, PURPOSE).open(
        Receipt(charge_id="the judge, not the attacker", loss=PrivacyLoss(nano_rho=1))
    )
    domain = queries.datasets[0].domain
    year, age = (next(i for i, column in enumerate(domain.columns) if column.name == name) for name in ("year", "age"))
    is_target = (opened.columns[year] == 5) & (opened.columns[age] == 3) & (opened.columns[year + 1] == 3)
    others = PersonTable(columns=tuple(column[~is_target | (np.cumsum(is_target) > 1)] for column in opened.columns))
    assert others.people == opened.people - 1
    told = 0.0
    for stored in queries.answers():
        tables = [table for table, _ in read_stored(stored.document.encode())[1]]
        plan = _plan_of(queries, tables)
        for one, none, table in zip(
            exact_tables(plan, domain, opened), exact_tables(plan, domain, others), tables, strict=True
        ):
            told += float(((one - none) ** 2).sum()) / table.scale**2
    return told


def _plan_of(queries: Queries, tables: Sequence[CountTable]) -> AnswerPlan:
    """Return a plan that counts stored tables again: each under its own condition."""
    plan = plan_answer(queries.parse({"accuracy": {"epsilon": 1}}), people_cap=10_000)
    wheres = {table.where for table in tables}
    (where,) = wheres
    object.__setattr__(plan.question, "where", where)
    object.__setattr__(plan, "tables", tuple(tables))
    return plan


def _asked_until_refused(queries: Queries, documents: Sequence[dict[str, Any]], analysts: Sequence[str] = ("",)) -> int:
    refused = 0
    for number, document in enumerate(documents):
        name = analysts[number % len(analysts)]
        queries.analyst = AnalystId(text=name) if name else None
        try:
            queries.ask(queries.parse(document), IdempotencyKey(text=f"attack-{number}"))
        except BudgetExhaustedError:
            refused += 1
    return refused


def _differencing() -> list[dict[str, Any]]:
    """Everybody less everybody but the target, in many ways, each a little more exact than the last."""
    found: list[dict[str, Any]] = []
    for step in range(8):
        accuracy = {"within_people": 60 - 6 * step}
        found += [
            {"where": {"attribute": "year", "between": ["2019", "2023"]}, "accuracy": accuracy},
            {"where": {"attribute": "year", "between": ["2019", "2022"]}, "accuracy": accuracy},
            {"by": ["gender"], "where": {"attribute": "year", "equals": "2023"}, "accuracy": accuracy},
            {
                "by": ["age"],
                "where": {"any": [{"attribute": "means", "equals": "hours"}, {"attribute": "year", "equals": "2023"}]},
                "accuracy": accuracy,
            },
            {"by": ["means"], "where": {"attribute": "gender", "equals": "man"}, "accuracy": accuracy},
        ]
    return found


def test_differencing_until_nothing_is_left_tells_no_more_than_was_charged(queries: Queries) -> None:
    assert _asked_until_refused(queries, _differencing()) > 0
    spent, cap = _spent(queries.ledger), queries.ledger.statement().rows[0].cap_nano_rho
    told = _told(queries)
    assert 0.5 * spent <= told * NANO / 2 <= spent * (1 + 1e-9)  # the attack is a good one, and stays within
    assert spent <= cap


def test_averaging_one_question_asked_a_hundred_times_in_other_words_gains_nothing(
    queries: Queries, tmp_path: Path
) -> None:
    """After the first answer every rewording is free, and rests on the very same noise."""
    queries.ledger = Ledger.create(tmp_path / "rich.sqlite", LedgerPolicy(account=BudgetPolicy.of("20", "1e-6")))
    queries.ledger.open_dataset("north/cases", BLOCKS)
    words: list[dict[str, Any]] = []
    for number in range(50):
        facts = [{"label": f"men {number}", "attribute": "gender", "codes": ["man"]}]
        groups = [{"label": f"men {number}", "codes": ["man"]}, {"label": "women", "codes": ["woman"]}]
        words += [
            {"by": [{"attribute": "gender", "groups": groups[:: 1 if number % 2 else -1]}]},
            {"by": [{"label": f"axis {number}", "facts": facts}]},
        ]
    first = queries.ask(
        queries.parse({"by": ["gender"], "accuracy": {"within_people": 1}}), IdempotencyKey(text="the-first")
    )
    assert first.charged is not None
    estimates = set()
    for number, document in enumerate(words):
        question = queries.parse({**document, "accuracy": {"within_people": 2}})
        found = queries.ask(question, IdempotencyKey(text=f"rewording-{number}"))
        assert found.charged is None and found.free == "from earlier answers"
        estimates |= {row.get("estimate") for row in found.answer["rows"] if row["cell"][0][1].startswith("men")}
    assert len(estimates) == 1 and estimates != {None}  # sixteen men, noise of half a person
    assert _spent(queries.ledger) == first.charged.nano_rho
    assert _told(queries) * NANO / 2 == pytest.approx(first.charged.nano_rho, rel=1e-6)


def test_ten_accounts_of_one_attacker_share_one_budget(queries: Queries) -> None:
    names = [f"analyst-{number}" for number in range(10)]
    assert _asked_until_refused(queries, _differencing()[::3], names) > 0
    spent, cap = _spent(queries.ledger), queries.ledger.statement().rows[0].cap_nano_rho
    assert spent <= cap * (1 + 1e-9)
    for name in (*names, "the-next"):  # nobody is left anything, whoever asks
        queries.analyst = AnalystId(text=name)
        with pytest.raises(BudgetExhaustedError):
            queries.ask(
                queries.parse({"by": ["age"], "accuracy": {"epsilon": 0.9}}), IdempotencyKey(text=f"more-{name}")
            )
    assert _spent(queries.ledger) == spent
    assert _told(queries) * NANO / 2 <= spent * (
        1 + 1e-9
    )  # the judge opens the vault under no charge: nobody asks after it
