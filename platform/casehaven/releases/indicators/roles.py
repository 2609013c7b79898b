"""Which attributes of a schema official statistics ask for: sex, age group, form of exploitation, citizenship, year, status.

1. Roles are public and written by hand, one JSON file per schema, `"format": "casehaven-indicator-roles/1"`. They come with Casehaven for
   its shipped schemas. Whoever has a schema of their own writes such a file for it.
2. A role that a schema cannot play is left out, and the tables say so.
3. Age groups are disjoint unions of values of one attribute; everything else is listed value by value, as in the schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from casehaven.errors import CasehavenError
from caseschemas import CaseSchema, SchemaAttribute
from casesynth._files import read_regular
from casesynth.canonical import JsonFaultError, parse_json

ROLES_FORMAT = "casehaven-indicator-roles/1"
_LIMIT = 1_048_576
_FIELDS = {"format", "schema", "sex", "age", "form", "citizenship", "year", "status", "notes"}


class RolesError(CasehavenError):
    """A file of roles that is not the format, or that does not fit the schema."""


class RolesNeededError(CasehavenError):
    """No roles come with Casehaven for this schema, and none were given."""


@dataclass(frozen=True, kw_only=True)
class AgeGroup:
    """One age group of a table."""

    label: str
    codes: tuple[str, ...]
    """Values of the age attribute; of no other group."""


@dataclass(frozen=True, kw_only=True)
class ListRole:
    """An attribute whose values are listed one by one."""

    attribute: str
    title: str
    """What the column of the table is called."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which attributes play which role; None and the empty tuple: no attribute of the schema does."""

    schema: str
    """Id of the schema."""
    sex: ListRole | None
    age: str | None
    age_groups: tuple[AgeGroup, ...]
    forms: tuple[str, ...]
    """Flags, or one multi-value or single-valued attribute, whose values are the forms of exploitation."""
    citizenship: ListRole | None
    year: ListRole | None
    status: ListRole | None
    """Identified or presumed victim."""
    not_victims: tuple[str, ...]
    """Values of the status that say that the person is not a victim."""
    notes: tuple[str, ...]
    """What a reader of the tables must know about this schema."""

    @property
    def listed(self) -> tuple[ListRole, ...]:
        """The roles whose values are listed one by one."""
        return tuple(role for role in (self.sex, self.citizenship, self.year, self.status) if role is not None)


def shipped_roles(schema: CaseSchema) -> Roles:
    """Return the roles that come with Casehaven for a schema.

    Raises:
        RolesNeededError: none do.
    """
    entry = files("casehaven.releases.indicators") / "shipped" / f"{schema.id}.json"
    if not entry.is_file():
        raise RolesNeededError(f"Casehaven does not know which attributes of {schema.id} are sex, age and so on")
    return parse_roles(entry.read_bytes(), schema, name=f"{schema.id}.json")


def read_roles(path: Path, schema: CaseSchema) -> Roles:
    """Read a file of roles.

    Raises:
        RolesError: it is not the format, or does not fit the schema.
        OSError: it cannot be read.
    """
    return parse_roles(read_regular(path, limit=_LIMIT, follow=True), schema, name=path.name)


def parse_roles(unverified: bytes, schema: CaseSchema, *, name: str) -> Roles:
    """Read roles and check them against their schema.

    Raises:
        RolesError: they are not the format, or do not fit the schema; the message says where, what was expected and what came.
    """
    reader = _Reader(name=name, schema=schema)
    try:
        fields = parse_json(unverified, name)
    except JsonFaultError as error:
        raise RolesError(str(error)) from None
    if not isinstance(fields, dict) or fields.get("format") != ROLES_FORMAT:
        raise RolesError(f"{name}: expected the format {ROLES_FORMAT}")
    if unknown := sorted(set(fields) - _FIELDS):
        raise RolesError(f"{name}: unknown field {unknown[0]!r}, expected one of {', '.join(sorted(_FIELDS))}")
    if fields.get("schema") != schema.id:
        raise RolesError(f"{name}: /schema is {fields.get('schema')!r}, expected {schema.id!r}")
    age, groups = reader.age(fields.get("age"))
    status = fields.get("status")
    roles = Roles(
        schema=schema.id,
        sex=reader.listed(fields, "sex", "Sex"),
        age=age,
        age_groups=groups,
        forms=reader.forms(fields.get("form")),
        citizenship=reader.listed(fields, "citizenship", "Citizenship"),
        year=reader.listed(fields, "year", "Year of registration"),
        status=reader.listed(fields, "status", "Status", more={"not_victims"}),
        not_victims=()
        if status is None
        else reader.codes(status.get("not_victims", []), status["attribute"], "/status/not_victims"),
        notes=reader.texts(fields.get("notes", []), "/notes"),
    )
    played = [*roles.forms, *(role.attribute for role in roles.listed)] + ([roles.age] if roles.age else [])
    if len(set(played)) != len(played):
        raise RolesError(f"{name}: an attribute plays two roles, expected one each")
    if not (roles.sex or roles.age or roles.forms or roles.citizenship):
        raise RolesError(f"{name}: names no attribute for sex, age, form or citizenship, so there is no table to make")
    return roles


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads the fields of one document, with its name in every message."""

    name: str
    schema: CaseSchema

    def listed(
        self, fields: Mapping[str, Any], role: str, title: str, *, more: frozenset[str] | set[str] = frozenset()
    ) -> ListRole | None:
        found = fields.get(role)
        if found is None:
            return None
        entry = self._entry(found, f"/{role}", {"attribute"}, {"title", *more})
        attribute = self._single(entry["attribute"], f"/{role}/attribute")
        return ListRole(attribute=attribute.name, title=self._text(entry.get("title", title), f"/{role}/title"))

    def age(self, found: object) -> tuple[str | None, tuple[AgeGroup, ...]]:
        if found is None:
            return None, ()
        entry = self._entry(found, "/age", {"attribute", "groups"}, set())
        attribute = self._single(entry["attribute"], "/age/attribute")
        groups, seen = [], set[str]()
        for place, raw in enumerate(self._list(entry["groups"], "/age/groups")):
            where = f"/age/groups/{place}"
            group = self._entry(raw, where, {"label", "codes"}, set())
            codes = self.codes(group["codes"], attribute.name, f"{where}/codes")
            if not codes or seen & set(codes):
                raise RolesError(f"{self.name}: {where} must hold at least one value, and none of another group")
            seen |= set(codes)
            groups.append(AgeGroup(label=self._text(group["label"], f"{where}/label"), codes=codes))
        return attribute.name, tuple(groups)

    def forms(self, found: object) -> tuple[str, ...]:
        if found is None:
            return ()
        entry = self._entry(found, "/form", {"attributes"}, set())
        attributes = [
            self._attribute(raw, f"/form/attributes/{place}")
            for place, raw in enumerate(self._list(entry["attributes"], "/form/attributes"))
        ]
        if len({attribute.name for attribute in attributes}) != len(attributes):
            raise RolesError(f"{self.name}: /form/attributes names an attribute twice")
        if len(attributes) > 1 and any(attribute.kind != "flag" for attribute in attributes):
            raise RolesError(f"{self.name}: /form/attributes must be flags, or one attribute alone")
        return tuple(attribute.name for attribute in attributes)

    def codes(self, found: object, attribute: str, where: str) -> tuple[str, ...]:
        known = {value.code for value in self.schema.attribute(attribute).values if value.missing is None}
        codes = self._list(found, where) if found != [] else []
        for code in codes:
            if code not in known:
                raise RolesError(f"{self.name}: {where}: {code!r} is not a known value of {attribute}")
        return tuple(codes)

    def texts(self, found: object, where: str) -> tuple[str, ...]:
        return tuple(self._text(text, where) for text in (self._list(found, where) if found != [] else []))

    def _attribute(self, found: object, where: str) -> SchemaAttribute:
        for attribute in self.schema.analysis:
            if attribute.name == found:
                return attribute
        raise RolesError(f"{self.name}: {where}: {self.schema.id} has no attribute {found!r} that may be counted")

    def _single(self, found: object, where: str) -> SchemaAttribute:
        attribute = self._attribute(found, where)
        if attribute.kind == "multi":
            raise RolesError(f"{self.name}: {where}: {attribute.name} holds several values of one person, expected one")
        return attribute

    def _entry(self, found: object, where: str, needed: set[str], optional: set[str]) -> dict[str, Any]:
        if not isinstance(found, dict) or not needed <= set(found) <= needed | optional:
            raise RolesError(f"{self.name}: {where} must be an object with {', '.join(sorted(needed))}")
        return found

    def _list(self, found: object, where: str) -> Sequence[Any]:
        if not isinstance(found, list) or not found:
            raise RolesError(f"{self.name}: {where} must be a list with at least one entry")
        return found

    def _text(self, found: object, where: str) -> str:
        if not isinstance(found, str) or not found.strip():
            raise RolesError(f"{self.name}: {where} must be a text")
        return found
