"""The indicator tables as one HTML page: nothing to load, nothing that runs."""

from __future__ import annotations

from collections.abc import Sequence

from casehaven.releases.indicators.notes import Note, citation
from casehaven.releases.indicators.tables import IndicatorTable
from casehaven.releases.published import PublishedRelease
from casesynth.report.document import document
from casesynth.report.guarantee import software
from casesynth.report.markup import Html, join, table, tag
from casesynth.report.words import SPACE, Estimate


def page(release: PublishedRelease, tables: Sequence[IndicatorTable], remarks: Sequence[Note]) -> str:
    """Return the page."""
    facts, people = release.facts, release.estimates.people
    sections = [(f"table-{place}", found.title, _table(found)) for place, found in enumerate(tables)]
    sections.append(("notes", "Before you use the numbers", _notes(remarks)))
    contents = tag("ul", *(tag("li", tag("a", title, href=f"#{ident}")) for ident, title, _ in sections))
    return document(
        f"{facts.title}: indicator tables",
        tag("h1", facts.title),
        tag("p", f"Indicator tables from the release of {facts.created}.", class_="quiet"),
        tag(
            "section",
            tag(
                "p",
                f"Victims in the records of the contributing organisations, as official statistics ask for them: about {people} "
                f"people (95{SPACE}% interval {people.interval}). Every number is an estimate with its interval; small numbers are "
                "hidden.",
            ),
            tag("p", "Cite as: ", citation(release)),
            class_="lead",
            aria_label="In short",
        ),
        tag("nav", tag("h2", "Contents", id="contents"), contents, aria_labelledby="contents"),
        *(
            tag("section", tag("h2", title, id=ident), content, aria_labelledby=ident)
            for ident, title, content in sections
        ),
        tag("footer", tag("p", f"Made by {software()}. Licence of the release: {facts.licence}.")),
    )


def _table(found: IndicatorTable) -> Html:
    parts: list[Html] = [tag("p", f"{found.answers}.", class_="quiet")]
    if len(found.dimensions) < 3:
        parts.append(_part(found, found.title, ()))
    else:
        third = found.dimensions[2]
        for place, line in enumerate(third.lines):
            part = _part(found, f"{third.title}: {line.label}", (place,))
            # the first part stands open: everybody; the others open one by one, and all of them in print
            parts.append(part if place == 0 else tag("details", tag("summary", f"{third.title}: {line.label}"), part))
    if found.left_out:
        parts.append(
            tag(
                "p", f"{found.left_out} further values of {found.dimensions[0].title.lower()} are hidden in every cell."
            )
        )
    return join(parts)


def _part(found: IndicatorTable, caption: str, rest: tuple[int, ...]) -> Html:
    down = found.dimensions[0]
    across = found.dimensions[1].lines if len(found.dimensions) > 1 else ()
    columns = (down.title, *(line.label for line in across)) if across else (down.title, "People")
    rows = []
    for place, line in enumerate(down.lines):
        keys = [(place, other, *rest) for other in range(len(across))] if across else [(place,)]
        rows.append((line.label, *(_cell(found.cells[key]) for key in keys)))
    return table(f"{caption} (people, with 95{SPACE}% interval)", columns, rows)


def _cell(estimate: Estimate) -> Html:
    if not estimate.shown:  # privacy rule 25
        return tag("span", "hidden", class_="quiet")
    return join([tag("b", str(estimate)), " ", tag("span", f"({estimate.interval})", class_="keep")])


def _notes(remarks: Sequence[Note]) -> Html:
    return tag("ul", *(tag("li", tag("strong", note.head), " ", note.text) for note in remarks))
