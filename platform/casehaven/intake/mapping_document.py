"""Reading an intake mapping: every fault with its place, as for a schema.

1. Shape first (`intake-mapping.schema.json`); then what refers to the schema. A document without faults is a mapping; one with faults is none.
2. An attribute of one role is filled in its own way: a person token, an identifier and free text are copied; what has a public list is read through it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from casehaven.intake.dates import PIVOT, DateReading
from casehaven.intake.errors import CaseFileError
from casehaven.intake.intake_mapping import (
    AttributeMapping,
    Dropped,
    IntakeMapping,
    LeftOut,
    MinorsRule,
)
from caseschemas import CaseSchema, Fault, SchemaAttribute, quoted
from caseschemas._document import MAX_BYTES, Document, read_document
from caseschemas._shape import shape_faults
from caseschemas.errors import MappingFaultsError
from caseschemas.words import normal

_COPIED: Final = frozenset({"person", "identifier", "text"})
_LISTED: Final = 8


def load_intake_mapping(path: Path, schema: CaseSchema) -> IntakeMapping:
    """Load a mapping from a file.

    Raises:
        CaseFileError: there is no such file.
        MappingFaultsError: it has faults; the error lists every one with its place.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_intake_mapping(raw, schema, name=path.name)


def parse_intake_mapping(unverified_document: bytes, schema: CaseSchema, *, name: str = "mapping") -> IntakeMapping:
    """Read a mapping document.

    Raises:
        MappingFaultsError: it has faults; the error lists every one with its place.
    """
    document, faults = read_document(unverified_document)
    if document is not None and not faults:
        faults = [
            Fault(line=document.line(found.pointer), **asdict(found))
            for found in shape_faults(document.value, language=_shape())
        ]
        if not faults:
            faults = _Checker(document, schema).faults()
        if not faults:
            return _build(document.value)
    raise MappingFaultsError(sorted(faults, key=lambda fault: (fault.line, fault.pointer)), name=name)


@lru_cache
def _shape() -> dict[str, Any]:
    """Return the JSON Schema with its references written out."""
    raw = json.loads((files("casehaven.intake") / "intake-mapping.schema.json").read_text(encoding="utf-8"))

    def written_out(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return raw["$defs"][part["$ref"].rpartition("/")[2]]
            return {key: written_out(value) for key, value in part.items()}
        return [written_out(entry) for entry in part] if isinstance(part, list) else part

    whole: dict[str, Any] = written_out(raw)
    return whole


class _Checker:
    """What a shape cannot say."""

    def __init__(self, document: Document, schema: CaseSchema) -> None:
        self._document, self._raw, self._schema = document, document.value, schema
        self._names = {attribute.name: attribute for attribute in schema.attributes}
        self._columns = set(self._raw["columns"])
        self._faults: list[Fault] = []

    def _add(self, code: str, pointer: str, found: str, expected: str, advice: str) -> None:
        line = self._document.line(pointer)
        self._faults.append(Fault(code=code, pointer=pointer, line=line, found=found, expected=expected, advice=advice))

    def faults(self) -> list[Fault]:
        """Return every fault."""
        schema, named = self._schema, self._raw["schema"]
        if (named["id"], named["version"]) != (schema.id, schema.version):
            told = f"{quoted(named['id'])} {quoted(named['version'])}"
            advice = "name the schema that the mapping was made for with --schema, or make a mapping anew"
            self._add("unknown-schema", "/schema", told, f"'{schema.id}' '{schema.version}'", advice)
            return self._faults
        seen: set[str] = set()
        for place, entry in enumerate(self._raw["attributes"]):
            self._entry(f"/attributes/{place}", entry, seen)
        if "recordKey" in self._raw:
            self._column("/recordKey", self._raw["recordKey"])
        for place, entry in enumerate(self._raw.get("leaveOut", ())):
            attribute = self._attribute(f"/leaveOut/{place}/attribute", entry["attribute"])
            for number, code in enumerate(entry["codes"] if attribute else ()):
                self._code(f"/leaveOut/{place}/codes/{number}", attribute, code)
        if "minors" in self._raw:
            attribute = self._attribute("/minors/attribute", self._raw["minors"]["attribute"])
            if attribute is not None and not attribute.bands:
                what = quoted(attribute.name)
                self._add(
                    "rule-does-not-fit", "/minors/attribute", what, "a number attribute with the age", "name that"
                )
        self._person(seen)
        return self._faults

    def _person(self, seen: set[str]) -> None:
        key, by_row = self._schema.person_key, self._raw["person"] == "row"
        if key is not None and by_row == (key in seen):
            found = "both" if by_row else "neither"
            expected = f"an entry for {quoted(key)} with 'person': 'column', or none with 'person': 'row'"
            self._add(
                "missing-field",
                "/person",
                found,
                expected,
                "say which column tells people apart, or that each row is a person",
            )

    def _entry(self, pointer: str, entry: dict[str, Any], seen: set[str]) -> None:
        attribute = self._attribute(f"{pointer}/to", entry["to"])
        for place, name in enumerate(entry["from"]):
            self._column(f"{pointer}/from/{place}", name)
        if "at" in entry:
            self._column(f"{pointer}/at", entry["at"])
        if attribute is None:
            return
        if attribute.name in seen:
            self._add(
                "mapped-twice",
                f"{pointer}/to",
                quoted(attribute.name),
                "one entry for each attribute",
                "join the two: `from` is a list",
            )
        seen.add(attribute.name)
        if attribute.derived is not None:
            self._add(
                "rule-does-not-fit",
                f"{pointer}/to",
                quoted(attribute.name),
                "an attribute that is read from records",
                f"remove the entry: it follows from {quoted(attribute.derived.attribute)} by the schema's table",
            )
        how = entry.get("how", "read")
        fits = {
            "copy": attribute.role in _COPIED,
            "read": attribute.role not in _COPIED,
            "age": bool(attribute.bands),
            "birth": attribute.periods is not None,
            "any": attribute.kind == "flag",
        }
        if not fits[how]:
            right = ", ".join(quoted(name) for name, good in fits.items() if good)
            self._add(
                "rule-does-not-fit",
                f"{pointer}/how",
                quoted(how),
                right,
                f"{quoted(attribute.name)} is of kind {attribute.kind}",
            )
        elif how in ("age", "birth") and "at" not in entry:
            self._add(
                "missing-field",
                pointer,
                "no field 'at'",
                "the column with the date at which the age is counted",
                "add 'at'",
            )
        for member in ("dates", "atDates"):
            calendar = entry.get(member, {}).get("calendar", "gregorian")
            named = self._schema.calendars
            if named and calendar not in ("gregorian", *named):
                known = ", ".join(quoted(one) for one in ("gregorian", *named))
                self._add(
                    "wrong-choice",
                    f"{pointer}/{member}/calendar",
                    quoted(calendar),
                    f"a calendar of the schema ({known})",
                    "name one of them",
                )
        for member in ("codes", "guesses"):
            for word, code in entry.get(member, {}).items():
                place = word.replace("~", "~0").replace("/", "~1")
                self._code(f"{pointer}/{member}/{place}", attribute, code)

    def _attribute(self, pointer: str, name: str) -> SchemaAttribute | None:
        if name in self._names:
            return self._names[name]
        known = ", ".join(quoted(known) for known in list(self._names)[:_LISTED])
        self._add(
            "unknown-attribute",
            pointer,
            quoted(name),
            f"an attribute of {self._schema.id} ({known}, ...)",
            "correct the name",
        )
        return None

    def _column(self, pointer: str, name: str) -> None:
        if name not in self._columns:
            self._add("wrong-choice", pointer, quoted(name), "one of the names in 'columns'", "correct the name")

    def _code(self, pointer: str, attribute: SchemaAttribute | None, code: str) -> None:
        if attribute is None or any(value.code == code for value in attribute.values):
            return
        known = (
            ", ".join(quoted(value.code) for value in attribute.values[:_LISTED]) or "none: it has no list of values"
        )
        self._add(
            "unknown-code",
            pointer,
            quoted(code),
            f"a code of {quoted(attribute.name)} ({known}, ...)",
            "correct the code",
        )


def _build(raw: dict[str, Any]) -> IntakeMapping:
    minors = raw.get("minors")
    return IntakeMapping(
        schema_id=raw["schema"]["id"],
        schema_version=raw["schema"]["version"],
        tool=raw["tool"],
        columns=tuple(raw["columns"]),
        attributes=tuple(_attribute(entry) for entry in raw["attributes"]),
        dropped=tuple(Dropped(column=entry["column"], why=entry.get("why", "")) for entry in raw["dropped"]),
        row_is_person=raw["person"] == "row",
        record_key=raw.get("recordKey"),
        left_out=tuple(
            LeftOut(attribute=entry["attribute"], codes=tuple(entry["codes"])) for entry in raw.get("leaveOut", ())
        ),
        minors=None
        if minors is None
        else MinorsRule(rule=minors["rule"], attribute=minors["attribute"], below=minors.get("below", 18)),
    )


def _attribute(entry: dict[str, Any]) -> AttributeMapping:
    return AttributeMapping(
        to=entry["to"],
        source=tuple(entry["from"]),
        how=entry.get("how", "read"),
        status=entry.get("status", "decided"),
        why=entry.get("why", ""),
        codes={normal(word): code for word, code in entry.get("codes", {}).items()},
        guesses={normal(word): code for word, code in entry.get("guesses", {}).items()},
        not_understood=tuple(entry.get("notUnderstood", ())),
        dates=_dates(entry.get("dates", {})),
        at=entry.get("at"),
        at_dates=_dates(entry.get("atDates", {})),
    )


def _dates(raw: dict[str, Any]) -> DateReading:
    return DateReading(order=raw.get("order"), calendar=raw.get("calendar", "gregorian"), pivot=raw.get("pivot", PIVOT))
