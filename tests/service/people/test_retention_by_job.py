"""Who is past their last day is named and erased by jobs of the service; how a dataset stands is counted as people count by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.round_table import RoundTable, laid_table

from casehaven.client.people import ERASED_AT_ONCE
from casehaven.core.audit_models import audit
from casehaven.core.job_seals import seal_request
from casehaven.people import People
from casehaven.people.standing import dataset_standing, taken_in
from casehaven.statistics.errors import YearError
from casehaven.vault import models
from casehaven.vault.erasure import signed_receipt
from casehaven.web.backend import ANSWER_BYTES
from casehaven.worker import own_statistics, retention
from casehaven.worker.handlers import handler_of

WHY = "the policy of the shelter"


def days_ago(days: int) -> date:
    """Return a day of the past as it is now: tests may begin before midnight and go on after it."""
    return datetime.now(UTC).date() - timedelta(days=days)


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table of this test's own."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path_factory.mktemp("retention") / "table")


def do(table: RoundTable, kind: str, private: dict[str, Any] | None = None) -> Any:
    """Have a job about north/cases done for its steward, with a sealed request."""
    work = table.job(kind, table.stewards["north"], {}, organisation="north", datasets=["north/cases"])
    key = table.bench.vault.keystore.organisation("north").public_key
    sealed = seal_request(key, "north", work.job.job_id, {"reason": WHY, **(private or {})})
    work.job = replace(work.job, sealed_request=sealed)
    return handler_of(kind)(work).result


def past(table: RoundTable, tokens: list[str], day: date) -> None:
    """Let the last day of some people be past, as time does."""
    vault = table.bench.vault
    people = People(vault, vault.dataset("north", "cases"))
    numbers = {token: _number(people, token) for token in tokens}
    with vault.writing() as connection:
        for token in tokens:
            this = models.person.c.person_id == numbers[token]
            connection.execute(update(models.person).where(this).values(retain_until=day))


def _number(people: People, token: str) -> int:
    found = people._look_up(token)
    assert found is not None
    return found.person_id


def actions(table: RoundTable) -> list[str]:
    vault = table.bench.vault
    with vault.database.transaction(writes=False) as connection:
        return list(connection.scalars(select(audit.c.action).order_by(audit.c.position)))


def test_who_is_due_is_named_longest_first_and_each_opening_is_logged(table: RoundTable) -> None:
    past(table, ["n0003"], days_ago(1))
    past(table, ["n0007"], days_ago(9))
    past(table, ["n0009"], days_ago(0))  # the last day is included: not due yet
    before = len(actions(table))
    found = do(table, "person.due")
    assert [person["reference"] for person in found["people"]] == ["n0007", "n0003"]
    assert [person["kept_until"] for person in found["people"]] == [days_ago(days).isoformat() for days in (9, 1)]
    assert found["cut"] is False
    assert actions(table)[before:] == ["person.due", "person.read", "person.read"]


def test_a_long_list_of_due_people_is_cut_and_says_so(table: RoundTable) -> None:
    past(table, [f"n{place:04}" for place in range(3)], days_ago(2))
    people = People(table.bench.vault, table.bench.vault.dataset("north", "cases"))
    assert len(people.due(reason=WHY, most=2)) == 2
    assert retention.PEOPLE_SHOWN == 500
    assert len(do(table, "person.due")["people"]) == 3


def test_due_people_are_erased_each_with_a_receipt_and_nobody_else(table: RoundTable) -> None:
    vault = table.bench.vault
    dataset = vault.dataset("north", "cases")
    past(table, ["n0001", "n0002"], days_ago(1))
    past(table, ["n0004"], days_ago(0))
    receipts = [json.loads(text) for text in do(table, "person.erase-due")["receipts"]]
    numbers = [json.loads(receipt["receipt"])["number"] for receipt in receipts]
    assert len(set(numbers)) == 2
    people = People(vault, dataset)
    assert people._look_up("n0001") is people._look_up("n0002") is None
    assert people._look_up("n0004") is not None
    again = do(table, "person.receipt", {"number": numbers[0]})
    assert json.loads(again["signed"]) == receipts[0]
    assert again["signed"].encode() == signed_receipt(vault, people.receipt_again(int(numbers[0]), reason=WHY))
    assert do(table, "person.erase-due") == {"receipts": [], "cut": False}
    with vault.database.transaction(writes=False) as connection:
        standing = dataset_standing(connection, vault.dataset("north", "cases"))
    assert (standing.people, standing.erased, standing.due, standing.next_last_day) == (88, 2, 0, days_ago(0))


def test_no_more_people_are_erased_at_once_than_receipts_are_handed_out_and_the_rest_waits(table: RoundTable) -> None:
    past(table, ["n0001"], days_ago(1))
    past(table, ["n0002"], days_ago(7))
    past(table, ["n0004"], days_ago(3))
    first = do(table, "person.erase-due", {"most": 2})
    assert len(first["receipts"]) == 2 and first["cut"] is True
    people = People(table.bench.vault, table.bench.vault.dataset("north", "cases"))
    assert people._look_up("n0002") is people._look_up("n0004") is None, "the longest overdue first"
    assert people._look_up("n0001") is not None
    last = do(table, "person.erase-due", {"most": 2})
    assert len(last["receipts"]) == 1 and last["cut"] is False
    assert retention.ERASED_AT_ONCE == ERASED_AT_ONCE
    assert retention.ERASED_AT_ONCE * 1_500 < ANSWER_BYTES, "a page can take every receipt of a job"


def test_a_dataset_stands_as_its_rows_say(table: RoundTable) -> None:
    vault = table.bench.vault
    people = People(vault, vault.dataset("north", "cases"))
    people.record_consent("n0005", "own_statistics", given=False, reason=WHY)
    people.record_consent("n0005", "own_statistics", given=True, reason=WHY, language="en")
    people.record_consent("n0006", "own_statistics", given=False, reason=WHY)
    people.correct("n0008", {"gender": "man"}, reason=WHY)
    with vault.database.transaction(writes=False) as connection:
        dataset = vault.dataset("north", "cases")
        standing, (intake,) = dataset_standing(connection, dataset), taken_in(connection, dataset)
    assert (standing.people, standing.records, standing.replaced) == (90, 90, 1)
    own = standing.consent["own_statistics"]
    assert (own.given, own.refused, own.never_asked) == (89, 1, 0)
    assert sum((own.given, own.refused, own.never_asked)) == standing.people
    assert (intake.records, intake.replaced, intake.version) == (90, 1, 1)
    assert do(table, "dataset.status")["people"] == 90
    assert do(table, "dataset.intakes")["items"][0]["records"] == 90


def test_a_schema_without_fields_that_identify_people_compares_nobody(table: RoundTable) -> None:
    assert do(table, "person.duplicates", {"most": 5}) == {"comparable": False, "pairs": [], "cut": False}


def test_tables_of_a_schema_without_roles_have_percentages_and_no_crosses(table: RoundTable) -> None:
    found = do(table, "statistics.tables", {"years": [2019], "kind": "json"})
    assert found["people"] == 18 and found["tables"]
    assert own_statistics.FORMAT == found["format"]
    with pytest.raises(YearError):
        do(table, "statistics.tables", {"years": [1901]})
