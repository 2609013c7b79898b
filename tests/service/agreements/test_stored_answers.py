"""Answers that are stored under an agreement: listed for whoever may ask under the document in force, and of no other document, day or agreement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.front_door import Person
from tests.round_table import BY_GENDER, RoundTable, laid_table

from casehaven.agreements.document import AgreementDocument
from casehaven.agreements.errors import AgreementNeededError
from casehaven.organisations.roles import Role
from casehaven.worker import questions
from casehaven.worker.pool_names import pool_name, pool_names

BY_YEAR = {"by": ["year"], "accuracy": {"within_people": 40}}


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table of this test's own."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path_factory.mktemp("stored") / "table")


def listed(table: RoundTable, agreement: str, by: Person | None = None, *, every_day: bool = False) -> list[Any]:
    """List what is stored, as a member."""
    request = {"agreement": agreement, "every_day": every_day}
    found: list[Any] = questions.answers(table.job("answer.list", by or table.asker, request)).result["answers"]
    return found


def asked(table: RoundTable, document: AgreementDocument, question: Mapping[str, Any] = BY_GENDER) -> Any:
    """Ask, and wait for the tick."""
    answer = table.ask(document, question)["answer"]
    pass_time(table, 600)
    return answer


def pass_time(table: RoundTable, seconds: int) -> None:
    """Let time pass, and everybody sign in again."""
    table.door.clock.now += seconds
    for person in (*table.stewards.values(), table.asker):
        table.step_up(person)


def test_an_answer_is_listed_after_its_tick_for_everybody_who_may_ask_and_names_no_dataset(table: RoundTable) -> None:
    document = table.agree()
    answer = table.ask(document)["answer"]
    assert listed(table, document.agreement) == []  # its tick has not come
    table.door.clock.now += 600
    assert listed(table, document.agreement) == [answer]
    other = table.door.join(table.door.found("leo", "quarry"), "lou", Role.RESEARCHER)
    table.execute("DELETE FROM job WHERE kind = 'organisation.keys'")  # of the new organisation
    with pytest.raises(AgreementNeededError):
        listed(table, document.agreement, other)
    assert "north" not in str(answer) and "south" not in str(answer)


def test_nothing_of_an_earlier_document_of_another_agreement_or_of_no_agreement_is_listed(table: RoundTable) -> None:
    document = table.agree()
    first = asked(table, document)
    another = table.agree(title="Another one")
    second = asked(table, another, BY_YEAR)
    table.ask_datasets(["north/cases"], by=table.stewards["north"])
    pass_time(table, 600)
    assert listed(table, document.agreement) == [first]
    assert listed(table, another.agreement) == [second]
    changed = table.agree(agreement=document.agreement, minimum_count=25)
    assert changed.agreement == document.agreement and changed.digest != document.digest
    assert listed(table, document.agreement, every_day=True) == []
    third = asked(table, changed)
    assert listed(table, document.agreement, every_day=True) == [third]


def test_an_answer_of_an_earlier_day_is_listed_where_every_day_is_asked_for(table: RoundTable) -> None:
    document = table.agree()
    answer = asked(table, document)
    pass_time(table, 86_400)
    assert listed(table, document.agreement) == []
    assert listed(table, document.agreement, every_day=True) == [answer]


def test_nothing_is_listed_once_the_agreement_is_revoked(table: RoundTable) -> None:
    document = table.agree()
    asked(table, document)
    table.revoke(document.agreement, "south")
    with pytest.raises(AgreementNeededError):
        listed(table, document.agreement)


def test_a_choice_without_some_datasets_has_a_name_of_its_own(table: RoundTable) -> None:
    fields = table.terms()["contributions"][0]["fields"]
    three = [{"dataset": f"{name}/cases", "fields": fields} for name in ("north", "south", "east")]
    document = table.propose(contributions=three, max_tokens_per_person=3)
    names = [pool_names(document, left_out) for left_out in range(4)]
    assert [len(each) for each in names] == [1, 3, 3, 0]
    assert names[0] == {pool_name(document, document.datasets)}
    assert pool_name(document, [document.datasets[0], document.datasets[2]]) in names[1]
    assert len(set().union(*names)) == 7
    other = table.propose(contributions=three, max_tokens_per_person=3)
    assert not set().union(*names) & pool_names(other, 0)
