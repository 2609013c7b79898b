"""What a process that holds keys does about its own memory.

1. It writes no core dump: the limit is set to zero, and on Linux the process is marked as not dumpable, which also keeps other processes of
   the same user from reading its memory. A program that it starts gets its own mark again.
2. Python copies bytes as it likes and cannot promise to erase them. Nothing here claims that it does.
"""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> None:
    """Keep keys out of core dumps of this process, as far as the system allows (rule 1)."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
