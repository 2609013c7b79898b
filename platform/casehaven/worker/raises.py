"""Jobs of raises: drawing up a request, and taking an approval.

1. A request names this ledger and the epsilon that the dataset has now. Its number is the job's id: an attempt that was cut short finds its own.
2. An approval is a signature over the canonical bytes of one request. It is read anew from the bytes that were sent, and its key has to be one that the ledger names now.
3. With two people's approvals the ledger raises the cap, as it does for `casehaven budget raise`: it reads every signature again and decides by itself. What it raised before is not raised again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from casehaven.budgets.raises import add_approval, add_raise, raise_document, raise_of, set_raised
from casehaven.ledger import BudgetRaiseError, RaiseApproval, RaiseRequest, UnknownAccountError
from casehaven.ledger.approvers import ApproverSet
from casehaven.ledger.two_people import APPROVERS
from casehaven.worker.work import Done, Work
from casesynth.canonical import JsonFaultError, parse_json
from casesynth.signing import BadSignatureError


def propose(work: Work) -> Done:
    """Draw up a request to raise the cap of a dataset's accounts. Nothing is raised.

    Raises:
        UnknownAccountError: the dataset has no account.
        BudgetRaiseError: the raise goes not up, names no epsilon, or has no reason that can be published.
    """
    bench, asked, dataset = work.bench, work.request, work.job.dataset
    statement = bench.ledger.statement()
    present = next((row.cap_epsilon for row in statement.rows if row.dataset == dataset), None)
    if present is None:
        raise UnknownAccountError(f"no account was opened for {dataset}")
    request = RaiseRequest(
        number=work.job.job_id,
        created=datetime.fromtimestamp(work.job.queued_at, UTC).date().isoformat(),
        ledger=statement.ledger_id,
        dataset=dataset,
        epsilon_now=present,
        epsilon=str(asked["epsilon"]),
        reason=str(asked["reason"]),
    )
    with bench.store.writing() as connection:
        add_raise(
            connection,
            bench.clock(),
            digest=request.digest(),
            organisation=work.job.organisation,
            document=request.to_bytes().decode("utf-8"),
            proposed_by=work.actor,
        )
        return Done(
            result=_shown(raise_of(connection, request.digest(), work.job.organisation), bench.ledger.approvers())
        )


def approve(work: Work) -> Done:
    """Take one person's approval of a request; with two of them, raise the cap.

    Raises:
        NotFoundError: the organisation has no such request.
        BudgetRaiseError: the approval is of another request, or of nobody whom the ledger names; or the ledger refuses the raise.
    """
    bench, organisation, digest = work.bench, work.job.organisation, str(work.request["raise"])
    with bench.store.reading() as connection:
        document, _ = raise_document(connection, digest, organisation)
    request = RaiseRequest.parse(parse_json(document.encode("utf-8"), "the request"), "the request")
    approval = _parsed(str(work.request["approval"]))
    if approval.request.to_bytes() != request.to_bytes() or request.digest() != digest:
        raise BudgetRaiseError("the approval is of another request")
    present = bench.ledger.approvers()
    if present is None or present.people.lookup(approval.public_key) is None:
        raise BudgetRaiseError(
            f"{approval.public_key.fingerprint} approved, but is not one of those whom the ledger names"
        )
    with bench.store.writing() as connection:
        add_approval(
            connection,
            bench.clock(),
            digest=digest,
            fingerprint=approval.public_key.fingerprint,
            approval=approval.to_bytes().decode("utf-8"),
            sent_by=work.actor,
        )
        _, texts = raise_document(connection, digest, organisation)
    approvals = [found for found in map(_parsed, texts) if present.people.lookup(found.public_key) is not None]
    if len(approvals) >= APPROVERS:
        if not bench.ledger.raised(digest):
            bench.ledger.raise_cap(approvals[:APPROVERS])
        with bench.store.writing() as connection:
            set_raised(connection, bench.clock(), digest, by=work.actor)
    with bench.store.reading() as connection:
        return Done(result=_shown(raise_of(connection, digest, organisation), present))


def _parsed(text: str) -> RaiseApproval:
    try:
        return RaiseApproval.parse(parse_json(text.encode("utf-8"), "the approval"), "the approval", RaiseRequest)
    except JsonFaultError:
        raise BudgetRaiseError("the approval is not JSON with one meaning") from None
    except BadSignatureError:
        raise BudgetRaiseError("the signature does not fit the request that it stands under") from None


def _shown(found: dict[str, Any], approvers: ApproverSet | None) -> dict[str, Any]:
    """A request with the people who may approve it."""
    people = () if approvers is None else approvers.people.signers
    return {
        **found,
        "approvers": [{"name": signer.name, "fingerprint": signer.public_key.fingerprint} for signer in people],
    }
