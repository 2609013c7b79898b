"""The shape of a document, checked against case-schema.schema.json or case-mapping.schema.json and explained.

Reads the part of JSON Schema 2020-12 that our file uses, so that loading needs no further package and every fault says what to do. A test
compares its verdicts with those of the `jsonschema` package on many documents, good and bad.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from caseschemas.faults import pointer_to, quoted

_TYPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "object": ("an object { }", lambda value: isinstance(value, dict)),
    "array": ("a list [ ]", lambda value: isinstance(value, list)),
    "string": ('a text in "quotes"', lambda value: isinstance(value, str)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "integer": (
        "a whole number",
        lambda value: not isinstance(value, bool) and (isinstance(value, int) or _is_whole(value)),
    ),
}


@dataclass(frozen=True, kw_only=True)
class ShapeFault:
    """A fault of shape, before it has a line."""

    code: str
    """What kind of fault."""
    pointer: str
    """Where."""
    found: str
    """What stands there."""
    expected: str
    """What may stand there."""
    advice: str
    """What to do about it."""


@lru_cache
def language_schema() -> dict[str, Any]:
    """The JSON Schema of the schema language."""
    schema: dict[str, Any] = json.loads((files("caseschemas") / "case-schema.schema.json").read_text("utf-8"))
    return schema


@lru_cache
def mapping_schema() -> dict[str, Any]:
    """The JSON Schema of mappings, with what it refers to written out."""
    schema: dict[str, Any] = json.loads((files("caseschemas") / "case-mapping.schema.json").read_text("utf-8"))
    parts = schema.pop("$defs")

    def written_out(part: Any) -> Any:
        if isinstance(part, list):
            return [written_out(entry) for entry in part]
        if not isinstance(part, dict):
            return part
        beside = {key: written_out(entry) for key, entry in part.items() if key != "$ref"}
        return {**written_out(parts[part["$ref"].removeprefix("#/$defs/")]), **beside} if "$ref" in part else beside

    whole: dict[str, Any] = written_out(schema)
    return whole


def shape_faults(value: Any, pointer: str = "", *, language: Mapping[str, Any] | None = None) -> list[ShapeFault]:
    """Every fault of shape in a document: a case schema, or what else `language` describes."""
    return list(_faults(value, language_schema() if language is None else language, pointer))


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _resolved(schema: Any) -> Any:
    """The schema with its reference followed; what stands beside the reference comes first."""
    while isinstance(schema, dict) and "$ref" in schema:
        beside = {key: entry for key, entry in schema.items() if key != "$ref"}
        schema = {**language_schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")], **beside}
    return schema


def _expected(schema: Mapping[str, Any]) -> str:
    """What a schema wants, in words."""
    if "x-expected" in schema:
        return str(schema["x-expected"])
    if "const" in schema:
        return quoted(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(quoted(choice) for choice in schema["enum"])
    return _TYPES[schema["type"]][0]


def _example(schema: Mapping[str, Any]) -> str:
    example = schema.get("examples", [None])[0]
    return f", for example {json.dumps(example, ensure_ascii=False)}" if example else ""


def _faults(
    value: Any, schema: Any, pointer: str, fields: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[ShapeFault]:
    """The faults of one place; a schema that only adds a condition is told the fields that the place may have."""
    schema = _resolved(schema)
    if schema is False:
        yield ShapeFault(
            code="misplaced-field", pointer=pointer, found=quoted(value), expected="nothing", advice="remove it"
        )
        return
    types = schema.get("type", [])
    if types and not any(_TYPES[name][1](value) for name in ([types] if isinstance(types, str) else types)):
        advice = "replace it" + _example(schema)
        yield ShapeFault(
            code="wrong-type", pointer=pointer, found=quoted(value), expected=_expected(schema), advice=advice
        )
        return
    if "const" in schema and value != schema["const"]:
        advice = f"write {quoted(schema['const'])}, or use the version of Casehaven that made the file"
        yield ShapeFault(
            code="wrong-format", pointer=pointer, found=quoted(value), expected=quoted(schema["const"]), advice=advice
        )
    if "enum" in schema and value not in schema["enum"]:
        close = get_close_matches(value.casefold(), schema["enum"], 1) if isinstance(value, str) else []
        advice = f"did you mean {quoted(close[0])}?" if close else "choose one of them"
        yield ShapeFault(
            code="wrong-choice", pointer=pointer, found=quoted(value), expected=_expected(schema), advice=advice
        )
    if isinstance(value, str):
        yield from _text_faults(value, schema, pointer)
    elif isinstance(value, list):
        yield from _list_faults(value, schema, pointer)
    elif isinstance(value, dict):
        yield from _object_faults(value, schema, pointer, fields)
    elif not isinstance(value, bool) and value is not None:
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high:
            found, expected = quoted(value), f"a whole number from {low} to {high}"
            yield ShapeFault(
                code="wrong-number",
                pointer=pointer,
                found=found,
                expected=expected,
                advice="write a number within the limits",
            )
    fields = {**fields, **schema.get("properties", {})}
    for part in schema.get("allOf", ()):
        yield from _faults(value, part, pointer, fields)
    if "if" in schema:
        met = next(_faults(value, schema["if"], pointer), None) is None
        branch = schema.get("then" if met else "else")
        if branch is not None:
            yield from _faults(value, branch, pointer, fields)


def _text_faults(value: str, schema: Mapping[str, Any], pointer: str) -> Iterator[ShapeFault]:
    wrong = len(value) < schema.get("minLength", 0) or len(value) > schema.get("maxLength", len(value))
    # JSON Schema's $ is the end of the text; Python's also matches before a last line break
    if wrong or "pattern" in schema and re.search(re.sub(r"\$$", r"\\Z", schema["pattern"]), value) is None:
        advice = "change it" + _example(schema)
        yield ShapeFault(
            code="wrong-text", pointer=pointer, found=quoted(value), expected=_expected(schema), advice=advice
        )


def _list_faults(value: list[Any], schema: Mapping[str, Any], pointer: str) -> Iterator[ShapeFault]:
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    if len(value) < low or high is not None and len(value) > high:
        expected = f"at least {low}" if high is None else f"from {low} to {high} entries"
        advice = "add an entry" + _example(schema) if len(value) < low else "remove entries"
        yield ShapeFault(code="wrong-length", pointer=pointer, found=quoted(value), expected=expected, advice=advice)
    seen: set[str] = set()
    for position, item in enumerate(value):
        if schema.get("uniqueItems") and isinstance(item, str):
            if item in seen:
                yield ShapeFault(
                    code="repeated-item",
                    pointer=f"{pointer}/{position}",
                    found=f"{quoted(item)} for the second time",
                    expected="each entry once",
                    advice="remove one of the two",
                )
            seen.add(item)
        if "items" in schema:
            yield from _faults(item, schema["items"], f"{pointer}/{position}")


def _object_faults(
    value: dict[str, Any], schema: Mapping[str, Any], pointer: str, fields: Mapping[str, Any]
) -> Iterator[ShapeFault]:
    properties = schema.get("properties", {})
    if len(value) < schema.get("minProperties", 0):
        advice = "add one" + _example(schema)
        yield ShapeFault(
            code="wrong-length", pointer=pointer, found=quoted(value), expected="at least one field", advice=advice
        )
    for name in schema.get("required", ()):
        if name not in value:
            wanted = _resolved(properties.get(name) or fields.get(name, {}))
            yield ShapeFault(
                code="missing-field",
                pointer=pointer,
                found=f"no field {quoted(name)}",
                expected=f"a field {quoted(name)}"
                + (f" ({wanted['description'].rstrip('.')})" if "description" in wanted else ""),
                advice="add it" + _example(wanted),
            )
    for key, entry in value.items():
        place = pointer + pointer_to(key)
        if "propertyNames" in schema:
            names = _resolved(schema["propertyNames"])
            if next(_text_faults(key, names, place), None) is not None:
                advice = "rename it" + _example(names)
                yield ShapeFault(
                    code="wrong-text",
                    pointer=place,
                    found=f"the name {quoted(key)}",
                    expected=_expected(names),
                    advice=advice,
                )
        if properties.get(key) is False:
            yield ShapeFault(
                code="misplaced-field",
                pointer=place,
                found=f"a field {quoted(key)}",
                expected=f"no such field beside {_beside(value, key)}",
                advice="remove it, or change what it contradicts",
            )
        elif key in properties:
            yield from _faults(entry, properties[key], place)
        elif schema.get("additionalProperties") is False:
            close = get_close_matches(key, properties, 1, 0.7)
            yield ShapeFault(
                code="unknown-field",
                pointer=place,
                found=f"a field {quoted(key)}",
                expected="only " + ", ".join(sorted(properties)),
                advice=f"did you mean {quoted(close[0])}?" if close else "remove it",
            )
        elif "additionalProperties" in schema:
            yield from _faults(entry, schema["additionalProperties"], place)


def _beside(value: Mapping[str, Any], key: str) -> str:
    """What a misplaced field contradicts."""
    if key == "values" and "codelist" in value:
        return "'codelist'"
    return "'level'" if key == "parents" else f"kind {quoted(value.get('kind'))}"
