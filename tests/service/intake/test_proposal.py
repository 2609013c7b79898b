"""What is proposed for a file: certain matches, guesses with their reason, and what is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from casehaven.intake.cell_reading import NOT_UNDERSTOOD, map_column
from casehaven.intake.headers import compact, misspelt, tails
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.proposal import propose
from casehaven.intake.source import SourceColumn, Tool
from casehaven.intake.value_proposal import LETTERS_MOST, WORDS_MOST, date_questions

if TYPE_CHECKING:
    from tests.service.intake.conftest import MakeSource, RecordsOf

    from caseschemas import CaseSchema


@pytest.mark.parametrize("language", ["en", "fr", "es", "ar"])
def test_labels_in_every_language_of_the_schema_are_certain(
    make_source: MakeSource, htcds: CaseSchema, language: str
) -> None:
    header = [attribute.labels[language] for attribute in htcds.attributes]
    mapping = propose(make_source(header, []), htcds)
    assert mapping.guesses == ()
    assert {entry.to: entry.source[0] for entry in mapping.attributes} == {
        attribute.name: attribute.labels[language] for attribute in htcds.attributes
    }


@pytest.mark.parametrize(
    "header",
    [
        "prs_Gender",
        "PRS GENDER",
        "prs gender ",
        "group/sub/prs_Gender",
        "group-prs_Gender",
        "prs_Gender__c",
        "Género",
        "GENERO",
        "Genre",
    ],
)
def test_case_accents_punctuation_and_paths_make_no_difference(
    make_source: MakeSource, htcds: CaseSchema, header: str
) -> None:
    (entry,) = propose(make_source([header], [["Femme"]]), htcds).attributes
    assert (entry.to, entry.status) == ("prs_Gender", "exact")


def test_names_as_published_templates_misspell_them_are_certain(make_source: MakeSource, htcds: CaseSchema) -> None:
    header = ["vic_TraffickinStatusDecisionMakingOrg", "prs_First_Name", "vic_Methods_of_Control"]
    mapping = propose(make_source(header, []), htcds)
    assert {entry.to: entry.status for entry in mapping.attributes} == {
        "prs_FirstName": "exact",
        "vic_TraffickingStatusDecisionMakingOrg": "exact",
        "vic_MethodsOfControl": "exact",
    }


def test_a_name_goes_before_a_label_that_stands_over_the_wrong_column(
    make_source: MakeSource, htcds: CaseSchema
) -> None:
    header = [
        SourceColumn(name="prs_MailingCountry", labels=("Mailing Street",)),
        SourceColumn(name="prs_MailingStreet", labels=("Mailing City",)),
        SourceColumn(name="prs_Title", labels=("Second Name",)),
        SourceColumn(name="prs_SecondName", labels=("Second Name",)),
    ]
    mapping = propose(make_source(header, []), htcds)
    assert all(entry.source == (entry.to,) for entry in mapping.attributes)
    assert len(mapping.attributes) == 4


def test_words_that_mean_the_same_are_guesses_that_say_why(make_source: MakeSource, htcds: CaseSchema) -> None:
    held = make_source(["Sexe", "Pays de nationalité", "N° bénéficiaire"], [["Femme", "Ukraine", "B1"]])
    mapping = propose(held, htcds)
    assert [(entry.to, entry.status) for entry in mapping.attributes] == [
        ("personToken", "guess"),
        ("prs_Gender", "guess"),
        ("prs_Citizenship", "guess"),
    ]
    assert all(entry.why for entry in mapping.attributes)
    assert mapping.accepted().guesses == ()


def test_a_guess_that_the_cells_do_not_bear_out_is_not_made(make_source: MakeSource, htcds: CaseSchema) -> None:
    held = make_source(["Sexe", "Nationalité actuelle"], [["4711", "tailor"], ["4712", "baker"]])
    mapping = propose(held, htcds)
    assert mapping.attributes == ()
    assert [entry.column for entry in mapping.dropped] == ["Sexe", "Nationalité actuelle"]


def test_every_column_is_accounted_for(make_source: MakeSource, htcds: CaseSchema) -> None:
    header = ["prs_Gender", "shoe size", "Full name", SourceColumn(name="_id", role="tool"), "_uuid"]
    mapping = propose(make_source(header, [], tool=Tool.KOBO, record_key="_uuid"), htcds)
    assert mapping.record_key == "_uuid"
    assert {*mapping.read} | {entry.column for entry in mapping.dropped} == set(mapping.columns)
    assert all(entry.why for entry in mapping.dropped)


def test_of_two_columns_with_one_name_neither_is_certain(make_source: MakeSource, htcds: CaseSchema) -> None:
    (entry,) = propose(make_source(["a/prs_Gender", "b/prs_Gender"], []), htcds).attributes
    assert entry.status == "guess"
    assert "2 columns" in entry.why


def test_a_label_over_two_columns_makes_neither_certain(make_source: MakeSource, htcds: CaseSchema) -> None:
    header = [SourceColumn(name="a", labels=("Gender",)), SourceColumn(name="b", labels=("Gender",))]
    (entry,) = propose(make_source(header, [["Femme", "Homme"]]), htcds).attributes
    assert (entry.to, entry.source, entry.status) == ("prs_Gender", ("a",), "guess")


# --- values ------------------------------------------------------------------------------------------------------------------


def test_the_files_own_options_say_what_its_codes_mean(make_source: MakeSource, htcds: CaseSchema) -> None:
    column = SourceColumn(name="prs_Gender", options={"1": "Feminine", "2": "Homme", "3": "Masculin trans", "9": "?"})
    held = make_source([column], [["1"], ["2"], ["3"], ["9"]] * 2)
    (entry,) = propose(held, htcds).attributes
    assert entry.codes == {"1": "Feminine", "2": "Masculine"}
    assert "3" not in entry.codes
    assert "9" in entry.not_understood


def test_words_like_a_value_are_guesses_and_others_are_listed(make_source: MakeSource, htcds: CaseSchema) -> None:
    held = make_source(["vic_TypeOfExploitation"], [["Forced labor; xyz"], ["Sexual exploitatoin"], ["Ménage"]] * 2)
    (entry,) = propose(held, htcds).attributes
    assert entry.guesses == {"sexual exploitatoin": "SexualExploitation"}
    assert entry.not_understood == ("ménage", "xyz")


def test_a_mapping_lists_no_word_of_a_column_that_holds_free_text(make_source: MakeSource, htcds: CaseSchema) -> None:
    canary = "canary"
    many = make_source(["prs_Gender"], [[f"{canary} {number}"] for number in range(WORDS_MOST + 1)])
    long_ = make_source(["prs_Gender"], [[canary + "x" * LETTERS_MOST], ["Femme"]])
    copied = make_source(["prs_FirstName", "cas_IncomingReferralDetails", "prs_Email"], [[canary, canary, canary]] * 5)
    sentence = make_source(["prs_Gender"], [[f"told by {canary} uncle"], ["Femme"]] * 2)
    once = make_source(["prs_Gender"], [[canary], ["Femme"]])
    for held in (many, long_, copied, sentence, once):
        assert canary not in propose(held, htcds).text()


def test_a_flag_may_be_one_value_of_a_column_of_several(
    make_source: MakeSource, ctdc: CaseSchema, records_of: RecordsOf
) -> None:
    header = ["personToken", SourceColumn(name="consents", multiple=True), SourceColumn(name="what", multiple=True)]
    rows = [
        ["p1", "consentPooledStatistics;consentCare", "Forced labour;Sexual exploitation"],
        ["p2", "consentCare", "Sexual exploitation"],
        ["p3", "", ""],
    ]
    held = make_source(header, rows)
    mapping = propose(held, ctdc)
    pooled, labour = mapping.attribute("consentPooledStatistics"), mapping.attribute("isForcedLabour")
    assert pooled is not None and labour is not None
    assert (pooled.status, pooled.how, labour.status) == ("exact", "any", "guess")
    found = records_of(MappedFile(held=held, mapping=mapping.accepted(), schema=ctdc))
    assert [record.get("consentPooledStatistics") for record in found] == ["yes", "no"], "the third row says nothing"
    assert [record.get("isForcedLabour") for record in found] == ["1", None]


# --- dates and ages ------------------------------------------------------------------------------------------------------------


def test_an_age_is_proposed_from_a_date_of_birth(make_source: MakeSource, htcds: CaseSchema) -> None:
    held = make_source(
        ["Date de naissance", "Année d’enregistrement"], [["25/12/2001", "2021"], ["03/04/1998", "2021"]]
    )
    age = propose(held, htcds).attribute("ageAtRegistration")
    assert age is not None
    assert (age.how, age.status, age.at, age.dates.order) == ("age", "guess", "Année d’enregistrement", "day-first")


def test_an_order_that_nothing_decides_is_asked_only_where_it_matters(
    make_source: MakeSource, htcds: CaseSchema
) -> None:
    held = make_source(["prs_Birthdate", "yearOfRegistration"], [["03/04/1998", "05/06/2021"]])
    mapping = propose(held, htcds)
    asked = [(entry.to, q.column) for entry in mapping.attributes for q in date_questions(held, htcds, entry)]
    assert asked == [("ageAtRegistration", "prs_Birthdate"), ("ageAtRegistration", "yearOfRegistration")]


def test_a_year_that_may_stand_in_front_is_asked_and_never_taken(make_source: MakeSource, htcds: CaseSchema) -> None:
    held = make_source(["yearOfRegistration"], [["19/04/03"], ["20/01/02"], ["19/12/25"]])
    (entry,) = propose(held, htcds).attributes
    assert entry.dates.order is None
    (question,) = date_questions(held, htcds, entry)
    assert question.order_open
    assert map_column(held, entry, htcds.attribute("yearOfRegistration")).states.tolist() == [NOT_UNDERSTOOD] * 3


def test_years_of_another_calendar_are_asked_never_taken(make_source: MakeSource, htcds: CaseSchema) -> None:
    held = make_source(["yearOfRegistration"], [["۱۴۰۰/۰۱/۰۱"], ["1399/05/06"]])
    (entry,) = propose(held, htcds).attributes
    assert entry.dates.calendar == "gregorian"
    (question,) = date_questions(held, htcds, entry)
    assert question.calendars == ("solar-hijri", "islamic")


# --- persons and records that stay behind ----------------------------------------------------------------------------------------


def test_nothing_is_taken_for_a_person_without_saying_so(make_source: MakeSource, htcds: CaseSchema) -> None:
    for header, status in ((["Case number"], "guess"), (["shoe size"], None), (["personToken"], "exact")):
        entry = propose(make_source(header, [["1"]]), htcds).attribute("personToken")
        assert (None if entry is None else entry.status) == status


def test_who_is_not_a_victim_stays_behind(make_source: MakeSource, htcds: CaseSchema) -> None:
    (rule,) = propose(make_source(["Trafficking Status"], []), htcds).left_out
    assert (rule.attribute, rule.codes) == ("vic_TraffickingStatus", ("NotAVictimOfTrafficking",))


def test_headers_are_compared_by_letters_and_digits() -> None:
    assert compact("Âge à l’enregistrement") == compact("AGE_A_L_ENREGISTREMENT")
    assert compact("الجنسيّة") == compact("الجنسية")
    assert tails("a/b/c") == ("b/c", "c")
    assert misspelt("natinality", "nationality") and not misspelt("sex", "sexe")
