"""Routes about how long records may be kept, who is due, and who may be one person under two references.

1. A last day erases nobody by itself: people are erased by a steward, with a reason, and each leaves a signed receipt.
2. Who is due, and possible duplicates, are named by their case references: their records are opened for that, each with an entry in the audit log. So both need a reason and a
   fresh second factor, as everything here does.
3. Possible duplicates are looked for inside one organisation alone (privacy rule 2). Nothing is merged.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from casehaven.core.request_errors import BodyError
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Who
from casehaven.organisations.access import Operation
from casehaven.routes.asking import JOB_PROBLEMS, KEY_PROBLEMS
from casehaven.routes.datasets import Dataset, Organisation
from casehaven.routes.people import Looking, Text, ask_about_people

router = GuardedRouter(tags=["people"])

_PLACE = "/v1/datasets/{organisation}/{dataset}"
_PROBLEMS = (*JOB_PROBLEMS, *KEY_PROBLEMS, "not-found", "reason-needed", "step-up-needed")
_LISTS = (*_PROBLEMS, "second-person-needed")
_ONCE = (*_PROBLEMS, "job-interrupted")

Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Reasoned(Body):
    """Why."""

    reason: Text


class Keeping(Looking):
    """Until when one person's records may be kept."""

    until: Day | None
    """The last day; null takes it away."""


class KeepingAll(Reasoned):
    """How long the records of everybody without a last day may be kept."""

    months: Annotated[int, Field(ge=1, le=1_200)]
    """After the month in which they came into the vault."""


class ErasingDue(Reasoned):
    """That it is meant."""

    confirm: Literal["ERASE"]
    most: Annotated[int, Field(ge=1, le=500)] = 500
    """So many people at once, the longest overdue first: a result is read once, and has to hold every receipt."""


class Comparing(Reasoned):
    """How many pairs are named."""

    most: Annotated[int, Field(ge=1, le=200)] = 20


class Receipt(Reasoned):
    """Of which erasure."""

    number: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]
    """As the receipt has it: text, because it has more digits than some programs keep."""


@router.post(
    _PLACE + "/people/retention", operation=Operation.PERSON_RETAIN, problems=(*_PROBLEMS, "retention"), status_code=202
)
async def retain(
    request: Request, organisation: Organisation, dataset: Dataset, body: Keeping, here: Here, who: Who
) -> Response:
    """Set, move or take away the last day on which a person's records may be kept."""
    if body.until is not None:
        _check_day(body.until)
    return await ask_about_people(request, here, who, organisation, dataset, "person.retain", body)


@router.post(_PLACE + "/retention", operation=Operation.PERSON_RETAIN, problems=(*_ONCE, "retention"), status_code=202)
async def retain_all(
    request: Request, organisation: Organisation, dataset: Dataset, body: KeepingAll, here: Here, who: Who
) -> Response:
    """Give everybody without a last day one: so many months after the month in which they came."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.retain-all", body)


@router.post(_PLACE + "/retention/due", operation=Operation.PERSON_RETAIN, problems=_LISTS, status_code=202)
async def due(
    request: Request, organisation: Organisation, dataset: Dataset, body: Reasoned, here: Here, who: Who
) -> Response:
    """Name the people whose last day is past, the longest overdue first. Nobody is erased."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.due", body)


@router.post(_PLACE + "/retention/erasures", operation=Operation.PERSON_ERASE, problems=_ONCE, status_code=202)
async def erase_due(
    request: Request, organisation: Organisation, dataset: Dataset, body: ErasingDue, here: Here, who: Who
) -> Response:
    """Erase people whose last day is past, for good; return the signed receipts. Where `cut` is true, ask again for the next ones."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.erase-due", body)


@router.post(_PLACE + "/people/receipts", operation=Operation.PERSON_ERASE, problems=_PROBLEMS, status_code=202)
async def receipt(
    request: Request, organisation: Organisation, dataset: Dataset, body: Receipt, here: Here, who: Who
) -> Response:
    """Return the signed receipt of an earlier erasure again, by its number."""
    if int(body.number) >= 1 << 63:
        raise BodyError("body.number: expected the number of a receipt")
    return await ask_about_people(request, here, who, organisation, dataset, "person.receipt", body)


@router.post(_PLACE + "/people/duplicates", operation=Operation.PERSON_COMPARE, problems=_LISTS, status_code=202)
async def duplicates(
    request: Request, organisation: Organisation, dataset: Dataset, body: Comparing, here: Here, who: Who
) -> Response:
    """Name people of the organisation who may be one person under two references, the most telling pairs first."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.duplicates", body)


def _check_day(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise BodyError("body.until: expected a day") from None
