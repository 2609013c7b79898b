"""A workbook (XLSX) written row by row, and a template whose rows are filled in.

1. Sheets are written one after the other; of each, only the rows at hand are held. Text stands in the cell itself.
2. A number is written as a number and a date as a date where the cell is one; everything else is text. No formula is ever written.
3. Time stamps in the file are fixed, so that the same rows give the same bytes.
4. Of a template only the rows from a given one on are replaced; every other part, macros too, is copied byte by byte.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, BinaryIO, Self
from xml.sax.saxutils import quoteattr

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from casehaven.generate.dialects.columns import Column

__all__ = ["Workbook", "copy_filled", "entry", "letters", "row_bytes"]

_EPOCH = (1980, 1, 1, 0, 0, 0)
_EXCEL_DAY_0 = 25_569  # days from 1899-12-30 to 1970-01-01
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_DATE_STYLE = 1
_STYLES = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="1"><fill><patternFill patternType="none"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="14" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)


def letters(column: int) -> str:
    """Return the name of a column, counted from 0.

    >>> [letters(number) for number in (0, 25, 26, 701, 702)]
    ['A', 'Z', 'AA', 'ZZ', 'AAA']
    """
    name, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def entry(name: str) -> zipfile.ZipInfo:
    """Return the head of a compressed entry with a fixed time."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


def row_bytes(columns: Sequence[Column | None], first: int, *, date_styles: Sequence[int] | None = None) -> bytes:
    """Return rows of a sheet as XML.

    Args:
        columns: the cells from column A on; None leaves a column empty.
        first: number of the first row, from 1.
        date_styles: per column the style of a date; the workbook's own where absent.
    """
    count = max((len(column.cells) for column in columns if column is not None), default=0)
    numbers = pa.array(np.arange(first, first + count)).cast(pa.string())
    cells = [
        _cell_xml(column, letters(place), numbers, _DATE_STYLE if date_styles is None else date_styles[place])
        for place, column in enumerate(columns)
        if column is not None
    ]
    rows = pc.binary_join_element_wise(
        pa.scalar('<row r="'), numbers, pa.scalar('">'), *cells, pa.scalar("</row>\n"), ""
    )
    return "".join(rows.to_pylist()).encode("utf-8")


def _cell_xml(column: Column, letter: str, rows: pa.Array, date_style: int) -> pa.Array:
    cells = column.cells
    for mark, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        if pc.any(pc.match_substring(cells, mark)).as_py():
            cells = pc.replace_substring(cells, mark, written)
    place = (pa.scalar(f'<c r="{letter}'), rows)
    text = pc.binary_join_element_wise(
        *place, pa.scalar('" t="inlineStr"><is><t xml:space="preserve">'), cells, pa.scalar("</t></is></c>"), ""
    )
    if column.kind == "number":
        proper = pc.match_substring_regex(cells, r"^(0|[1-9]\d{0,14})$")
        number = pc.binary_join_element_wise(*place, pa.scalar('"><v>'), cells, pa.scalar("</v></c>"), "")
        text = pc.if_else(proper, number, text)
    if column.kind == "date":
        proper = pc.match_substring_regex(cells, r"^(19|20)\d\d-\d\d-\d\d$")
        days = pc.if_else(proper, cells, "1970-01-01").cast(pa.date32()).cast(pa.int32())
        serial = pc.add(days, _EXCEL_DAY_0).cast(pa.string())
        dated = pc.binary_join_element_wise(
            *place, pa.scalar(f'" s="{date_style}"><v>'), serial, pa.scalar("</v></c>"), ""
        )
        text = pc.if_else(proper, dated, text)
    return pc.if_else(pc.equal(cells, ""), "", text)


def _header(names: Sequence[str]) -> list[Column | None]:
    return [Column(name=name, cells=pa.array([name], pa.string())) for name in names]


class Workbook:
    """A workbook on its way to a file."""

    def __init__(self, sink: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """End the file, whatever happened: a file that is not whole never gets its name."""
        self.close()

    def sheet(
        self,
        name: str,
        heads: Sequence[Sequence[str]],
        parts: Iterable[Sequence[Column | None]],
        *,
        merged: Sequence[str] = (),
    ) -> None:
        """Write one sheet.

        Args:
            name: of the sheet, at most 31 characters, none of ``[]:*?/\\``.
            heads: rows of texts above the cells.
            parts: the rows that follow, in pieces of equal columns.
            merged: areas of merged cells, such as ``A1:C1``.
        """
        self._names.append(name)
        with self._zip.open(entry(f"xl/worksheets/sheet{len(self._names)}.xml"), "w", force_zip64=True) as sink:
            sink.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            row = 1
            for head in heads:
                sink.write(row_bytes(_header(head), row))
                row += 1
            for columns in parts:
                sink.write(row_bytes(columns, row))
                row += max((len(column.cells) for column in columns if column is not None), default=0)
            areas = "".join(f"<mergeCell ref={quoteattr(area)}/>" for area in merged)
            tail = f'<mergeCells count="{len(merged)}">{areas}</mergeCells>' if merged else ""
            sink.write(f"</sheetData>{tail}</worksheet>".encode())

    def close(self) -> None:
        """Write what names the sheets, and end the file."""
        numbers = range(1, len(self._names) + 1)
        sheets = "".join(
            f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
            for number, name in zip(numbers, self._names, strict=True)
        )
        links = "".join(
            f'<Relationship Id="rId{number}" Type="{_REL}/worksheet" Target="worksheets/sheet{number}.xml"/>'
            for number in numbers
        )
        types = "".join(
            f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
            for number in numbers
        )
        parts = {
            "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{types}</Types>',
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
            f'<Relationship Id="rId1" Type="{_REL}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><sheets>{sheets}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{links}'
            f'<Relationship Id="rId{len(self._names) + 1}" Type="{_REL}/styles" Target="styles.xml"/></Relationships>',
        }
        for name, text in parts.items():
            self._zip.writestr(entry(name), _HEAD + text)
        self._zip.writestr(entry("xl/styles.xml"), _STYLES)
        self._zip.close()


def copy_filled(
    template: IO[bytes], sink: BinaryIO, sheet: str, first: int, rows: Iterator[bytes], filled: int
) -> None:
    """Copy a workbook with the rows of one sheet replaced (rule 4).

    Args:
        template: the workbook.
        sink: where to.
        sheet: name of the sheet's part, such as ``xl/worksheets/sheet1.xml``.
        first: number of the first row that is replaced.
        rows: the new rows, as `row_bytes` makes them.
        filled: how many rows those are; the template's rows below them stay.
    """
    with zipfile.ZipFile(template) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            with new.open(entry(info.filename), "w", force_zip64=True) as part:
                if info.filename != sheet:
                    part.write(old.read(info))
                    continue
                text = old.read(info)
                start = _row_start(text, first, len(text))
                part.write(text[:start])
                for piece in rows:
                    part.write(piece)
                part.write(text[_row_start(text, first + filled, len(text)) :])


def _row_start(text: bytes, number: int, last: int) -> int:
    """Where a row begins, or where the rows end."""
    found = text.find(b'<row r="%d"' % number)
    return found if found >= 0 else text.rfind(b"</sheetData>", 0, last)
