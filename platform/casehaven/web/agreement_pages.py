"""Pages of agreements: read one in plain words, propose, sign, decline, revoke, and see what the own data was used for.

1. What is signed is the document whose digest stands on the page that was read. One that was replaced meanwhile is refused by the route.
2. Who has a passkey signs with it, by the script of the page; who has none signs with the second factor that the session gives when it is asked.
3. A budget is agreed in rho, the ledger's currency. Beside it stands what it is as epsilon, for one person token and for a person with as many as the agreement counts with.
4. A proposal here names the same attributes, at the same levels, for every dataset. Where contributors agreed on different ones, the terms are proposed over HTTP.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response

from casehaven.core.problems import ProblemError
from casehaven.web.answer_view import ReadAnswer, read
from casehaven.web.asking_source import schema_of
from casehaven.web.backend import place
from casehaven.web.desk import Desk, Signed
from casehaven.web.errors import FormError
from casehaven.web.forms import Form
from casehaven.web.ledger_delta import LedgerDelta, ledger_delta
from casehaven.web.router import PageRouter
from caseschemas import CaseSchema, parse_schema

router = PageRouter()

AgreementId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
PURPOSES: Final = ("pooled_statistics", "synthetic_release")
NANO: Final = 10**9
PEOPLE_MOST: Final = 10**10
RHO_MOST: Final = 1000
EXAMPLES: Final = ("0.01", "0.05", "0.1", "0.5", "1", "2")
"""Budgets in rho whose epsilon stands beside the form."""
_DOCUMENT_PROBLEM: Final = "agreement-document"


@router.get("/agreements")
async def agreements(desk: Signed) -> Response:
    """The agreements that the organisation is part of."""
    found = (await desk.get("/v1/agreements"))["items"]
    mine = desk.may("agreement.sign")
    waiting = {one["agreement"] for one in found if mine and waits_for_signature(one, desk.organisation)}
    return desk.page("agreements/list.html", agreements=found, waiting=waiting)


@router.get("/agreements/uses")
async def uses(desk: Signed, cursor: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """What the own datasets were used for."""
    found = await desk.get("/v1/organisations/{}/agreement-uses", desk.organisation, cursor=cursor, limit=50)
    titles = {
        one["agreement"]: latest_document(one)["document"]["title"]
        for one in (await desk.get("/v1/agreements"))["items"]
    }
    delta = await ledger_delta(desk)
    said = await _in_words(desk, found["items"])
    return desk.page(
        "agreements/uses.html", uses=found["items"], said=said, next=found["next"], titles=titles, delta=delta
    )


@router.get("/agreements/new")
async def new(
    desk: Signed,
    dataset: Annotated[str, Query(max_length=64)] = "",
    change: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "",
) -> Response:
    """Propose an agreement, or a change of one: which dataset first, then its terms."""
    desk.require("agreement.propose")
    if change:
        before = latest_document(await desk.get("/v1/agreements/{}", change))["document"]
        own = _own(before, desk.organisation)
        return await _proposal(desk, _filled(desk, before), own.partition("/")[2], change)
    if dataset:
        form = desk.blank(minimum_count="10")
        form.values["purposes"] = [PURPOSES[0]]
        form.values["ask_organisations"] = [desk.organisation]
        return await _proposal(desk, form, dataset, "")
    found = [one for one in (await desk.get("/v1/datasets"))["items"] if one["organisation"] == desk.organisation]
    return desk.page("agreements/choose.html", datasets=found)


@router.post("/agreements/new")
async def propose(desk: Signed) -> Response:
    """Propose the terms of the form."""
    form = await desk.sent()
    dataset, change = form.text("dataset"), form.text("change")
    facts = await desk.get("/v1/datasets/{}/{}", desk.organisation, dataset)
    schema = parse_schema(await desk.get("/v1/datasets/{}/{}/schema", desk.organisation, dataset))
    terms = _terms(form, f"{desk.organisation}/{dataset}", str(facts["schema_sha256"]), schema)
    if form.fine:
        where = ("/v1/agreements/{}/documents", change) if change else ("/v1/agreements",)
        answer = await desk.ask("POST", *where, body={"terms": terms})
        problem = answer.problem
        if problem is None:
            return desk.to(place("/agreements/{}", str(answer.body["document"]["agreement"])))
        if problem.code != _DOCUMENT_PROBLEM:
            raise ProblemError(problem)
        form.problem = problem
    return await _proposal(desk, form, dataset, change, status=422)


@router.get("/agreements/{agreement}")
async def show(desk: Signed, agreement: AgreementId) -> Response:
    """One agreement: what it says, who signed, what is true of it now."""
    found = await desk.get("/v1/agreements/{}", agreement)
    document = latest_document(found)["document"]
    own = _own(document, desk.organisation)
    schema, charged = None, 0
    if own:
        schema = parse_schema(await desk.get("/v1/datasets/{}/{}/schema", *own.split("/")))
        charged = await _charged(desk, agreement, own)
    passkeys = (await desk.get("/v1/credentials"))["passkeys"] if desk.may("agreement.sign") else []
    return desk.page(
        "agreements/show.html",
        agreement=agreement,
        found=found,
        latest=latest_document(found),
        standing=next((one for one in found["documents"] if one["digest"] == found["in_force"]), None),
        own=own,
        schema=schema,
        charged=charged,
        passkey=bool(passkeys),
        waits=waits_for_signature(found, desk.organisation),
        nano=NANO,
        delta=await ledger_delta(desk),
        form=desk.blank(),
    )


@router.post("/agreements/{agreement}")
async def act(desk: Signed, agreement: AgreementId) -> Response:
    """Sign, decline or revoke."""
    form = await desk.sent()
    here, do = place("/agreements/{}", agreement), form.text("do")
    if do == "sign":
        body: dict[str, Any] = {"digest": form.text("digest")}
        if form.text("assertion"):
            body["assertion"] = _assertion(form.text("assertion"))
        return desk.to_job(
            await desk.ask("POST", "/v1/agreements/{}/signatures", agreement, body=body), then=here, back=here
        )
    if do == "decline":
        body = {"digest": form.text("digest")}
        (await desk.ask("POST", "/v1/agreements/{}/decline", agreement, body=body)).checked()
    elif do == "revoke" and form.ticked("sure"):
        (await desk.ask("POST", "/v1/agreements/{}/revocation", agreement)).checked()
    return desk.to(here)


# --- parts ---


def latest_document(found: dict[str, Any]) -> dict[str, Any]:
    """Return the newest document of an agreement, with its signatures."""
    latest: dict[str, Any] = max(found["documents"], key=lambda one: int(one["document"]["number"]))
    return latest


def _own(document: dict[str, Any], organisation: str) -> str:
    """Return the organisation's dataset in a document; empty where there is none."""
    names = [str(one["dataset"]) for one in document["contributions"]]
    return next((name for name in names if name.partition("/")[0] == organisation), "")


def waits_for_signature(found: dict[str, Any], organisation: str) -> bool:
    """Whether the latest document waits for this organisation's signature."""
    latest = latest_document(found)
    signed = {one["organisation"] for one in latest["signatures"]}
    return latest["state"] == "proposed" and bool(_own(latest["document"], organisation)) and organisation not in signed


async def _in_words(desk: Desk, uses: list[dict[str, Any]]) -> dict[str, ReadAnswer]:
    """Return the questions among what was done, each as it is read; a release has its name alone."""
    schemas = {name: await schema_of(desk, name) for name in dict.fromkeys(str(one["dataset"]) for one in uses)}
    return {
        one["what"]: read({"question": json.loads(one["what"]), "rows": []}, schemas[one["dataset"]], desk.words)
        for one in uses
        if str(one["what"]).startswith("{")
    }


async def _charged(desk: Desk, agreement: str, dataset: str) -> int:
    """Return what the agreement has charged to the own dataset so far, of the newest uses that one page holds."""
    if not desk.may("agreement.usage"):
        return 0
    found = await desk.get("/v1/organisations/{}/agreement-uses", desk.organisation, limit=100)
    mine = [one for one in found["items"] if one["agreement"] == agreement and one["dataset"] == dataset]
    return sum(int(one["nano_rho"]) for one in mine)


def _assertion(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise FormError("what the passkey said cannot be read") from None


def _filled(desk: Desk, document: dict[str, Any]) -> Form:
    """Return the form of a change, filled with the terms of before."""
    mine = _own(document, desk.organisation)
    form = desk.blank(
        title=document["title"],
        datasets="\n".join(one["dataset"] for one in document["contributions"] if one["dataset"] != mine),
        readers="\n".join(document["readers"]),
        ask_organisations="\n".join(document["askers"]["organisations"]),
        ask_members="\n".join(document["askers"]["members"]),
        budget=format((Decimal(document["budget_nano_rho"]) / NANO).normalize(), "f"),
        people_cap=str(document["people_cap"]),
        minimum_count=str(document["minimum_count"]),
        max_tokens=str(document["max_tokens_per_person"]),
        tokens_reason=document["tokens_reason"] or "",
        linkage=document["linkage"] or "",
        expires=document["expires"],
        **{f"level.{name}": level for name, level in document["contributions"][0]["fields"].items()},
    )
    form.values["purposes"] = list(document["purposes"])
    return form


async def _proposal(desk: Desk, form: Form, dataset: str, change: str, *, status: int = 200) -> Response:
    facts = await desk.get("/v1/datasets/{}/{}", desk.organisation, dataset)
    schema = parse_schema(await desk.get("/v1/datasets/{}/{}/schema", desk.organisation, dataset))
    levels: dict[str, list[Any]] = {}
    for hierarchy in schema.hierarchies:
        levels.setdefault(hierarchy.attribute, []).append(hierarchy)
    return desk.page(
        "agreements/new.html",
        status=status,
        form=form,
        dataset=facts,
        change=change,
        attributes=schema.analysis,
        levels=levels,
        purposes=PURPOSES,
        examples=_examples(form, await ledger_delta(desk)),
        language=desk.words.language.code,
    )


def _examples(form: Form, delta: LedgerDelta | None) -> list[tuple[str, str, str]]:
    """Return budgets in rho with their epsilon and the delta: usual ones, and what the form holds."""
    if delta is None:
        return []
    typed = form.text("budget")
    amounts = sorted({*EXAMPLES, *([typed] if _rho(typed) else [])}, key=Decimal)
    return [(amount, delta.epsilon(_rho(amount)), delta.said) for amount in amounts]


def _names(form: Form, name: str) -> list[str]:
    return list(dict.fromkeys(form.text(name).replace(",", " ").split()))


def _terms(form: Form, own: str, schema_sha256: str, schema: CaseSchema) -> dict[str, Any]:
    """Return the terms of a form; what is missing is a fault of it."""
    form.needed("title", "budget", "expires")
    datasets = [own, *(name for name in _names(form, "datasets") if name != own)]
    organisations = {name.partition("/")[0] for name in datasets}
    fields = {one.name: form.text(f"level.{one.name}") for one in schema.analysis if form.text(f"level.{one.name}")}
    if not fields:
        form.fault("levels", "agreements.no_field")
    if not form.all("purposes"):
        form.fault("purposes", "forms.needed")
    tokens = len(organisations)
    if form.text("max_tokens"):
        tokens = form.number("max_tokens", least=1, most=len(organisations))
    return {
        "title": form.text("title"),
        "schema_sha256": schema_sha256,
        "contributions": [{"dataset": name, "fields": fields} for name in datasets],
        "readers": _names(form, "readers"),
        "askers": {"organisations": _names(form, "ask_organisations"), "members": _names(form, "ask_members")},
        "purposes": form.all("purposes"),
        "budget_nano_rho": _budget(form),
        "people_cap": form.number("people_cap", least=1, most=PEOPLE_MOST),
        "minimum_count": form.number("minimum_count", least=10, most=10**6),
        "max_tokens_per_person": tokens,
        "tokens_reason": form.text("tokens_reason") or None,
        "linkage": form.text("linkage") or None,
        "expires": form.text("expires"),
    }


def _budget(form: Form) -> int:
    """Return the budget of a form in billionths of rho."""
    found = _rho(form.text("budget"))
    if not found:
        form.fault("budget", "agreements.budget_number")
    return found or 1


def _rho(text: str) -> int:
    """Return an amount of rho that somebody typed, in billionths; 0 where it is none."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return 0
    return max(int(found * NANO), 1) if found.is_finite() and 0 < found <= RHO_MOST else 0
