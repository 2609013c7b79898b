"""The page of training: made-up people to try everything with, and a made-up file to practise taking one in.

1. The dataset is made and filled by the worker (`casehaven.core.training`). This page asks for it, and leads to what can be tried.
2. Whatever page shows a dataset of training has a banner: the page's own text is looked through for its name, so none can forget it (`marked`).
"""

from __future__ import annotations

from fastapi import Response
from fastapi.concurrency import run_in_threadpool

from casehaven.core.training import TRAINING
from casehaven.web.backend import place
from casehaven.web.desk import HEADERS, Desk, Signed
from casehaven.web.router import PageRouter

router = PageRouter()


@router.get("/training")
async def training(desk: Signed) -> Response:
    """What can be tried, and with what."""
    return await _show(desk)


@router.post("/training")
async def make_training(desk: Signed) -> Response:
    """Ask for the dataset of training."""
    await desk.sent()
    answer = await desk.ask("POST", "/v1/organisations/{}/training", desk.organisation)
    return desk.to_job(answer, then="/training", back="/training")


@router.get("/training/practice.csv")
async def practice(desk: Signed) -> Response:
    """A file of made-up people, to try sending one. The same for everybody."""
    from casehaven.generate.practice import practice_file  # the api needs nothing of it otherwise

    desk.require("upload.create")
    return Response(
        await run_in_threadpool(practice_file),
        media_type="text/csv; charset=utf-8",
        headers={**HEADERS, "Content-Disposition": 'attachment; filename="made-up-people.csv"'},
    )


async def _show(desk: Desk) -> Response:
    items = (await desk.get("/v1/datasets"))["items"] if desk.may("dataset.list") else []
    found = [f"{one['organisation']}/{one['name']}" for one in items if one["name"] == TRAINING]
    own = f"{desk.organisation}/{TRAINING}"
    return desk.page(
        "training/show.html",
        own=own if own in found else "",
        granted=[name for name in found if name != own],
        dataset=place("/datasets/{}/{}", desk.organisation, TRAINING),
        form=desk.blank(),
    )
