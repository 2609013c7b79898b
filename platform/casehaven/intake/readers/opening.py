"""Opening a file from outside: what it holds is said first, its rows are read on demand.

1. Every file is parsed in a process of its own, whatever it is.
2. Every reading starts a process anew, and checks that the file holds the columns that were described.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from casehaven.intake.errors import CaseFileError, ChangedCaseFileError, FileKindError
from casehaven.intake.readers.process import reading
from casehaven.intake.sandbox.limits import LIMITS, Limits
from casehaven.intake.sandbox.request import TOOLS, Request
from casehaven.intake.sandbox.xlsform import Form, form_of
from casehaven.intake.source import SourceBatch, SourceColumn, SourceTable, Tool


def open_source(
    path: Path,
    *,
    password: str | None = None,
    tool: Tool | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    sheet: str | None = None,
    form: Form | None = None,
    apart: Sequence[str] = (),
    limits: Limits = LIMITS,
) -> SourceTable:
    """Say what a file holds.

    Args:
        path: CSV, XLSX, XLSM, JSON, Parquet, or a ZIP of one of them or of an ODK Central export.
        password: of a ZIP.
        tool: what wrote the file; None tells it by its marks.
        encoding: of a text file; None tells it by rule.
        separator: of a text file, one of comma, semicolon, tab and pipe; None tells it by rule.
        sheet: of a workbook, or a file in a ZIP; None takes the first with a table.
        form: the XLSForm behind an export of Kobo or ODK Central (`open_form`).
        apart: names and labels of a schema's attributes; columns of 0 and 1 that bear one are not joined into one of several answers.
        limits: bounds of the file.

    Raises:
        CaseFileError: it cannot be read as it is; says what to do, and shows no cell.
    """
    _refuse_absent(path)
    if tool is not None and tool.value not in TOOLS:
        raise FileKindError(f"{path.name}: not a {tool.value} file")
    request = Request(
        do="describe",
        password=password,
        tool=tool.value if tool else None,
        encoding=encoding,
        separator=separator,
        sheet=sheet,
        form=tuple(form.document()) if form else None,
        apart=tuple(apart),
        limits=limits,
    )
    with reading(path, request) as reader:
        said = reader.description()
    columns = _columns(said)

    def read(names: Sequence[str]) -> Iterator[SourceBatch]:
        with reading(path, replace(request, do="read", columns=tuple(names))) as reader:
            if _columns(reader.description()) != columns:
                raise ChangedCaseFileError(f"{path.name}: the file changed while it was being read; start anew")
            yield from reader.batches(names)

    return SourceTable(
        path=path,
        tool=Tool(said["tool"]),
        columns=columns,
        notes=tuple(said["notes"]),
        record_key=said["record_key"],
        read=read,
    )


def open_form(path: Path, *, limits: Limits = LIMITS) -> Form:
    """Read an XLSForm: the names, labels and codes of its questions.

    Raises:
        CaseFileError: the file is no XLSForm, or cannot be read.
    """
    _refuse_absent(path)
    with reading(path, Request(do="form", limits=limits)) as reader:
        return form_of(reader.description())


def _columns(said: Any) -> tuple[SourceColumn, ...]:
    return tuple(
        SourceColumn(
            name=column["name"],
            labels=tuple(column["labels"]),
            options=dict(column["options"]),
            multiple=bool(column["multiple"]),
            role="tool" if column["role"] == "tool" else "answer",
        )
        for column in said["columns"]
    )


def _refuse_absent(path: Path) -> None:
    if not path.is_file():
        raise CaseFileError(f"{path}: there is no such file")
