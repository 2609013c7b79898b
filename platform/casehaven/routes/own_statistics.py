"""Routes of an organisation's own exact numbers: tables for its donor report, how a dataset stands, and which files were taken in. None of it is for release.

1. Tables decrypt: a reason and a fresh second factor. The same rules as for one person hold for what is told: it can be read once, within ten minutes, by the session that asked.
2. How a dataset stands is counted without opening a record. It is for stewards of the organisation, and for nobody else (privacy rule 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import Field

from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Service, Who
from casehaven.organisations.access import Operation, Principal
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.datasets import Dataset, Organisation
from casehaven.routes.people import Text
from casehaven.routes.reach import require_there

router = GuardedRouter(tags=["own statistics"])

_PLACE = "/v1/datasets/{organisation}/{dataset}"


class Tabulating(Body):
    """Which tables, in which form, and what for."""

    reason: Text
    years: Annotated[tuple[Annotated[int, Field(ge=1000, le=9999)], ...], Field(max_length=200, strict=False)] = ()
    """Years of first registration; none: everybody."""
    kind: Literal["json", "xlsx", "html"] = "json"


@router.post(
    _PLACE + "/tables",
    operation=Operation.STATISTICS_READ,
    problems=(*JOB_PROBLEMS, "reason-needed", "step-up-needed", "nobody-counted", "tables-year", "snapshot-changed"),
    status_code=202,
)
async def tables(
    request: Request, organisation: Organisation, dataset: Dataset, body: Tabulating, here: Here, who: Who
) -> Response:
    """Count the own people who consented to it, exactly. NOT FOR RELEASE: what others may see is made by a release."""
    here.limits.spend("person", who.member_id, float(here.clock()))
    private = {"reason": body.reason, "years": list(body.years), "kind": body.kind}
    return await _ask(request, here, who, f"{organisation}/{dataset}", "statistics.tables", private)


@router.get(_PLACE + "/status", operation=Operation.DATASET_STATUS, problems=JOB_PROBLEMS, status_code=202)
async def status(request: Request, organisation: Organisation, dataset: Dataset, here: Here, who: Who) -> Response:
    """Say how a dataset of your organisation stands: people, records, consent by purpose, last days. Exact: not for others."""
    return await _ask(request, here, who, f"{organisation}/{dataset}", "dataset.status", None)


@router.get(_PLACE + "/intakes", operation=Operation.DATASET_STATUS, problems=JOB_PROBLEMS, status_code=202)
async def intakes(request: Request, organisation: Organisation, dataset: Dataset, here: Here, who: Who) -> Response:
    """List the files that were taken in, newest first, with the records that each brought. Exact: not for others."""
    return await _ask(request, here, who, f"{organisation}/{dataset}", "dataset.intakes", None)


async def _ask(
    request: Request, here: Service, who: Principal, name: str, kind: str, private: Mapping[str, object] | None
) -> Response:
    await run_in_threadpool(require_there, here, name)
    asked = Asked(kind=kind, organisation=name.partition("/")[0], dataset=name, private=private)
    return await ask_worker(request, here, who, asked)
