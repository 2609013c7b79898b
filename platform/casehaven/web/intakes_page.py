"""The page of earlier receipts: which files were taken into a dataset, when, and the records that each brought; each receipt to read and to keep.

1. The service keeps neither a file nor its name: a receipt says when, as which version of the dataset, and how many records of it there are today. So it can be told at any time.
2. The numbers are exact, for stewards of the organisation alone. As with how a dataset stands, they are asked for by a button and told once.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Query, Response

from casehaven.web.backend import place
from casehaven.web.desk import Desk, Signed
from casehaven.web.router import PageRouter
from casehaven.web.told_once import is_job
from casehaven.web.uploading import Dataset, Organisation

router = PageRouter()

PAGE: Final = "/datasets/{organisation}/{dataset}/intakes"
SHOWN: Final = 50
"""The newest, with a receipt each; the file of all of them has the rest."""
_COLUMNS: Final = ("taken_in_at_utc", "dataset_version", "records", "replaced_since")


@router.post(PAGE)
async def ask(desk: Signed, organisation: Organisation, dataset: Dataset) -> Response:
    """Ask which files were taken in."""
    await desk.sent()
    answer = await desk.ask("GET", "/v1/datasets/{}/{}/intakes", organisation, dataset)
    here = place("/datasets/{}/{}", organisation, dataset)
    return desk.to_job(answer, then=here + "/intakes?job={job}", back=here)


@router.get(PAGE)
async def intakes(
    desk: Signed,
    organisation: Organisation,
    dataset: Dataset,
    job: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
) -> Response:
    """The receipts of the files that were taken in. Exact; told once."""
    desk.require("dataset.status")
    await desk.get("/v1/datasets/{}/{}", organisation, dataset)
    items = None
    if job and await is_job(desk, job, "dataset.intakes"):
        answer = await desk.ask("GET", "/v1/jobs/{}/result", job)
        items = None if answer.status in (404, 410) else answer.checked().body["items"]
    name = f"{organisation}/{dataset}"
    return desk.page(
        "uploads/intakes.html",
        organisation=organisation,
        dataset=dataset,
        gone=bool(job) and items is None,
        items=None if items is None else [{**one, "file": _receipt(desk, name, one)} for one in items[:SHOWN]],
        more=len(items) - SHOWN if items else 0,
        all_of_them=_encoded(table(items)) if items else "",
        form=desk.blank(),
        minute=minute,
    )


def minute(moment: str) -> str:
    """Return a moment of the vault, ISO 8601 in UTC, to the minute.

    >>> minute("2026-11-23T08:15:59Z")
    '2026-11-23 08:15 UTC'
    """
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def table(items: Sequence[Mapping[str, Any]]) -> str:
    """Return every receipt as a line of a CSV file."""
    made = io.StringIO()
    lines = csv.writer(made, lineterminator="\n")
    lines.writerow(_COLUMNS)
    lines.writerows([one["committed_at"], one["version"], one["records"], one["replaced"]] for one in items)
    return made.getvalue()


def _receipt(desk: Desk, name: str, one: Mapping[str, Any]) -> str:
    """Return one receipt as a text in the reader's language, encoded."""
    fill = {
        "dataset": name,
        "moment": minute(one["committed_at"]),
        "version": f"{one['version']:,}",
        "records": f"{one['records']:,}",
        "replaced": f"{one['replaced']:,}",
        "handle": desk.handle,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    lines = (
        desk.words.text("intakes.receipt_title"),
        "",
        desk.words.text("intakes.receipt_dataset", **fill),
        desk.words.text("intakes.receipt_moment", **fill),
        desk.words.text("intakes.receipt_version", **fill),
        desk.words.text("intakes.receipt_records", **fill),
        desk.words.text("intakes.receipt_replaced", **fill),
        "",
        desk.words.text("intakes.receipt_made", **fill),
        desk.words.text("uploads.exact_not_for_others"),
    )
    return _encoded("\ufeff" + "\r\n".join(lines) + "\r\n")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")
