"""One attempt at a time: two processes or threads never work on the same request, nor on the same question, at once.

1. Who comes second waits, and then finds what the first one stored. So a request is drawn once even where its retries overlap, and of several who ask the same
   question at the same moment one pays, also while its answer waits for its tick (privacy rules 14 and 17).
2. The lock is the kernel's, on a file beside the ledger: it goes with the process that held it, whatever ended that. The file goes when nobody holds it.
3. The steps of an attempt have names, so that tests can end the process at each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from casehaven.ledger.one_holder import one_holder

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
    with one_holder(path, wait=True):
        yield
