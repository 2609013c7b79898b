"""A schema file as JSON, with the line of every part of it.

Read in this order, each step safe on arbitrary bytes because of the ones before: size, UTF-8, nesting, JSON, lines and duplicate keys.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from caseschemas.faults import Fault, pointer_to, quoted

MAX_BYTES = 2 * 1024 * 1024
"""A schema file may be this large; the largest shipped code list takes 60 kB."""

MAX_DEPTH = 32
"""Lists and objects may nest this deep; the language needs 8 levels."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_CONSTANTS = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True, kw_only=True)
class Document:
    """JSON and where its parts stand in the file."""

    value: Any
    """What was read."""
    lines: Mapping[str, int] = field(repr=False)
    """Line of each JSON pointer, counted from 1."""

    def line(self, pointer: str) -> int:
        """The line of a place; for a place that does not exist, the line of what should hold it.

        >>> Document(value={}, lines={"": 1, "/a": 7}).line("/a/0/b")
        7
        """
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, 1)


def read_document(raw: bytes) -> tuple[Document | None, list[Fault]]:
    """Read a file; no document comes back if it cannot be understood at all."""
    if len(raw) > MAX_BYTES:
        size = f"more than {MAX_BYTES // 1024 // 1024} MiB"
        return None, [
            _fault(
                "too-large",
                1,
                size,
                f"at most {MAX_BYTES} bytes",
                "refer to a shipped code list instead of writing it out",
            )
        ]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        utf16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        found = "UTF-16 text" if utf16 else f"a byte 0x{raw[error.start]:02x} that is no character"
        return None, [_fault("not-utf8", line, found, "UTF-8 text", "save the file with the encoding UTF-8")]
    breaks = [match.start() for match in re.finditer("\n", text)]

    def line_at(offset: int) -> int:
        return bisect_left(breaks, offset) + 1

    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
        if depth > MAX_DEPTH:
            advice = "check for a bracket that is never closed"
            return None, [
                _fault(
                    "too-deep", line_at(match.start()), f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH}", advice
                )
            ]
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except json.JSONDecodeError as error:
        rest = text[error.pos : error.pos + 12].split("\n")[0]
        found = (
            quoted(rest)
            if rest.strip()
            else "the end of the file"
            if not text[error.pos :].strip()
            else "the end of the line"
        )
        expected = f"JSON (column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]})"
        return None, [_fault("not-json", error.lineno, found, expected, _json_advice(text, error.pos))]
    except _ConstantError as error:
        offset = next(match.start() for match in _TOKEN.finditer(text) if match[0] == str(error))
        return None, [
            _fault(
                "not-json",
                line_at(offset),
                str(error),
                "a number that JSON knows",
                "write a whole number, or leave the field out",
            )
        ]
    lines, repeats = _places(text, line_at)
    document = Document(value=value, lines=lines)
    faults = [
        Fault(
            code="duplicate-key",
            pointer=pointer,
            line=line,
            found=f"the field {quoted(key)} for the second time",
            expected="each field once",
            advice="remove one of the two",
        )
        for pointer, key, line in repeats
    ]
    faults += [
        Fault(
            code="broken-character",
            pointer=pointer,
            line=document.line(pointer),
            found="half of a character pair (a lone surrogate)",
            expected="whole characters",
            advice="write the character itself instead of its \\u escapes",
        )
        for pointer, text in _texts(value)
        if any("\ud800" <= character <= "\udfff" for character in text)
    ]
    return document, faults


class _ConstantError(ValueError):
    """NaN or an infinity, which are not JSON."""


def _refuse(constant: str) -> Any:
    raise _ConstantError(constant)


def _integer(digits: str) -> int | float:
    """An integer; one of absurd length becomes a float, which the shape refuses, instead of costing quadratic time."""
    return int(digits) if len(digits) <= 20 else float(digits)


def _json_advice(text: str, offset: int) -> str:
    before = text[:offset].rstrip()
    if before.endswith(",") or text[offset : offset + 1] == "," and text[offset + 1 :].lstrip()[:1] in ("}", "]"):
        return "remove the comma before the closing bracket"
    if text[offset : offset + 1] in ("'", "\u2018", "\u2019", "\u201c", "\u201d"):
        return 'use plain double quotes ("), not others'
    if text[offset : offset + 1] == "/" or text[offset : offset + 1] == "#":
        return "remove the comment; JSON has none, use `description`"
    if not text[offset:].strip():
        return "the file ends too early; close what is open"
    return "look at this place and just before it for a missing comma, colon or quote"


def _texts(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every text in the document, names of fields included."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _texts(item, f"{pointer}/{position}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield pointer, key
            yield from _texts(item, pointer + pointer_to(key))


@dataclass(kw_only=True)
class _Open:
    """A list or an object that is being read."""

    pointer: str
    is_object: bool
    position: int = 0
    keys: set[str] = field(default_factory=set)
    wants_key: bool = False


def _places(text: str, line_at: Any) -> tuple[dict[str, int], list[tuple[str, str, int]]]:
    """The line of every part of a text that is known to be JSON, and the fields that come twice."""
    lines: dict[str, int] = {}
    repeats: list[tuple[str, str, int]] = []
    stack: list[_Open] = []
    place = ""
    for match in _TOKEN.finditer(text):
        token, line = match[0], line_at(match.start())
        top = stack[-1] if stack else None
        if token in "}]":
            stack.pop()
        elif token == ",":
            assert top is not None  # the text is JSON
            top.wants_key = top.is_object
            top.position += 1
            place = f"{top.pointer}/{top.position}"
        elif token == ":":
            continue
        elif top is not None and top.wants_key:
            key = json.loads(token)
            place = top.pointer + pointer_to(key)
            if key in top.keys:
                repeats.append((place, key, line))
            top.keys.add(key)
            top.wants_key = False
            lines[place] = line
        else:
            if top is None or not top.is_object:
                lines[place] = line
            if token in "{[":
                stack.append(_Open(pointer=place, is_object=token == "{", wants_key=token == "{"))
                if token == "[":
                    place = f"{place}/0"
    return lines, repeats


def _fault(code: str, line: int, found: str, expected: str, advice: str) -> Fault:
    return Fault(code=code, pointer="", line=line, found=found, expected=expected, advice=advice)
