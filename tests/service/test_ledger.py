"""The ledger's promises, one by one: exact sums, all or nothing, idempotency, the redraw rule, and what may be charged at all."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from casehaven.ledger import (
    AccountNameError,
    AlreadyRevealedError,
    BudgetExhaustedError,
    BudgetPolicy,
    BudgetPolicyError,
    ChargeRequestError,
    ChargeState,
    DrawRefusedError,
    IdempotencyConflictError,
    IdempotencyKey,
    IdempotencyKeyError,
    Ledger,
    LedgerExistsError,
    LedgerMissingError,
    LedgerPolicy,
    LedgerStorageError,
    UnknownAccountError,
    UnknownChargeError,
)
from casehaven.ledger._store import connect
from casesynth.privacy import PrivacyLoss, PrivacyLossError, Receipt
from casesynth.privacy.accounting import epsilon_for, rho_for

POLICY = LedgerPolicy(account=BudgetPolicy.of("2", "1e-6"))
CAP = rho_for(2.0, 1e-6)
BLOCKS = ["2021", "2022", ""]
DIGEST, OTHER_DIGEST = "a" * 64, "b" * 64


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.create(tmp_path / "ledger.sqlite", POLICY)
    for dataset in ("north/cases", "south/cases"):
        made.open_dataset(dataset, BLOCKS)
    return made


def charge(ledger: Ledger, nano_rho: int, **changes: Any) -> Receipt:
    request: dict[str, Any] = {
        "key": IdempotencyKey.create(),
        "body": {"plan": 1},
        "datasets": ["north/cases"],
        "blocks": ["2021"],
        "loss": PrivacyLoss(nano_rho=nano_rho),
        "purpose": "synthetic_release",
    }
    return ledger.charge(**{**request, **changes})


def spent(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {(row.dataset, row.block): row.spent_nano_rho for row in ledger.statement().rows}


# --- sums -----------------------------------------------------------------------------------------------------------------


def test_charges_add_up_exactly_and_only_where_they_were_charged(ledger: Ledger) -> None:
    amounts = [1, 10, 333_333, 7]
    for amount in amounts:
        charge(ledger, amount, blocks=["2021", ""])
    assert spent(ledger) == {
        ("north/cases", ""): sum(amounts),
        ("north/cases", "2021"): sum(amounts),
        ("north/cases", "2022"): 0,
        ("south/cases", ""): 0,
        ("south/cases", "2021"): 0,
        ("south/cases", "2022"): 0,
    }


def test_a_pooled_charge_debits_every_block_of_every_dataset(ledger: Ledger) -> None:
    charge(ledger, 5, datasets=["north/cases", "south/cases"], blocks=BLOCKS)
    assert set(spent(ledger).values()) == {5}


def test_a_name_given_twice_is_charged_once(ledger: Ledger) -> None:
    charge(ledger, 5, datasets=["north/cases", "north/cases"], blocks=["2021", "2021"])
    assert spent(ledger)["north/cases", "2021"] == 5


def test_the_cap_is_the_largest_rho_within_the_policy(ledger: Ledger) -> None:
    row = ledger.statement().rows[0]
    assert row.cap_nano_rho == CAP == ledger.open_dataset("north/cases", BLOCKS)
    assert epsilon_for(CAP, 1e-6) <= 2 < epsilon_for(CAP + 1, 1e-6)


def test_the_last_unit_can_be_spent_and_not_one_more(ledger: Ledger) -> None:
    charge(ledger, CAP - 1)
    charge(ledger, 1)
    with pytest.raises(BudgetExhaustedError):
        charge(ledger, 1)
    row = next(row for row in ledger.statement().rows if row.spent_nano_rho)
    assert (row.remaining_nano_rho, row.spent_nano_rho) == (0, CAP)
    assert row.epsilon <= 2


# --- refusals -------------------------------------------------------------------------------------------------------------


def test_a_refused_charge_leaves_every_balance_unchanged(ledger: Ledger) -> None:
    charge(ledger, CAP - 10, datasets=["south/cases"], blocks=["2022"])
    before = spent(ledger)
    key = IdempotencyKey.create()
    with pytest.raises(BudgetExhaustedError, match=r"south/cases: asked 0\.000000011 rho .*left 0\.000000010 rho"):
        charge(ledger, 11, key=key, datasets=["north/cases", "south/cases"], blocks=BLOCKS)
    assert spent(ledger) == before
    assert ledger.find(key) is None


def test_a_refused_key_can_be_used_again_for_a_smaller_request(ledger: Ledger) -> None:
    key = IdempotencyKey.create()
    with pytest.raises(BudgetExhaustedError):
        charge(ledger, CAP + 1, key=key)
    charge(ledger, CAP, key=key)


def test_an_amount_beyond_every_integer_of_the_database_is_refused_like_any_other(ledger: Ledger) -> None:
    with pytest.raises(BudgetExhaustedError):
        charge(ledger, 10**40)
    assert set(spent(ledger).values()) == {0}


@pytest.mark.parametrize("amount", [0, -1, 1.0, 1e-300, float("nan"), float("inf"), True, "1", None])
def test_an_amount_that_is_no_positive_integer_never_becomes_a_loss(amount: Any) -> None:
    with pytest.raises(PrivacyLossError):
        PrivacyLoss(nano_rho=amount)


@pytest.mark.parametrize("loss", [0, -1, 5, 1e-300, float("nan"), None, "5"])
def test_a_bare_number_is_not_charged(ledger: Ledger, loss: Any) -> None:
    with pytest.raises(ChargeRequestError):
        charge(ledger, 1, loss=loss)
    assert set(spent(ledger).values()) == {0}


def test_a_policy_with_a_tiny_epsilon_still_pays_in_whole_units() -> None:
    assert BudgetPolicy.of("0.001", "1e-6").cap_nano_rho() >= 1
    for epsilon in ("1e-300", "0", "-1", "nan", "inf", "101", "one"):
        with pytest.raises(BudgetPolicyError):
            BudgetPolicy.of(epsilon, "1e-6")
    for delta in ("1e-300", "0", "-1e-6", "nan", "0.5", "small"):
        with pytest.raises(BudgetPolicyError):
            BudgetPolicy.of("1", delta)


def test_a_delta_between_two_units_is_rounded_to_the_stricter_side() -> None:
    assert BudgetPolicy.of("1", "1.9999e-15").delta_units == 1


def test_a_loss_with_delta_is_refused_unless_the_policy_set_delta_aside(tmp_path: Path, ledger: Ledger) -> None:
    with_delta = PrivacyLoss(nano_rho=1, delta_units=3 * 10**8)
    with pytest.raises(BudgetExhaustedError):
        charge(ledger, 1, loss=with_delta)
    aside = BudgetPolicy(epsilon=POLICY.account.epsilon, delta_units=10**9, additive_delta_units=5 * 10**8)
    other = Ledger.create(tmp_path / "other.sqlite", LedgerPolicy(account=aside))
    other.open_dataset("north/cases", BLOCKS)
    charge(other, 1, loss=with_delta)
    with pytest.raises(BudgetExhaustedError):
        charge(other, 1, loss=with_delta)
    assert [row.spent_delta_units for row in other.statement().rows] == [0, 3 * 10**8, 0]
    assert aside.cap_nano_rho() < CAP  # what was set aside no longer serves the conversion


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"datasets": []}, ChargeRequestError),
        ({"blocks": []}, ChargeRequestError),
        ({"blocks": "2021"}, ChargeRequestError),
        ({"purpose": ""}, ChargeRequestError),
        ({"body": {"x": float("nan")}}, ChargeRequestError),
        ({"body": {1: "x"}}, ChargeRequestError),
        ({"body": ["x"]}, ChargeRequestError),
        ({"body": {"x": object()}}, ChargeRequestError),
        ({"datasets": ["North/cases"]}, AccountNameError),
        ({"datasets": ["north"]}, AccountNameError),
        ({"datasets": ["north/cases\n"]}, AccountNameError),
        ({"blocks": ["21"]}, AccountNameError),
        ({"blocks": ["٢٠٢١"]}, AccountNameError),
        ({"blocks": ["2020"]}, UnknownAccountError),
        ({"datasets": ["north/other"]}, UnknownAccountError),
        ({"datasets": ["north/cases", "north/other"]}, UnknownAccountError),
    ],
)
def test_a_charge_that_names_nothing_sensible_is_refused(
    ledger: Ledger, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        charge(ledger, 1, **changes)
    assert set(spent(ledger).values()) == {0}


# --- accounts -------------------------------------------------------------------------------------------------------------


def test_opening_a_dataset_again_opens_no_fresh_budget(ledger: Ledger) -> None:
    charge(ledger, 100)
    ledger.open_dataset("north/cases", BLOCKS)
    assert spent(ledger)["north/cases", "2021"] == 100


def test_a_new_year_brings_its_own_budget_under_the_same_cap(ledger: Ledger) -> None:
    charge(ledger, 100, blocks=BLOCKS)
    ledger.open_dataset("north/cases", ["2022", "2023"])
    assert spent(ledger)["north/cases", "2023"] == 0
    assert spent(ledger)["north/cases", "2022"] == 100
    assert {row.cap_nano_rho for row in ledger.statement().rows} == {CAP}


def test_a_dataset_may_be_stricter_than_the_ledger_and_keeps_its_cap(ledger: Ledger) -> None:
    strict = BudgetPolicy.of("1", "1e-7")
    assert ledger.open_dataset("east/cases", ["2021"], strict) == strict.cap_nano_rho() < CAP
    assert ledger.open_dataset("east/cases", ["2022"]) == strict.cap_nano_rho()
    with pytest.raises(BudgetPolicyError, match="its cap never changes but by a raise"):
        ledger.open_dataset("east/cases", ["2021"], BudgetPolicy.of("1.5", "1e-7"))


@pytest.mark.parametrize(("epsilon", "delta"), [("3", "1e-6"), ("1", "1e-5")])
def test_a_dataset_is_never_more_generous_than_the_ledger(ledger: Ledger, epsilon: str, delta: str) -> None:
    with pytest.raises(BudgetPolicyError, match="the ledger allows epsilon 2"):
        ledger.open_dataset("east/cases", ["2021"], BudgetPolicy.of(epsilon, delta))
    with pytest.raises(UnknownAccountError):
        charge(ledger, 1, datasets=["east/cases"])


# --- idempotency (privacy rule 16) --------------------------------------------------------------------------------------


def test_the_same_request_again_gets_the_same_receipt_at_no_charge(ledger: Ledger) -> None:
    key = IdempotencyKey.create()
    first = charge(ledger, 50, key=key, body={"a": 1, "b": 2}, datasets=["north/cases", "south/cases"])
    again = charge(ledger, 50, key=key, body={"b": 2, "a": 1}, datasets=["south/cases", "north/cases"])
    assert again == first
    assert Ledger.open(ledger.path).record(first).receipt == first
    assert spent(ledger)["north/cases", "2021"] == 50


def test_a_replay_is_answered_even_when_the_budget_is_spent(ledger: Ledger) -> None:
    key = IdempotencyKey.create()
    first = charge(ledger, CAP, key=key)
    assert charge(ledger, CAP, key=key) == first


@pytest.mark.parametrize(
    "changes",
    [
        {"body": {"plan": 2}},
        {"body": {"plan": "1"}},
        {"body": {"plan": True}},
        {"datasets": ["south/cases"]},
        {"blocks": ["2022"]},
        {"loss": PrivacyLoss(nano_rho=51)},
        {"purpose": "pooled_statistics"},
    ],
)
def test_the_same_key_with_another_request_is_refused(ledger: Ledger, changes: dict[str, Any]) -> None:
    key = IdempotencyKey.create()
    charge(ledger, 50, key=key)
    before = spent(ledger)
    with pytest.raises(IdempotencyConflictError):
        charge(ledger, 50, **{"key": key, **changes})
    assert spent(ledger) == before


@pytest.mark.parametrize("text", ["", "short", "has space", "a" * 129, "ümlaut-key", "-leading", "line\nbreak"])
def test_a_key_is_plain_text_of_a_sensible_length(text: str) -> None:
    with pytest.raises(IdempotencyKeyError):
        IdempotencyKey(text=text)


# --- draws (privacy rule 14) ----------------------------------------------------------------------------------------------


def test_a_charge_allows_one_draw_and_one_redraw_and_no_third(ledger: Ledger) -> None:
    receipt = charge(ledger, 5)
    assert ledger.record(receipt).state is ChargeState.CHARGED
    assert ledger.begin_draw(receipt).state is ChargeState.DRAWN
    assert ledger.begin_draw(receipt).state is ChargeState.REDRAWN
    with pytest.raises(DrawRefusedError):
        ledger.begin_draw(receipt)
    assert spent(ledger)["north/cases", "2021"] == 5


@pytest.mark.parametrize("draws", [1, 2])
def test_nothing_is_drawn_again_once_it_was_revealed(ledger: Ledger, draws: int) -> None:
    receipt = charge(ledger, 5)
    for _ in range(draws):
        ledger.begin_draw(receipt)
    assert ledger.mark_revealed(receipt, DIGEST).state is ChargeState.REVEALED
    with pytest.raises(AlreadyRevealedError) as refused:
        ledger.begin_draw(receipt)
    assert refused.value.result_digest == DIGEST


def test_a_replay_of_a_revealed_request_says_so_with_the_stored_digest(ledger: Ledger) -> None:
    key = IdempotencyKey.create()
    receipt = charge(ledger, 5, key=key)
    ledger.begin_draw(receipt)
    ledger.mark_revealed(receipt, DIGEST)
    replayed = charge(ledger, 5, key=key)
    found = ledger.find(key)
    assert replayed == receipt
    assert found is not None
    assert (found.state, found.result_digest, found.receipt) == (ChargeState.REVEALED, DIGEST, receipt)


def test_one_charge_reveals_one_result(ledger: Ledger) -> None:
    receipt = charge(ledger, 5)
    ledger.begin_draw(receipt)
    ledger.mark_revealed(receipt, DIGEST)
    ledger.mark_revealed(receipt, DIGEST)
    with pytest.raises(AlreadyRevealedError):
        ledger.mark_revealed(receipt, OTHER_DIGEST)
    assert ledger.record(receipt).result_digest == DIGEST


def test_nothing_is_revealed_that_was_not_drawn(ledger: Ledger) -> None:
    with pytest.raises(DrawRefusedError):
        ledger.mark_revealed(charge(ledger, 5), DIGEST)


@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, None])
def test_a_result_is_recorded_by_its_sha256_only(ledger: Ledger, digest: Any) -> None:
    receipt = charge(ledger, 5)
    ledger.begin_draw(receipt)
    with pytest.raises(ChargeRequestError):
        ledger.mark_revealed(receipt, digest)


def test_a_receipt_that_was_not_issued_opens_nothing(ledger: Ledger) -> None:
    issued = charge(ledger, 5)
    for forged in (
        Receipt(charge_id="0" * 32, loss=issued.loss),
        Receipt(charge_id=issued.charge_id, loss=PrivacyLoss(nano_rho=6)),
    ):
        for call in (ledger.begin_draw, ledger.record, lambda receipt: ledger.mark_revealed(receipt, DIGEST)):
            with pytest.raises(UnknownChargeError):
                call(forged)


# --- the file -------------------------------------------------------------------------------------------------------------


def test_only_the_owner_may_read_the_ledger_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = Ledger.create(tmp_path / "ledger.sqlite", POLICY)
        made.open_dataset("north/cases", BLOCKS)
    finally:
        os.umask(old)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_ledger_is_never_created_over_a_file(ledger: Ledger, tmp_path: Path) -> None:
    charge(ledger, 5)
    with pytest.raises(LedgerExistsError):
        Ledger.create(ledger.path, POLICY)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(LedgerExistsError):
        Ledger.create(tmp_path / "dangling", POLICY)
    assert spent(ledger)["north/cases", "2021"] == 5


def test_opening_never_creates_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerMissingError):
        Ledger.open(tmp_path / "none.sqlite")
    with pytest.raises(LedgerStorageError):
        Ledger.create(tmp_path / "no folder" / "ledger.sqlite", POLICY)
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_characters_of_an_address_is_a_plain_path(tmp_path: Path) -> None:
    made = Ledger.create(tmp_path / "a?mode=memory#%20.sqlite", POLICY)
    made.open_dataset("north/cases", BLOCKS)
    assert len(Ledger.open(made.path).statement().rows) == 3


def test_every_connection_waits_for_the_disk_and_checks_references(ledger: Ledger) -> None:
    connection = connect(ledger.path)
    try:
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    finally:
        connection.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}  # 2 is FULL


def test_no_amount_is_a_float_in_the_database(ledger: Ledger) -> None:
    receipt = charge(ledger, 333, datasets=["north/cases", "south/cases"])
    ledger.begin_draw(receipt)
    connection = sqlite3.connect(ledger.path)
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            assert {column[2] for column in columns} <= {"INTEGER", "TEXT"}
            for column in columns:
                kinds = {row[0] for row in connection.execute(f"SELECT DISTINCT typeof({column[1]}) FROM {table}")}
                assert "real" not in kinds
    finally:
        connection.close()
    assert len(tables) == 20


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE account SET spent_nano_rho = spent_nano_rho - 1",
        "UPDATE account SET cap_nano_rho = cap_nano_rho + 1",
        "UPDATE account SET spent_nano_rho = cap_nano_rho + 1",
        "UPDATE account SET block = '1999' WHERE block = '2021'",
        "UPDATE account SET spent_nano_rho = 5.5",
        "DELETE FROM account",
        "UPDATE charge SET nano_rho = 1",
        "UPDATE charge SET draws = 0",
        "UPDATE charge SET draws = 3",
        "UPDATE charge SET result_sha256 = NULL",
        "UPDATE charge SET result_sha256 = 'c'",
        "DELETE FROM charge",
        "DELETE FROM charge_line",
        "UPDATE charge_line SET account_id = 2",
        "UPDATE dataset SET epsilon = '9'",
        "DELETE FROM dataset",
        "UPDATE ledger SET epsilon = '9'",
        "DELETE FROM ledger",
    ],
)
def test_the_database_itself_refuses_to_take_spending_back(ledger: Ledger, statement: str) -> None:
    receipt = charge(ledger, 5, blocks=BLOCKS)
    ledger.begin_draw(receipt)
    ledger.begin_draw(receipt)
    ledger.mark_revealed(receipt, DIGEST)
    connection = connect(ledger.path)
    try:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    finally:
        connection.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger, receipt: ledger.begin_draw(receipt),
        lambda ledger, receipt: ledger.mark_revealed(receipt, DIGEST),
        lambda ledger, receipt: ledger.statement(),
        lambda ledger, receipt: ledger.open_dataset("north/cases", ["2024"]),
    ],
)
def test_no_call_lowers_what_was_charged(ledger: Ledger, call: Callable[[Ledger, Receipt], object]) -> None:
    receipt = charge(ledger, 5, blocks=BLOCKS)
    ledger.begin_draw(receipt)
    before = spent(ledger)
    call(ledger, receipt)
    after = spent(ledger)
    assert all(after[account] == amount for account, amount in before.items())
