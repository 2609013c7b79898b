"""A file that one process or thread holds: two never work on the same thing at once.

1. The lock is the kernel's: it goes with whoever held it, whatever ended that.
2. The file goes when its holder is done. Whoever had opened it before holds a file without a name then, and begins anew: a lock counts only on the file that the
   name leads to.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_holder(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a file while the block runs.

    Args:
        path: of the file; made when it is not there, removed at the end.
        wait: for whoever holds it.

    Raises:
        BlockingIOError: somebody holds it, and nobody waits.
        OSError: it cannot be made.
    """
    how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, how)
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
