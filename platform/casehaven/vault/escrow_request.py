"""A request to open an escrow packet, and a custodian's answer to it.

1. A request says who asks, why, and from when until when it may be answered and opened: at most 14 days.
2. It carries a public key that was made for it. An answer is sealed to that key, in the context of this very request.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from casehaven.vault.context import SealContext
from casehaven.vault.errors import EscrowError, EscrowExpiredError
from casehaven.vault.escrow_fields import ID, SHA256, from_text, match, moment, parse_time, parsed, text, whole
from casehaven.vault.keystore_file import ORGANISATION_NAME
from casehaven.vault.sealed import KEY_BYTES
from casesynth.canonical import canonical_json

REQUEST_FORMAT: Final = "casehaven-escrow-request/1"
ANSWER_FORMAT: Final = "casehaven-escrow-answer/1"
OPEN_FOR_MAX: Final = timedelta(days=14)
REASON_MAX: Final = 500


@dataclass(frozen=True, kw_only=True)
class EscrowRequest:
    """Somebody asks custodians to open a packet."""

    request_id: str
    """32 hexadecimal digits."""
    packet_sha256: str
    """Of the packet's file."""
    organisation: str
    """Whose keys."""
    requester: str
    """Who asks."""
    reason: str
    """Why; custodians read it. It must not name or describe a person in the records."""
    opens_from: str
    """First moment at which it may be answered and opened."""
    opens_until: str
    """End of that time."""
    public_key: bytes
    """The requester's, for the answers."""

    def __post_init__(self) -> None:
        for what, given in (("requester", self.requester), ("reason", self.reason)):
            if not 1 <= len(given) <= REASON_MAX or not given.isprintable() or given != given.strip():
                raise EscrowError(f"the {what} of a request has 1 to {REASON_MAX} printable characters")
        if not timedelta(0) < parse_time(self.opens_until) - parse_time(self.opens_from) <= OPEN_FOR_MAX:
            raise EscrowError(f"a request may be open for at most {OPEN_FOR_MAX.days} days")
        if len(self.public_key) != KEY_BYTES:
            raise EscrowError("a request has no public key for the answers")

    def to_bytes(self) -> bytes:
        """The content of a request's file."""
        return canonical_json(
            {
                "format": REQUEST_FORMAT,
                "request_id": self.request_id,
                "packet_sha256": self.packet_sha256,
                "organisation": self.organisation,
                "requester": self.requester,
                "reason": self.reason,
                "opens_from": self.opens_from,
                "opens_until": self.opens_until,
                "public_key": text(self.public_key),
            }
        )

    @property
    def sha256(self) -> str:
        """Of the file: requester and custodians compare its beginning by voice."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def context(self, number: int) -> SealContext:
        """Of the answer of a custodian, numbered from 1."""
        return SealContext(
            kind="escrow",
            organisation=self.organisation,
            dataset=self.packet_sha256,
            version=number,
            object_id=self.sha256,
            schema=ANSWER_FORMAT,
        )

    def check_time(self, now: datetime) -> None:
        """Check that the request may be answered or opened now.

        Raises:
            EscrowExpiredError: its time has not begun, or is over.
        """
        if now < parse_time(self.opens_from):
            raise EscrowExpiredError(f"the request may be answered and opened from {self.opens_from} on")
        if now >= parse_time(self.opens_until):
            raise EscrowExpiredError(f"the request's time was over at {self.opens_until}; a new request is needed")


def parse_request(unverified: bytes) -> EscrowRequest:
    """Read a request's file.

    Raises:
        EscrowError: it is none.
    """
    names = "request_id packet_sha256 organisation requester reason opens_from opens_until public_key"
    fields = parsed(unverified, REQUEST_FORMAT, names, "escrow request")
    try:
        return EscrowRequest(
            request_id=match(ID, fields["request_id"]),
            packet_sha256=match(SHA256, fields["packet_sha256"]),
            organisation=match(ORGANISATION_NAME, fields["organisation"]),
            requester=str(fields["requester"]),
            reason=str(fields["reason"]),
            opens_from=moment(fields["opens_from"]),
            opens_until=moment(fields["opens_until"]),
            public_key=from_text(fields["public_key"]),
        )
    except (TypeError, ValueError):
        raise EscrowError("the file is not an escrow request, or was changed") from None


@dataclass(frozen=True, kw_only=True)
class EscrowAnswer:
    """A custodian's shares, sealed to the requester."""

    request_sha256: str
    """Of the request's file."""
    number: int
    """Of the custodian in the packet, from 0."""
    shares: bytes
    """An envelope to the request's key."""

    def to_bytes(self) -> bytes:
        """The content of an answer's file."""
        return canonical_json(
            {
                "format": ANSWER_FORMAT,
                "request_sha256": self.request_sha256,
                "number": self.number,
                "shares": text(self.shares),
            }
        )


def parse_answer(unverified: bytes) -> EscrowAnswer:
    """Read an answer's file.

    Raises:
        EscrowError: it is none.
    """
    fields = parsed(unverified, ANSWER_FORMAT, "request_sha256 number shares", "escrow answer")
    try:
        return EscrowAnswer(
            request_sha256=match(SHA256, fields["request_sha256"]),
            number=whole(fields["number"]),
            shares=from_text(fields["shares"]),
        )
    except (TypeError, ValueError):
        raise EscrowError("the file is not an escrow answer, or was changed") from None
