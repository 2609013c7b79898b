"""Exact tables on a screen: plain lines for a terminal, the mark first and last. Lines that hold nobody are not shown, and the table says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from casehaven.statistics.exact import Cell, ExactTable
from casehaven.statistics.marking import MARK, WARNING, ReportFacts
from casesynth.report.markup import visible

_LABEL = 36
"""Longest label that is shown in full."""


def screen(facts: ReportFacts, tables: Sequence[ExactTable]) -> Iterator[str]:
    """Yield the lines."""
    yield WARNING
    yield ""
    yield f"{visible(facts.title)}, {facts.years}: {facts.people:,} people with consent for own statistics"
    for table in tables:
        yield ""
        yield f"{visible(table.title)} ({MARK.lower()})"
        yield table.base
        yield from _lines(table)
    yield ""
    yield WARNING


def _lines(table: ExactTable) -> Iterator[str]:
    heads = [*table.label_heads, *table.number_heads]
    held = [row for row in table.rows if row.total or any(cell for cell in row.cells if isinstance(cell, int))]
    rows = [[*(_cut(label) for label in row.labels), *(_shown(cell) for cell in row.cells)] for row in held]
    cut = [_cut(head) for head in heads]
    widths = [max(len(row[column]) for row in (cut, *rows)) for column in range(len(heads))]
    labels = len(table.label_heads)
    for row in (cut, *rows):
        cells = [
            text.ljust(width) if column < labels else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
    if len(held) < len(table.rows):
        yield "(lines with nobody in them are not shown)"


def _shown(cell: Cell) -> str:
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)


def _cut(text: str) -> str:
    clean = visible(text)
    return clean if len(clean) <= _LABEL else clean[: _LABEL - 1] + "…"
