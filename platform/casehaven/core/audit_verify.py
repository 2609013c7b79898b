"""Is the audit log whole? Every entry is computed anew and compared with what stands outside of it.

1. Each entry's leaf and chain must come out again, positions and times must follow one another, and a sealed reason must be the one that was logged, and open.
   A reason may be gone only from an entry about a person who was erased.
2. Each closed period must give its root again, and each stored checkpoint its text and signature.
3. A log that is whole in itself may still be an older or a rewritten one. So it must reach and agree with the head that the anchor holds, and with every
   checkpoint that somebody kept outside.
4. The answer names the first position at which something is wrong: exactly where the log contradicts itself; where only an outside checkpoint
   contradicts it, the first position that no checkpoint vouches for any more.
5. Entries that a restore lost are no fault of the log; they are listed. But a checkpoint from before that restore vouches for entries that are gone:
   that is found.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from casehaven.core.audit import (
    AuditEntry,
    AuditHead,
    AuditLog,
    BrokenReasonError,
    LostEntries,
    entries,
    first_chain,
    next_chain,
)
from casehaven.core.audit_checkpoint import (
    Checkpoint,
    CheckpointError,
    ClosedPeriod,
    LogSettings,
    NoteKey,
    closed_periods,
    merkle_roots,
    parse_checkpoint,
    period_root,
)


@dataclass(frozen=True, kw_only=True)
class AuditVerification:
    """What a verification of the log found."""

    positions: int
    """Position after the last entry that was read."""
    periods: int
    """Closed periods."""
    lost: tuple[LostEntries, ...]
    """What restores lost, by the log's own account."""
    first_bad: int | None
    """The first position at which something is wrong; None when nothing is."""
    fault: str = ""
    """What is wrong there, in words; empty when nothing is."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.first_bad is None


class _FaultError(Exception):
    def __init__(self, position: int, fault: str) -> None:
        self.position, self.fault = position, fault


@dataclass(kw_only=True)
class _Reading:
    """What the verification knows so far."""

    settings: LogSettings
    log: AuditLog
    erased: Collection[int]
    closed: list[ClosedPeriod]
    anchor: AuditHead | None
    position: int = 0
    chain: bytes = b""
    at: str = ""
    lost: list[tuple[int, LostEntries]] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    period: int = 0
    roots: list[bytes] = field(default_factory=list)


def verify_log(
    connection: Connection,
    log: AuditLog,
    public_key: bytes,
    *,
    anchor: AuditHead | None = None,
    checkpoints: Sequence[Checkpoint] = (),
    erased: Collection[int] | None = None,
) -> AuditVerification:
    """Verify the whole log.

    Args:
        connection: a transaction that reads.
        log: holds the key of the leaves.
        public_key: of the checkpoints that the database stores.
        anchor: the head that the anchor holds, if it is at hand.
        checkpoints: kept outside; their signatures were checked when they were parsed.
        erased: people whose reasons may be gone, as the anchor knows them; whom the database remembers, unless given.
    """
    settings = LogSettings.read(connection)
    reading = _Reading(
        settings=settings,
        log=log,
        erased=_erased(connection) if erased is None else erased,
        closed=closed_periods(connection),
        anchor=anchor,
        chain=first_chain(settings.origin),
        at=settings.started_at,
    )
    try:
        _check_stored(reading, NoteKey(name=settings.origin, public_key=public_key))
        if anchor is not None and anchor.positions == 0:
            _check_anchor(reading)
        for entry in entries(connection):
            _check_entry(reading, entry)
        _close_before(reading, reading.position)
        if reading.period < len(reading.closed):
            raise _FaultError(reading.position, "the log ends here, and a closed period had more")
        if anchor is not None and reading.position < anchor.positions:
            raise _FaultError(reading.position, "the log ends here, and the anchor knows that there was more")
        for checkpoint in sorted(checkpoints, key=lambda one: one.size):
            _check_outside(reading, checkpoint, checkpoints)
    except _FaultError as found:
        return _result(reading, found.position, found.fault)
    return _result(reading, None, "")


def _result(reading: _Reading, first_bad: int | None, fault: str) -> AuditVerification:
    return AuditVerification(
        positions=reading.position,
        periods=len(reading.closed),
        lost=tuple(lost for _, lost in reading.lost),
        first_bad=first_bad,
        fault=fault,
    )


def _check_entry(reading: _Reading, entry: AuditEntry) -> None:
    """Rule 1."""
    lost, before = entry.lost, reading.chain
    if lost is None and entry.position != reading.position:
        raise _FaultError(reading.position, "an entry is missing, or an entry stands twice")
    if lost is not None:
        if lost.first != reading.position or entry.position != lost.last + 1 or lost.last < lost.first:
            raise _FaultError(reading.position, "an entry is missing, and the restore that follows does not name it")
        before = lost.chain
        _close_before(reading, lost.first)
    expected = entry.expected_leaf(reading.log.key)
    if not hmac.compare_digest(expected, entry.leaf):
        raise _FaultError(entry.position, "the entry was changed")
    if not hmac.compare_digest(next_chain(before, expected), entry.chain):
        raise _FaultError(entry.position, "the chain does not fit: the entry was exchanged, or one before it")
    if entry.at < reading.at:
        raise _FaultError(entry.position, "the time of the entry is before that of the entry before")
    if entry.reason is not None and hashlib.sha256(entry.reason.sealed).digest() != entry.reason_sha256:
        raise _FaultError(entry.position, "the sealed reason was exchanged")
    if entry.reason is None and entry.reason_sha256 is not None and not _is_of_erased(entry, reading.erased):
        raise _FaultError(entry.position, "the sealed reason was removed, and it is of nobody who was erased")
    try:
        reading.log.reason(entry)
    except BrokenReasonError:
        raise _FaultError(entry.position, "the sealed reason cannot be opened") from None
    if lost is not None:
        reading.lost.append((entry.position, lost))
    _close_before(reading, entry.position, gone=lost is not None)
    reading.leaves.append(expected)
    reading.position, reading.chain, reading.at = entry.position + 1, entry.chain, entry.at
    if reading.anchor is not None:
        _check_anchor(reading, lost)


def _is_of_erased(entry: AuditEntry, erased: Collection[int]) -> bool:
    return entry.object_kind == "person" and entry.object_id.isdecimal() and int(entry.object_id) in erased


def _erased(connection: Connection) -> frozenset[int]:
    """Whom the database remembers as erased; its table is the vault's, which this module does not know."""
    return frozenset(connection.scalars(text("SELECT person_id FROM erasure")))


def _check_anchor(reading: _Reading, lost: LostEntries | None = None) -> None:
    """Rule 3: at the anchor's position the chain is the anchor's."""
    anchor = reading.anchor
    if anchor is None:
        return
    if lost is not None and lost.last + 1 == anchor.positions and lost.chain != anchor.chain:
        raise _FaultError(lost.first, "the restore names another chain than the anchor")
    if reading.position == anchor.positions and reading.chain != anchor.chain:
        raise _FaultError(max(anchor.positions - 1, 0), "the chain is not the anchor's: the log was rewritten")


def _close_before(reading: _Reading, position: int, *, gone: bool = False) -> None:
    """Close the periods that end before a position, and compare their roots unless entries of theirs are gone (rules 2 and 5)."""
    while reading.period < len(reading.closed) and reading.closed[reading.period].next_position <= position:
        one = reading.closed[reading.period]
        root = period_root(reading.log.key, one.period, reading.settings.leaves_per_period, reading.leaves)
        if root != one.root and not gone:
            start = reading.closed[reading.period - 1].next_position if reading.period else 0
            raise _FaultError(start, f"the entries of period {one.period} are not those of its checkpoint")
        reading.leaves.clear()
        reading.period += 1


def _check_stored(reading: _Reading, key: NoteKey) -> None:
    """Rule 2: the stored checkpoints follow from the stored periods and carry this vault's signature."""
    start = 0
    roots = merkle_roots([one.root for one in reading.closed])
    for number, (one, root) in enumerate(zip(reading.closed, roots, strict=True)):
        if one.period != number or one.next_position < start:
            raise _FaultError(start, "a closed period is missing, or ends before it begins")
        try:
            stored = parse_checkpoint(one.note.encode("utf-8"), key)
        except CheckpointError as error:
            raise _FaultError(start, f"the checkpoint of period {number} is not good: {error}") from None
        if stored.size != (number + 1) * reading.settings.leaves_per_period or stored.root != root:
            raise _FaultError(start, f"the checkpoint of period {number} is not that of its period")
        start = one.next_position


def _check_outside(reading: _Reading, checkpoint: Checkpoint, every: Sequence[Checkpoint]) -> None:
    """Rules 3 to 5: a checkpoint that was kept outside."""
    settings, closed = reading.settings, reading.closed
    good = [one for one in every if one.size < checkpoint.size]  # sorted: those before it were found to fit
    vouched = _position_after(reading, max((one.size for one in good), default=0))
    periods, rest = divmod(checkpoint.size, settings.leaves_per_period)
    if rest or checkpoint.origin != settings.origin:
        raise _FaultError(vouched, "the checkpoint is not one of this log's")
    if periods > len(closed):
        raise _FaultError(
            min(vouched, reading.position), "the checkpoint is of a later time than this log: the log was set back"
        )
    if settings.checkpoint([one.root for one in closed[:periods]]).root != checkpoint.root:
        raise _FaultError(vouched, "the log is not the one of this checkpoint: it was rewritten")
    after = _position_after(reading, checkpoint.size)
    for position, lost in reading.lost:
        if lost.first < after <= position:
            raise _FaultError(lost.first, "entries that this checkpoint covers were lost in a restore")


def _position_after(reading: _Reading, size: int) -> int:
    periods = min(size // reading.settings.leaves_per_period, len(reading.closed))
    return reading.closed[periods - 1].next_position if periods else 0
