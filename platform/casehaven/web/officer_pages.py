"""Pages of privacy officers: what waits for them, budgets, raises of a cap, the statement of loss, the audit log, alarms.

1. Budgets are shown in the coarse steps of the public statement, as of the beginning of this month, and in no finer ones (privacy rule 18).
2. A raise is proposed here and approved elsewhere: two people sign the request at home, each with a key of their own; here their files are handed in, and with the second one the ledger raises the
   cap (privacy rule 19). Whose keys the ledger names is in the public statement; where it names nobody, the page says that nothing is ever raised.
3. A verification says whether the log is whole and where it first is not. A checkpoint is worth something only outside this service: the page says so and gives it as a file.
4. Of a member who has many persons shown the page tells what the events tell: who, when, and nothing of the persons.
"""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response

from casehaven.core.problems import ProblemError
from casehaven.organisations.errors import NotFoundError
from casehaven.web.backend import place
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.router import PageRouter
from casesynth.canonical import canonical_json

router = PageRouter()

RaiseId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
JobId = Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")]
Organisation = Annotated[str, Query(pattern=r"^[a-z0-9]?[a-z0-9._-]{0,63}$")]

WAIT_SECONDS: Final = 15
DAY: Final = 86_400
ALARM: Final = "volume.alarm"
APPROVED: Final = "volume.approved"
_EVENTS: Final = 1_000
_PAGES: Final = 20
"""Pages of events that are looked through."""
NEWEST: Final = 2**62
"""Beyond every event's number."""
KEPT_DAYS: Final = 90
"""Older events are not looked for."""
_SHOWN: Final = 100
"""Events that are shown, the newest first."""


@router.get("/officer")
async def officer(desk: Signed) -> Response:
    """What waits, and where everything is."""
    desk.require("release.approve")
    drafts = (await desk.get("/v1/release-drafts", limit=100))["items"]
    found = (await desk.get("/v1/releases", limit=100))["items"]
    alarms = _alarms(await _events(desk, desk.organisation))
    return desk.page(
        "officer/home.html",
        drafts=[one for one in drafts if "privacy_officer" in one["may_approve_as"]],
        releases=[one for one in found if one["state"] == "drawn"],
        alarms=[one for one in alarms if one["open"]],
        raises=await _open_raises(desk),
    )


# --- statement ---


@router.get("/officer/statement")
async def statement(desk: Signed) -> Response:
    """The public statement of loss: as a picture, as a table, in words."""
    answer = await desk.backend.call("GET", "/v1/budgets/statement", wait=WAIT_SECONDS)
    if answer.checked().status != 200:
        return desk.to_job(answer, then="/officer/statement", back="/officer")
    found = answer.body["result"]
    return desk.page("officer/statement.html", signed=json.loads(found["signed"]), words=found["words"])


@router.get("/officer/statement/file")
async def statement_file(desk: Signed) -> Response:
    """The signed statement as a file."""
    answer = await desk.backend.call("GET", "/v1/budgets/statement", wait=WAIT_SECONDS)
    if answer.checked().status != 200:
        return desk.to_job(answer, then="/officer/statement/file", back="/officer/statement")
    signed = str(answer.body["result"]["signed"])
    name = f"statement-{json.loads(signed)['statement']['before']}.json"
    return desk.file(signed.encode(), name=name, media_type="application/json")


# --- raises ---


@router.get("/officer/raises")
async def raises(desk: Signed, organisation: Organisation = "") -> Response:
    """Raises that were asked for."""
    return await _raises(desk, organisation or desk.organisation, desk.blank())


@router.post("/officer/raises")
async def propose(desk: Signed) -> Response:
    """Ask for a raise."""
    form = await desk.sent()
    organisation = form.text("organisation") or desk.organisation
    form.needed("dataset", "epsilon", "reason")
    if form.fine:
        body = {name: form.text(name) for name in ("dataset", "epsilon", "reason")}
        answer = await desk.ask("POST", "/v1/organisations/{}/cap-raises", organisation, body=body)
        then = place("/officer/raises/proposed", organisation=organisation)
        problem = answer.problem
        if problem is None:
            return desk.to_job(answer, then=f"{then}&job={{job}}", back=_listed(organisation))
        if problem.code not in ("body", "budget-raise", "unknown-account"):
            raise ProblemError(problem)
        form.problem = problem
    return await _raises(desk, organisation, form, status=422)


@router.get("/officer/raises/proposed")
async def proposed(desk: Signed, job: JobId, organisation: Organisation = "") -> Response:
    """Lead on from the job that drew a request up to the request."""
    found = (await desk.get("/v1/jobs/{}", job))["result"] or {}
    return desk.to(place("/officer/raises/{}", str(found.get("id")), organisation=organisation or None))


@router.get("/officer/raises/{cap_raise}")
async def show_raise(desk: Signed, cap_raise: RaiseId, organisation: Organisation = "") -> Response:
    """One request: what the two people sign, and who did."""
    return await _raise(desk, organisation or desk.organisation, cap_raise, desk.blank())


@router.post("/officer/raises/{cap_raise}")
async def approve(desk: Signed, cap_raise: RaiseId) -> Response:
    """Hand in one person's approval."""
    form = await desk.sent()
    organisation = form.text("organisation") or desk.organisation
    form.needed("approval")
    if form.fine:
        path = ("/v1/organisations/{}/cap-raises/{}/approvals", organisation, cap_raise)
        here = place("/officer/raises/{}", cap_raise, organisation=organisation)
        return desk.to_job(
            await desk.ask("POST", *path, body={"approval": form.text("approval")}), then=here, back=here
        )
    return await _raise(desk, organisation, cap_raise, form, status=422)


@router.get("/officer/raises/{cap_raise}/file")
async def request_file(desk: Signed, cap_raise: RaiseId, organisation: Organisation = "") -> Response:
    """The request as the file that is signed."""
    found = await desk.get("/v1/organisations/{}/cap-raises/{}", organisation or desk.organisation, cap_raise)
    return desk.file(
        canonical_json(found["request"]), name=f"raise-{cap_raise[:8]}.json", media_type="application/json"
    )


# --- audit log ---


@router.get("/officer/audit")
async def audit(desk: Signed) -> Response:
    """Verify the log, or take a checkpoint along."""
    desk.require("audit.verify")
    return desk.page("officer/audit.html", form=desk.blank(), found=None, checkpoint=None)


@router.post("/officer/audit")
async def verify(desk: Signed) -> Response:
    """Verify the log, against checkpoints that were kept outside."""
    form = await desk.sent()
    given = form.text("checkpoint").replace("\r\n", "\n")
    body = {"checkpoints": [f"{given}\n"] if given else []}
    answer = await desk.ask("POST", "/v1/audit/verification", body=body)
    return desk.to_job(answer, then="/officer/audit/verified?job={job}", back="/officer/audit")


@router.get("/officer/audit/verified")
async def verified(desk: Signed, job: JobId) -> Response:
    """What the verification found."""
    found = (await desk.get("/v1/jobs/{}", job))["result"]
    if not isinstance(found, dict) or "whole" not in found:
        raise NotFoundError
    return desk.page("officer/audit.html", form=desk.blank(), found=found, checkpoint=None)


@router.get("/officer/audit/checkpoint")
async def checkpoint(desk: Signed) -> Response:
    """The checkpoint of the last day that is over."""
    answer = await desk.backend.call("GET", "/v1/audit/checkpoint", wait=WAIT_SECONDS)
    if answer.checked().status != 200:
        return desk.to_job(answer, then="/officer/audit/checkpoint", back="/officer/audit")
    return desk.page("officer/audit.html", form=desk.blank(), found=None, checkpoint=answer.body["result"])


@router.get("/officer/audit/checkpoint/file")
async def checkpoint_file(desk: Signed) -> Response:
    """The same as a file, to be kept outside."""
    answer = await desk.backend.call("GET", "/v1/audit/checkpoint", wait=WAIT_SECONDS)
    if answer.checked().status != 200:
        return desk.to_job(answer, then="/officer/audit/checkpoint/file", back="/officer/audit")
    found = answer.body["result"]
    if found["checkpoint"] is None:
        raise NotFoundError
    name = f"checkpoint-{str(found['until'])[:10]}.txt"
    return desk.file(str(found["checkpoint"]).encode(), name=name, media_type="text/plain; charset=utf-8")


# --- alarms ---


@router.get("/officer/alarms")
async def alarms(desk: Signed) -> Response:
    """Members who had many persons shown, and what else happened to keys, roles and sessions."""
    desk.require("event.read")
    events = await _events(desk, desk.organisation)
    return desk.page("officer/alarms.html", alarms=_alarms(events), events=events[:_SHOWN], form=desk.blank())


@router.post("/officer/alarms")
async def let_go_on(desk: Signed) -> Response:
    """Let a member be shown more persons today."""
    form = await desk.sent()
    path = ("/v1/organisations/{}/members/{}/volume", desk.organisation, form.text("handle"))
    (await desk.ask("POST", *path)).checked()
    return desk.to("/officer/alarms")


# --- parts ---


def _listed(organisation: str) -> str:
    return place("/officer/raises", organisation=organisation)


async def _raises(desk: Desk, organisation: str, form: Form, *, status: int = 200) -> Response:
    found = await desk.get("/v1/organisations/{}/cap-raises", organisation, limit=100)
    names: list[str] = []
    if desk.may("budget.propose"):
        listed = (await desk.get("/v1/datasets"))["items"] if desk.may("dataset.list") else []
        names = [str(one["name"]) for one in listed if one["organisation"] == organisation]
    keys = await _approver_keys(desk) if names else None
    return desk.page(
        "officer/raises.html",
        status=status,
        raises=found["items"],
        datasets=names,
        nobody=keys is not None and not keys,
        organisation=organisation,
        form=form,
    )


async def _raise(desk: Desk, organisation: str, cap_raise: str, form: Form, *, status: int = 200) -> Response:
    found = await desk.get("/v1/organisations/{}/cap-raises/{}", organisation, cap_raise)
    keys = await _approver_keys(desk) if found["state"] == "proposed" else None
    return desk.page("officer/raise.html", status=status, found=found, organisation=organisation, form=form, keys=keys)


async def _open_raises(desk: Desk) -> list[dict[str, Any]]:
    """Return the raises of the own organisation that two people have not approved yet."""
    if not (desk.may("budget.approve") and desk.may("budget.read")):
        return []
    found = await desk.get("/v1/organisations/{}/cap-raises", desk.organisation, limit=100)
    return [one for one in found["items"] if one["state"] == "proposed"]


async def _approver_keys(desk: Desk) -> list[str] | None:
    """Return the fingerprints of the keys that the ledger names now; none where it names nobody, None where the statement did not come in time."""
    answer = await desk.backend.call("GET", "/v1/budgets/statement", wait=WAIT_SECONDS)
    if answer.status != 200:
        return None
    named = json.loads(answer.body["result"]["signed"])["statement"]["approvers"]
    return [str(key) for key in named[-1]["keys"]] if named else []


async def _events(desk: Desk, organisation: str) -> list[dict[str, Any]]:
    """Return the newest security events of an organisation, the newest first."""
    if not desk.may("event.read"):
        return []
    found: list[dict[str, Any]] = []
    for _ in range(_PAGES):
        before = found[-1]["id"] if found else NEWEST
        more = await desk.get("/v1/organisations/{}/events", organisation, before=before, limit=_EVENTS)
        found += more
        if len(more) < _EVENTS or more[-1]["at"] < time.time() - KEPT_DAYS * DAY:
            break
    return found


def _alarms(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the alarms, newest first, each with the member, and whether it is of today and nobody has approved for the member."""
    today = int(time.time()) // DAY
    approved = {(one["object_id"], one["at"] // DAY) for one in events if one["action"] == APPROVED}
    made = []
    for one in [one for one in events if one["action"] == ALARM][:_SHOWN]:
        handle, _, bound = str(one["object_id"]).partition(":")
        is_open = one["at"] // DAY == today and (handle, today) not in approved
        made.append({"at": one["at"], "handle": handle, "bound": bound, "open": is_open})
    return made
