"""Jobs: what the api asks of the worker, as rows of the service store.

1. The api adds a row and reads it; the worker takes it, does it, and writes what came of it. Nothing else passes between the two.
2. A job is *queued*, *running*, and then *done*, *failed* or *cancelled*. Its end is seen at its tick (`job_kinds`); until then everybody is told that it is running. One whose
   tick was fixed and is not ready by then has failed, for good (`job_ticks`).
3. A worker holds a job by a lease that it renews. A job whose worker is gone is taken again, at most as often as its kind says; then it fails with a fixed code.
4. What a request says of one person is sealed to the organisation's public key before it is a row; a result with case data is sealed to the key of whoever asked.
5. A member sees their own jobs and nobody else's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from casehaven.core.job_kinds import KEPT_SECONDS, KINDS, RESULT_SECONDS, JobKind, Lane, next_tick
from casehaven.core.job_ticks import passed, too_late
from casehaven.core.problems import Problem, problem_of
from casehaven.core.request_errors import JobEndedError, JobInterruptedError, TooManyJobsError
from casehaven.core.service_tables import job as table
from casehaven.organisations.errors import NotFoundError
from casesynth.canonical import canonical_json

State = Literal["queued", "running", "done", "failed", "cancelled"]

LEASE_SECONDS: Final = 20
"""How long a worker holds a job without a sign of life."""
WAITING_MOST: Final = 50
"""Jobs that one member may have waiting or running."""


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What is asked of the worker."""

    kind: str
    now: int
    """Seconds since 1970."""
    organisation: str = ""
    """Whose object it is about; empty: the deployment's."""
    dataset: str = ""
    """organisation/dataset, several with a space between."""
    member_id: str = ""
    """Who asks; empty: the service itself."""
    member_organisation: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Without case data: it stands in the store as it is."""
    sealed_request: bytes | None = field(default=None, repr=False)
    """What holds case data, sealed to the organisation's public key."""
    result_key: bytes | None = None
    """Public key to which a private result is sealed."""
    job_id: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(frozen=True, kw_only=True)
class TakenJob:
    """A job in the hands of a worker."""

    job_id: str
    kind: JobKind
    organisation: str
    dataset: str
    member_id: str
    member_organisation: str
    request: Mapping[str, Any] = field(repr=False)
    sealed_request: bytes | None = field(repr=False)
    result_key: bytes | None
    worker: str
    attempt: int
    queued_at: int


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A job as whoever asked sees it now."""

    job_id: str
    kind: str
    organisation: str
    dataset: str
    state: State
    phase: str
    done: int
    total: int
    queued_at: int
    ended_at: int | None
    result: Any
    """Of one that is done and not private; None otherwise."""
    problem: Mapping[str, Any] | None
    """Of one that failed."""
    private: bool
    sequence: int

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in ("done", "failed", "cancelled")

    def document(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        made: dict[str, Any] = {
            "id": self.job_id,
            "kind": self.kind,
            "organisation": self.organisation or None,
            "datasets": self.dataset.split(),
            "state": self.state,
            "phase": self.phase,
            "progress": {"done": self.done, "total": self.total} if self.total else None,
            "queued_at": self.queued_at,
            "ended_at": self.ended_at,
        }
        if self.problem is not None:
            made["problem"] = dict(self.problem)
        if self.state == "done":
            made["result"] = self.result
            made["private"] = self.private
        return made


# --- the api's side ---


def enqueue(connection: Connection, new: NewJob) -> str:
    """Add a job and return its id.

    Raises:
        TooManyJobsError: the member has too many waiting.
    """
    kind = KINDS[new.kind]
    if new.member_id:
        open_ = select(func.count()).where(table.c.member_id == new.member_id, table.c.state.in_(("queued", "running")))
        if int(connection.scalar(open_) or 0) >= WAITING_MOST:
            raise TooManyJobsError
    connection.execute(
        insert(table).values(
            job_id=new.job_id,
            kind=kind.name,
            lane=kind.lane,
            organisation=new.organisation,
            dataset=new.dataset,
            member_id=new.member_id,
            member_organisation=new.member_organisation,
            state="queued",
            phase="queued",
            done=0,
            total=0,
            request=canonical_json(dict(new.request)).decode(),
            sealed_request=new.sealed_request,
            result_key=new.result_key,
            attempts=0,
            cancelling=0,
            queued_at=new.now,
        )
    )
    return new.job_id


def view(connection: Connection, job_id: str, *, member_id: str, now: int) -> JobView:
    """Return a member's job.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
    """
    row = connection.execute(select(table).where(table.c.job_id == job_id, table.c.member_id == member_id)).first()
    if row is None or not member_id:
        raise NotFoundError
    return _view(row, now)


def views(
    connection: Connection, *, member_id: str, now: int, before: int | None = None, limit: int = 50
) -> list[JobView]:
    """Return a member's jobs, newest first.

    Args:
        connection: reads.
        member_id: whose.
        now: seconds since 1970.
        before: those with a smaller sequence.
        limit: at most so many.
    """
    query = select(table).where(table.c.member_id == member_id).order_by(table.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.sequence < before)
    return [_view(row, now) for row in connection.execute(query)]


def cancel(connection: Connection, job_id: str, *, member_id: str, now: int) -> JobView:
    """Ask for the end of a job: one that waits ends at once, one that runs when it looks next.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
        JobEndedError: it has ended.
    """
    found = view(connection, job_id, member_id=member_id, now=now)
    if found.ended:
        raise JobEndedError
    this = table.c.job_id == job_id
    ended = {"state": "cancelled", "outcome": "cancelled", "phase": "ended", "ended_at": now, "visible_at": now}
    connection.execute(update(table).where(this, table.c.state == "queued").values(**ended, sealed_request=None))
    connection.execute(update(table).where(this, table.c.state == "running").values(cancelling=1))
    return view(connection, job_id, member_id=member_id, now=now)


def sealed_result(connection: Connection, job_id: str, *, member_id: str, now: int) -> bytes | None:
    """Return the sealed result of a job that is done, or the sealed detail of one that failed; None where it is gone.

    Raises:
        NotFoundError: there is no such job of this member, or it has not ended.
    """
    if view(connection, job_id, member_id=member_id, now=now).state not in ("done", "failed"):
        raise NotFoundError
    columns = (table.c.sealed_result, table.c.expires_at)
    row = connection.execute(select(*columns).where(table.c.job_id == job_id)).one()
    if row.sealed_result is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return bytes(row.sealed_result)


def forget_result(connection: Connection, job_id: str) -> None:
    """Delete a private result: it was read."""
    connection.execute(update(table).where(table.c.job_id == job_id).values(sealed_result=None))


def _view(row: Row[Any], now: int) -> JobView:
    state: State = row.state
    kind = KINDS[row.kind]
    late = False
    if state == "running" and passed(row.visible_at, now):  # rule 2
        late = row.outcome is None
        state = "failed" if late else row.outcome
    shown = state in ("done", "failed", "cancelled")
    return JobView(
        job_id=row.job_id,
        kind=row.kind,
        organisation=row.organisation,
        dataset=row.dataset,
        state=state,
        phase="ended" if shown else row.phase,
        done=row.done,
        total=row.total,
        queued_at=row.queued_at,
        ended_at=(row.visible_at or row.ended_at) if shown else None,
        result=json.loads(row.result) if state == "done" and row.result is not None else None,
        problem=too_late().document() if late else json.loads(row.detail) if state == "failed" and row.detail else None,
        private=kind.private,
        sequence=row.sequence,
    )


# --- the worker's side ---


def waiting_lanes(connection: Connection, *, now: int) -> set[str]:
    """Return the lanes in which a job can be taken. Cheaper than trying: it locks nothing."""
    return set(connection.scalars(select(table.c.lane).where(_can_be_taken(now)).distinct()))


def take(connection: Connection, *, lane: Lane, worker: str, now: int) -> TakenJob | None:
    """Take the next job of a lane; None when none waits. The row is locked, so no two workers take one."""
    query = select(table).where(table.c.lane == lane, _can_be_taken(now)).order_by(table.c.sequence).limit(1)
    row = connection.execute(query.with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    kind = KINDS[row.kind]
    this = table.c.job_id == row.job_id
    fixed = row.visible_at
    if row.cancelling:
        _end(connection, row.job_id, "cancelled", now=now, visible_at=fixed or now, fixed=fixed)
        return None
    if row.attempts >= kind.attempts:
        moment, problem = fixed or next_tick(now, kind.tick_seconds), problem_of(JobInterruptedError())
        _end(connection, row.job_id, "failed", now=now, visible_at=moment, fixed=fixed, problem=problem)
        return None
    connection.execute(
        update(table)
        .where(this)
        .values(
            state="running",
            phase="running",
            attempts=row.attempts + 1,
            started_at=now if row.started_at is None else row.started_at,
            lease_until=now + LEASE_SECONDS,
            worker=worker,
        )
    )
    return TakenJob(
        job_id=row.job_id,
        kind=kind,
        organisation=row.organisation,
        dataset=row.dataset,
        member_id=row.member_id,
        member_organisation=row.member_organisation,
        request=json.loads(row.request),
        sealed_request=None if row.sealed_request is None else bytes(row.sealed_request),
        result_key=None if row.result_key is None else bytes(row.result_key),
        worker=worker,
        attempt=row.attempts + 1,
        queued_at=row.queued_at,
    )


def release_leases(connection: Connection, *, now: int) -> None:
    """Give back the jobs of workers that are gone: for whoever knows that no other worker runs."""
    connection.execute(
        update(table).where(table.c.state == "running", table.c.outcome.is_(None)).values(lease_until=now - 1)
    )


def beat(connection: Connection, job_id: str, *, worker: str, now: int, phase: str, done: int, total: int) -> bool:
    """Renew a lease and tell how far the job is; return whether it should go on.

    False: somebody asked for its end, or the lease was lost and another worker has the job.
    """
    mine = and_(table.c.job_id == job_id, table.c.worker == worker, table.c.outcome.is_(None))
    connection.execute(
        update(table).where(mine).values(lease_until=now + LEASE_SECONDS, phase=phase, done=done, total=total)
    )
    asked = connection.scalar(select(table.c.cancelling).where(mine))
    return asked == 0


def finish(
    connection: Connection,
    taken: TakenJob,
    *,
    worker: str,
    now: int,
    result: Any = None,
    sealed: bytes | None = None,
    visible_at: int | None = None,
) -> bool:
    """Write that a job is done, with its result; return False when another worker has it by now."""
    held = _held(connection, taken, worker)
    if held is None:
        return False
    _end(
        connection,
        taken.job_id,
        "done",
        now=now,
        fixed=held.visible_at,
        visible_at=next_tick(now, taken.kind.tick_seconds) if visible_at is None else visible_at,
        result=None if result is None else canonical_json(result).decode(),
        sealed=sealed,
    )
    return True


def fail(
    connection: Connection,
    taken: TakenJob,
    problem: Problem,
    *,
    worker: str,
    now: int,
    sealed: bytes | None = None,
    visible_at: int | None = None,
) -> bool:
    """Write that a job failed; return False when another worker has it by now.

    Args:
        connection: writes.
        taken: the job.
        problem: what is told; of a private kind without its detail.
        worker: who had it.
        now: seconds since 1970.
        sealed: the detail of a private kind, sealed to whoever asked.
        visible_at: when it is seen; None: as the kind says.
    """
    held = _held(connection, taken, worker)
    if held is None:
        return False
    moment = next_tick(now, taken.kind.tick_seconds) if visible_at is None else visible_at
    fixed = held.visible_at
    _end(connection, taken.job_id, "failed", now=now, visible_at=moment, problem=problem, sealed=sealed, fixed=fixed)
    return True


def stop(connection: Connection, taken: TakenJob, *, worker: str, now: int) -> bool:
    """Write that a job was cancelled; return False when another worker has it by now."""
    held = _held(connection, taken, worker)
    if held is None:
        return False
    _end(connection, taken.job_id, "cancelled", now=now, visible_at=now, fixed=held.visible_at)
    return True


def settle(connection: Connection, *, now: int) -> None:
    """Write down which ends are seen by now, and delete private results that expired and jobs of long ago."""
    seen = and_(table.c.state == "running", table.c.outcome.is_not(None), table.c.visible_at <= now)
    connection.execute(update(table).where(seen).values(state=table.c.outcome, phase="ended"))
    late = and_(table.c.sealed_result.is_not(None), table.c.expires_at <= now)
    connection.execute(update(table).where(late).values(sealed_result=None))
    connection.execute(delete(table).where(table.c.ended_at < now - KEPT_SECONDS))


def _can_be_taken(now: int) -> ColumnElement[bool]:
    left = and_(table.c.state == "running", table.c.outcome.is_(None), table.c.lease_until < now)
    return or_(table.c.state == "queued", left)


def _held(connection: Connection, taken: TakenJob, worker: str) -> Row[Any] | None:
    held = select(table.c.visible_at).where(
        table.c.job_id == taken.job_id,
        table.c.worker == worker,
        table.c.attempts == taken.attempt,
        table.c.outcome.is_(None),
    )
    return connection.execute(held.with_for_update()).first()


def _end(
    connection: Connection,
    job_id: str,
    outcome: State,
    *,
    now: int,
    visible_at: int,
    fixed: int | None,
    result: str | None = None,
    sealed: bytes | None = None,
    problem: Problem | None = None,
) -> None:
    if fixed is not None and passed(fixed, now):  # everybody was told so at the tick
        outcome, visible_at, result, sealed, problem = "failed", fixed, None, None, too_late()
    connection.execute(
        update(table)
        .where(table.c.job_id == job_id)
        .values(
            state=outcome if visible_at <= now else "running",
            phase="ended" if visible_at <= now else "running",
            outcome=outcome,
            ended_at=now,
            visible_at=visible_at,
            lease_until=None,
            sealed_request=None,
            result=result,
            sealed_result=sealed,
            expires_at=None if sealed is None else visible_at + RESULT_SECONDS,
            code=None if problem is None else problem.code,
            detail=None if problem is None else json.dumps(problem.document(), ensure_ascii=False),
        )
    )
