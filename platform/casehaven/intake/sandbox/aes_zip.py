"""Files in a ZIP under AES, as WinZip describes it (AE-1 and AE-2).

1. The key is PBKDF2-HMAC-SHA1 of the password with 1,000 rounds; two bytes of it tell a wrong password.
2. The code at the end (HMAC-SHA1, ten bytes) is checked over all encrypted bytes before one of them is decrypted.
3. AES runs in counter mode with a little-endian counter from 1. The block cipher is that of `cryptography`, imported before the doors close (`prepare`).
"""

from __future__ import annotations

import hashlib
import hmac
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from casehaven.intake.sandbox.faults import FaultError

AES_METHOD = 99
_ROUNDS = 1_000
_CODE_BYTES = 10
_CHECK_BYTES = 2
_BLOCK = 16
_CHUNK = 1 << 16
_EXTRA = struct.Struct("<HH")
_AES_EXTRA = struct.Struct("<HHH2sBH")
_LOCAL = struct.Struct("<4s5H3L2H")

_cipher: list[Callable[[bytes], Any]] = []


def prepare() -> None:
    """Import the block cipher; without it, files under AES are refused."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    _cipher.append(lambda key: Cipher(algorithms.AES(key), modes.ECB()).encryptor())
    _cipher[0](bytes(_BLOCK)).update(bytes(_BLOCK))  # loads all that is loaded on first use


@contextmanager
def open_aes(file: BinaryIO, entry: zipfile.ZipInfo, password: str) -> Iterator[BinaryIO]:
    """Open one encrypted file as a stream of decompressed bytes.

    Raises:
        FaultError: the password is wrong, or the bytes were changed.
        zipfile.BadZipFile: not as WinZip describes it.
    """
    strength, method = _parameters(entry)
    key_bytes, salt_bytes = 8 + 8 * strength, 4 + 4 * strength
    start, size = _data_of(file, entry)
    body = size - salt_bytes - _CHECK_BYTES - _CODE_BYTES
    if body < 0:
        raise zipfile.BadZipFile
    file.seek(start)
    salt, check = file.read(salt_bytes), file.read(_CHECK_BYTES)
    made = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, _ROUNDS, 2 * key_bytes + _CHECK_BYTES)
    if not hmac.compare_digest(made[-_CHECK_BYTES:], check):
        raise FaultError("password", "the password does not open the ZIP")
    start = file.tell()
    code = hmac.new(made[key_bytes : 2 * key_bytes], digestmod="sha1")
    for chunk in _chunks(file, start, body):
        code.update(chunk)
    if not hmac.compare_digest(code.digest()[:_CODE_BYTES], file.read(_CODE_BYTES)):
        raise FaultError("damaged", "the ZIP is damaged or was changed; ask for it again")
    if not _cipher:
        raise FaultError("kind", "ZIPs under AES cannot be read here; the package cryptography is missing")
    plain = _decrypted(_chunks(file, start, body), _cipher[0](made[:key_bytes]))
    yield io.BufferedReader(_Pieces(_inflated(plain) if method == zipfile.ZIP_DEFLATED else plain))


def _parameters(entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Return strength (1, 2, 3 for 128, 192, 256 bits) and the compression inside."""
    extra = entry.extra
    while len(extra) >= _EXTRA.size:
        kind, size = _EXTRA.unpack_from(extra)
        if kind == 0x9901 and size == 7 and len(extra) >= _AES_EXTRA.size:
            _, _, _, maker, strength, method = _AES_EXTRA.unpack_from(extra)
            if maker == b"AE" and strength in (1, 2, 3) and method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                return strength, method
        extra = extra[_EXTRA.size + size :]
    raise zipfile.BadZipFile


def _data_of(file: BinaryIO, entry: zipfile.ZipInfo) -> tuple[int, int]:
    file.seek(entry.header_offset)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        raise zipfile.BadZipFile
    *_, name_bytes, extra_bytes = _LOCAL.unpack(head)
    return entry.header_offset + _LOCAL.size + name_bytes + extra_bytes, entry.compress_size


def _chunks(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    for at in range(0, size, _CHUNK):
        file.seek(start + at)
        chunk = file.read(min(_CHUNK, size - at))
        if not chunk:
            raise zipfile.BadZipFile
        yield chunk


def _decrypted(chunks: Iterator[bytes], cipher: Any) -> Iterator[bytes]:
    counter = 1
    for chunk in chunks:
        blocks = -(-len(chunk) // _BLOCK)
        counters = b"".join(number.to_bytes(_BLOCK, "little") for number in range(counter, counter + blocks))
        counter += blocks
        stream = cipher.update(counters)[: len(chunk)]
        mixed = int.from_bytes(chunk, "little") ^ int.from_bytes(stream, "little")
        yield mixed.to_bytes(len(chunk), "little")


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    for chunk in chunks:
        while chunk:
            yield inflate.decompress(chunk, _CHUNK)
            chunk = inflate.unconsumed_tail
    yield inflate.flush(_CHUNK)
    if not inflate.eof:
        raise zipfile.BadZipFile


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader hands a memoryview
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
