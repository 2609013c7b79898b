"""Bytes that anybody can seal to a public key, and only the holder of the private key can open.

1. A fresh key goes to the recipient by HPKE (RFC 9180, base mode: DHKEM X25519, HKDF-SHA256, AES-256-GCM); it seals the content as in
   `casehaven.vault.sealed`. The seal context is the `info` of HPKE and the context of the content.
2. Who seals needs a public key and nothing else: a process that faces the web can open nothing that is stored.
3. HPKE's base mode does not say who sealed. Whoever needs that must know it otherwise.
4. The header names the public key by the start of its SHA-256, so that a recipient with several keys finds the right one. It is part of `info`.

Layout (docs/spec/vault-format.md):

    envelope = magic 8 | format 1 | suite 1 | key id 8 | HPKE encapsulation 32, key 32, tag 16 | sealed
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from casehaven.vault.context import SealContext, prefixed
from casehaven.vault.errors import KeySizeError
from casehaven.vault.sealed import KEY_BYTES, broken, new_key, seal, unseal

MAGIC: Final = b"CHENVLOP"
FORMAT: Final = 1
SUITE: Final = 1
KEY_ID_BYTES: Final = 8

_PREFIX: Final = MAGIC + bytes((FORMAT, SUITE))
_HPKE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_HPKE_BYTES: Final = 32 + KEY_BYTES + 16
_INFO: Final = prefixed(b"casehaven-vault-envelope/1")
HEADER_BYTES: Final = len(_PREFIX) + KEY_ID_BYTES


def new_key_pair() -> tuple[bytes, bytes]:
    """A private key and its public key, 32 bytes each."""
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def public_key_of(private_key: bytes) -> bytes:
    """The public key of a private key."""
    _check(private_key)
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def key_id(public_key: bytes) -> bytes:
    """How an envelope names its recipient's key: the first 8 bytes of its SHA-256."""
    return hashlib.sha256(public_key).digest()[:KEY_ID_BYTES]


def seal_to(public_key: bytes, plaintext: bytes, context: SealContext) -> bytes:
    """Seal bytes to the holder of a private key.

    >>> private, public = new_key_pair()
    >>> context = SealContext(kind="upload", organisation="north", object_id="u1")
    >>> open_with(private, seal_to(public, b"text", context), context)
    b'text'

    Raises:
        KeySizeError: the public key does not have 32 bytes.
        SealContextError: see `SealContext.encode`.
    """
    content_key = new_key()
    return sealed_key(public_key, content_key, context) + seal(content_key, plaintext, context)


def sealed_key(public_key: bytes, content_key: bytes, context: SealContext) -> bytes:
    """Return the head of an envelope: everything before the sealed content.

    Raises:
        KeySizeError: the public key does not have 32 bytes.
        SealContextError: see `SealContext.encode`.
    """
    _check(public_key)
    header = _PREFIX + key_id(public_key)
    try:
        sent = _HPKE.encrypt(content_key, X25519PublicKey.from_public_bytes(public_key), info=_info(header, context))
    except ValueError:  # a point of small order has no shared secret
        raise KeySizeError("these 32 bytes are no usable X25519 public key") from None
    return header + sent


def recipient(envelope: bytes) -> bytes:
    """The key id of the recipient that an envelope names; eight zero bytes when it is no envelope."""
    if len(envelope) < HEADER_BYTES or not envelope.startswith(_PREFIX):
        return bytes(KEY_ID_BYTES)
    return bytes(envelope[len(_PREFIX) : HEADER_BYTES])


def open_with(private_key: bytes, envelope: bytes, context: SealContext) -> bytes:
    """Open what was sealed to this key in this context.

    Raises:
        SealBrokenError: anything is wrong.
        KeySizeError: the private key does not have 32 bytes.
    """
    _check(private_key)
    header = bytes(envelope[:HEADER_BYTES])
    sent = bytes(envelope[HEADER_BYTES : HEADER_BYTES + _HPKE_BYTES])
    private = X25519PrivateKey.from_private_bytes(private_key)
    if header != _PREFIX + key_id(private.public_key().public_bytes_raw()) or len(sent) != _HPKE_BYTES:
        raise broken(context)
    try:
        content_key = _HPKE.decrypt(sent, private, info=_info(header, context))
    except (InvalidTag, ValueError):
        raise broken(context) from None
    return unseal(content_key, bytes(envelope[HEADER_BYTES + _HPKE_BYTES :]), context)


def _info(header: bytes, context: SealContext) -> bytes:
    return _INFO + prefixed(header) + context.encode()


def _check(key: bytes) -> None:
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise KeySizeError(f"an X25519 key has {KEY_BYTES} bytes")
