"""Pages of a list: so many entries, and a cursor to the next ones.

1. A cursor is opaque: the number of the last entry, with an HMAC of the api's key over it and the name of the list. One that was made up is refused.
2. A page says whether there are more, and never how many (privacy rule 5).
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from casehaven.core.request_errors import CursorError

LIMIT: Final = 50
LIMIT_MOST: Final = 200
_MAC: Final = 16

T = TypeVar("T")


def page(
    entries: Sequence[T],
    *,
    limit: int,
    list_name: str,
    key: bytes,
    number: Callable[[T], int],
    shown: Callable[[T], Any],
) -> dict[str, Any]:
    """Return a page.

    Args:
        entries: one more than `limit`, where there are more.
        limit: of the page.
        list_name: which list, so that a cursor fits no other.
        key: of the api.
        number: by which the list is ordered, falling.
        shown: what is shown of an entry.
    """
    some = entries[:limit]
    more = len(entries) > limit
    return {
        "items": [shown(entry) for entry in some],
        "next": cursor(number(some[-1]), list_name, key) if more and some else None,
    }


def cursor(number: int, list_name: str, key: bytes) -> str:
    """Return the cursor behind an entry.

    >>> parse_cursor(cursor(7, "jobs", b"k" * 32), "jobs", b"k" * 32)
    7
    """
    data = number.to_bytes(8, "big")
    return base64.urlsafe_b64encode(data + _mac(data, list_name, key)).decode().rstrip("=")


def parse_cursor(unverified: str | None, list_name: str, key: bytes) -> int | None:
    """Return the number in a cursor; None without one.

    Raises:
        CursorError: this list did not give it.
    """
    if unverified is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(unverified.encode("ascii") + b"=" * (-len(unverified) % 4))
    except (binascii.Error, ValueError):
        raise CursorError from None
    if len(raw) != 8 + _MAC or not hmac.compare_digest(raw[8:], _mac(raw[:8], list_name, key)):
        raise CursorError
    return int.from_bytes(raw[:8], "big")


def _mac(data: bytes, list_name: str, key: bytes) -> bytes:
    return hmac.digest(key, b"casehaven-cursor/1:" + list_name.encode() + b":" + data, "sha256")[:_MAC]
