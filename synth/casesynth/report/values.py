"""The section of the main numbers: a chart for each attribute or group, with the table behind it.

Names are labels where there is a schema. The code stands beside an attribute, and in the table beside each value, so that both
can be found in the files.
"""

from __future__ import annotations

from caseschemas import CaseSchema
from casesynth.report.attributes import AttributeValues, attribute_values
from casesynth.report.markup import Html, join, table, tag
from casesynth.report.plots import Bar, bars, figure
from casesynth.report.words import NAME_MOST, Estimate, counted, cut, whole
from casesynth.synthesis import Synthesis


def values_section(synthesis: Synthesis, schema: CaseSchema | None) -> Html:
    """Return the charts with the tables behind them, and what found no room.

    Args:
        synthesis: the release.
        schema: labels and groups; without it codes, and no groups.
    """
    charts, left_out = attribute_values(synthesis, schema)
    parts = [
        tag(
            "p",
            "Estimates of how many people have each value, with 95\u00a0% intervals. "
            "What is hidden is not zero. "
            + ("Values are written as in the files." if schema is None else "Codes are what stands in the files."),
        )
    ]
    parts += [_chart(place, chart) for place, chart in enumerate(charts)]
    if left_out:
        names = ", ".join(cut(name, 2 * NAME_MOST) for name in left_out[:50]) + (
            " and others" if len(left_out) > 50 else ""
        )
        parts.append(tag("p", f"There is no room here for: {names}. Their numbers stand in the aggregates."))
    return join(parts)


def _chart(place: int, chart: AttributeValues) -> Html:
    title = [tag("bdi", cut(chart.name, NAME_MOST))]
    if chart.code not in (None, chart.name):
        title.append(tag("code", cut(chart.code or "", NAME_MOST)))
    heading = tag("h3", join(title, " "))
    note = _chart_note(chart)
    if not chart.values:
        return join([heading, tag("p", note)])
    ident = f"plot-values-{place}"
    coded = any(value.code != value.name for value in chart.values)
    behind = table(
        f"Number of people: {cut(chart.name, NAME_MOST)}",
        ("Attribute" if chart.code is None else "Value", *(["Code"] if coded else []), "People", "95\u00a0% interval"),
        [
            (
                cut(value.name, NAME_MOST),
                *([tag("code", cut(value.code, NAME_MOST))] if coded else []),
                str(value.estimate),
                value.estimate.interval,
            )
            for value in chart.values
        ],
        words=(1,) if coded else (),
    )
    largest = max(chart.values, key=lambda value: value.estimate.value)
    plot = bars(
        ident,
        [Bar(label=value.name, estimate=value.estimate) for value in chart.values],
        f"Number of people: {cut(chart.name, NAME_MOST)}",
        f"{counted(len(chart.values), 'bar')} with 95 % intervals. Largest: {cut(largest.name, NAME_MOST)}, about "
        f"{largest.estimate} ({largest.estimate.interval}).",
    )
    return join([heading, figure(f"values-{place}", plot, behind, note)])


def _chart_note(chart: AttributeValues) -> str:
    said = []
    if chart.code is None:
        said.append("Each bar is an attribute; a person may have several.")
    elif chart.several:
        said.append("One person may have several of these values.")
    if chart.smaller:
        said.append(f"{counted(chart.smaller, 'further value')} of fewer people can be found in the aggregates.")
    if chart.hidden:
        said.append(
            f"{whole(chart.hidden)} of {counted(chart.listed, 'value')} in the public list "
            f"{'is' if chart.hidden == 1 else 'are'} hidden, which does not mean zero."
        )
    else:
        said.append("No value is hidden." if chart.listed else "The public list has no known value.")
    if chart.missing is not None:
        said.append(f"Value missing: {_with_interval(chart.missing)} people.")
    return " ".join(said)


def _with_interval(estimate: Estimate) -> str:
    return f"about {estimate} ({estimate.interval})"
