"""Pages of organisations: which there are in the reader's reach, and founding one for whoever runs the service."""

from __future__ import annotations

from typing import Final

from fastapi import Response

from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.router import PageRouter

router = PageRouter()

KINDS: Final = ("ngo", "research", "policy")
"""Kinds that an operator founds, in the order of the form."""


@router.get("/organisations")
async def list_organisations(desk: Signed) -> Response:
    """The organisations in reach."""
    return await _list(desk, desk.blank(kind=KINDS[0]))


@router.post("/organisations")
async def found_organisation(desk: Signed) -> Response:
    """Found an organisation, and show the code of its first member."""
    form = await desk.sent()
    form.needed("title", "name", "kind", "first_member")
    if form.fine:
        body = {name: form.text(name) for name in ("title", "name", "kind", "first_member")}
        answer = await desk.ask("POST", "/v1/organisations", body=body)
        if answer.problem is None:
            handle = answer.body["member"]["handle"]
            return desk.page("members/code.html", handle=handle, code=answer.body["code"], half=None)
        if answer.problem.code not in ("name-taken", "name-form", "role-of-kind", "body"):
            answer.checked()
        form.problem = answer.problem
    return await _list(desk, form)


async def _list(desk: Desk, form: Form) -> Response:
    found = await desk.get("/v1/organisations")
    return desk.page(
        "organisations/list.html", status=200 if form.fine else 422, organisations=found, form=form, kinds=KINDS
    )
