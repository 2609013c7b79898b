"""Jobs of drafts: making one from public facts, and approving it; and the look that the worker takes before it draws.

1. A draft is made here, because only here it is known which datasets can pay, under which agreement, and how many tokens a person may have. Nothing is charged or opened.
2. An approval is checked here: the digest is of the latest document, hashed anew; the member is a steward of a contributor, or the privacy officer, at this moment. Nobody approves in two parts.
3. Whether its signature holds is checked here, and what counts is its entry of the vault's audit log (`casehaven.worker.signatures`). A row of the store alone approves nothing.
4. Before it draws, the worker finds every needed approval in that log, finds that whoever approved may still approve, and finds out anew what would be drawn: it has to be what was approved.
   The same is asked again in the transaction that encloses the charge: a withdrawal is before a charge, and refuses it, or after it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from sqlalchemy import Connection

from casehaven.blocks import schema_blocks
from casehaven.core.request_errors import BodyError
from casehaven.drafts import service
from casehaven.drafts.document import DRAFT_SECONDS, FORMAT, DraftDocument, Part, approval_challenge
from casehaven.drafts.errors import (
    ApprovalError,
    ApprovalsMissingError,
    DraftChangedError,
    DraftOverError,
    SamePersonError,
)
from casehaven.drafts.service import Approval, StoredDraft
from casehaven.intake.prepared_history import more_linkage_keys
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import Member, member_by_id, member_named
from casehaven.organisations.roles import Kind, Role
from casehaven.plan_document import plan_document
from casehaven.registry.rows import record_of
from casehaven.releases.draft import ReleaseDraft
from casehaven.releases.service import PURPOSE
from casehaven.vault.store import Vault
from casehaven.worker.pooling import Permission, nameless, permission
from casehaven.worker.signatures import Signatures, ended_in_log, proof_of
from casehaven.worker.work import Done, Work, plain
from casesynth.feasibility import feasibility, suggestions
from casesynth.plan import ReleasePlan

APPROVED: Final = "release.approve"
"""The action of an approval in the vault's audit log; its object is the document's digest and the part."""
APPROVALS: Final = Signatures(action=APPROVED, object_kind="release-draft")


def permitted_release(work: Work, operation: Operation) -> Permission:
    """Return what a job may release (`casehaven.worker.pooling`)."""
    found = permission(work, PURPOSE, operation)
    found.check_release()
    return found


def release_draft(work: Work, found: Permission, asked: Mapping[str, Any], release_id: str) -> ReleaseDraft:
    """Return the draft of a bundle, from what was asked and what is public.

    Args:
        work: the job.
        found: what it may release.
        asked: epsilon, delta, title and years of first registration.
        release_id: the name of the bundle's folder.
    """
    schema = found.datasets[0].schema
    pool = found.pool(tuple(asked.get("registered") or ()) or schema_blocks(schema))
    datasets = found.counted
    lowered = pool is not None and pool.tokens < len({dataset.organisation for dataset in datasets})
    return ReleaseDraft(
        vault_datasets=tuple(dataset.id for dataset in datasets),
        schema=schema,
        epsilon=float(asked["epsilon"]),
        delta=None if asked.get("delta") is None else float(asked["delta"]),
        people_cap=sum(dataset.people_cap for dataset in datasets) if pool is None else pool.people_cap,
        out=work.bench.store.releases / release_id,
        tokens_are=found.tokens_are if len(datasets) > 1 else None,
        max_tokens_per_person=None if pool is None else pool.tokens,
        tokens_reason=found.document.tokens_reason if found.document is not None and lowered else None,
        more_tokens=more_linkage_keys(work.bench.vault, datasets),
        title=asked.get("title"),
        registered=tuple(asked.get("registered") or ()),
    )


def stated(found: Permission, made: ReleaseDraft, plan: ReleasePlan) -> dict[str, Any]:
    """Return what is drawn, and at what price: the binding part of a document."""
    agreement = found.document
    return {
        "agreement": None if agreement is None else agreement.agreement,
        "agreement_digest": None if agreement is None else agreement.digest,
        "datasets": list(made.vault_datasets),
        "left_out": len(found.datasets) - len(found.counted),
        "schema": f"{made.schema.id} {made.schema.version}",
        "schema_sha256": made.schema.digest(),
        "attributes": [attribute.name for attribute in made.schema.analysis],
        "registered": list(made.registered),
        "epsilon": plan.epsilon,
        "delta": plan.delta,
        "people_cap": plan.people_cap,
        "max_tokens_per_person": plan.max_tokens_per_person,
        "tokens_reason": made.tokens_reason,
        "person_tokens": made.tokens_are,
        "nano_rho": plan.loss.nano_rho,
        "epsilon_per_person": plan.epsilon_per_person,
    }


def draft(work: Work) -> Done:
    """Make a draft, or a later document of one: what would be drawn, the price, and the expected error. Nothing is charged or opened."""
    bench, asked = work.bench, work.request
    permitted = permitted_release(work, Operation.RELEASE_PLAN)
    with nameless(permitted):
        made = release_draft(work, permitted, asked, "0" * 32)
        plan = made.plan()
        found = feasibility(plan, made.people_cap)
    organisation = permitted.asker.organisation
    now, name, number = bench.clock(), secrets.token_hex(16), 1
    if asked.get("credit") is not None and permitted.document is not None:
        raise BodyError("body.credit: expected none under an agreement")
    with bench.store.writing() as connection:
        if asked.get("draft") is not None:
            before = service.latest_of(connection, str(asked["draft"]), now)
            if before.document.organisation != organisation:
                raise NotFoundError
            before.require_open(now)
            name, number = before.document.draft, before.document.number + 1
        if asked.get("succeeds") is not None:
            record_of(connection, str(asked["succeeds"]), organisation=organisation)
        document = DraftDocument(
            fields=plain(
                {
                    "format": FORMAT,
                    "draft": name,
                    "number": number,
                    "nonce": secrets.token_hex(16),
                    "organisation": organisation,
                    "proposed_by": permitted.asker.handle,
                    "title": asked.get("title"),
                    "credit": asked.get("credit"),
                    "changelog": asked.get("changelog"),
                    "succeeds": asked.get("succeeds"),
                    "expected": plan_document(found, suggestions(found), None),
                    "drafted_at": now,
                    "expires_at": now + DRAFT_SECONDS,
                    **stated(permitted, made, plan),
                }
            )
        )
        service.add_draft(connection, document, now)
    return Done(result={"draft": name, "number": number, "digest": document.digest})


def approve(work: Work) -> Done:
    """Approve the latest document of a draft, in one part.

    Raises:
        NotFoundError: there is no such draft for them.
        DraftOverError, DrawnAlreadyError: it is over, or another document took its place.
        ApprovalError: the approval does not hold, or they may not approve in this part.
        SamePersonError: they approved in the other part.
    """
    bench, asked = work.bench, work.request
    part = cast(Part, str(asked["part"]))
    with bench.store.reading() as connection:
        found = service.latest_of(connection, str(asked["draft"]), bench.clock())
        member = _member(connection, work)
        if not _sees(member, found):
            raise NotFoundError
        found.require_open(bench.clock())
        if found.document.digest != asked["digest"]:
            raise DraftOverError
        if not may_approve(member, found.document, part):
            raise ApprovalError
        challenge = approval_challenge(found.document.digest, member.organisation, member.handle, part)
        proof = proof_of(connection, work, member, challenge, passkey_needed=ApprovalError)
    vault, document = bench.vault, found.document
    with vault.writing() as connection:
        logged = logged_approvals(vault, connection, document.digest)
        if any(handle == member.handle and there != part for there, _, handle in logged):
            raise SamePersonError
        with bench.store.reading() as reading:
            gone = {each[2] for each in logged if not _still_may(reading, each, document)}
        slot = (part, member.organisation if part == "steward" else "")
        known = {(there, name if there == "steward" else "") for there, name, handle in logged if handle not in gone}
        if slot not in known:
            APPROVALS.enter(vault, connection, f"{document.digest}:{part}", member)
    approval = Approval(
        part=part, organisation=member.organisation, handle=member.handle, approved_at=bench.clock(), **proof
    )
    with bench.store.writing() as connection:
        service.add_approval(connection, document, approval, instead_of=gone)
    return Done(result={"draft": document.draft, "digest": document.digest, "part": part})


def approved_release(work: Work) -> tuple[DraftDocument, Permission, ReleaseDraft]:
    """Return the draft that a job draws, what it may count and what it draws: approved by everybody who has to, and found out anew (rule 4).

    The permission's charge is the draft's own, and asks for the approvals once more in the transaction that encloses it.

    Raises:
        DraftChangedError: what would be drawn is not what was approved.
        Whatever `approved_draft` and `casehaven.worker.pooling.permission` raise.
    """
    name, digest = str(work.request["draft"]), str(work.request["digest"])
    with work.bench.store.reading() as connection:
        document = approved_draft(connection, work, name, digest).document
    permitted = permitted_release(work, Operation.RELEASE_RUN)
    permitted.key = f"draft-{digest}"
    permitted.also = lambda connection: approved_draft(connection, work, name, digest)
    with nameless(permitted):
        made = release_draft(work, permitted, document.fields, document.release)
        require_unchanged(document, stated(permitted, made, made.plan()))
    return document, permitted, made


def approved_draft(connection: Connection, work: Work, draft: str, digest: str) -> StoredDraft:
    """Return a draft that may be drawn now, as the store and the vault's audit log know it (rule 4).

    Raises:
        NotFoundError: there is none under this digest for whoever asks.
        DraftOverError: it is over.
        ApprovalsMissingError: an approval that is needed is not there, or whoever gave it may not approve any more.
    """
    bench = work.bench
    found = service.document_of(connection, digest, bench.clock())
    document = found.document
    if document.draft != draft or document.organisation != _member(connection, work).organisation:
        raise NotFoundError
    if not found.latest or found.ended_at is not None or bench.clock() >= document.expires_at:
        raise DraftOverError
    with bench.vault.database.transaction(writes=False) as reading:
        if ended_in_log(reading, service.WITHDRAWN, draft):
            raise DraftOverError
        logged = logged_approvals(bench.vault, reading, digest)
    standing = [each for each in logged if _still_may(connection, each, document)]
    stewards = {organisation: handle for part, organisation, handle in standing if part == "steward"}
    officers = {handle for part, _, handle in standing if part == "privacy_officer"}
    if not set(document.contributors) <= set(stewards) or not officers - set(stewards.values()):
        raise ApprovalsMissingError
    return found


def require_approved(vault: Vault, document: DraftDocument) -> None:
    """Return when everybody who had to approved a document, whatever became of them since: for what was drawn from it already.

    Raises:
        ApprovalsMissingError: the audit log does not say so.
    """
    with vault.database.transaction(writes=False) as connection:
        logged = logged_approvals(vault, connection, document.digest)
    stewards = {organisation for part, organisation, _ in logged if part == "steward"}
    if not stewards >= set(document.contributors) or all(part != "privacy_officer" for part, _, _ in logged):
        raise ApprovalsMissingError


def require_unchanged(document: DraftDocument, now: Mapping[str, Any]) -> None:
    """Return when what would be drawn now is what was approved (rule 4).

    Raises:
        DraftChangedError: it is not.
    """
    if document.binding() != plain(dict(now)):
        raise DraftChangedError


def may_approve(member: Member, document: DraftDocument, part: str) -> bool:
    """Whether an active member may approve a draft in a part."""
    if not member.active:
        return False
    if part == "steward":
        return Role.STEWARD in member.roles and member.organisation in document.contributors
    watches = member.kind is Kind.DEPLOYMENT or member.organisation == document.organisation
    return part == "privacy_officer" and Role.PRIVACY_OFFICER in member.roles and watches


def logged_approvals(vault: Vault, connection: Connection, digest: str) -> list[tuple[str, str, str]]:
    """Return part, organisation and handle of every approval of a digest that the keystore's holder wrote. Of an organisation without keys the name is empty."""
    entries = APPROVALS.of(vault, connection, [f"{digest}:{part}" for part in get_args(Part)])
    return [(entry.object_id.partition(":")[2], entry.organisation, entry.actor) for entry in entries]


def _still_may(connection: Connection, logged: tuple[str, str, str], document: DraftDocument) -> bool:
    part, organisation, handle = logged
    try:
        member = member_named(connection, handle)
    except NotFoundError:
        return False
    return may_approve(member, document, part) and (part != "steward" or member.organisation == organisation)


def _sees(member: Member, found: StoredDraft) -> bool:
    document = found.document
    return member.kind is Kind.DEPLOYMENT or member.organisation in (document.organisation, *document.contributors)


def _member(connection: Connection, work: Work) -> Member:
    try:
        return member_by_id(connection, work.job.member_id)
    except NotFoundError:
        raise ApprovalError from None
