"""Pages of grants: who may ask about the organisation's datasets, granting one to somebody by handle, and ending it.

1. An allowance is typed in rho, the ledger's currency, or as epsilon for one person token, at the delta of the deployment: the most rho that stays within it.
"""

from __future__ import annotations

import math
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Final

from fastapi import Response

from casehaven.organisations.errors import NotFoundError
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.ledger_delta import LedgerDelta, ledger_delta
from casehaven.web.router import PageRouter
from casesynth.privacy.accounting import rho_for
from casesynth.privacy.loss import PrivacyLossError

router = PageRouter()

NANO: Final = 10**9
MOST: Final = 1000
"""Rho, or epsilon, that an allowance can be on this page."""
EXAMPLE: Final = 20_000_000
"""Nano-rho whose epsilon stands beside the field."""
UNITS: Final = ("rho", "epsilon")


@router.get("/grants")
async def list_grants(desk: Signed) -> Response:
    """Who may ask about the organisation's datasets."""
    return await _list(desk, desk.blank())


@router.post("/grants")
async def grant(desk: Signed) -> Response:
    """Grant a dataset to somebody."""
    form = await desk.sent()
    form.needed("dataset", "handle")
    limited = _nano_rho(form, await ledger_delta(desk)) if form.text("allowance") else None
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


def _nano_rho(form: Form, delta: LedgerDelta | None) -> int:
    """Return the allowance of a form in billionths of rho; a fault where it is none (rule 1)."""
    try:
        typed = Decimal(form.text("allowance"))
    except InvalidOperation:
        typed = Decimal(0)
    if typed.is_finite() and 0 < typed <= MOST:
        if form.text("unit") != "epsilon":
            return max(math.floor(typed * NANO), 1)
        if delta is not None:
            with suppress(PrivacyLossError):  # not one nano-rho fits
                return rho_for(float(typed), delta.delta)
    form.fault("allowance", "grants.allowance_number")
    return 0


def as_rho(nano_rho: int) -> str:
    """Return an amount as people write it.

    >>> as_rho(20_000_000), as_rho(0), as_rho(3 * 10**9)
    ('0.02', '0', '3')
    """
    return format((Decimal(nano_rho) / NANO).normalize(), "f")


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
        units=UNITS,
        example=EXAMPLE,
        as_rho=as_rho,
    )
