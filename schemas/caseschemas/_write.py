"""From the typed model back to a self-contained document of the schema language."""

from __future__ import annotations

from typing import Any

from caseschemas.attribute import UNLISTED_KINDS, SchemaAttribute, Value
from caseschemas.schema import FORMAT, CaseSchema


def schema_document(schema: CaseSchema) -> dict[str, Any]:
    """Write a schema out, every code list inside; parsing the result gives an equal schema."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "id": schema.id,
        "version": schema.version,
        "title": dict(schema.title),
        "languages": [{"code": language.code, "reviewed": language.reviewed} for language in schema.languages],
        "attributes": [_attribute(attribute, schema) for attribute in schema.attributes],
    }
    if schema.calendars:
        document["calendars"] = list(schema.calendars)
    if schema.description:
        document["description"] = dict(schema.description)
    if schema.person_key is not None:
        document["personKey"] = schema.person_key
    if schema.block is not None:
        document["block"] = {"attribute": schema.block.attribute, "granularity": schema.block.granularity}
    if schema.consent:
        document["consent"] = dict(schema.consent)
    if schema.groups:
        document["groups"] = [
            {
                "name": group.name,
                "labels": dict(group.labels),
                "members": list(group.members),
                "answered": group.answered,
            }
            for group in schema.groups
        ]
    if schema.hierarchies:
        document["hierarchies"] = [
            {
                "name": hierarchy.name,
                "labels": dict(hierarchy.labels),
                "attribute": hierarchy.attribute,
                "parents": [
                    {"code": parent.code, "labels": dict(parent.labels), "members": list(parent.members)}
                    for parent in hierarchy.parents
                ],
            }
            for hierarchy in schema.hierarchies
        ]
    if schema.logic:
        document["logic"] = [
            {
                "name": rule.name,
                "labels": dict(rule.labels),
                "attributes": list(rule.attributes),
                "onlyWith": {"attribute": rule.only_with.attribute, "codes": list(rule.only_with.codes)},
            }
            for rule in schema.logic
        ]
    if schema.tables:
        document["tables"] = [list(table) for table in schema.tables]
    if schema.table_percent is not None:
        document["tablePercent"] = schema.table_percent
    if schema.sources:
        document["sources"] = [
            {key: text for key in ("title", "url", "licence", "notice") if (text := getattr(source, key)) is not None}
            for source in schema.sources
        ]
    return document


def _attribute(attribute: SchemaAttribute, schema: CaseSchema) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": attribute.name,
        "kind": attribute.kind,
        "role": attribute.role,
        "labels": dict(attribute.labels),
    }
    if attribute.description:
        document["description"] = dict(attribute.description)
    if attribute.synonyms:
        document["synonyms"] = list(attribute.synonyms)
    if attribute.kind in UNLISTED_KINDS:
        return document
    known = attribute.values[attribute.first_known :]
    document["missing"] = [
        {**_value(value), "means": value.missing} for value in attribute.values[: attribute.first_known]
    ]
    document["merge"] = attribute.merge
    document["outside"] = attribute.outside
    if attribute.separators:
        document["separators"] = list(attribute.separators)
    if attribute.kind == "number":
        document["bands"] = [
            {
                **_value(value),
                **{end: number for end, number in (("from", band.low), ("to", band.high)) if number is not None},
            }
            for value, band in zip(known, attribute.bands, strict=True)
        ]
    elif attribute.periods is not None:
        periods = attribute.periods
        document["periods"] = {
            "granularity": periods.granularity,
            "from": periods.code(periods.first),
            "to": periods.code(periods.last),
        }
    else:
        document["values"] = [_value(value) for value in known]
    if attribute.derived is not None:
        source = schema.attribute(attribute.derived.attribute)
        pairs = zip(source.values, attribute.derived.codes, strict=True)
        document["derived"] = {
            "from": source.name,
            "recode": {value.code: code for value, code in pairs if value.missing is None},
        }
    return document


def _value(value: Value) -> dict[str, Any]:
    document: dict[str, Any] = {"code": value.code, "labels": dict(value.labels)}
    if value.synonyms:
        document["synonyms"] = list(value.synonyms)
    return document
