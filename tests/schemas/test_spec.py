"""docs/spec/schema.md describes the whole language: every field, kind, rule, role, word and fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from itertools import combinations
from typing import Any

import pytest

from caseschemas import (
    FAULT_CODES,
    MAPPING_FAULT_CODES,
    CaseSchema,
    load_schema,
    schema_faults,
    shipped_mapping_ids,
    shipped_schema_ids,
)
from caseschemas._shape import language_schema, mapping_schema, shape_faults
from caseschemas.attribute import MERGES, ROLES
from caseschemas.cells import NO_WORDS, YES_WORDS


def fields(schema: Any) -> Iterator[tuple[str, bool, str]]:
    """Name, whether required, and description of every field of every object of the language."""
    if not isinstance(schema, dict):
        return
    if schema.get("additionalProperties") is False:
        for name, field in schema["properties"].items():
            described = field
            while "description" not in described:
                described = language_schema()["$defs"][described["$ref"].removeprefix("#/$defs/")]
            yield name, name in schema["required"], described["description"]
    for key in ("properties", "$defs"):
        for entry in schema.get(key, {}).values():
            yield from fields(entry)
    yield from fields(schema.get("items"))


def test_every_field_of_the_language_is_in_the_specification(spec: str) -> None:
    rows = [line for line in spec.splitlines() if line.startswith("| `")]
    everything = list(fields(language_schema()))
    assert len(everything) > 60
    for name, required, description in everything:
        start = f"| `{name}` | {'yes' if required else ''} |"
        assert any(row.startswith(start) and row.endswith(f"| {description} |") for row in rows), (name, description)


def test_every_kind_of_fault_is_in_the_specification(spec: str) -> None:
    for code, meaning in FAULT_CODES.items():
        assert f"| `{code}` | {meaning} |" in spec


@pytest.mark.parametrize("kind", sorted(MERGES))
def test_table_of_kinds_says_which_rules_and_roles_fit(spec: str, kind: str) -> None:
    (row,) = [line for line in spec.splitlines() if line.startswith(f"| `{kind}` | ") and line.count("|") == 6]
    cells = [cell.strip() for cell in row.split("|")]
    assert set(cells[4].split(", ")) == (set(MERGES[kind]) or {"none"})
    assert set(cells[5].split(", ")) == set(ROLES[kind])


def test_specification_lists_the_words_of_yes_and_no(spec: str) -> None:
    (line,) = [line for line in spec.splitlines() if line.startswith("- **flag**")]
    assert set(line.split("`")[1].split()) == YES_WORDS
    assert set(line.split("`")[3].split()) == NO_WORDS


def test_example_of_the_specification_has_no_faults(example_text: str) -> None:
    assert schema_faults(example_text) == ()


def test_example_of_the_specification_uses_every_kind_role_and_merge_rule(example_schema: CaseSchema) -> None:
    attributes = example_schema.attributes
    assert {attribute.kind for attribute in attributes} == set(MERGES)
    assert {attribute.role for attribute in attributes} == frozenset().union(*ROLES.values())
    assert {attribute.merge for attribute in attributes} - {None} == frozenset().union(*MERGES.values())
    assert {value.missing for attribute in attributes for value in attribute.values} == {
        None,
        "unknown",
        "not_asked",
        "no",
    }
    assert example_schema.groups and example_schema.hierarchies and example_schema.logic and example_schema.consent


def test_every_field_of_a_mapping_is_in_the_specification(spec: str) -> None:
    rows = [line for line in spec.splitlines() if line.startswith("| `")]
    everything = list(fields(mapping_schema()))
    assert len(everything) > 25
    for name, required, description in everything:
        start = f"| `{name}` | {'yes' if required else ''} |"
        assert any(row.startswith(start) and row.endswith(f"| {description} |") for row in rows), (name, description)


def test_every_kind_of_fault_of_a_mapping_is_in_the_specification(spec: str) -> None:
    for code, meaning in MAPPING_FAULT_CODES.items():
        assert f"| `{code}` | {meaning} |" in spec


def test_every_shipped_schema_and_mapping_is_in_the_specification(spec: str) -> None:
    for schema_id in shipped_schema_ids():
        assert f"| `{schema_id}` | {len(load_schema(schema_id).analysis)} |" in spec
    for mapping_id in shipped_mapping_ids():
        assert f"`{mapping_id}`" in spec


def test_example_of_a_mapping_is_the_shipped_one_cut_short(spec: str) -> None:
    example = json.loads(spec.split("## Mappings")[1].split("```json\n")[1].split("```")[0])
    shipped = json.loads((files("caseschemas") / "mappings" / f"{example['id']}.json").read_text("utf-8"))
    assert shape_faults(example, language=mapping_schema()) == []
    entries = {entry["to"]: entry for entry in shipped["columns"]}
    for entry in example["columns"]:
        assert {**entry, "note": None} == {**entries[entry["to"]], "note": None}
    assert [entry["codes"] for entry in example["leaveOut"]] == [entry["codes"] for entry in shipped["leaveOut"]]
    assert {key: example[key] for key in ("format", "version", "from", "to")} == {
        key: shipped[key] for key in ("format", "version", "from", "to")
    }


def test_specification_says_how_many_pair_cells_htcds_has(spec: str) -> None:
    sizes = [
        size
        for attribute in load_schema("htcds-2.0").analysis
        for size in (
            [2] * (len(attribute.values) - attribute.first_known)
            if attribute.kind == "multi"
            else [len(attribute.values)]
        )
    ]
    cells = sum(first * second for first, second in combinations(sizes, 2))
    assert cells < 2_000_000
    assert f"{cells:,}" in spec.replace("\n", " ")
