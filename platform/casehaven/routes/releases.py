"""Routes of releases: plan, draw what was approved, decide; and the list of what is published, for everybody who is signed in. The public registry is in `casehaven.routes.registry`.

1. A release is of datasets of one organisation, which pays, or of those of an agreement, named in their place. It is drawn from a draft that was approved (`casehaven.routes.drafts`).
2. A drawn release is seen by its own organisation. It is published or withheld once, by a privacy officer, who decides from what it says of itself (privacy rule 33).
3. A bundle is signed. `verification` says what this service finds; whoever downloads it checks it again without this service.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response
from pydantic import Field

from casehaven.core.pages import LIMIT, page, parse_cursor
from casehaven.core.projection import published
from casehaven.core.release_rows import release_of, releases_for
from casehaven.core.request_errors import BodyError
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Service, Who
from casehaven.drafts.service import draft_for
from casehaven.organisations.access import Operation, Principal, require
from casehaven.organisations.errors import NotFoundError
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.datasets import Name, Organisation
from casehaven.routes.jobs import Cursor, Limit

router = GuardedRouter(tags=["releases"])

ReleaseId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
FileName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
_AGREED = ("agreement-needed", "not-agreed", "too-few-contributors")
_CHARGED = (
    "agreement-budget",
    "budget-exhausted",
    "charged-failure",
    "odometer-exhausted",
    "draw-refused",
    "already-revealed",
    "unbounded",
)
DRAFTED: Final = (*_AGREED, "draft", "plan", "privacy-loss", "schema-differs", "training-data", "unknown-account")
"""What can be refused of any plan."""

_HIDDEN: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
Text = Annotated[str, Field(pattern=rf"^[^\s{_HIDDEN}]([^{_HIDDEN}]*[^\s{_HIDDEN}])?$")]
"""One line of text that does not begin or end with a space, and holds no control and nothing that hides or turns its direction: what is approved is what is read."""

_TYPES: Final = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".html": "application/octet-stream",  # a page of a release is opened as a file, never on this origin
}


class Drafting(Body):
    """What is to be released; public choices alone."""

    datasets: Annotated[tuple[Name, ...], Field(max_length=20, strict=False)] = ()
    """Names within the organisation; none where an agreement is named."""
    agreement: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """The agreement under which its datasets are released together."""
    epsilon: Annotated[float, Field(gt=0, le=100)]
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    title: Annotated[Text, Field(max_length=200)] | None = None
    registered: Annotated[
        tuple[Annotated[str, Field(pattern=r"^([0-9]{4})?$")], ...], Field(max_length=200, strict=False)
    ] = ()


class Running(Body):
    """Which approved draft is drawn."""

    draft: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the document that was approved."""


class Deciding(Body):
    """What is decided, for good."""

    decision: Literal["publish", "withhold"]


@router.post(
    "/v1/organisations/{organisation}/release-plans",
    operation=Operation.RELEASE_PLAN,
    problems=(*JOB_PROBLEMS, *DRAFTED),
    status_code=202,
)
async def plan(request: Request, organisation: Organisation, body: Drafting, here: Here, who: Who) -> Response:
    """Say what a release would be worth, before anything is charged or opened."""
    asked = await run_in_threadpool(asked_for, here, who, organisation, body, "release.plan", Operation.RELEASE_PLAN)
    return await ask_worker(request, here, who, asked)


@router.post(
    "/v1/organisations/{organisation}/releases",
    operation=Operation.RELEASE_RUN,
    problems=(
        *JOB_PROBLEMS,
        *DRAFTED,
        *_CHARGED,
        "approvals-missing",
        "draft-changed",
        "draft-over",
        "step-up-needed",
        "idempotency-key-needed",
        "idempotency-key-reused",
        "job-interrupted",
    ),
    status_code=202,
)
async def run(request: Request, organisation: Organisation, body: Running, here: Here, who: Who) -> Response:
    """Charge the ledger and draw the release of an approved draft. It is listed as drawn until somebody decides about it."""
    asked = await run_in_threadpool(_approved, here, who, organisation, body)
    return await ask_worker(request, here, who, asked, keyed=True)


@router.get("/v1/releases", operation=Operation.RELEASE_LIST, problems=("cursor", "body"))
def list_releases(here: Here, who: Who, cursor: Cursor = None, limit: Limit = LIMIT) -> dict[str, Any]:
    """List what is published, and what your own organisation has drawn; newest first."""
    before = parse_cursor(cursor, "releases", here.key)
    with here.store.reading() as connection:
        found = releases_for(connection, reader=who.organisation, before=before, limit=limit + 1, now=here.clock())
    return page(
        found, limit=limit, list_name="releases", key=here.key, number=lambda row: row[0], shown=lambda row: row[1]
    )


@router.get("/v1/releases/{release}", operation=Operation.RELEASE_LIST, problems=("body",))
def read_release(release: ReleaseId, here: Here, who: Who) -> dict[str, Any]:
    """Return a release's entry in the registry."""
    return _release(here, who, release)


@router.post(
    "/v1/releases/{release}/decision",
    operation=Operation.RELEASE_APPROVE,
    problems=(
        *JOB_PROBLEMS,
        "agreement-needed",
        "decision",
        "decision-expired",
        "published-already",
        "registry-log",
        "step-up-needed",
    ),
    status_code=202,
)
async def decide(request: Request, release: ReleaseId, body: Deciding, here: Here, who: Who) -> Response:
    """Publish or withhold a drawn release of your organisation, for good."""
    found = await run_in_threadpool(_release, here, who, release)
    # one under an agreement names no contributor: while it is drawn, only whoever drew it sees it
    organisation = found.get("organisation") or (who.organisation if found["state"] == "drawn" else None)
    if organisation is None:
        raise NotFoundError
    require(who, Operation.RELEASE_APPROVE, organisation)
    asked = Asked(
        kind="release.decide",
        organisation=organisation,
        request={"release": release, "decision": body.decision},
    )
    return await ask_worker(request, here, who, asked)


@router.get("/v1/releases/{release}/verification", operation=Operation.RELEASE_LIST, problems=("body",))
def verify(release: ReleaseId, here: Here, who: Who) -> dict[str, Any]:
    """Check the bundle as it lies here: each file as it was signed, by this service's key. Check it again where you download it."""
    from casesynth.errors import CasesynthError
    from casesynth.manifest import verify_bundle
    from casesynth.signing import PublicKey, TrustStore

    _release(here, who, release)
    with here.store.reading() as connection:
        signer = published(connection, "signer", "signer")
    trust = TrustStore().add("service", PublicKey.parse(signer["public_key"]))
    try:
        verify_bundle(here.store.releases / release, trust)
    except CasesynthError:
        return {"whole": False, "fingerprint": signer["fingerprint"]}
    return {"whole": True, "fingerprint": signer["fingerprint"]}


@router.get("/v1/releases/{release}/files/{name}", operation=Operation.RELEASE_DOWNLOAD, problems=("body",))
def download(release: ReleaseId, name: FileName, here: Here, who: Who) -> FileResponse:
    """Download a file of a bundle."""
    if name not in _release(here, who, release)["files"]:
        raise NotFoundError
    path = here.store.releases / release / name
    if not path.is_file():
        raise NotFoundError
    kind = _TYPES.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=kind, filename=name, headers={"Cache-Control": "private, no-cache"})


def _release(here: Service, who: Principal, release: str) -> dict[str, Any]:
    with here.store.reading() as connection:
        return release_of(connection, release, reader=who.organisation, now=here.clock())


def _approved(here: Service, who: Principal, organisation: str, body: Running) -> Asked:
    with here.store.reading() as connection:
        found = draft_for(connection, who, body.draft, here.clock())[0].document
    if found.organisation != organisation:
        raise NotFoundError
    request = {"draft": body.draft, "digest": body.digest}
    if found.agreement is not None:
        require(who, Operation.RELEASE_RUN, organisation)
        return Asked(kind="release.run", organisation=organisation, request={**request, "agreement": found.agreement})
    for name in found.datasets:
        require(who, Operation.RELEASE_RUN, organisation, dataset=name.partition("/")[2])
    tokens = {} if found.fields["person_tokens"] is None else {"person_tokens": found.fields["person_tokens"]}
    return Asked(
        kind="release.run", organisation=organisation, dataset=" ".join(found.datasets), request={**request, **tokens}
    )


def asked_for(
    here: Service, who: Principal, organisation: str, body: Drafting, kind: str, operation: Operation
) -> Asked:
    """Return what is asked of the worker about a release that is planned or drafted.

    Raises:
        BodyError: it names neither datasets nor an agreement, or both.
        NotFoundError: a dataset is not there, or out of reach.
        ForbiddenError, StepUpNeededError: see `require`.
    """
    if (body.agreement is None) != bool(body.datasets):
        raise BodyError("body.datasets: expected datasets, or an agreement")
    names = [f"{organisation}/{name}" for name in dict.fromkeys(body.datasets)]
    if body.agreement is not None:
        require(who, operation, organisation)
    with here.store.reading() as connection:
        for name in names:
            require(who, operation, organisation, dataset=name.partition("/")[2])
            published(connection, "dataset", name)
    request = body.model_dump(mode="json", exclude={"datasets"}, exclude_none=True)
    return Asked(kind=kind, organisation=organisation, dataset=" ".join(names), request=request)
