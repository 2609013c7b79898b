"""What a correction may change, and what it refuses; no refusal repeats a value."""

from __future__ import annotations

import pytest

from casehaven.people.correct import TEXT_MOST, corrected
from casehaven.people.errors import CorrectionError
from caseschemas import CaseSchema, load_schema

CELLS = {
    "personToken": "t-1",
    "gender": "Woman",
    "ageBroad": "9-17",
    "isForcedLabour": "1",
    "typeOfLabourAgriculture": "1",
    "citizenship": "Atlantis",
}
SECRET = "Zanzibar-4711"


@pytest.fixture(scope="module")
def ctdc() -> CaseSchema:
    return load_schema("ctdc-global")


@pytest.fixture(scope="module")
def htcds() -> CaseSchema:
    return load_schema("htcds-2.0")


@pytest.mark.parametrize(
    ("name", "typed", "stored"),
    [
        ("ageBroad", "19", "18-20"),
        ("gender", "male", "Man"),
        ("citizenship", "Ukraine", "UKR"),
        ("meansThreats", "yes", "1"),
    ],
)
def test_what_the_schema_understands_is_stored_as_its_code(
    ctdc: CaseSchema, name: str, typed: str, stored: str
) -> None:
    assert corrected(ctdc, CELLS, {name: typed}) == {**CELLS, name: stored}


def test_an_empty_value_takes_the_answer_away(ctdc: CaseSchema) -> None:
    assert "gender" not in corrected(ctdc, CELLS, {"gender": " "})


def test_several_values_are_stored_in_the_order_of_the_schema_each_once(htcds: CaseSchema) -> None:
    after = corrected(htcds, {}, {"vic_MethodsOfControl": "False promises; DebtBondage;DebtBondage"})
    assert after == {"vic_MethodsOfControl": "DebtBondage;FalsePromises"}


REFUSED = {
    "no such attribute": ({"favouriteColour": SECRET}, "no attribute of the name given"),
    "a value outside the list": ({"gender": SECRET}, "gender does not take this value"),
    "a year that the list does not have": (
        {"yearOfRegistration": "1066"},
        "yearOfRegistration does not take this value",
    ),
    "the person token": ({"personToken": SECRET}, "another token is another person"),
    "an identifier": ({"caseReference": SECRET}, "identifies a person directly"),
    "consent": ({"consentCare": "yes"}, "casehaven person consent"),
    "nothing new": ({"gender": "Woman"}, "holds this already"),
    "no change": ({}, "one attribute at least"),
    "a rule of the schema": ({"isForcedLabour": ""}, "would contradict a rule"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_correction_is_refused_and_the_refusal_repeats_no_value(ctdc: CaseSchema, why: str) -> None:
    changes, said = REFUSED[why]
    with pytest.raises(CorrectionError, match=said) as refusal:
        corrected(ctdc, CELLS, changes)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("typed", [f"DebtBondage;{SECRET}", SECRET, ";"])
def test_half_a_cell_that_the_schema_understands_is_not_taken(htcds: CaseSchema, typed: str) -> None:
    with pytest.raises(CorrectionError, match="several are separated by"):
        corrected(htcds, {}, {"vic_MethodsOfControl": typed})


def test_a_rule_that_was_broken_before_does_not_stop_another_correction(ctdc: CaseSchema) -> None:
    broken = {key: cell for key, cell in CELLS.items() if key != "isForcedLabour"}
    assert corrected(ctdc, broken, {"gender": "Man"})["gender"] == "Man"


def test_free_text_is_taken_up_to_its_limit(htcds: CaseSchema) -> None:
    longest = "x" * TEXT_MOST
    assert corrected(htcds, {}, {"cas_ReasonForCaseClosure": longest}) == {"cas_ReasonForCaseClosure": longest}
    with pytest.raises(CorrectionError, match="characters at most"):
        corrected(htcds, {}, {"cas_ReasonForCaseClosure": longest + "x"})
