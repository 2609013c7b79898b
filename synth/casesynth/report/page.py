"""The report of a release: one HTML page made of public facts and protected numbers.

1. One file: no script, no address, nothing to load. The page's own security policy forbids all of it.
2. Every number of people stands with its interval. A table stands behind every plot.
3. A sentence for a minister comes first, then tables for a statistician.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from caseschemas import CaseSchema
from casesynth.apart import apart_said
from casesynth.domain import Domain
from casesynth.near import near_pairs
from casesynth.notes import ReleaseNotes
from casesynth.report.agreement import EDGES, WITHIN_EXPECTED, StrayTable, compare, expected_histogram
from casesynth.report.agreement import NAMED as STRAYS_NAMED
from casesynth.report.caveats import HIDDEN, Caveat, counted_people, privacy_caveats, reading_caveats
from casesynth.report.document import document
from casesynth.report.guarantee import Guarantee, software
from casesynth.report.labels import ReportLabels
from casesynth.report.markup import Html, join, table, tag
from casesynth.report.method import method_steps
from casesynth.report.plots import Curve, curves, figure, histogram
from casesynth.report.precision import (
    LENGTH_NAMES,
    Widths,
    half_widths,
    shown_by_length,
    stated_sizes,
    widths,
)
from casesynth.report.private_decision import report_notice
from casesynth.report.sentence import summary
from casesynth.report.values import values_section
from casesynth.report.words import NAME_MOST, counted, cut, people_of, percent, short, tenths, whole
from casesynth.synthesis import Synthesis

_PLUS_MINUS = "±\u00a0"


def report_html(synthesis: Synthesis, notes: ReleaseNotes, schema: CaseSchema | None = None) -> str:
    """Return what a release says about itself as one HTML page.

    Args:
        synthesis: the release; all of it protected.
        notes: what people wrote about it; public.
        schema: labels and groups of the attributes; without it, codes are shown.
    """
    guarantee = Guarantee.of(synthesis.plan, notes)
    sections = (
        ("guarantee", "What is promised to each person", _guarantee(guarantee)),
        ("people", "How many people, and who was counted", _people(synthesis, notes)),
        ("values", "The main numbers", values_section(synthesis, schema)),
        ("error", "How far a number may be off", _error(synthesis)),
        ("shown", "What is shown, and how precisely", _shown(synthesis)),
        ("fit", "Does the model say what was measured?", _fit(synthesis)),
        (
            "records",
            "Do the synthetic records say what was measured?",
            _records(synthesis, ReportLabels(schema=schema)),
        ),
        (
            "caveats",
            "Before you use the numbers",
            _caveats(
                reading_caveats(
                    near_pairs(synthesis.model, synthesis.plan.domain),
                    apart_said(synthesis.errors.apart, synthesis.plan.domain),
                )
            ),
        ),
        ("limits", "What is not protected", _caveats(privacy_caveats(guarantee, notes))),
        ("method", "How it was made", _method(synthesis, notes)),
    )
    contents = tag("ul", *(tag("li", tag("a", title, href=f"#{ident}")) for ident, title, _ in sections))
    return document(
        f"{notes.title}: report",
        *((report_notice(),) if notes.decision_used_private_data else ()),
        tag("h1", notes.title),
        tag(
            "p", f"Report of the release of {notes.created}. All numbers are protected by random noise.", class_="quiet"
        ),
        tag("section", *(tag("p", line) for line in summary(synthesis, notes)), class_="lead", aria_label="In short"),
        tag("nav", tag("h2", "Contents", id="contents"), contents, aria_labelledby="contents"),
        *(
            tag("section", tag("h2", title, id=ident), content, aria_labelledby=ident)
            for ident, title, content in sections
        ),
        tag("footer", tag("p", f"Made by {software()}. Licence of the files: {notes.licence}.")),
    )


def _guarantee(guarantee: Guarantee) -> Html:
    rows = [
        (name, shown if isinstance(exact, str) else tag("data", shown, value=repr(exact)))
        for name, exact, shown in guarantee.rows()
    ]
    return join(
        [
            tag("p", guarantee.promise),
            tag("p", guarantee.promise_per_person),
            *(tag("p", sentence) for sentence in guarantee.whose),
            tag(
                "p",
                "A smaller epsilon means stronger protection and larger errors. It is a bound on what can be learned "
                "in the worst case, by somebody who knows everything except whether one person is in the data.",
            ),
            table("The guarantee in numbers", ("Quantity", "Value"), rows, words=(1,)),
        ]
    )


def _people(synthesis: Synthesis, notes: ReleaseNotes) -> Html:
    people = people_of(synthesis.model)
    organisations = counted(notes.organisations, "organisation")
    parts = [
        tag("p", f"About {people} people, 95\u00a0% interval {people.interval}, in the records of {organisations}."),
        tag("p", counted_people(notes)),
        tag(
            "p",
            "The number itself is protected: it is put together from noisy counts, with a standard error of "
            f"{short(synthesis.model.people_sigma)}. There are {whole(len(synthesis.records[0]))} synthetic records, "
            "as many as the noisy number says.",
        ),
    ]
    if people.low < 1:
        parts.append(tag("p", "The interval reaches down to zero: this release is too small to learn anything from."))
    return join(parts)


def _error(synthesis: Synthesis) -> Html:
    sizes = stated_sizes(synthesis.model.people)
    by_length = half_widths(synthesis.errors, sizes)
    rows = [(whole(size), *(_off_by(row[place], size) for row in by_length)) for place, size in enumerate(sizes)]
    behind = table(
        "Half of the 95\u00a0% interval in people, and as a share of the count",
        ("Count", *(f"of {name}" for name in LENGTH_NAMES)),
        rows,
    )
    text = tag(
        "p",
        "A count of people who have one value in common, or two or three values together, is an estimate. In 19 of "
        "20 cases the number in the records lies within the distance given here. Large counts are off by more "
        "people, but by a smaller share.",
    )
    if len(sizes) < 2:
        return join([text, behind])
    plot = curves(
        "plot-error",
        [
            Curve(name=name, points=tuple(zip(map(float, sizes), row, strict=True)))
            for name, row in zip(LENGTH_NAMES, by_length, strict=True)
        ],
        title="Expected error by size of the count",
        description="Half of the 95 % interval against the size of the count, one line for each number of values that are combined. "
        + "; ".join(
            f"{name}: {short(row[0])} people at {whole(sizes[0])}, {short(row[-1])} at {whole(sizes[-1])}"
            for name, row in zip(LENGTH_NAMES, by_length, strict=True)
        )
        + ".",
        x_name="size of the count, in people",
        y_name="within so many people, 95\u00a0%",
    )
    return join([text, figure("error-plot", plot, behind, "How far a count may be off. Both axes are logarithmic.")])


def _off_by(half_width: float, size: float) -> str:
    return f"{_PLUS_MINUS}{tenths(half_width)} ({percent(half_width / size, 0 if half_width > 0.1 * size else 1)})"


def _shown(synthesis: Synthesis) -> Html:
    shown = shown_by_length(synthesis)
    rows = [(LENGTH_NAMES[row.length - 1], whole(row.shown), whole(row.possible), whole(row.hidden)) for row in shown]
    found = widths(synthesis)
    parts = [
        tag(
            "p",
            f"{counted(synthesis.aggregates.known, 'combination')} of up to three values "
            f"{'is' if synthesis.aggregates.known == 1 else 'are'} shown. {HIDDEN}",
        ),
        table(
            "Combinations of known values",
            ("Combination of", "Shown", "In the public value lists", "Hidden"),
            rows,
        ),
    ]
    if shown[0].missing_shown:
        missing = counted(
            shown[0].missing_shown,
            "number of people whose value is missing",
            "numbers of people whose value is missing",
        )
        parts.append(
            tag(
                "p",
                f"Beside these, {missing} stand in the aggregates, so that shares of those with a known value can be "
                "computed.",
            )
        )
    if found:
        also = ", numbers of missing values among them" if shown[0].missing_shown else ""
        parts.append(
            table(
                f"Width of the intervals that are published{also}: medians",
                ("Combination of", "Size of the estimate", "Shown", "Half of the interval", "Share of the estimate"),
                [
                    (
                        LENGTH_NAMES[row.length - 1],
                        _bucket(row),
                        whole(row.combinations),
                        f"{_PLUS_MINUS}{tenths(row.half_width)}",
                        percent(row.relative, 0 if row.relative > 0.1 else 1),
                    )
                    for row in found
                ],
            )
        )
    return join(parts)


def _bucket(row: Widths) -> str:
    return f"{whole(row.low)} and more" if row.high is None else f"{whole(row.low)} to {whole(row.high - 1)}"


def _fit(synthesis: Synthesis) -> Html:
    orders = (
        ("one column", "how many people have each value"),
        ("two columns", "how often values of two columns occur together"),
        ("three columns", "how often values of three columns occur together"),
    )
    rows = [
        (name, meaning, f"{residual:.2f}" if residual else "not measured", _verdict(residual))
        for (name, meaning), residual in zip(orders, synthesis.model.residual, strict=True)
    ]
    return join(
        [
            tag(
                "p",
                "The model was fitted to the noisy measurements. What it leaves over is compared with the noise that "
                "was added: 1 means that it says the same as the measurements, up to the noise. Well above 1, there "
                "is structure in the data that the model lacks; the intervals are widened for it. A little below 1, "
                "it follows the noise slightly.",
            ),
            table(
                "Residual over noise (root mean square), by number of columns",
                ("Order", "What is compared", "Residual over noise", "In words"),
                rows,
                words=(1, 3),
            ),
        ]
    )


def _verdict(residual: float) -> str:
    if not residual:
        return "nothing to compare"
    if residual <= 1.03:
        return "says what was measured"
    return "misses a little" if residual <= 1.2 else "misses some structure"


def _records(synthesis: Synthesis, labels: ReportLabels) -> Html:
    comparison = compare(synthesis)
    parts = [
        tag(
            "p",
            "The synthetic records were counted and compared with the noisy measurements, in units of the noise: what a "
            "column says beyond the number of people, and what a pair says beyond its two columns. If the records were as good "
            f"as the real ones, {percent(WITHIN_EXPECTED)} of these numbers would lie within two units and the root mean "
            "square would be 1.",
        ),
        table(
            "Records against measurements",
            ("Tables over", "Tables", "Numbers", "Within two units", "Root mean square"),
            [
                (row.kind, whole(row.tables), whole(row.numbers), percent(row.within, 1), f"{row.root_mean_square:.2f}")
                for row in comparison.agreements
            ],
        ),
    ]
    if comparison.histogram:
        parts.append(_differences(comparison.histogram, expected_histogram()))
    if comparison.strays:
        more = len(comparison.strays) - STRAYS_NAMED
        parts += [
            tag(
                "p",
                "These pairs of columns are copied less well than the noise would allow. Facts that nearly determine "
                "each other are the usual reason. For these, use the measurements or the aggregates with care."
                + (f" {counted(more, 'further pair')} stand out less." if more > 0 else ""),
            ),
            _strays(comparison.strays[:STRAYS_NAMED], synthesis.plan.domain, labels),
        ]
    else:
        parts.append(tag("p", "No pair of columns stands out."))
    return join(parts)


def _strays(strays: Sequence[StrayTable], domain: Domain, labels: ReportLabels) -> Html:
    names = {column.name: labels.column(column) for column in domain.columns}
    pairs = [[cut(names[column], NAME_MOST) for column in stray.columns] for stray in strays]
    codes = [[cut(column, NAME_MOST) for column in stray.columns] for stray in strays]
    sizes = [f"{stray.root_mean_square:.1f}" for stray in strays]
    measure = "Root mean square, in units of the noise"
    caption = "Pairs that stand out"
    if pairs == codes:
        return table(
            caption, ("Pair", measure), [(" and ".join(c), size) for c, size in zip(codes, sizes, strict=True)]
        )
    rows = [
        (" and ".join(pair), join([tag("code", code) for code in coded], ", "), size)
        for pair, coded, size in zip(pairs, codes, sizes, strict=True)
    ]
    return table(caption, ("Pair", "In the files", measure), rows, words=(1,))


def _differences(shares: Sequence[float], expected: Sequence[float]) -> Html:
    inner = EDGES[1:-1]
    ticks = [f"{edge:g}".replace("-", "\u2212") if edge == round(edge) else "" for edge in inner] + [""]
    names = [
        f"below {ticks[0]}",
        *(f"{low:g} to {high:g}".replace("-", "\u2212") for low, high in itertools.pairwise(inner)),
        f"{inner[-1]:g} and above",
    ]
    behind = table(
        "Share of the numbers of all pairs by difference",
        ("Difference, in units of the noise", "Observed", "Noise alone"),
        [
            (name, percent(share, 1), percent(wanted, 1))
            for name, share, wanted in zip(names, shares, expected, strict=True)
        ],
    )
    within = sum(shares[place] for place in range(len(shares)) if -2 <= EDGES[place] and EDGES[place + 1] <= 2)
    plot = histogram(
        "plot-differences",
        shares,
        expected,
        ticks,
        title="Synthetic records minus measurements",
        description=(
            "Columns show the share of numbers by difference in units of the noise, strokes what noise alone would "
            f"give. {percent(within, 1)} of them lie between minus two and two."
        ),
        x_name="records minus measurement, in units of the noise",
    )
    return figure(
        "differences-plot",
        plot,
        behind,
        "Columns: what was found, over the numbers of all pairs. Strokes: what noise alone would give.",
    )


def _caveats(caveats: Sequence[Caveat]) -> Html:
    return tag("ul", *(tag("li", tag("strong", caveat.head), " ", caveat.text) for caveat in caveats))


def _method(synthesis: Synthesis, notes: ReleaseNotes) -> Html:
    return join(
        [
            tag("ol", *(tag("li", step) for step in method_steps(synthesis, notes))),
            tag("p", f"Software: {software()}."),
        ]
    )
