"""Our reading of case-schema.schema.json agrees with the jsonschema package, on good documents and on thousands of broken ones."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caseschemas import load_schema
from caseschemas._shape import language_schema, shape_faults

ODD_VALUES: list[Any] = [
    None, True, False, 0, 1, -3, 2.0, 2.5, 10**16, "", "a", "A b", " a", "a\tb", "en", "x" * 201, "min", "date", "1.0.0",
    [], {}, ["a"], ["a", "a"], [1], {"en": "x"}, {"xx-yy": ""}, {"code": "a", "labels": {"en": "x"}},
]  # fmt: skip


def places(value: Any, steps: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document."""
    found = [steps]
    if isinstance(value, dict):
        for key, entry in value.items():
            found += places(entry, (*steps, key))
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            found += places(entry, (*steps, position))
    return found


def broken(document: dict[str, Any], chance: random.Random) -> Any:
    """A copy of the document with one to three places removed, replaced, doubled, renamed or added."""
    copied: Any = copy.deepcopy(document)
    for _ in range(chance.randint(1, 3)):
        steps = chance.choice(places(copied))
        if not steps:
            continue
        holder: Any = copied
        for step in steps[:-1]:
            holder = holder[step]
        last: Any = steps[-1]
        match chance.choice(["remove", "replace", "double", "add", "swap"]):
            case "remove":
                del holder[last]
            case "replace":
                holder[last] = chance.choice(ODD_VALUES)
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case "add" if isinstance(holder[last], dict):
                holder[last][chance.choice(["labels", "code", "values", "level", "bands", "odd"])] = chance.choice(
                    ODD_VALUES
                )
            case _:
                other: Any = copied
                for step in (path := chance.choice(places(copied))):
                    other = other[step]
                if path[: len(steps)] != steps and steps[: len(path)] != path:
                    holder[last] = copy.deepcopy(other)
    return copied


def verdicts(document: Any) -> tuple[bool, bool]:
    """Whether the jsonschema package and whether we find the shape right."""
    schema = language_schema()
    return jsonschema.Draft202012Validator(schema).is_valid(document), not shape_faults(document)


def test_language_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(language_schema())


def test_language_schema_uses_only_the_keywords_that_we_read() -> None:
    read = {
        "$ref", "type", "const", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "properties", "required",
        "additionalProperties", "propertyNames", "minProperties", "items", "minItems", "maxItems", "uniqueItems", "allOf", "if",
        "then", "else",
    }  # fmt: skip
    silent = {"$schema", "$id", "$defs", "title", "description", "examples", "x-expected"}

    def keywords(schema: Any) -> set[str]:
        if not isinstance(schema, dict):
            return set()
        found = set(schema)
        for key in ("properties", "$defs"):
            for entry in schema.get(key, {}).values():
                found |= keywords(entry)
        for key in ("additionalProperties", "propertyNames", "items", "if", "then", "else"):
            found |= keywords(schema.get(key))
        for entry in schema.get("allOf", ()):
            found |= keywords(entry)
        return found

    assert keywords(language_schema()) == read | silent


def test_shipped_schema_has_the_right_shape_for_both() -> None:
    assert verdicts(load_schema("ctdc-global").document()) == (True, True)


@pytest.mark.parametrize("seed", range(8))
def test_broken_documents_get_the_same_verdict_from_both(example: dict[str, Any], seed: int) -> None:
    chance = random.Random(seed)
    refused = 0
    for _ in range(100):
        document = broken(example, chance)
        theirs, ours = verdicts(document)
        assert theirs == ours, json.dumps(document)
        refused += not ours
    assert refused > 30, "the documents must be broken often enough to show something"


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(sorted(language_schema()["properties"])), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
def test_arbitrary_json_gets_the_same_verdict_from_both(document: Any) -> None:
    theirs, ours = verdicts(document)
    assert theirs == ours
