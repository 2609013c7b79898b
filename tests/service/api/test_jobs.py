"""Jobs as rows: taken once, held by a lease, taken again when a worker is gone, ended once; on SQLite and on Postgres."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect, select

import casehaven.agreements.models
import casehaven.budgets.models
import casehaven.drafts.models
import casehaven.organisations.models
import casehaven.registry.models
import casehaven.signin.models
from casehaven.core import jobs
from casehaven.core.job_kinds import ATTEMPTS, KEPT_SECONDS, KINDS, RESULT_SECONDS
from casehaven.core.job_seals import open_result, result_key, seal_result
from casehaven.core.job_ticks import fix_tick
from casehaven.core.jobs import LEASE_SECONDS, WAITING_MOST, NewJob
from casehaven.core.limits import Limit, Limits
from casehaven.core.problems import problem_of
from casehaven.core.request_errors import BodyError, JobEndedError, RateLimitedError, TooManyJobsError
from casehaven.core.service_store import ServiceStore
from casehaven.core.service_tables import job as table
from casehaven.core.service_tables import metadata
from casehaven.organisations.errors import NotFoundError
from casehaven.queries.errors import ChargedFailureError
from casehaven.vault.errors import SealBrokenError
from casehaven.worker.handlers import _HANDLERS, handler_of

if TYPE_CHECKING:
    from tests.service.conftest import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceStore]:
    """An empty service store."""
    if request.param == "sqlite":
        yield ServiceStore.create(tmp_path / "service")
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    address = postgres()
    yield ServiceStore.create(tmp_path / "service", address)
    postgres.give_back(address)


def add(store: ServiceStore, kind: str = "question.quote", **more: Any) -> str:
    """Add a job."""
    with store.writing() as connection:
        return jobs.enqueue(connection, NewJob(kind=kind, **{"now": 100, "member_id": "m", **more}))


def take(store: ServiceStore, *, now: int = 100, worker: str = "w", lane: Any = "short") -> jobs.TakenJob | None:
    """Take a job."""
    with store.writing(alone=False) as connection:
        return jobs.take(connection, lane=lane, worker=worker, now=now)


def seen(store: ServiceStore, job_id: str, now: int = 100) -> jobs.JobView:
    """Return a job as its member sees it."""
    with store.reading() as connection:
        return jobs.view(connection, job_id, member_id="m", now=now)


def test_the_migrations_make_the_tables_of_the_metadata(store: ServiceStore) -> None:
    with store.reading() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == {*metadata.tables, "alembic_version"}
        for made in metadata.sorted_tables:
            columns = {column["name"]: column["nullable"] for column in found.get_columns(made.name)}
            assert columns == {column.name: column.nullable for column in made.columns}, made.name
            indexes = {str(index["name"]) for index in found.get_indexes(made.name)}
            assert {str(index.name) for index in made.indexes} <= indexes, made.name


def test_every_kind_of_job_has_a_handler_and_none_is_without_a_kind() -> None:
    assert set(_HANDLERS) == set(KINDS)
    for kind in KINDS:
        assert callable(handler_of(kind))


def test_a_job_is_taken_once_in_its_order_and_in_its_lane(store: ServiceStore) -> None:
    first, second = add(store), add(store)
    other = add(store, "audit.verify")
    taken = [take(store) for _ in range(3)]
    assert [found.job_id if found else None for found in taken] == [first, second, None]
    long = take(store, lane="long")
    assert long is not None and long.job_id == other


def test_sixteen_threads_take_forty_jobs_once_each(store: ServiceStore) -> None:
    ids = {add(store, member_id=f"m{number}") for number in range(40)}
    found: list[str] = []

    def work() -> None:
        for _ in range(200):
            taken = take(store, worker=threading.current_thread().name)
            if taken is not None:
                found.append(taken.job_id)
            elif len(found) >= 40:
                return

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(ids)


def test_a_job_whose_worker_is_gone_is_taken_again_and_then_fails_with_a_fixed_code(store: ServiceStore) -> None:
    job_id, now = add(store), 100
    for attempt in range(1, ATTEMPTS + 1):
        taken = take(store, now=now, worker=f"w{attempt}")
        assert taken is not None and (taken.job_id, taken.attempt) == (job_id, attempt)
        assert take(store, now=now + LEASE_SECONDS) is None
        now += LEASE_SECONDS + 1
    assert take(store, now=now) is None
    view = seen(store, job_id, now)
    assert view.state == "failed" and view.problem is not None
    assert view.problem["code"] == "job-interrupted"


def test_a_job_that_could_be_done_twice_is_never_begun_again(store: ServiceStore) -> None:
    job_id = add(store, "person.correct")
    assert take(store) is not None
    assert take(store, now=200) is None
    assert seen(store, job_id, 201).state == "failed"


def test_a_worker_that_lost_its_lease_cannot_end_the_job_of_another(store: ServiceStore) -> None:
    job_id = add(store)
    slow = take(store, worker="slow")
    fast = take(store, now=200, worker="fast")
    assert slow is not None and fast is not None
    with store.writing() as connection:
        assert not jobs.beat(connection, job_id, worker="slow", now=201, phase="x", done=0, total=0)
        assert not jobs.finish(connection, slow, worker="slow", now=201, result={"from": "slow"})
        assert jobs.finish(connection, fast, worker="fast", now=201, result={"from": "fast"})
        assert not jobs.fail(connection, fast, problem_of(BodyError("x")), worker="fast", now=202)
    assert seen(store, job_id, 300).result == {"from": "fast"}


def test_an_attempt_that_lost_its_lease_cannot_end_the_next_one_of_the_same_worker(store: ServiceStore) -> None:
    add(store)
    first, second = take(store), take(store, now=200)
    assert first is not None and second is not None
    with store.writing() as connection:
        assert not jobs.finish(connection, first, worker="w", now=201, result={})
        assert jobs.finish(connection, second, worker="w", now=201, result={})


def test_nothing_of_an_end_is_seen_before_its_tick(store: ServiceStore) -> None:
    for number, ends in enumerate(("done", "failed")):
        job_id = add(store, "question.ask")
        taken = take(store, lane="questions")
        assert taken is not None
        before = seen(store, job_id, 110).document()
        with store.writing() as connection:
            if number == 0:
                jobs.finish(connection, taken, worker="w", now=110, result={"x": 1}, visible_at=140)
            else:
                jobs.fail(connection, taken, problem_of(BodyError("x")), worker="w", now=110, visible_at=140)
            jobs.settle(connection, now=139)
        assert seen(store, job_id, 139).document() == before
        assert seen(store, job_id, 140).state == ends
        assert seen(store, job_id, 140).ended_at == 140
        with store.writing() as connection:
            jobs.settle(connection, now=140)
        assert seen(store, job_id, 140).state == ends


def fix(store: ServiceStore, taken: jobs.TakenJob, *, now: int, due: int) -> bool:
    """Fix a job's tick."""
    with store.writing(alone=False) as connection:
        return fix_tick(connection, taken.job_id, worker=taken.worker, attempt=taken.attempt, now=now, due=due)


@pytest.mark.parametrize("ends", ["done", "failed", "cancelled", "never"])
def test_what_is_not_ready_at_its_tick_has_failed_after_its_charge_whatever_comes_later(
    store: ServiceStore, ends: str
) -> None:
    job_id = add(store, "question.ask")
    taken = take(store, lane="questions")
    assert taken is not None and fix(store, taken, now=100, due=120)
    assert seen(store, job_id, 119).state == "running"
    at_tick = seen(store, job_id, 120).document()
    assert (at_tick["state"], at_tick["ended_at"]) == ("failed", 120)
    assert (
        at_tick["problem"] == problem_of(ChargedFailureError("x")).document()
    )  # like any other failure after a charge
    with store.writing() as connection:
        with pytest.raises(JobEndedError):
            jobs.cancel(connection, job_id, member_id="m", now=121)
        jobs.settle(connection, now=121)
        if ends == "done":
            assert jobs.finish(connection, taken, worker="w", now=125, result={"x": 1}, sealed=b"x", visible_at=140)
        elif ends == "failed":
            assert jobs.fail(connection, taken, problem_of(BodyError("x")), worker="w", now=125)
        elif ends == "cancelled":
            assert jobs.stop(connection, taken, worker="w", now=125)
        assert jobs.sealed_result(connection, job_id, member_id="m", now=126) is None
    for now in (125, 139, 140, 500):
        assert seen(store, job_id, now).document() == at_tick
    if ends == "never":
        assert take(store, now=126, lane="questions", worker="next") is not None
        assert seen(store, job_id, 126).document() == at_tick


def test_what_is_ready_before_its_tick_is_seen_at_it_and_a_refusal_before(store: ServiceStore) -> None:
    for number, ends in enumerate(("done", "failed")):
        job_id = add(store, "question.ask")
        taken = take(store, lane="questions")
        assert taken is not None and fix(store, taken, now=100, due=120)
        with store.writing() as connection:
            if number == 0:
                assert jobs.finish(connection, taken, worker="w", now=119, result={"x": 1}, visible_at=120)
            else:
                assert jobs.fail(connection, taken, problem_of(BodyError("x")), worker="w", now=119)
        assert seen(store, job_id, 119).state == ("running", "failed")[number]
        assert seen(store, job_id, 120).state == ends


def test_only_an_attempt_that_begins_before_the_tick_moves_it(store: ServiceStore) -> None:
    job_id = add(store, "question.ask")
    first = take(store, lane="questions")
    assert first is not None and fix(store, first, now=100, due=130)
    second = take(store, now=125, lane="questions", worker="next")
    assert second is not None and not fix(store, first, now=126, due=150)
    assert fix(store, second, now=126, due=160)
    assert seen(store, job_id, 131).state == "running"
    third = take(store, now=161, lane="questions", worker="third")
    assert third is not None and fix(store, third, now=162, due=200)
    assert seen(store, job_id, 162).state == "failed"


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_when_it_looks(store: ServiceStore) -> None:
    job_id, running = add(store), add(store)
    with store.writing() as connection:
        assert jobs.cancel(connection, job_id, member_id="m", now=101).state == "cancelled"
        with pytest.raises(JobEndedError):
            jobs.cancel(connection, job_id, member_id="m", now=101)
        with pytest.raises(NotFoundError):
            jobs.cancel(connection, running, member_id="another", now=101)
    taken = take(store)
    assert taken is not None and taken.job_id == running
    with store.writing() as connection:
        assert jobs.beat(connection, running, worker="w", now=102, phase="read", done=1, total=2)
        assert jobs.cancel(connection, running, member_id="m", now=103).state == "running"
        assert not jobs.beat(connection, running, worker="w", now=104, phase="read", done=1, total=2)
        assert jobs.stop(connection, taken, worker="w", now=105)
    assert seen(store, running).state == "cancelled"


def test_a_member_may_have_so_many_jobs_waiting(store: ServiceStore) -> None:
    for _ in range(WAITING_MOST):
        add(store)
    with pytest.raises(TooManyJobsError):
        add(store)
    add(store, member_id="another")


def test_a_private_result_goes_after_ten_minutes_and_an_ended_job_after_a_month(store: ServiceStore) -> None:
    session, job_id = bytes(range(32)), add(store, "person.show")
    taken = take(store)
    assert taken is not None
    sealed = seal_result(result_key(session), job_id, {"name": "Amina"})
    with store.writing() as connection:
        jobs.finish(connection, taken, worker="w", now=120, result={}, sealed=sealed, visible_at=120)
        assert open_result(session, job_id, sealed) == {"name": "Amina"}
        assert jobs.sealed_result(connection, job_id, member_id="m", now=119 + RESULT_SECONDS) == sealed
        assert jobs.sealed_result(connection, job_id, member_id="m", now=120 + RESULT_SECONDS) is None
        jobs.settle(connection, now=120 + RESULT_SECONDS)
        assert connection.scalar(select(table.c.sealed_result)) is None
        jobs.settle(connection, now=121 + KEPT_SECONDS)
        assert connection.scalar(select(table.c.job_id)) is None
    for other in (bytes(32), session[::-1]):
        with pytest.raises(SealBrokenError):
            open_result(other, job_id, sealed)
    with pytest.raises(SealBrokenError):
        open_result(session, "another job", sealed)


def test_a_bucket_empties_and_fills_again() -> None:
    limits = Limits(limits={"x": Limit(burst=2, per_minute=60)})
    for _ in range(2):
        limits.spend("x", "a", 0.0)
    with pytest.raises(RateLimitedError) as refused:
        limits.spend("x", "a", 0.0)
    assert refused.value.retry_after_seconds == 1
    limits.spend("x", "b", 0.0)
    limits.spend("x", "a", 1.0)
    with pytest.raises(RateLimitedError):
        limits.spend("x", "a", 1.5)


def test_no_part_of_the_service_needs_the_command_line() -> None:
    package = Path(casehaven.core.jobs.__file__).parents[1]
    parts = ("core", "worker", "routes", "signin", "organisations", "agreements", "queries", "releases")
    files = [path for part in parts for path in (package / part).rglob("*.py")]
    assert len(files) > 100
    for path in files:
        assert not re.search(r"\bcasehaven\.cli\b", path.read_text(encoding="utf-8")), path.name
