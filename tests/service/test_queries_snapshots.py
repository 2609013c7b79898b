"""What an answer is about, and what of it nobody may learn: changes of a day, another vault's people, whatever fails on a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from casehaven.ledger import (
    IdempotencyConflictError,
    IdempotencyKey,
    Ledger,
    OtherVaultError,
)
from casehaven.queries import AnswerNotYetError, Asked, ChargedFailureError, HeldPeople, Queries
from casehaven.vault.rootkeys import create_file_key
from casehaven.vault.snapshots import Check, VaultSnapshot
from casehaven.vault.store import Vault
from casesynth.persons import PersonTable
from casesynth.privacy import Receipt

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, SafeHouse

SHARP = {"accuracy": {"within_people": 1}}
BY_GENDER = {"by": ["gender"], **SHARP}
DAY = 86_400


def _agreeing(records: list[Record]) -> list[Record]:
    return [{**record, **dict.fromkeys(("mayCare", "mayCount", "mayPool"), "yes")} for record in records]


@dataclass(kw_only=True)
class Desk:
    """One vault's questions under a ledger, with a clock."""

    vault: Callable[[], Vault]
    ledger: Ledger
    now: int = 1_700_000_000
    asked: int = 0

    def queries(self, **more: Any) -> Queries:
        vault = self.vault()
        datasets = [vault.dataset("north", "cases")]
        return Queries(vault=vault, ledger=self.ledger, datasets=datasets, clock=lambda: self.now, **more)

    def ask(self, document: Mapping[str, Any], key: str | None = None, **more: Any) -> Asked:
        self.asked += 1
        queries = self.queries(**more)
        return queries.ask(queries.parse(document), IdempotencyKey(text=key or f"question-{self.asked}"))

    def quoted(self, document: Mapping[str, Any]) -> tuple[object, ...]:
        """All that a quote tells, and what an answer would state."""
        queries = self.queries()
        quote = queries.quote(queries.parse(document))
        return quote, queries.facts.stated(), queries.facts.name

    @property
    def spent(self) -> int:
        return max((row.spent_nano_rho for row in self.ledger.statement().rows), default=0)


@pytest.fixture
def house(asked_house: SafeHouse) -> SafeHouse:
    """The house that the desk asks about."""
    return asked_house


@pytest.fixture
def desk(house: SafeHouse) -> Desk:
    return Desk(vault=house.open, ledger=Ledger.open(house.folder / "ledger.sqlite"))


def _numbers(asked: Asked) -> dict[str, float | None]:
    return {row["cell"][0][1]: row.get("estimate") for row in asked.answer["rows"]}


# --- the moment of a change is told to nobody ---


def test_a_withdrawal_a_correction_and_an_erasure_move_nothing_that_a_quote_or_an_answer_tells(
    desk: Desk, house: SafeHouse
) -> None:
    """Whoever can make one person withdraw, and quotes before and after, must not learn that the person was there."""
    desk.ask(BY_GENDER)
    told = [desk.quoted(BY_GENDER), desk.quoted({"by": ["age"], **SHARP})]
    house.people().record_consent("p00001", "pooled_statistics", given=False, reason="asked")
    assert [desk.quoted(BY_GENDER), desk.quoted({"by": ["age"], **SHARP})] == told
    assert house.run("person", "correct", "p00003", "--set", "gender=man", "--reason", "asked").exit_code == 0
    assert [desk.quoted(BY_GENDER), desk.quoted({"by": ["age"], **SHARP})] == told
    house.people().erase("p00002", reason="asked")
    assert [desk.quoted(BY_GENDER), desk.quoted({"by": ["age"], **SHARP})] == told
    spent = desk.spent
    assert desk.ask(BY_GENDER).free == "stored" and desk.spent == spent


def test_who_withdraws_is_not_in_the_next_count_of_the_same_day(desk: Desk, house: SafeHouse) -> None:
    for number in range(0, 80, 4):
        house.people().record_consent(f"p{number:05d}", "pooled_statistics", given=False, reason="asked")
    woman = _numbers(desk.ask(BY_GENDER, held=HeldPeople()))["woman"]
    assert woman is not None and abs(woman - 130) <= 5


def test_a_day_is_over_for_every_dataset_at_the_same_moment(desk: Desk) -> None:
    first = desk.quoted(BY_GENDER)
    desk.now += DAY - desk.now % DAY - 1
    assert desk.quoted(BY_GENDER) == first
    desk.now += 1
    assert desk.quoted(BY_GENDER)[2] != first[2]


# --- another vault ---


def test_answers_of_one_vault_are_not_those_of_another(desk: Desk, people: MakePeople, tmp_path: Path) -> None:
    """A test vault and the real one have the same dataset names, and perhaps one ledger."""
    folder = tmp_path / "second"
    folder.mkdir()
    vault = Vault.create(folder / "vault", create_file_key(folder / "root.key"))
    source = desk.queries().facts.datasets[0]
    vault.add_dataset("north", "cases", source.schema, source.people_cap)
    desk.ask(BY_GENDER)
    other = Desk(vault=lambda: vault, ledger=desk.ledger)
    quote = other.queries().quote(other.queries().parse(BY_GENDER))
    assert quote.free is None and quote.earlier_tables == 0
    assert other.queries().answers() == other.queries().answers(every_day=True) == ()
    spent = desk.spent
    with pytest.raises(OtherVaultError):  # what is spent for one vault's people is not spent for another's
        other.ask(BY_GENDER, key="of-the-other")
    assert desk.spent == spent


# --- people and records ---


def test_records_at_most_one_and_people_are_counted_each_on_their_own(desk: Desk, house: SafeHouse) -> None:
    """A second record of each person says another gender; of one record at most, half of the people have another one."""
    house.take_in(_agreeing([{"token": f"p{i:05d}", "mayRelease": "yes", "gender": "man"} for i in range(300)]))
    desk.ask({**BY_GENDER, "count": {"records": {"at_most": 1}}})
    found = desk.ask({"by": ["gender"], "accuracy": {"within_people": 2}})
    assert found.charged is not None and found.answer["earlier_tables"] == 0


# --- replays ---


def test_a_replay_gets_the_same_answer_whatever_changed_since(desk: Desk, house: SafeHouse) -> None:
    first = desk.ask(BY_GENDER, key="one-request")
    spent = desk.spent
    house.take_in(_agreeing([{"token": "new", "mayRelease": "yes", "gender": "man"}]))
    for _ in range(2):
        again = desk.ask(BY_GENDER, key="one-request")
        assert again.answer == first.answer and again.charged is None and desk.spent == spent
        desk.now += 40 * DAY
    for other in ({"by": ["age"], **SHARP}, {"by": ["gender"], "accuracy": {"within_people": 2}}):
        with pytest.raises(IdempotencyConflictError):
            desk.ask(other, key="one-request")
    listed = house.run("answers", "--all", "--ledger", str(desk.ledger.path), "--from", "north/cases")
    assert listed.exit_code == 0 and "counts by gender" in listed.output


class _Failing(HeldPeople):
    """Opens the people, and fails on what it found."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def open(self, snapshot: VaultSnapshot, receipt: Receipt, *, check: Check = lambda: None) -> PersonTable:
        super().open(snapshot, receipt, check=check)
        raise self.error


@pytest.mark.parametrize("kind", [IndexError, KeyError, OverflowError, RuntimeError, ValueError, ZeroDivisionError])
def test_whatever_fails_on_a_record_says_one_sentence(desk: Desk, kind: type[Exception]) -> None:
    with pytest.raises(ChargedFailureError) as caught:
        desk.ask(BY_GENDER, key="one-request", held=_Failing(kind("index 301 is out of bounds for size 300")))
    assert "301" not in str(caught.value) and caught.value.__cause__ is None and caught.value.__suppress_context__
    spent = desk.spent
    desk.now += DAY
    assert desk.ask(BY_GENDER, key="one-request").charged is not None and desk.spent == spent


class _Overtaken(HeldPeople):
    """While it opens the people, somebody stores an answer under its receipt: a process that does not see the lock beside the ledger."""

    def __init__(self, meanwhile: Callable[[Receipt], object]) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    def open(self, snapshot: VaultSnapshot, receipt: Receipt, *, check: Check = lambda: None) -> PersonTable:
        self.meanwhile(receipt)
        return super().open(snapshot, receipt, check=check)


def test_an_attempt_that_was_overtaken_shows_what_the_other_stored(desk: Desk) -> None:
    """What the faster one stores is an answer of the day before, so that it is another one than what the slower one draws."""
    theirs = desk.ask(BY_GENDER)
    (stored,) = desk.queries().answers()
    desk.now += DAY

    def faster(receipt: Receipt) -> None:
        key = replace(stored.key, snapshot=desk.queries().facts.name)
        desk.ledger.begin_draw(receipt)
        desk.ledger.store_answer(receipt, key, document=stored.document, visible_at=desk.now)

    slower = desk.ask(BY_GENDER, key="one-request", held=_Overtaken(faster))
    assert slower.answer == theirs.answer and slower.charged is None and len(desk.queries().answers()) == 1


def test_an_answer_is_not_shown_before_its_tick_under_its_own_key_either(desk: Desk) -> None:
    desk.ask(BY_GENDER, key="one-request")
    desk.now -= 60
    with pytest.raises(AnswerNotYetError):
        desk.ask(BY_GENDER, key="one-request")
    assert desk.queries().answers() == desk.queries().answers(every_day=True) == ()


def test_a_stronger_answer_before_its_tick_hides_no_visible_one(desk: Desk) -> None:
    weak = desk.ask({"by": ["gender"], "accuracy": {"within_people": 5}})
    desk.now += 60
    desk.ask(BY_GENDER)
    desk.now -= 30
    spent = desk.spent
    again = desk.ask({"by": ["gender"], "accuracy": {"within_people": 6}})
    assert again.free == "stored" and again.answer == weak.answer and desk.spent == spent
