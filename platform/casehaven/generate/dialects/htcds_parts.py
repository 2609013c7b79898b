"""What IOM's own HTCDS files say: which question stands in which column, and in which words it is answered.

1. Nothing of the files is part of this software: they are read where the user has them.
2. People type under the labels that they see. The hidden names above them are wrong in places (the address block, one misspelt, one absent), so a
   column is known by its label.
3. A word of a list is matched with the schema's value by any word that the schema knows.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from casehaven.generate.errors import RequestError
from caseschemas import CaseSchema, SchemaAttribute

__all__ = ["Sheet", "attribute_named", "date_style", "read_sheets", "words_of"]

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_ROWS = 400


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The first rows of a sheet of a template."""

    name: str
    """As people see it."""
    part: str
    """Its file in the workbook."""
    rows: Mapping[int, Mapping[str, str]]
    """By number of the row: the text by letters of the column; no empty cells."""

    def listed(self, head: int) -> dict[str, list[str]]:
        """Return the texts below each text of a row."""
        below = {letters: name for letters, name in self.rows.get(head, {}).items()}
        found: dict[str, list[str]] = {name: [] for name in below.values()}
        for number, cells in self.rows.items():
            if number > head:
                for letters, text in cells.items():
                    if letters in below:
                        found[below[letters]].append(text)
        return found


def read_sheets(path: Path) -> tuple[Sheet, ...]:
    """Read the texts of a template's sheets, of each the first 400 rows.

    Raises:
        RequestError: the file is no workbook.
    """
    try:
        with zipfile.ZipFile(path) as package:
            shared = _shared(package)
            links = {
                link.get("Id"): link.get("Target", "")
                for link in ElementTree.fromstring(package.read("xl/_rels/workbook.xml.rels")).iter(
                    f"{_PACKAGE}Relationship"
                )
            }
            book = ElementTree.fromstring(package.read("xl/workbook.xml"))
            named = [(sheet.get("name", ""), links[sheet.get(_LINK)]) for sheet in book.iter(f"{_MAIN}sheet")]
            return tuple(
                Sheet(name=name, part=f"xl/{target}", rows=_rows(package.read(f"xl/{target}"), shared))
                for name, target in named
            )
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError):
        raise RequestError(f"{path.name}: not a workbook (.xlsx, .xlsm) that can be filled in") from None


def _shared(package: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in package.namelist():
        return []
    items = ElementTree.fromstring(package.read("xl/sharedStrings.xml")).iter(f"{_MAIN}si")
    return ["".join(text.text or "" for text in item.iter(f"{_MAIN}t")) for item in items]


def _rows(part: bytes, shared: Sequence[str]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for row in ElementTree.fromstring(part).iter(f"{_MAIN}row"):
        number = int(row.get("r", "0"))
        if number > _ROWS:
            break
        cells: dict[str, str] = {}
        for cell in row.iter(f"{_MAIN}c"):
            value = cell.find(f"{_MAIN}v")
            text = "".join(piece.text or "" for piece in cell.iter(f"{_MAIN}t"))
            if value is not None and value.text:
                text = shared[int(value.text)] if cell.get("t") == "s" else value.text
            if text:
                cells[re.sub(r"\d", "", cell.get("r", ""))] = text
        if cells:
            found[number] = cells
    return found


def date_style(path: Path) -> int:
    """Return the number of a style that shows a date, 0 where the template has none."""
    with zipfile.ZipFile(path) as package:
        styles = ElementTree.fromstring(package.read("xl/styles.xml"))
    formats = styles.find(f"{_MAIN}cellXfs")
    kinds = [] if formats is None else [style.get("numFmtId") for style in formats]
    return kinds.index("14") if "14" in kinds else 0


def attribute_named(schema: CaseSchema, label: str) -> SchemaAttribute | None:
    """Return the attribute that a label or a name of a question stands for."""
    wanted = _plain(label)
    for attribute in schema.attributes:
        bare = attribute.name.split("_", 1)[-1]
        if wanted in {_plain(attribute.name), _plain(bare), _plain(attribute.labels.get("en", ""))}:
            return attribute
    return next((schema.attribute(name) for names, name in _OTHERWISE.items() if wanted == names), None)


_OTHERWISE = {
    "mailingstateprovince": "prs_MailingState",
    "mailingzippostalcode": "prs_MailingPostalCode",
    "traffickingstatusdecisionmakingorganization": "vic_TraffickingStatusDecisionMakingOrg",
    "typeofsexexploitation": "vic_TypeOfSexExploitation",
}


def _plain(text: str) -> str:
    return "".join(mark for mark in text.casefold() if mark.isalnum())


def words_of(attribute: SchemaAttribute, words: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return how a list writes each of the attribute's values: by code the word, for pairs of what is understood and what is written."""
    found: dict[str, str] = {}
    for understood, written in words:
        position = attribute.code_of(understood.replace("\u00a0", " ").strip())
        if position is not None and position != attribute.blank:
            found.setdefault(attribute.values[position].code, written)
    return found
