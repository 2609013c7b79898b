"""Mappings between schemas: what becomes of a record, what stays behind, and every fault of a mapping document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseschemas import (
    FAULT_CODES,
    MAPPING_FAULT_CODES,
    CaseMapping,
    MappingFaultsError,
    UnknownMappingError,
    load_mapping,
    load_mapping_file,
    mapping_faults,
    parse_mapping,
    shipped_mapping_ids,
)

MAPPING = load_mapping("htcds-2.0", "ctdc-global")
RAW = (files("caseschemas") / "mappings" / "htcds-2.0_to_ctdc-global.json").read_bytes()
Edit = Callable[[dict[str, Any]], object]


def filled(**cells: str) -> dict[str, str]:
    """What a record becomes, without its empty cells."""
    return {name: cell for name, cell in MAPPING.record(cells).items() if cell}


def test_15_columns_are_covered_8_in_part_and_4_not() -> None:
    coverage = Counter(column.coverage for column in MAPPING.columns if column.coverage)
    assert coverage == {"full": 15, "part": 8, "missing": 4}
    assert [column.to for column in MAPPING.columns if column.coverage == "missing"] == [
        "yearOfRegistration",
        "CountryOfExploitation",
        "traffickMonths",
        "recruiterRelationIntimatePartner",
    ]


def test_every_column_that_is_not_fully_covered_says_why() -> None:
    assert all(column.note for column in MAPPING.columns if column.coverage in ("part", "missing"))


def test_every_attribute_of_the_target_is_filled_in_its_order() -> None:
    assert list(MAPPING.record({})) == [attribute.name for attribute in MAPPING.target.attributes]


@pytest.mark.parametrize(
    ("cells", "becomes"),
    [
        ({"prs_Gender": "Feminine"}, {"gender": "Woman"}),
        ({"prs_Gender": "TransgenderMasculine"}, {"gender": "Trans/Transgender/NonConforming"}),
        ({"prs_Gender": "NonSpecifiedUnknown"}, {}),
        ({"prs_Citizenship": "UA"}, {"citizenship": "UKR"}),
        ({"prs_Citizenship": "UA;RU"}, {}),
        ({"yearOfRegistration": "15/03/2019"}, {"yearOfRegistration": "2019"}),
        ({"yearOfRegistration": "2024"}, {}),
        ({"con_Consent": "FALSE"}, {"consentCare": "no"}),
        ({"consentSyntheticRelease": "yes"}, {"consentSyntheticRelease": "yes"}),
        (
            {"vic_MethodsOfControl": "ThreatensChildrenFamily;TakesEarnings"},
            {"meansThreats": "1", "meansDebtBondageEarnings": "1"},
        ),
        ({"vic_MethodsOfControl": "RestrictsMovement"}, {"meansDenyBasicNeeds": "1"}),
        ({"vic_MethodsOfControl": "Other"}, {}),
        ({"vic_TypeOfExploitation": "ForcedBegging;OrganRemoval"}, {"isForcedLabour": "1", "isOtherExploit": "1"}),
        ({"vic_RelationshipToTrafficker": "Unaquainted"}, {"recruiterRelationOther": "1"}),
        (
            {"vic_TypeOfExploitation": "ForcedLabour", "vic_ForcedLabourIndustry": "Construction"},
            {"isForcedLabour": "1", "typeOfLabourConstruction": "1"},
        ),
        (
            {"vic_TypeOfExploitation": "SexualExploitation", "vic_TypeOfSexExploitation": "PrivateSexualServices;Pornography"},
            {"isSexualExploit": "1", "typeOfSexPornography": "1"},
        ),
    ],
)  # fmt: skip
def test_a_record_becomes(cells: dict[str, str], becomes: dict[str, str]) -> None:
    assert filled(**cells) == becomes


def test_what_the_logic_of_the_target_forbids_becomes_blank() -> None:
    assert filled(vic_TypeOfExploitation="Servitude", vic_ForcedLabourIndustry="F_Construction") == {
        "isOtherExploit": "1"
    }
    assert filled(vic_TypeOfSexExploitation="Prostitution") == {}


def test_a_record_that_says_that_the_person_is_no_victim_stays_behind() -> None:
    cells = {"vic_TraffickingStatus": "Not a victim of trafficking", "prs_Gender": "Feminine"}
    assert MAPPING.record(cells) == {}
    assert MAPPING.record({**cells, "vic_TraffickingStatus": "PossibleVictimOfTrafficking"})["gender"] == "Woman"


@pytest.mark.parametrize(
    ("born", "registered", "age", "band"),
    [
        ("1997-01-01", "2019", "", "21-23"),
        ("1997", "2019", "", "21-23"),
        ("1998", "2019", "", ""),  # 20 or 21
        ("1998-06-30", "2019", "", ""),  # 20 or 21 in the course of 2019
        ("01/01/1950", "2019", "", "48+"),
        ("1997-01-01", "2019", "30", "30-38"),
        ("1997-01-01", "", "", ""),
        ("unknown", "2019", "", ""),
        ("2020-01-01", "2019", "", ""),
        ("2019", "2019", "", ""),  # born that year, or registered before birth
        ("2018-01-01", "2019", "nonsense", "0-8"),
    ],
)
def test_an_age_is_read_or_counted_only_where_every_possible_age_is_in_one_band(
    born: str, registered: str, age: str, band: str
) -> None:
    cells = {"prs_Birthdate": born, "yearOfRegistration": registered, "ageAtRegistration": age}
    assert MAPPING.record(cells)["ageBroad"] == band


@given(born=st.dates().map(str), registered=st.sampled_from(["2002", "2019", "2023"]), cut=st.sampled_from([4, 7, 10]))
def test_an_age_from_a_partial_date_is_that_from_every_date_it_may_stand_for_or_blank(
    born: str, registered: str, cut: int
) -> None:
    def band(text: str) -> str:
        return MAPPING.record({"prs_Birthdate": text, "yearOfRegistration": registered})["ageBroad"]

    assert band(born[:cut]) in ("", band(born))


def test_identifiers_and_free_text_of_the_source_are_nowhere_in_a_mapped_record() -> None:
    canary = {a.name: f"canary {a.name}" for a in MAPPING.source.attributes if a.role in ("identifier", "text")}
    record = MAPPING.record({**canary, "personToken": "token"})
    assert record["caseReference"] == "canary caseReference"
    assert [name for name, cell in record.items() if "canary" in cell] == ["caseReference"]
    assert record["personToken"] == "token"


@given(st.fixed_dictionaries({name: st.text(max_size=40) for name in MAPPING.read}))
def test_any_cells_give_codes_of_the_target_or_nothing(cells: dict[str, str]) -> None:
    record = MAPPING.record(cells)
    for attribute in MAPPING.target.analysis if record else ():
        assert record[attribute.name] in [value.code for value in attribute.values]


def test_identifiers_may_be_dropped_from_a_file_and_the_rest_is_needed() -> None:
    assert set(MAPPING.read) - set(MAPPING.needed) == {"caseReference", "prs_Birthdate"}


def column(name: str, **fields: Any) -> Edit:
    """Change fields of the entry for one column; None removes a field."""

    def edit(document: dict[str, Any]) -> None:
        (entry,) = (entry for entry in document["columns"] if entry["to"] == name)
        for key, value in fields.items():
            if value is None:
                del entry[key]
            else:
                entry[key] = value

    return edit


def top(**fields: Any) -> Edit:
    return lambda document: document.update(fields)


CASES: list[tuple[str, Edit, str]] = [
    ("wrong-format", top(format="casehaven-schema/1"), "/format"),
    ("wrong-type", top(columns={}), "/columns"),
    ("missing-field", column("gender", recode=None), "/columns/7"),
    ("misplaced-field", column("citizenship", codes=["UKR"]), "/columns/9/codes"),
    ("wrong-choice", column("gender", rule="guess"), "/columns/7/rule"),
    ("unknown-field", top(notes="x"), "/notes"),
    ("unknown-schema", top(**{"from": {"schema": "htcds", "version": "1.0.0"}}), "/from/schema"),
    ("unknown-schema", top(to={"schema": "ctdc-global", "version": "0.9.0"}), "/to/version"),
    ("unknown-attribute", column("gender", **{"from": "prs_Sex"}), "/columns/7/from"),
    ("unknown-attribute", column("gender", to="sex"), "/columns/7/to"),
    ("unknown-attribute", column("ageBroad", born="birthday"), "/columns/8/born"),
    ("unknown-code", column("meansThreats", codes=["Threats"]), "/columns/13/codes/0"),
    ("unknown-code", top(leaveOut=[{"attribute": "cas_Status", "codes": ["Lost"], "note": {"en": "x"}}]), "/leaveOut/0/codes/0"),
    ("unknown-code", column("consentCare", recode={"TRUE": "1", "FALSE": "no"}), "/columns/2/recode/TRUE"),
    ("unmapped-code", column("gender", recode={"Feminine": "Woman"}), "/columns/7/recode"),
    ("unmapped-column", lambda document: document["columns"].pop(), "/columns"),
    ("mapped-twice", lambda document: document["columns"].append(document["columns"][0]), "/columns/33/to"),
    ("rule-does-not-fit", column("citizenship", **{"from": "vic_MethodsOfControl"}), "/columns/9/rule"),
    ("rule-does-not-fit", column("caseReference", rule="recode", recode={"a": ""}), "/columns/0/rule"),
    ("rule-does-not-fit", column("ageBroad", at="prs_Birthdate"), "/columns/8/at"),
    ("role-crossed", column("gender", rule="copy", **{"from": "prs_FirstName"}, recode=None), "/columns/7/from"),
    ("role-crossed", column("caseReference", **{"from": "cas_ReasonForCaseClosure"}), "/columns/0/from"),
    ("role-crossed", column("caseReference", **{"from": "personToken"}), "/columns/0/from"),
    ("role-crossed", column("consentCare", rule="any", codes=["1"], recode=None, **{"from": "vic_MethodsOfControl"}), "/columns/2/from"),
    ("no-coverage", column("gender", coverage=None), "/columns/7"),
    ("no-coverage", column("consentCare", coverage="full"), "/columns/2"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "edit", "pointer"), CASES)
def test_a_fault_is_found_at_its_place(code: str, edit: Edit, pointer: str) -> None:
    document = json.loads(RAW)
    edit(document)
    faults = mapping_faults(json.dumps(document, indent=1).encode())
    assert (code, pointer) in [(fault.code, fault.pointer) for fault in faults]
    assert all(fault.line > 1 for fault in faults if fault.pointer)
    with pytest.raises(MappingFaultsError, match=code):
        parse_mapping(json.dumps(document).encode())


def test_every_kind_of_fault_of_a_mapping_is_shown() -> None:
    assert set(MAPPING_FAULT_CODES) <= {code for code, _, _ in CASES}
    assert not set(MAPPING_FAULT_CODES) & set(FAULT_CODES)


def test_shipped_mappings_have_no_faults_and_are_named_for_their_ends() -> None:
    assert mapping_faults(RAW) == ()
    for mapping_id in shipped_mapping_ids():
        mapping = load_mapping(*mapping_id.split("_to_"))
        assert mapping.id == mapping_id == f"{mapping.source.id}_to_{mapping.target.id}"


@given(st.binary(max_size=200))
def test_any_bytes_are_an_explained_fault_and_no_exception(raw: bytes) -> None:
    assert mapping_faults(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
    ),
    st.data(),
)
def test_any_value_anywhere_is_a_fault_or_a_mapping(value: Any, data: st.DataObject) -> None:  # fmt: skip
    document = json.loads(RAW)
    key = data.draw(st.sampled_from([*document, "columns/0", "columns/7"]))
    if "/" in key:
        field = data.draw(st.sampled_from(["to", "rule", "from", "coverage", "recode"]))
        document["columns"][int(key.split("/")[1])][field] = value
    else:
        document[key] = value
    raw = json.dumps(document).encode()
    if not mapping_faults(raw):
        assert isinstance(parse_mapping(raw), CaseMapping)


def test_a_mapping_that_is_not_there_says_what_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownMappingError, match="htcds-2.0_to_ctdc-global"):
        load_mapping("ctdc-global", "htcds-2.0")
    with pytest.raises(UnknownMappingError, match="cannot read"):
        load_mapping_file(tmp_path / "mine.json")


def test_a_mapping_of_your_own_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(RAW)
    assert load_mapping_file(path) == MAPPING
