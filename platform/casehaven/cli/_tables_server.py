"""Exact tables as a server tells of them, read back into the tables that the screen of this command shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from casehaven.client import UnexpectedAnswerError
from casehaven.client.fields import Fields
from casehaven.statistics import ExactTable, Percent
from casehaven.statistics.exact import Cell, ExactRow
from casehaven.statistics.marking import ReportFacts


def read_tables(dataset: str, document: Mapping[str, Any]) -> tuple[ReportFacts, tuple[ExactTable, ...]]:
    """Return the tables of `casehaven-own-tables/1`, and what a reader has to know.

    Args:
        dataset: organisation/dataset, as it was asked for.
        document: from the server.

    Raises:
        UnexpectedAnswerError: it is not the format.
    """
    fields = Fields(document, "tables")
    organisation, _, name = dataset.partition("/")
    facts = ReportFacts(
        organisation=organisation,
        dataset=name,
        schema="",
        made_on=fields.text("made_on"),
        years=fields.text("years"),
        people=fields.whole("people"),
    )
    return facts, fields.each("tables", _table)


def _table(fields: Fields) -> ExactTable:
    return ExactTable(
        name=fields.text("name"),
        title=fields.text("title"),
        base=fields.text("base"),
        label_heads=fields.texts("label_heads"),
        number_heads=fields.texts("number_heads"),
        rows=fields.each("rows", _row),
    )


def _row(fields: Fields) -> ExactRow:
    cells = fields.all.get("cells")
    if not isinstance(cells, list):
        raise UnexpectedAnswerError("the server's tables have a row without cells")
    return ExactRow(labels=fields.texts("labels"), cells=tuple(map(_cell, cells)), total=fields.flag("total"))


def _cell(unverified: object) -> Cell:
    if unverified is None:
        return None
    if isinstance(unverified, Mapping):
        fields = Fields(unverified, "cell")
        return Percent(part=fields.whole("part"), base=fields.whole("base"))
    return Fields({"cell": unverified}, "cell").whole("cell")
