"""Whether whoever asked for a job may still have it done: looked up when the job begins, not when it was queued.

1. They are an active member, hold the operation of the job's kind, and reach every dataset of the job, or else its organisation. This is asked before every handler, at every attempt.
2. What the service asks of itself has no asker: `SERVICE_KINDS`, and no other kind.
3. A second factor is asked for when the job is queued. Whoever takes credentials away cancels what waits in the same transaction (`casehaven.core.job_cancelling`).
4. What a token asked for is done while the token is there, has not ended, and names the operation: one that was revoked meanwhile has nothing more done.
5. It is written down under the asker's own handle, whatever the request says: one that names somebody else is refused.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from casehaven.core.jobs import TakenJob
from casehaven.organisations.access import STEP_UP, Operation, Principal, allowed
from casehaven.organisations.errors import ForbiddenError, NotFoundError, NotSignedInError
from casehaven.organisations.members import granted_datasets, member_by_id
from casehaven.organisations.roles import rights_of
from casehaven.signin.job_assertions import OWN_SIGNATURE
from casehaven.signin.tokens import token_named

SERVICE_KINDS: Final = frozenset({"organisation.keys", "allowance.set"})
"""Kinds that follow from what was decided in the store already."""

OPERATIONS: Final = {
    "dataset.create": Operation.DATASET_CREATE,
    "training.make": Operation.DATASET_CREATE,
    "upload.propose": Operation.UPLOAD_READ,
    "upload.commit": Operation.UPLOAD_COMMIT,
    "person.find": Operation.PERSON_FIND,
    "person.show": Operation.PERSON_SHOW,
    "person.correct": Operation.PERSON_CORRECT,
    "person.consent": Operation.PERSON_CONSENT,
    "person.export": Operation.PERSON_EXPORT,
    "person.erase": Operation.PERSON_ERASE,
    "person.receipt": Operation.PERSON_ERASE,
    "person.retain": Operation.PERSON_RETAIN,
    "person.retain-all": Operation.PERSON_RETAIN,
    "person.due": Operation.PERSON_RETAIN,
    "person.erase-due": Operation.PERSON_ERASE,
    "person.duplicates": Operation.PERSON_COMPARE,
    "dataset.status": Operation.DATASET_STATUS,
    "dataset.intakes": Operation.DATASET_STATUS,
    "statistics.tables": Operation.STATISTICS_READ,
    "question.quote": Operation.QUESTION_QUOTE,
    "question.ask": Operation.QUESTION_ASK,
    "answer.list": Operation.ANSWER_LIST,
    "release.plan": Operation.RELEASE_PLAN,
    "release.draft": Operation.RELEASE_PLAN,
    "release.approve": Operation.RELEASE_SIGN,
    "release.run": Operation.RELEASE_RUN,
    "release.decide": Operation.RELEASE_APPROVE,
    "release.withdraw": Operation.RELEASE_APPROVE,
    "agreement.sign": Operation.AGREEMENT_SIGN,
    "budget.statement": Operation.BUDGET_READ,
    "budget.allowances": Operation.BUDGET_READ,
    "budget.ledger": Operation.BUDGET_READ,
    "budget.propose-raise": Operation.BUDGET_PROPOSE,
    "budget.approve-raise": Operation.BUDGET_APPROVE,
    "audit.verify": Operation.AUDIT_VERIFY,
    "audit.checkpoint": Operation.AUDIT_VERIFY,
    "audit.report": Operation.AUDIT_REPORT,
}
"""What a member does by a kind of job."""


def is_signed(kind: str) -> bool:
    """Whether a kind needs a second factor, and so a signature where api and worker are two users (`casehaven.signin.job_assertions`).

    >>> is_signed("person.show"), is_signed("person.find"), is_signed("organisation.keys"), is_signed("agreement.sign")
    (True, False, False, False)
    """
    return kind in OPERATIONS and kind not in OWN_SIGNATURE and OPERATIONS[kind] in STEP_UP


def require_standing(connection: Connection, job: TakenJob, *, now: int) -> None:
    """Return when whoever asked may still have a job done (rules 1, 2 and 4).

    Args:
        connection: reads the service store.
        job: about to be done.
        now: seconds since 1970.

    Raises:
        NotSignedInError: nobody asked, or they are no active member.
        ForbiddenError: they do not hold the operation on their own organisation, or at all.
        NotFoundError: what the job is about is out of their reach.
    """
    if job.kind.name in SERVICE_KINDS:
        return
    operation = OPERATIONS[job.kind.name]
    try:
        found = member_by_id(connection, job.member_id)
    except NotFoundError:
        raise NotSignedInError from None
    if not found.active or job.request.get("actor") != found.handle:  # rule 5
        raise NotSignedInError
    by_token = job.request.get("token")
    if by_token is not None and operation not in token_named(connection, str(by_token), found.id, now=now):  # rule 4
        raise NotSignedInError
    asker = Principal(
        member_id=found.id,
        handle=found.handle,
        organisation=found.organisation,
        roles=tuple(sorted(found.roles)),
        rights=rights_of(found.kind, found.roles),
        datasets=granted_datasets(connection, found.id),
        session_id=None,
        token_id=None,
        stepped_up=False,
        session_key=b"",
    )
    named = [name.partition("/") for name in job.dataset.split()]
    places: list[tuple[str | None, str | None]] = [(organisation, dataset) for organisation, _, dataset in named]
    if job.organisation or not places:
        places.append((job.organisation or None, named[0][2] if named else None))
    for organisation, dataset in places:
        if not allowed(asker, operation, organisation, dataset=dataset):
            raise ForbiddenError if organisation in (asker.organisation, None) else NotFoundError
