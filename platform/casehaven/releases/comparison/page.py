"""A comparison as one HTML page: nothing to load, nothing that runs."""

from __future__ import annotations

from collections.abc import Sequence

from casehaven.releases.comparison.changes import Change, Comparison
from casehaven.releases.comparison.sentences import caveats, ends, span, summary, verdict
from casesynth.report import plots
from casesynth.report.document import document
from casesynth.report.guarantee import software
from casesynth.report.markup import Html, join, table, tag
from casesynth.report.plots import changes, figure
from casesynth.report.words import Estimate, counted, whole

DRAWN_MOST = 25
"""Most changes in the plot."""


def page(comparison: Comparison) -> str:
    """Return the page."""
    first, second = comparison.first, comparison.second
    title = f"{first.title} and {second.title}" if first.title != second.title else first.title
    sections = (
        ("changes", "What changed most", _plot(comparison)),
        ("values", "Every value", _values(comparison)),
        ("pairs", "Pairs of values that changed most", _pairs(comparison)),
        (
            "caveats",
            "Before you use the numbers",
            tag("ul", *(tag("li", tag("strong", c.head), " ", c.text) for c in caveats(comparison))),
        ),
        ("sources", "The two releases", tag("ul", tag("li", first.citation), tag("li", second.citation))),
    )
    contents = tag("ul", *(tag("li", tag("a", name, href=f"#{ident}")) for ident, name, _ in sections))
    return document(
        f"{title}: comparison",
        tag("h1", title),
        tag("p", f"The release of {first.created} beside that of {second.created}.", class_="quiet"),
        tag("section", *(tag("p", line) for line in summary(comparison)), class_="lead", aria_label="In short"),
        tag("nav", tag("h2", "Contents", id="contents"), contents, aria_labelledby="contents"),
        *(
            tag("section", tag("h2", name, id=ident), content, aria_labelledby=ident)
            for ident, name, content in sections
        ),
        tag("footer", tag("p", f"Made by {software()}.")),
    )


def _plot(comparison: Comparison) -> Html:
    shown = [change for change in comparison.values if change.shown]
    drawn = sorted(shown, key=lambda change: (not change.real, -abs(change.difference)))[:DRAWN_MOST]
    if not drawn:
        return tag("p", "No value is shown in both releases.")
    drawn.sort(key=lambda change: -change.difference)
    plot = changes(
        "plot-changes",
        [
            plots.Change(label=c.label, value=c.difference, low=c.low, high=c.high, real=c.real)
            for c in (comparison.people, *drawn)
        ],
        title="Differences between the releases",
        description="; ".join(f"{c.label}: {span(c)} ({verdict(c)})" for c in (comparison.people, *drawn)) + ".",
        x_name="second release minus first, in people",
    )
    return figure(
        "changes-plot",
        plot,
        _table("The differences in the plot", comparison, (comparison.people, *drawn)),
        "Marks with 95 % intervals. Filled and round: a real change. Hollow and square: it may be chance.",
    )


def _values(comparison: Comparison) -> Html:
    return join(
        [
            tag(
                "p",
                f"All people and {counted(len(comparison.values), 'value')} that at least one of the releases shows.",
            ),
            _table("Number of people with each value", comparison, (comparison.people, *comparison.values)),
        ]
    )


def _pairs(comparison: Comparison) -> Html:
    sentence = (
        f"{whole(comparison.pairs_compared)} pairs of values were compared, and {whole(comparison.pairs_real)} of them "
        "changed for real. "
    )
    if not comparison.pairs:
        return tag("p", sentence)
    named = "This is the pair that changed most." if len(comparison.pairs) == 1 else "These changed most."
    return join([tag("p", sentence + named), _table("Number of people with both values", comparison, comparison.pairs)])


def _table(caption: str, comparison: Comparison, rows: Sequence[Change]) -> Html:
    heads = (
        "Value",
        f"First ({comparison.first.created})",
        f"Second ({comparison.second.created})",
        "Difference",
        "Verdict",
    )
    cells = [
        (
            change.label,
            _cell(change.first),
            _cell(change.second),
            _difference(change),
            tag("span", verdict(change), class_="keep"),
        )
        for change in rows
    ]
    return table(caption, heads, cells, words=(4,))


def _cell(estimate: Estimate) -> Html:
    if not estimate.shown:  # privacy rule 25
        return tag("span", "hidden", class_="quiet")
    return join([tag("b", str(estimate)), " ", tag("span", f"({estimate.interval})", class_="keep")])


def _difference(change: Change) -> Html:
    if not change.shown:
        return tag("span", "hidden", class_="quiet")
    middle, low, high = ends(change)
    return join([tag("b", middle), " ", tag("span", f"({low} to {high})", class_="keep")])
