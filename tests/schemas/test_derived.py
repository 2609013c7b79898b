"""Attributes that follow from others by a public table, and tables that matter, in the schema language."""

from __future__ import annotations

from typing import Any

import pytest

from caseschemas import CaseSchema, parse_schema

BANDS = {"0-17": "minor", "18-59": "adult", "60+": ""}


def _with(example: dict[str, Any], name: str, derived: dict[str, Any], **fields: Any) -> CaseSchema:
    attribute = {
        "name": name,
        "kind": "category",
        "role": "analysis",
        "labels": {"en": name},
        "values": [{"code": code, "labels": {"en": code}} for code in ("minor", "adult")],
        "missing": ["notAsked", "no"],
        "merge": "agree",
        "derived": derived,
        **fields,
    }
    example["attributes"].append(attribute)
    return parse_schema(example)


def test_a_missing_value_of_the_source_keeps_its_meaning_or_becomes_blank(example: dict[str, Any]) -> None:
    found = _with(example, "adulthood", {"from": "age", "recode": BANDS}).attribute("adulthood").derived
    assert found is not None
    assert found.attribute == "age"
    # age has the missing value unknown, which this attribute lacks: blank. An empty text is the blank value too.
    assert found.codes == ("not_asked", "minor", "adult", "not_asked")


@pytest.mark.parametrize("derived", [{"hierarchy": "minor"}, {"recode": {**BANDS, "60+": "adult"}}])
def test_a_hierarchy_and_its_table_written_out_say_the_same(example: dict[str, Any], derived: dict[str, Any]) -> None:
    found = _with(example, "adulthood", {"from": "age", **derived}).attribute("adulthood").derived
    assert found is not None
    assert found.codes == ("not_asked", "minor", "adult", "adult")


def test_a_level_of_a_shipped_code_list_can_be_derived(example: dict[str, Any]) -> None:
    regions = [parent.code for parent in parse_schema(example).hierarchies[0].parents]
    values = [{"code": code, "labels": {"en": code}} for code in regions]
    schema = _with(example, "regionFrom", {"from": "from", "hierarchy": "region"}, values=values)
    derived, source = schema.attribute("regionFrom").derived, schema.attribute("from")
    assert derived is not None
    parents = schema.hierarchies[0].parent_of
    for value, code in zip(source.values, derived.codes, strict=True):
        assert value.missing is not None or code == parents[value.code]


def test_a_derived_attribute_is_counted_and_not_recorded(example: dict[str, Any]) -> None:
    schema = _with(example, "adulthood", {"from": "age", "recode": BANDS})
    assert "adulthood" in {attribute.name for attribute in schema.analysis}
    assert "adulthood" not in {attribute.name for attribute in schema.recorded}
    assert len(schema.recorded) == len(schema.analysis) - 1


def test_the_self_contained_document_says_the_same_and_has_the_same_digest(example: dict[str, Any]) -> None:
    example |= {"tables": [["age", "from"], ["means"]], "tablePercent": 30}
    schema = _with(example, "adulthood", {"from": "age", "hierarchy": "minor"})
    again = parse_schema(schema.document())
    assert again == schema
    assert again.digest() == schema.digest()
    assert again.tables == (("age", "from"), ("means",))
    assert again.table_percent == 30


def test_tables_are_part_of_what_a_schema_means(example: dict[str, Any]) -> None:
    plain = parse_schema(example).digest()
    assert parse_schema({**example, "tables": [["age", "from"]]}).digest() != plain


def test_two_reasons_for_a_missing_value_stay_apart_where_both_lists_have_them(example: dict[str, Any]) -> None:
    regions = [parent.code for parent in parse_schema(example).hierarchies[0].parents]
    values = [{"code": code, "labels": {"en": code}} for code in regions]
    missing = ["unknown", "notAsked"]
    schema = _with(example, "regionFrom", {"from": "from", "hierarchy": "region"}, values=values, missing=missing)
    derived = schema.attribute("regionFrom").derived
    assert derived is not None
    assert derived.codes[:2] == ("", "not_asked")
