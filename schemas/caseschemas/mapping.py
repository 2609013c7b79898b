"""A mapping: how case records of one schema become case records of another, column by column.

1. A mapping is a document beside the schemas, not code: every column of the target says by which of five rules it is filled, how much of it
   the source standard covers, and what is lost.
2. Nothing is guessed: what a rule does not say becomes the blank value, and so does a value that the target's logic forbids in the mapped record.
3. Roles are kept: a person token comes from a person token, a consent from a consent, and free text goes nowhere. Identifiers only become identifiers;
   the one exception is the rule `age`, of which only the band of the age goes over.
4. Records are mapped one by one, so that what one person's records say does not touch another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from caseschemas.attribute import UNLISTED_KINDS, SchemaAttribute
from caseschemas.cells import partial_date
from caseschemas.labels import NO_LABELS, Labels
from caseschemas.periods import last_day
from caseschemas.schema import CaseSchema, Source
from caseschemas.words import normal

MAPPING_FORMAT = "casehaven-mapping/1"
"""The version of the mapping format."""

MappingRule = Literal["copy", "recode", "any", "age", "blank"]
"""How a column is filled: the same value, another code, yes where one of some values is held, an age in bands, nothing."""

Coverage = Literal["full", "part", "missing"]
"""How much of a column the source standard covers by itself."""


@dataclass(frozen=True, kw_only=True)
class ColumnMapping:
    """How one attribute of the target is filled."""

    to: str
    """Name of the attribute that is filled."""
    rule: MappingRule
    """How."""
    source: str | None = None
    """Name of the attribute that is read; None for blank."""
    recode: Mapping[str, str] = field(default_factory=dict)
    """For recode: target code by source code; the empty code is the blank value."""
    codes: tuple[str, ...] = ()
    """For any: source codes of which one makes the flag yes."""
    born: str | None = None
    """For age: name of the attribute with the date of birth."""
    at: str | None = None
    """For age: name of the attribute with the date at which the age is counted."""
    coverage: Coverage | None = None
    """For analysis: how much the source standard covers; None for other roles."""
    note: Labels = NO_LABELS
    """What is lost or read in a certain way, per language; may be empty."""


@dataclass(frozen=True, kw_only=True)
class LeaveOut:
    """Records that do not go over."""

    attribute: str
    """Name of the source attribute."""
    codes: tuple[str, ...]
    """A record that holds one of these stays behind."""
    note: Labels
    """Why, per language."""


@dataclass(frozen=True, kw_only=True)
class CaseMapping:
    """A checked mapping.

    >>> from caseschemas import load_mapping
    >>> mapping = load_mapping("htcds-2.0", "ctdc-global")
    >>> record = mapping.record({"prs_Gender": "Feminine", "vic_MethodsOfControl": "DebtBondage ;SexualAbuse"})
    >>> {name: cell for name, cell in record.items() if cell}
    {'gender': 'Woman', 'meansDebtBondageEarnings': '1', 'meansAbusePsyPhySex': '1'}
    """

    id: str
    """Identifier of the mapping."""
    version: str
    """Semantic version."""
    title: Labels
    """What people read, per language."""
    source: CaseSchema
    """Schema of the records that go in."""
    target: CaseSchema
    """Schema of the records that come out."""
    columns: tuple[ColumnMapping, ...]
    """One per attribute of the target, in its order."""
    description: Labels = NO_LABELS
    """What it does and what it loses, per language; may be empty."""
    leave_out: tuple[LeaveOut, ...] = ()
    """Records that do not go over."""
    sources: tuple[Source, ...] = ()
    """Where parts of the mapping come from."""

    @cached_property
    def read(self) -> tuple[str, ...]:
        """Names of the source attributes that are read, in the source's order."""
        used = {name for column in self.columns for name in (column.source, column.born, column.at)}
        used |= {entry.attribute for entry in self.leave_out}
        return tuple(attribute.name for attribute in self.source.attributes if attribute.name in used)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Those that a file must have: all but identifiers, which an organisation may have dropped already."""
        return tuple(name for name in self.read if self.source.attribute(name).role != "identifier")

    def stays_behind(self, entry: LeaveOut, cell: str) -> bool:
        """Whether a record with this cell does not go over."""
        attribute = self.source.attribute(entry.attribute)
        return any(attribute.values[position].code in entry.codes for position in _held(attribute, cell))

    def position(self, column: ColumnMapping, cell: str) -> int:
        """Read one cell of the source of a column with a list: the position in the target's list; for age, by the rule's own column."""
        target = self.target.attribute(column.to)
        if column.source is None:
            return target.blank
        attribute = self.source.attribute(column.source)
        held = _held(attribute, cell)
        if column.rule == "any":
            if any(attribute.values[position].code in column.codes for position in held):
                return target.first_known
            answered = any(attribute.values[position].answered for position in held)
            return _missing(target, "no" if answered else attribute.values[held[0]].missing)
        value = attribute.values[held[0]]
        if value.missing is not None and value.code not in column.recode:
            return _missing(target, value.missing)
        code = column.recode[value.code] if column.rule == "recode" else value.code
        found = target.code_of(code)
        return target.blank if found is None else found

    def age(self, column: ColumnMapping, born: str, at: str) -> int:
        """Count an age from two cells with dates, partial ones included: the position of its band; the blank value unless all ages fit one band."""
        target = self.target.attribute(column.to)
        first, second = partial_date(normal(born)), partial_date(normal(at))
        if first is None or second is None:
            return target.blank
        youngest = _years(_latest(first), _earliest(second))
        oldest = _years(_earliest(first), _latest(second))
        if youngest < 0:
            return target.blank
        found = target.code_of(str(youngest) if youngest == oldest else f"{youngest}-{oldest}")
        return target.blank if found is None else found

    def allowed(self, held: dict[str, int]) -> dict[str, int]:
        """Take a mapped record as positions and blank what the target's logic forbids; rules may build on each other."""
        while broken := self.target.broken_rules(held):
            for rule in self.target.logic:
                if rule.name in broken:
                    held |= {name: self.target.attribute(name).blank for name in rule.attributes}
        return held

    def record(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Map one record, cell by cell: every attribute of the target with its code; no entries at all if the record stays behind.

        `casehaven.intake.mapping` does the same for whole frames.
        """
        if any(self.stays_behind(entry, cells.get(entry.attribute, "")) for entry in self.leave_out):
            return {}
        texts: dict[str, str] = {}
        held: dict[str, int] = {}
        for column in self.columns:
            cell = cells.get(column.source or "", "")
            if self.target.attribute(column.to).kind in UNLISTED_KINDS:
                texts[column.to] = cell if column.source else ""
                continue
            held[column.to] = self.position(column, cell)
            if column.rule == "age" and held[column.to] == self.target.attribute(column.to).blank:
                held[column.to] = self.age(column, cells.get(column.born or "", ""), cells.get(column.at or "", ""))
        codes = {
            name: self.target.attribute(name).values[position].code for name, position in self.allowed(held).items()
        }
        return {column.to: texts.get(column.to, codes.get(column.to, "")) for column in self.columns}


def _held(attribute: SchemaAttribute, cell: str) -> tuple[int, ...]:
    """The positions that a cell holds; the outside value where it is outside the list."""
    if attribute.kind == "multi":
        found = attribute.codes_of(cell)
        return (attribute.outside_position,) if found is None else found
    position = attribute.code_of(cell)
    return (attribute.outside_position if position is None else position,)


def _missing(target: SchemaAttribute, why: str | None) -> int:
    """The position of the first missing value with this meaning; the blank value if there is none."""
    for position, value in enumerate(target.values[: target.first_known]):
        if value.missing == why:
            return position
    return target.blank


PartialDate = tuple[int, int | None, int | None]


def _earliest(date: PartialDate) -> tuple[int, int, int]:
    year, month, day = date
    return year, month or 1, day or 1


def _latest(date: PartialDate) -> tuple[int, int, int]:
    year, month, day = date
    return year, month or 12, day or last_day(year, month or 12)


def _years(born: tuple[int, int, int], at: tuple[int, int, int]) -> int:
    """Completed years from one day to another."""
    return at[0] - born[0] - (at[1:] < born[1:])
