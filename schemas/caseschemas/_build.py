"""From a faultless document to the typed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from caseschemas.attribute import UNLISTED_KINDS, Band, Derivation, SchemaAttribute, Value
from caseschemas.codelist import CodeList, codelist_of, shipped_codelist, value_of
from caseschemas.labels import Labels
from caseschemas.periods import Periods, parse_period
from caseschemas.schema import BlockSpec, CaseSchema, Condition, Group, Hierarchy, Language, Parent, Rule, Source


def build_schema(document: Mapping[str, Any]) -> CaseSchema:
    """Build the model of a document in which no fault was found."""
    languages = tuple(Language(code=raw["code"], reviewed=raw["reviewed"]) for raw in document["languages"])
    block = document.get("block")
    hierarchies = tuple(_hierarchy(raw, document) for raw in document.get("hierarchies", ()))
    percent = document.get("tablePercent")
    return CaseSchema(
        id=document["id"],
        version=document["version"],
        title=Labels(document["title"]),
        description=Labels(document.get("description", {})),
        languages=languages,
        calendars=tuple(document.get("calendars", ())),
        attributes=_with_derivations(
            tuple(build_attribute(raw, document) for raw in document["attributes"]), document, hierarchies
        ),
        person_key=document.get("personKey"),
        block=None if block is None else BlockSpec(attribute=block["attribute"], granularity=block["granularity"]),
        consent=dict(document.get("consent", {})),
        groups=tuple(
            Group(
                name=raw["name"],
                labels=Labels(raw["labels"]),
                members=tuple(raw["members"]),
                answered=raw.get("answered", "any"),
            )
            for raw in document.get("groups", ())
        ),
        hierarchies=hierarchies,
        logic=tuple(
            Rule(
                name=raw["name"],
                labels=Labels(raw["labels"]),
                attributes=tuple(raw["attributes"]),
                only_with=Condition(attribute=raw["onlyWith"]["attribute"], codes=tuple(raw["onlyWith"]["codes"])),
            )
            for raw in document.get("logic", ())
        ),
        tables=tuple(tuple(table) for table in document.get("tables", ())),
        table_percent=_whole(percent),
        sources=tuple(Source(**raw) for raw in document.get("sources", ())),
    )


def _with_derivations(
    attributes: tuple[SchemaAttribute, ...], document: Mapping[str, Any], hierarchies: tuple[Hierarchy, ...]
) -> tuple[SchemaAttribute, ...]:
    """Return the attributes, those that are derived with their tables."""
    by_name = {attribute.name: attribute for attribute in attributes}
    found = []
    for attribute, raw in zip(attributes, document["attributes"], strict=True):
        if "derived" in raw:
            source = by_name[raw["derived"]["from"]]
            if "hierarchy" in raw["derived"]:
                name = raw["derived"]["hierarchy"]
                recode = next(each for each in hierarchies if each.name == name).parent_of
            else:
                recode = raw["derived"]["recode"]
            attribute = replace(attribute, derived=_derivation(attribute, source, recode))
        found.append(attribute)
    return tuple(found)


def _derivation(attribute: SchemaAttribute, source: SchemaAttribute, recode: Mapping[str, str]) -> Derivation:
    """A missing value of the source becomes the first missing value of the same meaning, else the blank value."""
    blank = attribute.values[attribute.blank].code
    missing = {value.missing: value.code for value in reversed(attribute.values) if value.missing is not None}
    codes = [
        missing.get(value.missing, blank) if value.missing is not None else recode[value.code] or blank
        for value in source.values
    ]
    return Derivation(attribute=source.name, codes=tuple(codes))


def resolve_codelist(name: str, document: Mapping[str, Any]) -> CodeList:
    """The code list of this name: one of the document's own, else a shipped one.

    Raises:
        KeyError: there is no such code list.
    """
    own = document.get("codelists", {}).get(name)
    return _in_declared_languages(shipped_codelist(name), document) if own is None else codelist_of(own)


def _in_declared_languages(codelist: CodeList, document: Mapping[str, Any]) -> CodeList:
    """A shipped code list with labels in the languages of the schema; its labels in other languages stay as synonyms."""
    languages = [language["code"] for language in document["languages"]]

    def declared(labels: Labels) -> Labels:
        kept = {language: labels[language] for language in languages if language in labels}
        return Labels(kept if languages[0] in kept else {languages[0]: labels.text(languages[0]), **kept})

    def value(shipped: Value) -> Value:
        labels = declared(shipped.labels)
        others = [word for word in shipped.words[1:] if word not in labels.values()]
        return replace(shipped, labels=labels, synonyms=tuple(dict.fromkeys([*shipped.synonyms, *others])))

    levels = tuple(
        replace(level, parents=tuple((code, declared(labels), members) for code, labels, members in level.parents))
        for level in codelist.levels
    )
    return CodeList(values=tuple(value(shipped) for shipped in codelist.values), levels=levels)


def missing_values(raw: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[Value, ...]:
    """The missing values of an attribute; a text names one that the document defines for all."""
    shared = document.get("missing", {})
    return tuple(value_of(shared[entry] if isinstance(entry, str) else entry) for entry in raw["missing"])


def build_attribute(raw: Mapping[str, Any], document: Mapping[str, Any]) -> SchemaAttribute:
    """Build one attribute."""
    head: dict[str, Any] = {"name": raw["name"], "kind": raw["kind"], "role": raw["role"]}
    head |= {"labels": Labels(raw["labels"]), "description": Labels(raw.get("description", {}))}
    head["synonyms"] = tuple(raw.get("synonyms", ()))
    if raw["kind"] in UNLISTED_KINDS:
        return SchemaAttribute(**head)
    missing = missing_values(raw, document)
    bands: tuple[Band, ...] = ()
    periods = None
    if raw["kind"] == "number":
        bands = tuple(Band(low=_whole(band.get("from")), high=_whole(band.get("to"))) for band in raw["bands"])
        values = tuple(
            Value(
                code=band["code"],
                labels=Labels(band["labels"]) if "labels" in band else _same_everywhere(band["code"], document),
                synonyms=tuple(band.get("synonyms", ())),
            )
            for band in raw["bands"]
        )
    elif raw["kind"] == "date":
        periods = build_periods(raw["periods"])
        values = tuple(Value(code=code, labels=_same_everywhere(code, document)) for code in periods.codes())
    elif "codelist" in raw:
        values = resolve_codelist(raw["codelist"], document).values
    else:
        values = tuple(value_of(value) for value in raw["values"])
    return SchemaAttribute(
        **head,
        values=missing + values,
        merge=raw["merge"],
        outside=raw.get("outside", missing[0].code),
        separators=tuple(raw.get("separators", ())),
        bands=bands,
        periods=periods,
    )


def build_periods(raw: Mapping[str, Any]) -> Periods:
    """Build the periods of a date attribute.

    Raises:
        ValueError: an end is not a period of the granularity, or the ends are the wrong way round.
    """
    first, last = parse_period(raw["from"], raw["granularity"]), parse_period(raw["to"], raw["granularity"])
    if first is None or last is None or last < first:
        raise ValueError("periods need two ends in order")
    return Periods(granularity=raw["granularity"], first=first, last=last)


def _whole(number: float | None) -> int | None:
    """A whole number; JSON may write one as `8.0`."""
    return None if number is None else int(number)


def _same_everywhere(code: str, document: Mapping[str, Any]) -> Labels:
    return Labels({language["code"]: code for language in document["languages"]})


def _hierarchy(raw: Mapping[str, Any], document: Mapping[str, Any]) -> Hierarchy:
    if "parents" in raw:
        parents = tuple(
            Parent(code=parent["code"], labels=Labels(parent["labels"]), members=tuple(parent["members"]))
            for parent in raw["parents"]
        )
    else:
        owner = next(attribute for attribute in document["attributes"] if attribute["name"] == raw["attribute"])
        level = resolve_codelist(owner["codelist"], document).level(raw["level"])
        assert level is not None  # the checks have seen it
        parents = tuple(Parent(code=code, labels=labels, members=members) for code, labels, members in level.parents)
    return Hierarchy(name=raw["name"], labels=Labels(raw["labels"]), attribute=raw["attribute"], parents=parents)
