"""Files that are read and written with care: regular files only, bounded reads, writes that are whole or absent."""

from __future__ import annotations

import errno
import os
import secrets
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
    """Write a file that is there whole or not at all, after a crash too: nameless file, fsync, link or rename, fsync of the folder.

    Where the file system can, the file has no name until all of it is on disk, so a process that is killed leaves nothing of it behind. Elsewhere it
    leaves `.NAME.*.part`, with the same permissions.

    Args:
        path: where the file goes.
        data: what it holds.
        mode: its permissions, set before the first byte is written.
        replace: whether a file that is there already is replaced.

    Raises:
        FileExistsError: `replace` is false and the file is there already; it is left as it was.
        OSError: the disk is full, the folder is missing or may not be written.
    """
    if not _write_nameless(path, data, mode=mode, replace=replace):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _fill(file, data, mode)
            if replace:
                os.replace(name, path)
            else:
                os.link(name, path)  # unlike a rename, a link never takes the place of an existing file
        finally:
            Path(name).unlink(missing_ok=True)
    sync_folder(path.parent)


def _write_nameless(path: Path, data: bytes, *, mode: int, replace: bool) -> bool:
    """Write a file that gets its name when it is whole; False where the file system knows no such files."""
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
    except (AttributeError, OSError):  # not Linux, or another file system; whatever else is wrong, the other way says
        return False
    with os.fdopen(descriptor, "wb") as file:
        _fill(file, data, mode)
        try:
            _name(file, path)
        except FileExistsError:
            if not replace:
                raise
            other = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
            _name(file, other)  # a name cannot be given over another; for one step it has this one
            try:
                os.replace(other, path)
            finally:
                other.unlink(missing_ok=True)
        except FileNotFoundError:  # no /proc
            return False
    return True


def _name(file: BinaryIO, path: Path) -> None:
    """Give a nameless file its name; never in the place of an existing file."""
    os.link(f"/proc/self/fd/{file.fileno()}", path, src_dir_fd=file.fileno())  # with a descriptor, the link is followed


def _fill(file: BinaryIO, data: bytes, mode: int) -> None:
    os.fchmod(file.fileno(), mode)
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable, so that a new name survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
