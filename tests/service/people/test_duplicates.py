"""Possible duplicates: proposed inside one organisation, named with a reason, never merged, and silent about other organisations."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from casehaven.core.audit import entries
from casehaven.intake.uploads import take_in
from casehaven.people import possible_duplicates
from casehaven.people.duplicates import PEOPLE_MOST
from casehaven.people.matching import REFERENCE_FIELD, matching_fields
from casehaven.vault import models
from caseschemas import load_schema

if TYPE_CHECKING:
    from tests.conftest import SafeHouse

WHY = ("--reason", "monthly check")
AT = ("--dataset", "north/aid")

ONE = {
    "prs_FirstName": "José",
    "prs_SecondName": "da Silva",
    "prs_Birthdate": "1999-03-25",
    "prs_MobilePhone": "+351 912 345 678",
}
SAME = {
    "prs_FirstName": "JOSE",
    "prs_SecondName": "Da  Silva",
    "prs_Birthdate": "25/03/1999",
    "prs_MobilePhone": "912345678",
}
OTHER = {
    "prs_FirstName": "Ana",
    "prs_SecondName": "Costa",
    "prs_Birthdate": "1988-12-30",
    "prs_MobilePhone": "00351 911 111 111",
}
"""Made-up names."""


def take(house: SafeHouse, people: dict[str, dict[str, str]], dataset: str = "north/aid") -> None:
    """Take people into a dataset of HTCDS records; its identifiers are read for the index and dropped."""
    schema = load_schema("htcds-2.0")
    columns = [attribute.name for attribute in schema.attributes]
    file = house.folder / f"{dataset.replace('/', '-')}-{len(people)}.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, columns, restval="")
        writer.writeheader()
        writer.writerows({"personToken": token, **cells} for token, cells in people.items())
    vault = house.open()
    organisation, name = dataset.split("/")
    if dataset not in [found.id for found in vault.datasets()]:
        vault.add_dataset(organisation, name, schema, 1_000)
    take_in(vault, vault.dataset(organisation, name), file)
    file.unlink()


@pytest.fixture
def home(house: SafeHouse) -> SafeHouse:
    take(
        house, {"T-1": ONE, "T-2": OTHER, "T-3": SAME, "T-4": {**OTHER, "prs_FirstName": "Eva", "prs_MobilePhone": ""}}
    )
    return house


def test_two_references_with_the_same_names_birth_and_telephone_are_proposed(home: SafeHouse) -> None:
    result = home.run("person", "duplicates", *AT, *WHY)
    assert result.exit_code == 0, result.output
    proposals = [line for line in result.stdout.splitlines() if "  and  " in line]
    assert len(proposals) == 1
    assert {word for word in proposals[0].split() if word.startswith("T-")} == {"T-1", "T-3"}
    assert "same names and date of birth" in proposals[0]
    assert "same date of birth and telephone" in proposals[0]


def test_nothing_is_merged_and_each_named_person_is_in_the_log_with_the_reason(home: SafeHouse) -> None:
    home.run("person", "duplicates", *AT, *WHY)
    vault = home.open()
    with vault.database.transaction(writes=False) as connection:
        people = connection.scalars(select(models.person.c.person_id)).all()
        read = [(one.object_id, vault.audit.reason(one)) for one in entries(connection) if one.action == "person.read"]
    assert len(people) == 4
    assert len(read) == 2
    assert {reason for _, reason in read} == {"monthly check"}
    for token in ("T-1", "T-3"):
        assert home.run("person", "find", token, *AT, *WHY).exit_code == 0


def test_no_value_that_identified_anybody_is_printed_or_kept(home: SafeHouse) -> None:
    result = home.run("person", "duplicates", *AT, *WHY)
    shown = home.run("person", "show", "T-1", *AT, *WHY).stdout
    for word in ("José", "JOSE", "Silva", "1999", "912"):
        assert word not in result.output
        assert word not in shown


def test_several_datasets_of_the_organisation_are_compared_and_no_other_organisation(
    make_house: Callable[[str], SafeHouse],
) -> None:
    for name, second, proposed in (("same", "north/hotline", True), ("other", "south/aid", False)):
        house = make_house(name)
        take(house, {"T-1": ONE})
        take(house, {"T-9": SAME}, second)
        found = house.run("person", "duplicates", *AT, *WHY).stdout
        assert ("T-9 (north/hotline)" in found) == proposed, found
        assert ("no possible duplicates" in found) != proposed


def test_one_person_with_two_records_is_no_duplicate_of_themselves(house: SafeHouse) -> None:
    take(house, {"T-1": ONE})
    take(house, {"T-1": SAME, "T-5": OTHER})
    assert "no possible duplicates" in house.run("person", "duplicates", *AT, *WHY).stdout


def test_an_erased_person_is_proposed_no_more(home: SafeHouse, tmp_path: Path) -> None:
    erased = home.run("person", "erase", "T-3", "--yes", "--receipt", tmp_path / "r.json", *AT, *WHY)
    assert erased.exit_code == 0, erased.output
    assert "no possible duplicates" in home.run("person", "duplicates", *AT, *WHY).stdout
    vault = home.open()
    with vault.database.transaction(writes=False) as connection:
        asked = [entry for entry in entries(connection) if entry.action == "dataset.duplicates"]
        assert [(entry.object_kind, vault.audit.reason(entry)) for entry in asked] == [("dataset", WHY[1])]


def test_a_schema_without_identifying_fields_says_that_there_is_nothing_to_compare(house: SafeHouse) -> None:
    house.take_in([{"token": "A"}, {"token": "B"}])
    result = house.run("person", "duplicates", *WHY)
    assert result.exit_code == 0
    assert "house has no fields that identify people, so there is nothing to compare" in result.stdout
    assert matching_fields(load_schema("ctdc-global")) == ()


def test_a_dataset_that_cannot_be_compared_does_not_hide_another_that_can(home: SafeHouse) -> None:
    assert "T-1" in home.run("person", "duplicates", "--dataset", "north/cases", *WHY).stdout


@pytest.mark.parametrize(("people", "pairs"), [(PEOPLE_MOST, 45), (PEOPLE_MOST + 1, 0)])
def test_what_very_many_people_share_says_nothing(house: SafeHouse, people: int, pairs: int) -> None:
    shelter = {"prs_Birthdate": "1990-01-01", "prs_MobilePhone": "+351 210 000 000"}
    take(house, {f"T-{n}": {**shelter, "prs_FirstName": f"Name {n}"} for n in range(people)})
    vault = house.open()
    with vault.database.transaction(writes=False) as connection:
        assert len(possible_duplicates(connection, [vault.dataset("north", "aid")])) == pairs


def test_the_most_telling_proposals_come_first_and_the_rest_is_announced(house: SafeHouse) -> None:
    half = {**SAME, "prs_MobilePhone": ""}
    take(house, {"T-1": half, "T-2": ONE, "T-3": SAME})
    lines = house.run("person", "duplicates", "--most", "1", *AT, *WHY).stdout.splitlines()
    assert {word for word in lines[0].split() if word.startswith("T-")} == {"T-2", "T-3"}
    assert lines[1] == "and 2 more; see them with --most"


# --- the case reference ---


def test_a_person_is_found_by_the_case_reference_though_it_is_not_kept(house: SafeHouse) -> None:
    take(house, {"T-1": {**ONE, "caseReference": "C 2024/17"}, "T-2": {**OTHER, "caseReference": "C 2024/18"}})
    for typed in ("C 2024/17", " c 2024/17 ", "T-1"):
        shown = house.run("person", "show", typed, *AT, *WHY)
        assert shown.exit_code == 0, shown.output
        assert "T-1" in shown.stdout
        assert "2024/17" not in shown.stdout
    for wrong in ("C 2024/1", "C 2024/19", "C2024/17", ""):
        assert house.run("person", "find", wrong, *AT, *WHY).exit_code == 1, wrong


def test_two_people_under_one_case_reference_are_not_guessed_between(house: SafeHouse) -> None:
    take(house, {"T-1": {**ONE, "caseReference": "17"}, "T-2": {**OTHER, "caseReference": "17"}})
    result = house.run("person", "erase", "17", "--yes", *AT, *WHY)
    assert result.exit_code == 1
    assert "several people of north/aid stand under this case reference" in result.stderr
    assert "give the person token instead" in result.stderr
    assert "same case reference" in house.run("person", "duplicates", *AT, *WHY).stdout
    assert house.run("person", "find", "T-2", *AT, *WHY).exit_code == 0


def test_a_token_that_is_another_persons_case_reference_is_not_guessed(house: SafeHouse) -> None:
    """Review B10: whoever asks to erase under the case reference must not erase the person of that token."""
    take(house, {"17": {**ONE, "caseReference": "C-1"}, "T-2": {**OTHER, "caseReference": "17"}})
    result = house.run("person", "erase", "17", "--yes", *AT, *WHY)
    assert result.exit_code == 1
    assert "write token:... or reference:..." in result.stderr
    assert "T-2" in house.run("person", "show", "reference:17", *AT, *WHY).stdout
    assert "T-2" not in house.run("person", "show", "token:17", *AT, *WHY).stdout
    for typed in ("token:T-2", "reference:C-1", "C-1", "T-2"):
        assert house.run("person", "find", typed, *AT, *WHY).exit_code == 0, typed


def test_an_entry_of_the_index_that_was_given_to_somebody_else_leads_to_nobody(house: SafeHouse) -> None:
    """Whoever can write to the database exchanges two case references: nobody is shown or erased under the wrong one."""
    take(house, {"T-1": {**ONE, "caseReference": "17"}, "T-2": {**OTHER, "caseReference": "18"}})
    vault, index = house.open(), models.blind_index
    with vault.database.transaction(writes=True) as connection:
        numbers = connection.scalars(select(models.person.c.person_id)).all()
        for row in connection.execute(select(index).where(index.c.field == REFERENCE_FIELD)).all():
            other = next(number for number in numbers if number != row.person_id)
            connection.execute(update(index).where(index.c.value == row.value).values(person_id=other))
    for command in (("show", "17"), ("erase", "17", "--yes"), ("erase", "reference:18", "--yes")):
        result = house.run("person", *command, *AT, *WHY)
        assert result.exit_code != 0
        assert "index of identifiers is not what was written" in result.stderr
    assert "T-1" in house.run("person", "show", "T-1", *AT, *WHY).stdout


def test_references_of_two_datasets_are_counted_apart(house: SafeHouse) -> None:
    take(house, {"T-1": {**ONE, "caseReference": "17"}})
    take(house, {"T-2": {**OTHER, "caseReference": "17"}}, "north/hotline")
    assert "T-2" in house.run("person", "show", "17", "--dataset", "north/hotline", *WHY).stdout
    assert "no possible duplicates" in house.run("person", "duplicates", *AT, *WHY).stdout


def test_an_erased_person_is_not_found_by_the_case_reference_either(house: SafeHouse, tmp_path: Path) -> None:
    take(house, {"T-1": {**ONE, "caseReference": "C-1"}, "T-2": {**OTHER, "caseReference": "C-2"}})
    assert house.run("person", "erase", "C-1", "--yes", "--receipt", tmp_path / "r.json", *AT, *WHY).exit_code == 0
    assert house.run("person", "find", "C-1", *AT, *WHY).exit_code == 1
    assert house.run("person", "find", "C-2", *AT, *WHY).exit_code == 0


def test_a_file_taken_in_again_with_a_new_column_proposes_no_more_than_before(house: SafeHouse) -> None:
    take(house, {"T-1": ONE, "T-3": SAME})
    once = house.run("person", "duplicates", *AT, *WHY).stdout
    take(house, {"T-1": ONE, "T-3": SAME, "T-5": OTHER})
    assert house.run("person", "duplicates", *AT, *WHY).stdout == once


def test_without_a_reason_nobody_is_named(home: SafeHouse) -> None:
    result = home.run("person", "duplicates", *AT, "--reason", "")
    assert result.exit_code == 1
    assert "T-1" not in result.output
