"""Who may approve a raise is known to the ledger itself, and only two of them name others (privacy rule 19); on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text
from tests.service.ledger.conftest import APPROVERS, ONE, TWO

from casehaven.cli import main
from casehaven.ledger import (
    BudgetPolicy,
    BudgetRaiseError,
    Ledger,
    LedgerError,
    LedgerPolicy,
    RaiseApproval,
    RaiseRequest,
)
from casehaven.ledger.approvers import ApproverApproval, ApproverRequest
from casehaven.ledger.public import in_words, public_statement
from casehaven.ledger.two_people import write_new
from casesynth.signing import BadSignatureError, SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk, MakeDesk

POLICY = LedgerPolicy(account=BudgetPolicy.of("2", "1e-6"))
THREE, FOUR = SigningKey.create(), SigningKey.create()
LATER = TrustStore().add("Director", ONE.public_key).add("Auditor", THREE.public_key).add("Board", FOUR.public_key)
WRITTEN = Path(__file__).parents[2] / "vectors" / "ledger"


def naming(desk: Desk, people: TrustStore = LATER, **changes: Any) -> ApproverRequest:
    ledger = desk.open()
    made = ApproverRequest.draw_up(ledger=ledger.id, present=ledger.approvers(), people=people, reason="a new board")
    return replace(made, **changes)


def named(desk: Desk, asked: ApproverRequest, keys: Sequence[SigningKey]) -> ApproverRequest:
    return desk.open().name_approvers([ApproverApproval.by(asked, key) for key in keys])


def raised(desk: Desk, keys: Sequence[SigningKey]) -> None:
    asked = RaiseRequest.draw_up(
        ledger=desk.open().id, dataset="north/cases", epsilon_now="2", epsilon="3", reason="a report"
    )
    desk.open().raise_cap([RaiseApproval.by(asked, key) for key in keys])


def test_two_of_the_present_ones_name_others_and_the_old_ones_approve_nothing_more(desk: Desk) -> None:
    named(desk, naming(desk), (ONE, TWO))
    for keys in ((ONE, TWO), (TWO, THREE)):
        with pytest.raises(BudgetRaiseError, match="not one of those whom the ledger names"):
            raised(desk, keys)
    raised(desk, (THREE, FOUR))


@pytest.mark.parametrize("keys", [(), (ONE,), (ONE, ONE), (ONE, THREE), (THREE, FOUR), (ONE, TWO, THREE)])
def test_anybody_else_names_nobody(desk: Desk, keys: Sequence[SigningKey]) -> None:
    """Whoever makes keys of their own, and a trust store with them, is not among those whom the ledger names."""
    before = desk.open().statement()
    with pytest.raises(BudgetRaiseError):
        named(desk, naming(desk), keys)
    assert desk.open().statement() == before


def test_a_request_is_good_once_for_one_ledger_and_for_the_present_set(desk: Desk) -> None:
    asked = naming(desk)
    for other in (
        replace(asked, ledger="0" * 32),
        replace(asked, replaces="none"),
        replace(asked, replaces="0" * 64),
    ):
        with pytest.raises(BudgetRaiseError, match="another"):
            named(desk, other, (ONE, TWO))
    named(desk, asked, (ONE, TWO))
    with pytest.raises(BudgetRaiseError):
        named(desk, asked, (ONE, TWO))
    named(desk, naming(desk, APPROVERS), (THREE, FOUR))  # and back
    with pytest.raises(BudgetRaiseError):
        named(desk, replace(asked, number="0" * 32), (ONE, THREE))


def test_an_approval_of_a_raise_is_none_of_a_naming_and_none_may_be_changed(desk: Desk) -> None:
    asked = naming(desk)
    one, wished = ApproverApproval.by(asked, ONE), replace(asked, reason="another")
    forged = ApproverApproval(request=wished, public_key=one.public_key, signature=one.signature)
    with pytest.raises(BadSignatureError):
        desk.open().name_approvers([forged, ApproverApproval.by(forged.request, TWO)])
    with pytest.raises(BudgetRaiseError, match="format"):
        RaiseRequest.parse(asked.document(), "it")


@pytest.mark.parametrize(
    "people",
    [
        (),
        (("One", ONE.public_key.text),),
        (("One", ONE.public_key.text), ("One", TWO.public_key.text)),
        (("One", ONE.public_key.text), ("Two", ONE.public_key.text)),
        (("One", ONE.public_key.text), ("Two", "no key")),
        tuple((f"{n}", SigningKey.create().public_key.text) for n in range(33)),
    ],
)
def test_a_set_is_of_two_people_or_more_with_a_key_each(desk: Desk, people: Any) -> None:
    with pytest.raises(BudgetRaiseError):
        replace(naming(desk), people=people)


def test_nobody_named_means_that_no_cap_is_ever_raised(make_desk: MakeDesk) -> None:
    desk = make_desk(approvers=TrustStore())
    with pytest.raises(BudgetRaiseError):
        raised(desk, (ONE, TWO))
    for keys in ((ONE, TWO), (THREE, FOUR)):
        with pytest.raises(BudgetRaiseError):
            named(desk, naming(desk), keys)
    assert "by nobody: no cap is ever raised" in in_words(public_statement(desk.open()))


def test_one_person_is_not_named_alone(tmp_path: Path) -> None:
    with pytest.raises(BudgetRaiseError):
        Ledger.create(tmp_path / "x.sqlite", POLICY, approvers=TrustStore().add("One", ONE.public_key))
    assert not (tmp_path / "x.sqlite").exists()


def test_the_public_statement_tells_every_set_by_its_keys_and_no_name(desk: Desk) -> None:
    named(desk, naming(desk), (ONE, TWO))
    told: Any = public_statement(desk.open())
    first, second = told["approvers"]
    assert first["keys"] == sorted(key.public_key.fingerprint for key in (ONE, TWO))
    assert first["approved_by"] == []
    assert second["approved_by"] == first["keys"]
    words = in_words(told)
    assert "reason: a new board" in words
    for name in ("Director", "Data steward", "Auditor"):
        assert name not in words + str(told)


def test_an_earlier_copy_learns_from_the_anchor_who_may_approve(desk: Desk) -> None:
    put_back = desk.copy()
    named(desk, naming(desk), (ONE, TWO))
    put_back()
    with pytest.raises(LedgerError):
        raised(desk, (ONE, TWO))  # behind its anchor
    assert desk.open().resume()
    with pytest.raises(BudgetRaiseError):
        raised(desk, (ONE, TWO))
    raised(desk, (THREE, FOUR))
    desk.open().check_anchor()


def test_the_database_itself_keeps_every_set(desk: Desk) -> None:
    for statement in ("UPDATE approvers SET people = '[]'", "DELETE FROM approvers"):
        with pytest.raises(LedgerError), desk.open()._store.transaction(writes=True) as connection:
            connection.execute(text(statement))


def test_a_ledger_of_an_earlier_version_gets_its_first_set_by_two_of_themselves_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript((WRITTEN / "version-2.sql").read_text(encoding="utf-8"))
    connection.close()
    ledger = Ledger.open(path)
    words = in_words(public_statement(ledger))
    assert "has no anchor" in words
    assert "Nobody is named who may approve a raise" in words
    ledger.set_anchor(tmp_path / "first.anchor", first=ledger.id)
    assert ledger.approvers() is None
    asked = ApproverRequest.draw_up(ledger=ledger.id, present=None, people=LATER, reason="the first ones")
    with pytest.raises(BudgetRaiseError):
        ledger.name_approvers([ApproverApproval.by(asked, key) for key in (ONE, TWO)])  # one of them is not in it
    ledger.name_approvers([ApproverApproval.by(asked, key) for key in (ONE, THREE)])
    told: Any = public_statement(ledger)
    assert told["approvers"][0]["approved_by"] == sorted(key.public_key.fingerprint for key in (ONE, THREE))
    assert told["anchored_since"] > told["created"]
    assert f"Anchored since {told['anchored_since']}: whether an earlier copy was put back before" in in_words(told)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [*arguments])


def test_the_whole_way_on_the_command_line(run: Callable[..., Result], tmp_path: Path) -> None:
    for name, key in (("one", ONE), ("two", TWO)):
        key.save(tmp_path / f"{name}.pem")
    APPROVERS.add("Auditor", THREE.public_key).save(tmp_path / "trust.json")
    trust = ("--trust", "trust.json")
    alone = run("ledger", "create", "--epsilon", "2", "--approver", "Director", *trust)
    assert (alone.exit_code, Path("casehaven-ledger.sqlite").exists()) == (1, False)
    unknown = run("ledger", "create", "--epsilon", "2", "--approver", "Director", "--approver", "Nobody", *trust)
    assert "Nobody is not in the trust store" in unknown.output
    made = run("ledger", "create", "--epsilon", "2", "--approver", "Director", "--approver", "Data steward", *trust)
    assert made.exit_code == 0, made.output
    people = ("--approver", "Director", "--approver", "Auditor")
    asked = run("budget", "request-approvers", *people, "--reason", "a new board", *trust, "-o", "request")
    assert asked.exit_code == 0, asked.output
    for name in ("one", "two"):
        done = run("budget", "approve-raise", "request", "--yes", "--key", f"{name}.pem", "-o", f"by-{name}")
        assert f"approvers  Auditor, {THREE.public_key.fingerprint}" in done.output
    assert run("budget", "name-approvers", "--approval", "by-one", "--approval", "by-one").exit_code == 1
    both = run("budget", "name-approvers", "--approval", "by-one", "--approval", "by-two")
    assert "approvers  Director, Auditor" in both.output
    assert "raises: approved by two of Director" in run("ledger", "show").output
    wrong = run("budget", "raise", "--approval", "by-one", "--approval", "by-two")
    assert (wrong.exit_code, "format" in wrong.output) == (1, True)


def test_a_request_is_read_as_it_was_written(desk: Desk, tmp_path: Path) -> None:
    asked = naming(desk)
    write_new(tmp_path / "request", asked.to_bytes(), BudgetRaiseError)
    write_new(tmp_path / "approval", ApproverApproval.by(asked, ONE).to_bytes(), BudgetRaiseError)
    assert ApproverRequest.read(tmp_path / "request") == asked
    assert ApproverApproval.read(tmp_path / "approval", ApproverRequest).request == asked
    for people in (7, [7], [["One"]], [["One", 7], ["Two", 8]]):
        with pytest.raises(BudgetRaiseError):
            ApproverRequest.parse({**asked.document(), "people": people}, "it")
