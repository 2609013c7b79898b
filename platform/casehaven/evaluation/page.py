"""The private report as a page with plots. It leaves this process sealed only (`casehaven.evaluation.sealed_page`)."""

from __future__ import annotations

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
from casesynth.report.document import document
from casesynth.report.guarantee import software
from casesynth.report.markup import Html, join, table, tag
from casesynth.report.plots import Curve, curves, figure
from casesynth.report.precision import LENGTH_NAMES

_CORNER = "position:fixed;right:0;bottom:0;margin:0;padding:.2rem .7rem;background:#a4262c;color:#fff"
_GROUPS = 40
_LEAST = 0.05
"""Smallest error that a logarithmic axis shows, in people."""


def report_page(report: PrivateReport) -> str:
    """Return the page."""
    sections = [
        tag("h1", f"Private report: {report.title}"),
        tag("p", f"{report.made_on}, manifest {report.manifest_sha256[:16]}…", class_="quiet"),
        tag("section", tag("p", tag("strong", WARNING)), class_="lead", aria_label="Private"),
        tag("section", *(tag("p", sentence) for sentence in lead(report)), aria_label="In short"),
        tag("h2", "Estimates by the size of the real count"),
        _sizes(report),
        tag("h2", "All combinations"),
        table("Aggregates; what is hidden counts as nobody", UTILITY_HEADS, utility_rows(report.estimates)),
        table("Synthetic records", UTILITY_HEADS, utility_rows(report.records)),
    ]
    if report.subgroups:
        sections += [
            tag("h2", "Whose numbers are least right"),
            table("Each value crossed with every other attribute", GROUP_HEADS, group_rows(report, _GROUPS)),
        ]
    if report.risks:
        sections += [
            tag("h2", "Attacks"),
            table(
                "What was tried on real people and on control people",
                RISK_HEADS,
                risk_rows([r for r in report.risks if not r.about]),
            ),
            tag(
                "details",
                tag("summary", "Inference of each attribute"),
                table("Inference of each attribute", RISK_HEADS, risk_rows([r for r in report.risks if r.about])),
            ),
        ]
    sections += [
        tag("h2", "How to read this"),
        tag("ul", *(tag("li", note) for note in NOTES)),
        tag("footer", tag("p", tag("strong", WARNING)), tag("p", f"Made by {software()}.")),
        tag("p", tag("strong", MARK), style=_CORNER, aria_hidden="true"),
    ]
    return document(f"{MARK}: {report.title}", *sections)


def _sizes(report: PrivateReport) -> Html:
    lengths = sorted({bucket.length for bucket in report.sizes})
    tables = join(
        table(f"Combinations of {LENGTH_NAMES[length - 1]}", SIZE_HEADS, size_rows(report.sizes, length))
        for length in lengths
    )
    lines = [
        Curve(
            name=LENGTH_NAMES[length - 1],
            points=tuple(
                (float(bucket.low), max(bucket.error, _LEAST)) for bucket in report.sizes if bucket.length == length
            ),
        )
        for length in lengths
    ]
    plot = curves(
        "error-by-size",
        lines,
        title="Error of estimates by the size of the real count",
        description="One line per number of values; the tables below have the numbers.",
        x_name="real people in the count, from",
        y_name="people off, in 19 of 20 cases at most",
    )
    return figure("errors", plot, tables, "19 of 20 estimates are off by at most this much.")
