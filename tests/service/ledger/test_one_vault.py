"""The accounts of a dataset are those of one vault, for good, on both databases; and what was shown at no charge stays what it was."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from casehaven.ledger import (
    AnswerKey,
    BudgetExhaustedError,
    BudgetPolicy,
    ChargeRequestError,
    IdempotencyConflictError,
    IdempotencyKey,
    LedgerAnchorMissingError,
    LedgerError,
    LedgerPolicy,
    OdometerExhaustedError,
    OtherVaultError,
)

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk, MakeDesk

CAP = BudgetPolicy.of("2", "1e-6").cap_nano_rho()
VAULT, OTHER = "aa" * 16, "bb" * 16
KEY = AnswerKey(plan_sha256="a" * 64, snapshot="north/cases@1", mechanism="discrete_gaussian_1", noise_scale=5_000)
BODY = {"question": 1}


def test_the_first_charge_binds_every_dataset_of_it_to_the_vault(desk: Desk) -> None:
    both = ["north/cases", "south/cases"]
    desk.charge(5, datasets=both, vault_id=VAULT)
    before = desk.open().statement()
    for datasets in (both, ["north/cases"], ["south/cases"]):
        with pytest.raises(OtherVaultError, match="another vault"):
            desk.charge(5, datasets=datasets, vault_id=OTHER)
    with pytest.raises(OtherVaultError):
        desk.open().open_dataset("north/cases", ["2021"], vault_id=OTHER)
    with pytest.raises(OtherVaultError):
        desk.open().mark_unbounded("north/cases", "ef" * 32, vault_id=OTHER)
    assert desk.open().statement() == before
    desk.charge(5, datasets=both, vault_id=VAULT)


def test_records_of_a_file_are_charged_and_bind_nothing(desk: Desk) -> None:
    desk.charge(5)
    desk.charge(5, vault_id=VAULT)
    desk.charge(5)
    assert desk.spent()["north/cases", "2021"] == 15


def test_opening_accounts_binds_too_and_so_does_opening_them_again(desk: Desk) -> None:
    desk.open().open_dataset("east/cases", ["2021"], vault_id=VAULT)
    desk.open().open_dataset("north/cases", ["2021"], vault_id=VAULT)  # its accounts are all there
    for dataset in ("east/cases", "north/cases"):
        with pytest.raises(OtherVaultError):
            desk.charge(datasets=[dataset], vault_id=OTHER)
    desk.charge(datasets=["south/cases"], vault_id=OTHER)


def test_a_refused_charge_binds_nothing(make_desk: MakeDesk) -> None:
    desk = make_desk(LedgerPolicy(account=BudgetPolicy.of("2", "1e-6"), odometer_epsilon=Decimal("0.5")))
    for refused, nano_rho in ((BudgetExhaustedError, 1 << 61), (OdometerExhaustedError, CAP)):
        with pytest.raises(refused):
            desk.charge(nano_rho, vault_id=OTHER)
    desk.charge(vault_id=VAULT)


def test_a_copy_that_is_resumed_learns_the_vault_from_the_anchor(desk: Desk) -> None:
    put_back = desk.copy()
    desk.draw(5, vault_id=VAULT)
    put_back()
    assert desk.open().resume()
    with pytest.raises(OtherVaultError):
        desk.charge(vault_id=OTHER)
    desk.charge(vault_id=VAULT)


def test_a_copy_that_missed_no_draw_learns_it_too(desk: Desk) -> None:
    put_back = desk.copy()
    desk.charge(vault_id=VAULT)
    put_back()  # nothing was drawn, so the copy is not behind; the anchor knows the vault all the same
    with pytest.raises(OtherVaultError):
        desk.charge(vault_id=OTHER)
    desk.charge(vault_id=VAULT)


def test_the_database_itself_keeps_the_vault(desk: Desk) -> None:
    desk.charge(vault_id=VAULT)
    for statement in ("UPDATE vault_of_dataset SET vault_id = 'x'", "DELETE FROM vault_of_dataset"):
        with pytest.raises(LedgerError), desk.open()._store.transaction(writes=True) as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize("vault_id", ["", "a b", "é", "a" * 65, 7])
def test_the_id_of_a_vault_has_one_spelling(desk: Desk, vault_id: object) -> None:
    with pytest.raises(ChargeRequestError):
        desk.charge(vault_id=vault_id)


# --- what was shown at no charge ---------------------------------------------------------------------------------------------


def test_what_was_shown_at_no_charge_is_shown_again_byte_for_byte(desk: Desk) -> None:
    key = IdempotencyKey.create()
    assert desk.open().served(key, BODY) is None
    assert desk.open().keep_served(key, BODY, "first") == "first"
    assert desk.open().keep_served(key, BODY, "second") == "first"
    assert desk.open().served(key, BODY) == "first"
    assert set(desk.spent().values()) == {0}


def test_a_key_stands_for_one_request_whether_it_was_charged_or_not(desk: Desk) -> None:
    ledger, shown, charged = desk.open(), IdempotencyKey.create(), IdempotencyKey.create()
    ledger.keep_served(shown, BODY, "first")
    desk.charge(key=charged)
    for refused in (
        lambda: ledger.served(shown, {"question": 2}),
        lambda: ledger.keep_served(shown, {"question": 2}, "second"),
        lambda: ledger.keep_served(charged, BODY, "second"),
        lambda: desk.charge(key=shown),
    ):
        with pytest.raises(IdempotencyConflictError):
            refused()
    assert desk.spent()["north/cases", "2021"] == 1000


def test_a_stored_answer_that_is_shown_at_no_charge_is_kept_once(desk: Desk) -> None:
    ledger, receipt = desk.open(), desk.charge()
    ledger.begin_draw(receipt)
    document = '{"cells":[1,2,3]}' * 1000
    ledger.store_answer(receipt, KEY, document=document, visible_at=0)
    key = IdempotencyKey.create()
    ledger.keep_served(key, BODY, document)
    assert ledger.served(key, BODY) == document
    with ledger._store.transaction(writes=False) as connection:
        assert connection.execute(text("SELECT document FROM served")).scalar() is None


def test_without_the_anchor_nothing_is_kept_or_shown(desk: Desk) -> None:
    ledger, key = desk.open(), IdempotencyKey.create()
    ledger.keep_served(key, BODY, "first")
    desk.anchor.rename(desk.folder / "away")
    with pytest.raises(LedgerAnchorMissingError):
        ledger.served(key, BODY)
    with pytest.raises(LedgerAnchorMissingError):
        ledger.keep_served(IdempotencyKey.create(), BODY, "first")


def test_answers_are_found_by_their_plan(desk: Desk) -> None:
    ledger, receipt = desk.open(), desk.charge()
    ledger.begin_draw(receipt)
    made = ledger.store_answer(receipt, KEY, document="{}", visible_at=0)
    assert ledger.answers(plan="a" * 64) == (made,)
    assert ledger.answers(plan="b" * 64) == ()
