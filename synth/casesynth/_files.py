"""Files that are read and written with care: regular files only, bounded reads, writes that are whole or absent."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from casesynth.errors import CasesynthError


class NotRegularFileError(CasesynthError):
    """Something that is not an ordinary file stands where a file is expected: a symbolic link, a pipe, a folder, a device."""


class FileTooLargeError(CasesynthError):
    """A file is larger than its format allows."""


def open_regular(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a regular file for reading, never a pipe (which would wait for ever) nor, unless `follow`, a symbolic link.

    Raises:
        NotRegularFileError: something else stands at the path.
        OSError: the file is missing or may not be read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) and not follow:
            raise NotRegularFileError(f"{path.name} is a symbolic link, expected a regular file") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotRegularFileError(f"{path.name} is not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, *, limit: int, follow: bool = False) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        FileTooLargeError: the file is larger.
        NotRegularFileError: see `open_regular`.
        OSError: the file is missing or may not be read.
    """
    with open_regular(path, follow=follow) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FileTooLargeError(f"{path.name} is larger than {limit} bytes")
    return data


def write_whole(path: Path, data: bytes, *, mode: int, replace: bool) -> None:
    """Write a file that is there whole or not at all, after a crash too: temporary file, fsync, rename or link, fsync of the folder.

    Args:
        path: where the file goes.
        data: what it holds.
        mode: its permissions, set before the first byte is written.
        replace: whether a file that is there already is replaced.

    Raises:
        FileExistsError: `replace` is false and the file is there already; it is left as it was.
        OSError: the disk is full, the folder is missing or may not be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(name, path)
        else:
            os.link(name, path)  # unlike a rename, a link never takes the place of an existing file
    finally:
        Path(name).unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable, so that a new name survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
