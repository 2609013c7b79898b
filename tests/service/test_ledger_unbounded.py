"""The mark of a dataset that was released without differential privacy: for good, for all its blocks, and said wherever money is counted."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from casehaven.cli._root import main
from casehaven.errors import EXIT_REFUSED, outcome_of
from casehaven.ledger import (
    BudgetPolicy,
    ChargeRequestError,
    IdempotencyKey,
    Ledger,
    LedgerPolicy,
    UnboundedAccountError,
    UnboundedRequestUsedError,
    UnknownAccountError,
)
from casesynth.privacy import PrivacyLoss, Receipt

REQUEST = "ab" * 32
OTHER = "cd" * 32
RESULT = "ef" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger with two datasets of two blocks each."""
    made = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of(8, "1e-6")))
    for dataset in ("north/cases", "south/cases"):
        made.open_dataset(dataset, ["2019", ""])
    return made


def charge(ledger: Ledger, *datasets: str, key: str = "request-1") -> Receipt:
    """Charge a little to block 2019."""
    return ledger.charge(
        key=IdempotencyKey(text=key),
        body={},
        datasets=datasets,
        blocks=["2019"],
        loss=PrivacyLoss(nano_rho=1000),
        purpose="synthetic_release",
    )


def test_nothing_is_charged_to_a_marked_dataset_and_no_balance_changes(ledger: Ledger) -> None:
    ledger.mark_unbounded("north/cases", REQUEST)
    for datasets in (("north/cases",), ("south/cases", "north/cases")):
        with pytest.raises(UnboundedAccountError, match="unbounded for good"):
            charge(ledger, *datasets)
    assert {row.spent_nano_rho for row in ledger.statement().rows} == {0}
    charge(ledger, "south/cases")


def test_nothing_is_drawn_under_an_earlier_charge_of_a_marked_dataset(ledger: Ledger) -> None:
    receipt = charge(ledger, "north/cases", "south/cases")
    ledger.mark_unbounded("north/cases", REQUEST)
    with pytest.raises(UnboundedAccountError):
        ledger.begin_draw(receipt)


def test_what_was_measured_before_may_be_finished(ledger: Ledger) -> None:
    receipt = charge(ledger, "north/cases")
    ledger.begin_draw(receipt)
    ledger.begin_writing(receipt, RESULT)
    ledger.mark_unbounded("north/cases", REQUEST)
    assert charge(ledger, "north/cases") == receipt  # the same request again
    ledger.mark_revealed(receipt, RESULT)


def test_a_year_that_is_opened_later_is_marked_too(ledger: Ledger) -> None:
    ledger.mark_unbounded("north/cases", REQUEST)
    ledger.open_dataset("north/cases", ["2020"])
    rows = {(row.dataset, row.block): row for row in ledger.statement().rows}
    assert rows["north/cases", "2020"].unbounded_since is not None
    assert rows["north/cases", "2020"].remaining_nano_rho == 0
    assert rows["south/cases", "2019"].unbounded_since is None


def test_one_request_is_good_for_one_mark(ledger: Ledger) -> None:
    first = ledger.mark_unbounded("north/cases", REQUEST)
    for dataset in ("north/cases", "south/cases"):
        with pytest.raises(UnboundedRequestUsedError):
            ledger.mark_unbounded(dataset, REQUEST)
    assert ledger.mark_unbounded("north/cases", OTHER).since == first.since
    assert [row.dataset for row in ledger.statement().rows if row.unbounded_since] == ["north/cases"] * 2


def test_a_dataset_without_account_and_a_request_without_digest_are_refused(ledger: Ledger) -> None:
    with pytest.raises(UnknownAccountError):
        ledger.mark_unbounded("west/cases", REQUEST)
    with pytest.raises(ChargeRequestError):
        ledger.mark_unbounded("north/cases", "not a digest")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM unbounded",
        "UPDATE unbounded SET since = '2099-01-01'",
        "UPDATE unbounded SET dataset_id = 'south/cases'",
    ],
)
def test_the_database_itself_refuses_to_take_a_mark_back(ledger: Ledger, statement: str) -> None:
    ledger.mark_unbounded("north/cases", REQUEST)
    connection = sqlite3.connect(ledger.path)
    try:
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            connection.execute(statement)
    finally:
        connection.close()


def test_a_mark_survives_opening_the_ledger_again(ledger: Ledger) -> None:
    ledger.mark_unbounded("north/cases", REQUEST)
    with pytest.raises(UnboundedAccountError):
        charge(Ledger.open(ledger.path), "north/cases")


def test_the_statement_says_unbounded_and_no_epsilon(ledger: Ledger) -> None:
    charge(ledger, "north/cases")
    mark = ledger.mark_unbounded("north/cases", REQUEST)

    def shown(*options: str) -> str:
        result = CliRunner().invoke(main, ["ledger", "show", *options, "--ledger", str(ledger.path)])
        assert result.exit_code == 0, result.output
        return result.output

    text = shown()
    (line,) = [line for line in text.splitlines() if line.startswith("north/cases") and "2019" in line]
    assert f"UNBOUNDED since {mark.since}" in line
    assert "worst total for one person: UNBOUNDED" in text
    statement = json.loads(shown("--json"))
    north = [row for row in statement["accounts"] if row["dataset"] == "north/cases"]
    assert {(row["epsilon"], row["unbounded_since"], row["remaining_nano_rho"]) for row in north} == {
        (None, mark.since, 0)
    }
    assert statement["odometer"]["unbounded"] is True
    assert statement["odometer"]["epsilon"] is None


def test_a_refusal_on_the_screen_says_why_and_what_to_do(ledger: Ledger) -> None:
    ledger.mark_unbounded("north/cases", REQUEST)
    with pytest.raises(UnboundedAccountError) as refusal:
        charge(ledger, "north/cases")
    found = outcome_of(refusal.value)
    assert found is not None and found.exit_code == EXIT_REFUSED


def test_a_ledger_knows_which_datasets_of_others_were_ever_charged_with_one(ledger: Ledger) -> None:
    ledger.open_dataset("north/older", ["2019"])
    assert ledger.pooled_with("north/cases") == ()
    charge(ledger, "north/cases", "north/older", key="request-own")
    assert ledger.pooled_with("north/cases") == ()
    charge(ledger, "north/cases", "south/cases", key="request-pooled")
    assert ledger.pooled_with("north/cases") == ("south/cases",)
    assert ledger.pooled_with("south/cases") == ("north/cases",)
