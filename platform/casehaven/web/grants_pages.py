"""Pages of grants: who may ask about the organisation's datasets, granting one to somebody by handle, and ending it."""

from __future__ import annotations

from typing import Final

from fastapi import Response

from casehaven.organisations.errors import NotFoundError
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.ledger_delta import ledger_delta
from casehaven.web.router import PageRouter

router = PageRouter()

MOST: Final = 10**15
"""Nano-rho that an allowance can be on this page."""


@router.get("/grants")
async def list_grants(desk: Signed) -> Response:
    """Who may ask about the organisation's datasets."""
    return await _list(desk, desk.blank())


@router.post("/grants")
async def grant(desk: Signed) -> Response:
    """Grant a dataset to somebody."""
    form = await desk.sent()
    form.needed("dataset", "handle")
    limited = form.number("allowance", least=0, most=MOST) if form.text("allowance") else None
    if not form.fine:
        return await _list(desk, form)
    place = "/v1/datasets/{}/{}/grants/{}"
    body = {"allowance_nano_rho": limited}
    answer = await desk.ask("PUT", place, desk.organisation, form.text("dataset"), form.text("handle"), body=body)
    if answer.problem is None:
        return desk.to("/grants")
    if answer.problem.code == "not-found":
        form.fault("handle", "grants.nobody")
    elif answer.problem.code in ("grant-beyond-rights", "name-form", "body"):
        form.problem = answer.problem
    else:
        answer.checked()
    return await _list(desk, form)


@router.post("/grants/end")
async def end_grant(desk: Signed) -> Response:
    """End a grant."""
    form = await desk.sent()
    organisation, _, dataset = form.text("dataset").partition("/")
    if organisation != desk.organisation:
        raise NotFoundError
    place = "/v1/datasets/{}/{}/grants/{}"
    (await desk.ask("DELETE", place, organisation, dataset, form.text("handle"))).checked()
    return desk.to("/grants")


async def _list(desk: Desk, form: Form) -> Response:
    found = await desk.get("/v1/organisations/{}/grants", desk.organisation)
    items = (await desk.get("/v1/datasets"))["items"]
    own = [one["name"] for one in items if one["organisation"] == desk.organisation]
    return desk.page(
        "grants/list.html",
        status=200 if form.fine else 422,
        grants=found,
        own=own,
        form=form,
        end=desk.blank(),
        delta=await ledger_delta(desk),
    )
