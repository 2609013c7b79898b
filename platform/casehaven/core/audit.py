"""The audit log: who did what to which record, and why; nobody can change it unseen.

1. An entry is written in the same transaction as what it tells of: neither exists without the other.
2. Its *leaf* is an HMAC-SHA256 over all its fields under a key that only the keystore holds. Whoever holds leaves can guess nothing from them.
3. Its *chain* is SHA-256 over the chain before it and its leaf: an entry that is changed, dropped or moved breaks every chain after it.
4. A reason may name a person, so it is sealed under the keys of the organisation, and the leaf covers its SHA-256 only. When the person is
   erased the reason goes, and the chain still holds.
5. Time never runs backwards in the log: an entry is as late as the one before it, at least.
6. Positions count from 0 without a gap. A restore from a backup loses entries, and says which: the first entry after it names the lost positions and
   the chain that they ended with (`lost`), and goes on from there.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import pwd
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Select, select, update

from casehaven.core.audit_models import audit, audit_log
from casehaven.errors import CasehavenError

PERIOD_SECONDS = 86_400
"""One day: checkpoints are for the end of each."""
LEAVES_PER_PERIOD = 1_024
"""Leaves that every period adds to a checkpoint, however many entries it had (privacy rule 36)."""

RESTORED = "vault.restore"
"""The action of the entry that follows lost entries (rule 6)."""

_LEAF = b"casehaven-audit-leaf/1"
_CHAIN = b"casehaven-audit-chain/1"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_LOST = re.compile(r"lost:(\d{1,18})-(\d{1,18}):([0-9a-f]{64})")
_WORD = re.compile(r"[a-z][a-z0-9_.-]{0,59}")
_TEXT_LIMIT = 200

Clock = Callable[[], datetime]
"""Says what time it is, in UTC."""


class AuditError(CasehavenError):
    """Root of the audit log's errors."""


class AuditEntryError(AuditError):
    """An entry that names no actor, action or object in the form that the log takes."""


class BrokenReasonError(AuditError):
    """A sealed reason does not open: it was changed, or its key is gone."""


class AuditLogMissingError(AuditError):
    """The database holds no audit log."""


@dataclass(frozen=True, kw_only=True)
class SealedReason:
    """A reason as the log stores it."""

    sealed: bytes
    """The sealed text."""
    wrapped_dek: bytes
    """Its key, wrapped under the organisation's epoch."""
    epoch: str
    """The epoch; empty for an entry of no organisation."""


class Reasons(Protocol):
    """Seals and opens reasons under the keys of an organisation."""

    def seal(self, organisation: str, position: int, reason: str) -> SealedReason:
        """Seal the reason of the entry at a position."""
        ...

    def open(self, organisation: str, position: int, sealed: SealedReason) -> str:
        """Open it again.

        Raises:
            BrokenReasonError: it does not open.
        """
        ...

    def rewrap(self, organisation: str, position: int, sealed: SealedReason) -> SealedReason:
        """Wrap its key under the organisation's present epoch."""
        ...


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One row of the log, as it was read; unverified until `audit_verify` has seen it."""

    position: int
    at: str
    actor: str
    action: str
    organisation: str
    object_kind: str
    object_id: str
    reason: SealedReason | None
    reason_sha256: bytes | None
    leaf: bytes
    chain: bytes

    def expected_leaf(self, key: bytes) -> bytes:
        """The leaf that these fields have under the log's key (rule 2)."""
        fields = (
            str(self.position),
            self.at,
            self.actor,
            self.action,
            self.organisation,
            self.object_kind,
            self.object_id,
        )
        digest = b"" if self.reason_sha256 is None else self.reason_sha256
        return keyed_digest(key, _LEAF, *(field.encode("utf-8") for field in fields), digest)

    @property
    def lost(self) -> LostEntries | None:
        """The entries that a restore lost just before this one, or None."""
        found = _LOST.fullmatch(self.object_id) if self.action == RESTORED else None
        if found is None:
            return None
        return LostEntries(first=int(found[1]), last=int(found[2]), chain=bytes.fromhex(found[3]))


@dataclass(frozen=True, kw_only=True)
class LostEntries:
    """Entries that were in the log and are not in the backup that it was restored from (rule 6)."""

    first: int
    """Position of the first one."""
    last: int
    """Position of the last one."""
    chain: bytes
    """The chain of the last one, as the anchor had it."""

    @property
    def object_id(self) -> str:
        """The text that stands in the entry.

        >>> LostEntries(first=3, last=4, chain=bytes(32)).object_id[:10]
        'lost:3-4:0'
        """
        return f"lost:{self.first}-{self.last}:{self.chain.hex()}"


@dataclass(frozen=True, kw_only=True)
class AuditHead:
    """Where the log ends."""

    positions: int
    """How many positions there are: the position of the next entry."""
    chain: bytes
    """The chain of the last entry."""
    at: str
    """The time of the last entry, or of the log's start."""


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Write a time as the log has it.

    >>> timestamp(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    return moment.astimezone(UTC).strftime(_TIME)


def parse_timestamp(written: str) -> datetime:
    """Read a time that the log wrote."""
    return datetime.strptime(written, _TIME).replace(tzinfo=UTC)


def system_actor() -> str:
    """Return the name of the user who runs this process, as the system knows it: no variable of the environment can say another.

    A user without a name is `uid` and the number.
    """
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = ""
    return name if _is_text(name) else f"uid {os.getuid()}"


def first_chain(origin: str) -> bytes:
    """The chain before the first entry: another log's entries do not fit."""
    return hashlib.sha256(_CHAIN + origin.encode("utf-8")).digest()


def next_chain(chain: bytes, leaf: bytes) -> bytes:
    """The chain of an entry (rule 3)."""
    return hashlib.sha256(_CHAIN + chain + leaf).digest()


class AuditLog:
    """The log of one vault. Holds keys, not entries; every call runs in the caller's transaction."""

    def __init__(self, key: bytes, reasons: Reasons, clock: Clock = now) -> None:
        self._key = key
        self._reasons = reasons
        self._clock = clock

    @property
    def key(self) -> bytes:
        """The key of the leaves."""
        return self._key

    def __repr__(self) -> str:
        return "AuditLog()"

    def create(
        self,
        connection: Connection,
        vault_id: str,
        *,
        period_seconds: int = PERIOD_SECONDS,
        leaves_per_period: int = LEAVES_PER_PERIOD,
    ) -> None:
        """Begin the log of a new vault; its tables are there and empty.

        Raises:
            AuditEntryError: the leaves per period are no power of two, or the period divides no day.
        """
        if leaves_per_period < 2 or leaves_per_period & (leaves_per_period - 1):
            raise AuditEntryError(f"leaves per period ({leaves_per_period}) must be a power of two, 2 at least")
        if period_seconds < 1 or 86_400 % period_seconds:
            raise AuditEntryError(f"a period ({period_seconds} seconds) must divide a day")
        seconds = int(self._clock().timestamp())
        started = datetime.fromtimestamp(seconds - seconds % period_seconds, UTC)
        connection.execute(
            audit_log.insert().values(
                id=1,
                origin=f"casehaven/{vault_id}",
                started_at=timestamp(started),
                period_seconds=period_seconds,
                leaves_per_period=leaves_per_period,
            )
        )

    def append(
        self,
        connection: Connection,
        *,
        action: str,
        object_kind: str,
        object_id: str,
        organisation: str = "",
        actor: str | None = None,
        reason: str | None = None,
    ) -> int:
        """Add an entry in the transaction of what it tells of.

        Args:
            connection: a transaction that may write.
            action: what was done, such as `person.read`.
            object_kind: what it was done to, such as `person`.
            object_id: which one: an id of ours, never a token, a name or a value.
            organisation: whose; empty for the whole vault.
            actor: who; the user who runs this process unless given.
            reason: why, in the actor's words; stored sealed.

        Returns:
            The entry's position.

        Raises:
            AuditEntryError: a field is not in the log's form.
            AuditLogMissingError: there is no log in this database.
        """
        return self._append(connection, None, "", action, object_kind, object_id, organisation, actor, reason)

    def append_after_loss(
        self,
        connection: Connection,
        lost: LostEntries | None,
        *,
        not_before: str,
        actor: str | None = None,
        reason: str | None = None,
    ) -> int:
        """Add the entry of a restore, which names the entries that the backup did not have (rule 6).

        Args:
            connection: a transaction that may write.
            lost: the entries; None when none are.
            not_before: the time of the last entry that was lost.
            actor: who; the user who runs this process unless given.
            reason: why; stored sealed.
        """
        object_id = "lost:none" if lost is None else lost.object_id
        return self._append(connection, lost, not_before, RESTORED, "vault", object_id, "", actor, reason)

    def _append(
        self,
        connection: Connection,
        lost: LostEntries | None,
        not_before: str,
        action: str,
        object_kind: str,
        object_id: str,
        organisation: str,
        actor: str | None,
        reason: str | None,
    ) -> int:
        actor = system_actor() if actor is None else actor
        for name, word in (("action", action), ("object kind", object_kind)):
            if not _WORD.fullmatch(word):
                raise AuditEntryError(f"the {name} of an audit entry is one word in small letters")
        for name, written in (("actor", actor), ("object id", object_id)):
            if not _is_text(written):
                raise AuditEntryError(f"the {name} of an audit entry has 1 to {_TEXT_LIMIT} printable characters")
        head = self.head(connection)
        position, before = head.positions, head.chain
        if lost is not None:
            position, before = lost.last + 1, lost.chain
        sealed = None if reason is None else self._reasons.seal(organisation, position, reason)
        entry = AuditEntry(
            position=position,
            at=max(timestamp(self._clock()), head.at, not_before),  # rule 5; the form sorts as text
            actor=actor,
            action=action,
            organisation=organisation,
            object_kind=object_kind,
            object_id=object_id,
            reason=sealed,
            reason_sha256=None if sealed is None else hashlib.sha256(sealed.sealed).digest(),
            leaf=b"",
            chain=b"",
        )
        leaf = entry.expected_leaf(self._key)
        connection.execute(
            audit.insert().values(
                position=position,
                at=entry.at,
                actor=actor,
                action=action,
                organisation=organisation,
                object_kind=object_kind,
                object_id=object_id,
                reason_sealed=None if sealed is None else sealed.sealed,
                reason_wrapped_dek=None if sealed is None else sealed.wrapped_dek,
                reason_epoch=None if sealed is None else sealed.epoch,
                reason_sha256=entry.reason_sha256,
                leaf=leaf,
                chain=next_chain(before, leaf),
            )
        )
        return position

    def head(self, connection: Connection) -> AuditHead:
        """Return where the log ends. In a transaction that writes, it stays the end: writers follow one another."""
        last = connection.execute(
            select(audit.c.position, audit.c.chain, audit.c.at).order_by(audit.c.position.desc()).limit(1)
        ).first()
        if last is not None:
            return AuditHead(positions=last.position + 1, chain=bytes(last.chain), at=last.at)
        log = connection.execute(select(audit_log)).first()
        if log is None:
            raise AuditLogMissingError("the database has no audit log; it was not created as a vault's")
        return AuditHead(positions=0, chain=first_chain(log.origin), at=log.started_at)

    def reason(self, entry: AuditEntry) -> str | None:
        """Open an entry's reason; None when it has none, or when it went with the person.

        Raises:
            BrokenReasonError: it does not open.
        """
        return None if entry.reason is None else self._reasons.open(entry.organisation, entry.position, entry.reason)

    def forget_reasons(self, connection: Connection, *, object_kind: str, object_id: str) -> None:
        """Drop the sealed reasons of all entries about an object that is erased (rule 4); the entries stay."""
        connection.execute(
            update(audit)
            .where(audit.c.object_kind == object_kind, audit.c.object_id == object_id)
            .values(reason_sealed=None, reason_wrapped_dek=None, reason_epoch=None)
        )

    def rewrap(self, connection: Connection, organisation: str) -> None:
        """Wrap the keys of an organisation's reasons under its present epoch, before the old one is destroyed."""
        stored = select(audit).where(audit.c.organisation == organisation, audit.c.reason_sealed.is_not(None))
        for entry in [*_entries(connection.execute(stored))]:
            if entry.reason is None:
                continue
            again = self._reasons.rewrap(organisation, entry.position, entry.reason)
            if again.epoch != entry.reason.epoch or again.wrapped_dek != entry.reason.wrapped_dek:
                connection.execute(
                    update(audit)
                    .where(audit.c.position == entry.position)
                    .values(reason_wrapped_dek=again.wrapped_dek, reason_epoch=again.epoch)
                )


def entries(connection: Connection) -> Iterator[AuditEntry]:
    """Read all entries in order, without holding them all."""
    yield from read_entries(connection, select(audit).order_by(audit.c.position))


def read_entries(connection: Connection, query: Select[Any]) -> Iterator[AuditEntry]:
    """Read the entries that a query on the table `audit` selects."""
    yield from _entries(connection.execute(query.execution_options(yield_per=2_000)))


def _entries(rows: Iterable[object]) -> Iterator[AuditEntry]:
    for unverified in rows:
        row = unverified._mapping  # type: ignore[attr-defined]  # a SQLAlchemy row
        reason = None
        if row["reason_sealed"] is not None:
            reason = SealedReason(
                sealed=bytes(row["reason_sealed"]),
                wrapped_dek=bytes(row["reason_wrapped_dek"]),
                epoch=row["reason_epoch"],
            )
        yield AuditEntry(
            position=row["position"],
            at=row["at"],
            actor=row["actor"],
            action=row["action"],
            organisation=row["organisation"],
            object_kind=row["object_kind"],
            object_id=row["object_id"],
            reason=reason,
            reason_sha256=None if row["reason_sha256"] is None else bytes(row["reason_sha256"]),
            leaf=bytes(row["leaf"]),
            chain=bytes(row["chain"]),
        )


def keyed_digest(key: bytes, domain: bytes, *fields: bytes) -> bytes:
    """HMAC-SHA256 over fields, each after its length: no two lists of fields have the same bytes."""
    parts = b"".join(len(field).to_bytes(8, "big") + field for field in (domain, *fields))
    return hmac.digest(key, parts, "sha256")


def _is_text(written: str) -> bool:
    return 0 < len(written) <= _TEXT_LIMIT and written.isprintable()
