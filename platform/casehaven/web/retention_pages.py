"""Pages about how long records are kept: who is due, erasing all of them, a last day for everybody without one, and the receipt of an earlier erasure.

1. What reaches many people at once has a step of its own that says in words what will happen, and what of it cannot be taken back. Only the form of that step asks the route.
2. A last day erases nobody. Erasing is asked for with a word that is typed, as for one person.
3. Who is due is told once; so are the receipts, and each can be had again by its number.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile

from fastapi import Response

from casehaven.web.backend import place
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.router import PageRouter
from casehaven.web.told_once import told_once
from casehaven.web.uploading import Dataset, Organisation

router = PageRouter()

PAGE: Final = "/datasets/{organisation}/{dataset}/retention"
_HERE: Final = "/datasets/{}/{}/retention"
_ROUTE: Final = "/v1/datasets/{}/{}"
MONTHS_MOST: Final = 1_200
NUMBER_MOST: Final = 2**63 - 1
ERASED_AT_ONCE: Final = 150
"""People who are erased by one form: the page holds all their receipts, and stays light enough for a slow line."""
KINDS: Final = {
    "due": "person.due",
    "erasure": "person.erase-due",
    "everybody": "person.retain-all",
    "receipts": "person.receipt",
}
"""Page, and the kind of the job that it asks for."""
WORD: Final = "ERASE"
"""What is typed to erase."""


@router.get(PAGE)
async def begin(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Why somebody looks who is due, and what else there is."""
    desk.require("person.retain")
    await desk.get(_ROUTE, organisation, dataset)
    return _page(desk, "due", organisation, dataset, desk.blank())


@router.post(PAGE)
async def due(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Name who is due."""
    form = await desk.sent()
    form.needed("reason")
    body = {"reason": form.text("reason")}
    return await _told(desk, "due", organisation, dataset, form, body, "/retention/due")


@router.get(PAGE + "/erasure")
async def no_erasure(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Lead back to who is due: erasing begins with looking."""
    desk.require("person.erase")
    return desk.to(place(_HERE, organisation, dataset))


@router.post(PAGE + "/erasure")
async def erase(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Say what erasing all of them means, and erase them when the word was typed."""
    desk.require("person.erase")
    form = await desk.sent()
    form.needed("reason")
    if "confirm" not in form.values:
        fresh = desk.blank(reason=form.text("reason"), seen=form.text("seen"))
        return _page(desk, "erasure", organisation, dataset, fresh)
    if form.text("confirm") != WORD:
        form.fault("confirm", "people.type_erase")
    body = {"reason": form.text("reason"), "confirm": WORD, "most": ERASED_AT_ONCE}
    return await _told(desk, "erasure", organisation, dataset, form, body, "/retention/erasures")


@router.get(PAGE + "/everybody")
async def begin_everybody(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """For how long everybody's records are kept, and why."""
    desk.require("person.retain")
    await desk.get(_ROUTE, organisation, dataset)
    return _page(desk, "everybody", organisation, dataset, desk.blank())


@router.post(PAGE + "/everybody")
async def everybody(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Say what a last day for everybody means, and give it when that was confirmed."""
    desk.require("person.retain")
    form = await desk.sent()
    form.needed("reason")
    months = form.number("months", least=1, most=MONTHS_MOST)
    if form.fine and not form.ticked("sure") and not form.text("job"):
        fresh = desk.blank(reason=form.text("reason"), months=str(months))
        return _page(desk, "everybody", organisation, dataset, fresh, sure=True)
    body = {"reason": form.text("reason"), "months": months}
    return await _told(desk, "everybody", organisation, dataset, form, body, "/retention")


@router.get(PAGE + "/receipts")
async def begin_receipt(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Of which erasure, and why."""
    desk.require("person.erase")
    await desk.get(_ROUTE, organisation, dataset)
    return _page(desk, "receipts", organisation, dataset, desk.blank())


@router.post(PAGE + "/receipts")
async def receipt(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Show the receipt of an earlier erasure again."""
    form = await desk.sent()
    form.needed("reason")
    number = form.number("number", least=1, most=NUMBER_MOST)
    body = {"reason": form.text("reason"), "number": str(number)}
    return await _told(desk, "receipts", organisation, dataset, form, body, "/people/receipts")


async def _told(
    desk: Desk, name: str, organisation: str, dataset: str, form: Form, body: dict[str, Any], route: str
) -> Response:
    """Answer a form with what its route tells; with the form where something of it is wrong."""
    if form.fine:
        back = place(_HERE, organisation, dataset)
        told = await told_once(
            desk, form, _ROUTE + route, organisation, dataset, kind=KINDS[name], body=body, back=back
        )
        if told.page is not None:
            return told.page
        if told.result is not None:
            return _page(desk, name, organisation, dataset, form, result=dict(told.result))
    return _page(desk, name, organisation, dataset, form, status=422)


def _page(
    desk: Desk,
    name: str,
    organisation: str,
    dataset: str,
    form: Form,
    *,
    status: int = 200,
    result: dict[str, Any] | None = None,
    sure: bool = False,
) -> Response:
    shown: dict[str, Any] = {"result": result, "sure": sure, "dataset": dataset}
    if result is not None and "receipts" in result:
        shown["receipts"] = [_body(signed) for signed in result["receipts"]]
        shown["archive"] = archive(result["receipts"])
    if result is not None and "signed" in result:
        shown["signed"] = base64.b64encode(str(result["signed"]).encode()).decode("ascii")
    here = place(_HERE, organisation, dataset)
    return desk.page(f"people/{name}.html", status=status, form=form, here=here, most=ERASED_AT_ONCE, **shown)


def archive(receipts: Sequence[str]) -> str:
    """Return signed receipts as one ZIP file in base64, each under the name that it has everywhere.

    >>> archive([])[:4]
    'UEsF'
    """
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as file:
        for signed in receipts:
            file.writestr(f"casehaven-erasure-{_body(signed)['number']}.json", signed)
    return base64.b64encode(made.getvalue()).decode("ascii")


def _body(signed: str) -> dict[str, Any]:
    """Return what a signed receipt says; its signature is over that very text."""
    found: dict[str, Any] = json.loads(json.loads(signed)["receipt"])
    return found
