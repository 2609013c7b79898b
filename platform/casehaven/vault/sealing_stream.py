"""An envelope that is written while its content arrives: the same bytes as `casehaven.vault.envelope.seal_to`, piece by piece.

1. A process that takes a file from the web seals each 4 MiB as they come in. No more than that is ever plain, in memory, and nothing plain is written.
2. The last chunk is marked as such, so the end has to be known: `finish` writes it. What was cut short has no last chunk and does not open.
3. Format and rules are those of `casehaven.vault.envelope` and `casehaven.vault.sealed`; `open_with` opens what this writes, and a test compares both ways.
"""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casehaven.vault.context import SealContext
from casehaven.vault.envelope import sealed_key
from casehaven.vault.errors import SealTooLargeError
from casehaven.vault.sealed import CHUNK_BYTES, PLAINTEXT_MAX, begin_sealed, chunk_nonce, new_key


class SealingStream:
    """Seals to a public key what is handed to it in pieces of any size.

    >>> from casehaven.vault.envelope import new_key_pair, open_with
    >>> private, public = new_key_pair()
    >>> context = SealContext(kind="upload", organisation="north", object_id="u1")
    >>> stream = SealingStream(public, context)
    >>> sealed = stream.update(b"te") + stream.update(b"xt") + stream.finish()
    >>> open_with(private, sealed, context)
    b'text'
    """

    def __init__(self, public_key: bytes, context: SealContext) -> None:
        """Begin an envelope.

        Raises:
            KeySizeError: these are no 32 bytes of a usable public key.
        """
        content_key = new_key()
        head = sealed_key(public_key, content_key, context)
        header, message_key, self._data = begin_sealed(content_key, context, os.urandom(32))
        self._cipher = AESGCM(message_key)
        self._ready = head + header
        self._waiting = bytearray()
        self._index = 0
        self._kind = context.kind

    def update(self, piece: bytes) -> bytes:
        """Take some more, and return what is sealed by now.

        Raises:
            SealTooLargeError: it would hold more than 1 TiB.
        """
        self._waiting += piece
        if self._index * CHUNK_BYTES + len(self._waiting) > PLAINTEXT_MAX:
            raise SealTooLargeError(f"a sealed {self._kind} may hold at most {PLAINTEXT_MAX} bytes")
        out, self._ready = [self._ready], b""
        while len(self._waiting) > CHUNK_BYTES:  # a whole chunk waits: it may be the last one
            out.append(self._chunk(bytes(self._waiting[:CHUNK_BYTES]), last=False))
            del self._waiting[:CHUNK_BYTES]
        return b"".join(out)

    def finish(self) -> bytes:
        """Return the rest. Nothing can be added afterwards."""
        ready, self._ready = self._ready, b""
        rest = bytes(self._waiting)
        self._waiting.clear()
        return ready + self._chunk(rest, last=True)

    def _chunk(self, plain: bytes, *, last: bool) -> bytes:
        sealed = self._cipher.encrypt(chunk_nonce(self._index, last=last), plain, self._data)
        self._index += 1
        return sealed
