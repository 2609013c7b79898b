"""How schemas are found, what a digest stands for, and what loading needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from caseschemas import (
    InvalidModelError,
    Labels,
    SchemaFaultsError,
    UnknownSchemaError,
    load_schema,
    parse_schema,
    shipped_schema_ids,
)
from caseschemas.schema import CaseSchema


def test_every_shipped_schema_loads_under_its_id() -> None:
    assert shipped_schema_ids()
    for schema_id in shipped_schema_ids():
        assert load_schema(schema_id).id == schema_id


def test_file_is_loaded_by_its_path(tmp_path: Path, example_text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(example_text, "utf-8")
    assert load_schema(path) == load_schema(str(path)) == parse_schema(example_text)


def test_unknown_schema_is_refused_with_the_shipped_ones() -> None:
    with pytest.raises(UnknownSchemaError, match=r"'nowhere'.*ctdc-global"):
        load_schema("nowhere")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownSchemaError, match="cannot read"):
        load_schema(tmp_path)


def test_faulty_file_is_refused_with_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"format": "casehaven-schema/1"}')
    with pytest.raises(SchemaFaultsError, match=r"mine\.json: 5 faults"):
        load_schema(path)


def test_file_is_never_read_beyond_its_limit() -> None:
    with pytest.raises(SchemaFaultsError, match="too-large"):
        load_schema(Path("/dev/zero"))


def test_digest_ignores_layout_and_order_of_fields(example_text: str, example: dict[str, Any]) -> None:
    turned = json.dumps(dict(reversed(example.items())), indent=7)
    assert parse_schema(turned).digest() == parse_schema(example_text).digest()


@pytest.mark.parametrize(
    "edit",
    [
        lambda document: document.update(version="1.0.1"),
        lambda document: document["attributes"].reverse(),
        lambda document: document["attributes"][7]["values"][0]["synonyms"].append("outdoors"),
        lambda document: document["codelists"]["yes"]["values"][0].update(code="x"),
        lambda document: document["missing"]["no"].update(code="none"),
        lambda document: document["languages"][1].update(reviewed=True),
        lambda document: document["attributes"][4]["periods"].update(to="2031-01"),
        lambda document: document["groups"][0].update(answered="all"),
    ],
)
def test_digest_changes_with_anything_that_means_something(example: dict[str, Any], edit: Any) -> None:
    before = parse_schema(example).digest()
    edit(example)
    if example["codelists"]["yes"]["values"][0]["code"] == "x":
        example["logic"][0]["onlyWith"]["codes"] = ["x"]
    assert parse_schema(example).digest() != before


def test_digest_of_the_shipped_schema_is_fixed() -> None:
    """A change here is a new version of the schema: releases name the digest."""
    schema = load_schema("ctdc-global")
    assert (schema.version, schema.digest()) == (
        "1.0.0",
        "c19804fe120e8b14f8059c47b370f8df73e4c0fe4dae7659fe70bd8abea42d03",
    )


def test_shipped_list_keeps_its_words_where_the_schema_declares_fewer_languages(example: dict[str, Any]) -> None:
    country = parse_schema(example).attribute("from")
    position = country.position("DEU")
    assert set(country.values[position].labels) == {"en", "fr"}
    assert country.code_of("ألمانيا") == country.code_of("Alemania") == position


def test_shipped_list_shows_english_where_it_lacks_the_default_language() -> None:
    text = json.dumps(load_schema("ctdc-global").document(), ensure_ascii=False)
    document = json.loads(text.replace('"en":', '"pt":').replace('"code": "en"', '"code": "pt"'))
    for attribute in document["attributes"]:
        if attribute["kind"] == "country":
            del attribute["values"]
            attribute["codelist"] = "iso-3166-1"
    labels = parse_schema(document).attribute("citizenship").values[1].labels
    assert labels["pt"] == "Aruba"


def test_two_attributes_of_one_name_cannot_be_made() -> None:
    schema = load_schema("ctdc-global")
    with pytest.raises(InvalidModelError, match="same name"):
        CaseSchema(
            id="x",
            version="1.0.0",
            title=Labels({"en": "x"}),
            languages=schema.languages,
            attributes=schema.attributes[:1] * 2,
        )


def test_unknown_attribute_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        load_schema("ctdc-global").attribute("nothing")


def test_loading_imports_nothing_beyond_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import caseschemas; caseschemas.load_schema('ctdc-global');"
        "new = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names);"
        "print(sorted(new))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['caseschemas']"


def test_rule_may_depend_on_one_of_several_values(example: dict[str, Any]) -> None:
    example["logic"][0]["onlyWith"] = {"attribute": "means", "codes": ["debt"]}
    schema = parse_schema(example)
    debt, threats = (schema.attribute("means").position(code) for code in ("debt", "threats"))
    farm = schema.attribute("farm").code_of("yes") or 0
    assert schema.broken_rules({"farm": farm, "means": (threats,)}) == ("farmIsLabour",)
    assert schema.broken_rules({"farm": farm, "means": (threats, debt)}) == ()
    assert schema.broken_rules({"means": (threats,)}) == ()


def test_no_is_not_an_ordinary_value_for_a_rule(example_schema: CaseSchema) -> None:
    no, yes = (example_schema.attribute("farm").code_of(cell) or 0 for cell in ("no", "yes"))
    assert example_schema.broken_rules({"farm": no}) == ()
    assert example_schema.broken_rules({"farm": yes}) == ("farmIsLabour",)
