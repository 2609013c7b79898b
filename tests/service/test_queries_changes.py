"""Somebody is withdrawn, corrected, erased or taken in while a question is answered: it is answered, whether or not the person is there (privacy rules 5, 21 and 23)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from casehaven.ledger import BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casehaven.queries import Asked, HeldPeople, Queries
from casehaven.queries.attempts import Step
from casehaven.vault.errors import UnknownPersonError

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

DAY = 86_400
BY_GENDER = {"by": ["gender"], "accuracy": {"within_people": 1}}
STEPS: tuple[str, ...] = ("charged", "drawing", "listed", "read", "opened", "counted", "answered")
"""Of an answer, and two within its opening: before its first and its second reading of something."""
HELD, ANEW, RECORDS = "held", "anew", "records"


def _withdrawn(house: SafeHouse, token: str) -> None:
    with suppress(UnknownPersonError):
        house.people().record_consent(token, "pooled_statistics", given=False, reason="asked")


def _corrected(house: SafeHouse, token: str) -> None:
    house.run("person", "correct", token, "--set", "gender=man", "--reason", "asked")


def _erased(house: SafeHouse, token: str) -> None:
    with suppress(UnknownPersonError):
        house.people().erase(token, reason="asked")


def _taken_in(house: SafeHouse, token: str) -> None:
    house.take_in([{"token": token, "mayPool": "yes", "mayRelease": "yes", "gender": "woman"}])


@dataclass(kw_only=True)
class Desk:
    """A house whose people are asked about while it changes."""

    house: SafeHouse
    ledger: Ledger
    now: int = 1_700_000_000
    asked: int = 0

    def queries(self, **more: Any) -> Queries:
        vault = self.house.open()
        more.setdefault("clock", lambda: self.now)
        return Queries(vault=vault, ledger=self.ledger, datasets=[vault.dataset("north", "cases")], **more)

    def ask_while(self, at: str, change: Callable[[], None], way: str, held: HeldPeople, *, within: int = 1) -> Asked:
        """Ask on a new day, and let something change at a step."""
        self.now += DAY
        self.asked += 1
        reached: list[str] = []
        looks = 0

        def step(step: Step) -> None:
            reached.append(step)
            if step == at:
                change()

        def clock() -> int:
            nonlocal looks
            if reached[-1:] == ["drawing"]:
                looks += 1
                if (at, looks) in (("listed", 1), ("read", 2)):
                    change()
            return self.now

        queries = self.queries(failpoint=step, clock=clock, held=held if way == HELD else None)
        document: dict[str, Any] = {"by": ["gender"], "accuracy": {"within_people": within}}
        if way == RECORDS:
            document["count"] = {"records": {"at_most": 1}}
        return queries.ask(queries.parse(document), IdempotencyKey(text=f"changed-{self.asked}"), due=self.now + 100)


@pytest.fixture
def desk(house: SafeHouse, people: MakePeople, tmp_path: Path) -> Desk:
    house.take_in([{**r, **dict.fromkeys(("mayCare", "mayCount", "mayPool"), "yes")} for r in people(60)])
    ledger = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of("100", "1e-6")))
    made = Desk(house=house, ledger=ledger)
    ledger.open_dataset("north/cases", made.queries().facts.blocks)
    return made


@pytest.mark.parametrize("change", [_withdrawn, _corrected, _erased, _taken_in])
@pytest.mark.parametrize("way", [HELD, ANEW, RECORDS])
def test_whoever_changes_while_it_is_answered_it_is_answered(
    desk: Desk, change: Callable[[SafeHouse, str], None], way: str
) -> None:
    held = HeldPeople()
    for place, step in enumerate(STEPS if way == HELD else STEPS[1:4]):
        for token in (f"p{place:05d}", f"p{90_000 + place}"):
            happened: list[str] = []

            def meanwhile(token: str = token, happened: list[str] = happened) -> None:
                happened.append(token)
                change(desk.house, token)

            if step == "read":
                held.forget()  # what is held is not read
            found = desk.ask_while(step, meanwhile, way, held)
            assert found.charged is not None and found.visible_at == desk.now + 100, (step, token)
            assert happened == [token]


def test_who_waits_for_the_count_of_another_is_answered_whoever_changes_meanwhile(desk: Desk) -> None:
    found: list[Asked] = []

    def sharper() -> None:
        queries = desk.queries()
        question = queries.parse(BY_GENDER)
        found.append(queries.ask(question, IdempotencyKey(text="who-waits")))

    waiting = threading.Thread(target=sharper)

    def meanwhile() -> None:
        waiting.start()
        waiting.join(0.3)  # it reads what it asks about, and waits; it is answered as well where it comes later
        _withdrawn(desk.house, "p00001")

    desk.ask_while("opened", meanwhile, ANEW, HeldPeople(), within=3)
    waiting.join(60)
    assert len(found) == 1 and found[0].charged is not None


def test_who_withdraws_before_the_chunks_are_listed_is_not_counted(desk: Desk) -> None:
    """Ten of thirty women, of whom the held people of before still knew. The noise has a standard deviation of .51: a false alarm once in 10^20 runs."""
    held = HeldPeople()
    desk.ask_while("none", lambda: None, HELD, held)

    def meanwhile() -> None:
        for number in range(0, 40, 4):  # each of them a woman
            _withdrawn(desk.house, f"p{number:05d}")

    answer = desk.ask_while("listed", meanwhile, HELD, held).answer
    found = {row["cell"][0][1]: row.get("estimate") for row in answer["rows"]}
    assert abs(found["woman"] - 20) <= 4 and abs(found["man"] - 15) <= 4
