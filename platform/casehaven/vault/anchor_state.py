"""What the anchor remembers, how it is read from the database, and how it is written as bytes.

1. It only rises (`AnchorState.raised`): versions and positions never fall, erased people, withdrawals, unbounded datasets and which ledger a dataset has never leave it.
2. The two lists, which grow with the vault, are bytes of their own; the document names their SHA-256.
3. Both are padded before they are sealed: sizes say little of how many were erased (privacy rules 5 and 21).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select

from casehaven.core.audit import AuditHead, first_chain
from casehaven.core.audit_checkpoint import LogSettings
from casehaven.core.audit_models import audit, audit_checkpoint
from casehaven.vault.context import prefixed
from casehaven.vault.errors import BrokenAnchorError, RolledBackError
from casehaven.vault.models import chunk, consent, dataset, erasure
from casesynth.canonical import JsonValue, canonical_json, parse_json

PERIODS_KEPT = 400
"""Roots of periods that the anchor keeps; an older backup is refused."""

UNBOUNDED = "dataset.unbounded"
"""The action of the entry that marks a dataset as released without differential privacy."""

LEDGER = "dataset.ledger"
"""The action of the entry that says which ledger holds a dataset's accounts; its object is the dataset and the ledger's id."""

_CHUNKS = b"casehaven-chunk-set/1\n"
_SMALLEST = 1 << 15
_NUMBER = np.dtype(">i8")
_PREFIX_BYTES = 4
"""Of `prefixed`."""


@dataclass(frozen=True, kw_only=True)
class AnchorPeriod:
    """A closed period of the audit log, as the anchor keeps it."""

    next_position: int
    """Position of the first entry after it."""
    root: bytes
    """Root of its branch."""


@dataclass(frozen=True, kw_only=True)
class AnchorState:
    """What the anchor remembers (rule 1)."""

    sequence: int = 0
    """How often it was written."""
    head: AuditHead
    """Where the audit log ends."""
    first_period: int = 0
    """Number of the first period in `periods`."""
    periods: tuple[AnchorPeriod, ...] = ()
    """The last closed periods of the audit log."""
    datasets: Mapping[str, int] = field(default_factory=dict)
    """Version of each dataset, by `organisation/dataset`."""
    chunks: Mapping[str, bytes] = field(default_factory=dict)
    """Digest of each dataset's chunk files at that version (`ChunkSet`), by `organisation/dataset`."""
    unbounded: Mapping[str, str] = field(default_factory=dict)
    """Day on which a dataset was first released without differential privacy, by `organisation/dataset` (privacy rule 34)."""
    erased: frozenset[int] = frozenset()
    """Numbers of people who were erased."""
    withdrawn: frozenset[tuple[int, str]] = frozenset()
    """Consents that were refused or withdrawn, and not given again: person and purpose."""
    erasures_seen: int = 0
    """Rows of erasures in the database when they were last compared with `erased`."""
    keystore_sequence: int = 0
    """How often the keystore had changed: an older copy of it, with keys that were destroyed since, is noticed."""
    ledgers: Mapping[str, str] = field(default_factory=dict)
    """Id of the ledger that holds a dataset's accounts, by `organisation/dataset`; the first one, for good (`ledger_binding`)."""

    def raised(self, other: AnchorState) -> AnchorState:
        """This state with whatever is further in the other (rule 2).

        Raises:
            RolledBackError: both are as far, and tell different stories.
        """
        if other.head.positions == self.head.positions and other.head.chain != self.head.chain:
            raise RolledBackError("the audit log is not the one that the anchor knows")
        names = {*self.datasets, *other.datasets}
        further = {
            name: other if other.datasets.get(name, -1) > self.datasets.get(name, -1) else self for name in names
        }
        for name in {*self.chunks} & {*other.chunks}:
            if self.datasets[name] == other.datasets[name] and self.chunks[name] != other.chunks[name]:
                raise RolledBackError(f"the chunk files of dataset {name} are not those that the anchor knows")
        closed = other if other.first_period + len(other.periods) > self.first_period + len(self.periods) else self
        return AnchorState(
            sequence=self.sequence,
            head=other.head if other.head.positions > self.head.positions else self.head,
            first_period=closed.first_period,
            periods=closed.periods,
            datasets={name: further[name].datasets[name] for name in names},
            chunks={
                name: digest
                for name in names
                if (digest := further[name].chunks.get(name) or other.chunks.get(name)) is not None
            },
            unbounded={**other.unbounded, **self.unbounded},
            erased=self.erased | other.erased,
            withdrawn=self.withdrawn | other.withdrawn,
            erasures_seen=max(self.erasures_seen, other.erasures_seen),
            keystore_sequence=max(self.keystore_sequence, other.keystore_sequence),
            ledgers={**other.ledgers, **self.ledgers},
        )


def state_of(connection: Connection) -> AnchorState:
    """Return what an anchor remembers of a database, without its lists."""
    last = connection.execute(
        select(audit.c.position, audit.c.chain, audit.c.at).order_by(audit.c.position.desc()).limit(1)
    ).first()
    settings = LogSettings.read(connection)
    head = AuditHead(positions=0, chain=first_chain(settings.origin), at=settings.started_at)
    if last is not None:
        head = AuditHead(positions=last.position + 1, chain=bytes(last.chain), at=last.at)
    closed = audit_checkpoint.c
    columns = select(closed.period, closed.next_position, closed.period_root)
    sets = chunk_sets(connection)
    kept = connection.execute(columns.order_by(closed.period.desc()).limit(PERIODS_KEPT)).all()[::-1]
    return AnchorState(
        head=head,
        first_period=kept[0].period if kept else 0,
        periods=tuple(AnchorPeriod(next_position=one.next_position, root=bytes(one.period_root)) for one in kept),
        datasets={name: one.version for name, one in sets.items()},
        chunks={name: one.digest for name, one in sets.items()},
        erasures_seen=connection.scalar(select(func.count()).select_from(erasure)) or 0,
    )


def erased_of(connection: Connection) -> frozenset[int]:
    """Return everyone whose erasure the database remembers."""
    return frozenset(connection.scalars(select(erasure.c.person_id)))


def withdrawn_of(connection: Connection) -> frozenset[tuple[int, str]]:
    """Return the consents that were given once and do not count any more."""
    latest: dict[tuple[int, str], bool] = {}
    given = set[tuple[int, str]]()
    for row in connection.execute(select(consent).order_by(consent.c.version)):
        latest[row.person_id, row.purpose] = row.given
        if row.given:
            given.add((row.person_id, row.purpose))
    return frozenset(one for one in given if not latest[one])


def unbounded_of(connection: Connection) -> dict[str, str]:
    """Return the datasets that the audit log says were released without differential privacy, each with the day of the first time."""
    marks = select(audit.c.object_id, func.min(audit.c.at)).where(audit.c.action == UNBOUNDED)
    return {name: at[:10] for name, at in connection.execute(marks.group_by(audit.c.object_id))}


def ledgers_of(connection: Connection) -> dict[str, str]:
    """Return the ledger of each dataset that the audit log tells of."""
    notes = select(audit.c.object_id).where(audit.c.action == LEDGER).order_by(audit.c.position)
    found: dict[str, str] = {}
    for note in connection.scalars(notes):
        dataset_id, _, ledger = note.partition(" ")
        found.setdefault(dataset_id, ledger)
    return found


@dataclass(frozen=True, kw_only=True)
class ChunkSet:
    """A dataset's version, and the digest of the chunk files that it has then."""

    version: int
    digest: bytes


def chunk_sets(connection: Connection) -> dict[str, ChunkSet]:
    """Return version and chunk files of every dataset, by `organisation/dataset`.

    The digest is over number, generation and SHA-256 of each chunk: none can be exchanged, added or left out unseen.
    """
    columns = (dataset.c.organisation, dataset.c.name, dataset.c.version, chunk.c.chunk_id, chunk.c.generation)
    query = select(*columns, chunk.c.sealed_sha256).join_from(dataset, chunk, isouter=True)
    versions, digests = dict[str, int](), dict[str, Any]()
    for row in sorted(connection.execute(query), key=lambda row: row.chunk_id or ""):
        name = f"{row.organisation}/{row.name}"
        versions[name] = row.version
        digest = digests.setdefault(name, hashlib.sha256(_CHUNKS))
        if row.chunk_id is not None:
            digest.update(prefixed(row.chunk_id.encode()) + row.generation.to_bytes(8, "big"))
            digest.update(prefixed(bytes(row.sealed_sha256)))
    return {name: ChunkSet(version=version, digest=digests[name].digest()) for name, version in versions.items()}


def state_document(state: AnchorState, lists_sha256: bytes) -> bytes:
    periods: list[JsonValue] = [[one.next_position, one.root.hex()] for one in state.periods]
    return canonical_json(
        {
            "sequence": state.sequence,
            "audit": {
                "positions": state.head.positions,
                "chain": state.head.chain.hex(),
                "at": state.head.at,
                "first_period": state.first_period,
                "periods": periods,
            },
            "datasets": dict(state.datasets),
            "chunks": {name: digest.hex() for name, digest in state.chunks.items()},
            "unbounded": dict(state.unbounded),
            "lists_sha256": lists_sha256.hex(),
            "erasures_seen": state.erasures_seen,
            "keystore_sequence": state.keystore_sequence,
            "ledgers": dict(state.ledgers),
        }
    )


def parse_state(opened: bytes) -> tuple[AnchorState, bytes]:
    """Read what `state_document` wrote; the seal says that nobody else did."""
    document = parse_json(opened.rstrip(b" "), "the anchor")
    if not isinstance(document, dict):
        raise BrokenAnchorError("the anchor holds something else than a state")
    log = document["audit"]
    state = AnchorState(
        sequence=document["sequence"],
        head=AuditHead(positions=log["positions"], chain=bytes.fromhex(log["chain"]), at=log["at"]),
        first_period=log["first_period"],
        periods=tuple(AnchorPeriod(next_position=at, root=bytes.fromhex(root)) for at, root in log["periods"]),
        datasets=document["datasets"],
        chunks={name: bytes.fromhex(digest) for name, digest in document.get("chunks", {}).items()},
        unbounded=document.get("unbounded", {}),
        erased=frozenset(document.get("erased", ())),  # in the body before the lists were apart
        withdrawn=frozenset((number, purpose) for number, purpose in document.get("withdrawn", ())),
        erasures_seen=document.get("erasures_seen", 0),
        keystore_sequence=document["keystore_sequence"],
        ledgers=document.get("ledgers", {}),
    )
    return state, bytes.fromhex(document.get("lists_sha256", ""))


def lists_bytes(state: AnchorState) -> bytes:
    """Return the lists as bytes: numbers, each after its name: the erased people under no name, then the withdrawals by purpose."""
    named = {"": state.erased}
    for purpose in {purpose for _, purpose in state.withdrawn}:
        named[purpose] = frozenset(number for number, of in state.withdrawn if of == purpose)
    return prefixed(
        b"".join(
            prefixed(name.encode("utf-8")) + prefixed(np.array(sorted(numbers), _NUMBER).tobytes())
            for name, numbers in sorted(named.items())
        )
    )


def parse_lists(opened: bytes) -> tuple[frozenset[int], frozenset[tuple[int, str]]]:
    """Read what `lists_bytes` wrote; the seal says that nobody else did."""
    erased, withdrawn = frozenset[int](), set[tuple[int, str]]()
    left, _ = _cut(opened)
    while left:
        name, left = _cut(left)
        data, left = _cut(left)
        numbers = np.frombuffer(data, _NUMBER).tolist()
        if name:
            withdrawn.update((number, name.decode("utf-8")) for number in numbers)
        else:
            erased = frozenset(numbers)
    return erased, frozenset(withdrawn)


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """Undo `prefixed`: the first field, and what follows it."""
    end = _PREFIX_BYTES + int.from_bytes(data[:_PREFIX_BYTES], "big")
    return data[_PREFIX_BYTES:end], data[end:]


def padded(document: bytes) -> bytes:
    """Spaces up to the next power of two, from 32 KiB: the size says little of how many were erased (privacy rules 5 and 21)."""
    return document.ljust(max(_SMALLEST, 1 << (len(document) - 1).bit_length()), b" ")
