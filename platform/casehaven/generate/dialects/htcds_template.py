"""IOM's HTCDS templates, filled in: the workbook, the workbook with macros, and an export of the form.

1. The workbook is the user's own file. Only its rows of cases are written; header rows, lists, validation and macros are copied byte by byte.
2. Cells say what the template's own lists say, or the schema's English labels where it has no lists. Several values have `; ` between them, as the
   template's macro joins them. Dates are dates.
3. An export of the form has its questions by name and its answers by code: several answers with spaces between them and again as columns of 0 and 1.
   What is not on the form's lists could not be chosen, and is not there.
4. What the templates do not ask (case reference, person token, year of registration, further consents) is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from casehaven.generate.dialects.columns import Column, constant, numbers, stamps, uuids
from casehaven.generate.dialects.export import Batch, Export
from casehaven.generate.dialects.htcds_parts import Sheet, attribute_named, date_style, read_sheets, words_of
from casehaven.generate.dialects.wording import Wording
from casehaven.generate.dialects.workbook import Workbook, copy_filled, letters, row_bytes
from casehaven.generate.errors import RequestError
from caseschemas import SchemaAttribute, Value

__all__ = ["write_htcds_template", "write_htcds_xlsform"]

_LABELS = 2
_FIRST = 3
_VALIDATION = 3


@dataclass(frozen=True, kw_only=True)
class _Words(Wording):
    """The words of a template's own lists."""

    lists: Mapping[str, Mapping[str, str]]
    """By attribute, by code: what is written."""
    strict: bool = False
    """Whether nothing else can be chosen where there is a list, as on a form."""

    def value(self, attribute: SchemaAttribute, value: Value) -> str:
        listed = self.lists.get(attribute.name, {})
        if value.code in listed:
            return listed[value.code]
        return "" if self.strict and listed else super().value(attribute, value)


def write_htcds_template(export: Export, sink: BinaryIO, template: Path) -> None:
    """Write a filled copy of a template.

    Raises:
        RequestError: the file is none of IOM's workbooks.
    """
    sheets = read_sheets(template)
    sheet = sheets[0]
    known = {
        column: attribute
        for column, label in sheet.rows.get(_LABELS, {}).items()
        if (attribute := attribute_named(export.schema, label)) is not None
    }
    if len(known) < 20:
        raise RequestError(f"{template.name}: row 2 of its first sheet does not hold the labels of the HTCDS workbook")
    lists = _lists(export, sheets)
    filled = replace(
        export,
        only=tuple(attribute.name for attribute in known.values()),
        wording=_Words(language="en", separator="; ", yes="Yes", no="No", defects=export.wording.defects, lists=lists),
    )
    style, width = date_style(template), max(_place(column) for column in known) + 1

    def rows() -> Iterator[bytes]:
        for batch in filled.batches():
            cells: list[Column | None] = [None] * width
            cells[0] = numbers("", batch.rows)
            for column, attribute in known.items():
                cells[_place(column)] = _dated(batch.answers[attribute.name], attribute)
            yield row_bytes(
                cells, _FIRST + int(batch.rows[0]) - 1 if len(batch) else _FIRST, date_styles=[style] * width
            )

    count = sum(len(batch) for batch in filled.batches())
    with template.open("rb") as opened:
        copy_filled(opened, sink, sheet.part, _FIRST, rows(), count)


def _place(column: str) -> int:
    """Return the number of a column, from 0."""
    return next(number for number in range(1000) if letters(number) == column)


def _dated(answer: Column, attribute: SchemaAttribute) -> Column:
    """A birth date is an identifier to the schema and a date to the template."""
    return Column(name=answer.name, cells=answer.cells, kind="date") if attribute.name == "prs_Birthdate" else answer


def _lists(export: Export, sheets: tuple[Sheet, ...]) -> dict[str, dict[str, str]]:
    """Return the words of the validation sheet, if there is one."""
    found: dict[str, dict[str, str]] = {}
    for sheet in sheets[1:]:
        listed = sheet.listed(_VALIDATION)
        for label, words in listed.items():
            if label == "Country Code":
                citizenship = export.schema.attribute("prs_Citizenship")
                pairs = [*zip(words, listed.get("Country", words), strict=False)]
                found[citizenship.name] = words_of(citizenship, pairs)
            attribute = attribute_named(export.schema, label)
            if attribute is not None and attribute.values:
                found[attribute.name] = words_of(attribute, [(word, word) for word in words])
    return found


def write_htcds_xlsform(export: Export, sink: BinaryIO, form: Path) -> None:
    """Write an export of a form, as KoboToolbox gives it.

    Raises:
        RequestError: the file is no XLSForm of HTCDS.
    """
    sheets = {sheet.name: sheet for sheet in read_sheets(form)}
    if not {"survey", "choices"} <= set(sheets):
        raise RequestError(f"{form.name}: not an XLSForm; expected the sheets survey and choices")
    choices: dict[str, list[str]] = {}
    for number, row in sheets["choices"].rows.items():
        if number > 1:
            choices.setdefault(row.get("A", ""), []).append(row.get("B", ""))
    asked: dict[str, tuple[str, str]] = {}
    lists: dict[str, dict[str, str]] = {}
    for row in sheets["survey"].rows.values():
        attribute = attribute_named(export.schema, row.get("B", ""))
        if attribute is not None:
            kind, _, name = row.get("A", "").partition(" ")
            asked[attribute.name] = kind, row["B"]
            if name:
                lists[attribute.name] = words_of(attribute, [(word, word) for word in choices.get(name, [])])
    answers = replace(
        export,
        only=tuple(asked),
        wording=_Words(separator=" ", yes="TRUE", no="FALSE", defects=export.wording.defects, lists=lists, strict=True),
    )
    parts = (_form_columns(answers, batch, asked, lists) for batch in answers.batches())
    first = next(parts)

    def all_parts() -> Iterator[list[Column]]:
        yield first
        yield from parts

    with Workbook(sink) as book:
        book.sheet("HTCDS", [[column.name for column in first]], all_parts())


def _form_columns(
    export: Export, batch: Batch, asked: Mapping[str, tuple[str, str]], lists: Mapping[str, Mapping[str, str]]
) -> list[Column]:
    count = len(batch)
    columns = [
        stamps("start", batch.days, batch.rows, zone=".000+01:00"),
        stamps("end", batch.days, batch.rows + 1, zone=".000+01:00"),
    ]
    for name, (kind, question) in asked.items():
        answer = batch.answers[name]
        columns.append(answer.named(question))
        if kind == "select_multiple":
            answered = pc.not_equal(answer.cells, "")
            around = pc.binary_join_element_wise(pa.scalar(" "), answer.cells, pa.scalar(" "), "")
            for written in lists[name].values():
                there = pc.if_else(pc.match_substring(around, f" {written.strip()} "), "1", "0")
                columns.append(
                    Column(name=f"{question}/{written}", cells=pc.if_else(answered, there, ""), kind="number")
                )
    return [
        *columns,
        constant("__version__", "vSmt4GQA3C9uBMLPEVfgND", count),
        numbers("_id", 200_000_000 + batch.rows),
        uuids("_uuid", batch.rows, export.seed),
        Column(name="_submission_time", cells=pa.array(np.datetime_as_string(batch.days), pa.string())),
        constant("_status", "submitted_via_web", count),
        numbers("_index", batch.rows),
    ]
