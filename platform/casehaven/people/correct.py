"""A correction of one case record: which cells it changes, and what they may become.

1. A correction names attributes of the schema. The person token is not corrected: another token is another person. Consent is recorded with its date, not
   corrected. Identifiers are not in the vault unless they were asked for, and are not added by a correction.
2. A value is taken only if the schema understands all of it, and is stored as its code. A file may hold a cell outside the list; a person who
   corrects it is asked for a better one.
3. A correction breaks no rule of the schema that was not broken before.
4. What was there stays: a correction is a new record that says which one it replaces, and both can be read with their dates.
"""

from __future__ import annotations

from collections.abc import Mapping

from casehaven.people.errors import CorrectionError
from caseschemas import CaseSchema, SchemaAttribute

TEXT_MOST = 20_000
"""Longest free text, in characters."""


def corrected(schema: CaseSchema, cells: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """Return the cells of the corrected record.

    Args:
        schema: of the record.
        cells: the record as it is; empty cells are not there.
        changes: new values by attribute; an empty value takes the answer away.

    Raises:
        CorrectionError: names the attribute and what it may hold, never a value.

    >>> from caseschemas import load_schema
    >>> schema = load_schema("ctdc-global")
    >>> corrected(schema, {"gender": "Woman", "ageBroad": "9-17"}, {"ageBroad": "19", "gender": ""})
    {'ageBroad': '18-20'}
    """
    if not changes:
        raise CorrectionError("a correction changes one attribute at least")
    after = dict(cells)
    for name, value in changes.items():
        code = _code(_correctable(schema, name), value)
        if code:
            after[name] = code
        else:
            after.pop(name, None)
    if after == dict(cells):
        raise CorrectionError("the record holds this already; nothing was changed")
    broken = sorted(set(_broken(schema, after)) - set(_broken(schema, cells)))
    if broken:
        rule = next(rule for rule in schema.logic if rule.name == broken[0])
        raise CorrectionError(f"the corrected record would contradict a rule of {schema.id}: {rule.labels.text('en')}")
    return {attribute.name: after[attribute.name] for attribute in schema.attributes if attribute.name in after}


def _correctable(schema: CaseSchema, name: str) -> SchemaAttribute:
    found = next((attribute for attribute in schema.attributes if attribute.name == name), None)
    if found is None:
        raise CorrectionError(f"{schema.id} has no attribute of the name given")
    if found.role == "consent":
        raise CorrectionError(f"{name} is consent: record it with its date by `casehaven person consent`")
    if found.role == "person":
        raise CorrectionError(f"{name} tells people apart and cannot be corrected: another token is another person")
    if found.role == "identifier":
        raise CorrectionError(f"{name} identifies a person directly; corrections add nothing of that to the vault")
    return found


def _code(attribute: SchemaAttribute, value: str) -> str:
    """Return what is stored for a value: its code, or for free text the text."""
    if attribute.role == "text":
        if len(value) > TEXT_MOST:
            raise CorrectionError(f"{attribute.name} may hold {TEXT_MOST} characters at most")
        return value.strip()
    if not value.strip():
        return ""
    parts = (value,) if attribute.code_of(value) is not None or not attribute.separators else attribute.parts(value)
    found = [attribute.code_of(part) for part in parts]
    places = [place for place in found if place is not None]
    missing = any(attribute.values[place].missing is not None for place in places)
    if not places or len(places) < len(found) or (missing and len(places) > 1):
        many = f"; several are separated by {attribute.separators[0]!r}" if attribute.separators else ""
        raise CorrectionError(f"{attribute.name} does not take this value{many}")
    return (attribute.separators or ("",))[0].join(attribute.values[place].code for place in sorted(set(places)))


def _broken(schema: CaseSchema, cells: Mapping[str, str]) -> tuple[str, ...]:
    """Return the rules that a record breaks; a cell outside its list counts as the outside value."""
    profile: dict[str, int | tuple[int, ...]] = {}
    for attribute in schema.analysis:
        cell = cells.get(attribute.name, "")
        if attribute.kind == "multi":
            profile[attribute.name] = attribute.codes_of(cell) or (attribute.outside_position,)
        else:
            place = attribute.code_of(cell)
            profile[attribute.name] = attribute.outside_position if place is None else place
    return schema.broken_rules(profile)
