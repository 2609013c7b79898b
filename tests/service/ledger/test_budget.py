"""Raises by two people, and the public statement: what everyone may know, and nothing more (privacy rules 18 and 19)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from tests.service.ledger.conftest import APPROVERS, ONE, TWO

from casehaven.cli import main
from casehaven.ledger import (
    AnalystId,
    BudgetExhaustedError,
    BudgetPolicy,
    BudgetPolicyError,
    BudgetRaiseError,
    BudgetStatementError,
    IdempotencyKey,
    Ledger,
    LedgerPolicy,
    OdometerExhaustedError,
    RaiseApproval,
    RaiseRequest,
)
from casehaven.ledger.public import in_words, public_statement, read_statement, sign
from casehaven.ledger.two_people import write_new
from casesynth.privacy import PrivacyLoss
from casesynth.signing import BadSignatureError, SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk, MakeDesk

POLICY = BudgetPolicy.of("2", "1e-6")
CAP = POLICY.cap_nano_rho()
STRANGER = SigningKey.create()
NEXT_MONTH = (datetime.now(UTC).date().replace(day=1) + timedelta(days=40)).replace(day=3)


def request(desk: Desk, epsilon: str = "3", **changes: Any) -> RaiseRequest:
    fields: dict[str, Any] = {
        "ledger": desk.open().statement().ledger_id,
        "dataset": "north/cases",
        "epsilon_now": "2",
        "epsilon": epsilon,
        "reason": "two more tables for the yearly report",
    }
    return RaiseRequest.draw_up(**{**fields, **changes})


def raised(desk: Desk, asked: RaiseRequest, *keys: SigningKey) -> RaiseRequest:
    return desk.open().raise_cap([RaiseApproval.by(asked, key) for key in keys])


# --- raises -------------------------------------------------------------------------------------------------------------------


def test_a_raise_lifts_the_cap_of_every_block_and_no_balance_and_shows_for_good(desk: Desk) -> None:
    desk.charge(CAP)
    with pytest.raises(BudgetExhaustedError):
        desk.charge(1)
    raised(desk, request(desk), ONE, TWO)
    desk.open().open_dataset("north/cases", ["2024"])  # a year that comes later
    rows = {(row.dataset, row.block): row for row in desk.open().statement().rows}
    higher = BudgetPolicy.of("3", "1e-6").cap_nano_rho()
    assert {rows["north/cases", block].cap_nano_rho for block in ("2021", "2022", "", "2024")} == {higher}
    assert rows["south/cases", "2021"].cap_nano_rho == CAP
    assert rows["north/cases", "2021"].spent_nano_rho == CAP
    assert rows["north/cases", "2021"].cap_epsilon == "3"
    desk.charge(higher - CAP)
    with pytest.raises(BudgetExhaustedError):
        desk.charge(1)
    statement: Any = public_statement(desk.open())
    (told,) = statement["raises"]
    assert (told["dataset"], told["epsilon"], told["reason"]) == (
        "north/cases",
        "3",
        "two more tables for the yearly report",
    )
    assert told["approved_by"] == sorted(key.public_key.fingerprint for key in (ONE, TWO))


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ((ONE,), "2 people"),
        ((ONE, ONE), "2 people"),
        ((ONE, STRANGER), "not one of those whom the ledger names"),
        ((ONE, TWO, TWO), "2 people"),
        ((), "one and the same request"),
    ],
)
def test_fewer_than_two_known_people_raise_nothing(desk: Desk, keys: tuple[SigningKey, ...], why: str) -> None:
    before = desk.open().statement()
    with pytest.raises(BudgetRaiseError, match=why):
        raised(desk, request(desk), *keys)
    assert desk.open().statement() == before


def test_two_approvals_of_different_requests_raise_nothing(desk: Desk) -> None:
    approvals = [RaiseApproval.by(request(desk), ONE), RaiseApproval.by(request(desk), TWO)]
    with pytest.raises(BudgetRaiseError, match="one and the same request"):
        desk.open().raise_cap(approvals)
    asked = request(desk)
    one, wished = RaiseApproval.by(asked, ONE), replace(asked, epsilon="50")
    forged = RaiseApproval(request=wished, public_key=one.public_key, signature=one.signature)
    with pytest.raises(BadSignatureError):
        desk.open().raise_cap([forged, RaiseApproval.by(replace(asked, epsilon="50"), TWO)])


def test_a_request_is_good_once_and_for_one_ledger(desk: Desk) -> None:
    asked = request(desk)
    raised(desk, asked, ONE, TWO)
    with pytest.raises(BudgetRaiseError, match="by now"):
        raised(desk, asked, ONE, TWO)
    for changes, why in (
        ({"ledger": "0" * 32}, "another ledger"),
        ({"dataset": "east/cases"}, "no account"),
        ({"dataset": None}, "no cap for one person"),
    ):
        with pytest.raises(BudgetRaiseError, match=why):
            raised(desk, request(desk, **changes), ONE, TWO)


@pytest.mark.parametrize(
    "changes", [{"epsilon": "2"}, {"epsilon": "1"}, {"epsilon": "nan"}, {"reason": " "}, {"reason": "a\nb"}]
)
def test_a_raise_goes_up_and_says_why(desk: Desk, changes: dict[str, str]) -> None:
    with pytest.raises(BudgetRaiseError):
        request(desk, **changes)


def test_the_cap_for_one_person_is_raised_in_the_same_way(make_desk: MakeDesk) -> None:
    desk = make_desk(LedgerPolicy(account=POLICY, odometer_epsilon=Decimal("0.5")))
    with pytest.raises(OdometerExhaustedError):
        desk.charge(CAP // 2)
    raised(desk, request(desk, "4", dataset=None, epsilon_now="0.5"), ONE, TWO)
    desk.charge(CAP // 2)


def test_a_raise_outlives_a_restore(desk: Desk) -> None:
    put_back = desk.copy()
    raised(desk, request(desk), ONE, TWO)
    put_back()
    assert desk.open().resume()
    assert [each.epsilon for each in desk.open().statement().raises] == ["3"]
    desk.open().check_anchor()


def test_a_dataset_is_not_opened_again_with_another_policy_after_a_raise(desk: Desk) -> None:
    raised(desk, request(desk), ONE, TWO)
    with pytest.raises(BudgetPolicyError, match="by a raise"):
        desk.open().open_dataset("north/cases", ["2021"], POLICY)


def test_requests_and_approvals_are_read_as_they_were_written(desk: Desk, tmp_path: Path) -> None:
    asked = request(desk)
    write_new(tmp_path / "request", asked.to_bytes(), BudgetRaiseError)
    write_new(tmp_path / "approval", RaiseApproval.by(asked, ONE).to_bytes(), BudgetRaiseError)
    assert RaiseRequest.read(tmp_path / "request") == asked
    assert RaiseApproval.read(tmp_path / "approval", RaiseRequest).request == asked
    with pytest.raises(BudgetRaiseError, match="nothing is overwritten"):
        write_new(tmp_path / "request", b"", BudgetRaiseError)
    for content in (b"", b"{}", b"[1]", asked.to_bytes()[:-1]):
        (tmp_path / "other").write_bytes(content)
        for read in (RaiseRequest.read, lambda path: RaiseApproval.read(path, RaiseRequest)):
            with pytest.raises(BudgetRaiseError):
                read(tmp_path / "other")
    with pytest.raises(BudgetRaiseError, match="there is no file"):
        RaiseRequest.read(tmp_path / "nowhere")


# --- the public statement -------------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=POLICY))
    made.open_dataset("north/cases", ["2021", ""])
    return made


def spend(ledger: Ledger, nano_rho: int, **changes: Any) -> None:
    fields: dict[str, Any] = {"datasets": ["north/cases"], "blocks": ["2021"], "purpose": "question", "body": {}}
    ledger.charge(key=IdempotencyKey.create(), loss=PrivacyLoss(nano_rho=nano_rho), **{**fields, **changes})


def account(statement: Any, block: str = "2021") -> dict[str, Any]:
    return next(row for row in statement["accounts"] if row["block"] == block)


def test_a_statement_of_this_month_does_not_change_with_a_charge(ledger: Ledger) -> None:
    before = public_statement(ledger)
    spend(ledger, 12_345)
    assert public_statement(ledger) == before
    assert account(public_statement(ledger, today=NEXT_MONTH))["spent_parts"] == 1


@pytest.mark.parametrize("spent", [1, CAP // 16, CAP // 16 + 2, CAP // 2, CAP])
def test_a_statement_tells_sixteenths_and_never_less_than_was_spent(ledger: Ledger, spent: int) -> None:
    spend(ledger, spent)
    statement: Any = public_statement(ledger, today=NEXT_MONTH)
    told = account(statement)
    assert told["nano_rho_at_most"] >= spent
    assert told["nano_rho_at_most"] - spent <= -(-CAP // 16)
    assert told["spent_parts"] == -(-spent * 16 // CAP)
    assert POLICY.epsilon_of(spent) <= told["epsilon_at_most"] <= 2.0
    assert statement["odometer"]["nano_rho_at_most"] >= spent
    assert account(statement, "")["spent_parts"] == 0


@pytest.mark.parametrize("spent", [1, CAP * 9 // 64, CAP // 2 + 1, CAP])
def test_a_raise_lowers_no_amount_and_cuts_none_finer(make_desk: MakeDesk, spent: int) -> None:
    """Steps are those of the caps that the ledger began with: one before the raise, one after it, and one more a month later tell the same amounts."""
    desk = make_desk(LedgerPolicy(account=POLICY, odometer_epsilon=Decimal(2)))
    desk.charge(spent)

    def amounts() -> list[Any]:
        told: Any = public_statement(desk.open(), today=NEXT_MONTH)
        row = account(told)
        return [row["nano_rho_at_most"], row["epsilon_at_most"], *told["odometer"].values()]

    before = amounts()
    raised(desk, request(desk, "3"), ONE, TWO)
    raised(desk, request(desk, "4", dataset=None, epsilon_now="2"), ONE, TWO)
    assert amounts() == before
    share = account(public_statement(desk.open(), today=NEXT_MONTH))["spent_parts"]
    cap = desk.open().statement().rows[0].cap_nano_rho
    assert share * cap >= spent * 16
    desk.charge(1)
    assert all(now >= then for now, then in zip(amounts()[:2], before[:2], strict=True))


def test_charges_that_differ_within_a_sixteenth_give_the_same_statement_byte_for_byte(tmp_path: Path) -> None:
    said = set()
    for number, amounts in enumerate(([1], [1, 2, 3], [CAP // 40])):
        ledger = Ledger.create(tmp_path / f"{number}.sqlite", LedgerPolicy(account=POLICY))
        ledger.open_dataset("north/cases", ["2021"])
        for amount in amounts:
            spend(ledger, amount, analyst=AnalystId(text=f"analyst-{number}"))
        document = {**public_statement(ledger, today=NEXT_MONTH), "ledger": "the same"}
        said.add(json.dumps(document, sort_keys=True) + in_words(document))
    assert len(said) == 1


def test_no_analyst_no_question_and_no_exact_amount_is_in_a_statement(ledger: Ledger) -> None:
    for _ in range(3):
        spend(ledger, 1_234_567, analyst=AnalystId(text="amina"), body={"plan": "secret-question"})
    ledger.set_allowance(AnalystId(text="amina"), "north/cases", 9_876_543)
    signed = sign(public_statement(ledger, today=NEXT_MONTH), ONE)
    told = signed.to_bytes().decode() + in_words(signed.document)
    for word in ("amina", "secret-question", "1234567", "3703701", "9876543", "charge"):
        assert word not in told.replace("What was charged before", "")


def test_a_statement_is_verified_offline_and_any_change_is_seen(ledger: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "statement.json"
    sign(public_statement(ledger), ONE).save(path)
    assert read_statement(path).public_key == ONE.public_key
    whole = path.read_text()
    changed = json.loads(whole)
    changed["statement"]["accounts"][0]["spent_parts"] = 7
    for content, error in (
        (json.dumps(changed), BadSignatureError),
        (whole.replace("Ed25519", "") + "x", BudgetStatementError),
        ("{}", BudgetStatementError),
        ("", BudgetStatementError),
    ):
        path.write_text(content)
        with pytest.raises(error):
            read_statement(path)
    with pytest.raises(BudgetStatementError):
        read_statement(tmp_path / "nowhere")
    with pytest.raises(BudgetStatementError, match="nothing is overwritten"):
        sign(public_statement(ledger), ONE).save(path)


def at(desk: Desk, clock: str, nano_rho: int) -> None:
    ledger = desk.open(clock=lambda: clock)
    ledger.begin_draw(desk.charge(nano_rho, ledger=ledger))


def parts(desk: Desk, day: date) -> tuple[int, int]:
    """The sixteenths of the charged account, and those of the worst total for one person."""
    statement: Any = public_statement(desk.open(), today=day)
    told = next(row for row in statement["accounts"] if (row["dataset"], row["block"]) == ("north/cases", "2021"))
    return told["spent_parts"], statement["odometer"]["nano_rho_at_most"]


def test_no_amount_of_a_statement_falls_when_an_earlier_copy_is_resumed(desk: Desk) -> None:
    at(desk, "2026-09-02T00:00:00Z", CAP // 16)
    put_back = desk.copy()
    at(desk, "2026-10-02T00:00:00Z", CAP * 10 // 16)
    before = parts(desk, date(2026, 11, 5))
    assert before[0] == 11
    put_back()
    desk.open(clock=lambda: "2026-11-10T00:00:00Z").resume()
    after = parts(desk, date(2026, 11, 20))
    assert after[0] >= before[0]
    assert after[1] >= before[1]


def test_what_was_charged_under_a_clock_that_was_ahead_is_in_the_next_statement(desk: Desk) -> None:
    at(desk, "2036-01-05T00:00:00Z", CAP * 3 // 4)
    at(desk, "2026-11-02T00:00:00Z", 1000)
    assert parts(desk, date(2026, 12, 5))[0] == 13
    assert parts(desk, date(2037, 1, 1))[0] == 13


def test_a_clock_that_is_set_back_shows_no_charge_within_a_month(desk: Desk) -> None:
    at(desk, "2026-11-05T00:00:00Z", CAP // 32)
    before = parts(desk, date(2026, 11, 20))
    at(desk, "2026-10-31T00:00:00Z", CAP // 3)
    assert parts(desk, date(2026, 11, 20)) == before == (0, 0)
    assert parts(desk, date(2026, 12, 1))[0] == 6


def test_a_statement_says_in_words_what_has_no_bound(ledger: Ledger) -> None:
    spend(ledger, 5)
    ledger.mark_unbounded("north/cases", "ab" * 32)
    document: Any = public_statement(ledger)
    assert account(document)["epsilon_at_most"] is None
    assert "NO BOUND" in in_words(document)
    assert document["odometer"]["nano_rho_at_most"] is None


def test_a_statement_is_of_its_day(ledger: Ledger) -> None:
    assert public_statement(ledger, today=date(2030, 5, 17))["before"] == "2030-05-01"


# --- the commands -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments])

    return called


def test_the_whole_way_on_the_command_line(run: Callable[..., Result], tmp_path: Path) -> None:
    for name, key in (("one", ONE), ("two", TWO)):
        key.save(tmp_path / f"{name}.pem")
    APPROVERS.save(tmp_path / "trust.json")
    TrustStore().save(tmp_path / "nobody.json")
    policy = ("--epsilon", "2", "--epsilon-per-person", "3", "--max-tokens-per-person", "2")
    made = run(
        "ledger", "create", *policy, "--approver", "Director", "--approver", "Data steward", "--trust", "trust.json"
    )
    assert "raises are approved by two of Director, Data steward" in made.output
    assert "its anchor is casehaven-ledger.sqlite.anchor beside it" in made.output
    Ledger.open(Path("casehaven-ledger.sqlite")).open_dataset("north/cases", ["2021"])
    assert "the ledger and its anchor agree" in run("ledger", "anchor", "stick.anchor").output
    assert not Path("casehaven-ledger.sqlite.anchor").exists()
    assert "nothing to resume" in run("ledger", "resume", "--yes").output
    allowed = run("budget", "allowance", "amina", "north/cases", "--rho", "0.01")
    assert "amina for north/cases: 0.010000000 rho, spent 0.000000000" in allowed.output
    assert "no limit" in run("budget", "allowance", "amina", "north/cases", "--no-limit").output
    asked = ("budget", "request-raise", "--dataset", "north/cases", "--epsilon", "2.5", "--reason", "a report")
    assert run(*asked, "-o", "request").exit_code == 0
    for name in ("one", "two"):
        done = run("budget", "approve-raise", "request", "--yes", "--key", f"{name}.pem", "-o", f"by-{name}")
        assert "north/cases: from epsilon 2 to 2.5" in done.output
    alone = run("budget", "raise", "--approval", "by-one", "--approval", "by-one")
    assert alone.exit_code == 1
    both = run("budget", "raise", "--approval", "by-one", "--approval", "by-two")
    assert "raised     north/cases from epsilon 2 to 2.5" in both.output
    assert "reason: a report" in run("ledger", "show").output
    written = run("budget", "statement", "--key", "one.pem", "-o", "statement.json")
    assert written.exit_code == 0, written.output
    assert "Raised on" in Path("statement.json.txt").read_text()
    verified = run("budget", "verify", "statement.json", "--trust", "trust.json")
    assert (verified.exit_code, "by Director" in verified.output) == (0, True)
    unknown = run("budget", "verify", "statement.json", "--trust", "nobody.json")
    assert (unknown.exit_code, "not in your trust store" in unknown.output) == (2, True)
    Path("stick.anchor").rename("away")
    lost = run("ledger", "anchor")
    assert lost.exit_code == 1
    assert "there is no anchor" in lost.output
