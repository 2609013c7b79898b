"""Pages of releases on their way: draft one, read what it would cost and be worth, approve it, have it drawn, decide about it, withdraw it.

1. What is approved is the digest of the document that stands on the page. One that was replaced meanwhile is refused by the route.
2. Who has a passkey approves with it, by the script of the page; who has none with the second factor that the session gives when it is asked.
3. Whose approval is there or missing is shown as the route tells it to this reader: contributors see one another, and nobody else sees them.
4. Before the decision the page shows noisy and public facts alone, and says why (privacy rule 33).
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response

from casehaven.core.problems import ProblemError
from casehaven.registry.identifiers import RECORD, concept_name
from casehaven.web.backend import place
from casehaven.web.desk import Desk, Signed
from casehaven.web.errors import FormError
from casehaven.web.forms import Form
from casehaven.web.release_numbers import names_of, rounded_up
from casehaven.web.router import PageRouter

router = PageRouter()

Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
JobId = Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")]
Cursor = Annotated[str | None, Query(max_length=64)]

EPSILON: Final = "2"
"""What the form of a new draft begins with."""
EPSILON_MOST: Final = 100
_DRAFTED: Final = (
    "draft", "plan", "privacy-loss", "schema-differs", "unknown-account", "draft-over", "drawn-already", "training-data",
)  # fmt: skip
"""Refusals that are shown beside the form of a draft."""


@router.get("/releases")
async def releases(desk: Signed, cursor: Cursor = None) -> Response:
    """Drafts that concern the organisation, and what it has drawn."""
    drafts: list[dict[str, Any]] = []
    following = None
    if desk.may("release.review"):
        found = await desk.get("/v1/release-drafts", cursor=cursor, limit=100)
        following = found["next"]
        drafts = [one for one in found["items"] if one["state"] != "replaced"]
    drawn = [one for one in (await desk.get("/v1/releases", limit=100))["items"] if cursor is None]
    return desk.page("releases/list.html", drafts=drafts, next=following, releases=drawn)


@router.get("/releases/new")
async def new(desk: Signed, change: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "") -> Response:
    """What is to be drafted, or changed."""
    desk.require("release.plan")
    if not change:
        return await _form(desk, desk.blank(epsilon=EPSILON))
    document = (await desk.get("/v1/release-drafts/{}", change))["document"]
    form = desk.blank(
        draft=change,
        agreement=document["agreement"] or "",
        epsilon=f"{document['epsilon']:g}",
        title=document["title"] or "",
        credit=document["credit"] or "",
        changelog=document["changelog"] or "",
        succeeds=document["succeeds"] or "",
        registered=" ".join(document["registered"]),
    )
    form.values["datasets"] = [str(name).partition("/")[2] for name in document["datasets"]]
    return await _form(desk, form)


@router.post("/releases/new")
async def draft(desk: Signed) -> Response:
    """Draft it."""
    form = await desk.sent()
    body = _draft(form)
    if form.fine:
        path = ("/v1/organisations/{}/release-drafts", desk.organisation)
        answer = await desk.ask("POST", *path, body=body, key=form.key)
        problem = answer.problem
        if problem is None:
            return desk.to_job(answer, then="/releases/drafted?job={job}", back="/releases/new")
        if problem.code not in _DRAFTED:
            raise ProblemError(problem)
        form.problem = problem
    return await _form(desk, form, status=422)


@router.get("/releases/drafted")
async def drafted(desk: Signed, job: JobId) -> Response:
    """Lead on from the job that drafted to the draft."""
    return desk.to(place("/releases/drafts/{}", str((await _result(desk, job))["draft"])))


@router.get("/releases/drafts/{draft}")
async def show_draft(desk: Signed, draft: Id) -> Response:
    """A draft: what would be drawn, its price, its expected error, and whose approval is missing."""
    found = await desk.get("/v1/release-drafts/{}", draft)
    document = found["document"]
    passkeys = (await desk.get("/v1/credentials"))["passkeys"] if found["may_approve_as"] else []
    own = document["organisation"] == desk.organisation
    return desk.page(
        "releases/draft.html",
        found=found,
        document=document,
        expected=document["expected"],
        passkey=bool(passkeys),
        up=rounded_up,
        named=names_of(str(document["schema"]), desk.words.language.code),
        going=found["state"] in ("open", "approved"),
        may_run=own and found["complete"] and found["state"] == "approved" and desk.may("release.run"),
        may_change=own and desk.may("release.plan"),
        form=desk.blank(),
    )


@router.post("/releases/drafts/{draft}")
async def act(desk: Signed, draft: Id) -> Response:
    """Approve, withdraw or draw."""
    form = await desk.sent()
    here, do = place("/releases/drafts/{}", draft), form.text("do")
    if do == "approve":
        body = {
            "digest": form.text("digest"),
            "part": form.text("part"),
            "assertion": _assertion(form.text("assertion")) if form.text("assertion") else None,
        }
        return desk.to_job(
            await desk.ask("POST", "/v1/release-drafts/{}/approvals", draft, body=body), then=here, back=here
        )
    if do == "withdraw" and form.ticked("sure"):
        (await desk.ask("POST", "/v1/release-drafts/{}/withdrawal", draft)).checked()
    elif do == "run" and form.ticked("sure"):
        body = {"draft": draft, "digest": form.text("digest")}
        answer = await desk.ask("POST", "/v1/organisations/{}/releases", desk.organisation, body=body, key=form.key)
        return desk.to_job(answer, then="/releases/drawn?job={job}", back=here)
    return desk.to(here)


@router.get("/releases/drawn")
async def drawn(desk: Signed, job: JobId) -> Response:
    """Lead on from the job that drew to the release."""
    return desk.to(place("/releases/{}", str((await _result(desk, job))["release"])))


@router.get("/releases/decided")
async def decided(desk: Signed, job: JobId) -> Response:
    """Lead on from the job that decided to what came of it."""
    found = await _result(desk, job)
    if found.get("record"):
        return desk.to(place("/registry/{}", str(found["record"])))
    return desk.to(place("/releases/{}", str(found["release"])))


@router.get("/releases/withdrawal/{record}")
async def withdrawal(desk: Signed, record: str) -> Response:
    """Why a published version is withdrawn."""
    desk.require("release.approve")
    return await _withdrawal(desk, desk.blank(), record)


@router.post("/releases/withdrawal/{record}")
async def withdraw(desk: Signed, record: str) -> Response:
    """Withdraw it."""
    form = await desk.sent()
    form.needed("reason", "sure")
    if form.fine:
        body = {"reason": " ".join(form.text("reason").split())}
        answer = await desk.ask("POST", "/v1/registry/{}/withdrawal", record, body=body)
        return desk.to_job(answer, then=place("/registry/{}", record), back=place("/releases/withdrawal/{}", record))
    return await _withdrawal(desk, form, record, status=422)


@router.get("/releases/{release}")
async def show(desk: Signed, release: Id) -> Response:
    """What was drawn, and the decision about it."""
    found = await desk.get("/v1/releases/{}", release)
    facts: dict[str, Any] = {}
    if "manifest.json" in found["files"]:
        facts = (await desk.get("/v1/releases/{}/files/{}", release, "manifest.json"))["facts"]
    record = await _record(desk, found, facts) if found["state"] in ("published", "withdrawn") else ""
    return desk.page(
        "releases/show.html",
        release=found,
        facts=facts,
        record=record,
        may_decide=desk.may("release.approve") and found["state"] in ("drawn", "expired"),
        named=names_of(str(found.get("schema", "")), desk.words.language.code),
        form=desk.blank(),
    )


@router.post("/releases/{release}")
async def decide(desk: Signed, release: Id) -> Response:
    """Publish or withhold."""
    form = await desk.sent()
    here = place("/releases/{}", release)
    if not form.ticked("sure") or form.text("do") not in ("publish", "withhold"):
        return desk.to(here)
    answer = await desk.ask("POST", "/v1/releases/{}/decision", release, body={"decision": form.text("do")})
    return desk.to_job(answer, then="/releases/decided?job={job}", back=here)


# --- parts ---


async def _form(desk: Desk, form: Form, *, status: int = 200) -> Response:
    found = (await desk.get("/v1/datasets"))["items"]
    own = [str(one["name"]) for one in found if one["organisation"] == desk.organisation]
    agreed = []
    for one in (await desk.get("/v1/agreements"))["items"] if desk.may("agreement.list") else ():
        standing = [each["document"] for each in one["documents"] if each["digest"] == one["in_force"]]
        agreed += [(one["agreement"], each["title"]) for each in standing if "synthetic_release" in each["purposes"]]
    return desk.page("releases/new.html", status=status, form=form, datasets=own, agreements=agreed)


def _draft(form: Form) -> dict[str, Any]:
    """Return what a form asks for; what is wrong is a fault of it."""
    form.needed("title", "epsilon")
    if bool(form.all("datasets")) == bool(form.text("agreement")):
        form.fault("datasets", "releases.one_of_them")
    if form.text("succeeds") and not RECORD.fullmatch(form.text("succeeds")):
        form.fault("succeeds", "releases.no_record")
    years = form.text("registered").replace(",", " ").split()
    if not all(len(year) == 4 and year.isascii() and year.isdecimal() for year in years):
        form.fault("registered", "releases.years")
    body: dict[str, Any] = {
        "epsilon": _epsilon(form),
        "registered": years,
        **{name: " ".join(form.text(name).split()) for name in ("title", "credit", "changelog") if form.text(name)},
        **{name: form.text(name) for name in ("agreement", "succeeds", "draft") if form.text(name)},
    }
    if form.all("datasets"):
        body["datasets"] = form.all("datasets")
    return body


def _epsilon(form: Form) -> float:
    try:
        found = Decimal(form.text("epsilon") or "0")
    except InvalidOperation:
        found = Decimal(0)
    if not (found.is_finite() and 0 < found <= EPSILON_MOST):
        form.fault("epsilon", "releases.epsilon_number", most=EPSILON_MOST)
        return 1.0
    return float(found)


def _assertion(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FormError("what the passkey said cannot be read") from None


async def _result(desk: Desk, job: str) -> dict[str, Any]:
    """Return what came of a job of the reader's; nothing in it is private."""
    found: dict[str, Any] = (await desk.get("/v1/jobs/{}", job))["result"] or {}
    return found


async def _withdrawal(desk: Desk, form: Form, record: str, *, status: int = 200) -> Response:
    if not RECORD.fullmatch(record):
        return desk.to("/registry")
    found = await desk.get("/v1/registry/{}", record)
    return desk.page("releases/withdrawal.html", status=status, form=form, record=found)


async def _record(desk: Desk, release: dict[str, Any], facts: dict[str, Any]) -> str:
    """Return the name of a published release in the registry; empty where it has none.

    The name of a first version follows from its measurements; a later one has the name of the version that its draft says it succeeds.
    """
    concept = concept_name(str(facts.get("measurements_sha256")))
    shown = await desk.ask("GET", "/v1/registry/{}", concept)
    if shown.status == 404 and desk.may("release.review") and release.get("draft"):
        read = await desk.ask("GET", "/v1/release-drafts/{}", str(release["draft"]))
        before = (read.body["document"]["succeeds"] or "") if read.problem is None else ""
        shown = await desk.ask("GET", "/v1/registry/{}", before.partition(".")[0] or concept)
    if shown.problem is not None:
        return ""
    for version in shown.body["versions"]:
        one = await desk.ask("GET", "/v1/registry/{}", str(version["id"]))
        if one.problem is None and one.body["release"] == release["id"]:
            return str(version["id"])
    return ""
