"""Jobs with exact numbers of an organisation's own people: its tables, how a dataset stands, and which files were taken in. Not for release.

1. The tables are those of `casehaven.statistics`: only people whose latest consent for own statistics is yes, opened for a reason that is in the audit log before it happens.
2. What is told goes sealed to whoever asked, as what is told of one person does. Each form of it says first that it is not for release.
3. How a dataset stands is counted from rows; no record is opened.
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any, Final

from casehaven.people.service import check_reason
from casehaven.people.standing import dataset_standing, taken_in
from casehaven.releases.indicators import Roles, RolesNeededError, shipped_roles
from casehaven.statistics import MARK, ExactTable, OwnStatistics, Percent, own_statistics
from casehaven.statistics.exact import Cell
from casehaven.statistics.marking import WARNING
from casehaven.statistics.page import page
from casehaven.statistics.workbook import workbook
from casehaven.worker.work import Done, Work, plain
from caseschemas import CaseSchema

FORMAT: Final = "casehaven-own-tables/1"
_WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def tables(work: Work) -> Done:
    """Count the people who consented to own statistics, and return the tables in the form that was asked for.

    Raises:
        YearError: the schema has not one of the years.
        NobodyCountedError: nobody consented, or nobody who did was registered then.
    """
    asked, dataset = work.private_request(), work.dataset()
    work.tick("count")
    found = own_statistics(
        work.bench.vault,
        dataset,
        _roles(dataset.schema),
        reason=check_reason(str(asked["reason"])),
        years=tuple(int(year) for year in asked.get("years") or ()),
        actor=work.actor,
    )
    return Done(result=_written(found, str(asked.get("kind") or "json")))


def status(work: Work) -> Done:
    """Say how a dataset stands: people, records, consent by purpose, last days."""
    with work.bench.vault.database.transaction(writes=False) as connection:
        return Done(result=plain(asdict(dataset_standing(connection, work.dataset()))))


def intakes(work: Work) -> Done:
    """List the files that were taken in, newest first, with the records that each brought."""
    with work.bench.vault.database.transaction(writes=False) as connection:
        return Done(result={"items": [plain(asdict(each)) for each in taken_in(connection, work.dataset())]})


def _roles(schema: CaseSchema) -> Roles | None:
    try:
        return shipped_roles(schema)
    except RolesNeededError:
        return None


def _written(found: OwnStatistics, kind: str) -> dict[str, Any]:
    facts = found.facts
    made: dict[str, Any] = {
        "format": FORMAT,
        "mark": MARK,
        "warning": WARNING,
        "kind": kind,
        "file": f"not-for-release-{facts.organisation}-{facts.dataset}-{facts.made_on}.{kind}",
    }
    if kind == "xlsx":
        content = workbook(facts, found.tables)
        return {**made, "media_type": _WORKBOOK, "base64": base64.b64encode(content).decode("ascii")}
    if kind == "html":
        return {**made, "media_type": "text/html; charset=utf-8", "text": page(facts, found.tables)}
    return {
        **made,
        "media_type": "application/json",
        "title": facts.title,
        "made_on": facts.made_on,
        "years": facts.years,
        "people": facts.people,
        "notes": [list(note) for note in facts.notes],
        "tables": [_table(table) for table in found.tables],
    }


def _table(table: ExactTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "base": table.base,
        "label_heads": list(table.label_heads),
        "number_heads": list(table.number_heads),
        "rows": [
            {"labels": list(row.labels), "cells": [_cell(cell) for cell in row.cells], "total": row.total}
            for row in table.rows
        ],
    }


def _cell(cell: Cell) -> Any:
    """A number of people; a percentage as its part and its base; or nothing to say."""
    return {"part": cell.part, "base": cell.base} if isinstance(cell, Percent) else cell
