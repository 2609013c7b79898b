"""Who is counted: people whose latest answer to the purpose is a yes, once each; on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import insert, select, update

from casehaven.core.audit_models import audit
from casehaven.intake import snapshot as file_snapshot
from casehaven.vault import models
from casehaven.vault.errors import PurposeRefusedError, SchemaDiffersError, SnapshotChangedError, VaultBusyError
from casehaven.vault.snapshots import TURNS, Tokens, VaultSnapshot, snapshot
from caseschemas import Purpose, load_schema
from casesynth.persons import PeopleCapError, PersonTable

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record
    from tests.service.vault.conftest import Store

    from casesynth.privacy import Receipt


def _opened(
    store: Store, receipt: Receipt, *names: str, purpose: Purpose = "synthetic_release", tokens: Tokens = "shared"
) -> PersonTable:
    vault = store.open()
    datasets = [vault.dataset(*name.split("/")) for name in names or ("north/cases",)]
    return snapshot(vault, datasets, purpose, tokens_are=tokens).open(receipt)


def _profiles(table: PersonTable) -> list[bytes]:
    return sorted(bytes(row) for row in np.stack(table.columns, axis=1))


def _mixed(people: MakePeople, count: int) -> list[Record]:
    """People with one to three records, of whom some say no, some nothing."""
    records: list[Record] = []
    for i, record in enumerate(people(count)):
        answer = ("yes", "yes", "", "no", "yes")[i % 5]
        records += [{**record, "mayRelease": answer, "year": str(2019 + j)} for j in range(1 + i % 3)]
    return records


# --- the same people as from files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", ["shared", "separate"])
def test_the_vault_counts_whom_the_files_count(
    store: Store, people: MakePeople, receipt: Receipt, tokens: Tokens
) -> None:
    """Two organisations with 30 tokens in common: the vault's person table is that of their case files."""
    north, south = _mixed(people, 90), _mixed(people, 120)[-140:]
    store.take_in(north, organisation="north")
    store.take_in(south, organisation="south")
    files = file_snapshot(
        store.written,
        store.schema,
        people_cap=10_000,
        person="token",
        organisations=["north", "south"] if tokens == "separate" else None,
    )
    expected = files.open(receipt)
    found = _opened(store, receipt, "north/cases", "south/cases", tokens=tokens)
    assert _profiles(found) == _profiles(expected)
    assert found.people > 50


def test_records_that_came_in_several_files_are_one_person(store: Store, people: MakePeople, receipt: Receipt) -> None:
    records = _mixed(people, 60)
    for part in (records[::3], records[1::3], records[2::3]):
        store.take_in(part)
    files = file_snapshot(store.written, store.schema, people_cap=10_000, person="token")
    assert _profiles(_opened(store, receipt)) == _profiles(files.open(receipt))


# --- consent ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["care", "own_statistics", "pooled_statistics", "synthetic_release"])
def test_consent_to_one_purpose_is_no_consent_to_another(store: Store, receipt: Receipt, purpose: Purpose) -> None:
    columns = {
        "care": "mayCare",
        "own_statistics": "mayCount",
        "pooled_statistics": "mayPool",
        "synthetic_release": "mayRelease",
    }
    store.take_in([{"token": name, column: "yes"} for name, column in columns.items()])
    assert _opened(store, receipt, purpose=purpose).people == 1


@pytest.mark.parametrize(("tokens", "counted"), [("shared", 1), ("separate", 2)])
def test_a_refusal_in_one_organisation_keeps_a_shared_token_out_of_both(
    store: Store, receipt: Receipt, tokens: Tokens, counted: int
) -> None:
    both: Sequence[Record] = [{"token": "p1", "mayRelease": "yes"}, {"token": "p2", "mayRelease": "yes"}]
    store.take_in(both, organisation="north")
    store.take_in([{"token": "p1", "mayRelease": "no"}], organisation="south")
    assert _opened(store, receipt, "north/cases", "south/cases", tokens=tokens).people == counted


def _person_id(store: Store, token: str) -> int:
    person = store.open().person_by_token(store.dataset(), token)
    assert person is not None
    return person.person_id


def test_the_latest_answer_counts(store: Store, receipt: Receipt) -> None:
    store.take_in([{"token": "p1", "mayRelease": "yes"}, {"token": "p2", "mayRelease": "no"}])
    counted = [_opened(store, receipt).people]
    for version, given in ((2, False), (3, True), (4, False)):
        with store.open().database.transaction(writes=True) as connection:
            connection.execute(
                insert(models.consent).values(
                    person_id=_person_id(store, "p1"),
                    purpose="synthetic_release",
                    version=version,
                    given=given,
                    language="en",
                    recorded_at="now",
                )
            )
        counted.append(_opened(store, receipt).people)
    assert counted == [1, 0, 1, 0]


@pytest.mark.parametrize(("days", "counted"), [(-1, 1), (0, 2), (1, 2)])
def test_records_whose_retention_is_over_do_not_count(store: Store, receipt: Receipt, days: int, counted: int) -> None:
    store.take_in([{"token": "p1", "mayRelease": "yes"}, {"token": "p2", "mayRelease": "yes"}])
    until: date = datetime.now(UTC).date() + timedelta(days=days)
    with store.open().database.transaction(writes=True) as connection:
        this = models.person.c.person_id == _person_id(store, "p1")
        connection.execute(update(models.person).where(this).values(retain_until=until))
    assert _opened(store, receipt).people == counted


# --- opening ---------------------------------------------------------------------------------------------------------------


def test_it_opens_under_a_receipt_only(store: Store, people: MakePeople) -> None:
    store.take_in(people(3))
    with pytest.raises(TypeError, match="receipt"):
        snapshot(store.open(), [store.dataset()], "synthetic_release").open("receipt")  # type: ignore[arg-type]


def test_own_statistics_alone_open_without_a_charge_and_for_one_organisation(store: Store) -> None:
    store.take_in([{"token": "p1", "mayCount": "yes"}, {"token": "p2"}])
    store.take_in([{"token": "p1", "mayCount": "yes"}], organisation="south")
    vault, north, south = store.open(), store.dataset(), store.dataset("south")
    assert snapshot(vault, [north], "own_statistics").open_own().people == 1
    for datasets, purpose in (([north], "synthetic_release"), ([north, south], "own_statistics")):
        with pytest.raises(PurposeRefusedError):
            snapshot(vault, datasets, purpose).open_own()  # type: ignore[arg-type]


def test_a_dataset_that_changed_since_the_check_opens_as_it_is_now(
    store: Store, people: MakePeople, receipt: Receipt
) -> None:
    store.take_in(people(3))
    opened = snapshot(store.open(), [store.dataset()], "synthetic_release")
    store.take_in(people(3, start=3))
    assert opened.open(receipt).people == 6


def test_an_opening_begins_again_until_nothing_changed_and_then_holds_changes_off(
    sqlite_store: Store, people: MakePeople, receipt: Receipt
) -> None:
    """Somebody's changes overtake it three times; the fourth time they have to wait."""
    sqlite_store.take_in(people(3))
    vault, number = sqlite_store.open(), 3
    opened = snapshot(vault, [sqlite_store.dataset()], "synthetic_release")
    turns: list[int] = []

    def overtaken(now: VaultSnapshot) -> int:
        nonlocal number
        turns.append(now.datasets[0].version)
        if len(turns) <= TURNS:
            sqlite_store.take_in(people(1, start=number))
            number += 1
        else:
            with pytest.raises(VaultBusyError), vault.locked(now.datasets[0], wait_seconds=0):
                pass
        return now.read_by_block().only(None).people

    assert opened.settled(overtaken, check=lambda: None) == 6 and len(turns) == len(set(turns)) == TURNS + 1
    with vault.locked(sqlite_store.dataset(), wait_seconds=0):  # and lets go of them
        pass
    with pytest.raises(SnapshotChangedError):
        opened.require_present()


def test_an_opening_that_changes_overtake_can_be_stopped(store: Store, people: MakePeople) -> None:
    store.take_in(people(3))
    opened = snapshot(store.open(), [store.dataset()], "synthetic_release")
    turns: list[int] = []

    def late() -> None:
        turns.append(1)
        if len(turns) == 9:
            raise TimeoutError

    def always_changed(now: VaultSnapshot) -> int:
        raise SnapshotChangedError(now.datasets[0].id)

    with pytest.raises(TimeoutError):
        opened.settled(always_changed, check=late)


def test_opening_is_in_the_audit_log(store: Store, people: MakePeople, receipt: Receipt) -> None:
    store.take_in(people(3))
    _opened(store, receipt)
    with store.open().database.transaction(writes=False) as connection:
        row = connection.execute(select(audit).order_by(audit.c.position.desc()).limit(1)).one()
    assert (row.action, row.object_id) == ("snapshot.open", "north/cases")


def test_a_people_cap_below_the_datasets_own_is_refused_before_a_record_is_read(store: Store) -> None:
    """From public facts: with nobody in the vault the refusal is the same."""
    store.dataset(people_cap=100)
    store.dataset("south", people_cap=200)
    vault, datasets = store.open(), [store.dataset(), store.dataset("south")]
    assert snapshot(vault, datasets, "synthetic_release").people_cap == 300
    with pytest.raises(PeopleCapError, match="below 300"):
        snapshot(vault, datasets, "synthetic_release", people_cap=299)


def test_datasets_of_two_schemas_are_refused(store: Store) -> None:
    vault = store.open()
    other = vault.add_dataset("south", "cases", load_schema("ctdc-global"), 100)
    for datasets in ([store.dataset(), other], []):
        with pytest.raises(SchemaDiffersError):
            snapshot(vault, datasets, "synthetic_release")


def test_an_empty_dataset_opens_and_has_nobody(store: Store, receipt: Receipt) -> None:
    store.dataset()
    assert _opened(store, receipt).people == 0
