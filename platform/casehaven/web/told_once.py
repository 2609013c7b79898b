"""Lists of people, and what else is told once: a form with a reason is sent to a route, waited for, and answered with the page itself.

1. A reason and a reference stand in no address, so what came of a form is not a page to be led to. They stay in the forms of the page, for what is done next.
2. The form goes with its own key: sent again, or loaded again, it is the same job, which tells nothing twice and changes nothing twice.
3. What takes longer than `WAIT_SECONDS` is asked for again by a button; the job goes on meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Response

from casehaven.web.backend import place
from casehaven.web.desk import Desk
from casehaven.web.forms import Form

WAIT_SECONDS: Final = 20
ON_THE_FORM: Final = frozenset({"reason-needed", "second-person-needed", "retention", "too-many-jobs"})
"""Refusals that are told on the form itself."""
JOB: Final = "job"
"""Field of a form that asks again for what was asked for already."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of a form: a result, or a page in its place, or neither where the form says what is wrong."""

    result: Mapping[str, Any] | None = None
    page: Response | None = None


async def told_once(
    desk: Desk,
    form: Form,
    template: str,
    *parts: str,
    kind: str,
    body: Mapping[str, Any],
    back: str,
    own: Collection[str] = ON_THE_FORM,
) -> Told:
    """Ask a route for what a form wants, and wait for it.

    Args:
        desk: of the request.
        form: that was sent.
        template: of the route, with `parts` in its places; it makes a job.
        parts: of its path.
        kind: of that job; a form that names another one gets nothing of it, and leaves its result where it is.
        body: what it is asked.
        back: page where the reader begins anew.
        own: codes of refusals that are told on the form.

    Raises:
        ProblemError: the route, or the job, refused for another reason.
    """
    if form.text(JOB):
        if not await is_job(desk, form.text(JOB), kind):
            return Told(page=_waiting(desk, form, None, back))
        answer = await desk.backend.call("GET", place("/v1/jobs/{}", form.text(JOB)), wait=WAIT_SECONDS)
    else:
        answer = await desk.ask("POST", template, *parts, body=dict(body), key=form.key, wait=WAIT_SECONDS)
    problem = answer.problem
    if problem is not None and problem.code in own:
        form.problem = problem
        form.values.pop(JOB, None)
        return Told()
    answer.checked()
    result = answer.body.get("result") if answer.status == 200 else None
    if result is None:  # it goes on, or was told already
        job = answer.job if answer.status != 200 else None
        return Told(page=_waiting(desk, form, job, back))
    return Told(result=result)


async def is_job(desk: Desk, job: str, kind: str) -> bool:
    """Tell whether one's own job is of a kind, or failed; its result stays where it is."""
    seen = await desk.backend.call("GET", place("/v1/jobs/{}", job, result="false"))
    return seen.problem is not None or seen.body["kind"] == kind


def _waiting(desk: Desk, form: Form, job: str | None, back: str) -> Response:
    return desk.page("people/wait.html", form=form, job=job, action=desk.request.url.path, back=back)
