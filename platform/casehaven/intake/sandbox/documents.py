"""JSON files: an array of records, or an object that holds one.

1. The array is the file itself, or the value of `results` (Kobo), `data` (Primero), `value` (ODK) or `records`; other values of that object are passed over.
2. Records are read one by one; memory is that of one record. Columns are the union of all records' keys, in order of first sight: one pass before the rows.
3. An object inside a record spreads over columns `outer/inner`. A list is a column of several values; a list of objects is several columns of that kind.
4. Numbers keep their digits as text; true and false are `true` and `false`; null is empty.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from casehaven.intake.sandbox.delimited import Open
from casehaven.intake.sandbox.faults import FaultError, too_large
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.sandbox.tables import Row

ARRAYS = ("results", "data", "value", "records")
JOIN = ";"
_PIECE = 1 << 18
_RECORD = 1 << 24
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: "")


class Documents:
    """The records of a JSON file as a table."""

    def __init__(self, opened: Open, limits: Limits) -> None:
        self._opened = opened
        self._limits = limits
        self.multiple: set[str] = set()
        names: dict[str, None] = {}
        for number, record in enumerate(self._records(), start=1):
            if number > limits.rows:
                raise too_large("records", limits.rows)
            for name in self._flat(record, number):
                names.setdefault(name)
            if len(names) > limits.columns:
                raise too_large("columns", limits.columns)
        if not names:
            raise FaultError("header", "the file holds no record; expected a JSON array of objects")
        self.names = list(names)

    def rows(self) -> Iterator[Row]:
        """Yield each record's cells in the order of `names`; its number counts from 1."""
        for number, record in enumerate(self._records(), start=1):
            flat = self._flat(record, number)
            yield number, [flat.get(name, "") for name in self.names]

    def _records(self) -> Iterator[dict[str, Any]]:
        with self._opened() as file:
            start = file.read(4)
            codec = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        with self._opened() as file:
            stream = _Stream(io.TextIOWrapper(file, encoding=codec, newline=""))
            try:
                yield from _array(stream)
            except UnicodeError:
                raise FaultError("encoding", "not UTF-8 text, as JSON must be; export it again") from None
            except RecursionError:
                raise FaultError(
                    "large", f"values lie more than {self._limits.depth} deep; no tool writes such a file"
                ) from None

    def _flat(self, record: dict[str, Any], number: int) -> dict[str, str]:
        if not isinstance(record, dict):
            raise FaultError("kind", f"item {number} of the array is not an object; expected an array of records")
        flat: dict[str, list[str]] = {}
        self._spread(record, "", flat, False, 0)
        return {name: JOIN.join(values) for name, values in flat.items()}

    def _spread(self, value: Any, path: str, flat: dict[str, list[str]], listed: bool, depth: int) -> None:
        if depth > self._limits.depth:
            raise FaultError("large", f"values lie more than {self._limits.depth} deep; no tool writes such a file")
        if isinstance(value, dict):
            for key, inner in value.items():
                self._spread(inner, f"{path}/{key}" if path else key, flat, listed, depth + 1)
        elif isinstance(value, list):
            if path not in flat:
                flat[path] = []
            for inner in value:
                self._spread(inner, path, flat, True, depth + 1)
            if value and isinstance(value[0], dict) and not flat[path]:
                del flat[path]
        else:
            text = {None: "", True: "true", False: "false"}.get(value, value) if not isinstance(value, str) else value
            if len(text) > self._limits.cell_length:
                raise too_large("characters in one cell", self._limits.cell_length)
            if listed:
                self.multiple.add(path)
                if text:
                    flat.setdefault(path, []).append(text.replace(JOIN, ","))
            else:
                flat[path] = [text]


class _Stream:
    """Text with a place, read in pieces."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._held = ""
        self._at = 0
        self._ended = False

    def next(self) -> str:
        """Return the next character that is no space, without passing it; empty at the end."""
        while True:
            found = _SPACE.match(self._held, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        """Pass one character."""
        self._at += 1

    def value(self) -> Any:
        """Return the value that starts here, and pass it."""
        if not self.next():
            raise _damaged()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
                if end < len(self._held) or self._ended or not self._more():
                    self._at = end
                    return value
            except json.JSONDecodeError:
                if len(self._held) - self._at > _RECORD:
                    raise too_large("characters in one record, or a quote is left open", _RECORD) from None
                if not self._more():
                    raise _damaged() from None

    def _more(self) -> bool:
        """Read on, at least as much again as is held of the present value."""
        data = self._text.read(max(_PIECE, len(self._held) - self._at))
        self._held = self._held[self._at :] + data
        self._at = 0
        self._ended = not data
        return bool(data)


def _array(stream: _Stream) -> Iterator[Any]:
    first = stream.next()
    if first == "[":
        yield from _items(stream)
    elif first == "{":
        stream.skip()
        while stream.next() == '"':
            key = stream.value()
            if stream.next() != ":":
                raise _damaged()
            stream.skip()
            if key in ARRAYS and stream.next() == "[":
                yield from _items(stream)
                return
            stream.value()
            if stream.next() == ",":
                stream.skip()
        raise FaultError("kind", f"no array of records; expected one, or an object with one under {', '.join(ARRAYS)}")
    else:
        raise _damaged()


def _items(stream: _Stream) -> Iterator[Any]:
    stream.skip()
    if stream.next() == "]":
        return
    while True:
        yield stream.value()
        mark = stream.next()
        stream.skip()
        if mark == "]":
            return
        if mark != ",":
            raise _damaged()


def _damaged() -> FaultError:
    return FaultError("damaged", "the JSON is damaged or cut off; export it again")
