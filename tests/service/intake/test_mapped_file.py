"""What becomes of each row of a file under a mapping: taken in, left behind by a rule, refused, or nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from casehaven.intake.check import check_file
from casehaven.intake.errors import ChangedCaseFileError, MissingColumnsError
from casehaven.intake.held import hold
from casehaven.intake.intake_mapping import IntakeMapping, Minors, MinorsRule
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.proposal import propose

if TYPE_CHECKING:
    from tests.service.intake.conftest import MakeSource, RecordsOf

    from casehaven.intake.held import HeldSource
    from caseschemas import CaseSchema

HEADER = [
    "_uuid",
    "personToken",
    "Gender",
    "Age at registration",
    "Trafficking status",
    "consentPooledStatistics",
    "notes",
]
ROWS = [
    ["u1", "p1", "Femme", "22", "", "yes", "Amina"],
    ["u2", "p2", "Homme", "15", "", "yes", ""],
    ["u3", "p3", "Homme", "40", "Not a victim of trafficking", "yes", ""],
    ["u4", "", "Homme", "40", "", "yes", ""],
    ["u5", "p5", "xyz", "40", "", "", ""],
    ["", "", "", "", "", "", ""],
    ["u1", "p1", "Femme", "22", "", "yes", "Amina"],
    ["u2", "p2", "Homme", "16", "", "yes", ""],
]


def mapped(held: HeldSource, schema: CaseSchema, *, minors: Minors | None = None, row: bool = False) -> MappedFile:
    """The file under the mapping that is proposed for it."""
    mapping = propose(held, schema).accepted()
    if minors is not None:
        mapping = replace(mapping, minors=MinorsRule(rule=minors, attribute="ageAtRegistration"))
    if row:
        rest = tuple(entry for entry in mapping.attributes if entry.to != "personToken")
        mapping = replace(mapping, attributes=rest, row_is_person=True)
    return MappedFile(held=held, mapping=mapping, schema=schema)


def test_the_check_tells_what_becomes_of_every_row(make_source: MakeSource, htcds: CaseSchema) -> None:
    report = check_file(mapped(make_source(HEADER, ROWS, record_key="_uuid"), htcds))
    assert (report.rows, report.taken, report.empty, report.repeated, report.left_out) == (8, 3, 1, 1, 1)
    assert [(refused.row, refused.reason) for refused in report.refused] == [
        (5, "no person key"),
        (9, "the record key of an earlier row, with other content"),
    ]
    gender = next(finding for finding in report.attributes if finding.to == "prs_Gender")
    assert (gender.understood, gender.not_understood, gender.blank, gender.words) == (6, 1, 0, ("xyz",))
    assert [entry.column for entry in report.dropped] == ["notes"]


def test_what_is_told_is_what_is_taken_in(make_source: MakeSource, htcds: CaseSchema, records_of: RecordsOf) -> None:
    found = records_of(mapped(make_source(HEADER, ROWS, record_key="_uuid"), htcds))
    assert [record["personToken"] for record in found] == ["p1", "p2", "p5"]
    assert found[0] == {
        "personToken": "p1",
        "prs_Gender": "Feminine",
        "ageAtRegistration": "21-23",
        "consentPooledStatistics": "yes",
    }
    assert "prs_Gender" not in found[2]


def test_the_report_quotes_no_cell_of_what_only_names_people(make_source: MakeSource, htcds: CaseSchema) -> None:
    header = ["personToken", "prs_FirstName", "cas_IncomingReferralDetails", "notes"]
    report = check_file(mapped(make_source(header, [["p1", "canary", "canary", "canary"]]), htcds))
    assert "canary" not in repr(report)


@pytest.mark.parametrize(
    ("rule", "taken", "pooled", "released"),
    [("keep", 3, "yes", None), ("leave-out", 2, None, None), ("not-shared", 3, "no", "no")],
)
def test_records_of_minors_follow_the_rule(
    make_source: MakeSource,
    htcds: CaseSchema,
    records_of: RecordsOf,
    rule: Minors,
    taken: int,
    pooled: str | None,
    released: str | None,
) -> None:
    file = mapped(make_source(HEADER, ROWS[:3] + ROWS[4:5], record_key="_uuid"), htcds, minors=rule)
    found = {record["personToken"]: record for record in records_of(file)}
    assert len(found) == taken
    young = found.get("p2", {})
    assert (young.get("consentPooledStatistics"), young.get("consentSyntheticRelease")) == (pooled, released)
    assert found["p1"]["consentPooledStatistics"] == "yes", "an adult's consent is the adult's"
    assert "consentSyntheticRelease" not in found["p1"]
    assert check_file(file).minors == 3 - taken


def test_a_band_that_begins_below_the_age_is_one_of_minors(
    make_source: MakeSource, htcds: CaseSchema, records_of: RecordsOf
) -> None:
    held = make_source(["personToken", "Age at registration"], [["a", "19"], ["b", "21"], ["c", ""]])
    file = mapped(held, htcds)
    rule = MinorsRule(rule="leave-out", attribute="ageAtRegistration", below=20)
    file = replace(file, mapping=replace(file.mapping, minors=rule))
    assert [record["personToken"] for record in records_of(file)] == ["b"], "of c nothing but the token is known"


def test_where_rows_are_people_the_same_rows_are_the_same_people(
    make_source: MakeSource, htcds: CaseSchema, records_of: RecordsOf
) -> None:
    header, rows = ["Gender", "Age at registration"], [["Femme", "22"], ["Femme", "22"], ["Homme", "40"]]
    first = records_of(mapped(make_source(header, rows), htcds, row=True))
    later = records_of(mapped(make_source([*header, "new"], [[*row, ""] for row in reversed(rows)]), htcds, row=True))
    tokens = [record["personToken"] for record in first]
    assert len(set(tokens)) == 3, "two equal rows are two people"
    assert {record["personToken"] for record in later} == set(tokens)


def test_a_column_that_the_mapping_reads_and_the_file_lacks_is_refused(
    make_source: MakeSource, htcds: CaseSchema
) -> None:
    file = mapped(make_source(HEADER, ROWS), htcds)
    with pytest.raises(MissingColumnsError, match="Gender"):
        MappedFile(held=make_source(["personToken"], []), mapping=file.mapping, schema=htcds)


def test_columns_that_came_since_the_mapping_are_told_and_not_read(
    make_source: MakeSource, htcds: CaseSchema, records_of: RecordsOf
) -> None:
    mapping: IntakeMapping = mapped(make_source(["personToken", "Gender"], [["p1", "Femme"]]), htcds).mapping
    held = make_source(["personToken", "Gender", "Citizenship"], [["p1", "Femme", "UKR"]])
    file = MappedFile(held=held, mapping=mapping, schema=htcds)
    assert check_file(file).new_columns == ("Citizenship",)
    assert records_of(file) == [{"personToken": "p1", "prs_Gender": "Feminine"}]


def test_a_file_that_changes_while_it_is_read_is_refused(make_source: MakeSource) -> None:
    source = make_source(["a"], [["1"]]).source

    def spoil(share: float | None) -> None:
        source.path.write_text("other", encoding="utf-8")

    with pytest.raises(ChangedCaseFileError):
        hold(source, check=spoil)


def test_a_refusal_in_a_row_that_stays_behind_counts_for_the_person(
    make_source: MakeSource, htcds: CaseSchema, records_of: RecordsOf
) -> None:
    rows = [
        ["u1", "p1", "Femme", "22", "", "yes", ""],
        ["u2", "p1", "Femme", "22", "Not a victim of trafficking", "no", ""],
        ["u3", "p2", "Homme", "40", "", "yes", ""],
        ["u3", "p2", "Homme", "41", "", "withdrawn", ""],
        ["u5", "p3", "Homme", "41", "", "yes", ""],
    ]
    found = records_of(mapped(make_source(HEADER, rows, record_key="_uuid"), htcds))
    said = {record["personToken"]: record["consentPooledStatistics"] for record in found}
    assert said == {"p1": "no", "p2": "no", "p3": "yes"}


def test_a_rule_by_an_attribute_that_nothing_fills_is_refused(make_source: MakeSource, htcds: CaseSchema) -> None:
    with pytest.raises(MissingColumnsError, match="ageAtRegistration"):
        mapped(make_source(["personToken"], [["p1"]]), htcds, minors="leave-out")
    assert mapped(make_source(["personToken"], [["p1"]]), htcds, minors="keep").columns
