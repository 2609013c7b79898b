"""The indicator tables as one workbook: a sheet per table, and a sheet of notes.

1. Numbers are numbers, to one decimal as in the release's aggregates. Text is written as text: no cell is a formula, and what a spreadsheet
   would take for one when it is typed or saved elsewhere has a `'` in front.
2. The header is one row, frozen and repeated on every printed page.
3. The same release gives the same bytes: the dates inside are those of the release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO

import xlsxwriter  # type: ignore[import-untyped]  # ships no types
from xlsxwriter.format import Format  # type: ignore[import-untyped]
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from casehaven.releases.indicators.notes import Note
from casehaven.releases.indicators.tables import IndicatorTable
from casehaven.releases.published import PublishedRelease
from casesynth.report.markup import visible
from casesynth.tables import safe_cell

HIDDEN_CELL = "hidden"
NUMBERS = ("People", "95 % from", "95 % to")
"""Headers of the columns that hold numbers."""
NOTES_SHEET = "Notes"

_NAME_MOST = 31
_A4 = 9


def workbook(release: PublishedRelease, tables: Sequence[IndicatorTable], remarks: Sequence[Note]) -> bytes:
    """Return the workbook as bytes."""
    buffer = BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        book.set_properties(
            {
                "title": visible(release.facts.title),
                "comments": visible(release.facts.citation),
                "created": datetime.fromisoformat(release.facts.created),
            }
        )
        bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        number = book.add_format({"num_format": "#,##0"})
        quiet = book.add_format({"align": "right", "italic": True, "font_color": "#525D69"})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        _write_notes(book.add_worksheet(NOTES_SHEET), release, tables, remarks, bold, wrapped)
        for table, name in zip(tables, _sheet_names(tables), strict=True):
            sheet = book.add_worksheet(name)
            _write_table(sheet, table, bold, number, quiet)
            _for_print(sheet, release, name)
    return buffer.getvalue()


def _write_table(sheet: Worksheet, table: IndicatorTable, bold: Format, number: Format, quiet: Format) -> None:
    heads = [dimension.title for dimension in table.dimensions]
    for column, head in enumerate([*heads, *NUMBERS]):
        _text(sheet, 0, column, head, bold)
    row = 0
    for row, (labels, estimate) in enumerate(table.rows(), start=1):
        for column, label in enumerate(labels):
            _text(sheet, row, column, label)
        for column, people in enumerate((estimate.value, estimate.low, estimate.high), start=len(labels)):
            if estimate.shown:
                sheet.write_number(row, column, round(people, 1), number)
            else:  # privacy rule 25
                _text(sheet, row, column, HIDDEN_CELL, quiet)
    for column, dimension in enumerate(table.dimensions):
        longest = max(len(text) for text in (dimension.title, *(line.label for line in dimension.lines)))
        sheet.set_column(column, column, min(longest + 2, 48))
    sheet.set_column(len(heads), len(heads) + len(NUMBERS) - 1, 11)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.autofilter(0, 0, row, len(heads) + len(NUMBERS) - 1)


def _write_notes(
    sheet: Worksheet,
    release: PublishedRelease,
    tables: Sequence[IndicatorTable],
    remarks: Sequence[Note],
    bold: Format,
    wrapped: Format,
) -> None:
    lines = [
        ("Indicator tables", release.facts.title),
        ("Release of", release.facts.created),
        *(
            (f"Sheet '{name}'", f"{table.title}. {table.answers}.")
            for table, name in zip(tables, _sheet_names(tables), strict=True)
        ),
        *((note.head.removesuffix("."), note.text) for note in remarks),
    ]
    for row, (head, text) in enumerate(lines):
        _text(sheet, row, 0, head, bold)
        _text(sheet, row, 1, text, wrapped)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 92)
    _for_print(sheet, release, NOTES_SHEET)


def _for_print(sheet: Worksheet, release: PublishedRelease, name: str) -> None:
    facts = release.facts
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    sheet.set_header(f"&L{name.replace('&', '&&')}&RRelease of {facts.created}")
    sheet.set_footer(f"&LManifest SHA-256 {facts.manifest_sha256[:16]}, estimates with 95 % intervals&RPage &P of &N")


def _text(sheet: Worksheet, row: int, column: int, text: str, form: Format | None = None) -> None:
    sheet.write_string(row, column, safe_cell(visible(text)), form)


def _sheet_names(tables: Sequence[IndicatorTable]) -> list[str]:
    """Return names that a workbook allows: at most 31 characters, some not allowed, none twice without regard to case."""
    names: list[str] = []
    taken = {NOTES_SHEET.casefold(), "history"}
    for table in tables:
        plain = re.sub(r"[\[\]:*?/\\]", " ", visible(table.name)).strip("' ")[:_NAME_MOST] or "Table"
        name, place = plain, 2
        while name.casefold() in taken:
            name, place = f"{plain[: _NAME_MOST - 4]} ({place})", place + 1
        taken.add(name.casefold())
        names.append(name)
    return names
