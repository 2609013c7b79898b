"""How much may wait on the disk: sealed uploads of each organisation, and what stays free for everybody.

1. What an organisation has sent and nobody has taken in or destroyed holds at most `QUOTA_BYTES` together. What is still arriving counts too.
2. Where less than `FREE_BYTES` are free, no upload is taken: ledger, vault and sign-in may lie on the same disk, and have to go on.
3. Both are looked at before a file is read, again each `STEP_BYTES` while it arrives, and in the transaction in which it gets its row. Another process of the api is seen from the moment its file has a row.
4. Sizes are those of the files: nothing of them is stored or told. A refusal says nothing of what waits.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final

from sqlalchemy import Connection

from casehaven.core.request_errors import DiskFullError, UploadsWaitError
from casehaven.core.service_store import ServiceStore
from casehaven.core.upload_files import upload_path, waiting_uploads

QUOTA_BYTES: Final = 4 * 1024**3
"""The most that waits of one organisation."""
FREE_BYTES: Final = 2 * 1024**3
"""What no upload takes of the disk."""
STEP_BYTES: Final = 4 * 1024 * 1024
"""So often both bounds are looked at again."""


def bytes_free(folder: Path) -> int:
    """Return how many bytes are free where a folder is."""
    return shutil.disk_usage(folder).free


@dataclass(kw_only=True)
class UploadRoom:
    """The room for uploads, as one process of the api sees it."""

    quota_bytes: int = QUOTA_BYTES
    free_bytes: int = FREE_BYTES
    free: Callable[[Path], int] = bytes_free
    _arriving: Counter[str] = field(default_factory=Counter, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @contextmanager
    def arriving(self, store: ServiceStore, organisation: str) -> Iterator[Arrival]:
        """Count an upload while the block runs."""
        arrival = Arrival(room=self, store=store, organisation=organisation)
        try:
            yield arrival
        finally:
            self.add(organisation, -arrival.size)

    def add(self, organisation: str, size: int) -> int:
        """Count bytes that arrive (or have arrived, or broke off), and return those that arrive now."""
        with self._lock:
            self._arriving[organisation] += size
            return self._arriving[organisation]

    def require(self, store: ServiceStore, connection: Connection, organisation: str, arriving: int) -> None:
        """Look at both bounds (rules 1 and 2).

        Args:
            store: whose disk it is.
            connection: of the service store.
            organisation: whose uploads are counted.
            arriving: bytes that have no row yet.

        Raises:
            DiskFullError: too little is free.
            UploadsWaitError: too much of this organisation waits.
        """
        if self.free(store.uploads) < self.free_bytes:
            raise DiskFullError
        waiting = sum(_size(upload_path(store, found)) for found in waiting_uploads(connection, organisation))
        if waiting + arriving >= self.quota_bytes:
            raise UploadsWaitError


@dataclass(kw_only=True)
class Arrival:
    """One upload that arrives."""

    room: UploadRoom
    store: ServiceStore
    organisation: str
    size: int = 0
    _seen: int = 0

    def took(self, size: int) -> bool:
        """Count a piece; whether it is time to look again."""
        self.size += size
        self.room.add(self.organisation, size)
        return self.size - self._seen >= STEP_BYTES

    def look(self) -> None:
        """Look at both bounds again.

        Raises:
            DiskFullError, UploadsWaitError: there is no room for more.
        """
        self._seen = self.size
        with self.store.reading() as connection:
            self.keep(connection)

    def keep(self, connection: Connection) -> None:
        """Look at both bounds in the transaction that gives the file its row, before it has one.

        Raises:
            DiskFullError, UploadsWaitError: there is no room for it.
        """
        self.room.require(self.store, connection, self.organisation, self.room.add(self.organisation, 0))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # destroyed meanwhile
