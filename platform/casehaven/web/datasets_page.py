"""Pages of datasets: which there are, making one, and one dataset with its uploads and how it stands.

1. What others may know of a dataset (its name, schema and bound) stands here with what only its own organisation may: the uploads that wait, and exact numbers for stewards.
2. Exact numbers are asked for by a button and shown once.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Response

from casehaven.web.backend import place
from casehaven.web.desk import Signed
from casehaven.web.router import PageRouter
from casehaven.web.uploading import Dataset, JobId, Organisation

router = PageRouter()

SCHEMAS: Final = ("ctdc-global", "htcds-2.0", "ctdc-victim-perpetrator")
"""The shipped ones, the most used first; `tests/web/test_steward_pages.py` compares them with the shipped ones."""
PEOPLE_MOST: Final = 10**8


@router.get("/datasets")
async def datasets(desk: Signed) -> Response:
    """The datasets of the organisation, and making one."""
    found = await _own(desk)
    return desk.page("datasets/list.html", datasets=found, form=desk.blank(schema=SCHEMAS[0]), schemas=SCHEMAS)


@router.post("/datasets")
async def make(desk: Signed) -> Response:
    """Make a dataset."""
    form = await desk.sent()
    form.needed("name", "schema")
    people_cap = form.number("people_cap", least=1, most=PEOPLE_MOST)
    if form.fine:
        body = {"name": form.text("name"), "schema": form.text("schema"), "people_cap": people_cap}
        answer = await desk.ask("POST", "/v1/organisations/{}/datasets", desk.organisation, body=body)
        form.problem = answer.problem
        if form.problem is None:
            return desk.to_job(answer, then="/datasets", back="/datasets")
    found = await _own(desk)
    return desk.page("datasets/list.html", status=422, datasets=found, form=form, schemas=SCHEMAS)


@router.get("/datasets/{organisation}/{dataset}")
async def show(
    desk: Signed,
    organisation: Organisation,
    dataset: Dataset,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """One dataset: upload a file, go on with one that waits."""
    found = await desk.get("/v1/datasets/{}/{}", organisation, dataset)
    own = organisation == desk.organisation and desk.may("upload.read")
    uploads: dict[str, object] = {"items": [], "next": None}
    if own:
        uploads = await desk.get("/v1/datasets/{}/{}/uploads", organisation, dataset, cursor=cursor, limit=20)
    return desk.page("datasets/show.html", dataset=found, own=own, uploads=uploads, form=desk.blank())


@router.post("/datasets/{organisation}/{dataset}/standing")
async def ask_standing(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Ask how a dataset stands."""
    await desk.sent()
    answer = await desk.ask("GET", "/v1/datasets/{}/{}/status", organisation, dataset)
    here = place("/datasets/{}/{}", organisation, dataset)
    return desk.to_job(answer, then=here + "/standing?job={job}", back=here)


@router.get("/datasets/{organisation}/{dataset}/standing")
async def standing(desk: Signed, organisation: Organisation, dataset: Dataset, job: JobId) -> Response:
    """How a dataset stands. Exact; shown once."""
    answer = await desk.ask("GET", "/v1/jobs/{}/result", job)
    found = None if answer.status in (404, 410) else answer.checked().body
    return desk.page(
        "datasets/standing.html", organisation=organisation, dataset=dataset, found=found, form=desk.blank()
    )


async def _own(desk: Signed) -> list[dict[str, object]]:
    found = (await desk.get("/v1/datasets"))["items"]
    return [one for one in found if one["organisation"] == desk.organisation]
