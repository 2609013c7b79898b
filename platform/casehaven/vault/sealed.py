"""Sealed bytes: authenticated encryption that is bound to a context and committed to one key.

1. From the key, 32 random bytes of salt and the context, HKDF-SHA512 makes a message key and a *commitment*, 32 bytes each. The commitment
   stands in the header and is compared in constant time before anything is decrypted, so no ciphertext opens under two keys (threat 6).
2. The plaintext is cut into chunks of 4 MiB. Each is AES-256-GCM under the message key; the nonce is an 11-byte counter and a byte that is 1 on
   the last chunk only. Chunks that are dropped, doubled, moved or added fail (threat 5). A message key is used for one message, so no nonce
   comes twice.
3. Additional data of every chunk: the header's prefix, the encoded context, and the SHA-256 of the whole header, each after its length (threat 4).
4. A wrapped key is the same in small: HKDF-Expand-SHA512 over the wrapping key, which is uniform already, then one AES-256-GCM.
5. Whatever is wrong, the error is the same. It tells an attacker nothing, and nothing is returned before the last chunk was checked.
6. The header carries a format version. Every version that was ever written stays readable here; `tests/vectors/vault/` has fixtures of each.

Python cannot promise to erase keys from memory; it does not try to look as if it did.

Layout, all lengths in bytes (docs/spec/vault-format.md):

    sealed  = magic 8 | format 1 | suite 1 | salt 32 | commitment 32 | chunk*
    wrapped = format 1 | salt 32 | commitment 32 | key 32 | tag 16
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from casehaven.vault.context import SealContext, prefixed
from casehaven.vault.errors import KeySizeError, SealBrokenError, SealTooLargeError

MAGIC: Final = b"CHSEALED"
FORMAT: Final = 1
SUITE: Final = 1
"""HKDF-SHA512 and AES-256-GCM."""
KEY_BYTES: Final = 32
CHUNK_BYTES: Final = 4 * 1024 * 1024
PLAINTEXT_MAX: Final = 1 << 40

_SALT_BYTES: Final = 32
_COMMITMENT_BYTES: Final = 32
_TAG_BYTES: Final = 16
_PREFIX: Final = MAGIC + bytes((FORMAT, SUITE))
HEADER_BYTES: Final = len(_PREFIX) + _SALT_BYTES + _COMMITMENT_BYTES
SEALED_OVERHEAD: Final = HEADER_BYTES + _TAG_BYTES
"""How much longer a sealed object of one chunk is than its plaintext."""

WRAP_FORMAT: Final = 1
WRAPPED_BYTES: Final = 1 + _SALT_BYTES + _COMMITMENT_BYTES + KEY_BYTES + _TAG_BYTES

_SEALED_INFO: Final = prefixed(b"casehaven-vault-sealed/1") + prefixed(_PREFIX)
_WRAP_INFO: Final = prefixed(b"casehaven-vault-wrap/1")
_WRAP_NONCE: Final = bytes(12)  # each wrapping has a key of its own
_SHA512: Final = hashes.SHA512()


def new_key() -> bytes:
    """32 bytes from the operating system's generator."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, plaintext: bytes, context: SealContext) -> bytes:
    """Encrypt bytes so that they open with this key and in this context only.

    >>> key, context = new_key(), SealContext(kind="record", organisation="north", object_id="7")
    >>> unseal(key, seal(key, b"text", context), context)
    b'text'

    Raises:
        KeySizeError: the key does not have 32 bytes.
        SealTooLargeError: the plaintext is larger than 1 TiB.
    """
    return _seal(key, plaintext, context, os.urandom(_SALT_BYTES))


def _seal(key: bytes, plaintext: bytes, context: SealContext, salt: bytes) -> bytes:
    """`seal` with a given salt: for the script that makes the vectors, and nothing else."""
    _check_key(key)
    if len(plaintext) > PLAINTEXT_MAX:
        raise SealTooLargeError(f"a sealed {context.kind} may hold at most {PLAINTEXT_MAX} bytes")
    header, message_key, data = begin_sealed(key, context, salt)
    cipher = AESGCM(message_key)
    last = max(0, -(-len(plaintext) // CHUNK_BYTES) - 1)
    if last == 0:
        return header + cipher.encrypt(chunk_nonce(0, last=True), plaintext, data)
    view = memoryview(plaintext)
    parts = [header]
    for index in range(last + 1):
        piece = view[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        parts.append(cipher.encrypt(chunk_nonce(index, last=index == last), piece, data))
    return b"".join(parts)


def begin_sealed(key: bytes, context: SealContext, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """Return header, message key and additional data of a sealed object, for what writes its chunks one after the other.

    Args:
        key: 32 bytes.
        context: where it belongs.
        salt: 32 random bytes, used once.
    """
    _check_key(key)
    encoded = context.encode()
    message_key, commitment = _derive(key, salt, encoded)
    header = _PREFIX + salt + commitment
    return header, message_key, _additional_data(encoded, header)


def unseal(key: bytes, sealed: bytes, context: SealContext) -> bytes:
    """Decrypt bytes that `seal` made with this key in this context; all of them or nothing.

    Raises:
        SealBrokenError: anything is wrong (rule 5).
        KeySizeError: the key does not have 32 bytes.
    """
    _check_key(key)
    encoded = context.encode()
    header = bytes(sealed[:HEADER_BYTES])
    if len(sealed) < SEALED_OVERHEAD or not header.startswith(_PREFIX):  # rule 6: here other formats branch off
        raise broken(context)
    salt, stated = header[len(_PREFIX) : -_COMMITMENT_BYTES], header[-_COMMITMENT_BYTES:]
    message_key, commitment = _derive(key, salt, encoded)
    if not hmac.compare_digest(stated, commitment):  # rule 1: before decryption
        raise broken(context)
    data = _additional_data(encoded, header)
    cipher = AESGCM(message_key)
    body = memoryview(sealed)[HEADER_BYTES:]
    step = CHUNK_BYTES + _TAG_BYTES
    last = -(-len(body) // step) - 1
    if last > 0 and len(body) - last * step <= _TAG_BYTES:  # only an empty plaintext has an empty last chunk
        raise broken(context)
    try:
        if last == 0:
            return cipher.decrypt(chunk_nonce(0, last=True), body, data)
        return b"".join(
            cipher.decrypt(chunk_nonce(index, last=index == last), body[index * step : (index + 1) * step], data)
            for index in range(last + 1)
        )
    except InvalidTag:
        raise broken(context) from None


def wrap_key(wrapping: bytes, key: bytes, context: SealContext) -> bytes:
    """Encrypt a key under another one; 113 bytes, committed to the wrapping key like everything else (rule 4).

    >>> wrapping, key = new_key(), new_key()
    >>> context = SealContext(kind="person-key", organisation="north", object_id="7")
    >>> unwrap_key(wrapping, wrap_key(wrapping, key, context), context) == key
    True

    Raises:
        KeySizeError: one of the keys does not have 32 bytes.
    """
    return _wrap_key(wrapping, key, context, os.urandom(_SALT_BYTES))


def _wrap_key(wrapping: bytes, key: bytes, context: SealContext, salt: bytes) -> bytes:
    """`wrap_key` with a given salt: for the script that makes the vectors, and nothing else."""
    _check_key(wrapping)
    _check_key(key)
    encoded = context.encode()
    message_key, commitment = _expand(wrapping, salt, encoded)
    head = bytes((WRAP_FORMAT,)) + salt + commitment
    return head + AESGCM(message_key).encrypt(_WRAP_NONCE, key, encoded + head)


def unwrap_key(wrapping: bytes, wrapped: bytes, context: SealContext) -> bytes:
    """Decrypt a key that `wrap_key` wrapped under this key in this context.

    Raises:
        SealBrokenError: anything is wrong (rule 5).
        KeySizeError: the wrapping key does not have 32 bytes.
    """
    _check_key(wrapping)
    encoded = context.encode()
    if len(wrapped) != WRAPPED_BYTES or wrapped[0] != WRAP_FORMAT:
        raise broken(context)
    head, body = bytes(wrapped[: -(KEY_BYTES + _TAG_BYTES)]), wrapped[-(KEY_BYTES + _TAG_BYTES) :]
    message_key, commitment = _expand(wrapping, head[1 : 1 + _SALT_BYTES], encoded)
    if not hmac.compare_digest(head[-_COMMITMENT_BYTES:], commitment):
        raise broken(context)
    try:
        return AESGCM(message_key).decrypt(_WRAP_NONCE, body, encoded + head)
    except InvalidTag:
        raise broken(context) from None


def _derive(key: bytes, salt: bytes, encoded: bytes) -> tuple[bytes, bytes]:
    """Message key and commitment of a sealed object (rule 1)."""
    derived = HKDF(algorithm=_SHA512, length=64, salt=salt, info=_SEALED_INFO + encoded).derive(key)
    return derived[:32], derived[32:]


def _expand(wrapping: bytes, salt: bytes, encoded: bytes) -> tuple[bytes, bytes]:
    """Message key and commitment of a wrapped key (rule 4)."""
    derived = HKDFExpand(algorithm=_SHA512, length=64, info=_WRAP_INFO + prefixed(salt) + encoded).derive(wrapping)
    return derived[:32], derived[32:]


def _additional_data(encoded: bytes, header: bytes) -> bytes:
    return prefixed(_PREFIX) + encoded + prefixed(hashlib.sha256(header).digest())


def chunk_nonce(index: int, *, last: bool) -> bytes:
    """Return the nonce of a chunk (rule 2)."""
    return index.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _check_key(key: bytes) -> None:
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise KeySizeError(f"a key has {KEY_BYTES} bytes")


def broken(context: SealContext) -> SealBrokenError:
    """The one error of rule 5."""
    return SealBrokenError(
        f"a sealed {context.kind} does not open: it was sealed with another key or for another place, or its bytes were changed"
    )
