"""Consent is asked per purpose, is no by default, and a withdrawal holds from the moment it is recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from casehaven.people import PURPOSES
from casehaven.vault import models
from casehaven.vault.snapshots import VaultSnapshot, snapshot
from caseschemas import Purpose
from casesynth.privacy import PrivacyLoss, Receipt

if TYPE_CHECKING:
    from tests.conftest import Record, SafeHouse

COLUMNS: dict[Purpose, str] = {
    "care": "mayCare",
    "own_statistics": "mayCount",
    "pooled_statistics": "mayPool",
    "synthetic_release": "mayRelease",
}
WHY = ("--reason", "what the person said")
YES = ("--given", "--language", "fr")


def record(token: str, **consent: str) -> Record:
    return {"token": token, "year": "2022", "gender": "woman", **consent}


def prepared(house: SafeHouse, purpose: Purpose) -> VaultSnapshot:
    vault = house.open()
    return snapshot(vault, [vault.dataset("north", "cases")], purpose)


def opened(found: VaultSnapshot) -> int:
    """How many people a snapshot holds, opened as a release opens it."""
    return found.open(Receipt(charge_id="charge", loss=PrivacyLoss(nano_rho=1))).people


def people_for(house: SafeHouse, purpose: Purpose) -> int:
    return opened(prepared(house, purpose))


def say(house: SafeHouse, token: str, purpose: str, *words: str) -> None:
    result = house.run("person", "consent", token, "--purpose", purpose, *words, *WHY)
    assert result.exit_code == 0, result.output


# --- no by default, and each purpose for itself ---


@pytest.mark.parametrize("purpose", PURPOSES)
def test_who_said_nothing_is_used_for_nothing(house: SafeHouse, purpose: Purpose) -> None:
    house.take_in([record("A"), record("B", **{COLUMNS[purpose]: "perhaps"}), record("C", **{COLUMNS[purpose]: "yes"})])
    assert people_for(house, purpose) == 1


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_yes_to_one_purpose_is_no_yes_to_another(house: SafeHouse, purpose: Purpose) -> None:
    house.take_in([record("A", **{COLUMNS[purpose]: "yes"})])
    assert {other: people_for(house, other) for other in PURPOSES} == {
        other: int(other == purpose) for other in PURPOSES
    }


def test_one_refusal_among_several_records_keeps_the_person_out(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes"), record("A", mayRelease="no"), record("A", mayRelease="yes")])
    assert people_for(house, "synthetic_release") == 0


def test_a_word_that_the_schema_does_not_know_is_a_refusal(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes"), record("A", mayRelease="withdrawn")])
    assert people_for(house, "synthetic_release") == 0


# --- versions with date and language ---


def test_every_answer_is_kept_with_its_version_date_and_language(house: SafeHouse) -> None:
    house.take_in([record("A")])
    say(house, "A", "synthetic-release", "--given", "--language", "fr", "--dated", "2024-03-01")
    say(house, "A", "synthetic_release", "--refused", "--dated", "2025-01-15")
    say(house, "A", "synthetic_release", "--given", "--language", "pt-BR", "--dated", "2025-02-01")
    versions = house.people().read("A", reason="comparing").consent.versions
    assert [(v.version, v.given, v.language, str(v.dated)) for v in versions] == [
        (1, True, "fr", "2024-03-01"),
        (2, False, "", "2025-01-15"),
        (3, True, "pt-BR", "2025-02-01"),
    ]
    shown = house.run("person", "consent", "A", *WHY).stdout
    assert "synthetic release: yes, on 2025-02-01, in pt-BR, version 3" in shown
    assert "care: not asked, so no" in shown


def test_a_yes_needs_the_language_that_it_was_explained_in_and_a_no_needs_nothing(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes")])
    result = house.run("person", "consent", "A", "--purpose", "care", "--given", *WHY)
    assert result.exit_code == 1
    assert "the language must be a tag such as en, fr" in result.stderr
    say(house, "A", "synthetic_release", "--refused")
    assert people_for(house, "synthetic_release") == 0


@pytest.mark.parametrize("day", ["in two days", "1989-12-31"])
def test_a_day_that_cannot_be_is_refused_and_nothing_is_recorded(house: SafeHouse, day: str) -> None:
    house.take_in([record("A")])
    if day == "in two days":
        day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    result = house.run("person", "consent", "A", "--purpose", "care", *YES, "--dated", day, *WHY)
    assert result.exit_code == 1
    assert "nothing was recorded" in result.stderr
    assert house.people().read("A", reason="comparing").consent.versions == ()


def test_half_an_answer_is_wrong_usage(house: SafeHouse) -> None:
    house.take_in([record("A")])
    for half in (("--given",), ("--refused",), ("--purpose", "care")):
        assert house.run("person", "consent", "A", *half, *WHY).exit_code == 2
    assert house.run("person", "consent", "A", "--purpose", "everything", *YES, *WHY).exit_code == 1


# --- withdrawal ---


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_withdrawal_stops_future_snapshots_of_its_purpose_alone(house: SafeHouse, purpose: Purpose) -> None:
    everything = dict.fromkeys(COLUMNS.values(), "yes")
    house.take_in([record("A", **everything), record("B", **everything)])
    say(house, "A", purpose, "--refused")
    assert {other: people_for(house, other) for other in PURPOSES} == {
        other: 2 - int(other == purpose) for other in PURPOSES
    }


def test_a_snapshot_that_was_checked_before_a_withdrawal_opens_without_who_withdrew(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes"), record("B", mayRelease="yes")])
    before = prepared(house, "synthetic_release")
    say(house, "A", "synthetic_release", "--refused")
    assert opened(before) == 1


def test_a_later_file_does_not_undo_a_withdrawal(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes"), record("B", mayRelease="yes")])
    say(house, "A", "synthetic_release", "--refused")
    house.take_in([record("A", mayRelease="yes", age="19"), record("B", mayRelease="yes", age="19")])
    assert people_for(house, "synthetic_release") == 1
    say(house, "A", "synthetic_release", *YES)
    assert people_for(house, "synthetic_release") == 2


def test_a_later_file_may_refuse_and_an_empty_cell_in_it_changes_nothing(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes"), record("B", mayRelease="yes")])
    house.take_in([record("A", mayRelease="no", age="19"), record("B", age="19")])
    assert people_for(house, "synthetic_release") == 1


def test_a_withdrawal_is_remembered_outside_the_vault_until_the_person_agrees_again(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes")])
    vault = house.open()
    person = vault.person_by_token(vault.dataset("north", "cases"), "A")
    assert person is not None
    one = (person.person_id, "synthetic_release")
    assert one not in vault.anchor.read().withdrawn
    say(house, "A", "synthetic_release", "--refused")
    assert one in vault.anchor.read().withdrawn
    say(house, "A", "synthetic_release", *YES)
    assert one not in vault.anchor.read().withdrawn


def test_a_correction_of_the_record_changes_no_consent(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes")])
    say(house, "A", "synthetic_release", "--refused")
    assert house.run("person", "correct", "A", "--set", "age=19", *WHY).exit_code == 0
    assert people_for(house, "synthetic_release") == 0


def test_what_is_past_its_last_day_is_used_for_nothing(house: SafeHouse) -> None:
    house.take_in([record("A", mayRelease="yes")])
    today = datetime.now(UTC).date()
    assert house.run("person", "retention", "A", "--until", today.isoformat(), *WHY).exit_code == 0
    assert people_for(house, "synthetic_release") == 1
    with house.open().writing() as connection:
        connection.execute(update(models.person).values(retain_until=today - timedelta(days=1)))
    assert people_for(house, "synthetic_release") == 0
