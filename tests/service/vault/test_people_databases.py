"""People on SQLite and on Postgres: the same life of one person, from consent to erasure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select, update

from casehaven.people import People, possible_duplicates
from casehaven.people.matching import REFERENCE_FIELD
from casehaven.statistics import own_statistics
from casehaven.vault import models
from casehaven.vault.erasure import receipt_of
from casehaven.vault.errors import UnknownPersonError

if TYPE_CHECKING:
    from tests.service.vault.conftest import Store

WHY = "a test of both databases"


@pytest.fixture
def people(store: Store) -> People:
    yes = {"year": "2022", "gender": "woman", "mayCount": "yes"}
    store.take_in([{"token": "A", "age": "15", **yes}, {"token": "B", **yes}, {"token": "C", **yes}])
    vault = store.open()
    return People(vault, vault.dataset("north", "cases"))


def counted(people: People) -> int:
    vault = people.vault
    return own_statistics(vault, vault.dataset("north", "cases"), None, reason="a test").facts.people


def test_a_person_is_found_corrected_asked_kept_and_erased(people: People) -> None:
    vault = people.vault
    assert people.find("A", reason=WHY).person_id
    view = people.correct("A", {"age": "19"}, reason=WHY)
    assert [record.cells["age"] for record in view.counting] == ["18-29"]
    assert [older.cells["age"] for older in view.replaced_by(view.counting[0])] == ["15"]
    people.record_consent("A", "own_statistics", given=False, reason=WHY)
    assert counted(people) == 2
    people.record_consent("A", "own_statistics", given=True, language="fr", reason=WHY)
    assert counted(people) == 3
    kept = [version.version for version in people.read("A", reason=WHY).consent.versions]
    assert kept == [1, 2, 3]
    receipt = people.erase("A", reason=WHY)
    assert counted(people) == 2
    assert receipt_of(vault, receipt.person_id) == receipt
    with pytest.raises(UnknownPersonError):
        people.find("A", reason=WHY)
    with vault.database.transaction(writes=False) as connection:
        for table in (models.person, models.record, models.consent):
            this = table.c.person_id == receipt.person_id
            assert connection.scalar(select(func.count()).select_from(table).where(this)) == 0


def test_last_days_are_set_for_all_and_those_who_are_due_are_erased(people: People) -> None:
    people.keep_all_for(24, reason=WHY)
    assert people.due(reason=WHY) == ()
    b = people.find("B", reason=WHY)
    with people.vault.writing() as connection:
        past = datetime.now(UTC).date() - timedelta(days=1)
        this = models.person.c.person_id == b.person_id
        connection.execute(update(models.person).where(this).values(retain_until=past))
    assert counted(people) == 2
    assert [people.reference_of(view) for view in people.due(reason=WHY)] == ["B"]
    assert [receipt.person_id for receipt in people.erase_due(reason=WHY)] == [b.person_id]
    assert people.due(reason=WHY) == ()


def test_possible_duplicates_are_pairs_in_the_order_of_what_they_share(people: People) -> None:
    a, b, c = (people.find(token, reason=WHY).person_id for token in "ABC")
    entries = [("one", b"x" * 8, a), ("one", b"x" * 8, b), ("two", b"y" * 8, a), ("two", b"y" * 8, b)]
    entries += [
        ("one", b"z" * 8, c),
        ("two", b"z" * 8, b),
        (REFERENCE_FIELD, b"r" * 8, b),
        (REFERENCE_FIELD, b"r" * 8, c),
    ]
    with people.vault.writing() as connection:
        for field, value, person in entries + entries:  # a file that is taken in again repeats them
            row = {"dataset_id": people.dataset.dataset_id, "field": field, "value": value, "person_id": person}
            connection.execute(insert(models.blind_index).values(**row))
    with people.vault.database.transaction(writes=False) as connection:
        found = possible_duplicates(connection, [people.dataset])
    assert [({pair.first, pair.second}, pair.fields) for pair in found] == [
        ({a, b}, ("one", "two")),
        ({b, c}, (REFERENCE_FIELD,)),
    ]
