"""Answers and time: what a day's answer is worth later, what a key stands for, when a service shows an answer; and questions about some years of first registration alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from casehaven.ledger import IdempotencyConflictError, IdempotencyKey, Ledger
from casehaven.queries import (
    AnswerNotYetError,
    Asked,
    ChargedFailureError,
    HeldPeople,
    NoAnswerOfThatDayError,
    Queries,
    Quote,
)
from casehaven.queries.attempts import Step
from casesynth.answers import QuestionError

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

DAY = 86_400
SHARP = {"accuracy": {"within_people": 1}}
BY_GENDER = {"by": ["gender"], **SHARP}


@dataclass(kw_only=True)
class Desk:
    """A safe house whose people may be asked about, with a ledger and a clock."""

    house: SafeHouse
    ledger: Ledger
    now: int = 1_700_000_000
    asked: int = 0
    held: HeldPeople = field(default_factory=HeldPeople)

    def queries(self, **more: Any) -> Queries:
        vault = self.house.open()
        datasets = [vault.dataset("north", "cases")]
        return Queries(
            vault=vault, ledger=self.ledger, datasets=datasets, clock=lambda: self.now, held=self.held, **more
        )

    def ask(
        self, document: Mapping[str, Any], key: str | None = None, *, queries: Queries | None = None, **more: Any
    ) -> Asked:
        self.asked += 1
        opened = queries or self.queries()
        return opened.ask(opened.parse(document), IdempotencyKey(text=key or f"question-{self.asked}"), **more)

    def quote(self, document: Mapping[str, Any]) -> Quote:
        queries = self.queries()
        return queries.quote(queries.parse(document))

    def run(self, *arguments: str) -> Any:
        return self.house.run(*arguments, "--ledger", str(self.ledger.path), "--from", "north/cases")

    @property
    def today(self) -> str:
        return datetime.fromtimestamp(self.now, UTC).date().isoformat()

    @property
    def spent(self) -> dict[str, int]:
        return {row.block: row.spent_nano_rho for row in self.ledger.statement().rows}


@pytest.fixture
def desk(asked_house: SafeHouse) -> Desk:
    return Desk(house=asked_house, ledger=Ledger.open(asked_house.folder / "ledger.sqlite"))


def numbers(asked: Asked) -> dict[str, float | None]:
    return {row["cell"][0][1]: row.get("estimate") for row in asked.answer["rows"]}


# --- as of an earlier day ---


def test_a_question_of_an_earlier_day_is_free_as_of_that_day_and_priced_for_a_new_count(desk: Desk) -> None:
    first, day = desk.ask(BY_GENDER), desk.today
    desk.now += 3 * DAY
    quote, spent = desk.quote(BY_GENDER), desk.spent
    assert quote.free is None and quote.asked_on == (day,)
    assert first.charged is not None and quote.plan.nano_rho == quote.alone_nano_rho == first.charged.nano_rho
    again = desk.ask(BY_GENDER, as_of=day)
    assert again.answer == first.answer and again.charged is None
    weaker = desk.ask({"by": ["gender"], "accuracy": {"within_people": 9}}, as_of=day)
    assert weaker.answer == first.answer
    grouped = {"by": [{"attribute": "gender", "groups": [{"label": "any", "codes": ["woman", "man"]}]}]}
    coarser = desk.ask({**grouped, "accuracy": {"within_people": 3}}, as_of=day)
    assert coarser.free == "from earlier answers" and coarser.answer["snapshot"]["day"] == day
    assert desk.spent == spent
    new = desk.ask(BY_GENDER)
    assert new.charged is not None and new.answer["snapshot"]["day"] == desk.today != day
    assert desk.quote(BY_GENDER).free == "stored"


def test_nobody_is_counted_as_of_an_earlier_day(desk: Desk) -> None:
    desk.ask({"by": ["gender"], "accuracy": {"within_people": 5}})
    day, spent = desk.today, desk.spent
    desk.now += DAY
    for document, as_of in ((BY_GENDER, day), ({"by": ["age"], **SHARP}, day), (BY_GENDER, "1999-01-01")):
        with pytest.raises(NoAnswerOfThatDayError):
            desk.ask(document, as_of=as_of)
    assert desk.quote(BY_GENDER).asked_on == () and desk.spent == spent


def test_the_command_line_says_on_which_day_it_was_asked(desk: Desk) -> None:
    desk.now = int(datetime.now(UTC).timestamp()) - 2 * DAY
    desk.ask(BY_GENDER)
    question = ("--by", "gender", "--within", "1")
    told = desk.run("quote", *question).output
    assert f"asked      on {desk.today}: free as of that day" in told and "price      epsilon" in told
    assert json.loads(desk.run("quote", "--json", *question).stdout)["asked_on"] == [desk.today]
    shown = desk.run("ask", "--as-of", desk.today, *question)
    assert shown.exit_code == 0, shown.output
    assert f"counted    people as they were on {desk.today}" in shown.output and "charge     none" in shown.output
    refused = desk.run("ask", "--as-of", "1999-01-01", *question)
    assert refused.exit_code == 1 and "answers --all" in refused.output


# --- what a key stands for ---


def test_what_was_served_at_no_charge_is_what_its_key_gets_on_any_later_day(desk: Desk) -> None:
    desk.ask(BY_GENDER)
    stored = desk.ask(BY_GENDER, "served-of-gender")
    grouped = {"by": [{"attribute": "gender", "groups": [{"label": "any", "codes": ["woman", "man"]}]}]}
    follows = desk.ask({**grouped, "accuracy": {"within_people": 3}}, "follows-of-gender")
    assert (stored.free, follows.free) == ("stored", "from earlier answers")
    spent = desk.spent
    for _ in range(2):
        desk.now += 5 * DAY
        assert desk.ask(BY_GENDER, "served-of-gender").answer == stored.answer
        assert desk.ask({**grouped, "accuracy": {"within_people": 3}}, "follows-of-gender").answer == follows.answer
    assert desk.spent == spent
    for other in ({"by": ["age"], **SHARP}, {"by": ["gender"], "accuracy": {"within_people": 2}}):
        with pytest.raises(IdempotencyConflictError):
            desk.ask(other, "served-of-gender")
    assert desk.spent == spent


# --- ticks ---


def test_a_service_names_the_tick_before_and_shows_nothing_until_then(desk: Desk) -> None:
    queries = desk.queries()
    due = queries.due(queries.parse(BY_GENDER), accepted_at=desk.now)
    assert due % queries.ticks(queries.parse(BY_GENDER)).period == 0 and due > desk.now
    first = desk.ask(BY_GENDER, "one-request", due=due)
    assert first.visible_at == due and first.charged is not None
    with pytest.raises(AnswerNotYetError):
        desk.ask(BY_GENDER, "one-request")
    assert desk.queries().answers() == () and desk.quote(BY_GENDER).free is None
    desk.now = due
    again = desk.ask(BY_GENDER, "one-request")
    assert again.answer == first.answer and again.visible_at == due
    assert desk.ask(BY_GENDER, due=due + 100).visible_at == desk.now  # what is stored depends on no record


def test_the_tick_depends_on_public_facts_alone(desk: Desk, people: MakePeople) -> None:
    queries = desk.queries()
    before = queries.due(queries.parse(BY_GENDER), accepted_at=desk.now)
    desk.house.take_in([{**r, "mayPool": "yes"} for r in people(400, start=300)])
    queries = desk.queries()
    assert queries.due(queries.parse(BY_GENDER), accepted_at=desk.now) == before


def test_what_is_not_ready_at_its_tick_is_a_charged_failure_like_any_other(desk: Desk) -> None:
    due = desk.now + 10

    def slow(step: Step) -> None:
        if step == "counted":
            desk.now = due

    with pytest.raises(ChargedFailureError) as late:
        desk.ask(BY_GENDER, "one-request", queries=desk.queries(failpoint=slow), due=due)

    def broken(step: Step) -> None:
        if step == "opened":
            raise IndexError("301 people")

    with pytest.raises(ChargedFailureError) as failed:
        desk.ask({"by": ["age"], **SHARP}, queries=desk.queries(failpoint=broken), due=due + 100)
    assert str(late.value) == str(failed.value)
    spent = desk.spent
    assert desk.queries().answers(every_day=True) == () and min(spent.values()) > 0
    again = desk.ask(BY_GENDER, "one-request", due=due + 100)
    assert again.charged is not None and desk.spent == spent


def test_of_two_who_ask_the_same_before_its_tick_one_pays(desk: Desk) -> None:
    """Neither sees anything before the tick, nor that the other asked."""
    due, queries = desk.now + 30, desk.queries()

    def ask(name: str) -> Asked:
        return queries.ask(queries.parse(BY_GENDER), IdempotencyKey(text=f"asked-by-{name}"), due=due)

    with ThreadPoolExecutor(max_workers=2) as pool:
        one, other = pool.map(ask, ("anna", "bert"))
    (charged,) = [found.charged for found in (one, other) if found.charged is not None]
    assert set(desk.spent.values()) == {charged.nano_rho}
    assert one.answer == other.answer and one.visible_at == other.visible_at == due
    later = desk.ask({"by": ["gender"], "accuracy": {"within_people": 4}}, "asked-by-cleo", due=due + 30)
    assert (later.answer, later.charged, later.visible_at) == (one.answer, None, due + 30)
    again = desk.ask({"by": ["gender"], "accuracy": {"within_people": 4}}, "asked-by-cleo", due=due + 30)
    assert again.answer == one.answer and again.visible_at >= due  # a worker that died and came again
    assert desk.quote(BY_GENDER).free is None and desk.queries().answers() == ()
    for key in ("asked-by-dora", "asked-by-cleo"):  # in her own process, which has no tick
        with pytest.raises(AnswerNotYetError):
            desk.ask({"by": ["gender"], "accuracy": {"within_people": 4}}, key)
    desk.now = due
    assert desk.quote(BY_GENDER).free == "stored" and set(desk.spent.values()) == {charged.nano_rho}
    assert desk.ask({"by": ["gender"], "accuracy": {"within_people": 4}}, "asked-by-cleo").answer == one.answer


# --- midnight ---


@pytest.mark.parametrize("at", ["locked", "charged"])
def test_an_attempt_that_midnight_finds_before_it_opens_is_one_of_the_new_day(desk: Desk, at: str) -> None:
    desk.now += DAY - desk.now % DAY - 1
    before = desk.today
    turned: list[str] = []

    def midnight(step: str) -> None:
        if step == at and not turned:
            turned.append(step)
            desk.now += 2

    queries = desk.queries(failpoint=midnight)
    if at == "locked":  # it waits for another's count; the day turns meanwhile
        holder = desk.queries()

        def counted(step: Step) -> None:
            if step == "opened":
                waiting.append(pool.submit(queries.ask, queries.parse(BY_GENDER), IdempotencyKey(text="who-waits")))
                _until(lambda: _waiters(desk) == 3)
                midnight("locked")

        holder.failpoint = counted
        waiting: list[Future[Asked]] = []
        with ThreadPoolExecutor(max_workers=1) as pool:
            first = desk.ask({"by": ["gender"], "accuracy": {"within_people": 3}}, queries=holder)
            found = waiting[0].result(60)
        assert first.answer["snapshot"]["day"] == before  # it had its permission to draw
    else:
        found = queries.ask(queries.parse(BY_GENDER), IdempotencyKey(text="midnight-1"))
    assert found.charged is not None and found.answer["snapshot"]["day"] == desk.today != before
    assert turned == [at] and desk.quote(BY_GENDER).free == "stored"
    spent = desk.spent
    assert desk.ask(BY_GENDER).free == "stored" and desk.spent == spent


def _waiters(desk: Desk) -> int:
    """How many locks of requests and questions there are."""
    return len(list(desk.ledger.path.parent.glob(f".{desk.ledger.path.name}.*.asking")))


def _until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise TimeoutError


# --- threads ---


def test_threads_share_one_desk_and_its_people(desk: Desk) -> None:
    """Four questions, each asked by two threads at once: each is charged once, and the people are read once."""
    queries = desk.queries()
    documents = [{"by": [by], **SHARP} for by in ("gender", "age", "means", "year")]

    def ask(number: int) -> Asked:
        question = queries.parse(documents[number % 4])
        return queries.ask(question, IdempotencyKey(text=f"thread-{number}"))

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(ask, range(8)))
    for number in range(4):
        one, other = found[number], found[number + 4]
        assert one.answer == other.answer and (one.charged is None) != (other.charged is None)
    charged = [asked.charged.nano_rho for asked in found if asked.charged is not None]
    assert set(desk.spent.values()) == {sum(charged)} and len(charged) == 4
    assert desk.held.count == 1


# --- years of first registration ---


def test_a_question_about_some_years_charges_and_counts_those_years_alone(desk: Desk) -> None:
    """A fifth of the 300 people was registered in each of five years; every second one is a woman."""
    document = {"by": ["gender"], "registered": ["2020", "2019"], **SHARP}
    quote = desk.quote(document)
    found = desk.ask(document)
    assert found.charged is not None and quote.plan.loss == found.charged
    paid = {block for block, spent in desk.spent.items() if spent}
    assert paid == {"2019", "2020"} and set(desk.spent.values()) == {0, found.charged.nano_rho}
    woman = numbers(found)["woman"]
    assert woman is not None and abs(woman - 60) <= 5
    assert found.answer["question"]["registered"] == ["2019", "2020"]
    other = desk.ask({"by": ["gender"], "registered": ["2021"], **SHARP})
    assert other.charged is not None and other.answer["earlier_tables"] == 0
    assert {b for b, spent in desk.spent.items() if spent == found.charged.nano_rho} == {"2019", "2020", "2021"}
    man = numbers(other)["man"]
    assert man is not None and abs(man - 15) <= 5
    records = desk.ask({**document, "count": {"records": {"at_most": 1}}})
    woman = numbers(records)["woman"]
    assert woman is not None and abs(woman - 60) <= 5
    assert {block for block, spent in desk.spent.items() if spent} == {"2019", "2020", "2021"}


def test_all_years_named_is_the_question_without_years(desk: Desk) -> None:
    blocks = desk.queries().facts.blocks
    desk.ask(BY_GENDER)
    assert desk.ask({**BY_GENDER, "registered": list(reversed(blocks))}).free == "stored"
    assert min(desk.spent.values()) > 0


def test_a_corrected_year_moves_nobody_into_another_account(desk: Desk) -> None:
    woman = numbers(desk.ask({"by": ["gender"], "registered": ["2019"], **SHARP}))["woman"]
    assert woman is not None
    for number in range(0, 60, 20):  # women of 2019
        changed = desk.house.run("person", "correct", f"p{number:05d}", "--set", "year=2022", "--reason", "asked")
        assert changed.exit_code == 0, changed.output
    desk.now += DAY
    after = numbers(desk.ask({"by": ["gender"], "registered": ["2019"], **SHARP}))["woman"]
    assert after is not None and abs(after - 30) <= 5 and abs(woman - 30) <= 5


@pytest.mark.parametrize("wrong", [[], ["1066"], ["2019", "2019"], "2019", [2019], [None]])
def test_years_that_are_none_are_refused(desk: Desk, wrong: object) -> None:
    with pytest.raises(QuestionError, match="/registered"):
        desk.quote({"by": ["gender"], "registered": wrong, **SHARP})


def test_years_on_the_command_line(desk: Desk) -> None:
    told = desk.run("quote", "--by", "gender", "--registered", "2019,unknown", "--within", "1").output
    assert "people first registered in unknown, 2019" in told
    asked = desk.run("ask", "--by", "gender", "--registered", "2019", "--registered", "2020", "--within", "1")
    assert asked.exit_code == 0, asked.output
    assert {block for block, spent in desk.spent.items() if spent} == {"2019", "2020"}
