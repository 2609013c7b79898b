"""Exact tables: what a donor report asks for, counted over the organisation's own people.

1. Percentages are of the people who answered, and every table says how many those are. For a group of the schema, a person answered as the
   group says: in any of its members, or in all of them.
2. Forms of exploitation, means of control and the like overlap: a person may be in several rows, and a group may sum to more than 100 %.
3. Rows and columns come from the public schema. Only a list of more than `LONG` values is shortened, to values that somebody has.
4. Nothing is rounded and nothing is hidden: the tables are for the organisation that holds the records, and for nobody else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from casehaven.releases.indicators.roles import ListRole, Roles
from casehaven.statistics.counted import CountedPeople, Mask
from caseschemas import CaseSchema, Group, SchemaAttribute

LONG = 20
"""A list of more values shows only those that somebody has."""

NOT_KNOWN = "Not known"
_LANGUAGE = "en"


@dataclass(frozen=True, kw_only=True)
class Percent:
    """A part of the people who answered.

    >>> str(Percent(part=1, base=3)), str(Percent(part=0, base=0))
    ('33.3 %', '-')
    """

    part: int
    base: int

    @property
    def ratio(self) -> float | None:
        """From 0 to 1; None when nobody answered."""
        return self.part / self.base if self.base else None

    def __str__(self) -> str:
        return "-" if self.ratio is None else f"{100 * self.ratio:.1f} %"


Cell: TypeAlias = int | Percent | None
"""A number of people, a percentage, or nothing to say."""


@dataclass(frozen=True, kw_only=True)
class ExactRow:
    """One line of a table."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    total: bool = False
    """Whether it is a base or a sum, not one of the values."""


@dataclass(frozen=True, kw_only=True)
class ExactTable:
    """One table of exact numbers. Not for release."""

    name: str
    """Short; the name of its sheet."""
    title: str
    base: str
    """What the percentages are of, and whether rows overlap."""
    label_heads: tuple[str, ...]
    number_heads: tuple[str, ...]
    rows: tuple[ExactRow, ...]


@dataclass(frozen=True, kw_only=True)
class _Line:
    label: str
    people: Mask


@dataclass(frozen=True, kw_only=True)
class _Dimension:
    title: str
    lines: tuple[_Line, ...]
    """Everybody first, those not known last."""


def exact_tables(people: CountedPeople, schema: CaseSchema, roles: Roles | None) -> tuple[ExactTable, ...]:
    """Return every table: crosses of sex, age and form where the roles are known, then each group, then each other attribute.

    Args:
        people: whom to count.
        schema: of their records.
        roles: which attributes are sex, age and so on; None where nobody has said: then there are no crosses.
    """
    sexes = _sexes(people, schema, roles)
    sex = None if roles is None or roles.sex is None else roles.sex.attribute
    grouped = {member for group in schema.groups for member in group.members}
    return (
        *(() if roles is None else _crosses(people, schema, roles)),
        *(_group(people, schema, group, sexes) for group in schema.groups),
        *(
            _attribute(people, attribute, sexes[:1] if attribute.name == sex else sexes)
            for attribute in schema.analysis
            if attribute.name not in grouped
        ),
    )


# --- one attribute or group, with percentages ---


def _group(people: CountedPeople, schema: CaseSchema, group: Group, sexes: Sequence[_Line]) -> ExactTable:
    members = [schema.attribute(name) for name in group.members]
    answers = [people.answered(member.name) for member in members]
    answered = answers[0].copy()
    for more in answers[1:]:
        answered = answered | more if group.answered == "any" else answered & more
    lines = [line for member in members for line in _value_lines(people, member, alone=len(members) == 1)]
    title = group.labels.text(_LANGUAGE) or group.name
    which = "in any of these" if group.answered == "any" else "in all of these"
    base = "an answer" if len(members) == 1 else f"an answer {which}"
    return _percentages(title, title, base, lines, answered, sexes)


def _attribute(people: CountedPeople, attribute: SchemaAttribute, sexes: Sequence[_Line]) -> ExactTable:
    title = attribute.labels.text(_LANGUAGE) or attribute.name
    lines = _value_lines(people, attribute, alone=True)
    return _percentages(title, title, "an answer", lines, people.answered(attribute.name), sexes)


def _value_lines(people: CountedPeople, attribute: SchemaAttribute, *, alone: bool) -> list[_Line]:
    """Return a line per value that is an answer; a flag inside a group has its own label, whatever its one value is called."""
    lines = []
    for value in attribute.values:
        if not value.answered:
            continue
        label = value.labels.text(_LANGUAGE) or value.code
        if not alone:
            own = attribute.labels.text(_LANGUAGE) or attribute.name
            label = own if attribute.kind == "flag" and value.missing is None else f"{own}: {label}"
        lines.append(_Line(label=label, people=people.holding(attribute.name, [value.code])))
    return lines


def _percentages(
    name: str, title: str, base: str, lines: Sequence[_Line], answered: Mask, sexes: Sequence[_Line]
) -> ExactTable:
    shown = [line for line in lines if len(lines) <= LONG or bool(line.people.any())]
    left_out = len(lines) - len(shown)
    rows = [
        ExactRow(
            labels=(line.label,),
            cells=tuple(
                cell
                for sex in sexes
                for cell in _part(_count(line.people & answered & sex.people), _count(answered & sex.people))
            ),
        )
        for line in shown
    ]
    for label, mask in (("People with an answer", answered), ("People without an answer", ~answered)):
        cells = tuple(cell for sex in sexes for cell in (_count(mask & sex.people), None))
        rows.append(ExactRow(labels=(label,), cells=cells, total=True))
    note = f"Percentages are of the people who gave {base}. A person may be in several rows."
    if left_out:
        note += f" {left_out} values that nobody has are left out."
    heads = [head for sex in sexes for head in ((sex.label, "%") if len(sexes) > 1 else ("People", "%"))]
    return ExactTable(
        name=name, title=title, base=note, label_heads=(title,), number_heads=tuple(heads), rows=tuple(rows)
    )


def _part(part: int, base: int) -> tuple[Cell, Cell]:
    return part, Percent(part=part, base=base)


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


# --- crosses ---


def _crosses(people: CountedPeople, schema: CaseSchema, roles: Roles) -> Iterator[ExactTable]:
    sex = _listed(people, schema, roles.sex, "All")
    age = _ages(people, schema, roles)
    form = _forms(people, schema, roles)
    where = _listed(people, schema, roles.citizenship, "All")
    year = _listed(people, schema, roles.year, "All years")
    status = _listed(people, schema, roles.status, "All")
    place = roles.citizenship.title if roles.citizenship is not None else ""
    wanted = (
        ("Form, age, sex", "Form of exploitation, by age group and sex", (form, age, sex)),
        ("Year, form, sex", "Year of registration, by form of exploitation and sex", (year, form, sex)),
        (f"{place}, age, sex", f"{place}, by age group and sex", (where, age, sex)),
        (f"{place}, form, sex", f"{place}, by form of exploitation and sex", (where, form, sex)),
        ("Status, age, sex", "Identified and presumed victims, by age group and sex", (status, age, sex)),
    )
    for name, title, dimensions in wanted:
        there = [dimension for dimension in dimensions if dimension is not None]
        if dimensions[0] is not None and len(there) > 1:
            yield _cross(name, title, there, form)


def _cross(name: str, title: str, dimensions: Sequence[_Dimension], form: _Dimension | None) -> ExactTable:
    *down, across = dimensions
    rows: list[ExactRow] = []
    left_out = 0
    for first in down[0].lines:
        if len(down[0].lines) > LONG and not first.people.any():
            left_out += 1
            continue
        for rest in itertools.product(*(dimension.lines for dimension in down[1:])):
            held = first.people
            for line in rest:
                held = held & line.people
            rows.append(
                ExactRow(
                    labels=(first.label, *(line.label for line in rest)),
                    cells=tuple(_count(held & line.people) for line in across.lines),
                    total=first is down[0].lines[0],
                )
            )
    note = "Numbers of people."
    if form is not None and form in dimensions:
        note += " A person may be under several forms of exploitation."
    if left_out:
        note += f" {left_out} values that nobody has are left out."
    return ExactTable(
        name=name,
        title=title,
        base=note,
        label_heads=tuple(dimension.title for dimension in down),
        number_heads=tuple(f"{across.title}: {line.label}" for line in across.lines),
        rows=tuple(rows),
    )


def _sexes(people: CountedPeople, schema: CaseSchema, roles: Roles | None) -> tuple[_Line, ...]:
    """Return everybody, and each sex where the schema records it: the columns of every table of percentages."""
    found = None if roles is None else _listed(people, schema, roles.sex, "All")
    return (_Line(label="All", people=people.everyone),) if found is None else found.lines


def _listed(people: CountedPeople, schema: CaseSchema, role: ListRole | None, everybody: str) -> _Dimension | None:
    if role is None:
        return None
    attribute = schema.attribute(role.attribute)
    lines = [
        _Line(label=value.labels.text(_LANGUAGE) or value.code, people=people.holding(attribute.name, [value.code]))
        for value in attribute.values
        if value.missing is None
    ]
    return _Dimension(title=role.title, lines=_between(people, everybody, lines, attribute))


def _ages(people: CountedPeople, schema: CaseSchema, roles: Roles) -> _Dimension | None:
    if roles.age is None:
        return None
    attribute = schema.attribute(roles.age)
    lines = [_Line(label=group.label, people=people.holding(attribute.name, group.codes)) for group in roles.age_groups]
    return _Dimension(title="Age group", lines=_between(people, "All ages", lines, attribute))


def _forms(people: CountedPeople, schema: CaseSchema, roles: Roles) -> _Dimension | None:
    if not roles.forms:
        return None
    lines, known = [_Line(label="All, known or not", people=people.everyone)], ~people.everyone
    for name in roles.forms:
        attribute = schema.attribute(name)
        for value in attribute.values:
            if value.missing is None:
                labels = attribute.labels if attribute.kind == "flag" else value.labels
                held = people.holding(name, [value.code])
                lines.append(_Line(label=labels.text(_LANGUAGE) or value.code, people=held))
                known = known | held
    lines.append(_Line(label="None recorded", people=~known))
    return _Dimension(title="Form of exploitation", lines=tuple(lines))


def _between(
    people: CountedPeople, everybody: str, lines: Sequence[_Line], attribute: SchemaAttribute
) -> tuple[_Line, ...]:
    codes = [value.code for value in attribute.values if value.missing is not None]
    unknown = _Line(label=NOT_KNOWN, people=people.holding(attribute.name, codes))
    return (_Line(label=everybody, people=people.everyone), *lines, unknown)
