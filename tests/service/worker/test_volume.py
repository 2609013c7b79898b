"""What a member is shown in a day is counted again by the worker, from the audit log of the vault, whatever the service store says (threat 17)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import delete, select, update
from tests.front_door import Person
from tests.round_table import RoundTable, laid_table

from casehaven.core.audit_models import audit
from casehaven.core.service_tables import job
from casehaven.organisations.events import record
from casehaven.organisations.models import event
from casehaven.organisations.roles import Role
from casehaven.people import People
from casehaven.signin.errors import SecondPersonError
from casehaven.signin.volume import ALARM, APPROVED, BOUNDS, COUNTED_KINDS, OPENED, Opened
from casehaven.vault.rootkeys import file_key
from casehaven.worker.loop import Worker, WorkerSettings
from casehaven.worker.standing import OPERATIONS
from casehaven.worker.volume import _first_since, opened_today, require_volume
from casehaven.worker.work import Work

EXPORTS, LOOKS, LISTS = BOUNDS
HANDLE = "nora"


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table of this test's own, whose worker lives on the day on which its log was begun."""
    table = laid_table(tmp_path_factory.getbasetemp()).again(tmp_path_factory.mktemp("volume") / "table")
    with table.bench.vault.database.transaction(writes=False) as connection:
        first = str(connection.scalar(select(audit.c.at).order_by(audit.c.position).limit(1)))
    began = int(datetime.fromisoformat(first).timestamp())
    table.bench = replace(table.bench, clock=lambda: began)
    return table


def log(table: RoundTable, action: str, people: range, *, actor: str = HANDLE) -> None:
    """Put entries into the log as opening these people does."""
    vault = table.bench.vault
    with vault.writing() as connection:
        for number in people:
            vault.audit.append(
                connection,
                action=action,
                object_kind="person",
                object_id=str(number),
                organisation="north",
                actor=actor,
            )


def queued(table: RoundTable, kind: str, person: Person | None = None) -> Work:
    """A job about north/cases in a worker's hands."""
    who = person or table.stewards["north"]
    return table.job(kind, who, {}, organisation="north", datasets=["north/cases"])


def alarms(table: RoundTable) -> list[str]:
    with table.door.store.reading() as connection:
        return list(connection.scalars(select(event.c.object_id).where(event.c.action == ALARM)))


def test_every_kind_that_names_or_opens_a_person_for_somebody_is_counted() -> None:
    named = {"person.show", "person.correct", "person.export", "person.due", "person.duplicates"}
    assert named == COUNTED_KINDS <= OPERATIONS.keys()


def test_a_list_counts_with_everybody_whom_it_named_and_a_search_with_nobody(table: RoundTable) -> None:
    vault = table.bench.vault
    people = People(vault, vault.dataset("north", "cases"), actor=HANDLE)
    now = table.bench.clock()
    assert opened_today(vault, HANDLE, now) == Opened(exports=0, persons=0)
    for token in ("n0001", "n0002", "n0003"):
        people.find(token, reason="a call")
    assert opened_today(vault, HANDLE, now) == Opened(exports=0, persons=0)
    people.read("n0001", reason="a call")
    people.read("n0001", reason="another call")
    people.read("n0002", reason="asked for it", action="person.export")
    people.correct("n0003", {"gender": "woman"}, reason="was wrong")
    assert opened_today(vault, HANDLE, now) == Opened(exports=1, persons=3)
    log(table, "person.read", range(5_000, 5_400))  # a list
    assert opened_today(vault, HANDLE, now) == Opened(exports=1, persons=403)
    assert opened_today(vault, "somebody", now) == Opened(exports=0, persons=0)
    assert opened_today(vault, HANDLE, now + 2 * 86_400) == Opened(exports=0, persons=0)


def test_the_beginning_of_a_day_in_the_log_is_found_as_by_looking_at_every_entry(table: RoundTable) -> None:
    with table.bench.vault.database.transaction(writes=False) as connection:
        rows = connection.execute(select(audit.c.position, audit.c.at).order_by(audit.c.position)).all()
        for midnight in ("2000-01-01", "2999-01-01", *{row.at for row in rows}, *{f"{row.at}!" for row in rows}):
            expected = next((row.position for row in rows if row.at >= midnight), rows[-1].position + 1)
            assert _first_since(connection, midnight) == expected


@pytest.mark.parametrize("kind", sorted(COUNTED_KINDS))
def test_whoever_was_shown_too_many_is_shown_nobody_more_until_a_second_person_approves(
    table: RoundTable, kind: str
) -> None:
    log(table, "person.read", range(OPENED.alarm - 1))
    work = queued(table, kind)
    require_volume(work)
    assert alarms(table) == []
    log(table, "person.read", range(OPENED.alarm - 1, OPENED.most - 1))
    require_volume(work)
    require_volume(work)
    assert alarms(table) == [f"{HANDLE}:persons"]
    log(table, "person.read", range(OPENED.most - 1, OPENED.most))
    with pytest.raises(SecondPersonError):
        require_volume(work)
    ben = table.door.join(table.stewards["north"], "ben", Role.STEWARD)
    require_volume(queued(table, kind, ben))  # nothing of another member
    with (
        table.door.store.writing() as connection
    ):  # as `approve` does; tests/service/signin/test_volume.py says who may
        tell = {"actor": "otto", "organisation": "north", "object_kind": "member", "object_id": HANDLE}
        record(connection, table.door.clock(), action=APPROVED, **tell)
    require_volume(work)


def test_exports_are_counted_where_the_store_says_nothing_of_them(table: RoundTable) -> None:
    """An api that was taken over queues jobs without counting them, and takes their rows away."""
    log(table, "person.export", range(EXPORTS.most - 1))
    require_volume(queued(table, "person.export"))
    log(table, "person.export", range(EXPORTS.most - 1, EXPORTS.most))
    work = queued(table, "person.export")
    with table.door.store.writing() as connection:
        connection.execute(delete(job).where(job.c.job_id != work.job.job_id))
    with pytest.raises(SecondPersonError):
        require_volume(work)
    require_volume(queued(table, "person.show"))  # looks have a bound of their own


@pytest.mark.parametrize(("kind", "most"), [("person.export", EXPORTS.most), ("person.duplicates", LISTS.most)])
def test_a_job_that_was_queued_beyond_the_bound_is_not_done(table: RoundTable, kind: str, most: int) -> None:
    works = [queued(table, kind) for _ in range(most + 1)]
    for work in works[:most]:
        require_volume(work)
    with pytest.raises(SecondPersonError):
        require_volume(works[most])
    with table.door.store.writing() as connection:  # a day later, it is the first of its day
        mine = job.c.job_id == works[most].job.job_id
        connection.execute(update(job).where(mine).values(queued_at=job.c.queued_at + 86_400))
    require_volume(works[most])


def test_the_worker_counts_before_the_handler(table: RoundTable) -> None:
    """The job has no request that could be opened: a handler that began would fail otherwise."""
    log(table, "person.export", range(EXPORTS.most))
    steward = table.stewards["north"]
    table.step_up(steward)
    session = table.door.session(steward.session).id
    work = table.job("person.export", steward, {"session": session}, organisation="north", datasets=["north/cases"])
    settings = WorkerSettings(
        vault=table.folder,
        root=file_key(table.house.folder / "root.key"),
        ledger=table.folder,
        signing_key=table.folder,
    )
    worker = Worker(store=table.door.store, settings=settings, name="table")
    worker._do(work)
    with table.door.store.reading() as connection:
        row = connection.execute(select(job).where(job.c.job_id == work.job.job_id)).one()
    assert (row.outcome, row.code) == ("failed", "second-person-needed")


def test_what_names_nobody_is_not_counted(table: RoundTable) -> None:
    log(table, "person.export", range(OPENED.most))
    for kind in ("person.find", "person.erase", "dataset.status"):
        require_volume(queued(table, kind))
