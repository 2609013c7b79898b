"""The private report on a screen: plain lines, the mark first and last, nothing on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from casehaven.evaluation.service import PrivateReport
from casehaven.evaluation.words import (
    GROUP_HEADS,
    MARK,
    NOTES,
    RISK_HEADS,
    SIZE_HEADS,
    UTILITY_HEADS,
    WARNING,
    group_rows,
    lead,
    risk_rows,
    size_rows,
    utility_rows,
)
from casesynth.report.markup import visible
from casesynth.report.precision import LENGTH_NAMES

_GROUPS = 8
_BAR = 30


def report_lines(report: PrivateReport) -> Iterator[str]:
    """Yield the lines."""
    yield WARNING
    yield ""
    yield visible(report.title)
    for sentence in lead(report):
        yield visible(sentence)
    yield from _table("synthetic records", UTILITY_HEADS, utility_rows(report.records))
    yield from _table(
        "aggregates, where what is hidden counts as nobody", UTILITY_HEADS, utility_rows(report.estimates)
    )
    for length, name in enumerate(LENGTH_NAMES, 1):
        rows = size_rows(report.sizes, length)
        if rows:
            yield from _table(f"estimates by size, combinations of {name}", SIZE_HEADS, rows)
    yield from _bars(report)
    if report.subgroups:
        yield from _table("people whose numbers are least right", GROUP_HEADS, group_rows(report, _GROUPS))
    if report.risks:
        yield from _table("attacks", RISK_HEADS, risk_rows([risk for risk in report.risks if not risk.about]))
        beyond = [risk for risk in report.risks if risk.about and risk.verdict == "beyond"]
        if beyond:
            yield from _table("single attributes beyond the bound", RISK_HEADS, risk_rows(beyond))
    yield ""
    yield from NOTES
    yield ""
    yield MARK


def _bars(report: PrivateReport) -> Iterator[str]:
    longest = max((bucket.length for bucket in report.sizes), default=0)
    found = [bucket for bucket in report.sizes if bucket.length == longest]
    yield ""
    yield f"shown of the combinations of {LENGTH_NAMES[longest - 1]}, by real count ({MARK.lower()})"
    for bucket in found:
        size = f"{bucket.low:,}+" if bucket.high is None else f"{bucket.low:,}-{bucket.high - 1:,}"
        yield f"{size:>12}  {'#' * round(_BAR * bucket.shown):<{_BAR}} {bucket.shown:.0%}"


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"{title} ({MARK.lower()})"
    whole = [tuple(visible(cell) for cell in row) for row in (heads, *rows)]
    widths = [max(len(row[place]) for row in whole) for place in range(len(heads))]
    for row in whole:
        cells = [
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
