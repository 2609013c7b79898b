"""Random values that open something, and what the database keeps of them.

1. A value has at least 120 random bits from the operating system, so that its plain SHA-256 cannot be turned around.
2. Values that people type are letters and digits of base32 in groups of four, without those that look alike (no 0, 1, 8, 9). Case and separators do not count.
3. Each kind of value is hashed with its own name: one that is stolen from one table fits no other.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Final

_TYPED_CHARACTERS: Final = 24
_TYPED: Final = re.compile(r"[A-Z2-7]{24}")
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SEPARATORS: Final = re.compile(r"[\s-]+")


def new_value() -> str:
    """Make a value of 256 random bits that programs carry.

    >>> len(new_value())
    43
    """
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode("ascii")


def new_typed_value() -> str:
    """Make a value of 120 random bits that people type.

    >>> len(new_typed_value())
    29
    """
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_TYPED_CHARACTERS))
    return "-".join(text[place : place + 4] for place in range(0, _TYPED_CHARACTERS, 4))


def typed(unverified: str) -> str | None:
    """Return what somebody typed in the form in which it is hashed; None when it cannot be such a value.

    >>> typed("abcd efgh-ijkl mnop qrst uvwx")
    'ABCDEFGHIJKLMNOPQRSTUVWX'
    """
    text = _SEPARATORS.sub("", unverified).upper()
    return text if _TYPED.fullmatch(text) else None


def digest(kind: str, value: str) -> bytes:
    """Return what the database keeps of a value of a kind (rule 3)."""
    return hashlib.sha256(f"casehaven-{kind}/1:{value}".encode()).digest()


def typed_digest(kind: str, unverified: str) -> bytes | None:
    """Return what the database keeps of a value that somebody typed; None when it cannot be one."""
    value = typed(unverified)
    return None if value is None else digest(kind, value)
