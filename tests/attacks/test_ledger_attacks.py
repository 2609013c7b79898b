"""Differencing, averaging and asking under many names: the ledger bounds them (threat 8), and burning others' budget gets nothing (threat 12).

Each attack is run as an attacker would, with the discrete Gaussian of the engine, until the ledger refuses. What the attacker then knows is compared with what
the account's rho allows at most: the best average of all that was bought has a variance of at least 1 / (2 rho) for a person who moves each count by one, which is
the Cramer-Rao bound of zCDP's budget. False alarms are below 1e-9 where a test draws noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from casehaven.ledger import (
    ANSWER_PURPOSE,
    AllowanceExhaustedError,
    AnalystId,
    AnswerKey,
    BudgetExhaustedError,
    BudgetPolicy,
    IdempotencyConflictError,
    IdempotencyKey,
    Ledger,
    LedgerPolicy,
)
from casesynth.privacy import PrivacyLoss
from casesynth.privacy.loss import NANO
from casesynth.privacy.mechanisms import add_gaussian_noise, gaussian_scale

POLICY = BudgetPolicy.of("2", "1e-6")
CAP = POLICY.cap_nano_rho()
TRUTH = 17
QUESTION = CAP // 40
SCALE = gaussian_scale(QUESTION)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger with one dataset."""
    made = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=POLICY), keep_open=True)
    made.open_dataset("north/cases", ["2021", "2022"])
    return made


def ask(ledger: Ledger, *, analyst: str, plan: str, truth: int, nano_rho: int = QUESTION, **changes: Any) -> int:
    """One question as the engine asks it: cache, charge, draw, store, show."""
    key = AnswerKey(
        plan_sha256=plan * 64,
        snapshot="north/cases@1",
        mechanism="discrete_gaussian_1",
        noise_scale=math.ceil(gaussian_scale(nano_rho) * 10**9),
    )
    hit = ledger.cached_answer(key)
    if hit is not None:
        return int(hit.document)
    request: dict[str, Any] = {
        "key": IdempotencyKey.create(),
        "body": {"plan": plan},
        "datasets": ["north/cases"],
        "blocks": ["2021"],
        "loss": PrivacyLoss(nano_rho=nano_rho),
        "purpose": ANSWER_PURPOSE,
        "analyst": AnalystId(text=analyst),
    }
    receipt = ledger.charge(**{**request, **changes})
    ledger.begin_draw(receipt)
    counts = np.array([truth], dtype=np.int64)
    noisy = int(add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=10_000)[0])
    return int(ledger.store_answer(receipt, key, document=str(noisy), visible_at=0).document)


def names() -> Iterator[str]:
    """Plans that are all different."""
    return iter("0123456789abcdef")


def spent(ledger: Ledger) -> int:
    return next(row.spent_nano_rho for row in ledger.statement().rows if row.block == "2021")


def test_asking_the_same_again_and_again_gives_one_number_at_one_price(ledger: Ledger) -> None:
    """Averaging: a hundred analysts ask the same question, and have one noisy number between them."""
    said = {ask(ledger, analyst=f"analyst-{number}", plan="a", truth=TRUTH) for number in range(100)}
    assert len(said) == 1
    assert spent(ledger) == QUESTION


def test_a_weaker_question_gives_the_same_number_again(ledger: Ledger) -> None:
    strong = ask(ledger, analyst="a-one", plan="a", truth=TRUTH)
    before = spent(ledger)
    for factor in range(2, 12):
        assert ask(ledger, analyst="a-two", plan="a", truth=TRUTH, nano_rho=QUESTION // factor) == strong
    assert spent(ledger) == before


def test_averaging_questions_that_mean_the_same_stops_at_the_cap(ledger: Ledger) -> None:
    """Averaging by other words: each wording is a new plan and a new charge, until the account refuses, whoever asks."""
    bought: list[int] = []
    for number in range(1000):
        stronger = QUESTION + number * 1000  # ever stronger, so that no stored answer serves
        try:
            ask(ledger, analyst=f"analyst-{number % 7}", plan="a", truth=TRUTH, nano_rho=stronger)
        except BudgetExhaustedError:
            break
        bought.append(stronger)
    else:
        pytest.fail("the account never refused")
    assert 20 < len(bought) < 41
    best_variance = 1 / sum(gaussian_scale(nano_rho) ** -2 for nano_rho in bought)
    assert best_variance >= NANO / (2 * CAP)  # what the whole account allows anybody to know of one person
    assert spent(ledger) <= CAP


def test_many_accounts_together_get_no_more_than_one(ledger: Ledger) -> None:
    """Many accounts: a thousand names with generous allowances have one account between them."""
    for number in range(30):
        ledger.set_allowance(AnalystId(text=f"sybil-{number}"), "north/cases", CAP)
    paid = 0
    for number in range(1000):
        try:
            ledger.charge(
                key=IdempotencyKey.create(),
                body={"n": number},
                datasets=["north/cases"],
                blocks=["2021"],
                loss=PrivacyLoss(nano_rho=CAP // 30 + 1),
                purpose=ANSWER_PURPOSE,
                analyst=AnalystId(text=f"sybil-{number % 30}"),
            )
        except BudgetExhaustedError:
            break
        paid += CAP // 30 + 1
    assert paid == spent(ledger) <= CAP
    assert number < 31


def test_differencing_two_questions_pays_for_both(ledger: Ledger) -> None:
    """Differencing: everybody, and everybody but one. The difference holds both noises, and both are charged to the person's block."""
    with_person = ask(ledger, analyst="a-one", plan="a", truth=TRUTH)
    without = ask(ledger, analyst="a-two", plan="b", truth=TRUTH - 1)
    assert spent(ledger) == 2 * QUESTION
    assert abs(with_person - without) < 2 * 7 * SCALE  # seven standard deviations of each: it says little about a one


def test_reading_one_question_by_pieces_pays_for_each_piece(ledger: Ledger) -> None:
    """A person is in one block, so blocks do not add up; two questions to the same block do."""
    ask(ledger, analyst="a-one", plan="a", truth=TRUTH, blocks=["2021"])
    ask(ledger, analyst="a-one", plan="b", truth=TRUTH, blocks=["2022"])
    ask(ledger, analyst="a-one", plan="c", truth=TRUTH, blocks=["2021", "2022"])
    assert {row.block: row.spent_nano_rho for row in ledger.statement().rows} == {
        "2021": 2 * QUESTION,
        "2022": 2 * QUESTION,
    }


def test_a_key_that_somebody_else_used_opens_nothing(ledger: Ledger) -> None:
    """Replay: another analyst sends a key that was overheard, with the same body."""
    key = IdempotencyKey.create()
    ask(ledger, analyst="a-one", plan="a", truth=TRUTH, key=key)
    before = ledger.statement()
    with pytest.raises(IdempotencyConflictError):
        ask(ledger, analyst="thief", plan="b", truth=TRUTH, key=key, body={"plan": "a"})
    assert ledger.statement() == before


def test_nobody_burns_the_budget_of_others_with_requests_that_are_refused(ledger: Ledger) -> None:
    """Burning: whatever is refused costs nothing, and an allowance holds one analyst to a share."""
    greedy = AnalystId(text="greedy")
    ledger.set_allowance(greedy, "north/cases", CAP // 10)
    burnt = 0
    for number, plan in zip(range(16), names(), strict=True):
        try:
            ask(ledger, analyst="greedy", plan=plan, truth=number)
            burnt += 1
        except AllowanceExhaustedError:
            before = ledger.statement()
            with pytest.raises(AllowanceExhaustedError):
                ask(ledger, analyst="greedy", plan=plan, truth=number, nano_rho=CAP)
            assert ledger.statement() == before
    assert burnt == 4
    assert spent(ledger) <= CAP // 10
    ask(ledger, analyst="patient", plan="f", truth=TRUTH, nano_rho=CAP - spent(ledger))


def test_asking_for_everything_measures_no_balance(ledger: Ledger) -> None:
    """A refusal's words are the same before and after others spent, so they say nothing of how much."""
    said = set()
    for _ in range(3):
        with pytest.raises(BudgetExhaustedError) as refused:
            ask(ledger, analyst="curious", plan="e", truth=TRUTH, nano_rho=CAP + 1)
        said.add(str(refused.value))
        ask(ledger, analyst="other", plan="abc"[len(said) - 1], truth=TRUTH)
    assert len(said) == 1
