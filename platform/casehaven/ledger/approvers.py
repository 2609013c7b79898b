"""The people who may approve a raise of a cap: named with the ledger, and changed by two of them only (privacy rule 19).

1. They are named when the ledger is made, at least two people with a key each, or none: then no cap of the ledger is ever raised.
2. Another set takes the place of the present one when two of the present one approve it. The request names the set that it replaces by its SHA-256, so it is
   good once. A raise is checked against the set that the ledger holds, whatever the trust store of its caller says.
3. A ledger that was made by an earlier version has no set. Its first one is named by two of the people in it, and the statement says for good that they were
   named later.
4. Every set is in the chain, in the anchor and, by fingerprints, in the public statement.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from sqlalchemy import Connection, insert, select

from casehaven.ledger import models
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.anchored import stored_state
from casehaven.ledger.chain import append
from casehaven.ledger.errors import BudgetRaiseError, DamagedLedgerError
from casehaven.ledger.two_people import APPROVERS, TEXT_LIMIT, TwoPersonApproval, TwoPersonRequest, two_people
from casesynth.canonical import JsonFaultError, canonical_json, parse_json
from casesynth.signing import (
    PublicKey,
    PublicKeyError,
    SigningKey,
    TrustedSigner,
    TrustStore,
    TrustStoreError,
    verify_raise,
)

MOST = 32
"""People in a set."""


@dataclass(frozen=True, kw_only=True)
class ApproverSet:
    """The people who may approve, as they were named."""

    number: int
    """1 for the first set of a ledger."""
    people: TrustStore
    """Names and keys; none: nothing is ever approved."""
    request_sha256: str
    """Of the request that two approved; empty when the ledger was made."""
    approved_by: tuple[str, ...]
    """Fingerprints of the two."""
    reason: str
    named_at: str
    """UTC, ISO 8601."""

    def digest(self) -> str:
        """SHA-256 of the people: what a request names that replaces them."""
        return people_digest(self.people)


@dataclass(frozen=True, kw_only=True)
class ApproverRequest(TwoPersonRequest):
    """Who is to approve from now on, in whose place, and why."""

    FORMAT: ClassVar = "casehaven-budget-approvers/1"
    ERROR: ClassVar = BudgetRaiseError

    number: str
    """Random, 32 hexadecimal digits."""
    created: str
    """Day, ISO 8601."""
    ledger: str
    """Id of the ledger."""
    replaces: str
    """SHA-256 of the present set; `none` where an earlier version named nobody."""
    people: tuple[tuple[str, str], ...]
    """Names and public keys."""
    reason: str
    """It is published."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "people" and (
                not isinstance(value, str) or not value.strip() or len(value) > TEXT_LIMIT or not value.isprintable()
            ):
                raise BudgetRaiseError(
                    f"the request needs a {field.name}: printable text of at most {TEXT_LIMIT} characters on one line"
                )
        self.store()

    @staticmethod
    def draw_up(*, ledger: str, present: ApproverSet | None, people: TrustStore, reason: str) -> ApproverRequest:
        """Return a request of today with a number of its own.

        Raises:
            BudgetRaiseError: it asks for what is never done.
        """
        return ApproverRequest(
            number=secrets.token_hex(16),
            created=datetime.now(UTC).date().isoformat(),
            ledger=ledger,
            replaces="none" if present is None else present.digest(),
            people=tuple((signer.name, signer.public_key.text) for signer in people.signers),
            reason=reason,
        )

    @classmethod
    def of_fields(cls, values: dict[str, Any]) -> Self:
        """Return the request with these fields, in the form of the JSON."""
        people = values["people"]
        if not isinstance(people, list) or not all(isinstance(each, list) and len(each) == 2 for each in people):
            raise BudgetRaiseError("the people of a request are pairs of a name and a public key")
        return cls(**{**values, "people": tuple((name, key) for name, key in people)})

    def store(self) -> TrustStore:
        """The people, checked."""
        if not APPROVERS <= len(self.people) <= MOST:
            raise BudgetRaiseError(f"{APPROVERS} to {MOST} people may approve, got {len(self.people)}")
        return people_of([list(each) for each in self.people])


class ApproverApproval(TwoPersonApproval[ApproverRequest]):
    """One person's signature over a request about who approves."""

    FORMAT: ClassVar = "casehaven-budget-approvers-approval/1"

    @staticmethod
    def sign(key: SigningKey, request: bytes) -> bytes:
        """Sign with the prefix of requests about caps; the format of the request tells the two kinds apart."""
        return key.sign_raise(request)

    def verify(self) -> None:
        """Check the signature."""
        verify_raise(self.public_key, self.signature, self.request.to_bytes())


def check_people(people: TrustStore) -> TrustStore:
    """Return a set that may be named when a ledger is made: nobody, or people enough.

    Raises:
        BudgetRaiseError: it is one person, or too many.
    """
    if people.signers and not APPROVERS <= len(people.signers) <= MOST:
        raise BudgetRaiseError(f"{APPROVERS} to {MOST} people may approve, or nobody, got {len(people.signers)}")
    return people


def people_json(people: TrustStore) -> str:
    """Return names and keys as canonical JSON."""
    return canonical_json([[signer.name, signer.public_key.text] for signer in people.signers]).decode("utf-8")


def people_digest(people: TrustStore) -> str:
    """Return the SHA-256 of names and keys."""
    return hashlib.sha256(people_json(people).encode("utf-8")).hexdigest()


def people_of(pairs: Sequence[Any]) -> TrustStore:
    """Return names and keys of a request, checked.

    Raises:
        BudgetRaiseError: one of them is not, or is there twice.
    """
    try:
        return TrustStore(
            signers=tuple(TrustedSigner(name=name, public_key=PublicKey.parse(key)) for name, key in pairs)
        )
    except (PublicKeyError, TrustStoreError, TypeError, ValueError, AttributeError) as error:
        said = str(error) if isinstance(error, TrustStoreError) else "a name or a public key is not written as one"
        raise BudgetRaiseError(f"the people who approve: {said}") from None


def stored_sets(connection: Connection) -> tuple[ApproverSet, ...]:
    """Return every set, oldest first; the last one counts.

    Raises:
        DamagedLedgerError: the ledger holds what it never wrote.
    """
    rows = connection.execute(select(models.approvers).order_by(models.approvers.c.number))
    try:
        return tuple(
            ApproverSet(
                number=row.number,
                people=people_of(_pairs(row.people)),
                request_sha256=row.request_sha256,
                approved_by=tuple(row.approved_by.split()),
                reason=row.reason,
                named_at=row.named_at,
            )
            for row in rows
        )
    except (BudgetRaiseError, JsonFaultError):
        raise DamagedLedgerError("the ledger is damaged: it holds approvers that it never wrote") from None


def _pairs(people: str) -> Sequence[Any]:
    stored = parse_json(people.encode("utf-8"), "the approvers")
    return stored if isinstance(stored, list) else ["damaged"]


def present_set(connection: Connection) -> ApproverSet | None:
    """Return the people who may approve now; None for a ledger of an earlier version that names nobody."""
    sets = stored_sets(connection)
    return sets[-1] if sets else None


def write_first(connection: Connection, people: TrustStore, now: str) -> None:
    """Write the set that a ledger is made with."""
    _write(connection, 1, people, "", (), "named when the ledger was made", now)


def rename(
    connection: Connection, anchor: LedgerAnchor, approvals: Sequence[ApproverApproval], now: str
) -> ApproverRequest:
    """Put another set in the place of the present one, in the ledger and in its anchor (rules 2 and 3).

    Raises:
        BudgetRaiseError: two people of the present set did not approve it, or it does not fit this ledger; nothing changed.
        BadSignatureError: a signature does not fit.
    """
    present = present_set(connection)
    if present is not None:
        known = present.people
    elif approvals:
        known = approvals[0].request.store()
    else:
        known = TrustStore()
    request, signers = two_people(
        approvals, known, BudgetRaiseError, what="a change of those who approve", unknown="one of those who may"
    )
    ledger_id = connection.scalar(select(models.ledger.c.ledger_id))
    if request.ledger != ledger_id:
        raise BudgetRaiseError(f"the request is of another ledger; this one is {ledger_id}")
    if request.replaces != ("none" if present is None else present.digest()):
        raise BudgetRaiseError("the request replaces another set than the present one; a new request is needed")
    number = 1 if present is None else present.number + 1
    by = tuple(sorted(signer.public_key.fingerprint for signer in signers))
    _write(connection, number, request.store(), request.digest(), by, request.reason, now)
    append(connection, f"approvers {request.digest()}")
    anchor.raise_state(stored_state(connection))
    return request


def _write(
    connection: Connection, number: int, people: TrustStore, digest: str, by: Sequence[str], reason: str, now: str
) -> None:
    connection.execute(
        insert(models.approvers).values(
            number=number,
            request_sha256=digest,
            people=people_json(people),
            approved_by=" ".join(by),
            reason=reason,
            named_at=now,
        )
    )
