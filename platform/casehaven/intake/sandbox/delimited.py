"""Text files of cells between separators: encoding and separator by rule, both said, both may be declared.

1. Encoding: a byte order mark decides. Without one, every second byte of the start being NUL means UTF-16; a file that is UTF-8 from end to end is UTF-8; else it is
   Windows-1252, of which ISO-8859-1 is a part, unless its bytes cannot be that or look like another alphabet: then it is refused until somebody says what it is.
2. Separator: a first line `sep=X` decides. Without one it is the mark, of comma, semicolon, tab and pipe, under which the first rows agree on the largest number of cells.
3. Line ends may be mixed. A quote that is left open, or text after a closing quote, is a fault with its row.
4. Rows are numbered as a spreadsheet program shows them: blank lines count, line ends inside quotes do not.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from casehaven.intake.sandbox.clean import is_clean
from casehaven.intake.sandbox.faults import FaultError, too_large
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.sandbox.tables import RawTable, Row

SEPARATORS = (",", ";", "\t", "|")
SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
ENCODINGS = {
    name.replace("-", "").replace("_", ""): name
    for name in (
        *(
            "utf-8",
            "utf-16",
            "utf-16-le",
            "utf-16-be",
            "utf-32",
            "mac-roman",
            "cp437",
            "cp850",
            "cp852",
            "cp855",
            "cp866",
            "koi8-r",
            "koi8-u",
        ),
        *(
            "cp1250",
            "cp1251",
            "cp1252",
            "cp1253",
            "cp1254",
            "cp1255",
            "cp1256",
            "cp1257",
            "cp1258",
            "cp874",
            "cp932",
            "gb18030",
            "big5",
            "euc-kr",
        ),
        *(f"iso-8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
    )
} | {f"windows125{digit}": f"cp125{digit}" for digit in range(9)}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1 << 20
_START = 1 << 16
_LOOKED_AT = 20
_LOOKED_AT_BYTES = 4_096
_NOT_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_OTHER_ALPHABET = re.compile(
    rb"[\xc0-\xff]{3}|[A-Za-z\xc0-\xff][\xa1-\xa9\xab\xac\xae-\xb3\xb5\xb6\xb8\xb9\xbb-\xbf][A-Za-z\xc0-\xff]"
)
_SAY = "say which encoding it has with --encoding (cp1251 for Cyrillic, cp1256 for Arabic, cp1250 for Central European), or export it as UTF-8"

Open = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens the bytes anew."""


def read_delimited(
    opened: Open, limits: Limits, *, name: str = "", encoding: str | None = None, separator: str | None = None
) -> RawTable:
    """Return the table of a text file.

    Raises:
        FaultError: empty, of an unknown encoding, or without a readable first row.
    """
    notes: list[str] = []
    codec = _encoding(opened, encoding, notes)
    with opened() as file:
        try:
            start = codecs.getincrementaldecoder(codec)().decode(file.read(_START))
        except UnicodeDecodeError:
            raise FaultError("encoding", f"not {codec} text; {_SAY}") from None
    if not start.strip("\x00\ufeff \t\r\n"):
        raise FaultError("header", "the file is empty; expected a header row")
    first = start.split("\n", 1)[0].strip()
    stated = re.fullmatch(r"sep=(.)", first) if first.lower().startswith("sep=") else None
    mark = separator or (stated[1] if stated else _separator(start, limits))
    if mark not in SEPARATORS:
        raise FaultError("header", "separated by a mark that is not read here; use comma, semicolon, tab or pipe")
    if mark != ",":
        notes.append(f"separated by {SEPARATOR_NAMES[mark]}")
    if "\r" in start.replace("\r\n", "") and "\n" in start:
        notes.append("line ends are mixed; each of them ends a row")
    if not is_clean(start):
        notes.append("control, direction and zero-width characters were taken out")
    return RawTable(name=name, rows=_rows(opened, codec, mark, limits, skip=bool(stated)), notes=notes, even=True)


def _rows(opened: Open, codec: str, mark: str, limits: Limits, *, skip: bool) -> Iterator[Row]:
    csv.field_size_limit(limits.cell_length)
    number = 0
    with opened() as file:
        text = io.TextIOWrapper(file, encoding=codec, newline="")
        reader = csv.reader(text, delimiter=mark, strict=True)
        try:
            for number, cells in enumerate(reader, start=1):
                if number > limits.rows:
                    raise too_large("rows", limits.rows)
                if len(cells) > limits.columns:
                    raise too_large("columns", limits.columns)
                if cells and not (skip and number == 1):
                    yield number, cells
        except csv.Error as error:
            if "field limit" in str(error):
                raise FaultError(
                    "large",
                    f"row {number + 1} has a cell of more than {limits.cell_length:,} characters; a quote may be left open there, or before it",
                ) from None
            raise FaultError(
                "ragged", f"row {number + 1}: a quote is left open, or text follows a closing quote; correct it there"
            ) from None
        except UnicodeError:
            raise FaultError("encoding", f"after row {number} there is text that is not {codec}; {_SAY}") from None


def _encoding(opened: Open, declared: str | None, notes: list[str]) -> str:
    if declared is not None:
        codec = ENCODINGS.get(declared.lower().replace("-", "").replace("_", ""))
        if codec is None:
            raise FaultError(
                "encoding",
                "the declared encoding is not known here; names are such as utf-8, cp1252, cp1256, iso-8859-15",
            )
        notes.append(f"read as {codec}, as declared")
        return "utf-8-sig" if codec == "utf-8" else codec
    with opened() as file:
        start = file.read(_LOOKED_AT_BYTES)
    for mark, codec in _MARKS:
        if start.startswith(mark):
            if codec != "utf-8-sig":
                notes.append(f"read as {codec.upper()}, by its byte order mark")
            return codec
    even, odd = start[::2], start[1::2]
    for codec, nul, text in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if len(start) > 3 and 2 * nul.count(0) > len(nul) and 10 * text.count(0) < len(text):
            notes.append(f"read as {codec.upper()}, by its pattern of bytes")
            return codec
    if _is_utf_8(opened):
        return "utf-8"
    with opened() as file:
        rest = b""
        while data := file.read(_CHUNK):
            looked = rest + data
            if _NOT_1252.search(looked) or _OTHER_ALPHABET.search(looked):
                raise FaultError("encoding", f"not UTF-8, and not Western European text; {_SAY}")
            rest = data[-2:]
    notes.append("not UTF-8: read as Windows-1252 (Western European); if letters look wrong, say --encoding")
    return "cp1252"


def _is_utf_8(opened: Open) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opened() as file:
        try:
            while data := file.read(_CHUNK):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _separator(start: str, limits: Limits) -> str:
    csv.field_size_limit(limits.cell_length)
    best = (0, 0)
    chosen = ","
    complete = start if len(start) < _START // 4 else start[: start.rfind("\n") + 1] or start
    for mark in SEPARATORS:
        counts: list[int] = []
        try:
            for cells in csv.reader(io.StringIO(complete, newline=""), delimiter=mark):
                if cells:
                    counts.append(len(cells))
                if len(counts) == _LOOKED_AT:
                    break
        except csv.Error:
            pass  # a quote left open: what came before it counts
        if counts and counts[0] > 1:
            score = (counts.count(counts[0]) * 100 // len(counts), counts[0])
            if score > best:
                best, chosen = score, mark
    return chosen
