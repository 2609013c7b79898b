"""Exact tables as a workbook for a donor report: a sheet of notes and a sheet per table, each marked as not for release.

1. Every sheet says so in its first row, and every printed page in its header and footer.
2. Numbers are numbers. Text is written as text: no cell is a formula, and what a spreadsheet would take for one when it is saved elsewhere has
   a `'` in front (threat 20).
3. Percentages are numbers from 0 to 1 in percent format; where nobody answered there is a dash.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

import xlsxwriter  # type: ignore[import-untyped]  # ships no types
from xlsxwriter.format import Format  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from casehaven.statistics.exact import Cell, ExactTable, Percent
from casehaven.statistics.marking import MARK, WARNING, ReportFacts
from casesynth.report.markup import visible
from casesynth.tables import safe_cell

NOTES_SHEET = "Notes"
HEAD_ROW = 3
"""Zero-based row of the heads of a table; above it stand the mark, the title and what the percentages are of."""

_NAME_MOST = 31
_LABEL_MOST = 44
_A4 = 9


@dataclass(frozen=True, kw_only=True)
class _Formats:
    mark: Format
    title: Format
    head: Format
    note: Format
    number: Format
    percent: Format
    total: Format
    total_number: Format
    dash: Format


def workbook(facts: ReportFacts, tables: Sequence[ExactTable]) -> bytes:
    """Return the workbook as bytes."""
    buffer = BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        book.set_properties(
            {
                "title": visible(f"{MARK}: {facts.title}"),
                "comments": WARNING,
                "created": datetime.fromisoformat(facts.made_on),
            }
        )
        forms = _formats(book)
        names = _sheet_names(tables)
        _write_notes(book.add_worksheet(NOTES_SHEET), facts, tables, names, forms)
        for table, name in zip(tables, names, strict=True):
            sheet = book.add_worksheet(name)
            _write_table(sheet, table, forms)
            _for_print(sheet, facts, name)
    return buffer.getvalue()


def _formats(book: xlsxwriter.Workbook) -> _Formats:
    return _Formats(
        mark=book.add_format({"bold": True, "font_color": "#FFFFFF", "bg_color": "#A4262C"}),
        title=book.add_format({"bold": True, "font_size": 13}),
        head=book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1}),
        note=book.add_format({"text_wrap": True, "valign": "top"}),
        number=book.add_format({"num_format": "#,##0"}),
        percent=book.add_format({"num_format": "0.0%"}),
        total=book.add_format({"bold": True}),
        total_number=book.add_format({"bold": True, "num_format": "#,##0"}),
        dash=book.add_format({"align": "right"}),
    )


def _write_table(sheet: Worksheet, table: ExactTable, forms: _Formats) -> None:
    labels = len(table.label_heads)
    _mark(sheet, labels + len(table.number_heads), forms)
    _text(sheet, 1, 0, table.title, forms.title)
    _text(sheet, 2, 0, table.base)
    for column, head in enumerate((*table.label_heads, *table.number_heads)):
        _text(sheet, HEAD_ROW, column, head, forms.head)
    row = HEAD_ROW
    for row, line in enumerate(table.rows, start=HEAD_ROW + 1):
        for column, label in enumerate(line.labels):
            _text(sheet, row, column, label, forms.total if line.total else None)
        for column, cell in enumerate(line.cells, start=labels):
            _cell(sheet, row, column, cell, forms, total=line.total)
    for column, head in enumerate(table.label_heads):
        longest = max(len(text) for text in (head, *(line.labels[column] for line in table.rows)))
        sheet.set_column(column, column, min(longest + 2, _LABEL_MOST))
    sheet.set_column(labels, labels + len(table.number_heads) - 1, 12)
    sheet.freeze_panes(HEAD_ROW + 1, labels)
    sheet.repeat_rows(0, HEAD_ROW)


def _cell(sheet: Worksheet, row: int, column: int, cell: Cell, forms: _Formats, *, total: bool) -> None:
    if isinstance(cell, Percent):
        if cell.ratio is None:
            _text(sheet, row, column, "–", forms.dash)
        else:
            sheet.write_number(row, column, cell.ratio, forms.percent)
    elif cell is not None:
        sheet.write_number(row, column, cell, forms.total_number if total else forms.number)


def _write_notes(
    sheet: Worksheet, facts: ReportFacts, tables: Sequence[ExactTable], names: Sequence[str], forms: _Formats
) -> None:
    _mark(sheet, 2, forms)
    _text(sheet, 1, 0, facts.title, forms.title)
    lines = [*facts.notes, *((f"Sheet '{name}'", table.title) for name, table in zip(names, tables, strict=True))]
    for row, (head, text) in enumerate(lines, start=HEAD_ROW):
        _text(sheet, row, 0, head, forms.head)
        _text(sheet, row, 1, text, forms.note)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 92)
    sheet.repeat_rows(0)
    _for_print(sheet, facts, NOTES_SHEET)


def _mark(sheet: Worksheet, columns: int, forms: _Formats) -> None:
    """Write the mark across the first row, one cell after the other: merged cells get lost in other programs."""
    for column in range(columns):
        _text(sheet, 0, column, WARNING if column == 0 else "", forms.mark)
    sheet.set_tab_color("#A4262C")


def _for_print(sheet: Worksheet, facts: ReportFacts, name: str) -> None:
    sheet.set_paper(_A4)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_header(f"&L{_printed(name)}&C&B{MARK}&R{_printed(facts.organisation)}, {facts.made_on}")
    sheet.set_footer(f"&C&B{MARK}: exact numbers about real people&RPage &P of &N")


def _printed(text: str) -> str:
    """Return text for a printed header, where `&` begins a command; cut, because a header is limited to 255 characters."""
    return visible(text)[:60].replace("&", "&&")


def _text(sheet: Worksheet, row: int, column: int, text: str, form: Format | None = None) -> None:
    if text:
        sheet.write_string(row, column, safe_cell(visible(text)), form)
    else:
        sheet.write_blank(row, column, None, form)


def _sheet_names(tables: Sequence[ExactTable]) -> list[str]:
    """Return names that a workbook allows: at most 31 characters, some not allowed, none twice without regard to case."""
    names: list[str] = []
    taken = {NOTES_SHEET.casefold(), "history"}
    for table in tables:
        plain = re.sub(r"[\[\]:*?/\\]", " ", visible(table.name)).strip("' ")[:_NAME_MOST].strip("' ") or "Table"
        name, place = plain, 2
        while name.casefold() in taken:
            name, place = f"{plain[: _NAME_MOST - 5]} ({place})", place + 1
        taken.add(name.casefold())
        names.append(name)
    return names
