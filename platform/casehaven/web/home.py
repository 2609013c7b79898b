"""The first page after sign-in: what to do next, what is new in the registry for whoever reads releases, and where everything is. And signing out."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Response

from casehaven.web.desk import Desk, Signed
from casehaven.web.next_steps import next_steps
from casehaven.web.router import PageRouter

router = PageRouter()

_CLEAR: Final = "clear-site-data"
"""What the browser forgets when somebody signs out, as the route says."""


READERS: Final = frozenset({"policymaker", "researcher"})
"""Roles whose first page tells what is new in the registry."""
NEWS: Final = 4
"""Newest versions, and newest withdrawn ones, that it tells of."""
_LOOKED: Final = 50


@router.get("/home")
async def home(desk: Signed) -> Response:
    """What the reader can do next."""
    return desk.page("home.html", steps=await next_steps(desk), news=await _news(desk), form=desk.blank())


@router.post("/sign-out")
async def sign_out(desk: Signed) -> Response:
    """Sign out here."""
    await desk.sent()
    answer = (await desk.ask("DELETE", "/v1/session")).checked()
    response = desk.to("/sign-in")
    if _CLEAR in answer.headers:
        response.headers[_CLEAR] = answer.headers[_CLEAR]
    return response


async def _news(desk: Desk) -> dict[str, Any] | None:
    """Return what is new in the registry; None for who does not read releases.

    Of versions of one release the newest is told; of it, which version came before.
    """
    if not READERS & set(desk.roles):
        return None
    found = (await desk.get("/v1/registry", limit=_LOOKED))["items"]
    newest: dict[str, dict[str, Any]] = {}
    before: dict[str, str] = {}
    for one in found:
        if one["withdrawal"]:
            continue
        if one["concept"] not in newest:
            newest[one["concept"]] = one
        elif newest[one["concept"]]["id"] not in before:
            before[newest[one["concept"]]["id"]] = one["id"]
    withdrawn = sorted((one for one in found if one["withdrawal"]), key=lambda one: str(one["withdrawal"]["at"]))
    return {"newest": list(newest.values())[:NEWS], "before": before, "withdrawn": withdrawn[::-1][:NEWS]}
