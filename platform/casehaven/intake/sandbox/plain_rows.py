"""The rows of a sheet that is written as programs write exports: a fast way to what `sheet_rows` reads.

1. A sheet is plain as long as its cells have their attributes in the usual order and hold a value or a text, nothing else: no formula, no formatting, no comment, no prefix.
2. At the first thing that is not plain this gives up, and the caller reads on with the full parser, after the rows that were given: both give the same rows up to there.
3. Texts without `<` between known marks are all that is looked at, in time that grows with their length.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from casehaven.errors import CasehavenError
from casehaven.intake.sandbox.cell_values import CellReader
from casehaven.intake.sandbox.faults import too_large
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.sandbox.tables import Row

_CHUNK = 1 << 20
_HELD = 1 << 25
_CELL = re.compile(
    r'<c r="([A-Z]{1,3})[0-9]{1,7}"(?: s="([0-9]{1,6})")?(?: t="([a-zA-Z]{1,10})")?'
    r'(?:/>|>(?:<v>([^<]*)</v>|<is><t(?: xml:space="preserve")?>([^<]*)</t></is>|<v/>)?</c>)'
)
_GROUPS = 6
_ROW = re.compile(r"(?:\s*<row(?: [^<>]*)?/>)*\s*<row((?: [^<>]*)?)>")
_EMPTY_ROW = re.compile(r"<row(?: [^<>]*)?/>")
_NUMBER = re.compile(r' r="([0-9]{1,8})"')
_UTF_8 = re.compile(r'<\?xml version="1\.0"(?: encoding="[Uu][Tt][Ff]-8")?(?: standalone="(?:yes|no)")? ?\?>')
_ENTITY = re.compile(r"&(#x[0-9A-Fa-f]{1,6}|#[0-9]{1,7}|amp|lt|gt|quot|apos);")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class NotPlainError(CasehavenError):
    """The sheet has something that this does not read."""


def plain_rows(file: BinaryIO, reader: CellReader, limits: Limits) -> Iterator[Row]:
    """Yield each row that has a cell with text, as long as the sheet is plain.

    Raises:
        NotPlainError: it is not, from here on.
        FaultError: over a bound.
    """
    decode = codecs.getincrementaldecoder("utf-8")().decode
    held = _start(file, decode)
    rows = number = 0
    while True:
        *pieces, rest = held.split("</row>")
        for piece in pieces:
            begin = _ROW.match(piece)
            if begin is None:
                raise NotPlainError
            rows += 1 + len(_EMPTY_ROW.findall(piece, 0, begin.start(1)))
            if rows > limits.rows:
                raise too_large("rows", limits.rows)
            stated = _NUMBER.search(begin[1])
            number = int(stated[1]) if stated else number + 1
            if cells := _cells(piece[begin.end() :], reader, limits):
                yield number, cells
        end = rest.find("</sheetData>")
        if end >= 0:
            if not re.fullmatch(r"(?:\s*<row(?: [^<>]*)?/>)*\s*", rest[:end]):
                raise NotPlainError
            return
        data = file.read(_CHUNK)
        if not data or len(rest) > _HELD:
            raise NotPlainError
        try:
            held = rest + decode(data)
        except UnicodeDecodeError:
            raise NotPlainError from None


def _start(file: BinaryIO, decode: Callable[[bytes], str]) -> str:
    """Return what follows `<sheetData>`; nothing before it may define anything."""
    head = file.read(_CHUNK)
    try:
        text = decode(head)
    except UnicodeDecodeError:
        raise NotPlainError from None
    text = text.removeprefix("\ufeff")
    before, mark, after = text.partition("<sheetData>")
    declared = _UTF_8.match(before)
    if not mark or "<!" in before or "<?" in before[declared.end() if declared else 0 :]:
        raise NotPlainError
    return after


def _cells(inner: str, reader: CellReader, limits: Limits) -> list[str]:
    parts = _CELL.split(inner)
    if any(parts[::_GROUPS]) and "".join(parts[::_GROUPS]).strip():
        raise NotPlainError
    positions, shown, most = reader.positions, reader.shown, limits.cell_length
    cells: list[str] = []
    width = 0
    for letters, style, kind, value, text in zip(
        parts[1::_GROUPS], parts[2::_GROUPS], parts[3::_GROUPS], parts[4::_GROUPS], parts[5::_GROUPS], strict=True
    ):
        if not value:
            if not text or kind != "inlineStr":
                continue
            value = text
        elif kind == "inlineStr":
            continue
        if "&" in value:
            if value.count("&") != len(_ENTITY.findall(value)):
                raise NotPlainError
            value = _ENTITY.sub(_entity, value)
        if kind is not None or style is not None or not value.isdigit():
            value = shown(kind or "n", style or "", value)
            if not value:
                continue
        if len(value) > most:
            raise too_large("characters in one cell", most)
        column = positions[letters]
        if column == width:
            cells.append(value)
            width += 1
        elif column > width:
            if column >= limits.columns:
                raise too_large("columns", limits.columns)
            cells.extend([""] * (column - width))
            cells.append(value)
            width = column + 1
        else:
            cells[column] = value
    if width > limits.columns:
        raise too_large("columns", limits.columns)
    return cells


def _entity(found: re.Match[str]) -> str:
    name = found[1]
    if name in _NAMED:
        return _NAMED[name]
    code = int(f"0{name[1:]}", 0) if name.startswith("#x") else int(name[1:])
    if not (code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF):
        raise NotPlainError
    return chr(code)
