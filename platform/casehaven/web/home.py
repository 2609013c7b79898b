"""The first page after sign-in: what to do next, and where everything is. And signing out."""

from __future__ import annotations

from typing import Final

from fastapi import Response

from casehaven.web.desk import Signed
from casehaven.web.next_steps import next_steps
from casehaven.web.router import PageRouter

router = PageRouter()

_CLEAR: Final = "clear-site-data"
"""What the browser forgets when somebody signs out, as the route says."""


@router.get("/home")
async def home(desk: Signed) -> Response:
    """What the reader can do next."""
    return desk.page("home.html", steps=await next_steps(desk), form=desk.blank())


@router.post("/sign-out")
async def sign_out(desk: Signed) -> Response:
    """Sign out here."""
    await desk.sent()
    answer = (await desk.ask("DELETE", "/v1/session")).checked()
    response = desk.to("/sign-in")
    if _CLEAR in answer.headers:
        response.headers[_CLEAR] = answer.headers[_CLEAR]
    return response
