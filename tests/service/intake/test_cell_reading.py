"""What cells say in the words of the schema: lists, several values, numbers, dates, ages, consent, and what is not understood."""

from __future__ import annotations

import pytest

from casehaven.intake.cell_reading import BLANK, NOT_UNDERSTOOD, UNDERSTOOD, CellReader, completed_years
from casehaven.intake.dates import DateReading
from casehaven.intake.intake_mapping import AttributeMapping, How
from casehaven.intake.sandbox.columns import NONE_CHOSEN
from caseschemas import CaseSchema, load_schema, parse_schema

HTCDS = load_schema("htcds-2.0")
CTDC = load_schema("ctdc-global")
AS_IT_IS = DateReading()


def read(
    schema: CaseSchema,
    name: str,
    *cells: str,
    how: How = "read",
    codes: dict[str, str] | None = None,
    dates: DateReading = AS_IT_IS,
    spaced: bool = False,
) -> tuple[str, int]:
    """What is stored for the cells of one row, and how it was understood."""
    columns = [f"c{number}" for number in range(len(cells))]
    at = columns.pop() if how in ("age", "birth") else None
    entry = AttributeMapping(
        to=name, source=tuple(columns), how=how, codes=codes or {}, dates=dates, at=at, at_dates=dates
    )
    stored, state, _ = CellReader(schema.attribute(name), entry, spaced=spaced).read(cells)
    return stored, state


@pytest.mark.parametrize(
    ("schema", "name", "cell", "code"),
    [
        (HTCDS, "prs_Gender", "FEMME", "Feminine"),
        (HTCDS, "prs_Gender", "non conforming", "NonConforming"),
        (HTCDS, "vic_TraffickingStatusDecisionMakingOrg", "ong", "NGO"),
        (HTCDS, "prs_Citizenship", "uk", ""),
        (HTCDS, "prs_Citizenship", "GB", "GBR"),
        (HTCDS, "prs_Citizenship", "Cote dIvoire", "CIV"),
        (HTCDS, "prs_Citizenship", "أوكرانيا", "UKR"),
        (HTCDS, "prs_Citizenship", "NA", "NAM"),
        (HTCDS, "countryOfExploitation", "USA::Texas::Houston", "USA"),
        (HTCDS, "ageAtRegistration", "0--8", "0-8"),
        (HTCDS, "ageAtRegistration", "09--17", "9-17"),
        (HTCDS, "ageAtRegistration", "٢٢", "21-23"),
        (HTCDS, "ageAtRegistration", "۱۷٫۹", "9-17"),
        (HTCDS, "ageAtRegistration", "17,9", "9-17"),
        (HTCDS, "ageAtRegistration", "12 ans", "9-17"),
        (HTCDS, "ageAtRegistration", "30 months", "0-8"),
        (HTCDS, "ageAtRegistration", "48.0", "48+"),
        (HTCDS, "ageAtRegistration", "-99", ""),
        (CTDC, "traffickMonths", "2 years", "13-24"),
        (CTDC, "traffickMonths", "6 mois", "0-12"),
        (CTDC, "isForcedLabour", "1.0", "1"),
        (CTDC, "isForcedLabour", "oui", "1"),
        (CTDC, "isForcedLabour", "0", ""),
        (CTDC, "gender", "NULL", ""),
        (CTDC, "yearOfRegistration", "15 mars 2021", "2021"),
        (CTDC, "yearOfRegistration", "3/4/21", "2021"),
        (CTDC, "yearOfRegistration", "NULL", ""),
    ],
)
def test_a_cell_becomes_the_code_that_it_means(schema: CaseSchema, name: str, cell: str, code: str) -> None:
    stored, state = read(schema, name, cell)
    if (name, cell) == ("prs_Citizenship", "uk"):
        assert stored in ("", "GBR"), "only where the code list has it"
        return
    assert (stored, state) == (code, UNDERSTOOD)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("prs_Gender", "4711"),
        ("ageAtRegistration", "old"),
        ("ageAtRegistration", "-5"),
        ("ageAtRegistration", "25 M"),
        ("yearOfRegistration", "1999"),
        ("yearOfRegistration", "soon"),
        ("prs_Citizenship", "Atlantis"),
    ],
)
def test_what_is_not_understood_is_not_known_and_told(name: str, cell: str) -> None:
    assert read(HTCDS, name, cell) == ("", NOT_UNDERSTOOD)


def test_an_empty_cell_says_nothing() -> None:
    assert read(HTCDS, "prs_Gender", " ") == ("", BLANK)
    assert read(HTCDS, "vic_MethodsOfControl", "") == ("", BLANK)


def test_the_codes_of_a_mapping_go_before_the_words_of_the_schema() -> None:
    assert read(HTCDS, "prs_Gender", "F", codes={"f": "Masculine"}) == ("Masculine", UNDERSTOOD)


@pytest.mark.parametrize(
    ("cell", "spaced", "codes"),
    [
        ("PhysicalThreats;DebtBondage", False, "PhysicalThreats;DebtBondage"),
        ("DebtBondage ||| Physical threats", False, "PhysicalThreats;DebtBondage"),
        ("Physical threats\nDebt bondage ", False, "PhysicalThreats;DebtBondage"),
        ("Physical threats, debt bondage", False, "PhysicalThreats;DebtBondage"),
        ("PhysicalThreats DebtBondage", True, "PhysicalThreats;DebtBondage"),
        ("DebtBondage;DebtBondage", False, "DebtBondage"),
    ],
)
def test_several_values_are_parted_and_stand_in_the_order_of_the_schema(cell: str, spaced: bool, codes: str) -> None:
    stored, state = read(HTCDS, "vic_MethodsOfControl", cell, spaced=spaced)
    assert state == UNDERSTOOD
    assert set(stored.split(";")) == set(codes.split(";")) and len(stored.split(";")) == len(codes.split(";"))


def test_spaces_part_values_only_in_files_of_survey_tools() -> None:
    assert read(HTCDS, "vic_MethodsOfControl", "PhysicalThreats DebtBondage")[1] == NOT_UNDERSTOOD


def test_of_several_values_the_known_ones_are_kept_and_the_others_are_told() -> None:
    stored, state = read(HTCDS, "vic_MethodsOfControl", "DebtBondage;xyz")
    assert state == NOT_UNDERSTOOD
    assert "DebtBondage" in stored and "xyz" not in stored


def test_several_columns_come_together() -> None:
    assert read(HTCDS, "vic_TypeOfSexExploitation", "Prostitution", "", "Pornography") == (
        "Prostitution;Pornography",
        UNDERSTOOD,
    )
    assert read(HTCDS, "prs_Gender", "unknown", "Femme", "Homme") == ("Feminine", UNDERSTOOD), "the first answer counts"


@pytest.mark.parametrize(
    ("cell", "stored"), [("oui", "TRUE"), ("withdrawn", "FALSE"), ("peut-être", "FALSE"), ("", "")]
)
def test_a_consent_that_is_not_understood_is_a_refusal(cell: str, stored: str) -> None:
    assert read(HTCDS, "con_Consent", cell)[0] == stored


@pytest.mark.parametrize("cell", ["☐ Yes", "[ ] oui", "yes?", "oui/non"])
def test_a_consent_is_only_what_says_so_itself(cell: str) -> None:
    assert read(HTCDS, "con_Consent", cell)[0] == "FALSE"


def test_of_two_columns_of_consent_the_refusal_wins() -> None:
    assert read(HTCDS, "con_Consent", "oui", "non")[0] == "FALSE"
    assert read(HTCDS, "con_Consent", "oui", "withdrawn")[0] == "FALSE"
    assert read(HTCDS, "con_Consent", "", "oui") == ("TRUE", UNDERSTOOD)
    assert read(HTCDS, "con_Consent", "", "") == ("", BLANK)


# --- ages ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("born", "at", "band"),
    [
        ("2000-06-15", "2018-06-15", "18-20"),
        ("2000-06-15", "2018-06-14", "9-17"),
        ("1990", "2021", "30-38"),
        ("2000-06", "2021-03-01", "18-20"),
        ("1960", "mars 2021", "48+"),
        ("29/02/2000", "2018-03-01", "18-20"),
    ],
)
def test_an_age_counts_where_all_ages_that_the_dates_allow_lie_in_one_band(born: str, at: str, band: str) -> None:
    assert read(HTCDS, "ageAtRegistration", born, at, how="age") == (band, UNDERSTOOD)


@pytest.mark.parametrize(("born", "at"), [("2000", "2018"), ("2003-04-05", "2001"), ("x", "2020"), ("1800", "2020")])
def test_an_age_that_may_lie_in_two_bands_is_not_known(born: str, at: str) -> None:
    assert read(HTCDS, "ageAtRegistration", born, at, how="age") == ("", NOT_UNDERSTOOD)


def test_without_a_date_there_is_no_age() -> None:
    assert read(HTCDS, "ageAtRegistration", "2000", "", how="age") == ("", BLANK)
    assert read(HTCDS, "ageAtRegistration", "", "2000", how="age") == ("", BLANK)


def test_the_ages_at_birthdays() -> None:
    from datetime import date

    assert completed_years(date(2000, 6, 15), date(2018, 6, 14)) == 17
    assert completed_years(date(2000, 6, 15), date(2018, 6, 15)) == 18
    assert completed_years(date(2000, 6, 15), date(2000, 6, 14)) == -1


def _decades() -> CaseSchema:
    missing = {"blank": {"code": "", "means": "unknown", "labels": {"en": "?"}}}
    periods = {"granularity": "year", "from": "1950", "to": "2020"}
    born = {
        "name": "born",
        "kind": "date",
        "role": "analysis",
        "labels": {"en": "Year of birth"},
        "periods": periods,
        "missing": ["blank"],
        "merge": "min",
    }
    return parse_schema(
        {
            "format": "casehaven-schema/1",
            "id": "births",
            "version": "1.0.0",
            "title": {"en": "Births"},
            "languages": [{"code": "en", "reviewed": True}],
            "missing": missing,
            "attributes": [born],
        }
    )


def test_a_birth_from_an_age_is_known_only_where_it_lies_in_one_period() -> None:
    schema = _decades()
    assert read(schema, "born", "20", "2020-12-31", how="birth") == ("2000", UNDERSTOOD)
    assert read(schema, "born", "20", "2020-06-30", how="birth") == ("", NOT_UNDERSTOOD)
    assert read(schema, "born", "", "2020-06-30", how="birth") == ("", BLANK)


def test_a_person_token_of_several_columns_is_a_digest_and_needs_each_of_them() -> None:
    one, state = read(HTCDS, "personToken", "Amina ", "1999-01-02", how="copy")
    assert state == UNDERSTOOD and "Amina" not in one and len(one) == 32
    assert read(HTCDS, "personToken", "AMINA", "1999-01-02", how="copy")[0] == one
    assert read(HTCDS, "personToken", "Amina1", "999-01-02", how="copy")[0] != one
    assert read(HTCDS, "personToken", "Amina", "", how="copy") == ("", BLANK)


def test_names_of_scripts_whose_vowels_are_marks_are_told_apart() -> None:
    one, other = (read(HTCDS, "personToken", name, "1999-01-02", how="copy")[0] for name in ("रमा", "रमी"))
    assert one != other


def test_answered_with_none_of_the_choices_is_a_no_where_the_schema_tells_it_from_unknown() -> None:
    ways: list[tuple[How, dict[str, str] | None]] = [("any", {"own": "yes"}), ("read", None)]
    for how, codes in ways:
        assert read(HTCDS, "consentOwnStatistics", NONE_CHOSEN, how=how, codes=codes)[0] == "no"
        assert read(HTCDS, "consentOwnStatistics", "", how=how, codes=codes)[0] == ""
    for how, _ in ways:
        no = read(CTDC, "isForcedLabour", NONE_CHOSEN, how=how, codes={"labour": "1"})
        assert no == (read(CTDC, "isForcedLabour", "no")[0], UNDERSTOOD) != read(CTDC, "isForcedLabour", "")
    assert read(HTCDS, "vic_TypeOfExploitation", NONE_CHOSEN)[1] != NOT_UNDERSTOOD
