"""The shipped schema htcds-2.0: all live core fields, their code lists, what stays in the vault, and the standard's known defects."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from caseschemas import load_schema, shipped_schema_ids

HTCDS = load_schema("htcds-2.0")

IDENTIFYING = [
    "prs_Salutation",
    "prs_FirstName",
    "prs_SecondName",
    "prs_Birthdate",
    "prs_Title",
    "prs_Email",
    "prs_HomePhone",
    "prs_MobilePhone",
    "prs_MailingCity",
    "prs_MailingCountry",
    "prs_MailingState",
    "prs_MailingStreet",
    "prs_MailingPostalCode",
    "cas_ReasonForCaseClosure",
    "cas_CaseOwner",
    "cas_ReferringPrimaryCaseWorker",
    "cas_IncomingReferralDetails",
    "cas_ReferredPrimaryCaseWorker",
    "cas_OutgoingReferralDetails",
]
"""Core fields that name a person or staff, say how to reach one, or hold free text."""

PLACES = [
    "vic_LocationOfRecruitment",
    "vic_LocationOfExploitation",
    "cas_ReferringOrganisation",
    "cas_ReferredOrganisation",
]
"""Core fields that point to an organisation."""

COUNTED = [
    "prs_Gender",
    "prs_Citizenship",
    "vic_TraffickingStatus",
    "vic_TraffickingStatusDecisionMakingOrg",
    "vic_MethodOfRecruitment",
    "vic_MethodsOfControl",
    "vic_TypeOfExploitation",
    "vic_ForcedLabourIndustry",
    "vic_TypeOfSexExploitation",
    "cas_Status",
    "cas_IncomingReferralDate",
    "cas_ReasonForIncomingReferral",
    "cas_ReasonForOutgoingReferral",
    "cas_OutgoingReferralDate",
]
"""Core fields that may be counted."""

ADDED = [
    "caseReference",
    "personToken",
    "consentOwnStatistics",
    "consentPooledStatistics",
    "consentSyntheticRelease",
    "yearOfRegistration",
    "ageAtRegistration",
    "countryOfExploitation",
]
"""What HTCDS lacks."""


def names(*roles: str) -> set[str]:
    return {attribute.name for attribute in HTCDS.attributes if attribute.role in roles}


def codes(name: str) -> list[str]:
    attribute = HTCDS.attribute(name)
    return [value.code for value in attribute.values[attribute.first_known :]]


def sheet(path: Path, number: int) -> list[dict[str, str]]:
    """The rows of one sheet of a workbook, cells by column letter."""
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as book:
        shared = [
            "".join(text.text or "" for text in entry.iter(f"{main}t"))
            for entry in ElementTree.fromstring(book.read("xl/sharedStrings.xml")).iter(f"{main}si")
        ]
        rows = []
        for row in ElementTree.fromstring(book.read(f"xl/worksheets/sheet{number}.xml")).iter(f"{main}row"):
            cells = {}
            for cell in row:
                value = cell.find(f"{main}v")
                if value is not None and value.text is not None:
                    text = shared[int(value.text)] if cell.get("t") == "s" else value.text
                    cells[re.sub(r"\d", "", cell.get("r") or "")] = text
            rows.append(cells)
    return rows


def standard(folder: Path) -> list[list[str]]:
    """The rows of the standard's own table of fields, one text per cell, the lines of a cell with line feeds between."""
    table, text = (f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("table", "text"))
    with zipfile.ZipFile(folder / "htcds" / "HTCDS_Field_Standards_2.0.ods") as book:
        content = ElementTree.fromstring(book.read("content.xml"))
    rows = []
    for row in content.iter(f"{table}table-row"):
        cells: list[str] = []
        for cell in row:
            lines = "\n".join("".join(line.itertext()) for line in cell.iter(f"{text}p"))
            cells += [lines] * min(int(cell.get(f"{table}number-columns-repeated", "1")), 20)
        rows.append(cells)
    return rows


def test_the_38_core_fields_are_there_and_nothing_else_but_what_is_declared() -> None:
    core = {*IDENTIFYING, *PLACES, *COUNTED, "con_Consent"}
    assert len(core) == 38
    assert {attribute.name for attribute in HTCDS.attributes} == core | {*ADDED, "vic_RelationshipToTrafficker"}


def test_the_core_fields_are_those_of_the_standard(shared_data: Path) -> None:
    core = {row[6] for row in standard(shared_data) if len(row) > 6 and row[1:3] == ["DRAFT", "Core"]}
    assert core == {*IDENTIFYING, *PLACES, *COUNTED, "con_Consent"}


def test_every_code_list_is_that_of_the_standard(shared_data: Path) -> None:
    lists = {row[6]: row for row in standard(shared_data) if len(row) > 10 and row[6] in names("analysis")}
    checked = 0
    for name, row in lists.items():
        if row[9] and not row[9].startswith("Use ISO"):
            listed = [code.strip() for code in row[9].split("\n")]
            missing = ["NonSpecifiedUnknown"] if name == "prs_Gender" else []
            added = ["RestrictsMovement", "UsesChildren"] if name == "vic_MethodsOfControl" else []
            assert codes(name) + missing == listed + added, name
            for code, label in zip(listed, row[10].split("\n"), strict=True):
                attribute = HTCDS.attribute(name)
                assert attribute.code_of(label) == attribute.position(code), (name, label)
            checked += 1
    assert checked == 12


def test_what_identifies_or_tells_freely_never_leaves_the_vault() -> None:
    assert names("identifier", "text") == {*IDENTIFYING, *PLACES, "caseReference"}
    assert names("text") == {name for name in IDENTIFYING if name.endswith(("Closure", "Details"))}
    assert len(IDENTIFYING) == 19


def test_what_is_counted_is_the_rest_with_year_age_country_and_relation() -> None:
    assert names("analysis") == {
        *COUNTED, "yearOfRegistration", "ageAtRegistration", "countryOfExploitation", "vic_RelationshipToTrafficker"
    }  # fmt: skip


def test_one_consent_of_htcds_counts_for_care_only() -> None:
    assert HTCDS.consent == {
        "care": "con_Consent",
        "own_statistics": "consentOwnStatistics",
        "pooled_statistics": "consentPooledStatistics",
        "synthetic_release": "consentSyntheticRelease",
    }
    consent = HTCDS.attribute("con_Consent")
    assert [consent.values[consent.code_of(cell) or 0].missing for cell in ("TRUE", "FALSE", "", "true", "no")] == [
        None, "no", "not_asked", None, "no"
    ]  # fmt: skip


def test_year_of_registration_decides_the_block_whatever_the_date_looks_like() -> None:
    assert HTCDS.block is not None
    assert HTCDS.block.attribute == "yearOfRegistration"
    year = HTCDS.attribute("yearOfRegistration")
    assert {year.values[year.code_of(cell) or 0].code for cell in ("2019", "2019-03-15", "15/03/2019", "03/2019")} == {
        "2019"
    }


@pytest.mark.parametrize(
    ("cell", "held"),
    [
        ("DebtBondage ", ["DebtBondage"]),
        ("DebtBondage ;FalsePromises", ["DebtBondage", "FalsePromises"]),
        ("Debt bondage\u00a0||| Physical threats", ["PhysicalThreats", "DebtBondage"]),
        ("RestrictsMovement", ["RestrictsMovement"]),
        ("Other;nonsense", ["Other"]),
    ],
)
def test_methods_of_control_are_read_with_the_spaces_that_files_have(cell: str, held: list[str]) -> None:
    control = HTCDS.attribute("vic_MethodsOfControl")
    assert [control.values[position].code for position in control.codes_of(cell) or ()] == held


def test_the_misspelt_code_is_kept_and_its_right_spelling_understood() -> None:
    relation = HTCDS.attribute("vic_RelationshipToTrafficker")
    assert relation.code_of("Unaquainted") == relation.code_of("Unacquainted") == relation.position("Unaquainted")


def test_not_specified_is_missing_and_not_the_same_as_an_empty_cell() -> None:
    gender = HTCDS.attribute("prs_Gender")
    position = gender.position("NonSpecifiedUnknown")
    assert gender.values[position].missing == "unknown"
    assert gender.code_of("Not Specified/Unknown") == position != gender.code_of("")


def test_citizenship_is_one_country_by_any_of_its_codes() -> None:
    citizenship = HTCDS.attribute("prs_Citizenship")
    assert citizenship.code_of("UA") == citizenship.code_of("UKR") == citizenship.position("UKR")
    assert citizenship.code_of("UA;RU") is None


def test_every_choice_of_the_form_is_understood(shared_data: Path) -> None:
    field = {
        "gender": "prs_Gender", "citizenship": "prs_Citizenship", "methodofrecruitment": "vic_MethodOfRecruitment",
        "methodsofcontrol": "vic_MethodsOfControl", "typeofexploitation": "vic_TypeOfExploitation",
        "forcedlabourindustry": "vic_ForcedLabourIndustry", "typeofsexexploitation": "vic_TypeOfSexExploitation", "status": "cas_Status",
        "consent": "con_Consent", "traffickingstatus": "vic_TraffickingStatus",
        "traffickingstatusdecisionmakingorg": "vic_TraffickingStatusDecisionMakingOrg",
    }  # fmt: skip
    understood = 0
    for row in sheet(shared_data / "htcds" / "htcds_xlsform.xlsx", 2)[1:]:
        attribute = HTCDS.attribute(field[row["A"]])
        assert attribute.code_of(row["B"]) is not None, row
        if row["A"] != "citizenship":
            assert attribute.code_of(row["C"]) == attribute.code_of(row["B"]), row
        understood += 1
    assert understood > 300


def test_every_choice_of_the_spreadsheet_is_understood(shared_data: Path) -> None:
    columns = {
        "B": "prs_Gender", "D": "prs_Citizenship", "F": "vic_MethodOfRecruitment", "G": "vic_MethodsOfControl",
        "H": "vic_TypeOfExploitation", "I": "vic_ForcedLabourIndustry", "J": "vic_TypeOfSexExploitation", "L": "cas_Status",
        "M": "cas_ReasonForIncomingReferral", "N": "cas_ReasonForOutgoingReferral", "O": "vic_TraffickingStatus",
        "P": "vic_TraffickingStatusDecisionMakingOrg",
    }  # fmt: skip
    path = shared_data / "htcds" / "HTCDS_Excel_Spreadsheet_multi_select_with_validation_v2.0.xlsm"
    for row in sheet(path, 3)[2:]:
        for letter, name in columns.items():
            if row.get(letter, "").strip():
                assert HTCDS.attribute(name).code_of(row[letter]) is not None, (name, row[letter])


def test_an_industry_needs_exploitation_of_labour() -> None:
    industry = HTCDS.attribute("vic_ForcedLabourIndustry").position("F_Construction")
    exploitation = HTCDS.attribute("vic_TypeOfExploitation")
    for code, broken in (("ForcedLabour", ()), ("Servitude", ()), ("OrganRemoval", ("industryOnlyWithLabour",))):
        held: dict[str, int | Sequence[int]] = {
            "vic_ForcedLabourIndustry": industry,
            "vic_TypeOfExploitation": (exploitation.position(code),),
        }
        assert HTCDS.broken_rules(held) == broken


def test_attribution_is_what_the_licence_asks_for() -> None:
    source = HTCDS.sources[0]
    assert source.licence == "CC-BY-4.0"
    assert source.url == "https://github.com/UNMigration/HTCDS"
    assert source.notice is not None
    for part in (
        "IOM",
        "creativecommons.org/licenses/by/4.0",
        "Changed:",
        "endorses no organisation",
        "mandate and values",
    ):
        assert part in source.notice
    assert "not endorsed by IOM" in HTCDS.description["en"]


@pytest.mark.parametrize("schema_id", shipped_schema_ids())
def test_every_attribute_and_every_value_of_a_shipped_schema_has_a_label_in_four_languages(schema_id: str) -> None:
    schema = load_schema(schema_id)
    assert [(entry.code, entry.reviewed) for entry in schema.languages] == [
        ("en", True), ("fr", False), ("es", False), ("ar", False)
    ]  # fmt: skip
    labels = [attribute.labels for attribute in schema.attributes]
    labels += [value.labels for attribute in schema.attributes for value in attribute.values]
    labels += [group.labels for group in schema.groups] + [rule.labels for rule in schema.logic]
    labels += [hierarchy.labels for hierarchy in schema.hierarchies]
    assert all(set(one) == {"en", "fr", "es", "ar"} for one in labels)
