"""Primero's exports: CSV, a workbook with a sheet per form, JSON, and a ZIP file with a password.

1. CSV and JSON have the names of fields; the workbook has labels in the user's language, sheets named for forms, and a case on several sheets under one `id`.
2. Several values have ` ||| ` between them. On the workbook's last sheet, a subform, they are spread over rows.
3. The country of the last question about a country is a location: `country::region::town`.
4. A cell that a spreadsheet would take for a formula has `'` before it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from casehaven.generate.dialects.columns import Column, constant, uuids
from casehaven.generate.dialects.csv_text import write_csv
from casehaven.generate.dialects.export import BIRTH_DATE, Batch, Export, group_of
from casehaven.generate.dialects.locked_zip import write_locked_zip
from casehaven.generate.dialects.workbook import Workbook

__all__ = ["SEPARATOR", "write_primero_csv", "write_primero_json", "write_primero_xlsx", "write_primero_zip"]

SEPARATOR = " ||| "
_BIRTH_LABELS = {"en": "Date of birth", "fr": "Date de naissance", "es": "Fecha de nacimiento", "ar": "تاريخ الميلاد"}


def field_name(name: str) -> str:
    """Return the name of a field.

    >>> field_name("meansDebtBondageEarnings"), field_name("prs_FirstName"), field_name("UN_COO_Region")
    ('means_debt_bondage_earnings', 'prs_first_name', 'un_coo_region')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def label_of(export: Export, name: str) -> str:
    """Return the label of an answer in the language of the export."""
    language = export.wording.language or "en"
    if name == BIRTH_DATE:
        return _BIRTH_LABELS.get(language, _BIRTH_LABELS["en"])
    return export.schema.attribute(name).labels.get(language, name)


def write_primero_csv(export: Export, sink: BinaryIO) -> None:
    """Write one CSV file with the names of fields."""
    parts = (_fields(export, batch) for batch in export.batches())
    first = next(parts)

    def guarded() -> Iterator[list[Column]]:
        yield [_guarded(column) for column in first]
        for columns in parts:
            yield [_guarded(column) for column in columns]

    write_csv(sink, [column.name for column in first], guarded())


def write_primero_zip(export: Export, sink: BinaryIO, password: str) -> None:
    """Write the CSV file into a ZIP file that opens with a password."""
    content = io.BytesIO()
    write_primero_csv(export, content)
    write_locked_zip(sink, "made-up-cases.csv", content.getvalue(), password)


def write_primero_json(export: Export, sink: BinaryIO) -> None:
    """Write an array of cases, each with its fields below `data`."""
    several = {field_name(one.name) for one in export.attributes if one.kind == "multi"}
    flags = {field_name(one.name) for one in export.attributes if one.kind == "flag"}
    sink.write(b"[")
    mark = b"\n"
    for batch in export.batches():
        columns = _fields(export, batch)
        for row in zip(*(column.cells.to_pylist() for column in columns), strict=True):
            cells = dict(zip((column.name for column in columns), row, strict=True))
            identity = cells.pop("id")
            data = {name: _json(name, cell, several, flags, columns) for name, cell in cells.items() if cell}
            sink.write(mark + json.dumps({"id": identity, "data": data}, ensure_ascii=False, indent=2).encode("utf-8"))
            mark = b",\n"
    sink.write(b"\n]\n")


def _json(name: str, cell: str, several: set[str], flags: set[str], columns: Sequence[Column]) -> Any:
    if name in several:
        return cell.split(SEPARATOR)
    if name in flags and cell in ("true", "false"):
        return cell == "true"
    kind = next(column.kind for column in columns if column.name == name)
    return int(cell) if kind == "number" and cell.isascii() and cell.isdecimal() else cell


def write_primero_xlsx(export: Export, sink: BinaryIO) -> None:
    """Write a workbook with a sheet per form; the last question with several answers is a subform."""
    groups: dict[str, list[str]] = {}
    for name in export.names():
        groups.setdefault(group_of(export.schema, name), []).append(name)
    several = [one.name for one in export.attributes if one.kind == "multi"]
    subform = several[-1] if several else None
    with Workbook(sink) as book:
        for group, names in groups.items():
            kept = [name for name in names if name != subform]
            if kept:
                labels = [label_of(export, name) for name in kept]
                parts = (_sheet(export, batch, kept) for batch in export.batches())
                book.sheet(_title(export, group), [["id", "model_type", *labels]], parts)
        extra = ("fullName", "phone", "story")
        parts = ([*_identity(export, batch), *(batch.made_up[name] for name in extra)] for batch in export.batches())
        book.sheet("Basic identity", [["id", "model_type", "Full name", "Telephone", "Story"]], parts)
        if subform is not None:
            rows = (_subform(export, batch, subform) for batch in export.batches())
            book.sheet(
                f"{label_of(export, subform)}"[:27] + " sub", [["id", "model_type", label_of(export, subform)]], rows
            )


def _title(export: Export, group: str) -> str:
    label = next(
        (one.labels.get(export.wording.language or "en", group) for one in export.schema.groups if one.name == group),
        group,
    )
    return re.sub(r"[\[\]:*?/\\]", " ", label)[:31]


def _identity(export: Export, batch: Batch) -> list[Column]:
    return [uuids("id", batch.rows, export.seed), constant("model_type", "Case", len(batch))]


def _sheet(export: Export, batch: Batch, names: Sequence[str]) -> list[Column]:
    return [*_identity(export, batch), *(_located(export, batch.answers[name], name) for name in names)]


def _subform(export: Export, batch: Batch, name: str) -> list[Column]:
    """One row per answer (rule 2)."""
    identity = _identity(export, batch)[0].cells.to_pylist()
    cells = batch.answers[name].cells.to_pylist()
    rows = [
        (one, answer) for one, cell in zip(identity, cells, strict=True) for answer in cell.split(SEPARATOR) if answer
    ]
    return [
        Column(name="id", cells=pa.array([one for one, _ in rows], pa.string())),
        constant("model_type", "Case", len(rows)),
        Column(name=name, cells=pa.array([answer for _, answer in rows], pa.string())),
    ]


def _fields(export: Export, batch: Batch) -> list[Column]:
    answers = [_located(export, answer, name).named(field_name(name)) for name, answer in batch.answers.items()]
    extra = [batch.made_up[name].named(field_name(name)) for name in ("fullName", "phone", "story")]
    return [_identity(export, batch)[0], *answers, *extra]


def _located(export: Export, answer: Column, name: str) -> Column:
    """A country as a location, if it is the one (rule 3)."""
    countries = [one.name for one in export.attributes if one.kind == "country"]
    if not countries or name != countries[-1]:
        return answer
    joined = pc.binary_join_element_wise(answer.cells, pa.scalar("::Example region::Example town"), "")
    return Column(name=answer.name, cells=pc.if_else(pc.equal(answer.cells, ""), "", joined))


def _guarded(column: Column) -> Column:
    formula = pc.match_substring_regex(column.cells, r"^[=+\-@\t\r]")
    guarded = pc.binary_join_element_wise(pa.scalar("'"), column.cells, "")
    return Column(name=column.name, cells=pc.if_else(formula, guarded, column.cells), kind=column.kind)
