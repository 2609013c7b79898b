"""`casehaven person`: what a caseworker sees, what is refused and what to do then, and what the audit log keeps of it."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from casehaven.core.audit import entries
from casehaven.vault import models

if TYPE_CHECKING:
    from tests.conftest import Record, SafeHouse

WHY = ("--reason", "follow-up call")

PEOPLE: list[Record] = [
    {
        "token": "N-0001",
        "year": "2022",
        "gender": "woman",
        "age": "15",
        "means": "threats;debt",
        "notes": '=HYPERLINK("http://x.example")',
        "mayRelease": "yes",
        "mayCount": "yes",
    },
    {"token": "N-0002", "year": "2021", "gender": "man", "mayRelease": "no"},
    {"token": "N-0002", "year": "2023", "gender": "man", "means": "papers"},
    {"token": "N-0003", "gender": "martian \x1b[31m", "notes": "first line\nsecond line"},
]


@pytest.fixture
def home(house: SafeHouse) -> SafeHouse:
    house.take_in(PEOPLE)
    return house


def actions(house: SafeHouse) -> list[tuple[str, str, str | None]]:
    """The audit log's person entries: action, kind of object, and the reason, opened."""
    vault = house.open()
    with vault.database.transaction(writes=False) as connection:
        found = [*entries(connection)]
    return [
        (entry.action, entry.object_kind, vault.audit.reason(entry))
        for entry in found
        if entry.action.startswith("person.")
    ]


# --- find and show ---


def test_a_person_is_found_by_the_case_reference_of_the_files(home: SafeHouse) -> None:
    result = home.run("person", "find", "N-0001", *WHY)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("found in north/cases, in the vault since 20")
    assert home.run("person", "find", "  N-0001 ", *WHY).exit_code == 0


@pytest.mark.parametrize("reference", ["N-0004", "n-0001", "N-000", "", "*", "' OR 1=1 --"])
def test_an_unknown_reference_is_refused_without_being_repeated(home: SafeHouse, reference: str) -> None:
    result = home.run("person", "find", reference, *WHY)
    assert result.exit_code == 1
    assert "error: north/cases has nobody under this case reference" in result.stderr
    assert "try: " in result.stderr
    assert reference.strip() == "" or reference not in result.stderr


def test_a_look_up_is_in_the_log_with_its_reason_found_or_not(home: SafeHouse) -> None:
    home.run("person", "find", "N-0001", *WHY)
    home.run("person", "find", "N-9999", "--reason", "a second question")
    home.run("person", "show", "N-9999", "--reason", "a third question")
    assert actions(home) == [
        ("person.find", "person", "follow-up call"),
        ("person.find", "dataset", "a second question"),
        ("person.read", "dataset", "a third question"),
    ]


@pytest.mark.parametrize("reason", ["", "  ", "x", "..."])
def test_without_a_reason_nothing_is_shown_and_nothing_is_logged(home: SafeHouse, reason: str) -> None:
    result = home.run("person", "show", "N-0001", "--reason", reason)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "a reason of 4 to 1000 characters is needed" in result.stderr
    assert actions(home) == []


def test_reference_and_reason_are_asked_for_when_they_are_left_away(home: SafeHouse) -> None:
    result = home.run("person", "find", given="N-0001\nfollow-up call\n")
    assert result.exit_code == 0
    assert result.stdout.startswith("found in north/cases")
    assert actions(home) == [("person.find", "person", "follow-up call")]


def test_where_nobody_can_answer_the_command_says_what_to_give(home: SafeHouse) -> None:
    result = home.run("person", "find", given="")
    assert result.exit_code == 1
    assert "the input ended where an answer was expected" in result.stderr


def test_show_speaks_in_labels_and_hides_nothing_that_the_schema_does_not_know(home: SafeHouse) -> None:
    shown = home.run("person", "show", "N-0001", *WHY).stdout
    plain = {" ".join(line.split()) for line in shown.splitlines()}
    assert {"Gender [gender] Woman", "Age [age] 0-17", "Means of control [means] Threats, Debt"} <= plain
    assert "synthetic release: yes, day not recorded, language not recorded" in shown
    assert "care: not asked, so no" in shown
    assert "mayRelease" not in shown


def test_cells_cannot_act_on_the_terminal(home: SafeHouse) -> None:
    shown = home.run("person", "show", "N-0003", *WHY).stdout
    assert "\x1b" not in shown
    assert "first line second line" in shown
    assert "(not in the list of the schema)" in shown


def test_every_record_of_a_person_is_shown(home: SafeHouse) -> None:
    shown = home.run("person", "show", "N-0002", *WHY).stdout
    assert "record 1 of 2" in shown
    assert "record 2 of 2" in shown
    assert "synthetic release: no" in shown


def test_the_dataset_must_be_named_where_there_are_several(home: SafeHouse) -> None:
    home.add_dataset("hotline")
    result = home.run("person", "find", "N-0001", *WHY)
    assert result.exit_code == 1
    assert "name one with --dataset: north/cases, north/hotline" in result.stderr
    assert home.run("person", "find", "N-0001", *WHY, "--dataset", "north/cases").exit_code == 0
    assert home.run("person", "find", "N-0001", *WHY, "--dataset", "north/hotline").exit_code == 1


# --- correct ---


def test_a_correction_counts_and_what_it_replaced_can_be_read(home: SafeHouse) -> None:
    result = home.run("person", "correct", "N-0001", "--set", "age=19", "--set", "means=", *WHY)
    assert result.exit_code == 0, result.output
    plain = home.run("person", "show", "N-0001", *WHY).stdout
    assert "18-29" in plain
    assert "Threats" not in plain
    assert "see what it replaced with --history" in plain
    history = home.run("person", "show", "N-0001", "--history", *WHY).stdout
    assert "before the last correction:" in history
    assert "Age [age]: 0-17" in history
    assert "Means of control [means]: Threats, Debt" in history
    assert ("person.correct", "person", "follow-up call") in actions(home)


def test_corrections_of_corrections_are_all_kept_in_order(home: SafeHouse) -> None:
    for age in ("19", "44", "3"):
        assert home.run("person", "correct", "N-0001", "--set", f"age={age}", *WHY).exit_code == 0
    view = home.people().read("N-0001", reason="counting corrections")
    (record,) = view.counting
    assert record.cells["age"] == "0-17"
    assert [older.cells["age"] for older in view.replaced_by(record)] == ["30+", "18-29", "15"]


def test_of_several_records_one_must_be_named(home: SafeHouse) -> None:
    result = home.run("person", "correct", "N-0002", "--set", "age=19", *WHY)
    assert result.exit_code == 1
    assert "add --record NUMBER" in result.stderr
    for number in ("0", "3", "-1"):
        assert home.run("person", "correct", "N-0002", "--set", "age=19", "--record", number, *WHY).exit_code == 1
    before = home.people().read("N-0002", reason="comparing")
    assert home.run("person", "correct", "N-0002", "--set", "age=19", "--record", "2", *WHY).exit_code == 0
    after = home.people().read("N-0002", reason="comparing")
    changed = {record.record_id for record in before.counting} - {record.record_id for record in after.counting}
    assert changed == {before.counting[1].record_id}


def test_a_correction_keeps_the_number_of_the_record_that_it_replaces(home: SafeHouse) -> None:
    second = home.people().read("N-0002", reason="comparing").counting[1]
    for age in ("19", "44"):
        assert home.run("person", "correct", "N-0002", "--set", f"age={age}", "--record", "1", *WHY).exit_code == 0
    first, still = home.people().read("N-0002", reason="comparing").counting
    assert first.cells["age"] == "30+" and still == second


def test_a_person_cannot_have_said_yes_and_no(home: SafeHouse) -> None:
    both = ("person", "consent", "N-0001", "--purpose", "care", "--given", "--refused", "--language", "en", *WHY)
    before = home.people().read("N-0001", reason="looking").consent.versions
    assert home.run(*both).exit_code == 2
    assert home.people().read("N-0001", reason="looking").consent.versions == before


def test_after_an_erasure_it_is_said_that_a_file_can_bring_the_person_back(home: SafeHouse, tmp_path: Path) -> None:
    result = home.run("person", "erase", "N-0001", "--yes", "--receipt", tmp_path / "receipt.json", *WHY)
    assert "take them out of the source too" in result.stderr


def test_a_refused_correction_changes_nothing_and_repeats_no_value(home: SafeHouse) -> None:
    before = home.people().read("N-0001", reason="comparing")
    result = home.run("person", "correct", "N-0001", "--set", "gender=Zanzibar", *WHY)
    assert result.exit_code == 1
    assert "gender does not take this value" in result.stderr
    assert "Zanzibar" not in result.stderr
    assert home.people().read("N-0001", reason="comparing").records == before.records


def test_a_value_can_be_typed_instead_of_standing_on_the_command_line(home: SafeHouse) -> None:
    result = home.run("person", "correct", "N-0001", "--set", "gender", *WHY, given="man\n")
    assert result.exit_code == 0, result.output
    assert "Man" in result.stdout


# --- export ---


def test_an_export_to_read_holds_everything_and_only_its_owner_may_read_it(home: SafeHouse, tmp_path: Path) -> None:
    home.run("person", "correct", "N-0001", "--set", "age=19", *WHY)
    out = tmp_path / "person.txt"
    result = home.run("person", "export", "N-0001", "-o", out, *WHY)
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    text = out.read_text(encoding="utf-8")
    for word in ("N-0001", "Woman", "18-29", "Age [age]: 0-17", "Threats, Debt", "own statistics: yes"):
        assert word in text
    assert ("person.export", "person", "follow-up call") in actions(home)
    assert "Woman" not in result.output


def test_an_export_to_take_elsewhere_is_one_document(home: SafeHouse, tmp_path: Path) -> None:
    home.run("person", "correct", "N-0001", "--set", "age=19", *WHY)
    home.run(
        "person", "consent", "N-0001", "--purpose", "care", "--given", "--language", "fr", "--dated", "2024-05-01", *WHY
    )
    out = tmp_path / "person.json"
    assert home.run("person", "export", "N-0001", "-o", out, *WHY).exit_code == 0
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["format"] == "casehaven-person/1"
    (record,) = document["records"]
    cells = {cell["attribute"]: (cell["value"], cell["meaning"]) for cell in record["cells"]}
    assert cells["age"] == ("18-29", "18-29")
    assert cells["gender"] == ("woman", "Woman")
    assert {"attribute": "age", "label": "Age", "value": "15", "meaning": "0-17"} in record["replaced"][0]
    said = {(one["purpose"], one["given"], one["language"], one["dated"]) for one in document["consent"]}
    assert ("care", True, "fr", "2024-05-01") in said
    assert ("own_statistics", True, None, None) in said


def test_an_export_as_a_table_holds_no_formula(home: SafeHouse, tmp_path: Path) -> None:
    out = tmp_path / "person.csv"
    assert home.run("person", "export", "N-0001", "-o", out, *WHY).exit_code == 0
    with out.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["notes"] == '\'=HYPERLINK("http://x.example")'
    assert row["means"] == "threats;debt"


def test_an_export_replaces_no_file_and_opens_nothing_before_it_knows(home: SafeHouse, tmp_path: Path) -> None:
    there = tmp_path / "person.txt"
    there.write_text("mine")
    os.symlink(tmp_path / "elsewhere.txt", tmp_path / "link.txt")
    for name in ("person.txt", "link.txt", "person.docx", "person"):
        assert home.run("person", "export", "N-0001", "-o", tmp_path / name, *WHY).exit_code == 1, name
    assert there.read_text() == "mine"
    assert not (tmp_path / "elsewhere.txt").exists()
    assert actions(home) == []


# --- retention ---


def _age_by(house: SafeHouse, reference: str, days: int) -> None:
    """Let a last day be so many days ago: nobody may set one in the past."""
    vault = house.open()
    person = vault.person_by_token(vault.dataset("north", "cases"), reference)
    assert person is not None
    day = datetime.now(UTC).date() - timedelta(days=days)
    with vault.writing() as connection:
        this = models.person.c.person_id == person.person_id
        connection.execute(update(models.person).where(this).values(retain_until=day))


def test_a_last_day_is_set_shown_and_taken_away(home: SafeHouse) -> None:
    day = (datetime.now(UTC).date() + timedelta(days=400)).isoformat()
    assert f"kept until {day}" in home.run("person", "retention", "N-0001", "--until", day, *WHY).stdout
    assert f"kept      until {day}" in home.run("person", "show", "N-0001", *WHY).stdout
    assert "kept without a last day" in home.run("person", "retention", "N-0001", "--no-end", *WHY).stdout
    assert "kept      no end date set" in home.run("person", "show", "N-0001", *WHY).stdout


def test_a_last_day_in_the_past_is_refused(home: SafeHouse) -> None:
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    result = home.run("person", "retention", "N-0001", "--until", yesterday, *WHY)
    assert result.exit_code == 1
    assert "to end now, erase the person" in result.stderr


def test_everybody_without_a_last_day_gets_one_and_nobody_else_another(home: SafeHouse) -> None:
    day = (datetime.now(UTC).date() + timedelta(days=3)).isoformat()
    home.run("person", "retention", "N-0001", "--until", day, *WHY)
    assert home.run("person", "retention", "--months", "24", *WHY).exit_code == 0
    vault = home.open()
    with vault.database.transaction(writes=False) as connection:
        kept = sorted(str(found) for found in connection.scalars(select(models.person.c.retain_until)))
    assert kept[0] == day
    assert len(kept) == 3
    assert all(found > day for found in kept[1:])
    for wrong in ("0", "-3", "1201"):
        assert home.run("person", "retention", "--months", wrong, *WHY).exit_code == 1


def test_who_is_due_is_named_oldest_first_and_the_last_day_itself_is_not_due(home: SafeHouse) -> None:
    assert home.run("person", "retention", "--due", *WHY).stdout == "nobody is due\n"
    for reference, days in (("N-0001", 1), ("N-0002", 40), ("N-0003", 0)):
        _age_by(home, reference, days)
    lines = home.run("person", "retention", "--due", *WHY).stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["N-0002", "N-0001"]


def test_people_who_are_due_are_erased_only_when_that_is_typed(home: SafeHouse, tmp_path: Path) -> None:
    asked_early = home.run("person", "retention", "--erase-due", "--receipts", tmp_path, *WHY, given="ERASE\n")
    assert asked_early.stdout == "nobody was due\n"
    _age_by(home, "N-0002", 40)
    asked = ("person", "retention", "--erase-due", "--receipts", tmp_path, *WHY)
    assert home.run(*asked, given="yes\n").exit_code == 1
    assert home.run("person", "find", "N-0002", *WHY).exit_code == 0
    result = home.run(*asked, given="ERASE\n")
    assert result.exit_code == 0, result.output
    assert len([*tmp_path.glob("casehaven-erasure-*.json")]) == 1
    assert home.run("person", "find", "N-0002", *WHY).exit_code == 1
    assert home.run("person", "find", "N-0001", *WHY).exit_code == 0


@pytest.mark.parametrize(
    "wrong",
    [(), ("--due", "--erase-due"), ("--until", "2090-01-01", "--no-end"), ("--until", "tomorrow"), ("--months", "two")],
)
def test_wrong_usage_of_retention_is_exit_code_2(home: SafeHouse, wrong: tuple[str, ...]) -> None:
    assert home.run("person", "retention", *wrong, *WHY).exit_code == 2


def test_a_reference_beside_a_wish_for_the_whole_dataset_is_refused(home: SafeHouse) -> None:
    result = home.run("person", "retention", "N-0001", "--erase-due", "--yes", *WHY)
    assert result.exit_code == 2
    assert home.run("person", "find", "N-0001", *WHY).exit_code == 0


# --- what no output may hold ---


def test_two_organisations_with_the_same_person_know_nothing_of_each_other(
    make_house: Callable[[str], SafeHouse],
) -> None:
    alone, both = make_house("alone"), make_house("both")
    for house in (alone, both):
        house.take_in(PEOPLE)
        house.add_dataset("cases", organisation="south")
    both.take_in(PEOPLE, organisation="south")
    for command in (["find", "N-0001"], ["show", "N-0001"], ["find", "N-0009"], ["duplicates"]):
        one, other = (house.run("person", *command, *WHY, "--dataset", "north/cases") for house in (alone, both))
        assert (one.exit_code, one.stdout, one.stderr) == (other.exit_code, other.stdout, other.stderr)


# --- what a review found ---


@pytest.mark.parametrize(
    "arguments",
    [
        ("find", "N-0001", "--reason", "call\udcff later"),
        ("find", "N-00\udcff", *WHY),
        ("correct", "N-0001", "--set", "notes=\udcff", *WHY),
        ("erase", "N-0001", "--yes", "--reason", "\udcff\udcff\udcff\udcff"),
    ],
)
def test_bytes_that_are_no_text_are_refused_and_blame_no_database(home: SafeHouse, arguments: tuple[str, ...]) -> None:
    before = actions(home)
    result = home.run("person", *arguments)
    assert (result.exit_code, "no UTF-8" in result.stderr) == (1, True)
    assert "damaged" not in result.stderr
    assert actions(home) == before


def test_bytes_that_are_no_text_in_another_option_blame_no_database(home: SafeHouse) -> None:
    result = home.run("audit", "report", "--actor", "am\udcffal", *WHY)
    assert result.exit_code == 1
    assert "no Unicode" in result.stderr
    assert "damaged" not in result.stderr


@pytest.mark.parametrize("number", ["0", "-1", "9" * 25])
def test_a_number_that_no_receipt_can_have_is_wrong_usage(home: SafeHouse, number: str) -> None:
    assert home.run("person", "erase", "--receipt-again", number, *WHY).exit_code == 2


def test_an_earlier_receipt_needs_a_reason_and_is_of_this_dataset_alone(home: SafeHouse, tmp_path: Path) -> None:
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    assert home.run("person", "erase", "N-0001", "--yes", "--receipt", first, *WHY).exit_code == 0
    number = json.loads(json.loads(first.read_text())["receipt"])["number"]
    assert home.run("person", "erase", "--receipt-again", number, "--receipt", again, given="").exit_code == 1
    assert not again.exists()
    home.add_dataset("others")
    wrong = home.run(
        "person", "erase", "--receipt-again", number, "--receipt", again, "--dataset", "north/others", *WHY
    )
    assert (wrong.exit_code, again.exists()) == (1, False)
    assert "nobody of north/others was erased" in wrong.stderr
    result = home.run(
        "person", "erase", "--receipt-again", number, "--receipt", again, "--dataset", "north/cases", *WHY
    )
    assert result.exit_code == 0, result.output
    assert again.read_bytes() == first.read_bytes()
    assert [one for one in actions(home) if one[0] == "person.receipt"] == [("person.receipt", "dataset", WHY[1])] * 2


def test_who_is_given_a_later_day_while_others_are_erased_is_not_erased(home: SafeHouse) -> None:
    vault, past = home.open(), datetime.now(UTC).date() - timedelta(days=9)
    with vault.database.transaction(writes=True) as connection:
        connection.execute(update(models.person).values(retain_until=past))
    erasing = home.people(vault).erase_due(reason="the time is over")
    first = next(erasing)
    kept = next(
        reference
        for reference in ("N-0001", "N-0002", "N-0003")
        if vault.person_by_token(vault.dataset("north", "cases"), reference) is not None
    )
    later = datetime.now(UTC).date() + timedelta(days=9)
    home.people().keep_until(kept, later, reason="a court asked for it")
    rest = [*erasing]
    assert first not in rest
    assert len(rest) == 1
    assert home.people().find(kept, reason="is there").retain_until == later


def test_nobody_is_given_a_later_day_while_the_dataset_is_held(home: SafeHouse) -> None:
    """Else somebody could be erased between the look at the day and the erasure."""
    vault, until = home.open(), datetime.now(UTC).date() + timedelta(days=9)
    keeper = threading.Thread(target=lambda: home.people().keep_until("N-0001", until, reason="a court asked"))
    with vault.locked(vault.dataset("north", "cases")):
        keeper.start()
        keeper.join(0.5)
        assert home.people(vault).find("N-0001", reason="a look").retain_until is None
    keeper.join()
    assert home.people().find("N-0001", reason="a look").retain_until == until


KILLED = """
import os, signal, sys
from pathlib import Path
from casesynth._files import write_whole
{hook}
write_whole(Path(sys.argv[1]), b"a case in the clear" * 99_999, mode=0o600, replace={replace})
"""
AT_ITS_NAME = "sys.addaudithook(lambda event, _: event == 'os.link' and os.kill(os.getpid(), signal.SIGKILL))"
IN_THE_MIDDLE = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, -1))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
"""


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("hook", [AT_ITS_NAME, IN_THE_MIDDLE])
def test_a_killed_export_leaves_nothing_in_the_clear(tmp_path: Path, hook: str, replace: bool) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    code = KILLED.format(hook=hook, replace=replace)
    run = subprocess.run([sys.executable, "-c", code, str(folder / "export.txt")], check=False, capture_output=True)
    assert run.returncode < 0, run.stderr
    assert not [*folder.iterdir()]
