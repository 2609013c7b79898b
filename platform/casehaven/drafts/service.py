"""The life of a draft: made, approved by each who has to, drawn once; or changed, withdrawn, expired.

1. A steward drafts. Needed are the approvals of a steward of each contributing organisation, and of one privacy officer: of the organisation that drafted it, or of the deployment. Nobody
   approves in two parts, so a release is never the work of one person.
2. A change is a new document with the next number: no approval of the one before it counts. Only the latest document can be approved or drawn.
3. Whoever has to approve, or drafted it, may withdraw a draft, at once and for good, until the release was drawn. Nothing is charged afterwards.
4. A draft is over after 14 days.
5. The rows here are what the api knows. The worker believes none of them alone: it hashes the document itself, and looks into the vault's audit log for who approved (`casehaven.worker.drafts`).
6. What is not there, and what is not the reader's, are refused alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, delete, insert, select

from casehaven.agreements.service import Method
from casehaven.core.release_rows import hide_release
from casehaven.core.service_tables import release as release_table
from casehaven.drafts import models
from casehaven.drafts.document import DraftDocument, Part, parse_draft
from casehaven.drafts.errors import DraftDocumentError, DraftOverError, DrawnAlreadyError
from casehaven.organisations import events
from casehaven.organisations.access import DEPLOYMENT, Operation, Principal, require
from casehaven.organisations.errors import NotFoundError

State = Literal["open", "approved", "drawn", "withdrawn", "replaced", "expired"]

WITHDRAWN: Final = "release_draft.withdrawn"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One approval of one document."""

    part: Part
    organisation: str
    handle: str
    approved_at: int
    """Seconds since 1970, UTC."""
    method: Method
    assertion: str | None = None
    """JSON."""


@dataclass(frozen=True, kw_only=True)
class StoredDraft:
    """A document with what became of it."""

    document: DraftDocument
    sequence: int
    approvals: tuple[Approval, ...]
    latest: bool
    """Whether no later document of the draft is there."""
    ended_at: int | None
    """When the draft was withdrawn."""
    drawn: str | None
    """Its release, once it is seen."""

    @property
    def missing(self) -> tuple[tuple[Part, str], ...]:
        """Part and organisation of each approval that is not there; the officer's has an empty organisation."""
        there = {(each.part, each.organisation) for each in self.approvals}
        stewards: list[tuple[Part, str]] = [("steward", name) for name in self.document.contributors]
        found = [each for each in stewards if each not in there]
        return tuple(
            found if any(part == "privacy_officer" for part, _ in there) else [*found, ("privacy_officer", "")]
        )

    def state(self, now: int) -> State:
        """Return what is true of it now."""
        if self.drawn is not None:
            return "drawn"
        if self.ended_at is not None:
            return "withdrawn"
        if not self.latest:
            return "replaced"
        if now >= self.document.expires_at:
            return "expired"
        return "open" if self.missing else "approved"

    def require_open(self, now: int) -> None:
        """Return when it can be approved, changed or drawn.

        Raises:
            DrawnAlreadyError: it was drawn.
            DraftOverError: it is over.
        """
        state = self.state(now)
        if state == "drawn":
            raise DrawnAlreadyError
        if state not in ("open", "approved"):
            raise DraftOverError


def add_draft(connection: Connection, document: DraftDocument, now: int) -> None:
    """Store a document that the worker made; does nothing where it is there."""
    table, digest = models.release_draft, document.digest
    if connection.scalar(select(table.c.digest).where(table.c.digest == digest)) is not None:
        return
    connection.execute(
        insert(table).values(
            digest=digest,
            draft=document.draft,
            number=document.number,
            document=document.to_bytes().decode("utf-8"),
            organisation=document.organisation,
            drafted_at=now,
        )
    )
    parties = sorted({document.organisation, *document.contributors})
    connection.execute(
        insert(models.release_draft_party), [{"digest": digest, "organisation": name} for name in parties]
    )
    _tell(connection, now, str(document.fields["proposed_by"]), "release_draft.made", document.organisation, document)


def latest_of(connection: Connection, draft: str, now: int) -> StoredDraft:
    """Return the latest document of a draft, whoever asks; it is hashed anew.

    Raises:
        NotFoundError: there is none, or it is not what its digest says.
    """
    table = models.release_draft
    row = connection.execute(select(table).where(table.c.draft == draft).order_by(table.c.number.desc())).first()
    if row is None:
        raise NotFoundError
    return _stored(connection, row, now)


def document_of(connection: Connection, digest: str, now: int) -> StoredDraft:
    """Return a document by its digest, whoever asks; it is hashed anew.

    Raises:
        NotFoundError: there is none, or it is not what its digest says.
    """
    row = connection.execute(select(models.release_draft).where(models.release_draft.c.digest == digest)).first()
    if row is None:
        raise NotFoundError
    return _stored(connection, row, now)


def document_of_release(connection: Connection, release_id: str, now: int) -> StoredDraft | None:
    """Return the document that a release is drawn from, found by the release's own name; None where there is none. It is hashed anew."""
    digest = models.release_draft.c.digest
    row = connection.execute(select(models.release_draft).where(digest.startswith(release_id, autoescape=True))).first()
    if row is None:
        return None
    found = _stored(connection, row, now)
    return found if found.document.release == release_id else None


def draft_for(connection: Connection, who: Principal, draft: str, now: int) -> list[StoredDraft]:
    """Return the documents of a draft that somebody sees, latest first.

    Raises:
        NotFoundError: none is theirs.
    """
    table = models.release_draft
    query = select(table).where(table.c.draft == draft).order_by(table.c.number.desc())
    found = [_stored(connection, row, now) for row in connection.execute(query) if _sees(connection, who, row)]
    if not found:
        raise NotFoundError
    return found


def drafts_for(
    connection: Connection, who: Principal, now: int, *, before: int | None, limit: int
) -> list[StoredDraft]:
    """Return the documents that somebody sees, newest first."""
    table = models.release_draft
    query = select(table).order_by(table.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.sequence < before)
    if not everywhere(who):
        party = models.release_draft_party
        query = query.join(party, party.c.digest == table.c.digest).where(party.c.organisation == who.organisation)
    return [_stored(connection, row, now) for row in connection.execute(query)]


def everywhere(who: Principal) -> bool:
    """Whether somebody watches over the drafts of the whole deployment."""
    return who.reaches(Operation.RELEASE_REVIEW, DEPLOYMENT)


def add_approval(
    connection: Connection, document: DraftDocument, approval: Approval, *, instead_of: Collection[str] = ()
) -> None:
    """Write down an approval that the worker found to hold; does nothing where that part was approved.

    Args:
        connection: writes.
        document: what was approved.
        approval: by whom, and as what.
        instead_of: handles of those who approved and may not any more: their approvals count no longer.
    """
    table = models.release_approval
    connection.execute(delete(table).where(table.c.digest == document.digest, table.c.handle.in_(tuple(instead_of))))
    place = [table.c.digest == document.digest, table.c.part == approval.part]
    if approval.part == "steward":
        place.append(table.c.organisation == approval.organisation)
    if connection.execute(select(table.c.handle).where(*place)).first() is None:
        connection.execute(insert(table).values(digest=document.digest, **vars(approval)))
        _tell(
            connection,
            approval.approved_at,
            approval.handle,
            "release_draft.approved",
            approval.organisation,
            document,
        )


def withdraw(connection: Connection, now: int, principal: Principal, draft: str) -> None:
    """Withdraw a draft for good, as of the end of this transaction (rule 3). Done twice, it is done.

    Raises:
        NotFoundError: it is not there for them.
        ForbiddenError, StepUpNeededError: see `require`.
        DrawnAlreadyError: its release was drawn.
    """
    require(principal, Operation.RELEASE_SIGN, None)
    found = draft_for(connection, principal, draft, now)
    if any(each.drawn is not None for each in found):
        raise DrawnAlreadyError
    if found[0].ended_at is not None:
        return
    connection.execute(
        insert(models.release_draft_end).values(
            draft=draft, organisation=principal.organisation, handle=principal.handle, ended_at=now
        )
    )
    for each in found:
        hide_release(connection, each.document.release)  # one that is drawn and not seen yet
    _tell(connection, now, principal.handle, WITHDRAWN, principal.organisation, found[0].document)


def shown(found: StoredDraft, who: Principal, now: int) -> dict[str, Any]:
    """Return a document as the API shows it to somebody."""
    document = found.document
    whole = everywhere(who) or who.organisation in document.contributors
    hidden = set() if whole else set(document.contributors) - {who.organisation}
    return {
        "draft": document.draft,
        "digest": document.digest,
        "state": found.state(now),
        "release": found.drawn,
        "document": document.shown_to(who.organisation, everywhere=everywhere(who)),
        "approvals": [
            {
                "part": each.part,
                "organisation": each.organisation,
                "handle": each.handle,
                "approved_at": each.approved_at,
                "method": each.method,
            }
            for each in found.approvals
            if each.organisation not in hidden
        ],
        "missing": [{"part": part, "organisation": name or None} for part, name in found.missing if name not in hidden],
        "complete": not found.missing,
        "may_approve_as": list(_parts(found, who, now)),
    }


def _parts(found: StoredDraft, who: Principal, now: int) -> Iterable[Part]:
    """Yield the parts in which somebody could approve now: for the page; the worker decides."""
    if found.state(now) not in ("open", "approved") or any(each.handle == who.handle for each in found.approvals):
        return
    for part, name in found.missing:
        if part == "steward" and "steward" in who.roles and name == who.organisation:
            yield part
        watches = everywhere(who) or who.organisation == found.document.organisation
        if part == "privacy_officer" and "privacy_officer" in who.roles and watches:
            yield part


def _sees(connection: Connection, who: Principal, row: Row[Any]) -> bool:
    party = models.release_draft_party
    theirs = select(party.c.digest).where(party.c.digest == row.digest, party.c.organisation == who.organisation)
    return everywhere(who) or connection.execute(theirs).first() is not None


def _stored(connection: Connection, row: Row[Any], now: int) -> StoredDraft:
    try:
        document = parse_draft(row.document.encode("utf-8"))
    except DraftDocumentError:
        raise NotFoundError from None
    if (document.digest, document.draft, document.number) != (row.digest, row.draft, row.number):
        raise NotFoundError  # somebody changed the row: this document was never drafted
    drafts, approval, end = models.release_draft, models.release_approval, models.release_draft_end
    later = select(drafts.c.digest).where(drafts.c.draft == row.draft, drafts.c.number > row.number)
    drawn = select(release_table.c.release_id).where(
        release_table.c.release_id == document.release, release_table.c.released_at <= now
    )
    said = select(*(column for column in approval.c if column.name != "digest")).where(approval.c.digest == row.digest)
    approvals = connection.execute(said.order_by(approval.c.part, approval.c.organisation))
    return StoredDraft(
        document=document,
        sequence=row.sequence,
        approvals=tuple(Approval(**each._mapping) for each in approvals),
        latest=connection.execute(later).first() is None,
        ended_at=connection.scalar(select(end.c.ended_at).where(end.c.draft == row.draft)),
        drawn=connection.scalar(drawn),
    )


def _tell(connection: Connection, now: int, by: str, action: str, organisation: str, document: DraftDocument) -> None:
    events.record(
        connection,
        now,
        actor=by,
        action=action,
        organisation=organisation,
        object_kind="release-draft",
        object_id=document.draft,
    )
