"""The ledger's promises on both databases: sums, refusals, idempotency, allowances, the cap for one person, answers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from casehaven.ledger import (
    AllowanceExhaustedError,
    AlreadyRevealedError,
    AnalystId,
    AnswerKey,
    BudgetExhaustedError,
    BudgetPolicy,
    BudgetPolicyError,
    ChargeRequestError,
    DamagedLedgerError,
    DecisionKind,
    DrawRefusedError,
    IdempotencyConflictError,
    IdempotencyKey,
    Ledger,
    LedgerError,
    LedgerExistsError,
    LedgerMissingError,
    LedgerPolicy,
    OdometerExhaustedError,
    UnboundedAccountError,
    UnknownAccountError,
    UnknownChargeError,
)
from casesynth.privacy import PrivacyLoss

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk, MakeDesk

POLICY = LedgerPolicy(account=BudgetPolicy.of("2", "1e-6"))
CAP = POLICY.account.cap_nano_rho()
BLOCKS = ("2021", "2022", "")
KEY = AnswerKey(plan_sha256="a" * 64, snapshot="north/cases@1", mechanism="discrete_gaussian_1", noise_scale=5_000)
DOCUMENT = '{"cells":[1,2,3]}'


# --- sums and refusals ------------------------------------------------------------------------------------------------------


def test_a_charge_debits_every_block_of_every_dataset_and_nothing_else(desk: Desk) -> None:
    desk.charge(5, datasets=["north/cases", "south/cases"], blocks=["2021", ""])
    desk.charge(7)
    assert desk.spent() == {
        ("north/cases", "2021"): 12,
        ("north/cases", "2022"): 0,
        ("north/cases", ""): 5,
        ("south/cases", "2021"): 5,
        ("south/cases", "2022"): 0,
        ("south/cases", ""): 5,
    }


def test_the_last_unit_may_be_spent_and_not_one_more(desk: Desk) -> None:
    desk.charge(CAP - 1)
    desk.charge(1)
    before = desk.spent()
    for amount in (1, CAP, 10**40):
        with pytest.raises(BudgetExhaustedError):
            desk.charge(amount, datasets=["north/cases", "south/cases"], blocks=BLOCKS)
    assert desk.spent() == before


def test_the_same_request_is_charged_once_and_another_under_its_key_is_refused(desk: Desk, amina: AnalystId) -> None:
    key = IdempotencyKey.create()
    first = desk.charge(50, key=key)
    assert desk.charge(50, key=key) == first
    others: tuple[dict[str, Any], ...] = (
        {"body": {"plan": 2}},
        {"blocks": ["2022"]},
        {"loss": PrivacyLoss(nano_rho=51)},
        {"analyst": amina},
    )
    for changes in others:
        with pytest.raises(IdempotencyConflictError):
            desk.charge(50, **{"key": key, **changes})
    assert desk.spent()["north/cases", "2021"] == 50


def test_what_names_no_account_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownAccountError):
        desk.charge(blocks=["1999"])
    with pytest.raises(UnknownAccountError):
        desk.open().accepts(["east/cases"])
    desk.open().accepts(["north/cases", "south/cases"])
    assert set(desk.spent().values()) == {0}


def test_a_ledger_is_never_made_over_one_that_is_there(desk: Desk) -> None:
    desk.charge(9)
    with pytest.raises(LedgerExistsError):
        Ledger.create(desk.place, POLICY, anchor=desk.folder / "other.anchor")
    assert not (desk.folder / "other.anchor").exists()
    assert desk.spent()["north/cases", "2021"] == 9


def test_a_ledger_is_never_made_beside_the_anchor_of_another(make_desk: MakeDesk) -> None:
    """Whoever deletes a ledger to begin anew finds its anchor in the way."""
    first = make_desk()
    kept = first.anchor.read_bytes()
    with pytest.raises(LedgerExistsError, match="not forgotten by starting over"):
        Ledger.create(first.folder / "fresh.sqlite", POLICY, anchor=first.anchor)
    assert not (first.folder / "fresh.sqlite").exists()
    assert first.anchor.read_bytes() == kept


TAKEN_BACK = (
    "UPDATE account SET spent_nano_rho = spent_nano_rho - 1",
    "UPDATE account SET cap_nano_rho = cap_nano_rho + 1",
    "UPDATE account SET cap_nano_rho = cap_nano_rho - 1",
    "UPDATE account SET spent_nano_rho = cap_nano_rho",
    "UPDATE account SET spent_nano_rho = cap_nano_rho WHERE account_id = (SELECT MIN(account_id) FROM ceiling)",
    "UPDATE account SET block = '1999' WHERE block = '2021'",
    "UPDATE ceiling SET nano_rho = nano_rho - 1",
    "UPDATE charge SET nano_rho = 1",
    "UPDATE charge SET draws = 0",
    "UPDATE charge SET analyst = 'other'",
    "UPDATE charge SET result_sha256 = NULL",
    "UPDATE allowance SET spent_nano_rho = 0",
    "UPDATE answer SET document = 'x'",
    "UPDATE entry SET chain = 'x'",
    "UPDATE dataset SET epsilon = '9'",
    "UPDATE ledger SET epsilon = '9'",
    "DELETE FROM account",
    "DELETE FROM charge",
    "DELETE FROM charge_line",
    "DELETE FROM answer",
    "DELETE FROM entry",
    "DELETE FROM allowance",
    "DELETE FROM ceiling",
)


def test_the_database_itself_refuses_to_take_anything_back(desk: Desk, amina: AnalystId) -> None:
    ledger = desk.open()
    receipt = desk.charge(5, ledger=ledger, analyst=amina)
    ledger.begin_draw(receipt)
    ledger.store_answer(receipt, KEY, document=DOCUMENT, visible_at=0)
    before = ledger.statement()
    for statement in TAKEN_BACK:
        with (
            pytest.raises(LedgerError),
            ledger._store.transaction(writes=True) as connection,
        ):  # beneath the code above it
            connection.execute(text(statement))
    assert desk.open().statement() == before


@pytest.mark.parametrize("column", ["charge_id", "account_id"])
def test_a_line_without_its_charge_or_account_is_refused_or_seen(desk: Desk, column: str) -> None:
    receipt = desk.charge(5)
    values = {
        "charge_id": receipt.charge_id,
        "account_id": 2,
        column: {"charge_id": "0" * 32, "account_id": 99}[column],
    }

    def write() -> None:
        with desk.open()._store.transaction(writes=True) as connection:
            connection.execute(text("INSERT INTO charge_line VALUES (:charge_id, :account_id)"), values)

    if isinstance(desk.place, Path):
        with pytest.raises(LedgerError):
            write()
        desk.open()
    else:
        write()
        with pytest.raises(DamagedLedgerError, match="not there"):
            desk.open()


NEVER_FALLS = (
    "CREATE TRIGGER account_never_falls BEFORE UPDATE ON account FOR EACH ROW WHEN (NEW.spent_nano_rho < OLD.spent_nano_rho) "
    "EXECUTE FUNCTION account_never_falls()"
)


@pytest.mark.parametrize(
    "changes",
    [
        ["ALTER TABLE account DISABLE TRIGGER account_never_falls"],
        ["ALTER TABLE account ENABLE REPLICA TRIGGER account_never_falls"],
        ["DROP TRIGGER account_never_falls ON account"],
        ["DROP TRIGGER account_never_falls ON account", NEVER_FALLS],
        [
            "CREATE OR REPLACE FUNCTION account_never_falls() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
        ],
    ],
    ids=["off", "for replicas", "gone", "another condition", "another body"],
)
def test_a_rule_of_a_server_that_is_there_by_name_alone_is_seen(make_desk: MakeDesk, changes: list[str]) -> None:
    """On SQLite the whole text of every rule is compared; there is no other way to switch one off."""
    desk = make_desk()
    if isinstance(desk.place, Path):
        changes = ["DROP TRIGGER account_never_falls"]
    with desk.open()._store.transaction(writes=True) as connection:
        for statement in changes:
            connection.exec_driver_sql(statement)
    with pytest.raises(DamagedLedgerError, match="rules"):
        desk.open()


# --- allowances ---------------------------------------------------------------------------------------------------------------


def test_an_allowance_is_the_analysts_own_and_counts_a_charge_once_however_many_blocks(
    desk: Desk, amina: AnalystId
) -> None:
    ledger = desk.open()
    ledger.set_allowance(amina, "north/cases", 100)
    desk.charge(60, ledger=ledger, analyst=amina, blocks=BLOCKS)
    state = ledger.allowance(amina, "north/cases")
    assert (state.limit_nano_rho, state.spent_nano_rho, state.left_nano_rho) == (100, 60, 40)
    with pytest.raises(AllowanceExhaustedError, match=r"0\.000000041 rho, and of your own .* 0\.000000040 rho is left"):
        desk.charge(41, ledger=ledger, analyst=amina)
    desk.charge(41, ledger=ledger, analyst=AnalystId(text="omar"))
    desk.charge(40, ledger=ledger, analyst=amina)
    assert desk.spent()["north/cases", "2021"] == 141


def test_an_allowance_never_pays_for_what_the_account_has_not(desk: Desk, amina: AnalystId) -> None:
    ledger = desk.open()
    ledger.set_allowance(amina, "north/cases", 10 * CAP)
    with pytest.raises(BudgetExhaustedError):
        desk.charge(CAP + 1, ledger=ledger, analyst=amina)
    assert ledger.allowance(amina, "north/cases").spent_nano_rho == 0


def test_an_allowance_may_be_lowered_below_what_was_spent_and_lifted(desk: Desk, amina: AnalystId) -> None:
    ledger = desk.open()
    desk.charge(60, ledger=ledger, analyst=amina)
    assert ledger.set_allowance(amina, "north/cases", 10).left_nano_rho == 0
    with pytest.raises(AllowanceExhaustedError):
        desk.charge(1, ledger=ledger, analyst=amina)
    assert ledger.set_allowance(amina, "north/cases", None).left_nano_rho is None
    desk.charge(1, ledger=ledger, analyst=amina)


@pytest.mark.parametrize("amount", [-1, 1.5, True, 1 << 63])
def test_an_allowance_is_a_whole_amount(desk: Desk, amina: AnalystId, amount: Any) -> None:
    with pytest.raises(ChargeRequestError):
        desk.open().set_allowance(amina, "north/cases", amount)
    with pytest.raises(UnknownAccountError):
        desk.open().set_allowance(amina, "east/cases", 5)


# --- rule 18: over-asking -------------------------------------------------------------------------------------------------------


def test_a_refusal_tells_an_analyst_nothing_of_what_others_spent(make_desk: MakeDesk, amina: AnalystId) -> None:
    """The words of a refusal are the same whether others spent much or little."""
    desk, said = make_desk(), set()
    ledger = desk.open()
    for others in (CAP - 50, 20, 20):
        desk.charge(others, ledger=ledger, analyst=AnalystId(text="omar"))
        before = ledger.statement()
        with pytest.raises(BudgetExhaustedError) as refused:
            desk.charge(CAP, ledger=ledger, analyst=amina)
        assert ledger.statement() == before
        said.add(str(refused.value))
    assert len(said) == 1
    assert "your own allowance for north/cases has no limit" in said.pop()


# --- the cap for one person -------------------------------------------------------------------------------------------------------


def capped(epsilon: str, tokens: int | None = None) -> LedgerPolicy:
    return replace(POLICY, odometer_epsilon=Decimal(epsilon), max_tokens_per_person=tokens)


def test_no_charge_takes_the_worst_person_above_the_cap(make_desk: MakeDesk) -> None:
    policy = capped("2", 2)
    desk, both = make_desk(policy), ["north/cases", "south/cases"]
    cap = policy.odometer_policy().cap_nano_rho()
    desk.charge(cap // 4, datasets=both)  # rho n^2: two tokens, four times
    before = desk.open().statement()
    assert before.odometer.nano_rho <= cap
    for datasets in (both, ["north/cases"]):
        with pytest.raises(OdometerExhaustedError):
            desk.charge(5, datasets=datasets)
    assert desk.open().statement() == before
    desk.charge(5, blocks=["2022"])  # another year's people
    assert desk.open().statement().odometer.nano_rho <= cap


def test_a_cap_for_one_person_says_nothing_of_balances(make_desk: MakeDesk) -> None:
    with pytest.raises(OdometerExhaustedError, match="^the cap for one person over all datasets"):
        make_desk(capped("0.5")).charge(CAP)
    with pytest.raises(BudgetPolicyError):
        LedgerPolicy(
            account=BudgetPolicy(epsilon=Decimal(2), delta_units=10**9, additive_delta_units=5),
            odometer_epsilon=Decimal(2),
        )


# --- answers ------------------------------------------------------------------------------------------------------------------


def stored(desk: Desk, key: AnswerKey = KEY, document: str = DOCUMENT, **changes: Any) -> Any:
    ledger = desk.open()
    receipt = desk.charge(ledger=ledger, **changes)
    ledger.begin_draw(receipt)
    return ledger.store_answer(receipt, key, document=document, visible_at=77)


def test_an_answer_is_stored_with_its_charge_and_found_again_byte_for_byte(desk: Desk, amina: AnalystId) -> None:
    key = IdempotencyKey.create()
    made = stored(desk, key=KEY, document=DOCUMENT, analyst=amina)
    assert (made.document, made.visible_at, made.key) == (DOCUMENT, 77, KEY)
    assert desk.open().cached_answer(KEY) == made
    assert desk.open().answers() == desk.open().answers(analyst=amina) == (made,)
    assert desk.open().answers(snapshot="north/cases@2") == ()
    assert desk.open().answers(analyst=AnalystId(text="omar")) == ()
    assert "amina" not in repr(made)
    assert desk.open().find(key) is None


def test_a_replay_finds_its_answer_and_draws_nothing(desk: Desk) -> None:
    ledger, key = desk.open(), IdempotencyKey.create()
    receipt = desk.charge(key=key)
    assert ledger.answer_of(receipt) is None
    ledger.begin_draw(receipt)
    made = ledger.store_answer(receipt, KEY, document=DOCUMENT, visible_at=0)
    again = desk.charge(key=key)
    assert again == receipt
    assert desk.open().answer_of(again) == made
    with pytest.raises(AlreadyRevealedError):
        ledger.begin_draw(again)
    assert ledger.store_answer(receipt, KEY, document=DOCUMENT, visible_at=0) == made  # the same again changes nothing
    with pytest.raises(AlreadyRevealedError):
        ledger.store_answer(receipt, KEY, document="{}", visible_at=0)


def test_of_two_draws_for_one_key_the_first_that_was_stored_is_shown_and_both_charges_stand(desk: Desk) -> None:
    first, second = stored(desk, document="first"), stored(desk, document="second")
    assert second == first
    assert desk.spent()["north/cases", "2021"] == 2000
    assert len(desk.open().answers()) == 1


def test_a_weaker_accuracy_is_served_from_a_stronger_answer_and_never_the_other_way_round(desk: Desk) -> None:
    strong = stored(desk, replace(KEY, noise_scale=1_000), "strong")
    weak = stored(desk, replace(KEY, noise_scale=9_000), "weak")
    ledger = desk.open()
    assert ledger.cached_answer(replace(KEY, noise_scale=9_000)) == strong
    assert ledger.cached_answer(replace(KEY, noise_scale=1_000)) == strong
    assert ledger.cached_answer(replace(KEY, noise_scale=999)) is None
    assert ledger.answers() == (strong, weak)
    for other in (
        replace(KEY, plan_sha256="b" * 64),
        replace(KEY, snapshot="north/cases@2"),
        replace(KEY, mechanism="other"),
    ):
        assert ledger.cached_answer(other) is None


def test_nothing_is_stored_that_was_not_paid_for_and_drawn(desk: Desk) -> None:
    ledger, receipt = desk.open(), desk.charge()
    with pytest.raises(DrawRefusedError):
        ledger.store_answer(receipt, KEY, document=DOCUMENT, visible_at=0)
    with pytest.raises(UnknownChargeError):
        ledger.store_answer(replace(receipt, charge_id="0" * 32), KEY, document=DOCUMENT, visible_at=0)
    release = desk.charge(purpose="synthetic_release")
    ledger.begin_draw(release)
    with pytest.raises(ChargeRequestError, match="purpose"):
        ledger.store_answer(release, KEY, document=DOCUMENT, visible_at=0)
    ledger.begin_draw(receipt)
    for document, visible_at in (("", 0), ("\x00", 0), ("\ud800", 0), (DOCUMENT, -1), (DOCUMENT, 1.5)):
        with pytest.raises(ChargeRequestError):
            ledger.store_answer(receipt, KEY, document=document, visible_at=visible_at)  # type: ignore[arg-type]  # on purpose
    assert ledger.answers() == ()


@pytest.mark.parametrize(
    "changes",
    [{"plan_sha256": "A" * 64}, {"snapshot": ""}, {"snapshot": "é"}, {"mechanism": "Gauss"}, {"noise_scale": 0}],
)
def test_the_key_of_an_answer_has_one_spelling(changes: dict[str, Any]) -> None:
    with pytest.raises(ChargeRequestError):
        replace(KEY, **changes)


def test_an_answer_is_no_release_and_stands_in_nobodys_way(desk: Desk) -> None:
    """Nothing is decided about an answer, so the private report of a release does not wait for it (privacy rule 33)."""
    stored(desk)
    ledger = desk.open()
    release = desk.charge(purpose="synthetic_release")
    ledger.begin_draw(release)
    ledger.mark_revealed(release, "c" * 64)
    ledger.decide(release.charge_id, DecisionKind.PUBLISHED)
    ledger.decide(release.charge_id, DecisionKind.REPORT_OPENED)
    assert [each.charge_id for each in ledger.statement().releases] == [release.charge_id]


def test_a_marked_dataset_answers_nothing_any_more(desk: Desk) -> None:
    receipt = desk.charge()
    desk.open().mark_unbounded("north/cases", "ef" * 32)
    for refused in (desk.charge, lambda: desk.open().begin_draw(receipt), lambda: desk.open().accepts(["north/cases"])):
        with pytest.raises(UnboundedAccountError):
            refused()


# --- the two databases ----------------------------------------------------------------------------------------------------------


def test_every_amount_is_an_integer_in_the_database(desk: Desk) -> None:
    stored(desk)
    with desk.open()._store.transaction(writes=False) as connection:
        rows = connection.execute(text("SELECT cap_nano_rho, spent_nano_rho FROM account")).all()
        kinds = {type(value) for row in rows for value in row}
        if connection.dialect.name == "postgresql":
            found = "SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = 'casehaven_ledger'"
            assert set(connection.scalars(text(found))) == {"bigint", "integer", "text"}
    assert kinds == {int}


def test_no_message_of_the_database_reaches_anybody(desk: Desk) -> None:
    ledger = desk.open()
    with pytest.raises(LedgerError) as refused, ledger._store.transaction(writes=True) as connection:
        connection.execute(text("SELECT secret_word FROM nowhere"))
    assert "secret_word" not in str(refused.value)
    assert not isinstance(refused.value, DBAPIError)


def test_a_server_that_does_not_answer_is_said_to_be_away() -> None:
    with pytest.raises(LedgerMissingError, match="does not answer") as refused:
        Ledger.open("postgresql://clerk:secret@127.0.0.1:1/none")
    assert "secret" not in str(refused.value)
