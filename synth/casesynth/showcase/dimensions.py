"""Which views a release has: by rule from the schema's kinds, groups and logic, never from its numbers.

1. A *dimension* is a list of facts that may be counted side by side, with the people over whom its percentages are taken: those who
   answered. A fact is one known value of one column. Where the only known value of an attribute is yes, nobody can be seen to
   have answered otherwise; outside a group its percentage is over all people.
2. Every group of the schema that holds such flags is a dimension; so is every attribute with more than one known value, over those who
   answered its group. Flags of no group share one dimension.
3. The block's date attribute, else the first date, is the trend. Countries get maps; the first two are the flow.
4. The matrix starts with the group that the logic depends on (the form of exploitation) across and the largest other list of several
   facts down. Without two dimensions there is no matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caseschemas import CaseSchema
from casesynth.domain import Domain, known_values

MATRIX_MOST = 30
"""Most facts of a dimension that the matrix offers."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """Who answered: people with an answer in any set of columns, or in every set."""

    every: bool
    sets: tuple[tuple[int, ...], ...]
    """Columns of each attribute; an attribute is answered if one of its columns is."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """Facts that are counted side by side."""

    attribute: str | None = None
    """The attribute whose values they are."""
    group: str | None = None
    """The group of the schema; neither: the lone flags."""
    kind: str = "category"
    """Kind of the attribute; `group` or `flags` for several attributes."""
    facts: tuple[tuple[int, int], ...]
    """Column and value position."""
    answered: Answered | None
    """None: percentages are over all people."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """What the showcase shows; positions in `dimensions`."""

    dimensions: tuple[Dimension, ...]
    trend: int | None
    countries: tuple[int, ...]
    flow: tuple[int, int] | None
    matrix: tuple[int, int] | None
    """Down and across."""

    @property
    def panels(self) -> tuple[int, ...]:
        """Dimensions that are shown as bars."""
        apart = {self.trend, *self.countries}
        return tuple(place for place in range(len(self.dimensions)) if place not in apart)


def kinds_of(domain: Domain, schema: CaseSchema | None) -> dict[str, str]:
    """Return the kind of each attribute; without a schema: multi, flag or category."""
    if schema is not None:
        return {attribute.name: attribute.kind for attribute in schema.analysis}
    kinds = {}
    for attribute in domain.attributes:
        lone = len(attribute.values) - len(attribute.missing) == 1
        kinds[attribute.name] = "multi" if attribute.multi else "flag" if lone else "category"
    return kinds


def views_of(domain: Domain, schema: CaseSchema | None) -> Views:
    """Return the views of a release over this domain."""
    kinds = kinds_of(domain, schema)
    dimensions = tuple(_dimensions(domain, schema, kinds))
    dates = [place for place, dimension in enumerate(dimensions) if dimension.kind == "date"]
    block = schema.block.attribute if schema is not None and schema.block is not None else domain.order_attribute
    trend = next((place for place in dates if dimensions[place].attribute == block), dates[0] if dates else None)
    countries = tuple(place for place, dimension in enumerate(dimensions) if dimension.kind == "country")
    return Views(
        dimensions=dimensions,
        trend=trend,
        countries=countries,
        flow=(countries[0], countries[1]) if len(countries) > 1 else None,
        matrix=_matrix(dimensions, schema),
    )


def _dimensions(domain: Domain, schema: CaseSchema | None, kinds: dict[str, str]) -> list[Dimension]:
    columns: dict[str, list[int]] = {}
    for place, column in enumerate(domain.columns):
        columns.setdefault(column.attribute, []).append(place)
    known = known_values(domain)

    def facts(name: str) -> tuple[tuple[int, int], ...]:
        return tuple((column, int(value)) for column in columns[name] for value in known[column])

    def base(names: Sequence[str], every: bool = False) -> Answered:
        return Answered(every=every, sets=tuple(tuple(columns[name]) for name in names))

    groups = [] if schema is None else [g for g in schema.groups if all(name in columns for name in g.members)]
    flags = [name for name in columns if len(facts(name)) == 1]
    found: list[Dimension] = []
    done: set[str] = set()
    for name in columns:
        for group in groups:
            if name not in group.members or group.name in done or not any(member in flags for member in group.members):
                continue
            done.add(group.name)
            listed = tuple(fact for member in group.members for fact in facts(member))
            answered = base(group.members, group.answered == "all")
            found.append(Dimension(group=group.name, kind="group", facts=listed, answered=answered))
        if name in flags:
            continue
        own = next((base(g.members, g.answered == "all") for g in groups if name in g.members), base([name]))
        found.append(
            Dimension(
                attribute=name,
                kind=kinds[name],
                facts=facts(name),
                answered=own if domain.attribute(name).missing else None,
            )
        )
    grouped = {name for group in groups for name in group.members}
    lone = tuple(fact for name in flags if name not in grouped for fact in facts(name))
    if lone:
        found.append(Dimension(kind="flags", facts=lone, answered=None))
    return found


def _matrix(dimensions: Sequence[Dimension], schema: CaseSchema | None) -> tuple[int, int] | None:
    fits = [
        place
        for place, dimension in enumerate(dimensions)
        if dimension.kind not in ("country", "date") and 2 <= len(dimension.facts) <= MATRIX_MOST
    ]
    if len(fits) < 2:
        return None
    conditions = [rule.only_with.attribute for rule in schema.logic] if schema is not None else []
    members = {group.name: group.members for group in schema.groups} if schema is not None else {}

    def conditions_in(place: int) -> int:
        dimension = dimensions[place]
        names = members.get(dimension.group or "", (dimension.attribute or "",))
        return sum(name in names for name in conditions)

    several = [place for place in fits if dimensions[place].kind in ("group", "multi")]
    across = max(fits, key=lambda place: (conditions_in(place), place in several, -place))
    down = max((p for p in fits if p != across), key=lambda p: (p in several, len(dimensions[p].facts), -p))
    return down, across
