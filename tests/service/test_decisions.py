"""What was decided about a drawn release is final, and whether somebody looked at real records first is remembered for good (privacy rule 33)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest

from casehaven.ledger import (
    BudgetPolicy,
    DecisionError,
    DecisionKind,
    DecisionNeededError,
    IdempotencyKey,
    Ledger,
    LedgerPolicy,
    UnknownChargeError,
)
from casesynth.privacy import PrivacyLoss, Receipt

PUBLISHED, WITHHELD, OPENED = DecisionKind.PUBLISHED, DecisionKind.WITHHELD, DecisionKind.REPORT_OPENED
DIGEST = "ab" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of("8", "1e-6")))
    made.open_dataset("north/cases", ["2024"])
    return made


def shown(
    ledger: Ledger, key: str = "request-1", *, datasets: Sequence[str] = ("north/cases",), reveal: bool = True
) -> Receipt:
    receipt = ledger.charge(
        key=IdempotencyKey(text=key),
        body={},
        datasets=datasets,
        blocks=["2024"],
        loss=PrivacyLoss(nano_rho=1000),
        purpose="synthetic_release",
    )
    ledger.begin_draw(receipt)
    if reveal:
        ledger.mark_revealed(receipt, DIGEST)
    return receipt


def test_a_report_before_any_decision_is_refused_and_leaves_no_trace(ledger: Ledger) -> None:
    charge = shown(ledger).charge_id
    with pytest.raises(DecisionNeededError, match="nothing was decided"):
        ledger.decide(charge, OPENED)
    assert ledger.release(charge) == ledger.statement().releases[0]
    assert ledger.statement().releases[0].steps == ()


@pytest.mark.parametrize("decision", [PUBLISHED, WITHHELD])
def test_a_report_after_the_decision_leaves_the_release_covered(ledger: Ledger, decision: DecisionKind) -> None:
    charge = shown(ledger).charge_id
    ledger.decide(charge, decision)
    found = ledger.decide(charge, OPENED)
    assert (found.decision, found.report_opened, found.used_private_data) == (decision, True, False)


def test_withholding_after_the_report_marks_the_release(ledger: Ledger) -> None:
    charge = shown(ledger).charge_id
    ledger.decide(charge, PUBLISHED)
    ledger.decide(charge, OPENED)
    found = ledger.decide(charge, WITHHELD)
    assert (found.decision, found.used_private_data) == (WITHHELD, True)


@pytest.mark.parametrize("order", [*permutations([PUBLISHED, WITHHELD, OPENED])])
def test_the_mark_of_a_report_opened_early_is_never_undone(ledger: Ledger, order: tuple[DecisionKind, ...]) -> None:
    charge = shown(ledger).charge_id
    assert ledger.decide(charge, OPENED, before_decision=True).used_private_data
    for step in (*order, *order):
        try:
            ledger.decide(charge, step, before_decision=True)
        except DecisionError:
            assert step is PUBLISHED
        found = Ledger.open(ledger.path).release(charge)
        assert found is not None
        assert found.used_private_data


def test_a_release_that_was_withheld_is_never_published(ledger: Ledger) -> None:
    charge = shown(ledger).charge_id
    ledger.decide(charge, WITHHELD)
    with pytest.raises(DecisionError, match="withheld"):
        ledger.decide(charge, PUBLISHED)
    assert [release.decision for release in ledger.statement().releases] == [WITHHELD]


def test_a_release_that_was_published_and_then_withheld_is_not_published_again(ledger: Ledger) -> None:
    charge = shown(ledger).charge_id
    ledger.decide(charge, PUBLISHED)
    ledger.decide(charge, WITHHELD)
    with pytest.raises(DecisionError, match="withheld"):
        ledger.decide(charge, PUBLISHED)


def test_the_same_step_again_changes_nothing(ledger: Ledger) -> None:
    charge = shown(ledger).charge_id
    assert ledger.decide(charge, PUBLISHED) == ledger.decide(charge, PUBLISHED)
    assert ledger.statement().releases[0].steps == (PUBLISHED,)


def test_only_a_release_that_was_shown_can_be_decided_about(ledger: Ledger) -> None:
    for charge in (shown(ledger, "request-2", reveal=False).charge_id, "no-such-charge"):
        with pytest.raises(UnknownChargeError):
            ledger.decide(charge, PUBLISHED)
    assert ledger.statement().releases == ()


@pytest.mark.parametrize("statement", ["DELETE FROM decision", "UPDATE decision SET kind = 'published'"])
def test_the_database_itself_refuses_to_take_a_step_back(ledger: Ledger, statement: str) -> None:
    ledger.decide(shown(ledger).charge_id, OPENED, before_decision=True)
    connection = sqlite3.connect(ledger.path)
    with pytest.raises(sqlite3.IntegrityError, match="decision row"):
        connection.execute(statement)
    connection.close()


def test_each_release_has_its_own_decision(ledger: Ledger) -> None:
    one, two = shown(ledger).charge_id, shown(ledger, "request-2").charge_id
    ledger.decide(one, WITHHELD)
    ledger.decide(two, PUBLISHED)
    decisions = {release.charge_id: release.decision for release in ledger.statement().releases}
    assert decisions == {one: WITHHELD, two: PUBLISHED}
    assert all(release.datasets == ("north/cases",) for release in ledger.statement().releases)


def marked(ledger: Ledger) -> dict[str, bool]:
    """What the statement says about each release: whether its decision used private data."""
    return {release.charge_id: release.used_private_data for release in ledger.statement().releases}


def test_a_report_waits_for_the_decision_about_every_drawn_release_of_the_same_datasets(ledger: Ledger) -> None:
    one, two = shown(ledger).charge_id, shown(ledger, "request-2").charge_id
    ledger.decide(one, PUBLISHED)
    with pytest.raises(DecisionNeededError, match=two):
        ledger.decide(one, OPENED)
    assert [release.steps for release in ledger.statement().releases if release.charge_id == two] == [()]
    ledger.decide(two, WITHHELD)
    ledger.decide(one, OPENED)
    assert marked(ledger) == {one: False, two: False}


@pytest.mark.parametrize("decision", [PUBLISHED, WITHHELD])
def test_a_report_opened_all_the_same_marks_the_undecided_release_beside_it(
    ledger: Ledger, decision: DecisionKind
) -> None:
    one, two = shown(ledger).charge_id, shown(ledger, "request-2").charge_id
    ledger.decide(one, PUBLISHED)
    found = ledger.decide(one, OPENED, before_decision=True)
    assert (found.used_private_data, found.undecided_beside) == (False, ())
    ledger.decide(two, decision)
    assert marked(ledger) == {one: False, two: True}
    ledger.decide(one, OPENED)  # once more: everything is decided


def test_withholding_a_release_after_the_report_of_another_marks_it(ledger: Ledger) -> None:
    one, two = shown(ledger).charge_id, shown(ledger, "request-2").charge_id
    for charge in (one, two):
        ledger.decide(charge, PUBLISHED)
    ledger.decide(one, OPENED)
    assert marked(ledger) == {one: False, two: False}
    ledger.decide(two, WITHHELD)
    assert marked(ledger) == {one: False, two: True}


def test_a_report_that_was_opened_before_waits_again_for_a_release_drawn_since(ledger: Ledger) -> None:
    one = shown(ledger).charge_id
    ledger.decide(one, PUBLISHED)
    ledger.decide(one, OPENED)
    two = shown(ledger, "request-2").charge_id
    with pytest.raises(DecisionNeededError, match=two):
        ledger.decide(one, OPENED)
    ledger.decide(one, OPENED, before_decision=True)
    assert marked(ledger) == {one: False, two: True}


def test_a_release_that_was_drawn_and_not_finished_is_waited_for_and_marked_too(ledger: Ledger) -> None:
    one, receipt = shown(ledger).charge_id, shown(ledger, "request-2", reveal=False)
    ledger.decide(one, PUBLISHED)
    with pytest.raises(DecisionNeededError, match=receipt.charge_id):
        ledger.decide(one, OPENED)
    ledger.decide(one, OPENED, before_decision=True)
    ledger.mark_revealed(receipt, DIGEST)
    ledger.decide(receipt.charge_id, PUBLISHED)
    assert marked(ledger) == {one: False, receipt.charge_id: True}


def test_one_dataset_in_common_is_enough_and_none_is_no_reason_to_wait(ledger: Ledger) -> None:
    for dataset in ("south/cases", "west/cases"):
        ledger.open_dataset(dataset, ["2024"])
    one = shown(ledger, datasets=("north/cases", "south/cases")).charge_id
    two = shown(ledger, "request-2", datasets=("south/cases", "west/cases")).charge_id
    three = shown(ledger, "request-3", datasets=("west/cases",)).charge_id
    ledger.decide(one, PUBLISHED)
    with pytest.raises(DecisionNeededError) as refused:
        ledger.decide(one, OPENED)
    assert two in str(refused.value)
    assert three not in str(refused.value)
    ledger.decide(one, OPENED, before_decision=True)
    assert marked(ledger) == {one: False, two: True, three: False}
