"""The form of a mapping: a guess stays a guess until somebody says yes or changes it, and what comes back is a mapping that the worker reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from casehaven.intake.mapping_document import parse_intake_mapping
from casehaven.web.forms import Form
from casehaven.web.mapping_form import ROW, TOGETHER, answered, differ, lines, unconfirmed
from caseschemas import load_schema

SCHEMA = load_schema("ctdc-global")


def proposal() -> dict[str, Any]:
    """A proposal with one guess of each kind."""
    return {
        "mapping": {
            "format": "casehaven-intake-mapping/1",
            "schema": {"id": SCHEMA.id, "version": SCHEMA.version},
            "tool": "csv",
            "columns": ["No", "Sexe", "Born", "Seen", "Means", "Notes"],
            "person": "column",
            "attributes": [
                {"to": "personToken", "from": ["No"], "how": "copy", "status": "guess", "why": "it may"},
                {"to": "yearOfRegistration", "from": ["Seen"], "how": "read", "status": "exact"},
                {
                    "to": "gender",
                    "from": ["Sexe"],
                    "how": "read",
                    "status": "guess",
                    "why": "both are about: sex",
                    "guesses": {"f.": "Woman"},
                    "notUnderstood": ["nsp"],
                },
                {"to": "meansThreats", "from": ["Means"], "how": "any", "status": "guess", "codes": {"threats": "1"}},
            ],
            "dropped": [{"column": "Born", "why": "no"}, {"column": "Notes", "why": "no"}],
        },
        "report": {
            "attributes": [{"to": "gender", "words": ["NSP", "?"], "understood": 1, "not_understood": 2, "blank": 0}]
        },
    }


def as_shown(found: dict[str, Any], **changed: str) -> Form:
    """The form as a browser sends it when nothing but these fields was touched."""
    values: dict[str, list[str]] = {"person": [found["mapping"]["attributes"][0]["from"][0]], "minors": [""]}
    for line in lines(found["mapping"], found.get("report"), SCHEMA):
        for place, name in enumerate(line.entry["from"]):
            values[f"{line.field}.from{place}"] = [name]
        for word in line.words:
            values[word.field] = [word.code]
    values.update({name: [value] for name, value in changed.items()})
    return Form(page_value="", key="", values=values)


def attribute(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in mapping["attributes"] if entry["to"] == name)


def field_of(found: dict[str, Any], name: str) -> str:
    return next(line.field for line in lines(found["mapping"], found["report"], SCHEMA) if line.attribute.name == name)


def word_of(found: dict[str, Any], word: str) -> str:
    words = [one for line in lines(found["mapping"], found["report"], SCHEMA) for one in line.words]
    return next(one.field for one in words if one.word == word)


def test_untouched_answers_change_nothing_and_confirm_nothing() -> None:
    found = proposal()
    made = answered(found, as_shown(found), SCHEMA)
    assert not differ(found["mapping"], made)
    assert unconfirmed(made) == ["personToken", "gender", "meansThreats"]
    assert made["dropped"] == found["mapping"]["dropped"]


def test_a_yes_confirms_its_own_line_and_no_other() -> None:
    found = proposal()
    form = as_shown(found, **{f"{field_of(found, 'gender')}.yes": "yes"})
    made = answered(found, form, SCHEMA)
    assert unconfirmed(made) == ["personToken", "meansThreats"]
    assert attribute(made, "gender")["codes"] == {"f.": "Woman"}
    assert not differ(found["mapping"], made)
    assert unconfirmed(answered(found, as_shown(found, person_yes="yes"), SCHEMA)) == ["gender", "meansThreats"]


def test_a_word_is_decided_by_choosing_what_it_means() -> None:
    found = proposal()
    made = answered(found, as_shown(found, **{word_of(found, "nsp"): "Man"}), SCHEMA)
    assert attribute(made, "gender")["codes"] == {"nsp": "Man"}
    assert attribute(made, "gender")["guesses"] == {"f.": "Woman"}
    assert attribute(made, "gender")["notUnderstood"] == ["?"]
    assert differ(found["mapping"], made)


def test_a_guess_about_a_word_that_is_taken_away_is_gone() -> None:
    found = proposal()
    made = answered(found, as_shown(found, **{word_of(found, "f."): ""}), SCHEMA)
    assert "guesses" not in attribute(made, "gender")
    assert "f." in attribute(made, "gender")["notUnderstood"]


def test_a_word_may_be_typed_as_a_label_and_nothing_else() -> None:
    found = proposal()
    made = answered(found, as_shown(found, **{word_of(found, "nsp"): "Femme"}), SCHEMA)
    assert attribute(made, "gender")["codes"] == {"nsp": "Woman"}
    form = as_shown(found, **{word_of(found, "nsp"): "neither of them"})
    answered(found, form, SCHEMA)
    assert list(form.faults) == [word_of(found, "nsp")]


def test_another_column_takes_the_words_away_and_is_decided() -> None:
    found = proposal()
    made = answered(found, as_shown(found, **{f"{field_of(found, 'gender')}.from0": "Notes"}), SCHEMA)
    assert attribute(made, "gender") == {"to": "gender", "from": ["Notes"], "how": "read", "status": "decided"}
    assert [one["column"] for one in made["dropped"]] == ["Sexe", "Born"]


def test_a_line_without_a_column_is_gone() -> None:
    found = proposal()
    made = answered(found, as_shown(found, **{f"{field_of(found, 'gender')}.from0": ""}), SCHEMA)
    assert [entry["to"] for entry in made["attributes"]] == ["personToken", "yearOfRegistration", "meansThreats"]
    assert "Sexe" in [one["column"] for one in made["dropped"]]


def test_a_dropped_column_can_be_given_to_an_attribute() -> None:
    found = proposal()
    form = as_shown(found, column0="ageBroad", column1="gender")
    made = answered(found, form, SCHEMA)
    assert attribute(made, "ageBroad") == {"to": "ageBroad", "from": ["Born"], "how": "read", "status": "decided"}
    assert attribute(made, "gender")["from"] == ["Sexe", "Notes"]
    assert made["dropped"] == []
    wrong = as_shown(found, column0="noSuchThing")
    answered(found, wrong, SCHEMA)
    assert list(wrong.faults) == ["column0"]


def test_dates_of_birth_become_ages() -> None:
    found = proposal()
    found["mapping"] = answered(found, as_shown(found, column0="ageBroad"), SCHEMA)
    line = field_of(found, "ageBroad")
    form = as_shown(
        found,
        **{f"{line}.at": "Seen", f"{line}.order": "day-first", f"{line}.calendar": "islamic", "minors": "not-shared"},
    )
    made = answered(found, form, SCHEMA)
    age = attribute(made, "ageBroad")
    assert (age["how"], age["at"], age["dates"]) == (
        "age",
        "Seen",
        {"pivot": 30, "calendar": "islamic", "order": "day-first"},
    )
    assert made["minors"] == {"rule": "not-shared", "attribute": "ageBroad", "below": 18}
    found["mapping"] = made
    assert attribute(answered(found, as_shown(found), SCHEMA), "ageBroad")["how"] == "read"


def test_each_row_a_person_or_several_columns_together() -> None:
    found = proposal()
    made = answered(found, as_shown(found, person=ROW), SCHEMA)
    assert made["person"] == "row"
    assert "personToken" not in [entry["to"] for entry in made["attributes"]]
    found["mapping"]["attributes"][0]["from"] = ["No", "Born"]
    assert attribute(answered(found, as_shown(found, person=TOGETHER), SCHEMA), "personToken")["from"] == ["No", "Born"]
    form = as_shown(found, person="")
    answered(found, form, SCHEMA)
    assert list(form.faults) == ["person"]


def test_a_record_key_can_be_named_and_taken_away() -> None:
    found = proposal()
    made = answered(found, as_shown(found, record_key="Notes"), SCHEMA)
    assert made["recordKey"] == "Notes"
    assert "Notes" not in [one["column"] for one in made["dropped"]]
    found["mapping"] = made
    assert "recordKey" not in answered(found, as_shown(found), SCHEMA)


@pytest.mark.parametrize(
    "changed",
    [{}, {"column0": "ageBroad", "minors": "leave-out"}, {"person": ROW}, {"person_yes": "yes"}, {"record_key": "No"}],
)
def test_what_comes_back_is_a_mapping_that_the_worker_reads(changed: dict[str, str]) -> None:
    found = proposal()
    made = answered(found, as_shown(found, **changed), SCHEMA)
    read = parse_intake_mapping(json.dumps(made).encode(), SCHEMA)
    assert [entry.to for entry in read.guesses] == unconfirmed(made)
