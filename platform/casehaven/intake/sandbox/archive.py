"""A ZIP from outside: its list of files is checked first, then single files are read as streams, never unpacked.

1. Refused by the list alone: too many files, names that lead out of a folder, links, files that lie over each other, methods other than
   "stored" and "deflate".
2. While reading, decompressed bytes are counted as they come, over all files read and against the compressed bytes of each; what the list says is not believed.
3. Both kinds of password are read: ZipCrypto, and AES as WinZip writes it. A password is never written anywhere.
4. A file inside is read by its name; nothing is written to disk.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from casehaven.intake.sandbox.aes_zip import AES_METHOD, open_aes
from casehaven.intake.sandbox.faults import FaultError, too_large
from casehaven.intake.sandbox.limits import Limits

_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_TAIL = 65_557
_HELD_MOST = 128 << 20
_DAMAGED = "the ZIP is damaged; download or export it again"
_OUTSIDE = re.compile(r"^/|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\\|\x00")
_MACHINE = re.compile(r"^__MACOSX/|(^|/)(\.DS_Store|Thumbs\.db|desktop\.ini)$")


class Archive:
    """The files of a ZIP."""

    def __init__(self, file: BinaryIO, limits: Limits, password: str | None = None) -> None:
        self._file = file
        self._limits = limits
        self._password = password
        self._read = 0
        self._unpacked: dict[str, int] = {}
        self._held: dict[str, bytes] = {}
        _check_count(file, limits)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OverflowError, EOFError):
            raise FaultError("damaged", _DAMAGED) from None
        self.entries = {entry.filename: entry for entry in self._zip.infolist() if _is_file(entry)}
        self._check_list()

    @property
    def names(self) -> list[str]:
        """Names of the files, in the order of the ZIP."""
        return list(self.entries)

    def stated_size(self, name: str) -> int:
        """Return the decompressed bytes that the list states; they may be wrong."""
        return self.entries[name].file_size

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open one file as a stream of decompressed bytes.

        Raises:
            FaultError: no password or a wrong one, damaged, or too large.
        """
        entry = self.entries[name]
        if entry.flag_bits & 1 and not self._password:
            raise FaultError("password", "the ZIP has a password; give it with --password-file")
        if entry.flag_bits & 1 and entry.compress_type != AES_METHOD and entry.file_size <= _HELD_MOST:
            if name not in self._held:  # ZipCrypto takes a second a megabyte: once, not at every reading
                with self._stream(entry) as file:
                    self._held[name] = file.read()
            yield io.BytesIO(self._held[name])
            return
        with self._stream(entry) as file:
            yield file

    @contextmanager
    def _stream(self, entry: zipfile.ZipInfo) -> Iterator[BinaryIO]:
        try:
            with self._opened(entry) as raw:
                yield io.BufferedReader(_Counted(raw, self, entry), 1 << 18)
        except RuntimeError:  # zipfile's word for a wrong password
            raise FaultError("password", "the password does not open the ZIP") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError):
            if entry.flag_bits & 1:
                raise FaultError("password", "the password does not open the ZIP, or the ZIP is damaged") from None
            raise FaultError("damaged", _DAMAGED) from None

    def read(self, name: str, most: int) -> bytes:
        """Return all of a file of at most `most` bytes."""
        with self.open(name) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise too_large("bytes in one part of the file", most)
        return data

    def count(self, of_this: int, entry: zipfile.ZipInfo) -> None:
        """Note how many bytes came out of a file so far; raise when these, or those of all files, are too many."""
        known = self._unpacked.get(entry.filename, 0)
        if of_this > known:  # a file that is read again does not count again
            self._unpacked[entry.filename] = of_this
            self._read += of_this - known
        if self._read > self._limits.decompressed_bytes:
            raise too_large("bytes once unpacked", self._limits.decompressed_bytes)
        if of_this > max(self._limits.ratio_from, self._limits.ratio * entry.compress_size):
            raise FaultError(
                "large",
                f"a part of the file unpacks to more than {self._limits.ratio} times its size, as no case file does; export it again",
            )

    @contextmanager
    def _opened(self, entry: zipfile.ZipInfo) -> Iterator[BinaryIO]:
        if entry.compress_type == AES_METHOD:
            with open_aes(self._file, entry, self._password or "") as stream:
                yield stream
        else:
            with self._zip.open(entry, pwd=(self._password or "").encode() or None) as stream:
                yield stream  # type: ignore[misc]  # IO[bytes] has all of BinaryIO that is used

    def _check_list(self) -> None:
        ends = 0
        for entry in sorted(self._zip.infolist(), key=lambda entry: entry.header_offset):
            if _OUTSIDE.search(entry.orig_filename) or len(entry.filename) > 1_000:
                raise FaultError(
                    "damaged", "the ZIP names a file outside of its own folder; do not use it, ask for it again"
                )
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise FaultError("damaged", "the ZIP holds a link instead of a file; pack the files themselves")
            if entry.header_offset < ends:
                raise FaultError("damaged", "files in the ZIP lie over each other; do not use it, ask for it again")
            ends = entry.header_offset + entry.compress_size
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, AES_METHOD):
                raise FaultError(
                    "kind", "the ZIP is packed in a way that is not read here; pack it with the usual method (deflate)"
                )


class _Counted(io.RawIOBase):
    """A stream that counts what comes out of it."""

    def __init__(self, raw: BinaryIO, archive: Archive, entry: zipfile.ZipInfo) -> None:
        self._raw = raw
        self._archive = archive
        self._entry = entry
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader hands a memoryview
        data = self._raw.read(len(buffer))
        self._bytes += len(data)
        self._archive.count(self._bytes, self._entry)
        buffer[: len(data)] = data
        return len(data)


def _is_file(entry: zipfile.ZipInfo) -> bool:
    return not entry.is_dir() and not _MACHINE.search(entry.filename)


def _check_count(file: BinaryIO, limits: Limits) -> None:
    """Refuse a list that is too long before it is read into memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    at = tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        raise FaultError("damaged", _DAMAGED)
    _, _, _, _, entries, list_bytes, _, _ = _END.unpack_from(tail, at)
    if entries > limits.entries or (list_bytes > (64 << 20) and list_bytes != 0xFFFFFFFF):
        raise too_large("files in one ZIP", limits.entries)
    file.seek(0)
