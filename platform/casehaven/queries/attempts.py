"""One attempt at a time: two processes or threads never work on the same request, nor on the same question, at once.

1. Who comes second waits, and then finds what the first one stored. So a request is drawn once even where its retries overlap, and of several who ask the same
   question at the same moment one pays, also while its answer waits for its tick (privacy rules 14 and 17).
2. The lock is the kernel's, on a file beside the ledger: it goes with the process that held it, whatever ended that. The file goes when nobody holds it.
3. The steps of an attempt have names, so that tests can end the process at each.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

Step = Literal["charged", "drawing", "opened", "counted", "answered", "stored"]
"""After the charge, after the permission to draw, after the snapshot opened, after the noise, before the answer is stored, and after."""


def no_failpoint(step: Step) -> None:
    """The failpoint of every question that is not under test."""


@contextmanager
def alone(beside: Path, what: str) -> Iterator[None]:
    """Hold the one lock of something, waiting for it.

    Args:
        beside: the ledger's file.
        what: names what is worked on; only its hash is on disk.

    Raises:
        OSError: no file can be made beside the ledger.
    """
    path = beside.with_name(f".{beside.name}.{hashlib.sha256(what.encode()).hexdigest()[:16]}.asking")
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, path):
                break
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # whoever held it has removed it since: the name is another file's now
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: a file that somebody waits for is looked at again
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is still the one that its name leads to."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
