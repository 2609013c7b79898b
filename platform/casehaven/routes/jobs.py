"""Routes of jobs: a member's own, and nobody else's."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request
from fastapi.responses import Response

from casehaven.core import jobs
from casehaven.core.pages import LIMIT, LIMIT_MOST, page, parse_cursor
from casehaven.core.request_errors import ResultGoneError
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Here, Who
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError
from casehaven.routes.asking import answer, private_result

router = GuardedRouter(tags=["jobs"])

JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Cursor = Annotated[str | None, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MOST)]


@router.get("/v1/jobs", operation=Operation.JOB_READ, problems=("cursor", "body"))
def list_jobs(here: Here, who: Who, cursor: Cursor = None, limit: Limit = LIMIT) -> dict[str, Any]:
    """List your jobs, newest first."""
    before = parse_cursor(cursor, "jobs", here.key)
    with here.store.reading() as connection:
        found = jobs.views(connection, member_id=who.member_id, now=here.clock(), before=before, limit=limit + 1)
    return page(
        found,
        limit=limit,
        list_name="jobs",
        key=here.key,
        number=lambda job: job.sequence,
        shown=lambda job: {**job.document(), "result": None},
    )


@router.get("/v1/jobs/{job}", operation=Operation.JOB_READ, problems=("body",))
async def read_job(request: Request, job: JobId, here: Here, who: Who, result: bool = True) -> Response:
    """Return one of your jobs; with `Prefer: wait=SECONDS`, when it has ended. With `result=false` a private result is left where it is."""
    return await answer(request, here, who, job, keep=not result)


@router.get("/v1/jobs/{job}/result", operation=Operation.JOB_READ, problems=("body", "result-gone"))
def read_result(job: JobId, here: Here, who: Who) -> Any:
    """Return what came of one of your jobs. A result with case data can be read once, within ten minutes."""
    with here.store.reading() as connection:
        found = jobs.view(connection, job, member_id=who.member_id, now=here.clock())
    if found.state != "done":
        raise NotFoundError
    if not found.private:
        return found.result
    result = private_result(here, who, job)
    if result is None:
        raise ResultGoneError
    return result


@router.delete("/v1/jobs/{job}", operation=Operation.JOB_CANCEL, problems=("body", "job-ended"))
def cancel_job(job: JobId, here: Here, who: Who) -> dict[str, Any]:
    """Ask for the end of a job. What was charged stays charged; what was taken in stays."""
    with here.store.writing() as connection:
        return jobs.cancel(connection, job, member_id=who.member_id, now=here.clock()).document()
