"""A snapshot that is held open for some minutes, so that questions do not wait for chunks to be read again.

1. It is held for the datasets' versions: a change, a withdrawal or an erasure makes a new version, and the old people are let go of before the next count.
2. Whoever's retention ends is counted no longer than `SECONDS` after.
3. Every use is announced in the audit log as an opening is, on disk before anything is counted, and needs a receipt of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from casehaven.vault.snapshots import VaultSnapshot
from casesynth.persons import PersonTable
from casesynth.privacy import Receipt

SECONDS = 600.0
"""How long people are held at most."""


@dataclass(kw_only=True)
class HeldPeople:
    """The people of one snapshot, in this process's memory alone."""

    clock: Callable[[], float] = time.monotonic
    _found: tuple[tuple[object, ...], float, PersonTable] | None = field(default=None, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def open(self, snapshot: VaultSnapshot, receipt: Receipt) -> PersonTable:
        """Return one row per person, from memory where they are held.

        Raises:
            Whatever opening the snapshot raises.
        """
        name = (
            snapshot.vault.folder.path,
            snapshot.datasets,
            snapshot.purpose,
            snapshot.people_cap,
            snapshot.tokens_are,
        )
        with self._lock:
            if self._found is not None and (self._found[0] != name or self.clock() - self._found[1] > SECONDS):
                self._found = None
            if self._found is None:
                started = self.clock()
                self._found = (name, started, snapshot.open(receipt))
                return self._found[2]
            snapshot.announce_again(receipt)
            return self._found[2]

    def forget(self) -> None:
        """Let go of the people."""
        with self._lock:
            self._found = None
