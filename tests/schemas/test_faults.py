"""Every kind of fault, found in a document that is otherwise right, at the place where it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from caseschemas import FAULT_CODES, Fault, SchemaFaultsError, parse_schema, quoted, schema_faults

Edit = Callable[[dict[str, Any]], object]

NAME, TOKEN, NOTES, MAY_POOL, ARRIVED, AGE, FROM, HOUSING, MEANS, WORKED, FARM = range(11)


def attribute(position: int, **fields: Any) -> Edit:
    """Change fields of one attribute; None removes a field."""

    def edit(document: dict[str, Any]) -> None:
        target = document["attributes"][position]
        for name, value in fields.items():
            if value is None:
                del target[name]
            else:
                target[name] = value

    return edit


def top(**fields: Any) -> Edit:
    return lambda document: document.update(fields)


def within(*steps: str | int, put: Any) -> Edit:
    """Put a value at a place."""

    def edit(document: dict[str, Any]) -> None:
        target: Any = document
        for step in steps[:-1]:
            target = target[step]
        target[steps[-1]] = put

    return edit


def appended(*steps: str | int, put: Any) -> Edit:
    """Add an entry to a list."""

    def edit(document: dict[str, Any]) -> None:
        target: Any = document
        for step in steps:
            target = target[step]
        target.append(put)

    return edit


def without(*steps: str | int) -> Edit:
    """Remove what is at a place."""

    def edit(document: dict[str, Any]) -> None:
        target: Any = document
        for step in steps[:-1]:
            target = target[step]
        del target[steps[-1]]

    return edit


def both(*edits: Edit) -> Edit:
    return lambda document: [edit(document) for edit in edits]


LABEL = {"en": "x"}
UNKNOWN = {"code": "", "means": "unknown", "labels": {"en": "Unknown"}}
LEVELLED: dict[str, Any] = {
    "values": [{"code": "a", "labels": LABEL, "within": {"half": "1"}}],
    "levels": [{"name": "half", "labels": LABEL, "values": [{"code": "1", "labels": LABEL}]}],
}
ADULT: dict[str, Any] = {
    "name": "adulthood",
    "kind": "category",
    "role": "analysis",
    "labels": LABEL,
    "values": [{"code": "minor", "labels": {"en": "Minor"}}, {"code": "adult", "labels": {"en": "Adult"}}],
    "missing": ["unknown"],
    "merge": "agree",
}
BANDS = {"0-17": "minor", "18-59": "adult", "60+": "adult"}
OPEN_ENDED = [{"code": "a", "from": 0}, {"code": "b", "from": 5}]


def derived(**fields: Any) -> Edit:
    """Add an attribute that follows from another one."""
    return appended("attributes", put={**ADULT, "derived": fields})


CASES: list[tuple[str, Edit, str]] = [
    # shape
    ("wrong-format", top(format="casehaven-schema/2"), "/format"),
    ("wrong-type", attribute(AGE, bands="0-17"), "/attributes/5/bands"),
    ("wrong-type", within("languages", 0, "reviewed", put="yes"), "/languages/0/reviewed"),
    ("wrong-type", within("attributes", AGE, "bands", 0, "from", put=True), "/attributes/5/bands/0/from"),
    ("wrong-type", within("attributes", AGE, "bands", 0, "from", put=0.5), "/attributes/5/bands/0/from"),
    ("wrong-type", attribute(AGE, missing=[7]), "/attributes/5/missing/0"),
    ("missing-field", without("title"), ""),
    ("missing-field", attribute(AGE, bands=None), "/attributes/5"),
    ("missing-field", attribute(ARRIVED, periods=None), "/attributes/4"),
    ("missing-field", attribute(HOUSING, values=None), "/attributes/7"),
    ("missing-field", attribute(MEANS, separators=None), "/attributes/8"),
    ("missing-field", attribute(WORKED, missing=None), "/attributes/9"),
    ("missing-field", attribute(WORKED, merge=None), "/attributes/9"),
    ("missing-field", without("hierarchies", 0, "level"), "/hierarchies/0"),
    ("unknown-field", top(personkey="token"), "/personkey"),
    ("unknown-field", attribute(AGE, **{"ba/nds~": 1}), "/attributes/5/ba~1nds~0"),
    ("misplaced-field", attribute(NOTES, merge="min"), "/attributes/2/merge"),
    ("misplaced-field", attribute(AGE, values=[{"code": "a", "labels": LABEL}]), "/attributes/5/values"),
    ("misplaced-field", attribute(HOUSING, codelist="yes"), "/attributes/7/values"),
    ("misplaced-field", attribute(HOUSING, separators=[";"]), "/attributes/7/separators"),
    ("misplaced-field", within("hierarchies", 1, "level", put="region"), "/hierarchies/1/parents"),
    ("wrong-choice", attribute(FROM, kind="contry"), "/attributes/6/kind"),
    ("wrong-choice", within("missing", "no", "means", put="refused"), "/missing/no/means"),
    ("wrong-choice", within("block", "granularity", put="month"), "/block/granularity"),
    ("wrong-text", top(version="1.0"), "/version"),
    ("wrong-text", top(id="Shelter Intake"), "/id"),
    ("wrong-text", attribute(AGE, name="age in years"), "/attributes/5/name"),
    ("wrong-text", within("attributes", AGE, "bands", 0, "code", put=" 0-17"), "/attributes/5/bands/0/code"),
    ("wrong-text", within("attributes", AGE, "bands", 0, "code", put="0-17\n"), "/attributes/5/bands/0/code"),
    ("wrong-text", within("attributes", AGE, "labels", "english", put="Age"), "/attributes/5/labels/english"),
    ("wrong-text", within("attributes", AGE, "labels", "en", put=""), "/attributes/5/labels/en"),
    ("wrong-number", within("attributes", AGE, "bands", 2, "to", put=10**16), "/attributes/5/bands/2/to"),
    ("wrong-length", top(attributes=[]), "/attributes"),
    ("wrong-length", within("attributes", AGE, "labels", put={}), "/attributes/5/labels"),
    ("repeated-item", within("groups", 0, "members", put=["farm", "farm"]), "/groups/0/members/1"),
    # names, languages
    ("duplicate-name", attribute(FARM, name="Age"), "/attributes/10/name"),
    ("duplicate-name", within("hierarchies", 1, "name", put="region"), "/hierarchies/1/name"),
    ("duplicate-name", appended("languages", put={"code": "en", "reviewed": True}), "/languages/2/code"),
    ("undeclared-language", within("attributes", AGE, "labels", "de", put="Alter"), "/attributes/5/labels/de"),
    ("undeclared-language", within("title", "fre", put="Accueil"), "/title/fre"),
    ("missing-label", within("attributes", AGE, "labels", put={"fr": "Âge"}), "/attributes/5/labels"),
    ("missing-label", within("attributes", AGE, "bands", 0, "labels", put={"fr": "a"}), "/attributes/5/bands/0/labels"),
    # kinds, roles, merge rules
    ("role-does-not-fit", attribute(NAME, role="analysis"), "/attributes/0/role"),
    ("role-does-not-fit", attribute(NOTES, role="analysis"), "/attributes/2/role"),
    ("role-does-not-fit", attribute(HOUSING, role="identifier"), "/attributes/7/role"),
    ("role-does-not-fit", both(attribute(AGE, role="consent"), without("hierarchies")), "/attributes/5/role"),
    ("merge-does-not-fit", attribute(FROM, merge="max"), "/attributes/6/merge"),
    ("merge-does-not-fit", attribute(HOUSING, merge="union"), "/attributes/7/merge"),
    ("merge-does-not-fit", attribute(MEANS, merge="agree"), "/attributes/8/merge"),
    ("merge-needs-block", both(without("block"), attribute(HOUSING, merge="agree")), "/attributes/5/merge"),
    ("flag-values", appended("attributes", HOUSING, "values", put={"code": "x", "labels": {"en": "X"}}), ""),
    ("nothing-to-analyse", lambda document: _only_unlisted(document), "/attributes"),
    # code lists
    ("unknown-codelist", attribute(FROM, codelist="iso-3166-2"), "/attributes/6/codelist"),
    ("shadowed-codelist", within("codelists", "iso-3166-1", put=LEVELLED), "/codelists/iso-3166-1"),
    ("unknown-level", within("hierarchies", 0, "level", put="continent"), "/hierarchies/0/level"),
    (
        "unknown-level",
        within("codelists", "a", put={**LEVELLED, "levels": [{**LEVELLED["levels"][0], "name": "third"}]}),
        "/codelists/a/values/0/within/half",
    ),
    (
        "unplaced-value",
        within("codelists", "a", put={**LEVELLED, "values": [{"code": "a", "labels": LABEL}]}),
        "/codelists/a/values/0",
    ),
    (
        "unknown-code",
        within("codelists", "a", put={**LEVELLED, "values": [{"code": "a", "labels": LABEL, "within": {"half": "2"}}]}),
        "/codelists/a/values/0/within/half",
    ),
    (
        "duplicate-name",
        within("codelists", "a", put={**LEVELLED, "levels": LEVELLED["levels"] * 2}),
        "/codelists/a/levels/1",
    ),
    (
        "duplicate-code",
        within(
            "codelists",
            "a",
            put={**LEVELLED, "levels": [{**LEVELLED["levels"][0], "values": [{"code": "1", "labels": LABEL}] * 2}]},
        ),
        "/codelists/a/levels/0/values/1",
    ),
    # values
    ("duplicate-code", within("attributes", HOUSING, "values", 1, "code", put="street"), "/attributes/7/values/1"),
    ("duplicate-code", within("attributes", HOUSING, "values", 1, "code", put="STREET"), "/attributes/7/values/1"),
    ("shared-word", within("attributes", HOUSING, "values", 1, "synonyms", put=["Homeless"]), "/attributes/7/values/1"),
    ("shared-word", within("attributes", HOUSING, "values", 1, "labels", "en", put="other"), "/attributes/7/values/2"),
    ("shared-word", within("attributes", HOUSING, "values", 1, "synonyms", put=["null"]), "/attributes/7/values/1"),
    ("shared-word", within("missing", "notAsked", "synonyms", put=["NA"]), "/attributes/6/codelist"),
    ("shared-word", appended("codelists", "yes", "values", put={"code": "2", "labels": {"en": "Yes"}}), ""),
    ("blank-word", within("attributes", HOUSING, "values", 0, "labels", "fr", put="\u200b"), "/attributes/7/values/0"),
    ("unknown-missing", attribute(AGE, missing=["unknwon"]), "/attributes/5/missing/0"),
    ("blank-is-no", attribute(WORKED, missing=["no"]), "/attributes/9/missing/0"),
    ("missing-order", attribute(WORKED, missing=["unknown", "no", "notAsked"]), "/attributes/9/missing/2"),
    ("empty-code", attribute(WORKED, missing=["notAsked", "unknown"]), "/attributes/9/missing/1"),
    ("duplicate-code", attribute(WORKED, missing=["unknown", "notAsked", "notAsked"]), "/attributes/9/missing/2"),
    ("unknown-code", attribute(HOUSING, outside="others"), "/attributes/7/outside"),
    ("separator-in-code", attribute(MEANS, separators=["e"]), "/attributes/8/separators/0"),
    # bands and periods
    ("band-ends", within("attributes", AGE, "bands", 1, "from", put=60), "/attributes/5/bands/1"),
    ("band-ends", attribute(AGE, bands=OPEN_ENDED), "/attributes/5/bands/0"),
    ("band-ends", without("attributes", AGE, "bands", 2, "from"), "/attributes/5/bands/2"),
    ("overlapping-bands", within("attributes", AGE, "bands", 1, "from", put=17), "/attributes/5/bands/1"),
    ("overlapping-bands", lambda document: document["attributes"][AGE]["bands"].insert(0, _late_band()), ""),
    ("gapped-bands", within("attributes", AGE, "bands", 1, "from", put=19), "/attributes/5/bands/1"),
    ("misleading-word", within("attributes", AGE, "bands", 1, "code", put="19-59"), "/attributes/5/bands/1"),
    ("misleading-word", within("attributes", AGE, "bands", 1, "code", put="17-59"), "/attributes/5/bands/1"),
    ("misleading-word", within("attributes", AGE, "bands", 1, "code", put="18+"), "/attributes/5/bands/1"),
    ("misleading-word", within("attributes", AGE, "bands", 1, "synonyms", put=["60"]), "/attributes/5/bands/1"),
    ("bad-periods", within("attributes", ARRIVED, "periods", "from", put="2019"), "/attributes/4/periods"),
    ("bad-periods", within("attributes", ARRIVED, "periods", "from", put="2019-13"), "/attributes/4/periods"),
    ("bad-periods", within("attributes", ARRIVED, "periods", "to", put="2018-12"), "/attributes/4/periods"),
    (
        "too-many-values",
        attribute(ARRIVED, periods={"granularity": "day", "from": "1900-01-01", "to": "2000-01-01"}),
        "/attributes/4/periods",
    ),
    # person, block, consent
    ("unknown-attribute", top(personKey="tokens"), "/personKey"),
    ("person-does-not-fit", top(personKey="name"), "/personKey"),
    ("person-does-not-fit", without("personKey"), "/attributes/1/role"),
    ("unknown-attribute", within("block", "attribute", put="arrival"), "/block/attribute"),
    ("block-does-not-fit", within("block", "attribute", put="age"), "/block/attribute"),
    ("block-does-not-fit", attribute(ARRIVED, merge="max"), "/block/attribute"),
    ("unknown-attribute", within("consent", "care", put="mayCare"), "/consent/care"),
    ("consent-does-not-fit", within("consent", "care", put="worked"), "/consent/care"),
    ("unused-consent", without("consent"), "/attributes/3/role"),
    # groups, hierarchies, logic
    ("unknown-attribute", appended("groups", 0, "members", put="wrked"), "/groups/0/members/2"),
    ("not-analysis", appended("groups", 0, "members", put="mayPool"), "/groups/0/members/2"),
    ("unknown-attribute", within("hierarchies", 0, "attribute", put="fron"), "/hierarchies/0/attribute"),
    ("no-codelist", within("hierarchies", 0, "attribute", put="housing"), "/hierarchies/0/level"),
    (
        "unknown-code",
        within("hierarchies", 1, "parents", 0, "members", 0, put="0-16"),
        "/hierarchies/1/parents/0/members/0",
    ),
    ("unplaced-value", within("hierarchies", 1, "parents", 0, "members", put=[]), "/hierarchies/1/parents"),
    (
        "placed-twice",
        appended("hierarchies", 1, "parents", 1, "members", put="0-17"),
        "/hierarchies/1/parents/1/members/2",
    ),
    ("duplicate-code", within("hierarchies", 1, "parents", 1, "code", put="minor"), "/hierarchies/1/parents/1/code"),
    ("unknown-attribute", within("logic", 0, "onlyWith", "attribute", put="work"), "/logic/0/onlyWith/attribute"),
    ("unknown-attribute", within("logic", 0, "attributes", 0, put="farms"), "/logic/0/attributes/0"),
    ("unknown-code", within("logic", 0, "onlyWith", "codes", 0, put="yes"), "/logic/0/onlyWith/codes/0"),
    ("not-analysis", within("logic", 0, "attributes", 0, put="name"), "/logic/0/attributes/0"),
    ("circular-rule", appended("logic", 0, "attributes", put="worked"), "/logic/0/attributes/1"),
    # attributes that follow from others, and tables that matter
    ("missing-field", derived(**{"from": "age"}), "/attributes/11/derived"),
    (
        "misplaced-field",
        derived(**{"from": "age", "hierarchy": "minor", "recode": BANDS}),
        "/attributes/11/derived/recode",
    ),
    ("misplaced-field", attribute(NOTES, derived={"from": "age", "hierarchy": "minor"}), "/attributes/2/derived"),
    ("unknown-attribute", derived(**{"from": "ages", "recode": BANDS}), "/attributes/11/derived/from"),
    ("not-analysis", derived(**{"from": "notes", "recode": BANDS}), "/attributes/11/derived/from"),
    ("derived-does-not-fit", derived(**{"from": "means", "recode": BANDS}), "/attributes/11/derived/from"),
    ("derived-does-not-fit", derived(**{"from": "adulthood", "recode": BANDS}), "/attributes/11/derived/from"),
    (
        "derived-does-not-fit",
        both(
            derived(**{"from": "age", "recode": BANDS}),
            appended("attributes", put={**ADULT, "name": "grown", "derived": {"from": "adulthood", "recode": BANDS}}),
        ),
        "/attributes/12/derived/from",
    ),
    ("derived-does-not-fit", attribute(MEANS, derived={"from": "age", "recode": BANDS}), "/attributes/8/derived"),
    ("derived-does-not-fit", attribute(ARRIVED, derived={"from": "age", "recode": BANDS}), "/attributes/4/derived"),
    ("unknown-hierarchy", derived(**{"from": "age", "hierarchy": "region"}), "/attributes/11/derived/hierarchy"),
    (
        "unknown-code",
        attribute(HOUSING, derived={"from": "age", "hierarchy": "minor"}),
        "/attributes/7/derived/hierarchy",
    ),
    (
        "unknown-code",
        attribute(HOUSING, derived={"from": "from", "hierarchy": "region"}),
        "/attributes/7/derived/hierarchy",
    ),
    (
        "unknown-code",
        derived(**{"from": "age", "recode": {**BANDS, "60+": "old"}}),
        "/attributes/11/derived/recode/60+",
    ),
    (
        "unknown-code",
        derived(**{"from": "age", "recode": {**BANDS, "70+": "adult"}}),
        "/attributes/11/derived/recode/70+",
    ),
    ("underived-value", derived(**{"from": "age", "recode": {"0-17": "minor"}}), "/attributes/11/derived/recode"),
    ("unknown-attribute", top(tables=[["age", "sex"]]), "/tables/0/1"),
    ("not-analysis", top(tables=[["age", "mayPool"]]), "/tables/0/1"),
    ("repeated-item", top(tables=[["age", "from"], ["from", "age"]]), "/tables/1"),
    ("wrong-length", top(tables=[["age", "from", "worked", "farm"]]), "/tables/0"),
    (
        "derived-does-not-fit",
        both(derived(**{"from": "age", "recode": BANDS}), top(tables=[["adulthood"]])),
        "/tables/0/0",
    ),
    ("misplaced-field", top(tablePercent=20), "/tablePercent"),
    ("wrong-number", top(tables=[["age"]], tablePercent=95), "/tablePercent"),
]

UNREADABLE: list[tuple[str, bytes, int]] = [
    ("too-large", b" " * (2 * 1024 * 1024 + 1), 1),
    ("not-utf8", b'{\n"id": "caf\xe9"}', 2),
    ("not-utf8", '{"id": "a"}'.encode("utf-16"), 1),
    ("not-json", b"", 1),
    ("not-json", b'{\n"id": "a",\n}', 3),
    ("not-json", b"{'id': 1}", 1),
    ("not-json", b'{"id": 1} // note', 1),
    ("not-json", b'{"a": "NaN",\n "b": NaN}', 2),
    ("not-json", b'{"a": [1,\n2', 2),
    ("too-deep", b"\n" + b"[" * 100_000, 2),
    ("duplicate-key", b'{"id": "a",\n"id": "b"}', 2),
    ("broken-character", b'{"id":\n"\\ud800"}', 1),
    ("broken-character", b'{"\\udfff": 1}', 1),
    ("wrong-type", b"[]", 1),
    ("wrong-type", b"null", 1),
    ("wrong-type", b'"text"', 1),
    ("wrong-type", b"1" * 5000, 1),
]


def _late_band() -> dict[str, Any]:
    return {"code": "old", "from": 90, "to": 99}


def _only_unlisted(document: dict[str, Any]) -> None:
    for field in ("block", "consent", "groups", "hierarchies", "logic"):
        del document[field]
    document["attributes"] = document["attributes"][:3]


def edited(document: dict[str, Any], edit: Edit, code: str) -> dict[str, Any]:
    """Apply an edit; a few cases need one more step to be about the attribute that the case names."""
    edit(document)
    if code == "flag-values":
        document["attributes"][HOUSING]["kind"] = "flag"
    return document


@pytest.mark.parametrize(("code", "edit", "pointer"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_fault_is_found_at_its_place(example: dict[str, Any], code: str, edit: Edit, pointer: str) -> None:
    text = json.dumps(edited(example, edit, code), indent=1)
    found = {(fault.code, fault.pointer) for fault in schema_faults(text)}
    assert code in {fault_code for fault_code, _ in found}
    if pointer or code == "missing-field":
        assert (code, pointer) in found
    with pytest.raises(SchemaFaultsError, match=code):
        parse_schema(text)


@pytest.mark.parametrize(("code", "raw", "line"), UNREADABLE, ids=[f"{i}-{c[0]}" for i, c in enumerate(UNREADABLE)])
def test_unreadable_file_is_explained_with_its_line(code: str, raw: bytes, line: int) -> None:
    assert (code, line) in {(fault.code, fault.line) for fault in schema_faults(raw)}


def test_every_kind_of_fault_has_a_test() -> None:
    assert {case[0] for case in CASES} | {case[0] for case in UNREADABLE} == set(FAULT_CODES)


def test_unchanged_example_has_no_faults(example_text: str) -> None:
    assert schema_faults(example_text) == ()


def test_one_edit_gives_one_fault_where_nothing_depends_on_it(example: dict[str, Any]) -> None:
    example["attributes"][AGE]["bands"][1]["from"] = 17
    (fault,) = schema_faults(example)
    assert (fault.code, fault.found, fault.expected) == (
        "overlapping-bands",
        "a band from 17 after one to 17",
        "a band from 18",
    )


def test_all_faults_are_reported_at_once_in_the_order_of_the_file(example: dict[str, Any]) -> None:
    example["attributes"][AGE]["bands"][1]["from"] = 19
    example["attributes"][FROM]["merge"] = "max"
    example["logic"][0]["onlyWith"]["codes"] = ["2"]
    faults = schema_faults(example)
    assert [fault.code for fault in faults] == ["gapped-bands", "merge-does-not-fit", "unknown-code"]
    assert [fault.line for fault in faults] == sorted(fault.line for fault in faults)


def test_line_of_a_fault_is_the_line_in_the_file(example_text: str) -> None:
    text = example_text.replace('"from": 18', '"from": 17')
    (fault,) = schema_faults(text)
    assert '"from": 17' in text.split("\n")[fault.line - 1]


def test_line_counts_survive_carriage_returns_and_a_byte_order_mark(example_text: str) -> None:
    text = example_text.replace('"from": 18', '"from": 17')
    (fault,) = schema_faults(text)
    (windows,) = schema_faults(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert windows == fault


def test_misspelt_field_gets_a_suggestion(example: dict[str, Any]) -> None:
    example["attributes"][AGE]["merg"] = example["attributes"][AGE].pop("merge")
    unknown = next(fault for fault in schema_faults(example) if fault.code == "unknown-field")
    assert unknown.advice == "did you mean 'merge'?"


def test_absent_field_is_explained_with_its_meaning_and_an_example(example: dict[str, Any]) -> None:
    del example["attributes"][AGE]["merge"]
    (fault,) = schema_faults(example)
    assert fault.expected == "a field 'merge' (How several records of one person become one)"
    assert fault.advice == 'add it, for example "agree"'


def test_newer_format_gives_one_fault_only(example: dict[str, Any]) -> None:
    example |= {"format": "casehaven-schema/2", "novelty": True}
    assert [fault.code for fault in schema_faults(example)] == ["wrong-format"]


def test_broken_attribute_hides_no_fault_of_another_one(example: dict[str, Any]) -> None:
    example["attributes"][AGE]["bands"] = 7
    example["attributes"][FROM]["codelist"] = "nowhere"
    assert {fault.code for fault in schema_faults(example)} >= {"wrong-type", "unknown-codelist"}


def test_reference_to_a_broken_attribute_is_no_second_fault(example: dict[str, Any]) -> None:
    example["attributes"][WORKED]["missing"] = 7
    assert [fault.code for fault in schema_faults(example)] == ["wrong-type"]


def test_author_may_name_shared_values_after_fields_of_the_language(example: dict[str, Any]) -> None:
    example["missing"]["labels"] = UNKNOWN
    example["codelists"]["title"] = {"values": [{"code": "a", "labels": LABEL}]}
    assert schema_faults(example) == ()


def test_whole_number_may_be_written_with_a_decimal_point(example: dict[str, Any]) -> None:
    example["attributes"][AGE]["bands"][1]["from"] = 18.0
    assert parse_schema(example).attribute("age").bands[1].low == 18


def test_message_shows_control_characters_of_a_file_as_escapes() -> None:
    fault = next(fault for fault in schema_faults('{"\\u001b[31mred": 1}') if fault.code == "unknown-field")
    assert "\x1b" not in str(fault)
    assert "\\x1b[31mred" in str(fault)


def test_long_text_is_cut_in_a_message() -> None:
    assert len(quoted("x" * 10_000)) < 70


def test_fault_of_an_unlisted_kind_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="unknown kind of fault"):
        Fault(code="odd", pointer="", line=1, found="", expected="", advice="")


def test_error_counts_and_lists_every_fault(example: dict[str, Any]) -> None:
    example["attributes"][AGE]["bands"][1]["from"] = 19
    del example["version"]
    with pytest.raises(SchemaFaultsError) as caught:
        parse_schema(example, name="mine.json")
    assert str(caught.value).startswith("mine.json: 2 faults\n")
    assert [fault.code for fault in caught.value.faults] == ["missing-field", "gapped-bands"]
