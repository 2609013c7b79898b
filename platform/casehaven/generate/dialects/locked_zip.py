"""A ZIP file with a password, as old tools and Primero write it: PKWARE's traditional encryption.

It is weak, and it is here only because files like this arrive. Nothing real is ever protected with it: what is written is made up.
The method is that of PKWARE's APPNOTE, section 6.1.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import BinaryIO

__all__ = ["write_locked_zip"]

_TABLE = [0] * 256
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = (_value >> 1) ^ 0xEDB88320 if _value & 1 else _value >> 1
    _TABLE[_byte] = _value
_DATE, _TIME = 33, 0  # 1980-01-01
_ENCRYPTED = 0x1
_UTF8 = 0x800


def _scramble(data: bytes, password: bytes) -> bytes:
    first, second, third = 0x12345678, 0x23456789, 0x34567890
    table, out = _TABLE, bytearray(len(data))

    def turned(byte: int) -> None:
        nonlocal first, second, third
        first = (first >> 8) ^ table[(first ^ byte) & 0xFF]
        second = ((second + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        third = (third >> 8) ^ table[(third ^ (second >> 24)) & 0xFF]

    for byte in password:
        turned(byte)
    for place, byte in enumerate(data):
        mask = third | 2
        out[place] = byte ^ ((mask * (mask ^ 1)) >> 8 & 0xFF)
        turned(byte)
    return bytes(out)


def write_locked_zip(sink: BinaryIO, name: str, content: bytes, password: str) -> None:
    """Write a ZIP file with one entry that opens with a password.

    >>> import io, zipfile
    >>> file = io.BytesIO()
    >>> write_locked_zip(file, "cases.csv", b"id\\n1\\n", "made up")
    >>> zipfile.ZipFile(file).read("cases.csv", b"made up")
    b'id\\n1\\n'
    """
    crc = zlib.crc32(content)
    squeezed = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = squeezed.compress(content) + squeezed.flush()
    salt = hashlib.sha256(content + password.encode()).digest()[:11]  # from the content: the same rows, the same file
    sealed = _scramble(salt + bytes([crc >> 24]) + body, password.encode("utf-8"))
    title = name.encode("utf-8")
    common = struct.pack(
        "<HHHHHIIIHH", 20, _ENCRYPTED | _UTF8, 8, _TIME, _DATE, crc, len(sealed), len(content), len(title), 0
    )
    sink.write(b"PK\x03\x04" + common + title + sealed)
    start = 30 + len(title) + len(sealed)
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0o600 << 16, 0) + title
    sink.write(central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), start, 0))
