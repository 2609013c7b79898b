"""Indicator tables: what official statistics ask for, computed from a published model.

1. Every cell is the model's one best estimate with its interval. No record, no synthetic count and no second source is read.
2. A cell combines at most three values, because errors are judged up to that length. Age groups are unions of disjoint cells.
3. What privacy rule 25 hides stays hidden, cell by cell. Of a long list, values that are hidden in every cell are left out and counted.
4. Forms of exploitation overlap: a person may be in several. Everything else in a table is disjoint and adds up, but for rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from casehaven.releases.indicators.roles import ListRole, Roles
from caseschemas import CaseSchema, SchemaAttribute
from casesynth.aggregates import MINIMUM
from casesynth.estimates import Combination, Estimates
from casesynth.report.words import Estimate

LONG = 20
"""A list of more values shows only those that are shown somewhere."""

EVERYONE: tuple[Combination, ...] = ((),)
"""The union of one combination without facts."""

NOT_KNOWN = "Not known"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One entry of a dimension: everybody, one value or group, or those whose value is missing."""

    label: str
    parts: tuple[Combination, ...]
    """The union that it is."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One thing that a table is split by."""

    title: str
    lines: tuple[Line, ...]
    """Everybody first, those not known last."""


@dataclass(frozen=True, kw_only=True)
class IndicatorTable:
    """One table with all its cells."""

    name: str
    """Short; the name of its sheet."""
    title: str
    answers: str
    """Which question of which statistic it answers."""
    dimensions: tuple[Dimension, ...]
    """One to three: down, across, and one part of the table per line of the third."""
    cells: dict[tuple[int, ...], Estimate]
    """By the positions of the lines."""
    left_out: int
    """Values of the first dimension that are hidden in every cell and not listed."""

    def rows(self) -> Iterator[tuple[tuple[str, ...], Estimate]]:
        """Yield every cell with the labels of its lines."""
        for places, estimate in self.cells.items():
            yield tuple(d.lines[place].label for d, place in zip(self.dimensions, places, strict=True)), estimate

    @property
    def hidden(self) -> int:
        """Number of listed cells that privacy rule 25 hides."""
        return sum(not estimate.shown for estimate in self.cells.values())


def indicator_tables(estimates: Estimates, schema: CaseSchema, roles: Roles) -> tuple[IndicatorTable, ...]:
    """Return every table that the roles allow."""
    sex = _listed(estimates, schema, roles.sex, "All")
    age = _ages(estimates, schema, roles)
    form = _forms(estimates, schema, roles)
    citizenship = _listed(estimates, schema, roles.citizenship, "All")
    year = _listed(estimates, schema, roles.year, "All years")
    status = _listed(estimates, schema, roles.status, "All")
    where = roles.citizenship.title if roles.citizenship is not None else ""
    eu = "EU Directive 2011/36 as amended in 2024"
    wanted = (
        (
            "Sex, age, form",
            "Victims by sex, age group and form of exploitation",
            f"SDG indicator 16.2.2 (the numbers of victims); {eu}",
            (sex, age, form),
            form,
        ),
        (
            f"{where}, sex, age",
            f"Victims by {where.lower()}, sex and age group",
            eu,
            (citizenship, sex, age),
            citizenship,
        ),
        (
            f"{where}, sex, form",
            f"Victims by {where.lower()}, sex and form of exploitation",
            eu,
            (citizenship, sex, form),
            citizenship if form is not None else None,
        ),
        ("Status", "Identified and presumed victims by sex and age group", eu, (status, sex, age), status),
        (
            "Year, sex, form",
            "Victims by year of registration, sex and form of exploitation",
            "SDG indicator 16.2.2 by year, without age",
            (year, sex, form),
            year,
        ),
        (
            "Year, age, form",
            "Victims by year of registration, age group and form of exploitation",
            "SDG indicator 16.2.2 by year, without sex",
            (year, age, form),
            year,
        ),
    )
    return tuple(
        _table(estimates, name, title, answers, [d for d in dimensions if d is not None])
        for name, title, answers, dimensions, needed in wanted
        if needed is not None
    )


def _table(
    estimates: Estimates, name: str, title: str, answers: str, dimensions: Sequence[Dimension]
) -> IndicatorTable:
    first, rest = dimensions[0], dimensions[1:]
    others = list(itertools.product(*(range(len(dimension.lines)) for dimension in rest)))
    kept: list[Line] = []
    cells: dict[tuple[int, ...], Estimate] = {}
    for line in first.lines:
        if len(first.lines) > LONG and estimates.union(line.parts).value < MINIMUM:
            continue  # no part of it can be larger
        found = {places: estimates.union(_product([line, *_chosen(rest, places)])) for places in others}
        if len(first.lines) > LONG and not any(estimate.shown for estimate in found.values()):
            continue
        cells |= {(len(kept), *places): estimate for places, estimate in found.items()}
        kept.append(line)
    return IndicatorTable(
        name=name,
        title=title,
        answers=answers,
        dimensions=(Dimension(title=first.title, lines=tuple(kept)), *rest),
        cells=cells,
        left_out=len(first.lines) - len(kept),
    )


def _chosen(dimensions: Sequence[Dimension], places: Sequence[int]) -> list[Line]:
    return [dimension.lines[place] for dimension, place in zip(dimensions, places, strict=True)]


def _product(lines: Sequence[Line]) -> list[Combination]:
    """Return the union of everybody who is in every line."""
    return [tuple(itertools.chain.from_iterable(parts)) for parts in itertools.product(*(line.parts for line in lines))]


def _listed(estimates: Estimates, schema: CaseSchema, role: ListRole | None, everybody: str) -> Dimension | None:
    if role is None:
        return None
    attribute = schema.attribute(role.attribute)
    lines = [
        Line(label=value.labels.text("en") or value.code, parts=(estimates.facts(attribute.name, value.code),))
        for value in attribute.values
        if value.missing is None
    ]
    return Dimension(
        title=role.title, lines=(Line(label=everybody, parts=EVERYONE), *lines, _not_known(estimates, attribute))
    )


def _ages(estimates: Estimates, schema: CaseSchema, roles: Roles) -> Dimension | None:
    if roles.age is None:
        return None
    attribute = schema.attribute(roles.age)
    groups = [
        Line(label=group.label, parts=tuple(estimates.facts(attribute.name, code) for code in group.codes))
        for group in roles.age_groups
    ]
    return Dimension(
        title="Age group",
        lines=(Line(label="All ages", parts=EVERYONE), *groups, _not_known(estimates, attribute)),
    )


def _forms(estimates: Estimates, schema: CaseSchema, roles: Roles) -> Dimension | None:
    if not roles.forms:
        return None
    lines = []
    for name in roles.forms:
        attribute = schema.attribute(name)
        for value in attribute.values:
            if value.missing is None:
                labels = attribute.labels if attribute.kind == "flag" else value.labels
                lines.append(Line(label=labels.text("en") or value.code, parts=(estimates.facts(name, value.code),)))
    return Dimension(title="Form of exploitation", lines=(Line(label="All, known or not", parts=EVERYONE), *lines))


def _not_known(estimates: Estimates, attribute: SchemaAttribute) -> Line:
    """Return those without a known value, whatever the reason."""
    codes = [value.code for value in attribute.values if value.missing is not None]
    return Line(label=NOT_KNOWN, parts=tuple(estimates.facts(attribute.name, code) for code in codes))
