"""The values of each attribute as they are published: estimates with intervals, and how many are hidden.

1. Every number is read from the aggregates; what privacy rule 25 hides is counted among the public value lists, never
   estimated.
2. The values of one attribute share a chart. Attributes that record one thing only (a mark or nothing) share the chart
   of their group of the schema; those of no group share one.
3. Everything has the name that people read and the code of the files; without a schema the two are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from caseschemas import CaseSchema
from casesynth.aggregates import ABSENT
from casesynth.domain import Column
from casesynth.report.labels import ReportLabels
from casesynth.report.words import Estimate
from casesynth.synthesis import Synthesis

VALUES_MOST = 15
"""Most values of one attribute in a chart."""

BARS_MOST = 200
"""Most bars in one report; further attributes are only in the aggregates."""

MARKS = "Attributes that record one thing or nothing"
"""Name of the chart that attributes with one known value and without a group share."""


@dataclass(frozen=True, kw_only=True)
class ValueEstimate:
    """One value of one attribute."""

    name: str
    """What people read."""
    code: str
    """What stands in the files: the value's code, or that of the attribute that records one thing only."""
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class AttributeValues:
    """What one chart shows."""

    name: str
    """What people read: the attribute, or what several have in common."""
    code: str | None
    """The attribute in the files; None for a chart of several."""
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


def attribute_values(
    synthesis: Synthesis, schema: CaseSchema | None = None
) -> tuple[tuple[AttributeValues, ...], tuple[str, ...]]:
    """Return the charts, and the attributes that found no room, with their codes.

    Charts stand in attribute order, a group's where its first attribute stands; the one of the marks without a group is last.

    Args:
        synthesis: the release.
        schema: labels and groups; without it codes, and no groups.
    """
    labels = ReportLabels(schema=schema)
    columns = synthesis.plan.domain.columns
    published = _published(synthesis)
    charts: list[AttributeValues] = []
    left_out: list[str] = []
    room = BARS_MOST
    for topic in _topics(columns, labels):
        chart = _chart(topic, columns, published, labels, most=room if topic.code is None else VALUES_MOST)
        if len(chart.values) > room or (topic.code is None and not room):
            left_out += dict.fromkeys(labels.with_code(columns[place].attribute) for place in topic.places)
            continue
        room -= len(chart.values)
        charts.append(chart)
    return tuple(charts), tuple(left_out)


@dataclass(frozen=True, kw_only=True)
class _Topic:
    """The columns that share a chart."""

    name: str
    code: str | None
    """None: they are marks of several attributes."""
    places: tuple[int, ...]


def _topics(columns: Sequence[Column], labels: ReportLabels) -> list[_Topic]:
    columns_of = Counter(column.attribute for column in columns)
    listed: dict[str, list[int]] = {}
    grouped: dict[str, list[int]] = {}
    lone: list[int] = []
    order: list[tuple[dict[str, list[int]], str]] = []
    for place, column in enumerate(columns):
        group = labels.group_of(column.attribute)
        if columns_of[column.attribute] > 1 or _known(column) != 1:
            kind, name = listed, column.attribute
        elif group is not None:
            kind, name = grouped, group
        else:
            lone.append(place)
            continue
        if name not in kind:
            order.append((kind, name))
        kind.setdefault(name, []).append(place)
    found = [
        _Topic(name=labels.attribute(name), code=name, places=tuple(kind[name]))
        if kind is listed
        else _Topic(name=labels.group(name), code=None, places=tuple(kind[name]))
        for kind, name in order
    ]
    return [*found, _Topic(name=MARKS, code=None, places=tuple(lone))] if lone else found


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
    topic: _Topic,
    columns: Sequence[Column],
    published: dict[tuple[int, int], Estimate],
    labels: ReportLabels,
    *,
    most: int,
) -> AttributeValues:
    mine = set(topic.places)
    several = topic.code is None or columns[topic.places[0]].value is not None
    found = [
        (place, value, estimate)
        for (place, value), estimate in published.items()
        if place in mine and value not in columns[place].missing
    ]
    drawn = found[:most]
    codes = [
        code for place in mine for at, code in enumerate(columns[place].values) if at not in columns[place].missing
    ]
    if not several and all(code[:1].isdigit() for code in codes):
        drawn.sort(key=lambda entry: entry[1])
    if topic.code is None:
        names = _mark_names(topic, columns, labels)
        values = [
            ValueEstimate(name=names[place], code=_mark_code(columns[place]), estimate=estimate)
            for place, _, estimate in drawn
        ]
    else:
        values = []
        for place, value, estimate in drawn:
            code = columns[place].value
            code = columns[place].values[value] if code is None else code
            values.append(ValueEstimate(name=labels.value(topic.code, code), code=code, estimate=estimate))
    listed = sum(_known(columns[place]) for place in mine)
    return AttributeValues(
        name=topic.name,
        code=topic.code,
        values=tuple(values),
        listed=listed,
        hidden=listed - len(found),
        missing=None if several else _missing(topic.places[0], columns[topic.places[0]], published),
        several=several,
    )


def _missing(place: int, column: Column, published: dict[tuple[int, int], Estimate]) -> Estimate | None:
    """Return the estimate of the missing value; None where it is hidden, or where several values mean missing."""
    return published.get((place, next(iter(column.missing)))) if len(column.missing) == 1 else None


def _mark(column: Column) -> str:
    """Return the code of the only known value."""
    return next(code for place, code in enumerate(column.values) if place not in column.missing)


def _says_yes(column: Column) -> bool:
    return _mark(column) in ("1", "yes")


def _mark_code(column: Column) -> str:
    return column.name if _says_yes(column) else f"{column.name}: {_mark(column)}"


def _mark_names(topic: _Topic, columns: Sequence[Column], labels: ReportLabels) -> dict[int, str]:
    """Return the name of each mark, without the words before a colon that all of them share, such as the group's."""
    names = {}
    for place in topic.places:
        column = columns[place]
        label = labels.column(column)
        names[place] = label if _says_yes(column) else f"{label}: {labels.value(column.attribute, _mark(column))}"
    heads = {name.partition(": ")[0] for name in names.values()}
    tails = {place: name.partition(": ")[2].strip() for place, name in names.items()}
    shared = len(heads) == 1 and (len(names) > 1 or heads == {topic.name})
    if topic.name == MARKS or not shared or not all(tails.values()):
        return names
    return {place: tail[0].upper() + tail[1:] for place, tail in tails.items()}
