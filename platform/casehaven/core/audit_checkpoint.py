"""Checkpoints: what the audit log was at a fixed time, in one signed note that anybody outside can keep.

1. A checkpoint is a C2SP tlog-checkpoint in a C2SP signed note: the log's origin, the size of a Merkle tree (RFC 6962, SHA-256), its root, and an
   Ed25519 signature. Whoever holds one can tell later whether anything before it was changed, dropped or moved.
2. Checkpoints are made for the end of each period and for no other moment, and every period adds the same number of leaves to the tree (privacy rule
   36): neither the note nor its date says how much happened.
3. The leaves of a period are those of its entries, in order. Free places are filled with HMACs that only the key tells from real ones. When there are more
   entries than places, the last leaf stands for all that are left over. A checkpoint covers every entry of its periods.
4. The number of leaves is a power of two, so that a period is a whole branch of the tree, and its root is all that later roots need of it.
5. Signing is deterministic: the checkpoint of a period is the same bytes whenever it is written out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, select

from casehaven.core.audit import (
    AuditError,
    AuditLog,
    AuditLogMissingError,
    Clock,
    keyed_digest,
    now,
    parse_timestamp,
    timestamp,
)
from casehaven.core.audit_models import audit, audit_checkpoint, audit_log

NOTE_LIMIT = 16_384
"""Bytes of a note that are read at most."""

_PADDING = b"casehaven-audit-padding/1"
_OVERFLOW = b"casehaven-audit-overflow/1"
_ED25519 = b"\x01"
_DASH = "\u2014 "


class CheckpointError(AuditError):
    """A file that is no checkpoint of this log, or whose signature is not this vault's."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A log of so many leaves with this root."""

    origin: str
    """Whose log."""
    size: int
    """Leaves in the tree."""
    root: bytes
    """The tree's root, 32 bytes."""

    @property
    def text(self) -> str:
        """The text that is signed (rule 1).

        >>> Checkpoint(origin="casehaven/demo", size=8, root=bytes(32)).text.splitlines()
        ['casehaven/demo', '8', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=']
        """
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


@dataclass(frozen=True, kw_only=True)
class NoteKey:
    """A public key that signs notes under a name."""

    name: str
    """Without spaces or plus signs; here the log's origin."""
    public_key: bytes
    """32 bytes, Ed25519."""

    @property
    def key_id(self) -> bytes:
        """The four bytes that stand before each signature."""
        return hashlib.sha256(self.name.encode("utf-8") + b"\n" + _ED25519 + self.public_key).digest()[:4]

    @property
    def text(self) -> str:
        """The key as a line that other programs read."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public_key).decode('ascii')}"


def sign_note(body: str, name: str, private: Ed25519PrivateKey) -> str:
    """Sign a text that ends in a newline; the result is the whole note."""
    key = NoteKey(name=name, public_key=private.public_key().public_bytes_raw())
    signature = base64.b64encode(key.key_id + private.sign(body.encode("utf-8"))).decode("ascii")
    return f"{body}\n{_DASH}{name} {signature}\n"


def verify_note(unverified: str, key: NoteKey) -> str:
    """Return the text of a note that this key signed; signatures by others are passed over.

    Raises:
        CheckpointError: it is no note, or this key did not sign it.
    """
    body, divider, signatures = unverified.rpartition("\n\n")
    lines = signatures.split("\n")
    if not divider or lines[-1] or not lines[:-1] or not all(line.startswith(_DASH) for line in lines[:-1]):
        raise CheckpointError("this is not a signed note: expected a text, an empty line and signatures")
    body += "\n"
    for line in lines[:-1]:
        name, _, written = line.removeprefix(_DASH).partition(" ")
        try:
            signature = base64.b64decode(written, validate=True)
        except (binascii.Error, ValueError):
            raise CheckpointError("a signature of the note is not base64") from None
        if name != key.name or not hmac.compare_digest(signature[:4], key.key_id):
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature[4:], body.encode("utf-8"))
        except InvalidSignature:
            raise CheckpointError("the note was changed after it was signed") from None
        return body
    raise CheckpointError(f"the note has no signature by {key.name} with this vault's key")


def parse_checkpoint(unverified: bytes, key: NoteKey) -> Checkpoint:
    """Read a checkpoint that this key signed.

    Raises:
        CheckpointError: anything about it is wrong.
    """
    try:
        note = unverified[: NOTE_LIMIT + 1].decode("utf-8")
    except UnicodeDecodeError:
        raise CheckpointError("a checkpoint is a text in UTF-8") from None
    if len(unverified) > NOTE_LIMIT:
        raise CheckpointError(f"a checkpoint has at most {NOTE_LIMIT} bytes")
    origin, size, root, *_ = [*verify_note(note, key).split("\n"), "", "", ""]
    if origin != key.name:
        raise CheckpointError("the checkpoint is of another log")
    try:
        decoded = base64.b64decode(root, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not size.isascii() or not size.isdecimal() or str(int(size)) != size or len(decoded) != 32:
        raise CheckpointError("the checkpoint has no size and root")
    return Checkpoint(origin=origin, size=int(size), root=decoded)


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf, RFC 6962."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node, RFC 6962."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def merkle_root(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves, or of equal whole branches (rule 4).

    >>> merkle_root([]) == hashlib.sha256(b"").digest()
    True
    """
    level = list(hashes)
    if not level:
        return hashlib.sha256(b"").digest()
    while len(level) > 1:  # an odd one at the end rises unchanged: RFC 6962 cuts at the largest power of two
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(level) - len(level) % 2 :]
    return level[0]


def merkle_roots(hashes: Iterable[bytes]) -> Iterator[bytes]:
    """The root after each of the hashes; what `merkle_root` says of each beginning, without starting over.

    >>> hashes = [leaf_hash(bytes([i])) for i in range(5)]
    >>> [*merkle_roots(hashes)] == [merkle_root(hashes[: i + 1]) for i in range(5)]
    True
    """
    branches: list[tuple[int, bytes]] = []  # whole branches, each smaller than the one before it: size and root
    for one in hashes:
        size, root = 1, one
        while branches and branches[-1][0] == size:
            size, root = 2 * size, node_hash(branches.pop()[1], root)
        branches.append((size, root))
        for _, left in reversed(branches[:-1]):
            root = node_hash(left, root)
        yield root


def period_root(key: bytes, period: int, places: int, leaves: Sequence[bytes]) -> bytes:
    """The root of a period's branch: its entries' leaves, padded to the fixed number of places (rule 3)."""
    filled = list(leaves)
    if len(filled) > places:
        filled = [*filled[: places - 1], keyed_digest(key, _OVERFLOW, str(period).encode(), *filled[places - 1 :])]
    padding = (keyed_digest(key, _PADDING, f"{period}/{place}".encode()) for place in range(len(filled), places))
    return merkle_root([leaf_hash(leaf) for leaf in (*filled, *padding)])


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """How a log counts time; fixed when it begins."""

    origin: str
    """First line of every checkpoint, and the name of the key that signs it."""
    started_at: str
    """Start of period 0."""
    period_seconds: int
    """Length of a period."""
    leaves_per_period: int
    """Leaves that a period adds to the tree."""

    @staticmethod
    def read(connection: Connection) -> LogSettings:
        """Read them.

        Raises:
            AuditLogMissingError: the database has none.
        """
        row = connection.execute(select(audit_log)).first()
        if row is None:
            raise AuditLogMissingError("the database has no audit log; it was not created as a vault's")
        return LogSettings(
            origin=row.origin,
            started_at=row.started_at,
            period_seconds=row.period_seconds,
            leaves_per_period=row.leaves_per_period,
        )

    def end_of(self, period: int) -> str:
        """When a period ends; an entry of that very second is in the next one.

        >>> LogSettings(origin="x", started_at="2026-01-01T00:00:00Z", period_seconds=86400, leaves_per_period=4).end_of(0)
        '2026-01-02T00:00:00Z'
        """
        return timestamp(parse_timestamp(self.started_at) + timedelta(seconds=self.period_seconds * (period + 1)))

    def checkpoint(self, period_roots: Sequence[bytes]) -> Checkpoint:
        """The checkpoint after these periods."""
        size = len(period_roots) * self.leaves_per_period
        return Checkpoint(origin=self.origin, size=size, root=merkle_root(period_roots))


@dataclass(frozen=True, kw_only=True)
class ClosedPeriod:
    """A period that is over, as the database has it."""

    period: int
    next_position: int
    """Position of the first entry after it."""
    root: bytes
    """Root of its branch."""
    note: str
    """The signed checkpoint for its end."""


def closed_periods(connection: Connection) -> list[ClosedPeriod]:
    """Read all closed periods, in order."""
    rows = connection.execute(select(audit_checkpoint).order_by(audit_checkpoint.c.period))
    return [
        ClosedPeriod(period=r.period, next_position=r.next_position, root=bytes(r.period_root), note=r.note)
        for r in rows
    ]


def close_periods(
    connection: Connection, log: AuditLog, private: Ed25519PrivateKey, *, clock: Clock = now
) -> ClosedPeriod | None:
    """Close every period that is over, and return the last closed one; None when the first is still open.

    The transaction must be one that writes: no entry may come into a period while it is closed.
    """
    settings, closed = LogSettings.read(connection), closed_periods(connection)
    present = timestamp(clock())
    while settings.end_of(len(closed)) <= present:
        period, end = len(closed), settings.end_of(len(closed))
        start = closed[-1].next_position if closed else 0
        rows = connection.execute(
            select(audit.c.position, audit.c.leaf)
            .where(audit.c.position >= start, audit.c.at < end)
            .order_by(audit.c.position)
        ).all()
        root = period_root(log.key, period, settings.leaves_per_period, [bytes(row.leaf) for row in rows])
        after = rows[-1].position + 1 if rows else start
        closed.append(add_period(connection, settings, closed, root, after, private))
    return closed[-1] if closed else None


def add_period(
    connection: Connection,
    settings: LogSettings,
    closed: Iterable[ClosedPeriod],
    root: bytes,
    next_position: int,
    private: Ed25519PrivateKey,
) -> ClosedPeriod:
    """Store the next closed period, whose root is known, with its signed checkpoint."""
    roots = [*(one.root for one in closed), root]
    note = sign_note(settings.checkpoint(roots).text, settings.origin, private)
    added = ClosedPeriod(period=len(roots) - 1, next_position=next_position, root=root, note=note)
    connection.execute(
        audit_checkpoint.insert().values(period=added.period, next_position=next_position, period_root=root, note=note)
    )
    return added
