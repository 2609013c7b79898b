"""Pages of members: who belongs to the organisation, inviting somebody, roles, a new code, and the end.

1. Only roles are offered that the reader could give; the route refuses every other one, whatever a form says.
2. A code, and a half of a recovery's code, is shown once, on the page that answers the form. It is in no address and no list.
"""

from __future__ import annotations

from typing import Any

from fastapi import Response

from casehaven.organisations.errors import NotFoundError
from casehaven.web.backend import Answer
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.router import PageRouter

router = PageRouter()


@router.get("/members")
async def list_members(desk: Signed) -> Response:
    """The members of the reader's organisation."""
    return await _list(desk, desk.blank())


@router.post("/members")
async def invite(desk: Signed) -> Response:
    """Invite somebody, and show the code."""
    form = await desk.sent()
    form.needed("handle")
    if not form.all("roles"):
        form.fault("roles", "forms.choose")
    if not form.fine:
        return await _list(desk, form)
    body = {"handle": form.text("handle"), "roles": form.all("roles")}
    answer = await desk.ask("POST", "/v1/organisations/{}/members", desk.organisation, body=body)
    if not _fine(form, answer, {"name-taken": "handle", "name-form": "handle"}):
        return await _list(desk, form)
    return desk.page("members/code.html", handle=form.text("handle"), code=answer.body["code"], half=None)


@router.get("/members/{handle}")
async def show_member(desk: Signed, handle: str) -> Response:
    """One member."""
    return await _one(desk, handle, desk.blank())


@router.post("/members/{handle}/roles")
async def set_roles(desk: Signed, handle: str) -> Response:
    """Give and take roles until the member has those that are ticked; roles that the reader could not give stay as they are."""
    form = await desk.sent()
    found, roles = await _member(desk, handle), await _roles(desk)
    wanted, has = set(form.all("roles")), set(found["roles"])
    for role in (one["role"] for one in roles if one["givable"]):
        if (role in wanted) != (role in has):
            method = "PUT" if role in wanted else "DELETE"
            place = "/v1/organisations/{}/members/{}/roles/{}"
            answer = await desk.ask(method, place, desk.organisation, handle, role)
            if not _fine(form, answer, {"last-holder": "roles"}):
                return await _one(desk, handle, form)
    return desk.to(f"/members/{found['handle']}")


@router.post("/members/{handle}/code")
async def new_code(desk: Signed, handle: str) -> Response:
    """Make a new code for somebody who has not joined, and show it."""
    await desk.sent()
    answer = (await desk.ask("POST", "/v1/organisations/{}/members/{}/code", desk.organisation, handle)).checked()
    return desk.page("members/code.html", handle=handle, code=answer.body["code"], half=None)


@router.post("/members/{handle}/recovery")
async def approve_recovery(desk: Signed, handle: str) -> Response:
    """Approve that a member is let back in, and show the reader's half of the code."""
    form = await desk.sent()
    answer = await desk.ask("POST", "/v1/organisations/{}/members/{}/recovery", desk.organisation, handle)
    if not _fine(form, answer, {}):
        return await _one(desk, handle, form)
    return desk.page("members/code.html", handle=handle, code=answer.body["half"], half=answer.body["complete"])


@router.post("/members/{handle}/sign-out")
async def sign_out_member(desk: Signed, handle: str) -> Response:
    """Sign a member out everywhere."""
    await desk.sent()
    (await desk.ask("DELETE", "/v1/organisations/{}/members/{}/sessions", desk.organisation, handle)).checked()
    return desk.to(f"/members/{(await _member(desk, handle))['handle']}")


@router.post("/members/{handle}/end")
async def end_member(desk: Signed, handle: str) -> Response:
    """End a member for good; their handle has to be typed."""
    form = await desk.sent()
    if form.text("confirm") != handle:
        form.fault("confirm", "members.confirm_differs")
        return await _one(desk, handle, form)
    answer = await desk.ask("DELETE", "/v1/organisations/{}/members/{}", desk.organisation, handle)
    if not _fine(form, answer, {"last-holder": "confirm"}):
        return await _one(desk, handle, form)
    return desk.to("/members")


def _fine(form: Form, answer: Answer, fields: dict[str, str]) -> bool:
    """Note a refusal in the form; a missing second factor is asked for by the page of problems."""
    problem = answer.problem
    if problem is None:
        return True
    if problem.code in ("step-up-needed", "not-signed-in", "cross-site", "not-found"):
        answer.checked()
    form.problem = problem
    if problem.code in fields:
        form.fault(fields[problem.code], f"problems.{problem.code}")
    return False


async def _list(desk: Desk, form: Form) -> Response:
    found = await desk.get("/v1/organisations/{}/members", desk.organisation)
    roles = await _roles(desk)
    return desk.page("members/list.html", status=200 if form.fine else 422, members=found, roles=roles, form=form)


async def _one(desk: Desk, handle: str, form: Form) -> Response:
    found, roles = await _member(desk, handle), await _roles(desk)
    form.values.setdefault("roles", list(found["roles"]))
    return desk.page("members/show.html", status=200 if form.fine else 422, member=found, roles=roles, form=form)


async def _roles(desk: Desk) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await desk.get("/v1/organisations/{}/roles", desk.organisation)
    return found


async def _member(desk: Desk, handle: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = await desk.get("/v1/organisations/{}/members", desk.organisation)
    for member in found:
        if member["handle"] == handle:
            return member
    raise NotFoundError
