"""Routes of agreements: what there is, propose, sign, revoke, and what the own data was used for. Rules are in `casehaven.agreements.service`.

1. Contributors see an agreement whole. Whoever may ask under it sees its terms and no contributor's name: `GET /v1/agreements/open`.
2. A signature is a job: the worker looks at it and writes it where the api cannot. A revocation is done here, at once: no new charge is made after the answer.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from sqlalchemy import Connection

from casehaven.agreements import service, uses
from casehaven.agreements.document import DATASETS_MOST, AgreementDocument, signing_challenge
from casehaven.agreements.errors import AgreementDocumentError
from casehaven.core.pages import LIMIT, page, parse_cursor
from casehaven.core.projection import published
from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Body, Here, Service, Who
from casehaven.organisations.access import Operation, Principal
from casehaven.organisations.errors import NotFoundError
from casehaven.routes.asking import JOB_PROBLEMS
from casehaven.routes.datasets import Organisation
from casehaven.routes.jobs import Cursor, Limit
from casehaven.routes.signing import Naming, Signing, ask_to_sign, challenge_document
from caseschemas import CaseSchema, parse_schema

router = GuardedRouter(tags=["agreements"])

AgreementId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
_ONE = "/v1/agreements/{agreement}"
_SHA256 = re.compile("[0-9a-f]{64}")
_DATASET = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}/[a-z0-9][a-z0-9._-]{0,63}")


class Proposal(Body):
    """Terms that are proposed: every field of `casehaven-agreement/1` but format, agreement, number, nonce and left_out."""

    terms: dict[str, Any]


@router.get("/v1/agreements", operation=Operation.AGREEMENT_LIST)
def list_agreements(here: Here, who: Who) -> dict[str, Any]:
    """List the agreements that your organisation is a contributor of."""
    now = here.clock()
    with here.store.reading() as connection:
        found = service.agreements_of(connection, who.organisation)
    return {"items": [_shown(each, now, who.organisation) for each in found], "next": None}


@router.get("/v1/agreements/open", operation=Operation.QUESTION_QUOTE)
def list_open(here: Here, who: Who) -> dict[str, Any]:
    """List the agreements in force under which you may ask: their terms, and no contributor."""
    with here.store.reading() as connection:
        found = service.open_to(connection, here.clock(), who.handle, who.organisation)
    return {"items": [service.reader_view(document) for document in found], "next": None}


@router.get(_ONE, operation=Operation.AGREEMENT_LIST, problems=("body",))
def show(agreement: AgreementId, here: Here, who: Who) -> dict[str, Any]:
    """Show an agreement to a contributor: every document, who signed it, and what is true of it now."""
    with here.store.reading() as connection:
        return _shown(service.agreement_for(connection, agreement, who.organisation), here.clock(), who.organisation)


@router.post(
    "/v1/agreements", operation=Operation.AGREEMENT_PROPOSE, problems=("body", "agreement-document"), status_code=201
)
def propose(body: Proposal, here: Here, who: Who) -> dict[str, Any]:
    """Propose an agreement. It counts when every contributor has signed it."""
    return _proposed(here, who, body, None)


@router.post(
    _ONE + "/documents",
    operation=Operation.AGREEMENT_PROPOSE,
    problems=("body", "agreement-document"),
    status_code=201,
)
def change(agreement: AgreementId, body: Proposal, here: Here, who: Who) -> dict[str, Any]:
    """Propose a change. Until every contributor has signed it anew, what is in force stays so."""
    return _proposed(here, who, body, agreement)


@router.get(_ONE + "/challenge", operation=Operation.AGREEMENT_LIST, problems=("body", "agreement-changed"))
def challenge(agreement: AgreementId, here: Here, who: Who) -> dict[str, Any]:
    """Return what your passkey signs: a hash of the latest document's digest, your organisation and your handle."""
    with here.store.reading() as connection:
        digest = service.agreement_for(connection, agreement, who.organisation).latest.document.digest
        service.to_sign(connection, here.clock(), agreement, digest, who.organisation)
    return challenge_document(digest, signing_challenge(digest, who.organisation, who.handle))


@router.post(
    _ONE + "/signatures",
    operation=Operation.AGREEMENT_SIGN,
    problems=(*JOB_PROBLEMS, "step-up-needed", "agreement-changed", "agreement-signature"),
    status_code=202,
)
async def sign(request: Request, agreement: AgreementId, body: Signing, here: Here, who: Who) -> Response:
    """Sign the latest document for your organisation."""
    await run_in_threadpool(_to_sign, here, who, agreement, body.digest)
    return await ask_to_sign(request, here, who, "agreement.sign", body, agreement=agreement)


@router.post(
    _ONE + "/decline",
    operation=Operation.AGREEMENT_SIGN,
    problems=("body", "step-up-needed", "agreement-changed"),
    status_code=204,
)
def decline(agreement: AgreementId, body: Naming, here: Here, who: Who) -> None:
    """Decline the latest document for your organisation: it will never be in force. What is in force stays so, and the holders see who declined."""
    with here.store.writing() as connection:
        service.decline(connection, here.clock(), who, agreement, body.digest)


@router.post(
    _ONE + "/revocation", operation=Operation.AGREEMENT_REVOKE, problems=("body", "step-up-needed"), status_code=204
)
def revoke(agreement: AgreementId, here: Here, who: Who) -> None:
    """Revoke an agreement at once and for good. What was published, and answers that were given, stand."""
    with here.store.writing() as connection:
        service.revoke(connection, here.clock(), who, agreement)


@router.get(
    "/v1/organisations/{organisation}/agreement-uses",
    operation=Operation.AGREEMENT_USAGE,
    problems=("cursor", "body"),
)
def list_uses(organisation: Organisation, here: Here, cursor: Cursor = None, limit: Limit = LIMIT) -> dict[str, Any]:
    """List what the organisation's datasets were used for under agreements, newest first."""
    before = parse_cursor(cursor, "agreement-uses", here.key)
    with here.store.reading() as connection:
        found = uses.uses_of(connection, organisation, before=before, limit=limit + 1)
    return page(
        found,
        limit=limit,
        list_name="agreement-uses",
        key=here.key,
        number=lambda row: row[0],
        shown=lambda row: row[1],
    )


def _to_sign(here: Service, who: Principal, agreement: str, digest: str) -> None:
    with here.store.reading() as connection:
        service.to_sign(connection, here.clock(), agreement, digest, who.organisation)


def _proposed(here: Service, who: Principal, body: Proposal, agreement: str | None) -> dict[str, Any]:
    now = here.clock()
    with here.store.writing() as connection:
        schema, caps = _public_facts(connection, body.terms)
        document = service.propose(
            connection, now, who, body.terms, schema=schema, people_caps=caps, agreement=agreement
        )
    return {"digest": document.digest, "document": _document(document)}


def _public_facts(connection: Connection, terms: dict[str, Any]) -> tuple[CaseSchema, dict[str, int]]:
    """Return the schema and the people caps of the datasets that terms name, as the worker published them; one that is missing is refused as one with another schema."""
    fault = AgreementDocumentError("/contributions: a dataset is not there, or has another schema")
    try:
        names = [str(each["dataset"]) for each in terms["contributions"]][:DATASETS_MOST]
        if not all(_DATASET.fullmatch(name) for name in names):
            raise fault
        datasets = {name: published(connection, "dataset", name) for name in names}
        if not _SHA256.fullmatch(str(terms["schema_sha256"])):
            raise fault
        schema = parse_schema(published(connection, "schema", str(terms["schema_sha256"])))
    except (NotFoundError, KeyError, TypeError):
        raise fault from None
    if any(found["schema_sha256"] != terms["schema_sha256"] for found in datasets.values()):
        raise fault
    return schema, {name: int(found["people_cap"]) for name, found in datasets.items()}


def _shown(found: service.Agreement, now: int, organisation: str) -> dict[str, Any]:
    shown = found.shown_to(organisation)
    standing = found.in_force(now)
    if standing not in [each.document for each in shown]:
        standing = None
    return {
        "agreement": found.latest.document.agreement,
        "in_force": None if standing is None else standing.digest,
        "revoked_at": found.revoked_at,
        "revoked_by": found.revoked_by if found.contributes(organisation) else None,
        "documents": [
            {
                "digest": each.document.digest,
                "state": found.state(each, now),
                "document": _document(each.document),
                "proposed_by": each.proposed_by,
                "organisation": each.organisation,
                "proposed_at": each.proposed_at,
                "signatures": [
                    {
                        "organisation": signed.organisation,
                        "handle": signed.handle,
                        "signed_at": signed.signed_at,
                        "method": signed.method,
                    }
                    for signed in each.signatures
                ],
                "declines": [vars(no) for no in each.declines],
            }
            for each in shown
        ],
    }


def _document(document: AgreementDocument) -> dict[str, Any]:
    return dict(document.written())
