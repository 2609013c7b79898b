"""A case schema: everything that is public about the records before the first record is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from caseschemas.attribute import SchemaAttribute
from caseschemas.errors import InvalidModelError
from caseschemas.labels import NO_LABELS, Labels

FORMAT = "casehaven-schema/1"
"""The version of the schema language."""

Purpose = Literal["care", "own_statistics", "pooled_statistics", "synthetic_release"]
"""What a person may consent to."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language of the labels."""

    code: str
    """Language tag, such as `fr`."""
    reviewed: bool
    """Whether a person who speaks it has reviewed the labels."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a part of the schema comes from, and on what terms."""

    title: str
    """What it is."""
    url: str | None = None
    """Where it is."""
    licence: str | None = None
    """SPDX licence identifier."""
    notice: str | None = None
    """Notice that has to travel with it."""


@dataclass(frozen=True, kw_only=True)
class BlockSpec:
    """What decides a person's block: the part of the budget account that their records spend."""

    attribute: str
    """Name of the date attribute of registration."""
    granularity: Literal["year"] = "year"
    """Blocks are years of first registration."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Attributes whose percentages are taken over the people who answered."""

    name: str
    """Unique among the groups."""
    labels: Labels
    """What people read, per language."""
    members: tuple[str, ...]
    """Names of the attributes."""
    answered: Literal["any", "all"] = "any"
    """A person answered if any member, or every member, has an answer (an ordinary value, or `no`)."""


@dataclass(frozen=True, kw_only=True)
class Parent:
    """One value of the coarser level of a hierarchy."""

    code: str
    """Unique in the hierarchy."""
    labels: Labels
    """What people read, per language."""
    members: tuple[str, ...]
    """Codes of the attribute's values that it holds."""


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """A coarser view of one attribute: every ordinary value has exactly one parent."""

    name: str
    """Unique among the hierarchies."""
    labels: Labels
    """What people read, per language."""
    attribute: str
    """Name of the attribute."""
    parents: tuple[Parent, ...]
    """The coarser values in public order."""

    @cached_property
    def parent_of(self) -> Mapping[str, str]:
        """The code of the parent of each value code."""
        return {member: parent.code for parent in self.parents for member in parent.members}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """An attribute holds one of some values."""

    attribute: str
    """Name of the attribute."""
    codes: tuple[str, ...]
    """Codes of the values."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A public fact: the attributes may hold an ordinary value only where the condition is met. Anything else cannot occur."""

    name: str
    """Unique among the rules."""
    labels: Labels
    """What people read, per language."""
    attributes: tuple[str, ...]
    """Names of the attributes that depend on the condition."""
    only_with: Condition
    """What has to be the case."""


@dataclass(frozen=True, kw_only=True)
class CaseSchema:
    """A checked case schema.

    >>> from caseschemas import load_schema
    >>> schema = load_schema("ctdc-global")
    >>> schema.id, len(schema.analysis), schema.person_key
    ('ctdc-global', 27, 'personToken')
    """

    id: str
    """Identifier, stable over versions."""
    version: str
    """Semantic version; a change of any value list is a new major version."""
    title: Labels
    """What people read, per language."""
    languages: tuple[Language, ...]
    """The languages of the labels; the first is the default."""
    attributes: tuple[SchemaAttribute, ...]
    """All attributes in public order."""
    description: Labels = NO_LABELS
    """What it is for, per language; may be empty."""
    calendars: tuple[str, ...] = ()
    """Calendars that dates in files may be written in, beside the Gregorian one; empty for any."""
    person_key: str | None = None
    """Name of the attribute that holds the person token; None if the records have none."""
    block: BlockSpec | None = None
    """What decides a person's block; None if the schema has no registration date."""
    consent: Mapping[Purpose, str] = field(default_factory=dict)
    """Name of the consent attribute for each purpose that has one."""
    groups: tuple[Group, ...] = ()
    """Groups of attributes with their own base of percentages."""
    hierarchies: tuple[Hierarchy, ...] = ()
    """Coarser views of attributes."""
    logic: tuple[Rule, ...] = ()
    """Public facts about what cannot occur."""
    tables: tuple[tuple[str, ...], ...] = ()
    """Tables that matter, by attribute: a release gives them a part of the budget of their own."""
    table_percent: int | None = None
    """Percent of the budget that these tables share; None for the default of the release."""
    sources: tuple[Source, ...] = ()
    """Where parts of the schema come from."""

    def __post_init__(self) -> None:
        if len(self._by_name) != len(self.attributes):
            raise InvalidModelError(f"schema {self.id!r}: two attributes have the same name")

    def __hash__(self) -> int:
        """Equal schemas have the same id and version."""
        return hash((self.id, self.version))

    def attribute(self, name: str) -> SchemaAttribute:
        """The attribute with this name.

        Raises:
            KeyError: the schema has no such attribute.
        """
        return self._by_name[name]

    @cached_property
    def analysis(self) -> tuple[SchemaAttribute, ...]:
        """The attributes that may be counted, in public order."""
        return tuple(attribute for attribute in self.attributes if attribute.role == "analysis")

    @cached_property
    def recorded(self) -> tuple[SchemaAttribute, ...]:
        """The attributes that may be counted and are read from records: those that are not derived."""
        return tuple(attribute for attribute in self.analysis if attribute.derived is None)

    def broken_rules(self, profile: Mapping[str, int | Sequence[int]]) -> tuple[str, ...]:
        """The names of the rules that a profile breaks: per attribute name a position in its list, or for multi several.

        >>> from caseschemas import load_schema
        >>> load_schema("ctdc-global").broken_rules({"isForcedLabour": 0, "typeOfLabourAgriculture": 1})
        ('labourSectorOnlyWithForcedLabour',)
        """

        def held(name: str) -> Sequence[int]:
            positions = profile.get(name, self.attribute(name).blank)
            return (positions,) if isinstance(positions, int) else positions

        broken = []
        for rule in self.logic:
            condition = self.attribute(rule.only_with.attribute)
            met = any(condition.values[position].code in rule.only_with.codes for position in held(condition.name))
            first_known = {name: self.attribute(name).first_known for name in rule.attributes}
            if not met and any(position >= first_known[name] for name in rule.attributes for position in held(name)):
                broken.append(rule.name)
        return tuple(broken)

    def document(self) -> dict[str, Any]:
        """The schema as a self-contained document of the schema language: code lists are written out, and parsing it gives an equal schema."""
        from caseschemas._write import schema_document  # writing is needed rarely; a module that only reads stays small

        return schema_document(self)

    def canonical(self) -> bytes:
        """The one canonical form: the self-contained document as JSON in UTF-8, keys sorted, no white space."""
        return json.dumps(self.document(), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")

    def digest(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal: two schemas with the same digest mean the same, code lists included."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()

    @cached_property
    def _by_name(self) -> dict[str, SchemaAttribute]:
        return {attribute.name: attribute for attribute in self.attributes}
