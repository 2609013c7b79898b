"""What the parsing process takes from itself before it looks at a file.

1. Memory, processor time and core dumps are bounded; no file can be written (a size of 0) and no process started.
2. `close_doors` comes after all imports: from then on no descriptor can be opened, so no file, no pipe and no socket. What is open is the file, the request and the
   pipe to the parent.
3. Once a second it looks whether its parent is still there, and ends if not.
"""

from __future__ import annotations

import os
import resource
import signal
from types import FrameType

ENDED = 3
"""Exit status when the parent is gone."""


def bound(memory_bytes: int, cpu_seconds: int) -> None:
    """Set the bounds of this process for good."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def close_doors() -> None:
    """Allow no further descriptor."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def end_with_parent() -> None:
    """End this process within a second or two of its parent's death."""
    parent = os.getppid()

    def look(number: int, frame: FrameType | None) -> None:
        if os.getppid() != parent:
            os._exit(ENDED)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
