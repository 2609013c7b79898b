"""Every fault of a mapping document, explained: shape first, then what refers to the two schemas."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from caseschemas._document import Document, read_document
from caseschemas._shape import mapping_schema, shape_faults
from caseschemas.attribute import UNLISTED_KINDS, SchemaAttribute
from caseschemas.errors import UnknownSchemaError
from caseschemas.faults import Fault, pointer_to, quoted
from caseschemas.labels import Labels
from caseschemas.load import load_schema, shipped_schema_ids
from caseschemas.mapping import CaseMapping, ColumnMapping, LeaveOut
from caseschemas.schema import CaseSchema, Source

FITTING = {
    "copy": ({"category", "flag", "number", "date", "country"}, {"category", "flag", "number", "date", "country"}),
    "recode": ({"category", "flag", "number", "date", "country"}, {"category", "flag", "number", "date", "country"}),
    "any": ({"category", "multi", "flag", "number", "date", "country"}, {"flag"}),
    "age": ({"number"}, {"number"}),
}
"""Per rule: the kinds of the attribute that is read and of the one that is filled."""


def checked_mapping(raw: bytes) -> tuple[CaseMapping | None, tuple[Fault, ...]]:
    """Read a mapping; one comes back exactly if there are no faults. Never raises on any bytes."""
    document, faults = read_document(raw)
    if document is None or faults:
        return None, tuple(faults)
    shape = shape_faults(document.value, language=mapping_schema())
    if shape:
        foreign = [fault for fault in shape if fault.code == "wrong-format"]
        return None, _sorted(Fault(line=document.line(found.pointer), **asdict(found)) for found in foreign or shape)
    checker = _MappingChecker(document)
    source, target = checker.schema("from"), checker.schema("to")
    if source is not None and target is not None:
        checker.check(source, target)
    if checker.faults or source is None or target is None:
        return None, _sorted(checker.faults)
    return _build(document.value, source, target), ()


def _sorted(faults: Any) -> tuple[Fault, ...]:
    return tuple(sorted(set(faults), key=lambda fault: (fault.line, fault.pointer, fault.code, fault.found)))


class _MappingChecker:
    """A mapping of sound shape under check, and the faults found so far."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._raw: dict[str, Any] = document.value
        self.faults: list[Fault] = []

    def _add(self, code: str, pointer: str, *, found: str, expected: str, advice: str) -> None:
        line = self._document.line(pointer)
        self.faults.append(Fault(code=code, pointer=pointer, line=line, found=found, expected=expected, advice=advice))

    def _unknown(self, code: str, pointer: str, name: str, known: Collection[str], what: str) -> None:
        close = get_close_matches(name, known, 1, 0.6) if len(known) <= 500 else []
        advice = f"did you mean {quoted(close[0])}?" if close else "correct it, or remove it"
        self._add(code, pointer, found=quoted(name), expected=what, advice=advice)

    def schema(self, end: str) -> CaseSchema | None:
        """The schema at one end; a fault if it is not shipped in this version."""
        wanted = self._raw[end]
        try:
            if wanted["schema"] not in shipped_schema_ids():
                raise UnknownSchemaError(wanted["schema"])
            schema = load_schema(wanted["schema"])
        except UnknownSchemaError:
            self._unknown(
                "unknown-schema", pointer_to(end, "schema"), wanted["schema"], shipped_schema_ids(), "a shipped schema"
            )
            return None
        if schema.version != wanted["version"]:
            self._add(
                "unknown-schema",
                pointer_to(end, "version"),
                found=quoted(wanted["version"]),
                expected=f"version {quoted(schema.version)} of {schema.id}, which is shipped",
                advice="look through the changes of the schema, then write its version",
            )
            return None
        return schema

    def check(self, source: CaseSchema, target: CaseSchema) -> None:
        """Check every entry."""
        for position, raw in enumerate(self._raw.get("leaveOut", ())):
            attribute = self._attribute(source, raw["attribute"], pointer_to("leaveOut", position, "attribute"))
            if attribute is not None:
                self._codes(attribute, raw["codes"], pointer_to("leaveOut", position, "codes"))
        seen: set[str] = set()
        for position, raw in enumerate(self._raw["columns"]):
            pointer = pointer_to("columns", position)
            filled = self._attribute(target, raw["to"], f"{pointer}/to")
            if raw["to"] in seen:
                self._add(
                    "mapped-twice",
                    f"{pointer}/to",
                    found=f"a second entry for {quoted(raw['to'])}",
                    expected="one entry",
                    advice="remove one of the two",
                )
            seen.add(raw["to"])
            if filled is not None:
                self._coverage(filled, raw, pointer)
                self._column(filled, raw, source, pointer)
        for attribute in target.attributes:
            if attribute.name not in seen:
                self._add(
                    "unmapped-column",
                    "/columns",
                    found=f"no entry for {quoted(attribute.name)}",
                    expected=f"one entry for each attribute of {target.id}",
                    advice="add it; the rule blank says that nothing fills it",
                )

    def _attribute(self, schema: CaseSchema, name: str, pointer: str) -> SchemaAttribute | None:
        for attribute in schema.attributes:
            if attribute.name == name:
                return attribute
        names = [attribute.name for attribute in schema.attributes]
        self._unknown("unknown-attribute", pointer, name, names, f"an attribute of {schema.id}")
        return None

    def _codes(self, attribute: SchemaAttribute, codes: Collection[str], pointer: str) -> None:
        """Codes exist in the attribute."""
        known = [value.code for value in attribute.values]
        for position, code in enumerate(codes):
            if code not in known:
                place = f"{pointer}{pointer_to(position)}"
                self._unknown("unknown-code", place, code, known, f"a code of {quoted(attribute.name)}")

    def _coverage(self, filled: SchemaAttribute, raw: Mapping[str, Any], pointer: str) -> None:
        if (filled.role == "analysis") != ("coverage" in raw):
            self._add(
                "no-coverage",
                pointer,
                found="coverage" if "coverage" in raw else "no coverage",
                expected=f"{'a' if filled.role == 'analysis' else 'no'} coverage for the role {quoted(filled.role)}",
                advice="say full, part or missing for attributes for analysis, and nothing for others",
            )

    def _column(self, filled: SchemaAttribute, raw: Mapping[str, Any], source: CaseSchema, pointer: str) -> None:
        if raw["rule"] == "blank":
            return
        attribute = self._attribute(source, raw["from"], f"{pointer}/from")
        if attribute is None:
            return
        if attribute.role != filled.role or attribute.role == "text":
            self._add(
                "role-crossed",
                f"{pointer}/from",
                found=f"{quoted(attribute.name)} with the role {quoted(attribute.role)}",
                expected=f"an attribute with the role {quoted(filled.role)}"
                if filled.role != "text"
                else "the rule blank",
                advice="read another attribute, or use the rule blank",
            )
            return
        unlisted = attribute.kind in UNLISTED_KINDS
        fits = raw["rule"] == "copy" and attribute.kind == filled.kind
        if not unlisted:
            kinds = FITTING[raw["rule"]]
            fits = attribute.kind in kinds[0] and filled.kind in kinds[1]
        if not fits:
            self._add(
                "rule-does-not-fit",
                f"{pointer}/rule",
                found=f"{quoted(raw['rule'])} from kind {quoted(attribute.kind)} to kind {quoted(filled.kind)}",
                expected="a rule that fits both kinds (see docs/spec/schema.md)",
                advice="use another rule, or read another attribute",
            )
            return
        if raw["rule"] == "any":
            self._codes(attribute, raw["codes"], f"{pointer}/codes")
        if raw["rule"] == "recode":
            self._recode(attribute, filled, raw["recode"], f"{pointer}/recode")
        if raw["rule"] == "age":
            self._age(source, raw, pointer)

    def _recode(
        self, attribute: SchemaAttribute, filled: SchemaAttribute, recode: Mapping[str, str], pointer: str
    ) -> None:
        known = [value.code for value in attribute.values]
        places = [value.code for value in filled.values]
        for code, becomes in recode.items():
            place = pointer + pointer_to(code)
            if code not in known:
                self._unknown("unknown-code", place, code, known, f"a code of {quoted(attribute.name)}")
            if becomes and becomes not in places:
                self._unknown("unknown-code", place, becomes, places, f"a code of {quoted(filled.name)}, or nothing")
        for value in attribute.values[attribute.first_known :]:
            if value.code not in recode:
                self._add(
                    "unmapped-code",
                    pointer,
                    found=f"no entry for {quoted(value.code)}",
                    expected=f"an entry for every ordinary value of {quoted(attribute.name)}",
                    advice='add it; an empty text ("") says that it becomes not known',
                )

    def _age(self, source: CaseSchema, raw: Mapping[str, Any], pointer: str) -> None:
        for end, kinds in (("born", {"identifier", "date"}), ("at", {"date"})):
            attribute = self._attribute(source, raw[end], f"{pointer}/{end}")
            if attribute is not None and (
                attribute.kind not in kinds or attribute.role not in ("identifier", "analysis")
            ):
                self._add(
                    "rule-does-not-fit",
                    f"{pointer}/{end}",
                    found=f"{quoted(attribute.name)} of kind {quoted(attribute.kind)}",
                    expected="a date" if end == "at" else "a date, or an identifier that holds one",
                    advice="read another attribute",
                )


def _build(raw: Mapping[str, Any], source: CaseSchema, target: CaseSchema) -> CaseMapping:
    entries = {entry["to"]: entry for entry in raw["columns"]}
    return CaseMapping(
        id=raw["id"],
        version=raw["version"],
        title=Labels(raw["title"]),
        description=Labels(raw.get("description", {})),
        source=source,
        target=target,
        columns=tuple(_column(entries[attribute.name]) for attribute in target.attributes),
        leave_out=tuple(
            LeaveOut(attribute=entry["attribute"], codes=tuple(entry["codes"]), note=Labels(entry["note"]))
            for entry in raw.get("leaveOut", ())
        ),
        sources=tuple(Source(**entry) for entry in raw.get("sources", ())),
    )


def _column(entry: Mapping[str, Any]) -> ColumnMapping:
    return ColumnMapping(
        to=entry["to"],
        rule=entry["rule"],
        source=entry.get("from"),
        recode=dict(entry.get("recode", {})),
        codes=tuple(entry.get("codes", ())),
        born=entry.get("born"),
        at=entry.get("at"),
        coverage=entry.get("coverage"),
        note=Labels(entry.get("note", {})),
    )
