"""`casehaven intake` at a terminal and in a script: what is shown, what is asked, what is refused."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casehaven.intake.sealed_upload import MAGIC
from casehaven.people.consent import consent_history
from casehaven.vault.rootkeys import create_file_key, file_key
from casehaven.vault.store import Vault
from caseschemas import load_schema

FRENCH = """N° bénéficiaire;Sexe;Date de naissance;Nationalité;Type d'exploitation;Consentement;Date d'enregistrement;Prénom
B-1;Femme;12/03/1999;Ukraine;Travail forcé;oui;15/02/2021;canary-Amina
B-2;Homme;25/12/2001;Côte d’Ivoire;Travail forcé|||Exploitation sexuelle;non;03/04/2021;canary-Bob
B-3;Homme;1998;PHL;xyz;;2021;canary-Carl
"""
_AS_TEXT = pacsv.ConvertOptions(
    column_types=dict.fromkeys([attribute.name for attribute in load_schema("htcds-2.0").attributes], pa.string())
)
CERTAIN = "personToken;prs_Gender;yearOfRegistration;consentOwnStatistics\np1;Femme;2021;oui\np2;Homme;2020;oui\n"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A vault in a folder, and the command line over it."""

    folder: Path

    @property
    def places(self) -> list[str]:
        """Options that name the vault."""
        return ["--vault", str(self.folder / "vault"), "--root-key", f"file:{self.folder / 'root.key'}"]

    def write(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(text.encode(encoding))
        return path

    def arguments(self, path: Path, *more: str | Path) -> list[str]:
        """The words of a command line that takes a file in."""
        named = ["--organisation", "north", "--dataset", "cases", "--schema", "htcds-2.0", "--people-cap", "100"]
        return ["intake", str(path), *named, *map(str, more), *self.places]

    def run(self, path: Path, *more: str | Path) -> Result:
        """Take a file in, as a script does."""
        return CliRunner().invoke(main, self.arguments(path, *more))

    def ask(self, path: Path, answers: Mapping[str, str | tuple[str, ...]]) -> tuple[int, str]:
        """Take a file in at a terminal; the exit code, and what was on the screen.

        Args:
            path: the file.
            answers: words of a question, and what is typed when it is asked; one after the other, where it is asked again.
        """
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "casehaven", *self.arguments(path)]
        process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        screen, last, times = "", time.monotonic() + 300, dict[str, int]()
        try:
            while time.monotonic() < last:
                if not select.select([ours], [], [], 0.5)[0]:
                    if process.poll() is not None:
                        break
                    question = screen.rpartition("\n")[2]
                    asked = next((words for words in answers if words in question), None)
                    if asked is not None and question.endswith(": "):
                        said = answers[asked]
                        times[asked] = times.get(asked, -1) + 1
                        typed = said if isinstance(said, str) else said[times[asked] % len(said)]
                        os.write(ours, typed.encode() + b"\n")
                        screen += "\n"
                    continue
                try:
                    screen += os.read(ours, 65536).decode(errors="replace")
                except OSError:  # Linux says so when the last one who writes has gone
                    break
            return process.wait(timeout=120), screen
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    def cells(self, token: str) -> list[dict[str, str]]:
        """The cells of a person's records."""
        vault = Vault.open(self.folder / "vault", file_key(self.folder / "root.key"))
        person = vault.person_by_token(vault.dataset("north", "cases"), token)
        return [] if person is None else [dict(one.cells) for one in vault.read_records(person, reason="a test")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty vault."""
    Vault.create(tmp_path / "vault", create_file_key(tmp_path / "root.key"))
    return Desk(folder=tmp_path)


# --- in a script -----------------------------------------------------------------------------------------------------------


def test_what_is_certain_is_taken_in_with_yes_alone(desk: Desk) -> None:
    result = desk.run(desk.write("a.csv", CERTAIN), "--yes")
    assert result.exit_code == 0, result.output
    assert result.output.endswith("taken in   a.csv: north/cases, version 1\n")
    assert desk.cells("p1") == [
        {"personToken": "p1", "prs_Gender": "Feminine", "yearOfRegistration": "2021", "consentOwnStatistics": "yes"}
    ]


def test_yes_alone_refuses_guesses_and_says_how_to_go_on(desk: Desk) -> None:
    path = desk.write("a.csv", FRENCH)
    refused = desk.run(path, "--yes", "--save-mapping", desk.folder / "m.json")
    assert refused.exit_code == 1
    assert "rest on guesses" in refused.output and "--mapping FILE --yes" in refused.output
    assert desk.cells("B-1") == []
    saved = json.loads((desk.folder / "m.json").read_text(encoding="utf-8"))
    assert {entry["status"] for entry in saved["attributes"]} == {"exact", "guess"}
    assert (desk.folder / "m.json").stat().st_mode & 0o777 == 0o600
    taken = desk.run(path, "--yes", "--mapping", desk.folder / "m.json")
    assert taken.exit_code == 0, taken.output
    (cells,) = desk.cells("B-2")
    assert cells == {
        "personToken": "B-2",
        "con_Consent": "FALSE",
        "yearOfRegistration": "2021",
        "prs_Gender": "Masculine",
        "ageAtRegistration": "18-20",
        "prs_Citizenship": "CIV",
        "vic_TypeOfExploitation": "ForcedLabour;SexualExploitation",
    }


def test_without_yes_and_without_a_terminal_nothing_is_taken_in(desk: Desk) -> None:
    result = desk.run(desk.write("a.csv", CERTAIN))
    assert (result.exit_code, "nobody to ask" in result.output) == (1, True)
    assert desk.cells("p1") == []


def test_a_dry_run_takes_nothing_in_and_needs_no_dataset(desk: Desk) -> None:
    result = desk.run(desk.write("a.csv", FRENCH), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "dry run    a.csv: nothing was taken in" in result.output
    assert "because: " in result.output and "xyz" in result.output
    assert "canary" not in result.output, "cells of identifiers are not shown"
    assert Vault.open(desk.folder / "vault", file_key(desk.folder / "root.key")).datasets() == ()


def test_everything_that_is_shown_fits_a_hundred_columns(desk: Desk) -> None:
    long = "x" * 150
    text = FRENCH.replace("Prénom", long) + ";Homme;;;;;2021;\n" * 30
    result = desk.run(desk.write("a.csv", text), "--dry-run")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_the_same_file_is_there_and_a_mapping_is_remembered_for_the_next_one(desk: Desk) -> None:
    path = desk.write("a.csv", FRENCH)
    desk.run(path, "--yes", "--save-mapping", desk.folder / "m.json")
    assert desk.run(path, "--yes", "--mapping", desk.folder / "m.json").exit_code == 0
    again = desk.run(path)
    assert again.output == "there      a.csv: north/cases has this file already; nothing was added\n"
    later = desk.run(desk.write("b.csv", FRENCH + "B-4;Femme;1990;PHL;;oui;2022;x\n"), "--yes")
    assert later.exit_code == 0, later.output
    assert "as for the last file with these columns" in later.output
    assert "1 new, 0 corrected, 3 there already" in later.output


def test_a_column_that_is_ignored_never_turns_a_dry_run_into_an_intake(desk: Desk) -> None:
    path = desk.write("a.csv", CERTAIN)
    tried = desk.run(path, "--ignore-column", "x", "--dry-run", "--yes")
    assert (tried.exit_code, "nothing was taken in" in tried.output) == (0, True)
    assert Vault.open(desk.folder / "vault", file_key(desk.folder / "root.key")).datasets() == ()


REFUSED = CERTAIN + ";Femme;2021;canary-no\n"


def test_refused_rows_stop_a_script_unless_they_have_a_place(desk: Desk) -> None:
    path = desk.write("a.csv", REFUSED)
    stopped = desk.run(path, "--yes")
    assert (stopped.exit_code, "--refused FILE" in stopped.output) == (1, True)
    assert "refused    row 4: no person key" in stopped.output
    assert desk.cells("p1") == []
    sealed = desk.folder / "refused.bin"
    taken = desk.run(path, "--yes", "--refused", sealed)
    assert taken.exit_code == 0, taken.output
    assert len(desk.cells("p1")) == 1
    assert b"canary" not in sealed.read_bytes() and sealed.stat().st_mode & 0o777 == 0o600
    shown = CliRunner().invoke(main, ["refused", str(sealed), "--reason", "to correct them", *desk.places])
    assert shown.exit_code == 0, shown.output
    assert "row 4: no person key" in shown.output and "canary-no" in shown.output
    listed = CliRunner().invoke(main, ["audit", "report", "--all", *desk.places[:2], *desk.places[2:]])
    assert "canary" not in listed.output
    spoilt = bytearray(sealed.read_bytes())
    spoilt[-1] ^= 1
    sealed.write_bytes(spoilt)
    broken = CliRunner().invoke(main, ["refused", str(sealed), "--reason", "to correct them", *desk.places])
    assert (broken.exit_code, "canary" in broken.output) == (1, False)


def test_rows_are_people_only_when_somebody_says_so(desk: Desk) -> None:
    path = desk.write("a.csv", "prs_Gender;yearOfRegistration\nFemme;2021\nFemme;2021\n")
    undecided = desk.run(path, "--yes")
    assert (undecided.exit_code, "--row-is-person" in undecided.output) == (1, True)
    assert desk.run(path, "--yes", "--row-is-person").exit_code == 0
    assert (
        desk.run(desk.write("b.csv", "prs_Gender;kennung\nFemme;d1\n"), "--yes", "--person-key", "kennung").exit_code
        == 0
    )
    assert len(desk.cells("d1")) == 1
    wrong = desk.run(desk.write("c.csv", "prs_Gender;kennung\nHomme;d1\n"), "--yes", "--person-key", "nobody")
    assert (wrong.exit_code, "no column nobody" in wrong.output) == (1, True)


def test_options_decide_who_stays_behind(desk: Desk) -> None:
    header = "personToken;prs_Gender;ageAtRegistration;vic_TraffickingStatus;consentPooledStatistics\n"
    text = header + "a;Femme;15;;oui\nb;Homme;40;Not a victim of trafficking;oui\nc;Homme;40;;oui\n"
    path = desk.write("a.csv", text)
    assert desk.run(path, "--yes", "--minors", "leave-out", "--leave-out", "prs_Gender=Homme").exit_code == 0
    assert [len(desk.cells(token)) for token in "abc"] == [0, 0, 0]
    remembered = desk.run(path, "--yes", "--again", "--minors", "keep")
    assert remembered.exit_code == 0
    assert [len(desk.cells(token)) for token in "abc"] == [1, 0, 0], (
        "the rule is part of the mapping, which is remembered"
    )
    status = ("--leave-out-nothing", "--leave-out", "vic_TraffickingStatus=NotAVictimOfTrafficking")
    assert desk.run(path, "--yes", "--again", "--minors", "not-shared", *status).exit_code == 0
    assert [len(desk.cells(token)) for token in "abc"] == [2, 0, 1], "the one of a was corrected"
    assert desk.cells("a")[-1]["consentPooledStatistics"] == "no"
    assert desk.run(path, "--yes", "--again", "--leave-out-nothing", "--minors", "keep").exit_code == 0
    assert [len(desk.cells(token)) for token in "abc"] == [3, 1, 1]
    bad = desk.run(path, "--yes", "--again", "--leave-out", "prs_Gender=4711")
    assert (bad.exit_code, "no such code" in bad.output) == (2, True)


@pytest.mark.parametrize("fault", ["no such file", "a fault in the mapping", "a mapping of another file"])
def test_what_is_wrong_is_told_with_what_to_do(desk: Desk, fault: str) -> None:
    path = desk.write("a.csv", CERTAIN)
    mapping = desk.folder / "m.json"
    desk.run(path, "--dry-run", "--save-mapping", mapping)
    document = json.loads(mapping.read_text(encoding="utf-8"))
    if fault == "no such file":
        path = desk.folder / "nowhere.csv"
    elif fault == "a fault in the mapping":
        document["attributes"][1]["to"] = "prs_Gendre"
    else:
        path = desk.write("b.csv", "personToken;prs_Citizenship\np1;UKR\n")
    mapping.write_text(json.dumps(document), encoding="utf-8")
    result = desk.run(path, "--yes", "--mapping", mapping)
    assert result.exit_code == 1
    assert "error: " in result.output and "try: " in result.output
    assert desk.cells("p1") == []


def _own_columns() -> tuple[list[str], str]:
    """The columns of the schema itself, and one row of them for a person who is no victim and one who is."""
    names = [
        a.name
        for a in load_schema("htcds-2.0").analysis
        if a.name not in ("vic_TraffickingStatus", "ageAtRegistration")
    ]
    header = ["personToken", "vic_TraffickingStatus", "ageAtRegistration", *names]
    rows = ["p1,NotAVictimOfTrafficking,30", "p2,,15", "p3,,30"]
    return header, ",".join(header) + "\n" + "".join(row + "," * len(names) + "\n" for row in rows)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_with_the_schemas_own_columns_is_tried_first_and_every_rule_holds_for_it(
    desk: Desk, suffix: str
) -> None:
    _, text = _own_columns()
    path = desk.write("a.csv", text)
    if suffix == ".parquet":
        path = desk.folder / "a.parquet"
        pq.write_table(pacsv.read_csv(desk.folder / "a.csv", convert_options=_AS_TEXT), path)
    stopped = desk.run(path)
    assert (stopped.exit_code, "there is nobody to ask" in stopped.output) == (1, True)
    assert "rows       3 read, 2 to be taken in" in stopped.output, "the dry run comes first"
    tried = desk.run(path, "--dry-run")
    assert (tried.exit_code, "nothing was taken in" in tried.output) == (0, True)
    assert [len(desk.cells(f"p{number}")) for number in (1, 2, 3)] == [0, 0, 0]
    taken = desk.run(path, "--yes", "--minors", "leave-out")
    assert taken.exit_code == 0, taken.output
    assert "1 left behind: NotAVictimOfTrafficking" in taken.output and "1 left behind: minors" in taken.output
    assert [len(desk.cells(f"p{number}")) for number in (1, 2, 3)] == [0, 0, 1]


def test_an_ignored_column_is_not_read_and_that_is_said(desk: Desk) -> None:
    path = desk.write("a.csv", "personToken;prs_Gender;yearOfRegistration\np1;Femme;2021\n")
    taken = desk.run(path, "--yes", "--ignore-column", "prs_Gender", "--ignore-column", "shoe")
    assert taken.exit_code == 0, taken.output
    assert "dropped    by --ignore-column:\n           prs_Gender\n" in taken.output
    assert desk.cells("p1") == [{"personToken": "p1", "yearOfRegistration": "2021"}]


@pytest.mark.parametrize(
    "option",
    [
        ("--minors", "leave-out"), ("--leave-out", "prs_Gender=Feminine"), ("--mapping", "m.json"), ("--row-is-person",),
        ("--record-key", "none"), ("--date-order", "day-first"), ("--again",),
    ],
)  # fmt: skip
def test_a_prepared_file_takes_no_rule_and_no_mapping(desk: Desk, option: tuple[str, ...]) -> None:
    assert desk.run(desk.write("a.csv", CERTAIN), "--yes").exit_code == 0
    prepared = desk.folder / "north.prepared"
    prepared.write_bytes(MAGIC + b"\n")
    refused = desk.run(prepared, *option)
    assert refused.exit_code == 2 and "is a prepared file: it takes no mapping and no rule" in refused.output


@pytest.mark.parametrize("rows", ["", "p1;;;\n"])
def test_a_file_in_which_nothing_is_to_be_taken_in_says_so(desk: Desk, rows: str) -> None:
    header = CERTAIN.partition("\n")[0]
    taken = desk.run(desk.write("a.csv", f"{header}\n{rows}"), "--yes")
    assert taken.exit_code == 0, taken.output
    assert taken.output.splitlines()[-1] == "nothing    a.csv: no row to be taken in; north/cases is as it was"
    assert "taken in " not in taken.output
    assert desk.run(desk.write("b.csv", CERTAIN), "--yes").output.splitlines()[-1].endswith("version 1")


def test_a_file_of_refusals_alone_says_that_they_count(desk: Desk) -> None:
    assert desk.run(desk.write("a.csv", CERTAIN), "--yes").exit_code == 0
    header = CERTAIN.partition("\n")[0].replace("prs_Gender", "vic_TraffickingStatus")
    taken = desk.run(desk.write("b.csv", f"{header}\np1;NotAVictimOfTrafficking;2021;no\n"), "--yes")
    assert taken.exit_code == 0, taken.output
    assert "refusals   b.csv: no row to be taken in; refusals in it count" in taken.output
    assert taken.output.splitlines()[-1].endswith("version 2")


def _kobo_consents(number: int, own: str, release: str) -> str:
    names = "personToken;prs_Gender;yearOfRegistration;consents/consentOwnStatistics;consents/consentSyntheticRelease"
    return f"{names};_id;_uuid;_submission_time\np1;Femme;2021;{own};{release};7;u-{number};2021-02-03T10:00:00\n"


def test_a_withdrawal_in_a_group_of_0_and_1_is_a_refusal(desk: Desk) -> None:
    given = desk.run(desk.write("jan.csv", _kobo_consents(1, "1", "1")), "--yes")
    withdrawn = desk.run(desk.write("feb.csv", _kobo_consents(2, "0", "0")), "--yes")
    assert (given.exit_code, withdrawn.exit_code) == (0, 0), given.output + withdrawn.output
    vault = Vault.open(desk.folder / "vault", file_key(desk.folder / "root.key"))
    person = vault.person_by_token(vault.dataset("north", "cases"), "p1")
    assert person is not None
    with vault.database.transaction(writes=False) as connection:
        history = consent_history(connection, person.person_id)
    latest = {version.purpose: version.given for version in history.versions}
    assert latest == {"own_statistics": False, "synthetic_release": False}


# --- at a terminal -----------------------------------------------------------------------------------------------------------


def test_at_a_terminal_guesses_are_asked_one_by_one_and_dates_once(desk: Desk) -> None:
    header = FRENCH.split("\n")[0].replace("Type d'exploitation", "Commune")
    path = desk.write("a.csv", header + "\nB-1;Femme;12/03/1999;UKR;;oui;03/04/2021;x\n")
    answers = {
        "Are these guesses right?": "o",
        "use it for prs_Gender": "n",
        "use it for": "y",
        "What comes first?": "day-first",
        "Take it in?": "y",
    }
    code, screen = desk.ask(path, answers)
    assert code == 0, screen
    assert screen.count("What comes first?") == 2, "of two columns"
    (cells,) = desk.cells("B-1")
    assert cells["ageAtRegistration"] == "21-23"
    assert "prs_Gender" not in cells


def test_at_a_terminal_the_answer_by_default_is_no(desk: Desk) -> None:
    code, screen = desk.ask(desk.write("a.csv", FRENCH), {"Are these guesses right?": ""})
    assert (code, "stopped before anything was used" in screen) == (1, True), screen
    code, screen = desk.ask(desk.write("b.csv", CERTAIN), {"Take it in?": ""})
    assert (code, "nobody said yes" in screen) == (1, True), screen
    assert desk.cells("p1") == desk.cells("B-1") == []


def test_at_a_terminal_what_tells_people_apart_is_asked(desk: Desk) -> None:
    path = desk.write("a.csv", "prs_Gender;yearOfRegistration;kennung\nFemme;2021;d1\n")
    code, screen = desk.ask(path, {"Which column does?": ("kenung", "kennung"), "Take it in?": ("y",)})
    assert code == 0, screen
    assert len(desk.cells("d1")) == 1


def test_all_the_guesses_together_never_name_a_column_of_consent(desk: Desk) -> None:
    path = desk.write("a.csv", "personToken;Sex of victim;yearOfRegistration;Consent to release\np1;Femme;2021;yes\n")
    answers = {"Are these guesses right?": "a", "use it for consent": "", "Take it in?": "y"}
    code, screen = desk.ask(path, answers)
    assert code == 0 and "use it for consentSyntheticRelease" in screen, screen
    (cells,) = desk.cells("p1")
    assert "consentSyntheticRelease" not in cells and cells["prs_Gender"] == "Feminine"
