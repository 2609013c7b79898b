"""Routes of drafts: make one, read it, approve it, withdraw it. Rules are in `casehaven.drafts.service`; drawing is in `casehaven.routes.releases`.

1. A draft is seen by the organisations that would be charged, by whoever drafted it, and by the deployment's privacy officers. To all others it is not there.
2. An approval is a job: the worker looks at it and writes it where the api cannot. A withdrawal is done here, at once: nothing is charged after the answer.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import Field

from casehaven.core.pages import LIMIT, page, parse_cursor
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Here, Service, Who
from casehaven.drafts import service
from casehaven.drafts.document import Part, approval_challenge
from casehaven.organisations.access import Operation, Principal
from casehaven.routes.asking import JOB_PROBLEMS, ask_worker
from casehaven.routes.datasets import Organisation
from casehaven.routes.jobs import Cursor, Limit
from casehaven.routes.releases import DRAFTED, Drafting, Text, asked_for
from casehaven.routes.signing import Signing, ask_to_sign, challenge_document

router = GuardedRouter(tags=["drafts"])

DraftId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
RecordName = Annotated[str, Field(pattern=r"^CHV(-[0-9A-Z]{4}){3}\.v[1-9][0-9]{0,3}$")]
_ONE = "/v1/release-drafts/{draft}"


class DraftingRelease(Drafting):
    """What is to be drafted, beside what is to be released."""

    credit: Annotated[Text, Field(max_length=200)] | None = None
    """How the organisation is named in public as the creator; None: it is not named. Not under an agreement."""
    changelog: Annotated[Text, Field(max_length=2_000)] | None = None
    """What is new in this version, for readers."""
    succeeds: RecordName | None = None
    """A published version of your organisation that this one is the next of."""
    draft: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """A draft that is changed: it gets a later document, and no approval of it counts any more."""


class Approving(Signing):
    """What somebody approves."""

    part: Part
    """As what."""


@router.post(
    "/v1/organisations/{organisation}/release-drafts",
    operation=Operation.RELEASE_PLAN,
    problems=(
        *JOB_PROBLEMS,
        *DRAFTED,
        "draft-over",
        "drawn-already",
        "idempotency-key-needed",
        "idempotency-key-reused",
    ),
    status_code=202,
)
async def make(request: Request, organisation: Organisation, body: DraftingRelease, here: Here, who: Who) -> Response:
    """Draft a release: what would be drawn, the price, and the expected error. Nothing is charged or opened."""
    asked = await run_in_threadpool(asked_for, here, who, organisation, body, "release.draft", Operation.RELEASE_PLAN)
    return await ask_worker(request, here, who, asked, keyed=True)


@router.get("/v1/release-drafts", operation=Operation.RELEASE_REVIEW, problems=("cursor", "body"))
def list_drafts(here: Here, who: Who, cursor: Cursor = None, limit: Limit = LIMIT) -> dict[str, Any]:
    """List the drafts that concern your organisation, every document of them, newest first."""
    before, now = parse_cursor(cursor, "release-drafts", here.key), here.clock()
    with here.store.reading() as connection:
        found = service.drafts_for(connection, who, now, before=before, limit=limit + 1)
    return page(
        found,
        limit=limit,
        list_name="release-drafts",
        key=here.key,
        number=lambda each: each.sequence,
        shown=lambda each: service.shown(each, who, now),
    )


@router.get(_ONE, operation=Operation.RELEASE_REVIEW, problems=("body",))
def read(draft: DraftId, here: Here, who: Who) -> dict[str, Any]:
    """Return a draft: its latest document whole, and what became of those before it."""
    now = here.clock()
    found = _documents(here, who, draft)
    return {
        **service.shown(found[0], who, now),
        "earlier": [service.shown(each, who, now) for each in found[1:]],
    }


@router.get(_ONE + "/challenge", operation=Operation.RELEASE_REVIEW, problems=("body", "draft-over", "drawn-already"))
def challenge(draft: DraftId, here: Here, who: Who, part: Annotated[Part, Query()] = "steward") -> dict[str, Any]:
    """Return what your passkey signs: a hash of the latest document's digest, your organisation, your handle, and as what you approve."""
    found = _documents(here, who, draft)[0]
    found.require_open(here.clock())
    digest = found.document.digest
    made = approval_challenge(digest, who.organisation, who.handle, part)
    return {**challenge_document(digest, made), "part": part}


@router.post(
    _ONE + "/approvals",
    operation=Operation.RELEASE_SIGN,
    problems=(
        *JOB_PROBLEMS,
        "step-up-needed",
        "agreement-signature",
        "approval",
        "draft-over",
        "drawn-already",
        "same-person",
    ),
    status_code=202,
)
async def approve(request: Request, draft: DraftId, body: Approving, here: Here, who: Who) -> Response:
    """Approve the latest document of a draft, as a steward of an organisation that would be charged or as the privacy officer."""
    await run_in_threadpool(_documents, here, who, draft)
    return await ask_to_sign(request, here, who, "release.approve", body, draft=draft)


@router.post(
    _ONE + "/withdrawal",
    operation=Operation.RELEASE_SIGN,
    problems=("body", "step-up-needed", "drawn-already"),
    status_code=204,
)
def withdraw(draft: DraftId, here: Here, who: Who) -> None:
    """Withdraw a draft at once and for good. What was drawn already is published or withheld instead."""
    with here.store.writing() as connection:
        service.withdraw(connection, here.clock(), who, draft)


def _documents(here: Service, who: Principal, draft: str) -> list[service.StoredDraft]:
    with here.store.reading() as connection:
        return service.draft_for(connection, who, draft, here.clock())
