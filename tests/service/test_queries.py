"""Questions to a vault: priced from public facts, charged before a record is opened, stored before they are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from casehaven.core.audit_models import audit
from casehaven.ledger import (
    AllowanceExhaustedError,
    AnalystId,
    BudgetExhaustedError,
    BudgetPolicy,
    IdempotencyConflictError,
    IdempotencyKey,
    Ledger,
    LedgerPolicy,
    UnboundedAccountError,
    UnknownAccountError,
)
from casehaven.queries import Asked, ChargedFailureError, HeldPeople, Queries, SavedQuestionError, shown_answer
from casehaven.queries.saved import SAVED, saved_question
from casehaven.vault.unbounded import mark_dataset
from caseschemas import load_schema
from casesynth.answers import parse_question
from casesynth.domain import Domain

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, SafeHouse, Shelter

SHARP = {"accuracy": {"within_people": 1}}
"""Noise of half a person: further off than 5 in fewer than one of 10^20 cells."""


@dataclass(kw_only=True)
class Desk:
    """A safe house whose people may be asked about, with a ledger."""

    house: SafeHouse
    ledger: Ledger
    asked: int = 0
    now: int = 1_700_000_000

    def queries(self, **more: Any) -> Queries:
        """Open the vault anew for questions, as a later command does."""
        vault = self.house.open()
        datasets = [vault.dataset("north", "cases")]
        return Queries(vault=vault, ledger=self.ledger, datasets=datasets, clock=lambda: self.now, **more)

    def ask(self, document: Mapping[str, Any], *, key: str | None = None, queries: Queries | None = None) -> Asked:
        """Ask, under a key of its own unless one is given."""
        self.asked += 1
        opened = self.queries() if queries is None else queries
        return opened.ask(opened.parse(document), IdempotencyKey(text=key or f"question-{self.asked}"))

    @property
    def spent(self) -> int:
        """Nano-rho that the worst block has spent."""
        return max((row.spent_nano_rho for row in self.ledger.statement().rows), default=0)

    @property
    def openings(self) -> int:
        """How often a snapshot was opened, by the audit log."""
        with self.house.open().database.transaction(writes=False) as connection:
            return len(connection.execute(select(audit.c.action).where(audit.c.action == "snapshot.open")).all())


def agreeing(records: Sequence[Record]) -> list[Record]:
    """The same records of people who agree to every purpose."""
    return [{**record, **dict.fromkeys(("mayCare", "mayCount", "mayPool"), "yes")} for record in records]


@pytest.fixture
def desk(asked_house: SafeHouse) -> Desk:
    """Three hundred people, and a ledger with much to spend."""
    return Desk(house=asked_house, ledger=Ledger.open(asked_house.folder / "ledger.sqlite"))


def numbers(asked: Asked) -> dict[tuple[str, ...], tuple[float, float, float] | None]:
    """Parts to estimate and interval; None where hidden."""
    return {
        tuple(part for _, part in row["cell"]): None
        if row.get("hidden")
        else (row["estimate"], row["low"], row["high"])
        for row in asked.answer["rows"]
    }


# --- the way of a question ---


def test_a_question_is_charged_drawn_stored_and_shown(desk: Desk) -> None:
    found = desk.ask({"by": ["gender"], **SHARP})
    assert found.charged is not None and found.free is None
    assert desk.spent == found.charged.nano_rho == found.answer["guarantee"]["nano_rho"]
    assert desk.openings == 1
    for code, exact in (("woman", 150), ("man", 75), ("", 75), ("not_asked", 0)):
        cell = numbers(found)[code,]
        if exact == 0:
            assert cell is None
        else:
            assert cell is not None and abs(cell[0] - exact) <= 5 and cell[1] < cell[0] < cell[2]
    (stored,) = desk.queries().answers()
    assert shown_answer(stored) == found.answer


def test_unknown_and_not_asked_are_told_apart_and_are_in_no_percentage(desk: Desk) -> None:
    desk.house.take_in(agreeing([{"token": f"q{i}", "mayRelease": "yes", "gender": "not_asked"} for i in range(40)]))
    counts = numbers(desk.ask({"by": ["gender"], **SHARP}))
    assert counts["",] is not None and counts["not_asked",] is not None
    assert abs(counts["",][0] - 75) <= 5 and abs(counts["not_asked",][0] - 40) <= 5
    shares = numbers(desk.ask({"by": ["gender"], "show": "percentages", **SHARP}))
    assert set(shares) == {("woman",), ("man",)}
    woman = shares["woman",]
    assert woman is not None and woman[2] - woman[1] < 3
    # its standard deviation is .17 %: 7.8 of them from the truth, false alarm below 1e-14; of everybody it would be 57 %
    assert woman[1] - 1 < 100 * 150 / 225 < woman[2] + 1


def test_several_values_of_one_person_are_counted_each_and_percentages_are_of_those_who_answered(desk: Desk) -> None:
    exact = {"threats": 240, "debt": 180, "papers": 120, "hours": 60}
    counts = numbers(desk.ask({"by": ["means"], **SHARP}))
    shares = numbers(desk.ask({"by": ["means"], "show": "percentages", **SHARP}))
    for code, number in exact.items():
        count, share = counts[code,], shares[code,]
        assert count is not None and abs(count[0] - number) <= 5
        # a standard deviation of .3 %: more than 8 of them, false alarm below 1e-14; of all 300 each would be a fifth lower
        assert share is not None and share[1] - 2 <= 100 * number / 240 <= share[2] + 2


def test_only_people_who_agreed_to_pooled_statistics_are_counted(desk: Desk) -> None:
    no = [{"token": f"n{i}", "mayRelease": "yes", "mayPool": "no", "gender": "man"} for i in range(100)]
    nothing = [{"token": f"b{i}", "mayRelease": "yes", "gender": "man"} for i in range(100)]
    desk.house.take_in([*no, *nothing])
    man = numbers(desk.ask({"by": ["gender"], **SHARP}))["man",]
    assert man is not None and abs(man[0] - 75) <= 5


def test_what_another_answer_told_while_people_were_counted_is_reckoned_with(desk: Desk) -> None:
    """All are 300; nobody is `not_asked`, which is hidden: beside the total, one more part is (privacy rule 25)."""

    def meanwhile(reached: str) -> None:
        if reached == "counted":
            assert numbers(desk.ask(SHARP))[()] is not None

    among = {"where": {"attribute": "age", "in": ["0-17", "18-29"]}}  # other people: nothing is told of them yet
    alone = numbers(desk.ask({"by": ["gender"], **among, **SHARP}))
    assert alone["not_asked",] is None and list(alone.values()).count(None) == 1
    found = numbers(desk.ask({"by": ["gender"], **SHARP}, queries=desk.queries(failpoint=meanwhile)))
    assert found["not_asked",] is None and list(found.values()).count(None) == 2


def test_a_small_count_is_hidden_by_its_noisy_number(desk: Desk) -> None:
    rare = [{"token": f"r{i}", "mayRelease": "yes", "gender": "not_asked", "year": "2021"} for i in range(3)]
    desk.house.take_in(agreeing(rare))
    answer = desk.ask({"by": ["gender"], **SHARP}).answer
    (row,) = [row for row in answer["rows"] if row["cell"] == [["gender", "not_asked"]]]
    assert row == {"cell": [["gender", "not_asked"]], "kind": "count", "answered": False, "hidden": True}


def test_case_records_are_counted_at_most_so_many_of_one_person(desk: Desk) -> None:
    many = [
        {"token": f"m{person}", "mayRelease": "yes", "gender": "man", "year": "2019", "age": str(i)}
        for person in range(10)
        for i in range(30)
    ]
    desk.house.take_in(agreeing(many))
    man_alone = {"by": ["gender"], "where": {"attribute": "gender", "equals": "man"}, "accuracy": {"within_people": 4}}
    for at_most in (1, 5, 10):  # noise of two records: further off than 18 in fewer than one of 10^17 cells
        found = desk.ask({**man_alone, "count": {"records": {"at_most": at_most}}})
        man = numbers(found)["man",]
        assert man is not None and abs(man[0] - (75 + 10 * at_most)) <= 18
        assert found.charged is not None
        price = found.charged.nano_rho / at_most**2
        assert price == pytest.approx(1.96**2 / (2 * 16) * 1e9, rel=1e-3)


def test_a_quote_charges_nothing_opens_nothing_and_is_the_price(desk: Desk) -> None:
    queries = desk.queries()
    question = queries.parse({"by": ["gender", "age"], "accuracy": {"within_people": 20}})
    quote = queries.quote(question)
    assert desk.spent == desk.openings == 0 and queries.answers() == ()
    assert quote.free is None and quote.plan.within <= 20
    assert queries.ask(question, IdempotencyKey(text="the-question")).charged == quote.plan.loss


def test_a_quote_says_nothing_about_what_is_left(house: SafeHouse, people: MakePeople, tmp_path: Path) -> None:
    house.take_in(agreeing(people(50)))
    quotes = []
    for name, epsilon in (("poor", "0.01"), ("rich", "50")):
        ledger = Ledger.create(tmp_path / name, LedgerPolicy(account=BudgetPolicy.of(epsilon, "1e-6")))
        desk = Desk(house=house, ledger=ledger)
        ledger.open_dataset("north/cases", desk.queries().facts.blocks)
        queries = desk.queries()
        quotes.append(queries.quote(queries.parse({"by": ["gender"], "accuracy": {"within_people": 5}})))
        if name == "poor":
            with pytest.raises(BudgetExhaustedError):
                desk.ask({"by": ["gender"], "accuracy": {"within_people": 5}})
            assert desk.openings == desk.spent == 0
    assert quotes[0] == quotes[1]


# --- replays, the cache, and what is paid for ---


def test_the_same_request_gets_the_same_bytes_at_no_charge(desk: Desk) -> None:
    first = desk.ask({"by": ["gender"], **SHARP}, key="one-request")
    other = desk.ask({"by": ["age"], **SHARP})
    assert other.charged is not None
    spent = desk.spent
    again = desk.ask({"by": ["gender"], **SHARP}, key="one-request")
    assert again.answer == first.answer and again.charged is None and desk.spent == spent
    with pytest.raises(IdempotencyConflictError):
        desk.ask({"by": ["means"], **SHARP}, key="one-request")
    with pytest.raises(IdempotencyConflictError):
        desk.ask({"by": ["gender"], "accuracy": {"within_people": 3}}, key="one-request")


def test_a_weaker_question_is_answered_from_the_stronger_one(desk: Desk) -> None:
    everybody = {"all": [{"attribute": "gender", "in": ["man", "", "not_asked", "woman"]}]}
    first = desk.ask({"by": ["gender"], "accuracy": {"within_people": 10}})
    spent, queries = desk.spent, desk.queries()
    for accuracy in ({"within_people": 10}, {"within_people": 25}, {"epsilon": 0.1}):
        for written in ({"by": ["gender"]}, {"by": [{"attribute": "gender"}], "where": everybody}):
            question = queries.parse({**written, "accuracy": accuracy})
            assert queries.quote(question).free == "stored"
            again = desk.ask({**written, "accuracy": accuracy}, queries=queries)
            assert again.free == "stored" and again.answer == first.answer
    assert desk.spent == spent and desk.openings == 1


def test_a_sharper_question_costs_the_difference(desk: Desk) -> None:
    one = desk.ask({"by": ["gender"], "accuracy": {"within_people": 20}}).charged
    two = desk.ask({"by": ["gender"], "accuracy": {"within_people": 10}}).charged
    assert one is not None and two is not None
    assert two.nano_rho == pytest.approx(3 * one.nano_rho, rel=1e-3)  # four times the rho in all


def test_a_question_that_follows_from_earlier_answers_is_free(desk: Desk) -> None:
    desk.ask({"by": ["gender", "age"], "accuracy": {"within_people": 10}})
    spent = desk.spent
    for document in (
        {"by": ["gender"], "accuracy": {"within_people": 20}},
        {"by": ["age"], "where": {"attribute": "gender", "equals": "woman"}, "accuracy": {"within_people": 10}},
        {"by": ["age"], "show": "percentages", "accuracy": {"within_people": 30}},
    ):
        found = desk.ask(document)
        assert found.free == "from earlier answers" and found.charged is None
        assert found.answer["guarantee"]["nano_rho"] == 0 and found.answer["earlier_tables"] == 1
    assert desk.spent == spent and desk.openings == 1
    women = numbers(desk.ask({"by": ["gender"], "accuracy": {"within_people": 20}}))["woman",]
    assert (
        women is not None and abs(women[0] - 150) <= 70
    )  # a sum of four cells: 6.8 standard deviations of 10.2, false alarm 1e-11; men are 75


def test_a_new_day_is_another_snapshot(desk: Desk, people: MakePeople) -> None:
    first = desk.ask({"by": ["gender"], **SHARP})
    desk.house.take_in(agreeing(people(100, start=300)))
    assert desk.ask({"by": ["gender"], **SHARP}).answer == first.answer  # no change is told on the day it is made
    desk.now += 86_400
    again = desk.ask({"by": ["gender"], **SHARP})
    assert again.charged is not None and again.answer["earlier_tables"] == 0
    woman = numbers(again)["woman",]
    assert woman is not None and abs(woman[0] - 200) <= 5
    assert len(desk.queries().answers()) == 1 and len(desk.queries().answers(every_day=True)) == 2


# --- what fails ---


def test_what_fails_after_the_charge_says_one_sentence_and_may_be_tried_once_more(desk: Desk) -> None:
    chunks = sorted((desk.house.path / "chunks").rglob("*.chunk")) or [
        path for path in sorted((desk.house.path / "chunks").rglob("*")) if path.is_file()
    ]
    whole = chunks[0].read_bytes()
    chunks[0].write_bytes(whole[:-1])
    with pytest.raises(ChargedFailureError) as caught:
        desk.ask({"by": ["gender"], **SHARP}, key="one-request")
    assert str(caught.value) == (
        "the answer failed after it was charged; the charge stands, and the same request may be tried once more"
    )
    assert caught.value.__cause__ is None
    spent = desk.spent
    assert spent > 0 and desk.queries().answers() == ()
    chunks[0].write_bytes(whole)
    found = desk.ask({"by": ["gender"], **SHARP}, key="one-request")
    assert numbers(found)["woman",] is not None and desk.spent == spent


def test_a_dataset_without_an_account_or_with_a_mark_is_not_asked(desk: Desk) -> None:
    other = Ledger.create(desk.house.folder / "other", LedgerPolicy(account=BudgetPolicy.of("1", "1e-6")))
    stranger = Desk(house=desk.house, ledger=other)
    with pytest.raises(UnknownAccountError):
        stranger.ask({"by": ["gender"], **SHARP})
    with pytest.raises(UnknownAccountError):
        _quoted(stranger)
    desk.ledger.mark_unbounded("north/cases", "ab" * 32)
    with pytest.raises(UnboundedAccountError):
        desk.ask({"by": ["gender"], **SHARP})
    with pytest.raises(UnboundedAccountError):
        _quoted(desk)
    assert desk.openings == 0


def test_the_vaults_own_mark_is_enough(desk: Desk) -> None:
    vault = desk.house.open()
    mark_dataset(vault, vault.dataset("north", "cases"), request_sha256="ab" * 32, ledger="another")
    with pytest.raises(Exception, match="without differential privacy"):
        desk.ask({"by": ["gender"], **SHARP})
    assert desk.spent == desk.openings == 0


def _quoted(desk: Desk) -> object:
    queries = desk.queries()
    return queries.quote(queries.parse({"by": ["gender"], **SHARP}))


def test_an_analyst_has_a_fair_share_and_sees_no_other_balance(desk: Desk) -> None:
    amina = AnalystId(text="amina")
    desk.ledger.set_allowance(amina, "north/cases", 1_000)
    with pytest.raises(AllowanceExhaustedError):
        desk.ask({"by": ["gender"], **SHARP}, queries=desk.queries(analyst=amina))
    assert desk.spent == desk.openings == 0
    told = _run(desk, "quote", "--by", "gender", "--within", "25", "--analyst", "amina").output
    assert "allowance  north/cases: 0.000001000 rho left" in told
    assert "allowance" not in _run(desk, "quote", "--by", "gender", "--within", "25").output
    assert desk.ask({"by": ["gender"], **SHARP}).charged is not None
    free = desk.ask({"by": ["gender"], **SHARP}, queries=desk.queries(analyst=amina))
    assert free.free == "stored"  # what is stored costs nobody's allowance


# --- people held open ---


def _held(held: HeldPeople) -> list[object]:
    return [one.people for one in held._found.values()]


def test_people_are_held_for_the_same_version_alone_and_every_use_is_in_the_audit_log(
    desk: Desk, people: MakePeople
) -> None:
    now = [0.0]
    held = HeldPeople(clock=lambda: now[0])
    for place, by in enumerate(("gender", "age", "means")):
        desk.ask({"by": [by], **SHARP}, queries=desk.queries(held=held))
        assert desk.openings == place + 1
    (first,) = _held(held)
    desk.house.take_in(agreeing(people(100, start=300)))
    desk.now += 86_400
    found = numbers(desk.ask({"by": ["gender"], **SHARP}, queries=desk.queries(held=held)))
    assert found["woman",] is not None and abs(found["woman",][0] - 200) <= 5
    (second,) = _held(held)
    assert second is not first
    now[0] = 601.0
    desk.ask({"by": ["year"], **SHARP}, queries=desk.queries(held=held))
    (third,) = _held(held)
    assert third is not second
    held.forget()
    assert held.count == 0


# --- saved questions ---


@pytest.mark.parametrize("schema", ["ctdc-global", "htcds-2.0", "ctdc-victim-perpetrator"])
def test_saved_questions_fit_the_schemas_that_can_play_their_roles(schema: str) -> None:
    loaded = load_schema(schema)
    domain, fitting = Domain.from_schema(loaded), 0
    for name in SAVED:
        try:
            document = saved_question(name, loaded)
        except SavedQuestionError as error:
            assert "has no attribute for" in str(error)
            continue
        parse_question({**document, "accuracy": {"within_people": 25}}, domain)
        fitting += 1
    assert fitting >= 3 and saved_question("sdg-16.2.2", loaded)
    with pytest.raises(SavedQuestionError):
        saved_question("sdg-99", loaded)


# --- the command line ---


def _run(desk: Desk, command: str, *arguments: str) -> Any:
    ledger = ("--ledger", str(desk.ledger.path), "--from", "north/cases")
    return desk.house.run(command, *arguments, *ledger)


def test_the_command_line_quotes_asks_and_lists(desk: Desk) -> None:
    question = ("--by", "gender", "--where", "year=2019,2020", "--within", "10")
    quoted = _run(desk, "quote", *question)
    assert quoted.exit_code == 0 and "epsilon" in quoted.output and "within 10.0 people" in quoted.output
    assert desk.spent == 0
    asked = _run(desk, "ask", *question)
    assert asked.exit_code == 0, asked.output
    assert "woman" in asked.output and "95 % interval" in asked.output and "#" in asked.output
    assert "guarantee" in asked.output and desk.spent > 0
    again = json.loads(_run(desk, "ask", "--json", *question).stdout)
    assert again["format"] == "casehaven-answer/1"
    assert json.loads(_run(desk, "quote", "--json", *question).stdout)["free"] == "stored"
    listed = _run(desk, "answers")
    assert "counts by gender, under a condition" in listed.output
    assert "woman" in _run(desk, "answers", "--show", "1").output
    assert json.loads(_run(desk, "answers", "--json").stdout) == [again]


def test_the_command_line_refuses_with_a_place_and_an_advice(desk: Desk) -> None:
    for arguments, said, code in (
        (("--by", "notes", "--within", "10"), "/by/0: expected an attribute that may be counted", 1),
        (("--by", "gender"), "--within PEOPLE, or --epsilon", 2),
        (("--by", "gender", "--median", "age", "--mean", "age", "--within", "5"), "an answer shows one thing", 2),
        (("--by", "gender", "--where", "year", "--within", "5"), "ATTRIBUTE=VALUE", 2),
        (("--saved", "sdg-16.2.2", "--by", "gender", "--within", "5"), "a whole question", 2),
        (("--by", "gender", "--epsilon", "100", "--within", "1"), "/accuracy", 1),
    ):
        refused = _run(desk, "ask", *arguments)
        assert refused.exit_code == code and said in refused.output and "try: " in refused.output, refused.output
    assert desk.spent == desk.openings == 0


def test_a_question_in_a_file_and_medians_means_changes(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "question.json"
    path.write_text(json.dumps({"by": ["gender"], "show": {"median": "age"}, **SHARP}))
    assert "18-29" in _run(desk, "ask", "--question", str(path)).output
    assert "change" in _run(desk, "ask", "--by", "year", "--changes", "year", "--within", "3").output
    mean = _run(desk, "ask", "--mean", "age", "--within", "3")
    assert mean.exit_code == 1 and "lowest and highest number is not known" in mean.output
    bounds = {"mean": "age", "bounds": {"30+": [30, 100]}}
    path.write_text(json.dumps({"by": ["gender"], "show": bounds, **SHARP}))
    assert "mean" in _run(desk, "ask", "--question", str(path)).output


def test_a_released_bundle_is_asked_at_no_charge_and_answers_as_it_was_published(
    shelter: Shelter, people: MakePeople
) -> None:
    """Made with the noise of epsilon 8; the release's own intervals hold, and the ledger stays as it is."""
    bundle, trust = shelter.folder / "bundle", ("--trust", shelter.folder / "trust.json")
    released = shelter.release(shelter.write("north.csv", people(600)), extra=("--epsilon", "8"))
    assert released.exit_code == 0, released.output
    shown = shelter.run("keys", "show", "--key", shelter.folder / "key.pem").output
    fingerprint = shown.split()[1]
    added = shelter.run("keys", "trust", "add", "me", bundle, "--fingerprint", fingerprint, *trust)
    assert added.exit_code == 0, added.output
    before = (shelter.folder / "ledger.sqlite").read_bytes()
    place = ("ask", "--bundle", bundle, "--schema", shelter.folder / "shelter.json", *trust)
    asked = shelter.run(*place, "--by", "gender", "--by", "means", "--where", "age=15,22,40")
    assert asked.exit_code == 1 and "/where" in asked.output
    asked = shelter.run(*place, "--by", "gender", "--where", "age=0-17,18-29,30+")
    assert asked.exit_code == 0, asked.output
    assert "charge     none" in asked.output
    rows = json.loads(shelter.run(*place, "--by", "gender", "--by", "means", "--json").stdout)["rows"]
    counts = json.loads(shelter.run(*place, "--by", "gender", "--json").stdout)["rows"]
    truth = {("woman", "threats"): 240, ("man", "debt"): 90}
    found = {tuple(part for _, part in row["cell"]): row for row in rows}
    for cell, exact in truth.items():
        assert found[cell]["low"] - 40 <= exact <= found[cell]["high"] + 40
    shares = json.loads(shelter.run(*place, "--by", "gender", "--percentages", "--json").stdout)["rows"]
    told = {row["cell"][0][1]: row for row in shares}
    assert set(told) == {"woman", "man"} and told["woman"]["kind"] == "percentage"
    for code, percent in (("woman", 200 / 3), ("man", 100 / 3)):
        row, count = told[code], next(r for r in counts if r["cell"][0][1] == code)
        assert row["low"] <= row["estimate"] <= row["high"] and row["low"] - 5 <= percent <= row["high"] + 5
        assert row["high"] - row["low"] > 100 * (count["high"] - count["low"]) / 600 / 2  # no sharper than its counts
    assert shelter.run(*place, "--by", "means", "--percentages").exit_code == 1
    for refused in (("--median", "age"), ("--by", "gender", "--by", "age", "--by", "means", "--where", "year=2019")):
        assert shelter.run(*place, *refused).exit_code == 1
    assert shelter.run(*place, "--from", "north/cases", "--by", "gender").exit_code == 2
    assert (shelter.folder / "ledger.sqlite").read_bytes() == before
