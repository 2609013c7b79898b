"""The shipped schema ctdc-global and the shipped code list iso-3166-1."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from caseschemas import load_schema
from caseschemas.codelist import CODELIST_FORMAT, shipped_codelist, shipped_codelist_ids

CTDC = load_schema("ctdc-global")
COUNTRIES = shipped_codelist("iso-3166-1")

COLUMNS = [
    "yearOfRegistration",
    "gender",
    "ageBroad",
    "citizenship",
    "CountryOfExploitation",
    "traffickMonths",
    "meansDebtBondageEarnings",
    "meansThreats",
    "meansAbusePsyPhySex",
    "meansFalsePromises",
    "meansDrugsAlcohol",
    "meansDenyBasicNeeds",
    "meansExcessiveWorkHours",
    "meansWithholdDocs",
    "isForcedLabour",
    "isSexualExploit",
    "isOtherExploit",
    "typeOfLabourAgriculture",
    "typeOfLabourConstruction",
    "typeOfLabourDomesticWork",
    "typeOfLabourHospitality",
    "typeOfSexProstitution",
    "typeOfSexPornography",
    "recruiterRelationIntimatePartner",
    "recruiterRelationFriend",
    "recruiterRelationFamily",
    "recruiterRelationOther",
]


def test_analysis_has_the_27_columns_of_the_codebook_in_their_order() -> None:
    assert [attribute.name for attribute in CTDC.analysis] == COLUMNS


def test_identifiers_person_and_consent_are_not_analysed() -> None:
    others = {attribute.name: attribute.role for attribute in CTDC.attributes if attribute.role != "analysis"}
    assert others == {
        "caseReference": "identifier",
        "personToken": "person",
        "consentCare": "consent",
        "consentOwnStatistics": "consent",
        "consentPooledStatistics": "consent",
        "consentSyntheticRelease": "consent",
    }


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("yearOfRegistration", ["", *map(str, range(2002, 2024))]),
        ("gender", ["", "Man", "Woman", "Trans/Transgender/NonConforming"]),
        ("ageBroad", ["", "0-8", "9-17", "18-20", "21-23", "24-26", "27-29", "30-38", "39-47", "48+"]),
        ("traffickMonths", ["", "0-12", "13-24", "25+"]),
        *((name, ["", "1"]) for name in COLUMNS[6:]),
    ],
)
def test_value_list_is_the_one_of_the_codebook(name: str, codes: list[str]) -> None:
    assert [value.code for value in CTDC.attribute(name).values] == codes


@pytest.mark.parametrize("name", ["citizenship", "CountryOfExploitation"])
def test_countries_are_the_249_of_iso_3166(name: str) -> None:
    codes = [value.code for value in CTDC.attribute(name).values]
    assert codes[0] == ""
    assert len(codes) == 250
    assert codes[1:] == sorted(set(codes[1:]))
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in codes[1:])


def test_every_attribute_and_every_value_has_a_label_in_four_languages() -> None:
    for attribute in CTDC.attributes:
        assert set(attribute.labels) == {"en", "fr", "es", "ar"}
        for value in attribute.values:
            assert set(value.labels) == {"en", "fr", "es", "ar"}


def test_only_english_labels_are_marked_as_reviewed() -> None:
    assert [(language.code, language.reviewed) for language in CTDC.languages] == [
        ("en", True),
        ("fr", False),
        ("es", False),
        ("ar", False),
    ]


def test_groups_hold_each_flag_once() -> None:
    members = [name for group in CTDC.groups for name in group.members]
    assert sorted(members) == sorted(COLUMNS[6:])


def test_labour_sector_needs_forced_labour_and_sexual_type_needs_sexual_exploitation() -> None:
    facts = {(name, rule.only_with.attribute) for rule in CTDC.logic for name in rule.attributes}
    assert facts == {(name, "isForcedLabour") for name in COLUMNS[17:21]} | {
        (name, "isSexualExploit") for name in COLUMNS[21:23]
    }
    assert CTDC.broken_rules({"typeOfSexPornography": 1}) == ("sexualTypeOnlyWithSexualExploitation",)
    assert CTDC.broken_rules({"typeOfSexPornography": 1, "isSexualExploit": 1}) == ()
    assert CTDC.broken_rules({"isSexualExploit": 1}) == ()


def test_every_country_lies_in_one_region_and_one_subregion() -> None:
    for hierarchy in CTDC.hierarchies:
        placed = [code for parent in hierarchy.parents for code in parent.members]
        assert sorted(placed) == [value.code for value in CTDC.attribute(hierarchy.attribute).values[1:]]
        assert all(parent.members for parent in hierarchy.parents)


@pytest.mark.parametrize(
    ("country", "region", "subregion"),
    [
        ("UKR", "150", "151"),
        ("PHL", "142", "035"),
        ("USA", "019", "021"),
        ("MEX", "019", "013"),
        ("NGA", "002", "011"),
        ("FJI", "009", "054"),
        ("TUR", "142", "145"),
        ("CYP", "142", "145"),
    ],
)
def test_country_lies_where_m49_puts_it(country: str, region: str, subregion: str) -> None:
    by_name = {hierarchy.name: hierarchy.parent_of for hierarchy in CTDC.hierarchies}
    assert by_name["citizenshipRegion"][country] == region
    assert by_name["citizenshipSubregion"][country] == subregion


def test_subregions_lie_within_regions() -> None:
    region, subregion = COUNTRIES.levels
    region_of = {code: parent for parent, _, members in region.parents for code in members}
    for _, _, members in subregion.parents:
        assert len({region_of[code] for code in members}) == 1


def test_no_two_countries_share_a_word_in_any_language() -> None:
    country = CTDC.attribute("citizenship")
    for position, value in enumerate(country.values):
        assert {country.code_of(word) for word in value.words} == {position}


@pytest.mark.parametrize("codelist_id", shipped_codelist_ids())
def test_code_list_file_names_its_format_source_and_licence(codelist_id: str) -> None:
    document = json.loads((files("caseschemas") / "codelists" / f"{codelist_id}.json").read_text("utf-8"))
    assert (document["format"], document["id"]) == (CODELIST_FORMAT, codelist_id)
    assert any("licence" in source and "notice" in source for source in document["sources"])


def test_unicode_licence_travels_with_the_labels() -> None:
    licence = (files("caseschemas") / "codelists" / "LICENSE.unicode.txt").read_text("utf-8")
    assert "UNICODE LICENSE V3" in licence
    assert "SPDX-License-Identifier: Unicode-3.0" in licence


def test_unknown_code_list_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        shipped_codelist("../shipped/ctdc-global")
