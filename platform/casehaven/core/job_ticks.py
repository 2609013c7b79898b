"""The tick of a job, written into its row before anything is counted, and what is said of a job that is not ready by then (privacy rule 24).

1. A handler that is about to charge and count fixes the tick first (`fix_tick`). From that second on everybody is told that the job failed after its charge, unless its end
   was written before: whatever the worker does later, and even where there is no worker any more. How long counting takes is not seen.
2. What comes after the tick is never shown under that job. An answer that was stored late is found by whoever asks the same again, at no charge.
3. An attempt that begins before the tick, after a worker died, may move it to a later one. A tick that has passed is never moved.
4. A refusal before the charge, and what is served without counting, may be shown before the tick.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, and_, or_, update

from casehaven.core.problems import Problem, problem_named
from casehaven.core.service_tables import job as table

_CHARGED_FAILURE: Final = "casehaven.queries.errors.ChargedFailureError"
"""Named, not imported: the api reads this too, and imports nothing that opens a vault."""


def too_late() -> Problem:
    """What is said of a job that was not ready at its tick: the very words of anything that fails after the charge."""
    return problem_named(_CHARGED_FAILURE)


def fix_tick(connection: Connection, job_id: str, *, worker: str, attempt: int, now: int, due: int) -> bool:
    """Fix the tick of a running job (rules 1 and 3); return False when another attempt has it by now.

    Args:
        connection: writes.
        job_id: which.
        worker: who has it.
        attempt: which one of its attempts.
        now: seconds since 1970.
        due: the tick, in seconds since 1970.
    """
    mine = and_(
        table.c.job_id == job_id, table.c.worker == worker, table.c.attempts == attempt, table.c.outcome.is_(None)
    )
    if connection.execute(update(table).where(mine).values(worker=worker)).rowcount == 0:
        return False
    open_ = or_(table.c.visible_at.is_(None), table.c.visible_at > now)
    connection.execute(update(table).where(mine, open_).values(visible_at=due))
    return True


def passed(fixed: int | None, now: int) -> bool:
    """Whether a tick was fixed and has come.

    >>> passed(None, 9), passed(10, 9), passed(10, 10)
    (False, False, True)
    """
    return fixed is not None and fixed <= now
