"""How many persons a member was shown today, counted again where the data leaves: from the vault's audit log, which the api cannot write (threat 17).

1. The bounds of `casehaven.signin.volume` are decided when a job is queued, by the api. Before a job opens anybody, the worker asks the same of the jobs that stand in the store before it, so a job that
   was queued without being counted is not done.
2. It also counts what was opened, as the audit log has it under the member's handle: persons that were exported, and different persons that were shown, listed or exported. A list counts with everybody
   whom it named.
3. Second persons' approvals are events of the service store. An api that was taken over can write one; it is told of as every other, and opens as many again.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from casehaven.core.audit_models import audit
from casehaven.signin.volume import COUNTED_KINDS, Opened, check_opened, require_counted
from casehaven.vault.store import Vault
from casehaven.worker.work import Work

EXPORTED = "person.export"
SHOWN = ("person.read", EXPORTED)
"""Actions under which a person's records are opened for a member."""


def require_volume(work: Work) -> None:
    """Return when a job stays within what its member may be shown today.

    Args:
        work: about to be done; of a member who was looked up.

    Raises:
        SecondPersonError: it is beyond the bound of the day, and nobody else approved.
    """
    job, bench = work.job, work.bench
    if job.kind.name not in COUNTED_KINDS:
        return
    now = bench.clock()
    found = opened_today(bench.vault, work.actor, now)
    with bench.store.writing() as connection:
        require_counted(connection, job_id=job.job_id, handle=work.actor)
        check_opened(
            connection, now, found, handle=work.actor, organisation=job.member_organisation, kind=job.kind.name
        )


def opened_today(vault: Vault, handle: str, now: int) -> Opened:
    """Return what was opened for a member since midnight (UTC), as the audit log has it.

    Args:
        vault: whose log.
        handle: of the member.
        now: seconds since 1970.
    """
    midnight = datetime.fromtimestamp(now, UTC).date().isoformat()
    with vault.database.transaction(writes=False) as connection:
        mine = (
            audit.c.position >= _first_since(connection, midnight),
            audit.c.actor == handle,
            audit.c.object_kind == "person",
            audit.c.action.in_(SHOWN),
        )
        persons = func.count(audit.c.object_id.distinct())
        return Opened(
            exports=int(connection.scalar(select(persons).where(*mine, audit.c.action == EXPORTED)) or 0),
            persons=int(connection.scalar(select(persons).where(*mine)) or 0),
        )


def _first_since(connection: Connection, midnight: str) -> int:
    """Return the position of the first entry that is not before a moment: entries are in the order of their times, so few of them are looked at."""
    last = connection.scalar(select(func.max(audit.c.position)))
    low, high = 0, 0 if last is None else int(last) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(audit.c.position, audit.c.at).where(audit.c.position >= middle).order_by(audit.c.position).limit(1)
        ).one()
        if row.at >= midnight:
            high = middle
        else:
            low = int(row.position) + 1
    return low
