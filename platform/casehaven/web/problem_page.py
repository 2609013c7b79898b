"""What a reader sees in the place of a page that was refused: what it is, what to do about it, and where to go on.

1. Nobody is signed in: the reader is led to the page of sign-in, and comes back.
2. A second factor is missing: the form that was sent is shown again with its fields hidden and a place for the code, so that nothing is typed twice.
3. Everything else is told by the problem's own title, detail and advice, as the routes give them. Where the reader's language has no words for a code, the English ones are marked as English.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request
from fastapi.responses import Response

from casehaven.core.problems import Problem
from casehaven.web.backend import Backend, place
from casehaven.web.desk import Desk
from casehaven.web.words import words_of

NOT_SIGNED_IN: Final = "not-signed-in"
STEP_UP: Final = ("step-up-needed", "wrong-credentials", "too-many-guesses")
"""Codes of rule 2; the second and third where the code that was given is not accepted."""


ASSERTION_NEEDED: Final = "assertion-needed"
"""The job itself has to be signed with a passkey: as rule 2, with the signature."""


def wants_page(request: Request) -> bool:
    """Tell whether whoever asks is a reader before a browser, and asks for a page."""
    path = request.url.path
    return not path.startswith("/v1") and "text/html" in request.headers.get("accept", "")


def problem_page(request: Request, problem: Problem) -> Response:
    """Return the page of a problem."""
    desk = getattr(request.state, "desk", None)
    if not isinstance(desk, Desk):
        desk = Desk(request=request, backend=Backend(request), words=words_of(request))
    path = request.url.path
    if problem.code == NOT_SIGNED_IN:
        if getattr(request.state, "enrolling", False):
            return desk.to("/account")
        return desk.to(place("/sign-in", next=path if request.method == "GET" else None))
    form = desk.form
    needs_factor = problem.code == STEP_UP[0] or (problem.code in STEP_UP and form is not None and bool(form.factor))
    if needs_factor and form is not None and desk.session is not None:
        return desk.page("confirm.html", status=403, problem=problem, form=form, path=path)
    if problem.code == ASSERTION_NEEDED and form is not None and desk.session is not None:
        return desk.page("sign_job.html", status=problem.status, problem=problem, form=form, path=path)
    number = getattr(request.state, "request_number", "")
    response = desk.page(
        "problem.html", status=problem.status, problem=problem, number=number if problem.status >= 500 else ""
    )
    for name, value in problem.headers().items():
        response.headers[name] = value
    return response
