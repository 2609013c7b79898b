"""How many passwords are hashed at once: each takes 64 MiB and a processor for a moment.

1. At most four at once; at most eight more wait, and none longer than ten seconds. Others are told to come back, so that a flood of sign-ins takes neither the memory nor
   the threads that everybody else needs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from casehaven.signin.errors import SignInBusyError

AT_ONCE: Final = 4
WAITING: Final = 8
WAIT_SECONDS: Final = 10.0


class PasswordGate:
    """Lets a few through at a time.

    >>> gate = PasswordGate()
    >>> with gate.entered():
    ...     pass
    """

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = WAITING, wait_seconds: float = WAIT_SECONDS) -> None:
        """Start with nobody inside.

        Args:
            at_once: how many may hash at a time.
            waiting: how many more may wait.
            wait_seconds: how long one waits at most.
        """
        self._inside = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._most = at_once + waiting
        self._wait_seconds = wait_seconds
        self.known = 0
        """How many hash or wait at this moment."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Hash while the block runs.

        Raises:
            SignInBusyError: too many wait already, or it took too long.
        """
        with self._lock:
            if self.known >= self._most:
                raise SignInBusyError
            self.known += 1
        try:
            if not self._inside.acquire(timeout=self._wait_seconds):
                raise SignInBusyError
            try:
                yield
            finally:
                self._inside.release()
        finally:
            with self._lock:
                self.known -= 1
