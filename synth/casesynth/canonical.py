"""One byte string for one JSON value, and a reader that accepts no second meaning.

1. *Canonical* is: keys sorted, no spaces, UTF-8, numbers as Python writes them. Two equal values give equal bytes, so a digest of
   the bytes is a digest of the value.
2. What JSON cannot say once is refused: NaN and infinities, keys that are not text, text that is not Unicode.
3. The reader refuses a key that occurs twice: two programs could read two meanings out of one signed file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from casesynth.errors import CasesynthError

JsonValue: TypeAlias = "None | bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue]"
"""What JSON can hold; sequences are lists or tuples."""

_DEPTH = 64


class JsonFaultError(CasesynthError):
    """A value or a file that is not JSON with one meaning."""


def canonical_json(value: JsonValue) -> bytes:
    """Write the one canonical byte string of a JSON value.

    >>> canonical_json({"b": [1, 2.5], "a": "é"}).decode()
    '{"a":"é","b":[1,2.5]}'

    Raises:
        JsonFaultError: the value holds NaN, an infinity, a key that is not text, text that is not Unicode, or another type.
    """
    try:
        text = json.dumps(
            _plain(value, "", 0), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode("utf-8")
    except ValueError as error:  # lone surrogates, and integers beyond Python's limit on digits
        raise JsonFaultError(f"cannot be written as JSON: {type(error).__name__}") from None


def parse_json(data: bytes, what: str) -> object:
    """Read JSON that has one meaning: UTF-8, no key twice, no NaN or infinity.

    Args:
        data: the bytes of the file.
        what: the name of the file, for the message.

    >>> parse_json(b'{"a": 1, "a": 2}', "manifest.json")
    Traceback (most recent call last):
    ...
    casesynth.canonical.JsonFaultError: manifest.json: the key 'a' occurs twice in one object

    Raises:
        JsonFaultError: the bytes are anything else.
    """

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        seen: dict[str, object] = {}
        for key, item in items:
            if key in seen:
                raise JsonFaultError(f"{what}: the key {key[:80]!r} occurs twice in one object")
            seen[key] = item
        return seen

    def constant(name: str) -> object:
        raise JsonFaultError(f"{what}: {name} is not a JSON number")

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise JsonFaultError(f"{what}: a number is too large")
        return value

    try:
        parsed: object = json.loads(
            data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_float=number
        )
    except (UnicodeDecodeError, RecursionError, ValueError) as error:  # JSONDecodeError is a ValueError
        raise JsonFaultError(f"{what}: is not JSON in UTF-8 ({type(error).__name__})") from None
    return parsed


def _plain(value: object, where: str, depth: int) -> object:
    if depth > _DEPTH:
        raise JsonFaultError(f"nested deeper than {_DEPTH} levels at {where[:80]}")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise JsonFaultError(f"{where or '/'} must be a finite number")
        return value
    if isinstance(value, Mapping):
        plain: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise JsonFaultError(f"{where or '/'} has a key of type {type(key).__name__}, expected text")
            plain[key] = _plain(item, f"{where}/{key}", depth + 1)
        return plain
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}/{index}", depth + 1) for index, item in enumerate(value)]
    raise JsonFaultError(f"{where or '/'} has type {type(value).__name__}, which JSON does not know")
