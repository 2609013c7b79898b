"""Pages of an organisation's own exact numbers: NOT FOR RELEASE. Ask for tables with a reason, see them once, or take them along as a workbook.

1. Nothing here is protected: the numbers are those of the own people who consented to it, for the own organisation. Each page says so first.
2. Tables are shown once, as what is told of a person is; asking again is another entry in the audit log.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final

from fastapi import Query, Response

from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.router import PageRouter
from casehaven.web.uploading import JobId

router = PageRouter()

_OWN_PROBLEMS: Final = ("reason-needed", "tables-year", "nobody-counted")


@router.get("/statistics")
async def statistics(desk: Signed, dataset: Annotated[str, Query(max_length=64)] = "") -> Response:
    """Which tables, and what for."""
    desk.require("statistics.read")
    return await _page(desk, desk.blank(dataset=dataset))


@router.post("/statistics")
async def ask(desk: Signed) -> Response:
    """Ask for the tables."""
    form = await desk.sent()
    form.needed("dataset", "reason")
    years = form.text("years").replace(",", " ").split()
    if not all(year.isascii() and year.isdecimal() and len(year) == 4 and year[0] != "0" for year in years):
        form.fault("years", "statistics.year_form")
    if not form.fine:
        return await _page(desk, form, status=422)
    kind = "xlsx" if form.text("do") == "xlsx" else "json"
    body = {"reason": form.text("reason"), "years": [int(year) for year in years], "kind": kind}
    answer = await desk.ask("POST", "/v1/datasets/{}/{}/tables", desk.organisation, form.text("dataset"), body=body)
    if answer.problem is not None and answer.problem.code in _OWN_PROBLEMS:
        form.problem = answer.problem
        return await _page(desk, form, status=422)
    then = "/statistics/file?job={job}" if kind == "xlsx" else "/statistics/tables?job={job}"
    return desk.to_job(answer, then=then, back="/statistics")


@router.get("/statistics/tables")
async def tables(desk: Signed, job: JobId) -> Response:
    """The tables. Exact; shown once."""
    return desk.page("statistics/tables.html", found=await _result(desk, job))


@router.get("/statistics/file")
async def workbook(desk: Signed, job: JobId) -> Response:
    """The tables as a workbook, once."""
    found = await _result(desk, job)
    if found is None:
        return desk.page("statistics/tables.html", found=None)
    return desk.file(base64.b64decode(found["base64"]), name=str(found["file"]), media_type=str(found["media_type"]))


async def _result(desk: Desk, job: str) -> dict[str, Any] | None:
    answer = await desk.ask("GET", "/v1/jobs/{}/result", job)
    if answer.status in (404, 410):
        return None
    found: dict[str, Any] = answer.checked().body
    return found


async def _page(desk: Desk, form: Form, *, status: int = 200) -> Response:
    found = (await desk.get("/v1/datasets"))["items"]
    names = [str(one["name"]) for one in found if one["organisation"] == desk.organisation]
    return desk.page("statistics/ask.html", status=status, form=form, datasets=names)
