"""The life of an agreement: proposed, signed by each contributor, in force, replaced, expired, revoked.

1. A steward of a contributor proposes a document. It is in force when a steward of each contributor has signed it, until its last day is over or a contributor revokes the agreement.
2. A change is a new document with the next number, which needs every signature anew. Until it has them the one before it stays in force; then it takes its place for good.
3. Only the latest document can be signed. So an old signature is worth nothing: it stands for another digest, and the digest that it stands for is over.
4. The holders of an agreement are the contributors of the document that everybody signed last, or of the latest one as long as none has every signature. They alone propose a change, see all of
   it, and revoke at once and for good. Whoever is named in another document sees that document, and signs it if it is the latest, or does not: nothing else
   is theirs. After a revocation new charges stop; drawn releases that nobody decided about are hidden; what was published, and answers that were given, stand (privacy rule 35).
5. Whoever is named as a contributor may decline a document that not everybody has signed. That ends this document for good, for everybody: it is never in force, and nobody signs it any more. What was in force before stays so, and
   the holders may propose another one. The holders see who declined. Its event is about the document's digest: the audit log knows it, whatever becomes of the row.
6. What is not there, and what is not the reader's, are refused alike.
7. The rows here are what the api knows. The worker believes none of them alone: it hashes the document itself, and looks into the vault's audit log for who signed (`casehaven.worker.pooling`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Table, insert, select

from casehaven.agreements import models
from casehaven.agreements.document import (
    AgreementDocument,
    check_against_schema,
    new_document,
    next_document,
    parse_agreement,
)
from casehaven.agreements.errors import AgreementChangedError, AgreementDocumentError
from casehaven.core.release_rows import hide_drawn
from casehaven.organisations import events
from casehaven.organisations.access import Operation, Principal, require
from casehaven.organisations.errors import NotFoundError
from caseschemas import CaseSchema

State = Literal["proposed", "declined", "in_force", "replaced", "expired", "revoked"]
Method = Literal["passkey", "second_factor"]

REVOKED: Final = "agreement.revoked"
DECLINED: Final = "agreement.declined"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One contributor's signature of a document."""

    organisation: str
    handle: str
    signed_at: int
    """Seconds since 1970, UTC."""
    method: Method
    """What the signature rests on: a passkey's assertion over the digest, or a second factor that the session had given."""
    assertion: str | None = None
    """JSON."""


@dataclass(frozen=True, kw_only=True)
class Decline:
    """A contributor who declined a document."""

    organisation: str
    handle: str
    declined_at: int
    """Seconds since 1970, UTC."""


@dataclass(frozen=True, kw_only=True)
class StoredDocument:
    """A document with what became of it."""

    document: AgreementDocument
    proposed_by: str
    """A handle."""
    organisation: str
    """The proposer's."""
    proposed_at: int
    signatures: tuple[Signature, ...]
    """By organisation."""
    declines: tuple[Decline, ...] = ()
    """By organisation; one is enough to end it (rule 5)."""

    @property
    def signed(self) -> bool:
        """Whether every contributor signed it, and none declined."""
        return not self.declines and {each.organisation for each in self.signatures} >= set(self.document.contributors)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """An agreement with its documents, oldest first."""

    documents: tuple[StoredDocument, ...]
    revoked_at: int | None
    revoked_by: str | None
    """The organisation."""

    @property
    def latest(self) -> StoredDocument:
        """The last one that was proposed."""
        return self.documents[-1]

    @property
    def standing(self) -> StoredDocument | None:
        """The last one that everybody signed; None where there is none. It may have expired."""
        return next((each for each in reversed(self.documents) if each.signed), None)

    def in_force(self, now: int) -> AgreementDocument | None:
        """Return the document that counts now (rules 1 and 2); None where none does."""
        standing = self.standing
        if self.revoked_at is not None or standing is None or standing.document.expired(now):
            return None
        return standing.document

    def state(self, of: StoredDocument, now: int) -> State:
        """Return what is true of one document."""
        if self.revoked_at is not None:
            return "revoked"
        standing = self.standing
        if standing is not None and of.document.number < standing.document.number:
            return "replaced"
        if of.declines:
            return "declined"
        if of.document.expired(now):
            return "expired"
        return "in_force" if of is standing else "proposed" if of is self.latest else "replaced"

    def contributes(self, organisation: str) -> bool:
        """Whether an organisation is a holder (rule 4)."""
        return organisation in (self.standing or self.latest).document.contributors

    def shown_to(self, organisation: str) -> tuple[StoredDocument, ...]:
        """Return the documents that an organisation sees: a holder all, others those that name them as a contributor."""
        holds = self.contributes(organisation)
        return tuple(each for each in self.documents if holds or organisation in each.document.contributors)


def propose(
    connection: Connection,
    now: int,
    principal: Principal,
    terms: Mapping[str, Any],
    *,
    schema: CaseSchema,
    people_caps: Mapping[str, int],
    agreement: str | None = None,
) -> AgreementDocument:
    """Propose an agreement, or a change of one.

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        principal: who proposes.
        terms: see `new_document`.
        schema: of the datasets, as the worker published it.
        people_caps: of every dataset that the terms name and the worker published.
        agreement: which one is changed; None for a new one.

    Raises:
        AgreementDocumentError: the terms are not complete, contradict each other, or do not fit the datasets.
        NotFoundError: there is no such agreement for the principal, they hold it not (rule 4), or it was revoked.
        ForbiddenError, StepUpNeededError: see `require`.
    """
    require(principal, Operation.AGREEMENT_PROPOSE, principal.organisation)
    if agreement is None:
        document = new_document(terms)
    else:
        before = agreement_for(connection, agreement, principal.organisation)
        if before.revoked_at is not None or not before.contributes(principal.organisation):
            raise NotFoundError
        document = next_document(terms, before.latest.document)
    if principal.organisation not in document.contributors:
        raise AgreementDocumentError("/contributions: expected a dataset of the organisation that proposes")
    check_against_schema(document, schema, people_caps)
    if document.expired(now):
        raise AgreementDocumentError("/expires: expected a day to come")
    digest = document.digest
    connection.execute(
        insert(models.agreement_document).values(
            digest=digest,
            agreement=document.agreement,
            number=document.number,
            document=document.to_bytes().decode("utf-8"),
            proposed_by=principal.handle,
            organisation=principal.organisation,
            proposed_at=now,
        )
    )
    parts = [
        *((name, "contributor") for name in document.contributors),
        *((name, "reader") for name in document.readers),
    ]
    connection.execute(
        insert(models.agreement_party),
        [{"digest": digest, "organisation": name, "part": part} for name, part in parts],
    )
    _tell(connection, now, principal.handle, "agreement.proposed", principal.organisation, document.agreement)
    return document


def to_sign(connection: Connection, now: int, agreement: str, digest: str, organisation: str) -> AgreementDocument:
    """Return the document that an organisation may sign under a digest, hashed anew (rule 3).

    Raises:
        NotFoundError: there is no such agreement for the organisation.
        AgreementChangedError: the digest is not of the latest document, or that is over.
    """
    found = agreement_for(connection, agreement, organisation)
    document = found.latest.document
    if document.digest != digest or found.revoked_at is not None or document.expired(now) or found.latest.declines:
        raise AgreementChangedError
    if organisation not in document.contributors:
        raise NotFoundError
    return document


def add_signature(connection: Connection, document: AgreementDocument, signature: Signature) -> None:
    """Write down a signature that the worker found to hold; does nothing where the organisation has signed this document."""
    table = models.agreement_signature
    mine = (table.c.digest == document.digest, table.c.organisation == signature.organisation)
    if connection.execute(select(table.c.handle).where(*mine)).first() is None:
        connection.execute(insert(table).values(digest=document.digest, **vars(signature)))
        _tell(
            connection,
            signature.signed_at,
            signature.handle,
            "agreement.signed",
            signature.organisation,
            document.agreement,
        )


def decline(connection: Connection, now: int, principal: Principal, agreement: str, digest: str) -> None:
    """Decline the latest document for the principal's organisation, for good (rule 5). Done twice, it is done.

    Raises:
        NotFoundError: there is no such agreement for the principal, or the document does not name their organisation as a contributor.
        AgreementChangedError: the digest is not of the latest document, that is over, or everybody has signed it: then it is revoked instead.
        ForbiddenError, StepUpNeededError: see `require`.
    """
    require(principal, Operation.AGREEMENT_SIGN, principal.organisation)
    found = agreement_for(connection, agreement, principal.organisation)
    latest = found.latest
    if (
        any(each.organisation == principal.organisation for each in latest.declines)
        and latest.document.digest == digest
    ):
        return
    to_sign(connection, now, agreement, digest, principal.organisation)
    if latest.signed:
        raise AgreementChangedError
    connection.execute(
        insert(models.agreement_decline).values(
            digest=digest, organisation=principal.organisation, handle=principal.handle, declined_at=now
        )
    )
    _tell(connection, now, principal.handle, DECLINED, principal.organisation, digest)


def revoke(connection: Connection, now: int, principal: Principal, agreement: str) -> None:
    """Revoke an agreement for good, as of the end of this transaction (rule 4). Done twice, it is done.

    Raises:
        NotFoundError: the principal's organisation does not hold it.
        ForbiddenError, StepUpNeededError: see `require`.
    """
    require(principal, Operation.AGREEMENT_REVOKE, principal.organisation)
    found = agreement_for(connection, agreement, principal.organisation)
    if not found.contributes(principal.organisation):
        raise NotFoundError
    if found.revoked_at is not None:
        return
    connection.execute(
        insert(models.agreement_revocation).values(
            agreement=agreement, organisation=principal.organisation, handle=principal.handle, revoked_at=now
        )
    )
    hide_drawn(connection, agreement)
    _tell(connection, now, principal.handle, REVOKED, principal.organisation, agreement)


def agreement_of(connection: Connection, agreement: str) -> Agreement:
    """Return an agreement, whoever asks; every document is hashed anew.

    Raises:
        NotFoundError: there is none, or a document is not what its digest says.
    """
    table = models.agreement_document
    rows = connection.execute(select(table).where(table.c.agreement == agreement).order_by(table.c.number)).all()
    if not rows:
        raise NotFoundError
    gone = connection.execute(
        select(models.agreement_revocation).where(models.agreement_revocation.c.agreement == agreement)
    ).first()
    return Agreement(
        documents=tuple(_stored(connection, row) for row in rows),
        revoked_at=None if gone is None else gone.revoked_at,
        revoked_by=None if gone is None else gone.organisation,
    )


def agreement_for(connection: Connection, agreement: str, organisation: str) -> Agreement:
    """Return an agreement to an organisation that is, or is to be, a contributor of any of its documents (rule 6).

    Raises:
        NotFoundError: see `agreement_of`, or it is not.
    """
    if agreement not in _names(connection, organisation, ("contributor",)):
        raise NotFoundError
    return agreement_of(connection, agreement)


def agreements_of(connection: Connection, organisation: str) -> list[Agreement]:
    """Return the agreements that an organisation is a contributor of, by their names."""
    return [agreement_of(connection, name) for name in _names(connection, organisation, ("contributor",))]


def open_to(connection: Connection, now: int, handle: str, organisation: str) -> list[AgreementDocument]:
    """Return the documents in force under which a member may ask, by the agreements' names."""
    found = [agreement_of(connection, name) for name in _names(connection, organisation, ("contributor", "reader"))]
    documents = [document for each in found if (document := each.in_force(now)) is not None]
    return [document for document in documents if document.lets_ask(handle, organisation)]


def reader_view(document: AgreementDocument) -> dict[str, Any]:
    """Return what whoever may ask is shown of a document: its terms, and no contributor, no digest, no other asker."""
    attributes = sorted({name for each in document.contributions for name in each.fields if document.allows(name)})
    return {
        "agreement": document.agreement,
        "title": document.title,
        "schema_sha256": document.schema_sha256,
        "fields": {name: sorted(document.agreed(name)) or ["as_is"] for name in attributes},
        "purposes": list(document.purposes),
        "budget_nano_rho": document.budget_nano_rho,
        "people_cap": document.people_cap,
        "minimum_count": document.minimum_count,
        "max_tokens_per_person": document.max_tokens_per_person,
        "expires": document.expires,
    }


def _names(connection: Connection, organisation: str, parts: Iterable[str]) -> list[str]:
    party, document = models.agreement_party, models.agreement_document
    query = (
        select(document.c.agreement)
        .join(party, party.c.digest == document.c.digest)
        .where(party.c.organisation == organisation, party.c.part.in_(tuple(parts)))
        .distinct()
        .order_by(document.c.agreement)
    )
    return list(connection.scalars(query))


def _stored(connection: Connection, row: Any) -> StoredDocument:
    try:
        document = parse_agreement(row.document.encode("utf-8"))
    except AgreementDocumentError:
        raise NotFoundError from None
    if (document.digest, document.agreement, document.number) != (row.digest, row.agreement, row.number):
        raise NotFoundError  # somebody changed the row: this document was never proposed
    signatures = _about(connection, models.agreement_signature, row.digest)
    declines = _about(connection, models.agreement_decline, row.digest)
    return StoredDocument(
        document=document,
        proposed_by=row.proposed_by,
        organisation=row.organisation,
        proposed_at=row.proposed_at,
        signatures=tuple(Signature(**each) for each in signatures),
        declines=tuple(Decline(**each) for each in declines),
    )


def _about(connection: Connection, table: Table, digest: str) -> list[dict[str, Any]]:
    """Return what organisations said about a document, in their order."""
    said = select(*(column for column in table.c if column.name != "digest"))
    query = said.where(table.c.digest == digest).order_by(table.c.organisation)
    return [dict(row._mapping) for row in connection.execute(query)]


def _tell(connection: Connection, now: int, by: str, action: str, organisation: str, about: str) -> None:
    events.record(
        connection,
        now,
        actor=by,
        action=action,
        organisation=organisation,
        object_kind="agreement",
        object_id=about,
    )
