"""A form with one file (`multipart/form-data`), read in pieces: small fields first, then the file, which is passed on while it arrives.

1. Nothing is kept but one piece and a delimiter: a file of any size takes as much memory as one piece of it.
2. Fields stand before the file, and hold at most `FIELDS_BYTES` together, their names and themselves counted. So who sent the form is checked before a byte of the file is taken.
3. The file is the last part. A body that ends before its last delimiter is refused, and so is a part after the file: what is passed on is a whole file or nothing.
4. The name that the file had is read over and kept nowhere: it may name a person.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Final

from casehaven.web.errors import FormError

FIELDS_BYTES: Final = 64 * 1024
PART_BYTES: Final = 64
"""What a part costs beside its name and value: there are at most so many, empty ones too."""
HEADER_BYTES: Final = 4 * 1024
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
_HEADERS_END: Final = b"\r\n\r\n"
_TOO_MUCH: Final = f"more than {FIELDS_BYTES} bytes stand before the file"
_BROKEN: Final = "the form ended before its last part was whole"


@dataclass
class SentFile:
    """A form whose file is still arriving."""

    fields: dict[str, str]
    """What stood before the file."""
    pieces: AsyncIterator[bytes] = field(repr=False)
    """The file; raises FormError where it does not come whole."""


def boundary_of(content_type: str) -> bytes:
    """Return the delimiter that a browser chose.

    Raises:
        FormError: the request is no form with a file.

    >>> boundary_of("multipart/form-data; boundary=----x1")
    b'----x1'
    """
    message = Message()
    message["content-type"] = content_type[:500]
    found = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(found, str):
        raise FormError("a file is sent as multipart/form-data")
    if not _BOUNDARY.fullmatch(found):
        raise FormError("the delimiter of the form is not written as it must be")
    return found.encode("ascii")


async def read_file_form(stream: AsyncIterator[bytes], content_type: str) -> SentFile:
    """Read a form up to its file.

    Args:
        stream: the body.
        content_type: of the request.

    Raises:
        FormError: it is no such form, or too much stands before the file, or there is no file in it.
    """
    reader = _Reader(stream, boundary_of(content_type))
    await reader.begin()
    fields: dict[str, str] = {}
    left = FIELDS_BYTES
    while (named := await reader.part()) is not None:
        name, is_file = named
        if is_file:
            return SentFile(fields=fields, pieces=reader.file())
        value = await reader.small(left)
        left -= len(value) + len(name) + PART_BYTES
        if left < 0:
            raise FormError(_TOO_MUCH)
        try:
            fields.setdefault(name, value.decode("utf-8"))
        except UnicodeDecodeError:
            raise FormError("a field of the form is not UTF-8") from None
    raise FormError("there is no file in the form")


class _Reader:
    """The body, parted at its delimiters."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._delimiter = b"\r\n--" + boundary
        self._held = bytearray(b"\r\n")  # so that the first delimiter looks like every other
        self._over = False

    async def begin(self) -> None:
        """Pass over the first delimiter."""
        while len(self._held) < len(self._delimiter) and await self._more():
            pass
        if not self._held.startswith(self._delimiter):
            raise FormError("the form does not begin with its delimiter")
        del self._held[: len(self._delimiter)]

    async def part(self) -> tuple[str, bool] | None:
        """Return the name of the next part and whether it is a file; None after the last one."""
        while len(self._held) < 2 and await self._more():
            pass
        if self._held.startswith(b"--"):
            return None
        while (end := self._held.find(_HEADERS_END)) < 0:
            if len(self._held) > HEADER_BYTES or not await self._more():
                raise FormError(_BROKEN)
        if end > HEADER_BYTES or not self._held.startswith(b"\r\n"):
            raise FormError("a part of the form has no heading that can be read")
        message = Message()
        for line in bytes(self._held[2:end]).decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon and name.lower() == "content-disposition":
                message["content-disposition"] = value.strip()
        del self._held[: end + len(_HEADERS_END)]
        said = message.get_param("name", header="content-disposition")
        if message.get_content_disposition() != "form-data" or not isinstance(said, str):
            raise FormError("a part of the form has no name")
        return said, message.get_param("filename", header="content-disposition") is not None

    async def small(self, most: int) -> bytes:
        """Return a part whole."""
        found = bytearray()
        async for piece in self._until():
            found += piece
            if len(found) > most:
                raise FormError(_TOO_MUCH)
        return bytes(found)

    async def file(self) -> AsyncIterator[bytes]:
        """Yield the last part (rule 3)."""
        async for piece in self._until():
            yield piece
        while len(self._held) < 2 and await self._more():
            pass
        if not self._held.startswith(b"--"):
            raise FormError(_BROKEN if self._over else "the file is not the last part of the form")

    async def _until(self) -> AsyncIterator[bytes]:
        """Yield what stands before the next delimiter, and pass over it."""
        while True:
            place = self._held.find(self._delimiter)
            if place >= 0:
                if place:
                    yield bytes(self._held[:place])
                del self._held[: place + len(self._delimiter)]
                return
            safe = len(self._held) - len(self._delimiter) + 1
            if safe > 0:
                yield bytes(self._held[:safe])
                del self._held[:safe]
            if not await self._more():
                raise FormError(_BROKEN)

    async def _more(self) -> bool:
        """Take the next piece; False when there is none."""
        try:
            self._held += await anext(self._stream)
        except StopAsyncIteration:
            self._over = True
            return False
        return True
