"""Workbooks (XLSX and XLSM): the values that their cells show, streamed row by row.

1. Formulas are never evaluated: what was stored as a cell's result when the file was last saved is its text, and a note names the columns. A formula without a stored result
   (a file that no spreadsheet program saved) is refused with its place.
2. Macros, links to other files, pictures, comments and styles are not opened. Of styles only the number formats are read, to tell dates from numbers.
3. Hidden rows, columns and sheets are data like any other: a hidden row may be the one with the names.
4. What a sheet states about its size is not believed; rows and columns are counted as they come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from casehaven.intake.sandbox.archive import Archive
from casehaven.intake.sandbox.cell_values import CellReader, DateKind, date_kind, unescaped
from casehaven.intake.sandbox.faults import FaultError, too_large
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.sandbox.plain_rows import NotPlainError, plain_rows
from casehaven.intake.sandbox.sheet_rows import SheetRows
from casehaven.intake.sandbox.tables import RawTable, Row
from casehaven.intake.sandbox.xml_parts import elements, local_name, parse

_BOOK = "xl/workbook.xml"
_MERGED_UP_TO = 64 << 20
_AREA = re.compile(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})")
_SMALL_PART = 16 << 20
_SHEETS = 500
_TEXT_CHARACTERS = 120_000_000


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One sheet of a workbook."""

    name: str
    part: str
    hidden: bool


class Workbook:
    """The sheets of a workbook."""

    def __init__(self, archive: Archive, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._from_1904 = False
        self._dates: dict[str, DateKind] | None = None
        self._texts: list[str] | None = None
        book = self._book_part()
        targets = self._relations(book)
        self.sheets: list[Sheet] = []
        for name, attributes in self._small(book, {"workbookPr", "sheet"}):
            if name == "workbookPr":
                self._from_1904 = attributes.get("date1904") in ("1", "true")
            elif attributes.get("id") in targets:
                kind, part = targets[attributes["id"]]
                if kind == "worksheet" and part in archive.entries:
                    hidden = attributes.get("state", "visible") != "visible"
                    self.sheets.append(Sheet(name=attributes.get("name", ""), part=part, hidden=hidden))
        if not self.sheets:
            raise FaultError("kind", "the workbook has no sheet with cells")
        if len(self.sheets) > _SHEETS:
            raise too_large("sheets in one workbook", _SHEETS)
        kinds = dict(targets.values())
        self._styles_part = kinds.get("styles")
        self._texts_part = kinds.get("sharedStrings")

    def table(self, sheet: Sheet) -> RawTable:
        """Return a sheet's rows."""
        self._load()
        notes: list[str] = []
        reader = CellReader(self._texts or [], self._dates or {}, self._from_1904)
        rows = SheetRows(reader=reader, limits=self._limits, sheet=sheet.name)

        def stream() -> Iterator[Row]:
            given = 0
            try:
                with self._archive.open(sheet.part) as file:
                    for row in plain_rows(file, reader, self._limits):
                        yield row
                        given += 1
            except NotPlainError:
                with self._archive.open(sheet.part) as file:
                    yield from islice(rows.read(file), given, None)

        merged = self._merged(sheet)
        return RawTable(name=sheet.name, rows=stream(), notes=notes, formulas=rows.formulas, merged=merged)

    def _book_part(self) -> str:
        if "_rels/.rels" in self._archive.entries:
            for name, attributes in self._small("_rels/.rels", {"Relationship"}):
                if attributes.get("Type", "").endswith("/officeDocument"):
                    target = attributes.get("Target", "").lstrip("/")
                    if target in self._archive.entries:
                        return target
        if _BOOK not in self._archive.entries:
            raise FaultError("damaged", "the workbook has no list of sheets; save it again in a spreadsheet program")
        return _BOOK

    def _relations(self, book: str) -> dict[str, tuple[str, str]]:
        folder, _, name = book.rpartition("/")
        part = f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels"
        if part not in self._archive.entries:
            return {}
        found: dict[str, tuple[str, str]] = {}
        for _, attributes in self._small(part, {"Relationship"}):
            target = attributes.get("Target", "")
            if attributes.get("TargetMode") == "External" or "://" in target:
                continue  # a link to another file: never followed
            path = target.lstrip("/") if target.startswith("/") else f"{folder}/{target}" if folder else target
            found[attributes.get("Id", "")] = attributes.get("Type", "").rpartition("/")[2], path
        return found

    def _small(self, part: str, wanted: set[str]) -> list[tuple[str, dict[str, str]]]:
        if self._archive.stated_size(part) > _SMALL_PART:
            raise too_large("bytes in the workbook's list of sheets or formats", _SMALL_PART)
        with self._archive.open(part) as file:
            return elements(file, dict.fromkeys(wanted, ""))

    def _load(self) -> None:
        """Read texts and formats, once."""
        if self._texts is not None:
            return
        self._texts, self._dates = [], {}
        if self._texts_part in self._archive.entries and self._texts_part is not None:
            with self._archive.open(self._texts_part) as file:
                self._texts = _shared_texts(file, self._limits)
        if self._styles_part in self._archive.entries and self._styles_part is not None:
            codes: dict[str, str] = {}
            styles: list[DateKind | None] = []
            inside = False
            for name, attributes in self._small(
                self._styles_part, {"numFmt", "cellStyleXfs", "cellXfs", "xf", "cellStyles"}
            ):
                if name == "numFmt":
                    codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")[:1_000]
                elif name == "xf" and inside:
                    number = attributes.get("numFmtId", "0")
                    styles.append(date_kind(int(number) if number.isdigit() else 0, codes.get(number)))
                elif name != "xf":
                    inside = name == "cellXfs"
            self._dates = {str(position): kind for position, kind in enumerate(styles) if kind is not None}

    def _merged(self, sheet: Sheet) -> list[tuple[int, int, int, int]]:
        """Return the merged areas of a sheet that is not too large for a look ahead; they stand at its end."""
        if self._archive.stated_size(sheet.part) > _MERGED_UP_TO:
            return []
        areas: list[tuple[int, int, int, int]] = []
        with self._archive.open(sheet.part) as file:
            rest = b""
            while data := file.read(1 << 20):
                data = rest + data
                for found in re.finditer(rb'<(?:\w+:)?mergeCell\s+ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"', data):
                    area = _AREA.fullmatch(found[1].decode("ascii"))
                    if area and len(areas) < 10_000:
                        areas.append((int(area[2]), _position(area[1]), int(area[4]), _position(area[3])))
                rest = data[data.rfind(b"<") :] if b"<" in data[-100:] else b""
        return sorted(areas)


def _position(letters: str) -> int:
    position = 0
    for letter in letters:
        position = position * 26 + ord(letter) - 64
    return position - 1


def _shared_texts(file: BinaryIO, limits: Limits) -> list[str]:
    """Return the texts that cells refer to by number; of formatted text its words, of hints on reading nothing."""
    texts: list[str] = []
    pieces: list[str] = []
    inside = hint = False
    characters = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside, hint
        local = local_name(name)
        if local == "t":
            inside = not hint
        elif local == "rPh":
            hint = True

    def end(name: str) -> None:
        nonlocal inside, hint, characters
        local = local_name(name)
        if local == "t":
            inside = False
        elif local == "rPh":
            hint = False
        elif local == "si":
            text = unescaped("".join(pieces))
            pieces.clear()
            if len(text) > limits.cell_length:
                raise too_large("characters in one cell", limits.cell_length)
            characters += len(text) + 64
            if characters > _TEXT_CHARACTERS * 3:
                raise too_large("characters of different texts in one workbook", _TEXT_CHARACTERS)
            texts.append(text)

    def text(data: str) -> None:
        if inside:
            pieces.append(data)

    for _ in parse(file, start, end, text):
        pass
    return texts
