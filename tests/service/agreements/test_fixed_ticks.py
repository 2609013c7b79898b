"""The tick of a question stands in its job's row before it is charged, and stays empty where nothing is charged."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import select
from tests.round_table import BY_GENDER, RoundTable, laid_table

from casehaven.core import jobs
from casehaven.core.service_tables import job as job_table
from casehaven.ledger import AnalystId, IdempotencyKey
from casehaven.ledger.errors import AllowanceExhaustedError
from casehaven.queries.attempts import alone
from casehaven.worker import questions
from casehaven.worker.work import Done, JobCancelledError, Work

NAME = "north/cases"


@pytest.fixture
def table(tmp_path_factory: pytest.TempPathFactory) -> RoundTable:
    """A table of this test's own."""
    return laid_table(tmp_path_factory.getbasetemp()).again(tmp_path_factory.mktemp("ticks") / "table")


def queued(table: RoundTable) -> Work:
    """A question of a steward, taken by a worker."""
    return table.job("question.ask", table.stewards["north"], {"question": dict(BY_GENDER)}, datasets=[NAME])


def fixed(table: RoundTable, work: Work) -> int | None:
    """The tick in a job's row."""
    with table.door.store.reading() as connection:
        found: int | None = connection.scalar(
            select(job_table.c.visible_at).where(job_table.c.job_id == work.job.job_id)
        )
    return found


def test_the_tick_is_fixed_for_what_is_charged_and_a_job_that_goes_on_has_failed_after_it(table: RoundTable) -> None:
    work = queued(table)
    done = questions.ask(work)  # what came of it is not written: the worker hangs here
    due = fixed(table, work)
    assert due == done.visible_at == work.due and due > table.door.clock()
    member = table.door.member(table.stewards["north"].handle).id
    with table.door.store.reading() as connection:
        states = [
            jobs.view(connection, work.job.job_id, member_id=member, now=now).state for now in (due - 1, due, due + 99)
        ]
    assert states == ["running", "failed", "failed"]


def test_what_costs_nothing_fixes_no_tick_and_a_refusal_waits_for_none(table: RoundTable) -> None:
    table.bench.ledger.set_allowance(AnalystId(text=table.stewards["north"].handle), NAME, 1)
    refused = queued(table)
    with pytest.raises(AllowanceExhaustedError):
        questions.ask(refused)
    assert refused.due == 0
    table.bench.ledger.set_allowance(AnalystId(text=table.stewards["north"].handle), NAME, None)
    first = questions.ask(queued(table))
    assert first.visible_at is not None
    table.door.clock.now = first.visible_at
    free = queued(table)
    assert questions.ask(free).result["free"] == "stored"
    assert fixed(table, free) is None and free.due == 0


def test_an_attempt_that_lost_its_job_charges_nothing(table: RoundTable) -> None:
    work = queued(table)
    table.execute("UPDATE job SET attempts = attempts + 1")
    with pytest.raises(JobCancelledError):
        questions.ask(work)
    assert table.bench.ledger.find(IdempotencyKey(text=f"job-{work.job.job_id}")) is None
    assert table.spent(NAME) == 0


def test_a_tick_that_passed_while_the_question_waited_is_named_anew_before_the_charge(table: RoundTable) -> None:
    work, found = queued(table), list[Done]()
    asking = threading.Thread(target=lambda: found.append(questions.ask(work)))
    with alone(table.bench.ledger.path, f"key job-{work.job.job_id}"):
        asking.start()
        time.sleep(1.0)  # its tick is named by now, and it waits; were it slower, nothing here would fail
        table.door.clock.now += 1_000
    asking.join()
    (done,) = found
    assert done.visible_at is not None and done.visible_at > table.door.clock()
    assert fixed(table, work) == done.visible_at
