"""Jobs: work that the service does behind a request, with its public phases.

1. Waiting holds a request open until the job has ended, for twenty seconds at a time. However often a client waits, it is the same job.
2. A job that failed raises the problem with which it ended, and one that was cancelled says so. Cancelling gives back nothing that was charged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from casehaven.client.errors import JobStoppedError, ResultReadError, StillRunningError, refusal
from casehaven.client.fields import ID, Fields, pages
from casehaven.client.transport import HOLD_SECONDS, Transport

WAIT_SECONDS: Final = 3_600.0
"""How long a client waits for a job unless it is told otherwise."""
_PROGRESS_SECONDS: Final = 2
_STATES: Final = frozenset({"queued", "running", "done", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job, as it was when the server was asked."""

    id: str
    kind: str
    """Such as `question.ask`."""
    state: str
    """`queued`, `running`, `done`, `failed` or `cancelled`."""
    phase: str
    """What is done just now: one of the service's fixed words."""
    done: int | None
    """Steps of the phase that are done; None where they are not counted."""
    total: int | None
    """Steps of the phase."""
    private: bool
    """Its result holds case data and can be read once."""
    result: Any = field(repr=False)
    """What came of it; None before its end."""
    problem: Mapping[str, Any] | None = field(repr=False)
    """Why it failed."""

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def share(self) -> float | None:
        """Part of the phase that is done, 0 to 1; None where it is not known."""
        return None if self.done is None or not self.total else min(max(self.done / self.total, 0.0), 1.0)


Progress = Callable[[Job], None]
"""Is called with the job each time the server said something of it."""


def read_job(fields: Fields) -> Job:
    """Read a job.

    Raises:
        UnexpectedAnswerError: it is none.
    """
    progress = fields.inner("progress") if fields.all.get("progress") is not None else None
    state = fields.text("state")
    if state not in _STATES:
        state = "running"
    problem = fields.all.get("problem")
    return Job(
        id=fields.id("id"),
        kind=fields.text("kind"),
        state=state,
        phase=fields.text("phase"),
        done=None if progress is None else progress.whole("done"),
        total=None if progress is None else progress.whole("total"),
        private=fields.flag("private", default=False),
        result=fields.all.get("result"),
        problem=problem if isinstance(problem, Mapping) else None,
    )


class Jobs:
    """The jobs of the token's holder."""

    def __init__(self, transport: Transport) -> None:
        """Use a connection."""
        self._transport = transport

    def get(self, job_id: str, *, hold: int = 0) -> Job:
        """Return a job.

        Args:
            job_id: of the job.
            hold: seconds for which the server may hold its answer until the job has ended.

        Raises:
            NotThereError: there is no such job of yours.
            RefusedError: the job failed, and this is the problem with which it did.
        """
        return read_job(Fields(self._transport.json("GET", f"/v1/jobs/{_checked(job_id)}", hold=hold), "job"))

    def list(self) -> Iterator[Job]:
        """Yield your jobs, newest first, without their results."""
        return pages(self._transport, "/v1/jobs", read_job, "list of jobs")

    def cancel(self, job_id: str) -> Job:
        """Ask for the end of a job: one that waits ends at once, one that runs when it looks next.

        Raises:
            ConflictError: it has ended.
        """
        return read_job(Fields(self._transport.json("DELETE", f"/v1/jobs/{_checked(job_id)}"), "job"))

    def wait(self, job_id: str, *, progress: Progress | None = None, seconds: float = WAIT_SECONDS) -> Job:
        """Wait until a job is done, and return it with its result.

        Args:
            job_id: of the job.
            progress: is told of it now and then.
            seconds: the most that is waited.

        Raises:
            RefusedError: the job failed, and this is the problem with which it did.
            JobStoppedError: it was cancelled.
            ResultReadError: its private result can be read no more.
            StillRunningError: it goes on.
        """
        until = time.monotonic() + seconds
        pause = 0.05
        while True:
            left = until - time.monotonic()
            hold = max(0, min(HOLD_SECONDS if progress is None else _PROGRESS_SECONDS, int(left)))
            asked = time.monotonic()
            found = self.get(job_id, hold=hold)
            if progress is not None:
                progress(found)
            if found.ended:
                return _finished(found)
            if left <= 0:
                raise StillRunningError(job_id)
            if time.monotonic() - asked < 1.0:  # the server holds nothing: come less and less often
                self._transport.patience.sleep(min(pause, max(left, 0.0)))
                pause = min(pause * 2, 5.0)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
        progress: Progress | None = None,
        seconds: float = WAIT_SECONDS,
    ) -> Job:
        """Send a request that makes a job, and wait until it is done.

        Args:
            method: of HTTP.
            path: of the route.
            body: sent as JSON.
            query: of the path.
            key: the request's idempotency key.
            progress: is told of the job now and then.
            seconds: the most that is waited.

        Raises:
            RefusedError, JobStoppedError, ResultReadError, StillRunningError: see `wait`.
        """
        hold = _PROGRESS_SECONDS if progress is not None else HOLD_SECONDS
        answer = self._transport.json(method, path, body=body, query=query, key=key, hold=min(hold, int(seconds)))
        made = read_job(Fields(answer, "job"))
        if progress is not None:
            progress(made)
        return _finished(made) if made.ended else self.wait(made.id, progress=progress, seconds=seconds)


def _finished(job: Job) -> Job:
    if job.state == "cancelled":
        raise JobStoppedError(f"the job {job.id} was cancelled")
    if job.state == "failed":
        problem = {} if job.problem is None else job.problem
        status = problem.get("status")
        raise refusal(status if isinstance(status, int) else 500, {**problem, "job": job.id})
    if job.private and job.result is None:
        raise ResultReadError("the job is done, and what came of it was read before or has expired")
    return job


def _checked(job_id: str) -> str:
    if not ID.fullmatch(job_id):
        raise ValueError("the id of a job is 32 hexadecimal digits")
    return job_id
