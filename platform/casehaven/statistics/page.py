"""Exact tables as one HTML page to read on a screen without a spreadsheet: nothing to load, nothing that runs, the mark on top, at every table and below.

The mark also stands in a corner that does not scroll away, and that browsers repeat on every printed page.
"""

from __future__ import annotations

from collections.abc import Sequence

from casehaven.statistics.exact import Cell, ExactTable
from casehaven.statistics.marking import MARK, WARNING, ReportFacts
from casesynth.report.document import document
from casesynth.report.guarantee import software
from casesynth.report.markup import Html, join, table, tag

_CORNER = "position:fixed;right:0;bottom:0;margin:0;padding:.2rem .7rem;background:#a4262c;color:#fff"


def page(facts: ReportFacts, tables: Sequence[ExactTable]) -> str:
    """Return the page."""
    sections = [(f"table-{place}", found.title, _table(found)) for place, found in enumerate(tables)]
    contents = tag("ul", *(tag("li", tag("a", title, href=f"#{ident}")) for ident, title, _ in sections))
    notes = tag("ul", *(tag("li", tag("strong", f"{head}."), " ", text) for head, text in facts.notes))
    return document(
        f"{MARK}: {facts.title}",
        tag("h1", facts.title),
        tag("p", f"{facts.made_on}, {facts.years}.", class_="quiet"),
        tag("section", tag("p", tag("strong", WARNING)), class_="lead", aria_label="Not for release"),
        tag("section", tag("h2", "Before you use the numbers", id="notes"), notes, aria_labelledby="notes"),
        tag("nav", tag("h2", "Contents", id="contents"), contents, aria_labelledby="contents"),
        *(
            tag("section", tag("h2", title, id=ident), content, aria_labelledby=ident)
            for ident, title, content in sections
        ),
        tag("footer", tag("p", tag("strong", WARNING)), tag("p", f"Made by {software()}.")),
        tag("p", tag("strong", MARK), style=_CORNER, aria_hidden="true"),
    )


def _table(found: ExactTable) -> Html:
    heads = (*found.label_heads, *found.number_heads)
    held = [row for row in found.rows if row.total or any(cell for cell in row.cells if isinstance(cell, int))]
    rows = [(*row.labels, *(_shown(cell) for cell in row.cells)) for row in held]
    parts = [tag("p", found.base, class_="quiet")]
    words = tuple(range(1, len(found.label_heads)))
    parts.append(table(f"{found.title} ({MARK.lower()})", heads, rows, words=words))
    if len(held) < len(found.rows):
        parts.append(tag("p", "Lines with nobody in them are not shown.", class_="quiet"))
    return join(parts)


def _shown(cell: Cell) -> str:
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)
