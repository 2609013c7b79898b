"""What the files of escrow have in common: how a field is read that came from outside."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Any, Final

from casehaven.vault.errors import EscrowError
from casesynth.canonical import JsonFaultError, parse_json

ID: Final = re.compile(r"[0-9a-f]{32}")
SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def parsed(unverified: bytes, expected: str, names: str, what: str) -> dict[str, Any]:
    """Read JSON of a format with exactly these fields; their values are still unverified.

    Raises:
        EscrowError: it is something else.
    """
    try:
        fields = parse_json(unverified, what)
    except JsonFaultError:
        raise EscrowError(f"the file is no {what}") from None
    if not isinstance(fields, dict) or fields.get("format") != expected or set(fields) != {"format", *names.split()}:
        raise EscrowError(f"the file is no {what} of the format {expected}")
    return fields


def match(pattern: re.Pattern[str], value: Any) -> str:
    """A text of a pattern; ValueError or TypeError for another."""
    if not pattern.fullmatch(value):
        raise ValueError
    return str(value)


def whole(value: Any) -> int:
    """A whole number from 0 on; ValueError for anything else."""
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def text(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def from_text(text: Any) -> bytes:
    """Bytes from base64; ValueError or TypeError for anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError from None


def or_now(now: datetime | None) -> datetime:
    """The given time, or the time now."""
    return now or datetime.now(UTC)


def written(now: datetime | None) -> str:
    """A time, or the time now, as the files have it: UTC, to the second."""
    return or_now(now).astimezone(UTC).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """Read a time as the files have it; ValueError for anything else."""
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def moment(value: Any) -> str:
    """A text that is a time."""
    parse_time(value)
    return str(value)
