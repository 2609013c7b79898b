"""HMAC-SHA256 under one key, many times: the key is set up once."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

__all__ = ["MacKey"]


class MacKey:
    """A key for keyed hashes of many short texts.

    >>> import hmac
    >>> MacKey(bytes(32)).digest(b"text") == hmac.digest(bytes(32), b"text", "sha256")
    True
    """

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 bytes."""
        self._made = HMAC(key, hashes.SHA256())

    def digest(self, data: bytes) -> bytes:
        """Return the 32 bytes of one text."""
        made = self._made.copy()
        made.update(data)
        return made.finalize()
