"""Ports for services that tests start. Between the choice and the start lie seconds, in which nobody else may get one.

1. They lie below those that the system gives to whoever asks for any port, so no client and no other test gets one by accident.
2. Each is reserved for as long as this process lives, by a socket whose name only one process on this computer can hold. So processes that choose at the
   same moment never choose the same one, nor one that an earlier test of this process had.
"""

from __future__ import annotations

import os
import random
import socket
from contextlib import closing

LOWEST, HIGHEST = 20_000, 32_000
"""Linux gives ports from 32,768."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses, and that nobody else is given."""
    found: list[int] = []
    order = random.Random(os.getpid()).sample(range(LOWEST, HIGHEST), HIGHEST - LOWEST)
    for port in order:
        if len(found) == count:
            return found
        if _reserved(port) and _unused(port):
            found.append(port)
    raise OSError(f"fewer than {count} ports from {LOWEST} to {HIGHEST} are free")


def _reserved(port: int) -> bool:
    """Try to reserve a port; a name that begins with a null byte is in no folder, and goes with its process."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0casehaven-test-port-{port}")
    except OSError:
        name.close()
        return False
    name.detach()  # held until the process ends
    return True


def _unused(port: int) -> bool:
    with closing(socket.socket()) as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
