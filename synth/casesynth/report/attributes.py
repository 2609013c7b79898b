"""The values of each attribute as they are published: estimates with intervals, and how many are hidden.

1. Every number is read from the aggregates; what privacy rule 25 hides is counted among the public value lists, never
   estimated.
2. Columns that record one value only (a mark or nothing) share one chart, as do the values of a multi-value attribute.
"""

from __future__ import annotations

from dataclasses import dataclass

from casesynth.aggregates import ABSENT
from casesynth.domain import Column
from casesynth.report.words import Estimate
from casesynth.synthesis import Synthesis

VALUES_MOST = 15
"""Most values of one attribute in a chart."""

BARS_MOST = 200
"""Most bars in one report; further attributes are only in the aggregates."""

MARKS = "Attributes that record one thing or nothing"
"""Name of the chart that columns with one known value share."""


@dataclass(frozen=True, kw_only=True)
class ValueEstimate:
    """One value of one attribute."""

    name: str
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class AttributeValues:
    """What one chart shows."""

    name: str
    values: tuple[ValueEstimate, ...]
    """Largest first, or in public order where the values are numbers or periods."""
    listed: int
    """Known values in the public lists."""
    hidden: int
    """Those of them that privacy rule 25 hides."""
    missing: Estimate | None
    """People without a known value, where that is shown and the attribute has a list of values."""
    several: bool
    """Whether the values belong to several attributes, or one person may have several."""

    @property
    def smaller(self) -> int:
        """Values that are published but not drawn."""
        return self.listed - self.hidden - len(self.values)


def attribute_values(synthesis: Synthesis) -> tuple[tuple[AttributeValues, ...], tuple[str, ...]]:
    """Return the charts, in attribute order with the shared chart last, and the attributes that found no room."""
    published = _published(synthesis)
    columns = synthesis.plan.domain.columns
    charts: list[AttributeValues] = []
    left_out: list[str] = []
    marks: list[int] = []
    room = BARS_MOST
    for attribute in synthesis.plan.domain.attributes:
        places = [place for place, column in enumerate(columns) if column.attribute == attribute.name]
        if len(places) == 1 and _known(columns[places[0]]) == 1:
            marks += places
            continue
        chart = _chart(attribute.name, places, columns, published, several=attribute.multi, most=VALUES_MOST)
        if len(chart.values) > room:
            left_out.append(attribute.name)
            continue
        room -= len(chart.values)
        charts.append(chart)
    if marks and room:
        chart = _chart(MARKS, marks, columns, published, several=True, most=room)
        charts.append(chart)
    elif marks:
        left_out += [columns[place].name for place in marks]
    return tuple(charts), tuple(left_out)


def _published(synthesis: Synthesis) -> dict[tuple[int, int], Estimate]:
    """Return every published single value by column and position, in the order of publication: largest first."""
    table = synthesis.aggregates
    return {
        (int(table.columns[row, 0]), int(table.values[row, 0])): Estimate(
            value=float(table.estimate[row]), low=float(table.low[row]), high=float(table.high[row])
        )
        for row in (table.columns[:, 1] == ABSENT).nonzero()[0]
    }


def _known(column: Column) -> int:
    return column.size - len(column.missing)


def _chart(
    name: str,
    places: list[int],
    columns: tuple[Column, ...],
    published: dict[tuple[int, int], Estimate],
    *,
    several: bool,
    most: int,
) -> AttributeValues:
    mine = set(places)
    found = [
        (place, value, estimate)
        for (place, value), estimate in published.items()
        if place in mine and value not in columns[place].missing
    ]
    drawn = found[:most]
    lists = [
        value for place in places for at, value in enumerate(columns[place].values) if at not in columns[place].missing
    ]
    if not several and all(value[:1].isdigit() for value in lists):
        drawn.sort(key=lambda entry: entry[1])
    listed = sum(_known(columns[place]) for place in places)
    return AttributeValues(
        name=name,
        values=tuple(
            ValueEstimate(name=_named(columns[place], value, name), estimate=estimate)
            for place, value, estimate in drawn
        ),
        listed=listed,
        hidden=listed - len(found),
        missing=None if several else _missing(places[0], columns[places[0]], published),
        several=several,
    )


def _missing(place: int, column: Column, published: dict[tuple[int, int], Estimate]) -> Estimate | None:
    """Return the estimate of the missing value; None where it is hidden, or where several values mean missing."""
    return published.get((place, next(iter(column.missing)))) if len(column.missing) == 1 else None


def _named(column: Column, value: int, chart: str) -> str:
    if chart == MARKS:
        return column.name if column.values[value] in ("1", "yes") else f"{column.name}: {column.values[value]}"
    return column.value if column.value is not None else column.values[value]
