"""Snapshots that are held open for some minutes, so that questions do not wait for chunks to be read again.

1. Each is held for the datasets' versions: a change, a withdrawal or an erasure makes a new version, and the old people are let go of before the next count. Which versions are
   the present ones is asked at each use, and again where one changes meanwhile: nothing fails for it.
2. Whoever's retention ends is counted no longer than `SECONDS` after.
3. Every use is announced in the audit log as an opening is, on disk before anything is counted, and needs a receipt of its own.
4. Everybody is held; for a question about some blocks those of the others are left out before a person's rows are merged.
5. Threads may share it. Two that need the same people wait for one opening; different people open side by side. Of more than `most` snapshots the one that was used longest ago is let go of.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from casehaven.vault.people_by_block import PeopleByBlock
from casehaven.vault.snapshots import Check, VaultSnapshot
from casesynth.persons import PersonTable
from casesynth.privacy import Receipt

SECONDS = 600.0
"""How long people are held at most."""


@dataclass(frozen=True, kw_only=True)
class _Name:
    """What tells snapshots apart."""

    vault: Path
    datasets: tuple[tuple[str, int], ...]
    """Names and versions."""
    purpose: str
    people_cap: int
    tokens_are: str

    @staticmethod
    def of(snapshot: VaultSnapshot) -> _Name:
        return _Name(
            vault=snapshot.vault.folder.path,
            datasets=tuple((dataset.id, dataset.version) for dataset in snapshot.datasets),
            purpose=snapshot.purpose,
            people_cap=snapshot.people_cap,
            tokens_are=snapshot.tokens_are,
        )

    def is_past(self, now: _Name) -> bool:
        """Whether it holds an earlier version of a dataset that is opened now (rule 1)."""
        versions = dict(now.datasets)
        return self.vault == now.vault and any(version < versions.get(name, 0) for name, version in self.datasets)


@dataclass(kw_only=True)
class _Held:
    """One snapshot's people, or the place where they will be."""

    opening: Lock = field(default_factory=Lock)
    opened_at: float = 0.0
    people: PeopleByBlock | None = field(default=None, repr=False)


@dataclass(kw_only=True)
class HeldPeople:
    """The people of some snapshots, in this process's memory alone."""

    clock: Callable[[], float] = time.monotonic
    most: int = 4
    """Snapshots that are held at once; each takes about 2 bytes for each person and column."""
    _found: dict[_Name, _Held] = field(default_factory=dict, repr=False)
    """In the order of their last use."""
    _lock: Lock = field(default_factory=Lock, repr=False)

    def open(self, snapshot: VaultSnapshot, receipt: Receipt, *, check: Check = lambda: None) -> PersonTable:
        """Return one row per person as they are now, from memory where they are held.

        Args:
            snapshot: of the people.
            receipt: proof of the charge that pays for this use.
            check: called again and again while they are read; raises to cancel.

        Raises:
            Whatever opening the snapshot raises.
        """
        snapshot.announce(receipt)
        return snapshot.settled(lambda now: self._people(now, check), check=check)

    def _people(self, snapshot: VaultSnapshot, check: Check) -> PersonTable:
        """Return the people of exactly these versions.

        Raises:
            SnapshotChangedError: they are not the present ones any more.
        """
        held = self._place(snapshot)
        with held.opening:
            if held.people is None or self.clock() - held.opened_at > SECONDS:
                held.people = None
                started = self.clock()
                held.people = snapshot.read_by_block(check=check)
                held.opened_at = started
            else:
                snapshot.require_present()
            return held.people.only(snapshot.blocks)

    def _place(self, snapshot: VaultSnapshot) -> _Held:
        """Return the place of a snapshot's people; snapshots of the past lose theirs."""
        name = _Name.of(snapshot)
        with self._lock:
            for other in [other for other in self._found if other.is_past(name)]:
                del self._found[other]
            held = self._found.pop(name, None) or _Held()
            self._found[name] = held
            while len(self._found) > self.most:
                del self._found[next(iter(self._found))]
        return held

    @property
    def count(self) -> int:
        """How many snapshots are held."""
        with self._lock:
            return sum(held.people is not None for held in self._found.values())

    def forget(self) -> None:
        """Let go of all people."""
        with self._lock:
            self._found.clear()
