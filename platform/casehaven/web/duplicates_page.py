"""The page of possible duplicates: pairs of people of one's own organisation who may be one person, and what to do about each.

1. A pair is a proposal: the records of both agree in what the page says. Nothing is merged, and nothing of a decision is kept.
2. Each of the two leads to their own page, under the same reason, in a window of its own: the list stays, since it is told once.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import Response

from casehaven.web.backend import place
from casehaven.web.desk import Signed
from casehaven.web.router import PageRouter
from casehaven.web.told_once import told_once
from casehaven.web.uploading import Dataset, Organisation

router = PageRouter()

PAGE: Final = "/datasets/{organisation}/{dataset}/duplicates"
HOW_MANY: Final = ("20", "50", "100", "200")
SAME: Final = {
    "names and date of birth": "name_birth",
    "names and telephone": "name_phone",
    "date of birth and telephone": "birth_phone",
    "case reference": "reference",
}
"""What the route calls the fields that agree, and the words for it: `duplicates.same_NAME`."""


@router.get(PAGE)
async def ask(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Why, and how many pairs."""
    desk.require("person.compare")
    await desk.get("/v1/datasets/{}/{}", organisation, dataset)
    return desk.page("people/duplicates.html", form=desk.blank(most=HOW_MANY[0]), result=None, **_shown(dataset))


@router.post(PAGE)
async def compare(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Name the pairs."""
    form, back = await desk.sent(), place("/datasets/{}/{}/duplicates", organisation, dataset)
    form.needed("reason")
    if form.text("most") not in HOW_MANY:
        form.fault("most", "forms.needed")
    if form.fine:
        body = {"reason": form.text("reason"), "most": int(form.text("most"))}
        told = await told_once(
            desk,
            form,
            "/v1/datasets/{}/{}/people/duplicates",
            organisation,
            dataset,
            kind="person.duplicates",
            body=body,
            back=back,
        )
        if told.page is not None:
            return told.page
        if told.result is not None:
            return desk.page("people/duplicates.html", form=form, result=told.result, **_shown(dataset))
    return desk.page("people/duplicates.html", status=422, form=form, result=None, **_shown(dataset))


def _shown(dataset: str) -> dict[str, Any]:
    return {"dataset": dataset, "how_many": HOW_MANY, "same": SAME}
