"""The packet of escrow: an organisation's keys, sealed so that m of n custodians open them together.

1. The head says in the clear whose keys these are, of which epoch, who the custodians are and how many are needed. It is bound to everything that is
   sealed in the packet: with one letter changed nothing opens.
2. `body` is the keys, sealed with the escrow key. `shares` are one envelope for each custodian: the shares of the escrow key, one after the other.
3. The packet is no secret: with fewer than m custodians it opens nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from casehaven.vault.context import SealContext
from casehaven.vault.custodian import Custodian
from casehaven.vault.errors import EscrowError
from casehaven.vault.escrow_fields import ID, SHA256, from_text, match, moment, parsed, text, whole
from casehaven.vault.keystore_file import EPOCH_NAME, ORGANISATION_NAME
from casehaven.vault.shares import Sharing
from casesynth.canonical import JsonValue, canonical_json

PACKET_FORMAT: Final = "casehaven-escrow/1"


@dataclass(frozen=True, kw_only=True)
class EscrowPacket:
    """Keys in escrow. The packet is no secret; with fewer than m custodians it opens nothing."""

    packet_id: str
    """32 hexadecimal digits."""
    keystore_id: str
    """Of the keystore that the keys are from."""
    organisation: str
    """Whose keys."""
    epoch: str
    """The epoch whose key is in it."""
    created_at: str
    """When, in UTC."""
    threshold: int
    """m."""
    custodians: tuple[Custodian, ...]
    """All n, in the order of their numbers."""
    digests: tuple[tuple[str, ...], ...]
    """Digests of each custodian's shares."""
    shares: tuple[bytes, ...] = ()
    """Envelopes, one for each custodian."""
    body: bytes = b""
    """The keys, sealed with the escrow key."""

    def __post_init__(self) -> None:
        sharing = self.sharing
        for what in ("name", "organisation", "public_key"):
            if len({getattr(custodian, what) for custodian in self.custodians}) != len(self.custodians):
                raise EscrowError(f"two custodians have the same {what.replace('_', ' ')}; each must differ")
        if not ORGANISATION_NAME.fullmatch(self.organisation) or not EPOCH_NAME.fullmatch(self.epoch):
            raise EscrowError("an escrow packet names no organisation and epoch")
        if [len(d) for d in self.digests] != [len(sharing.groups_of(h)) for h in range(sharing.holders)]:
            raise EscrowError("an escrow packet has the wrong number of shares")

    @property
    def sharing(self) -> Sharing:
        """m of n."""
        return Sharing(holders=len(self.custodians), threshold=self.threshold)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who is told of every step."""
        return (*(named(custodian) for custodian in self.custodians), self.organisation)

    def number_of(self, public_key: bytes) -> int:
        """The number of the custodian with this public key.

        Raises:
            EscrowError: there is none.
        """
        for number, custodian in enumerate(self.custodians):
            if custodian.public_key == public_key:
                return number
        raise EscrowError("this key is of no custodian of the packet")

    def _head(self) -> dict[str, JsonValue]:
        return {
            "format": PACKET_FORMAT,
            "packet_id": self.packet_id,
            "keystore_id": self.keystore_id,
            "organisation": self.organisation,
            "epoch": self.epoch,
            "created_at": self.created_at,
            "threshold": self.threshold,
            "custodians": [
                {"name": c.name, "organisation": c.organisation, "public_key": text(c.public_key)}
                for c in self.custodians
            ],
            "digests": [list(each) for each in self.digests],
        }

    def context(self, number: int) -> SealContext:
        """Of a custodian's shares, numbered from 1; of the keys with number 0. It binds all of the packet's head."""
        return SealContext(
            kind="escrow",
            organisation=self.organisation,
            dataset=self.keystore_id,
            version=number,
            object_id=self.packet_id,
            schema=hashlib.sha256(canonical_json(self._head())).hexdigest(),
        )

    def to_bytes(self) -> bytes:
        """The content of a packet's file."""
        return canonical_json({**self._head(), "shares": [text(s) for s in self.shares], "body": text(self.body)})

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def parse_packet(unverified: bytes) -> EscrowPacket:
    """Read a packet's file.

    Raises:
        EscrowError: it is none.
    """
    head = "packet_id keystore_id organisation epoch created_at threshold custodians digests"
    fields = parsed(unverified, PACKET_FORMAT, f"{head} shares body", "escrow packet")
    try:
        packet = EscrowPacket(
            packet_id=match(ID, fields["packet_id"]),
            keystore_id=match(ID, fields["keystore_id"]),
            organisation=str(fields["organisation"]),
            epoch=str(fields["epoch"]),
            created_at=moment(fields["created_at"]),
            threshold=whole(fields["threshold"]),
            custodians=tuple(_custodian(each) for each in fields["custodians"]),
            digests=tuple(tuple(match(SHA256, d) for d in each) for each in fields["digests"]),
            shares=tuple(from_text(each) for each in fields["shares"]),
            body=from_text(fields["body"]),
        )
        if len(packet.shares) != len(packet.custodians):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise EscrowError("the file is not an escrow packet, or was changed") from None
    return packet


def _custodian(fields: Any) -> Custodian:
    if set(fields) != {"name", "organisation", "public_key"}:
        raise ValueError
    return Custodian(
        name=str(fields["name"]), organisation=str(fields["organisation"]), public_key=from_text(fields["public_key"])
    )


def named(custodian: Custodian) -> str:
    return f"{custodian.name}, {custodian.organisation}"
