"""The tables that official statistics ask for, of a published release: a workbook, and a document that pages show.

1. They are what `casehaven indicators` makes: the model's estimates with their intervals, and what privacy rule 25 hides is null. Nothing else is read.
2. They are made once, beside the downloads, when a release is published. A schema without shipped roles has none, and the record says so by not listing any.
3. The document names values by their codes, so that a page writes them in the reader's language; what is no single value has a label in English.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from casehaven.releases.indicators import IndicatorTable, RolesNeededError, indicator_tables, shipped_roles
from casehaven.releases.indicators.notes import notes
from casehaven.releases.indicators.tables import EVERYONE, NOT_KNOWN, Dimension, Line
from casehaven.releases.indicators.workbook import workbook
from casehaven.releases.published import PublishedRelease
from casesynth.canonical import canonical_json
from casesynth.domain import Domain
from casesynth.report.words import SPACE, Estimate

INDICATORS: Final = "indicators"
"""Name of the files, before the dot."""
FORMAT: Final = "casehaven-indicators/1"


def make_indicators(release: PublishedRelease, folder: Path) -> list[dict[str, Any]]:
    """Make both files in a folder, and return them as a record lists them; none where the schema has no roles (rule 2).

    Args:
        release: verified and opened.
        folder: of the other forms.

    Raises:
        OSError: the disk is full.
    """
    try:
        roles = shipped_roles(release.schema)
    except RolesNeededError:
        return []
    tables = indicator_tables(release.estimates, release.schema, roles)
    remarks = notes(release, roles, tables)
    document = {
        "format": FORMAT,
        "schema": f"{release.schema.id} {release.schema.version}",
        "people": _estimate(release.estimates.people),
        "tables": [_table(table, release.estimates.domain) for table in tables],
        "notes": [{"head": note.head, "text": note.text.replace(SPACE, " ")} for note in remarks],
    }
    contents = {"json": canonical_json(document), "xlsx": workbook(release, tables, remarks)}
    return [_written(folder / f"{INDICATORS}.{form}", form, content) for form, content in contents.items()]


def _written(path: Path, form: str, content: bytes) -> dict[str, Any]:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return {
        "name": path.name,
        "format": form,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _table(table: IndicatorTable, domain: Domain) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "answers": table.answers,
        "dimensions": [_dimension(each, domain) for each in table.dimensions],
        "cells": [_estimate(estimate) for estimate in table.cells.values()],
        "left_out": table.left_out,
    }


def _dimension(dimension: Dimension, domain: Domain) -> dict[str, Any]:
    lines = [dict(_line(line, domain)) for line in dimension.lines]
    attributes = {str(line["attribute"]) for line in lines if "attribute" in line}
    # forms of exploitation may be flags of several attributes: then each line is named by its own
    return {"title": dimension.title, "attribute": attributes.pop() if len(attributes) == 1 else None, "lines": lines}


def _line(line: Line, domain: Domain) -> Iterator[tuple[str, Any]]:
    """Yield what a line is: everybody, one value, those whose value is not known, or a group (rule 3)."""
    yield "label", line.label
    if line.parts == EVERYONE:
        yield "kind", "all"
    elif line.label == NOT_KNOWN:
        yield "kind", "not-known"
    elif len(line.parts) == 1 and len(line.parts[0]) == 1:
        column, place = line.parts[0][0]
        spec = domain.columns[column]
        yield from (("kind", "value"), ("attribute", spec.attribute))
        yield "value", spec.values[place] if spec.value is None else spec.value
    else:
        yield "kind", "group"


def _estimate(found: Estimate) -> Mapping[str, float] | None:
    """Return estimate and interval to one decimal; null for what privacy rule 25 hides."""
    if not found.shown:
        return None
    return {"estimate": round(found.value, 1), "low": round(found.low, 1), "high": round(found.high, 1)}
