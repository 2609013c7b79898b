"""Locks between processes that change a vault: one file each, held by the kernel, gone when the process is.

1. Whoever changes the persons, records or chunks of a dataset holds the dataset's lock alone, and the organisation's lock with others.
2. Whoever rotates the keys of an organisation holds the organisation's lock alone: nobody wraps a key under an epoch that is being retired.
3. Reading takes no lock, but for an opening that changes overtook again and again: it holds the organisation alone for as long as it reads (`casehaven.vault.snapshots`).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from casehaven.vault.errors import VaultBusyError

WAIT_SECONDS = 60.0
_STEP_SECONDS = 0.05


@contextmanager
def held(path: Path, *, alone: bool, what: str, wait_seconds: float | None = None) -> Iterator[None]:
    """Hold a lock while the block runs.

    Args:
        path: of the lock file; made when it is not there, never removed.
        alone: exclude everybody, or share with others that share.
        what: the name of the thing that is locked, for the message.
        wait_seconds: how long to wait for others; `WAIT_SECONDS` by default.

    Raises:
        VaultBusyError: others held it for longer than that.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    wait_seconds = WAIT_SECONDS if wait_seconds is None else wait_seconds
    until = time.monotonic() + wait_seconds
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise VaultBusyError(
                        f"another process was changing {what} for more than {wait_seconds:g} seconds"
                    ) from None
                time.sleep(_STEP_SECONDS)
        yield
    finally:
        os.close(descriptor)
