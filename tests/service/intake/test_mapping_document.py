"""Mappings as files: what is written is read again, and every fault is named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casehaven.intake.dates import DateReading
from casehaven.intake.intake_mapping import AttributeMapping, Dropped, IntakeMapping, LeftOut, MinorsRule
from casehaven.intake.mapping_document import load_intake_mapping, parse_intake_mapping
from caseschemas import CaseSchema, MappingFaultsError, load_schema

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = IntakeMapping(
    schema_id="htcds-2.0",
    schema_version="1.0.0",
    tool="kobo",
    columns=("id", "sexe", "né", "vu", "_uuid", "moyens"),
    attributes=(
        AttributeMapping(to="personToken", source=("id",), how="copy", status="exact"),
        AttributeMapping(to="yearOfRegistration", source=("vu",), dates=DateReading(order="day-first", pivot=40)),
        AttributeMapping(
            to="prs_Gender",
            source=("sexe",),
            status="guess",
            why="both are about: sex",
            codes={"f": "Feminine"},
            guesses={"h": "Masculine"},
            not_understood=("x",),
        ),
        AttributeMapping(
            to="ageAtRegistration",
            source=("né",),
            how="age",
            at="vu",
            dates=DateReading(calendar="islamic"),
            at_dates=DateReading(order="year-first"),
        ),
    ),
    dropped=(Dropped(column="moyens", why="nothing is like it"),),
    record_key="_uuid",
    left_out=(LeftOut(attribute="vic_TraffickingStatus", codes=("NotAVictimOfTrafficking",)),),
    minors=MinorsRule(rule="not-shared", attribute="ageAtRegistration"),
)


def test_a_mapping_that_was_saved_is_the_same_when_it_is_read(htcds: CaseSchema, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(WHOLE.text(), encoding="utf-8")
    assert load_intake_mapping(tmp_path / "m.json", htcds) == WHOLE


def test_what_a_mapping_does_decides_its_digest_and_guesses_do_not(htcds: CaseSchema) -> None:
    again = parse_intake_mapping(WHOLE.text().encode(), htcds)
    assert again.digest() == WHOLE.digest()
    assert WHOLE.accepted().digest() != WHOLE.digest(), "a guess that was taken does something"


def _set(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


FAULTS: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "another schema": (_set("schema", "id", to="ctdc-global"), "unknown-schema", "/schema"),
    "another format": (_set("format", to="casehaven-intake-mapping/2"), "wrong-format", "/format"),
    "no such attribute": (_set("attributes", 2, "to", to="prs_Gendr"), "unknown-attribute", "/attributes/2/to"),
    "no such column": (_set("attributes", 2, "from", to=["sex"]), "wrong-choice", "/attributes/2/from/0"),
    "no such code": (_set("attributes", 2, "codes", to={"f": "Female"}), "unknown-code", "/attributes/2/codes/f"),
    "twice": (_set("attributes", 1, "to", to="prs_Gender"), "mapped-twice", "/attributes/2/to"),
    "free text read as a list": (
        _set("attributes", 2, to={"to": "cas_IncomingReferralDetails", "from": ["sexe"]}),
        "rule-does-not-fit",
        "/attributes/2/how",
    ),
    "a list that is copied": (_set("attributes", 2, "how", to="copy"), "rule-does-not-fit", "/attributes/2/how"),
    "an age at no date": (
        _set("attributes", 3, to={"to": "ageAtRegistration", "from": ["né"], "how": "age"}),
        "missing-field",
        "/attributes/3",
    ),
    "both a column and a row": (_set("person", to="row"), "missing-field", "/person"),
    "no such record key": (_set("recordKey", to="id2"), "wrong-choice", "/recordKey"),
    "no such calendar": (
        _set("attributes", 3, "dates", "calendar", to="julian"),
        "wrong-choice",
        "/attributes/3/dates/calendar",
    ),
    "left out by no code": (_set("leaveOut", 0, "codes", to=["No"]), "unknown-code", "/leaveOut/0/codes/0"),
    "minors by no age": (_set("minors", "attribute", to="prs_Gender"), "rule-does-not-fit", "/minors/attribute"),
    "a field too many": (_set("attributes", 0, "as", to="x"), "unknown-field", "/attributes/0/as"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_named_with_its_place(htcds: CaseSchema, what: str) -> None:
    change, code, pointer = FAULTS[what]
    document = json.loads(WHOLE.text())
    change(document)
    with pytest.raises(MappingFaultsError) as raised:
        parse_intake_mapping(json.dumps(document).encode(), htcds)
    assert (code, pointer) in {(fault.code, fault.pointer) for fault in raised.value.faults}


def test_what_is_not_json_has_a_line(htcds: CaseSchema) -> None:
    with pytest.raises(MappingFaultsError, match="line 3"):
        parse_intake_mapping(b'{\n"format": "casehaven-intake-mapping/1"\n"schema": 1}', htcds)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_document_makes_anything_but_a_mapping_or_faults(data: st.DataObject) -> None:
    """A part of a good document is replaced by any JSON value."""
    document = json.loads(WHOLE.text())
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )
    place = document
    while True:
        steps = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not steps:
            break
        step = data.draw(st.sampled_from(steps))
        if isinstance(place[step], dict | list) and place[step] and data.draw(st.booleans()):
            place = place[step]
            continue
        place[step] = data.draw(values)
        break
    schema = load_schema("htcds-2.0")
    try:
        assert isinstance(parse_intake_mapping(json.dumps(document).encode(), schema), IntakeMapping)
    except MappingFaultsError as error:
        assert error.faults
