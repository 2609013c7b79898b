"""The public domain: which attributes exist and which values each may take (privacy rules 3 and 4).

1. Value lists come from a public case schema or are written down by hand, never read from data. Nothing in this module sees a
   record, so adding a person with a new value cannot change the shape, keys or column names of any output.
2. Missing is a value of its own; where a schema tells unknown, not asked and no apart, each is one.
3. A multi-value attribute becomes one binary column per value: one person falls into exactly one cell of every table over columns.
4. A derived attribute follows from another one by a public table. Its column stands behind all others and is never measured (`casesynth.derived`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from caseschemas import CaseSchema, SchemaAttribute
from casesynth.errors import CasesynthError
from casesynth.logic import ColumnRule, through

Merge: TypeAlias = Literal["min", "max", "agree", "earliest", "latest", "union"]
"""How several records of one person become one value; each rule ignores the order of the records."""

Reader: TypeAlias = Callable[[str], tuple[int, ...] | None]
"""Reads one raw cell: positions in the value list (one, or several of a multi-value attribute), None outside the list."""

MISSING_CODE = ""
"""The code of a missing value in a domain written down by hand."""

VALUES_MAX = 1 << 16
"""Most values of one attribute; positions are stored in 16 bits."""


class DomainError(CasesynthError):
    """A domain that contradicts itself."""


@dataclass(frozen=True, kw_only=True)
class Derived:
    """Which value of a derived attribute goes with each value of its source: a public table."""

    source: str
    """Name of the attribute that it follows from."""
    places: tuple[int, ...]
    """Position of the derived value for each position of the source."""


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute with its public value list."""

    name: str
    values: tuple[str, ...]
    """Codes in public order, missing ones included."""
    missing: frozenset[int]
    """Positions of the values that mean missing; a recorded no is an answer, not missing."""
    multi: bool = False
    """Whether one record may hold several values."""
    merge: Merge = "agree"
    blank: int = 0
    """Position that an empty cell, and a person without any answer, takes."""
    outside: int = 0
    """Position that a cell outside the value list takes (privacy rule 3)."""
    derived: Derived | None = None
    """What it follows from; None where it is recorded and measured."""
    read: Reader = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(set(self.values)) != len(self.values):
            raise DomainError(f"attribute {self.name}: a value is listed twice")
        if len(self.values) < 2 or (self.multi and len(self.missing) == len(self.values)):
            raise DomainError(f"attribute {self.name}: needs at least one value beside missing")
        if len(self.values) > VALUES_MAX:
            raise DomainError(f"attribute {self.name}: has {len(self.values)} values, more than {VALUES_MAX}")
        for position in (*self.missing, self.blank, self.outside):
            if not 0 <= position < len(self.values):
                raise DomainError(
                    f"attribute {self.name}: position {position} is outside its {len(self.values)} values"
                )


@dataclass(frozen=True, kw_only=True)
class Column:
    """One coded column: a single-valued attribute, or one value of a multi-value attribute."""

    name: str
    attribute: str
    values: tuple[str, ...]
    missing: frozenset[int]
    value: str | None = None
    """For one value of a multi-value attribute, that value."""

    @property
    def size(self) -> int:
        """Number of public values."""
        return len(self.values)


def _reader(values: Sequence[str], multi: bool) -> Reader:
    places = {value: place for place, value in enumerate(values)}

    def read(cell: str) -> tuple[int, ...] | None:
        parts = [part.strip() for part in cell.split(";")] if multi else [cell.strip()]
        found = tuple(places[part] for part in parts if part in places)
        return found if len(found) == len(parts) else None

    return read


@dataclass(frozen=True, kw_only=True)
class Multi:
    """In a declaration: an attribute of which a record may hold several values, `;` between them."""

    values: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Function:
    """In a declaration: an attribute that follows from another one by a public table, such as the region of a country."""

    of: str
    """Name of the attribute that it follows from; it has one value for each person and follows from no other."""
    table: Mapping[str, str]
    """The derived value of each value of that attribute but missing, which stays missing."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Every attribute of a release and its public value list.

    >>> domain = Domain.declare({"sex": ["female", "male"], "means": Multi(values=["threats", "debt"])})
    >>> [(column.name, column.values) for column in domain.columns]
    [('sex', ('', 'female', 'male')), ('means=threats', ('', '1')), ('means=debt', ('', '1'))]
    """

    attributes: tuple[Attribute, ...]
    order_attribute: str | None = None
    """The attribute that dates a record (the block), for the merge rules earliest and latest."""
    source: str = "declared"
    """Where the value lists come from: a schema's id and version, or `declared`."""
    rules: tuple[ColumnRule, ...] = ()
    """Public logic: what cannot occur."""

    def __post_init__(self) -> None:
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) != len(names):
            raise DomainError("two attributes share a name")
        if not names:
            raise DomainError("a domain needs at least one attribute")
        if self.order_attribute is not None and self.order_attribute not in names:
            raise DomainError(f"the dating attribute {self.order_attribute} is not in the domain")
        column_names = [column.name for column in self.columns]
        if len(set(column_names)) != len(column_names):
            raise DomainError("two columns share a name")
        for attribute in self.attributes:
            self._check_derived(attribute)

    def _check_derived(self, attribute: Attribute) -> None:
        if attribute.derived is None:
            return
        source = next((each for each in self.attributes if each.name == attribute.derived.source), None)
        if source is None or source.derived is not None or source.multi or attribute.multi:
            raise DomainError(
                f"attribute {attribute.name}: can only be derived from another attribute with one value for each person that is not derived itself"
            )
        if len(attribute.derived.places) != len(source.values) or not all(
            0 <= place < len(attribute.values) for place in attribute.derived.places
        ):
            raise DomainError(f"attribute {attribute.name}: needs one of its values for each value of {source.name}")
        if self.order_attribute == attribute.name:
            raise DomainError(f"the dating attribute {attribute.name} cannot be derived")

    @classmethod
    def declare(cls, attributes: Mapping[str, Sequence[str] | Multi | Function]) -> Domain:
        """Write a domain down by hand: attribute name to its values; the empty string, missing, is added in front.

        Raises:
            DomainError: a value is listed twice, a name is used twice, or a function leaves a value of its source without one.
        """
        declared = []
        for name, listed in attributes.items():
            if isinstance(listed, Function):
                declared.append(_function(name, listed, attributes))
                continue
            multi = isinstance(listed, Multi)
            given = [str(value) for value in (listed.values if isinstance(listed, Multi) else listed)]
            values = (MISSING_CODE, *(value for value in given if value != MISSING_CODE))
            if multi and any(";" in value for value in values):
                raise DomainError(f"attribute {name}: a value of a multi-value attribute cannot contain ';'")
            declared.append(
                Attribute(
                    name=name,
                    values=values,
                    missing=frozenset({0}),
                    multi=multi,
                    merge="union" if multi else "agree",
                    read=_reader(values, multi),
                )
            )
        return cls(attributes=tuple(declared))

    @classmethod
    def from_schema(cls, schema: CaseSchema) -> Domain:
        """Return the domain of a case schema: its attributes of the role `analysis`, in the schema's order."""
        order = schema.block.attribute if schema.block is not None else None
        attributes = tuple(_from_schema_attribute(attribute) for attribute in schema.analysis)
        names = {attribute.name for attribute in attributes}
        domain = cls(
            attributes=attributes,
            order_attribute=order if order in names else None,
            source=f"{schema.id} {schema.version}",
        )
        return replace(domain, rules=_with_sources(tuple(_rules(schema, domain)), domain))

    @cached_property
    def measured(self) -> Domain:
        """The domain without its derived attributes: what is read, counted and fitted. Its columns are the first ones of this domain."""
        recorded = tuple(attribute for attribute in self.attributes if attribute.derived is None)
        if len(recorded) == len(self.attributes):
            return self
        width = len(replace(self, attributes=recorded, rules=()).columns)
        return replace(self, attributes=recorded, rules=tuple(rule for rule in self.rules if rule.within(width)))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The coded columns, in attribute order; those of derived attributes behind all others."""
        columns: list[Column] = []
        for attribute in sorted(self.attributes, key=lambda each: each.derived is not None):
            if not attribute.multi:
                columns.append(
                    Column(
                        name=attribute.name,
                        attribute=attribute.name,
                        values=attribute.values,
                        missing=attribute.missing,
                    )
                )
                continue
            for place, value in enumerate(attribute.values):
                if place not in attribute.missing:
                    name = f"{attribute.name}={value}"
                    columns.append(
                        Column(
                            name=name,
                            attribute=attribute.name,
                            values=(MISSING_CODE, "1"),
                            missing=frozenset({0}),
                            value=value,
                        )
                    )
        return tuple(columns)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each column."""
        return tuple(column.size for column in self.columns)

    def attribute(self, name: str) -> Attribute:
        """Return the attribute with that name.

        Raises:
            DomainError: there is none.
        """
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise DomainError(f"no attribute {name} in the domain")

    def facts(self) -> list[dict[str, object]]:
        """Return the value lists as JSON-able public facts, for manifests and digests."""
        return [
            {
                "name": attribute.name,
                "values": list(attribute.values),
                "missing": sorted(attribute.missing),
                "multi": attribute.multi,
                "merge": attribute.merge,
                **(
                    {"derived": {"from": attribute.derived.source, "places": list(attribute.derived.places)}}
                    if attribute.derived is not None
                    else {}
                ),
            }
            for attribute in self.attributes
        ]

    def digest(self) -> str:
        """Return the SHA-256 of the value lists, as hex."""
        text = json.dumps(self.facts(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _function(name: str, function: Function, attributes: Mapping[str, Sequence[str] | Multi | Function]) -> Attribute:
    """Return a derived attribute that is declared by hand."""
    source = attributes.get(function.of)
    if source is None or isinstance(source, Multi | Function):
        raise DomainError(f"attribute {name}: is a function of {function.of}, which is no list of values")
    given = [str(value) for value in source if value != MISSING_CODE]
    lacking = [value for value in given if value not in function.table]
    if lacking:
        raise DomainError(f"attribute {name}: its table has no value for {lacking[0]} of {function.of}")
    unknown = [value for value in function.table if value not in given and value != MISSING_CODE]
    if unknown:
        raise DomainError(f"attribute {name}: its table names {unknown[0]}, which {function.of} has not")
    values = (MISSING_CODE, *dict.fromkeys(function.table[value] for value in given if function.table[value]))
    places = (0, *(values.index(function.table[value]) for value in given))
    return Attribute(
        name=name,
        values=values,
        missing=frozenset({0}),
        derived=Derived(source=function.of, places=places),
        read=_reader(values, multi=False),
    )


def _with_sources(rules: tuple[ColumnRule, ...], domain: Domain) -> tuple[ColumnRule, ...]:
    """Return the rules, and for each that names derived columns also what it says about their sources."""
    found = list(rules)
    for place, column in enumerate(domain.columns):
        derived = domain.attribute(column.attribute).derived
        if derived is not None:
            source = next(i for i, each in enumerate(domain.columns) if each.name == derived.source)
            blank = domain.attribute(derived.source).blank
            found = [through(rule, place, source, derived.places, blank) for rule in found]
    return (*rules, *(rule for rule in found if rule not in rules))


def _rules(schema: CaseSchema, domain: Domain) -> Iterator[ColumnRule]:
    """Yield the schema's logic, column by column."""
    columns: dict[str, list[int]] = {}
    for place, column in enumerate(domain.columns):
        columns.setdefault(column.attribute, []).append(place)
    for rule in schema.logic:
        condition, codes = rule.only_with.attribute, rule.only_with.codes
        allowed = [
            (place, frozenset({1} if domain.columns[place].value in codes else ()))
            if domain.columns[place].value is not None
            else (place, frozenset(domain.columns[place].values.index(code) for code in codes))
            for place in columns[condition]
        ]
        conditions = tuple((place, values) for place, values in allowed if values)
        for name in rule.attributes:
            attribute = schema.attribute(name)
            for place in columns[name]:
                single = domain.columns[place].value is None
                yield ColumnRule(
                    column=place,
                    ordinary=frozenset(range(attribute.first_known, len(attribute.values)) if single else {1}),
                    blank=domain.attribute(name).blank if single else 0,
                    conditions=conditions,
                )


def _from_schema_attribute(attribute: SchemaAttribute) -> Attribute:
    if attribute.merge is None or attribute.outside is None:
        raise DomainError(f"attribute {attribute.name}: has no value list to count")
    values = tuple(value.code for value in attribute.values)
    missing = frozenset(place for place, value in enumerate(attribute.values) if not value.answered)
    multi = attribute.kind == "multi"
    blank = attribute.code_of("")
    outside = values.index(attribute.outside)

    def read(cell: str) -> tuple[int, ...] | None:
        if multi:
            return attribute.codes_of(cell)
        place = attribute.code_of(cell)
        return None if place is None else (place,)

    derived = attribute.derived
    return Attribute(
        name=attribute.name,
        values=values,
        missing=missing,
        multi=multi,
        merge=attribute.merge,
        derived=None
        if derived is None
        else Derived(source=derived.attribute, places=tuple(values.index(code) for code in derived.codes)),
        blank=outside if blank is None else blank,
        outside=outside,
        read=read,
    )


def known_values(domain: Domain) -> tuple[NDArray[np.int64], ...]:
    """Return, per column, the positions of the values that are not missing."""
    return tuple(
        np.array([place for place in range(column.size) if place not in column.missing], dtype=np.int64)
        for column in domain.columns
    )
