"""What a schema says for intake: other headers of a column, and the calendars of its files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from casehaven.intake.mapping_document import parse_intake_mapping
from casehaven.intake.proposal import propose
from casehaven.intake.value_proposal import date_questions
from caseschemas import CaseSchema, MappingFaultsError, load_schema, parse_schema, schema_faults

if TYPE_CHECKING:
    from tests.service.intake.conftest import MakeSource


def _document(**more: Any) -> dict[str, Any]:
    known = {"code": "", "means": "unknown", "labels": {"en": "Not known"}}
    values = [{"code": "f", "labels": {"en": "Woman"}}, {"code": "m", "labels": {"en": "Man"}}]
    periods = {"granularity": "year", "from": "2010", "to": "2030"}
    listed: dict[str, Any] = {"role": "analysis", "missing": [known], "merge": "min"}
    return {
        "format": "casehaven-schema/1",
        "id": "register",
        "version": "1.0.0",
        "title": {"en": "Register"},
        "languages": [{"code": "en", "reviewed": True}],
        "attributes": [
            {
                "name": "who",
                "kind": "category",
                "labels": {"en": "Who"},
                "values": values,
                "synonyms": ["Geschlecht"],
                **listed,
            },
            {"name": "came", "kind": "date", "labels": {"en": "Came"}, "periods": periods, **listed},
        ],
        **more,
    }


def test_a_synonym_of_an_attribute_is_certain(make_source: MakeSource) -> None:
    schema = parse_schema(_document())
    (entry,) = propose(make_source(["GESCHLECHT"], [["woman"]]), schema).attributes
    assert (entry.to, entry.status) == ("who", "exact")


@pytest.mark.parametrize(
    ("named", "asked"), [(None, ("solar-hijri", "islamic")), (["islamic"], ("islamic",)), (["buddhist"], ())]
)
def test_only_calendars_that_the_schema_names_are_asked_for(
    make_source: MakeSource, named: list[str] | None, asked: tuple[str, ...]
) -> None:
    schema = parse_schema(_document() if named is None else _document(calendars=named))
    held = make_source(["came"], [["1445"], ["1446"]])
    mapping = propose(held, schema)
    found = [question.calendars for entry in mapping.attributes for question in date_questions(held, schema, entry)]
    assert found == ([asked] if asked else [])


def test_a_mapping_with_another_calendar_has_a_fault(make_source: MakeSource) -> None:
    schema = parse_schema(_document(calendars=["islamic"]))
    document = propose(make_source(["came"], [["1445"]]), schema).document()
    for calendar, faults in (("islamic", False), ("ethiopian", True)):
        document["attributes"][0]["dates"] = {"calendar": calendar}
        if faults:
            with pytest.raises(MappingFaultsError, match="/attributes/0/dates/calendar"):
                parse_intake_mapping(json.dumps(document).encode(), schema)
        else:
            parse_intake_mapping(json.dumps(document).encode(), schema)


def test_both_members_survive_being_written_out(ctdc: CaseSchema) -> None:
    schema = parse_schema(_document(calendars=["islamic", "ethiopian"]))
    assert (schema.calendars, schema.attribute("who").synonyms) == (("islamic", "ethiopian"), ("Geschlecht",))
    assert parse_schema(schema.document()) == schema
    assert "calendars" not in ctdc.document(), "what a schema does not say is no part of its digest"
    assert [fault.code for fault in schema_faults(_document(calendars=["julian"]))] == ["wrong-choice"]


def test_the_shipped_schemas_mean_what_they_meant() -> None:
    """Datasets remember the digest of their schema: a member that was added must not change it."""
    digests = {
        "htcds-2.0": "44a819cb6bd92f1000b3c75faf57f7d9985452a1d49e97ed0866276fd2e1ff7f",
        "ctdc-global": "c19804fe120e8b14f8059c47b370f8df73e4c0fe4dae7659fe70bd8abea42d03",
    }
    assert {name: load_schema(name).digest() for name in digests} == digests
