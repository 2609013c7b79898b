"""How many persons one member may have shown, listed or exported in a day, and the second person whom more takes (threat 17).

1. Looks, exports and lists are counted from the jobs of the store, by member and day (UTC): a restart forgets nothing, and whatever became of a job, it counts.
2. At `alarm` an event `volume.alarm` tells whoever watches the organisation, once a day.
3. Beyond `most` nothing more is done that day until another member approves: one who may, who is not the member, and behind whom the member does not stand (`casehaven.signin.independence`). Each approval
   is an event, holds for that day, and opens as many again.
4. A list names many persons at once: who is due (up to 500), who may be one person twice (up to 200 pairs). How many is known only when it is made, so lists have a small bound of their own, and
   everybody whom they named counts among the persons of the day (`OPENED`).
5. The worker decides both again before it opens anybody, and counts what was opened in the vault's audit log (`casehaven.worker.volume`).
6. The bounds are public and the same for everybody. Tokens show and export nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from casehaven.core.service_tables import job
from casehaven.organisations import events
from casehaven.organisations.access import Operation, Principal, require
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import member_named
from casehaven.organisations.models import event
from casehaven.signin.errors import SecondPersonError, VolumeApprovalError
from casehaven.signin.independence import behind

_DAY: Final = 86_400
ALARM: Final = "volume.alarm"
APPROVED: Final = "volume.approved"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A bound for one member and one day."""

    name: str
    kinds: tuple[str, ...]
    """Of jobs that it counts."""
    alarm: int
    """So many are done without a word to anybody."""
    most: int
    """So many are done without a second person."""


BOUNDS: Final = (
    Bound(name="exports", kinds=("person.export",), alarm=10, most=20),
    Bound(name="looks", kinds=("person.show", "person.correct", "person.export"), alarm=100, most=200),
    Bound(name="lists", kinds=("person.due", "person.duplicates"), alarm=5, most=10),
)

OPENED: Final = Bound(
    name="persons",
    kinds=tuple(dict.fromkeys(kind for bound in BOUNDS for kind in bound.kinds)),
    alarm=1_000,
    most=2_000,
)
"""Of different persons who were shown, listed or exported, as the audit log has them: counted by the worker."""
COUNTED_KINDS: Final = frozenset(OPENED.kinds)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was opened for a member today."""

    exports: int
    """Different persons who were exported."""
    persons: int
    """Different persons who were shown, listed or exported."""


def count(connection: Connection, now: int, *, member_id: str, handle: str, organisation: str, kind: str) -> None:
    """Count a job that is about to be queued, in its transaction.

    Args:
        connection: writes.
        now: seconds since 1970, UTC.
        member_id: who asks.
        handle: theirs.
        organisation: theirs.
        kind: of the job.

    Raises:
        SecondPersonError: it is beyond the bound of the day.
    """
    today = now // _DAY * _DAY
    for bound in BOUNDS:
        if kind not in bound.kinds:
            continue
        mine = (job.c.member_id == member_id, job.c.kind.in_(bound.kinds), job.c.queued_at >= today)
        done = int(connection.scalar(select(func.count()).where(*mine)) or 0)
        _decide(connection, now, bound, done, handle=handle, organisation=organisation)


def require_counted(connection: Connection, *, job_id: str, handle: str) -> None:
    """Return when a job of the store is within the bounds of the day on which it was queued, by the jobs that were queued before it.

    Args:
        connection: reads.
        job_id: of a job of a member.
        handle: theirs.

    Raises:
        SecondPersonError: it is beyond one.
    """
    asked = connection.execute(select(job).where(job.c.job_id == job_id)).one()
    today = asked.queued_at // _DAY * _DAY
    approved = _events(connection, APPROVED, handle, today)
    for bound in BOUNDS:
        if asked.kind not in bound.kinds:
            continue
        mine = (job.c.member_id == asked.member_id, job.c.kind.in_(bound.kinds), job.c.queued_at >= today)
        before = connection.scalar(select(func.count()).where(*mine, job.c.sequence < asked.sequence))
        if int(before or 0) >= bound.most * (1 + approved):
            raise SecondPersonError


def check_opened(
    connection: Connection, now: int, opened: Opened, *, handle: str, organisation: str, kind: str
) -> None:
    """Decide by what was opened today whether a job may open more, and tell of it where it is much.

    Args:
        connection: writes.
        now: seconds since 1970, UTC.
        opened: before this job.
        handle: of the member.
        organisation: theirs.
        kind: of the job.

    Raises:
        SecondPersonError: it is beyond a bound of the day.
    """
    exports = next(bound for bound in BOUNDS if bound.name == "exports")
    for bound, done in ((exports, opened.exports), (OPENED, opened.persons)):
        if kind in bound.kinds:
            _decide(connection, now, bound, done, handle=handle, organisation=organisation)


def _decide(connection: Connection, now: int, bound: Bound, done: int, *, handle: str, organisation: str) -> None:
    today, about = now // _DAY * _DAY, f"{handle}:{bound.name}"
    if done >= bound.most * (1 + _events(connection, APPROVED, handle, today)):
        raise SecondPersonError
    if done >= bound.alarm and not _events(connection, ALARM, about, today):
        _tell(connection, now, handle, ALARM, organisation, about)


def approve(connection: Connection, now: int, principal: Principal, *, handle: str) -> None:
    """Let a member go on today, as far again.

    Args:
        connection: writes.
        now: seconds since 1970, UTC.
        principal: who approves.
        handle: of the member.

    Raises:
        NotFoundError: there is no such active member in reach.
        StepUpNeededError: a fresh second factor is missing.
        VolumeApprovalError: it is the principal, or somebody who stands behind the principal.
    """
    target = member_named(connection, handle)
    require(principal, Operation.VOLUME_APPROVE, target.organisation)
    if not target.active:
        raise NotFoundError
    if handle == principal.handle or handle in behind(connection, principal.handle):
        raise VolumeApprovalError
    _tell(connection, now, principal.handle, APPROVED, target.organisation, handle)


def _events(connection: Connection, action: str, about: str, since: int) -> int:
    found = (event.c.action == action, event.c.object_id == about, event.c.at >= since)
    return int(connection.scalar(select(func.count()).select_from(event).where(*found)) or 0)


def _tell(connection: Connection, now: int, actor: str, action: str, organisation: str, about: str) -> None:
    events.record(
        connection, now, actor=actor, action=action, organisation=organisation, object_kind="member", object_id=about
    )
