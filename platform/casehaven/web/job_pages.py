"""Pages of jobs: how far one is, and where its result is.

1. A job's page never opens a private result: it asks for the job without it. The page where it leads does.
2. It refreshes itself: by its script, and without one by the browser. When the job is done it leads on by itself where it was told to.
3. Where it leads (`then`, `back`) is a path of this service, or nothing.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response

from casehaven.core.problems import ProblemError
from casehaven.web.backend import place
from casehaven.web.desk import Signed
from casehaven.web.router import PageRouter

router = PageRouter()

JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Onward = Annotated[str, Query(max_length=300)]
REFRESH_SECONDS: Final = 3
_LOCAL: Final = re.compile(r"/[a-z][A-Za-z0-9/._%-]*(\?[A-Za-z0-9=&._%-]*)?")
_RESULTS: Final[dict[str, str]] = {"dataset.create": "/datasets"}
"""Kind of a job: where its result is seen when nobody said it."""
_TRIED: Final = {"/releases/new": "release.draft", "/ask": "question.ask"}
"""Where a reader tries again: the kind of the job. A problem does not say it."""


def local(path: str, job: str = "") -> str:
    """Return a path of this service, with the job's id filled in; empty where it is none (rule 3).

    >>> local("/answers/{job}", "ab"), local("//elsewhere.example"), local("https://elsewhere.example")
    ('/answers/ab', '', '')
    """
    filled = path.replace("{job}", job)
    return filled if _LOCAL.fullmatch(filled) and "//" not in filled else ""


@router.get("/jobs")
async def list_jobs(desk: Signed, cursor: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """One's own jobs, newest first."""
    found = await desk.get("/v1/jobs", cursor=cursor, limit=25)
    return desk.page("jobs/list.html", jobs=found["items"], next=found["next"])


@router.get("/jobs/{job}")
async def show_job(desk: Signed, job: JobId, then: Onward = "", back: Onward = "") -> Response:
    """One job."""
    answer = await desk.ask("GET", f"/v1/jobs/{job}?result=false")
    found: dict[str, Any] = answer.body
    if answer.problem is not None and not (isinstance(found, dict) and found.get("job") == job):
        raise ProblemError(answer.problem)
    onward = local(then, job) or _RESULTS.get(str(found.get("kind", "")), "")
    if answer.problem is None and found["state"] == "done" and local(then, job):
        return desk.to(onward)
    return desk.page(
        "jobs/show.html",
        job=job,
        found=found if answer.problem is None else None,
        problem=answer.problem,
        kind=str(found.get("kind", "")) or _TRIED.get(local(back), ""),
        onward=onward,
        back=local(back),
        again=place("/jobs/{}", job, then=then or None, back=back or None),
        refresh=REFRESH_SECONDS,
        form=desk.blank(),
    )


@router.post("/jobs/{job}")
async def cancel_job(desk: Signed, job: JobId) -> Response:
    """Ask for the end of a job."""
    await desk.sent()
    (await desk.ask("DELETE", "/v1/jobs/{}", job)).checked()
    return desk.to(place("/jobs/{}", job))
