"""Routes of the audit log: is it whole, and who did what to your organisation's records."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Who
from casehaven.organisations.access import Operation
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.datasets import Organisation

router = GuardedRouter(tags=["audit"])

Day = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]


class Verifying(Body):
    """Checkpoints that were kept outside."""

    checkpoints: Annotated[
        tuple[Annotated[str, Field(max_length=20_000)], ...], Field(max_length=50, strict=False)
    ] = ()


class Reporting(Body):
    """Which entries, and why somebody wants to see them."""

    reason: Annotated[str, Field(max_length=1_000)]
    actor: Annotated[str, Field(max_length=64)] | None = None
    since: Day | None = None
    until: Day | None = None


@router.post(
    "/v1/audit/verification", operation=Operation.AUDIT_VERIFY, problems=(*JOB_PROBLEMS, "checkpoint"), status_code=202
)
async def verify(request: Request, body: Verifying, here: Here, who: Who) -> Response:
    """Verify every entry of the log, and that it agrees with its anchor and with checkpoints that were kept outside."""
    asked = Asked(kind="audit.verify", request={"checkpoints": list(body.checkpoints)})
    return await ask_worker(request, here, who, asked)


@router.get("/v1/audit/checkpoint", operation=Operation.AUDIT_VERIFY, problems=JOB_PROBLEMS, status_code=202)
async def checkpoint(request: Request, here: Here, who: Who) -> Response:
    """Return the signed checkpoint of the last day that is over; null before the first. Keep it outside: a log that is set back does not fit it."""
    return await ask_worker(request, here, who, Asked(kind="audit.checkpoint"))


@router.post(
    "/v1/organisations/{organisation}/audit-report",
    operation=Operation.AUDIT_REPORT,
    problems=(*JOB_PROBLEMS, "reason-needed", "step-up-needed"),
    status_code=202,
)
async def report(request: Request, organisation: Organisation, body: Reporting, here: Here, who: Who) -> Response:
    """List who did what to the organisation's records, when, and for the own organisation why. The report stands in the log itself."""
    asked = Asked(kind="audit.report", organisation=organisation, private=body.model_dump(exclude_none=True))
    return await ask_worker(request, here, who, asked)
