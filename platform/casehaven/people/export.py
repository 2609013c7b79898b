"""Everything on one person as a file for that person: to read (`.txt`), to take elsewhere (`.json`), or to open as a table (`.csv`).

1. The file holds a case in the clear. Only its owner may read it, and no file is ever replaced. Give it to the person and destroy it.
2. All of it is there: consents with their versions, records that count, and what corrections replaced.
3. In CSV a cell that a spreadsheet would take for a formula has a `'` in front (threat 20); it holds the records that count.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from casehaven.people.errors import ExistingPersonFileError, ExportNameError
from casehaven.people.view import PersonView, value_of, view_lines
from casehaven.vault.datasets import Record
from casesynth._files import write_whole
from casesynth.tables import safe_cell

FORMAT = "casehaven-person/1"
SUFFIXES = (".txt", ".json", ".csv")


def check_target(path: Path) -> Path:
    """Return where an export may go, before anything is opened.

    Raises:
        ExistingPersonFileError: something is there.
        ExportNameError: the name does not end as one of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ExportNameError(f"the name of the export must end in {', '.join(SUFFIXES)}")
    if path.exists() or path.is_symlink():
        raise ExistingPersonFileError(f"{path} is there already")
    return path


def write_export(view: PersonView, path: Path) -> None:
    """Write one person's export, whole or not at all.

    Raises:
        ExistingPersonFileError: something is there.
        OSError: the folder cannot be written.
    """
    check_target(path)
    try:
        write_whole(path, export_text(view, path.suffix.lower()).encode("utf-8"), mode=0o600, replace=False)
    except FileExistsError:
        raise ExistingPersonFileError(f"{path} is there already") from None


def export_text(view: PersonView, suffix: str) -> str:
    """Return one person's export as the text of a file.

    Args:
        view: the person.
        suffix: of `SUFFIXES`: which kind of file.
    """
    return _table(view) if suffix == ".csv" else _document(view) if suffix == ".json" else _plain(view)


def _plain(view: PersonView) -> str:
    return "\n".join((f"Everything on one person, {_today()}", "", *view_lines(view, history=True), ""))


def _document(view: PersonView) -> str:
    schema = view.dataset.schema
    document = {
        "format": FORMAT,
        "exported_on": _today(),
        "dataset": view.dataset.id,
        "schema": {"id": schema.id, "version": schema.version},
        "in_vault_since": view.person.created_month,
        "kept_until": None if view.person.retain_until is None else view.person.retain_until.isoformat(),
        "consent": [
            {
                "purpose": version.purpose,
                "version": version.version,
                "given": version.given,
                "language": version.language or None,
                "dated": None if version.dated is None else version.dated.isoformat(),
                "recorded_at": version.recorded_at,
            }
            for version in view.consent.versions
        ],
        "records": [_record(view, record) for record in view.counting],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _record(view: PersonView, record: Record) -> dict[str, Any]:
    return {
        "cells": _cells(view, record),
        "replaced": [_cells(view, older) for older in view.replaced_by(record)],
    }


def _cells(view: PersonView, record: Record) -> list[dict[str, str]]:
    return [
        {
            "attribute": attribute.name,
            "label": attribute.labels.text("en"),
            "value": record.cells[attribute.name],
            "meaning": value_of(attribute, record.cells[attribute.name]),
        }
        for attribute in view.dataset.schema.attributes
        if attribute.name in record.cells
    ]


def _table(view: PersonView) -> str:
    names = [attribute.name for attribute in view.dataset.schema.attributes]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([safe_cell(name) for name in names])
    for record in view.counting:
        writer.writerow([safe_cell(record.cells.get(name, "")) for name in names])
    return buffer.getvalue()


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
