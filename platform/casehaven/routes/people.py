"""Routes about one person: found by case reference, never listed.

1. The reference, the reason and every value come in the body, never in an address; they are sealed to the organisation before they are stored.
2. Each look needs a reason. What is shown can be read once, within ten minutes, by the session that asked.
3. `show` and what changes or takes out records needs a fresh second factor.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import Field

from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Service, Who
from casehaven.organisations.access import Operation, Principal
from casehaven.routes.asking import JOB_PROBLEMS, KEY_PROBLEMS, Asked, ask_worker
from casehaven.routes.datasets import Dataset, Organisation
from casehaven.routes.reach import require_there

router = GuardedRouter(tags=["people"])

_PLACE = "/v1/datasets/{organisation}/{dataset}/people"
_PROBLEMS = (*JOB_PROBLEMS, *KEY_PROBLEMS, "not-found", "reason-needed")
_STEP = (*_PROBLEMS, "step-up-needed", "second-person-needed")
_ONCE = (*_STEP, "job-interrupted")

Text = Annotated[str, Field(max_length=1_000)]


class Looking(Body):
    """Whose records, and why."""

    reference: Annotated[str, Field(min_length=1, max_length=500)]
    reason: Text


class Correcting(Looking):
    """What is to be changed."""

    changes: Annotated[
        dict[Annotated[str, Field(max_length=200)], Annotated[str, Field(max_length=10_000)]], Field(max_length=200)
    ]
    record: Annotated[int, Field(ge=1, le=10**6)] | None = None


class Consenting(Looking):
    """What the person said."""

    purpose: Literal["care", "own_statistics", "pooled_statistics", "synthetic_release"]
    given: bool
    language: Annotated[str, Field(max_length=35)] = ""
    dated: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None


class Exporting(Looking):
    """In which form."""

    kind: Literal["txt", "json", "csv"] = "json"


class Erasing(Looking):
    """That it is meant."""

    confirm: Literal["ERASE"]


@router.post(_PLACE + "/find", operation=Operation.PERSON_FIND, problems=_PROBLEMS, status_code=202)
async def find(
    request: Request, organisation: Organisation, dataset: Dataset, body: Looking, here: Here, who: Who
) -> Response:
    """Say whether somebody is there under a case reference or a person token."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.find", body)


@router.post(_PLACE + "/show", operation=Operation.PERSON_SHOW, problems=_STEP, status_code=202)
async def show(
    request: Request, organisation: Organisation, dataset: Dataset, body: Looking, here: Here, who: Who
) -> Response:
    """Open everything that the dataset has on a person."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.show", body)


@router.post(
    _PLACE + "/correct",
    operation=Operation.PERSON_CORRECT,
    problems=(*_ONCE, "correction", "several-records"),
    status_code=202,
)
async def correct(
    request: Request, organisation: Organisation, dataset: Dataset, body: Correcting, here: Here, who: Who
) -> Response:
    """Correct one record of a person; what was there stays and can be read."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.correct", body)


@router.post(
    _PLACE + "/consent", operation=Operation.PERSON_CONSENT, problems=(*_ONCE, "consent-fact"), status_code=202
)
async def consent(
    request: Request, organisation: Organisation, dataset: Dataset, body: Consenting, here: Here, who: Who
) -> Response:
    """Record what a person said about one purpose; what they said before stays."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.consent", body)


@router.post(_PLACE + "/export", operation=Operation.PERSON_EXPORT, problems=_STEP, status_code=202)
async def export(
    request: Request, organisation: Organisation, dataset: Dataset, body: Exporting, here: Here, who: Who
) -> Response:
    """Return everything on a person, as a file for that person."""
    here.limits.spend("export", who.member_id, float(here.clock()))
    return await ask_about_people(request, here, who, organisation, dataset, "person.export", body)


@router.post(_PLACE + "/erase", operation=Operation.PERSON_ERASE, problems=_ONCE, status_code=202)
async def erase(
    request: Request, organisation: Organisation, dataset: Dataset, body: Erasing, here: Here, who: Who
) -> Response:
    """Erase a person for good."""
    return await ask_about_people(request, here, who, organisation, dataset, "person.erase", body)


async def ask_about_people(
    request: Request, here: Service, who: Principal, organisation: str, dataset: str, kind: str, body: Body
) -> Response:
    """Make a job about people of a dataset: what is asked is sealed to the organisation (rule 1), and counts for the asker's hour."""
    here.limits.spend("person", who.member_id, float(here.clock()))
    name = f"{organisation}/{dataset}"
    await run_in_threadpool(require_there, here, name)
    asked = Asked(
        kind=kind, organisation=organisation, dataset=name, private=body.model_dump(mode="json", exclude={"confirm"})
    )
    return await ask_worker(request, here, who, asked)
