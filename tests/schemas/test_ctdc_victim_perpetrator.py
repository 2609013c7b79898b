"""The shipped schema ctdc-victim-perpetrator: 16 columns, several perpetrators in one cell, and what is uncertain said."""

from __future__ import annotations

import pytest

from caseschemas import load_schema

SCHEMA = load_schema("ctdc-victim-perpetrator")

COLUMNS = [
    "yearRegister",
    "gender",
    "majorityStatus",
    "UN_COO_Region",
    "UN_COE_Region",
    "isForcedLabour",
    "isSexualExploit",
    "IP_Gender",
    "IP_ageBroad",
    "IP_citizen_UNRegion",
    "IP_Relation",
    "IP_PayMoney",
    "IP_Exploiter",
    "IP_RecruiterBroker",
    "IP_TransactionProcess",
    "IP_ControlAbuseKidnap",
]
REGIONS = ["Africa", "Americas/Oceania", "Asia", "Europe"]


def test_analysis_has_the_16_columns() -> None:
    assert [attribute.name for attribute in SCHEMA.analysis] == COLUMNS


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("UN_COO_Region", REGIONS),
        ("UN_COE_Region", REGIONS),
        ("IP_Gender", ["Female", "Male"]),
        ("IP_ageBroad", ["0-29", "30-38", "39-47", "48+"]),
        ("IP_citizen_UNRegion", REGIONS),
        ("IP_Relation", ["StrangerUnknownOther", "FriendAcquaintance", "FamilyIntimatePartner"]),
        *((name, ["1"]) for name in ("isForcedLabour", "isSexualExploit", *COLUMNS[11:])),
    ],
)
def test_value_list(name: str, codes: list[str]) -> None:
    assert [value.code for value in SCHEMA.attribute(name).values] == ["", *codes]


@pytest.mark.parametrize(
    ("name", "cell", "held"),
    [
        ("IP_Gender", "Female;Male", ["Female", "Male"]),
        ("IP_Gender", "Male; Female", ["Female", "Male"]),
        ("IP_ageBroad", "48+;0--29", ["0-29", "48+"]),
        ("IP_citizen_UNRegion", "Europe;Americas/Oceania", ["Americas/Oceania", "Europe"]),
        ("IP_Relation", "NULL", [""]),
    ],
)
def test_a_cell_holds_what_is_said_of_several_perpetrators(name: str, cell: str, held: list[str]) -> None:
    attribute = SCHEMA.attribute(name)
    assert attribute.kind == "multi"
    assert [attribute.values[position].code for position in attribute.codes_of(cell) or ()] == held


def test_description_says_where_columns_come_from_and_what_is_uncertain() -> None:
    said = SCHEMA.description["en"]
    for part in (
        "no column here comes from it",
        "Uncertain:",
        "yearRegister",
        "gender",
        "IP_PayMoney",
        "Holds no CTDC records",
    ):
        assert part in said
    for name in ("yearRegister", "gender", "IP_PayMoney"):
        assert "Uncertain" in SCHEMA.attribute(name).description["en"]
    assert all("From published programs" in attribute.description["en"] for attribute in SCHEMA.analysis)


def test_the_person_is_the_victim_and_perpetrators_are_said_not_to_be_protected() -> None:
    assert SCHEMA.person_key == "personToken"
    assert "a perpetrator whom many victims name is not" in SCHEMA.description["en"]
