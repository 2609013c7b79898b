"""`casehaven audit`: what it prints, how it ends, and who read what after a breach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from casehaven.core.audit_checkpoint import close_periods
from casehaven.vault.erasure import erase_person

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakePeople, SafeHouse


@pytest.fixture
def full(house: SafeHouse, people: MakePeople) -> SafeHouse:
    """A vault with people, whose log is some days old."""
    house.take_in([{**record, "mayCare": "yes"} for record in people(12)])
    return house


def read(house: SafeHouse, token: str, reason: str, actor: str) -> int:
    vault = house.open()
    person = vault.person_by_token(vault.dataset("north", "cases"), token)
    assert person is not None
    vault.read_records(person, reason=reason, actor=actor)
    return person.person_id


def close_days(house: SafeHouse, days: int) -> None:
    """Let days pass."""
    vault = house.open()
    with vault.writing() as connection:
        moment = datetime.now(UTC) + timedelta(days=days)
        close_periods(connection, vault.audit, vault.keystore.signing_key(), clock=lambda: moment)


def listed(house: SafeHouse, *arguments: str) -> list[dict[str, Any]]:
    result = house.run("audit", "report", "--reason", "a breach", "--json", *arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert document["format"] == "casehaven-audit-report/1"
    found: list[dict[str, Any]] = document["entries"]
    return found


@contextmanager
def without_triggers(house: SafeHouse) -> Iterator[Any]:
    with house.open().database.transaction(writes=True) as connection:
        connection.execute(text("DROP TRIGGER audit_update"))
        connection.execute(text("DROP TRIGGER audit_delete"))
        yield connection


def test_a_whole_log_ends_with_0(full: SafeHouse) -> None:
    result = full.run("audit", "verify")
    assert (result.exit_code, result.output) == (0, "the audit log is whole\n")


def test_a_changed_log_ends_with_1_and_the_first_bad_position(full: SafeHouse) -> None:
    with without_triggers(full) as connection:
        connection.execute(text("UPDATE audit SET actor = 'x' WHERE position = 2"))
    result = full.run("audit", "verify")
    assert result.exit_code == 1
    assert "position 2: the entry was changed" in result.output


def test_a_log_that_was_cut_at_its_end_ends_with_1(full: SafeHouse) -> None:
    with without_triggers(full) as connection:
        connection.execute(text("DELETE FROM audit WHERE position = (SELECT max(position) FROM audit)"))
    assert full.run("audit", "verify").exit_code == 1
    blind = full.run("audit", "verify", "--without-anchor")
    assert blind.exit_code == 0
    assert "was not compared with the anchor" in blind.output


def test_verification_without_the_anchor_must_be_asked_for(full: SafeHouse) -> None:
    (full.folder / "vault.anchor").unlink()
    assert full.run("audit", "verify").exit_code == 1
    assert full.run("audit", "verify", "--without-anchor").exit_code == 0


def test_the_first_day_has_no_checkpoint_yet(full: SafeHouse) -> None:
    result = full.run("audit", "checkpoint")
    assert result.exit_code == 1
    assert "the first checkpoint is that of" in result.output


def test_checkpoints_are_written_once_and_verify_the_log(full: SafeHouse) -> None:
    close_days(full, 2)
    made = full.run("audit", "checkpoint", "-o", full.folder / "one.txt")
    assert made.exit_code == 0, made.output
    assert full.run("audit", "checkpoint", "-o", full.folder / "one.txt").exit_code == 1
    shown = full.run("audit", "checkpoint")
    assert shown.output == (full.folder / "one.txt").read_text()
    result = full.run("audit", "verify", "--checkpoint", full.folder / "one.txt")
    assert (result.exit_code, "it is the log of this checkpoint" in result.output) == (0, True)


def test_the_key_of_checkpoints_is_printed_for_other_programs(full: SafeHouse) -> None:
    key = full.run("audit", "checkpoint", "--key").output.strip()
    name, number, public = key.split("+", 2)
    assert name == f"casehaven/{full.open().vault_id}"
    assert len(number) == 8
    assert len(public) == 44


def test_a_file_that_is_no_checkpoint_of_this_vault_ends_with_1(full: SafeHouse, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("casehaven/x\n8\nAAAA\n\n\N{EM DASH} casehaven/x AAAA\n")
    assert full.run("audit", "verify", "--checkpoint", other).exit_code == 1
    assert full.run("audit", "verify", "--checkpoint", tmp_path / "nowhere").exit_code == 1
    assert full.run("audit", "verify", "--checkpoint", tmp_path).exit_code != 0


def test_a_report_says_who_read_a_person_and_why(full: SafeHouse) -> None:
    number = read(full, "p00003", "the person's lawyer asked", "amal")
    read(full, "p00004", "curious", "boris")
    read(full, "p00003", "no reason of mine", "boris")
    for reference in ("p00003", str(number)):
        found = [one for one in listed(full, "--person", reference) if one["action"] == "person.read"]
        assert [(one["actor"], one["reason"]) for one in found] == [
            ("amal", "the person's lawyer asked"),
            ("boris", "no reason of mine"),
        ]


def test_a_report_on_a_person_names_what_was_done_to_the_whole_dataset(full: SafeHouse) -> None:
    actions = [one["action"] for one in listed(full, "--person", "p00003")]
    assert "dataset.create" in actions
    assert "vault.create" not in actions


def test_a_report_after_a_breach_says_what_one_account_did_since_a_day(full: SafeHouse) -> None:
    numbers = [read(full, f"p0000{digit}", "x", "boris") for digit in (1, 5)]
    read(full, "p00002", "y", "amal")
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    found = listed(full, "--actor", "boris", "--since", today, "--until", today)
    assert [one["object_id"] for one in found] == [str(number) for number in numbers]
    assert not listed(full, "--actor", "boris", "--until", "2020-01-01")
    assert not listed(full, "--actor", "boris", "--since", "2999-01-01")
    assert {one["organisation"] for one in listed(full, "--organisation", "north")} == {"north"}


def test_a_report_stands_in_the_log_before_it_is_shown(full: SafeHouse) -> None:
    listed(full)
    (entry,) = [one for one in listed(full) if one["action"] == "audit.report"][:-1]
    assert entry["reason"] == "a breach"


def test_an_erased_person_is_reported_by_number_without_reasons(full: SafeHouse) -> None:
    number = read(full, "p00003", "the person's lawyer asked", "amal")
    vault = full.open()
    with vault.locked(vault.dataset("north", "cases")) as dataset:
        erase_person(vault, dataset, vault.person(number), reason="asked for it")
    found = {one["action"]: one for one in listed(full, "--person", str(number))}
    assert (found["person.read"]["reason"], found["person.read"]["reason_gone"]) == ("", True)
    assert "person.erase" in found
    assert full.run("audit", "report", "--person", "p00003", "--reason", "x").exit_code == 1
    assert full.run("audit", "verify").exit_code == 0


def test_a_report_goes_on_past_a_reason_that_cannot_be_opened(full: SafeHouse) -> None:
    number = read(full, "p00003", "the person's lawyer asked", "amal")
    read(full, "p00004", "curious", "boris")
    with without_triggers(full) as connection:
        connection.execute(text(f"UPDATE audit SET reason_wrapped_dek = x'00' WHERE object_id = '{number}'"))
    found = [one for one in listed(full) if one["action"] == "person.read"]
    assert [(one["reason"], one["reason_broken"]) for one in found] == [("", True), ("curious", False)]
    assert "(cannot be opened)" in full.run("audit", "report", "--reason", "a look").output
    assert full.run("audit", "verify").exit_code == 1


def test_an_erasure_that_only_the_database_tells_of_excuses_no_missing_reason(full: SafeHouse) -> None:
    number = read(full, "p00003", "the person's lawyer asked", "amal")
    with without_triggers(full) as connection:
        gone = "reason_sealed = NULL, reason_wrapped_dek = NULL, reason_epoch = NULL"
        connection.execute(text(f"UPDATE audit SET {gone} WHERE object_id = '{number}'"))
        copied = f"SELECT {number}, dataset_id, '2026-11', x'00' FROM dataset"
        connection.execute(text(f"INSERT INTO erasure (person_id, dataset_id, erased_month, receipt_sha256) {copied}"))
    assert "was removed" in full.run("audit", "verify").output


def test_a_report_for_people_is_a_table(full: SafeHouse) -> None:
    read(full, "p00003", "escape \x1b[31m", "amal")
    result = full.run("audit", "report", "--reason", "a look")
    assert result.output.splitlines()[0].split() == ["when", "who", "what", "on", "why"]
    assert "\x1b" not in result.output
    empty = full.run("audit", "report", "--reason", "a look", "--actor", "nobody")
    assert empty.output == "the log has no such entry\n"


def test_a_report_asks_for_a_reason(full: SafeHouse) -> None:
    assert full.run("audit", "report", given="").exit_code == 1
    assert full.run("audit", "report", given="a breach\n").exit_code == 0
