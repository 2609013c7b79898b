"""No word of a case record is on the disk in the clear, wherever the vault has been (privacy rule 32; threats 1, 2 and 23).

Words that occur nowhere else are planted in every column of `htcds-2.0` that identifies somebody or is free text, in unknown values, in a person token and in a
reason: names, a birth date, telephones, addresses, the case reference, the case worker. Two columns are kept, all others are dropped. Then the whole way is gone on the
command line: vault, intake, finding, reading, duplicates, correcting, consent, tables, release, backup, drill, erasure, restore, audit. After it
every byte of every file is searched, as it is, unpacked, and as UTF-16, hexadecimal and base64, and so is everything that was printed. The words may stand in three
places only: the case file, what `person show` and the like print for whoever asked with a reason, and the person's own export.
"""

from __future__ import annotations

import base64
import csv
import functools
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from caseschemas import load_schema

SCHEMA = load_schema("htcds-2.0")
TOKEN = "CanaryTokenQ7Zk"
NOTE = "CanaryNoteÜbergabeW3xv"
VALUE = "CanaryValueHj8P"
CORRECTED = "CanaryCorrectedN5tR"
REASON = "CanaryReasonB2mY"
NOTES, REFERENCE = "cas_IncomingReferralDetails", "caseReference"
KEPT = (NOTES, REFERENCE)
"""Columns that are kept."""
IDENTIFIED = {
    attribute.name: f"Canary{attribute.name.replace('_', '')}K4wz"
    for attribute in SCHEMA.attributes
    if attribute.role in ("identifier", "text")
} | {
    NOTES: NOTE,
    "prs_FirstName": "Łucjacanary",
    "prs_SecondName": "Canárioçevič",
    "prs_Birthdate": "1931-07-23",
    "prs_MobilePhone": "+351 918 273 645",
    "prs_HomePhone": "+351283746509",
}
"""A word for every column that says who somebody is, or anything."""
DROPPED = {word for name, word in IDENTIFIED.items() if name not in KEPT}
CANARIES = (TOKEN, VALUE, CORRECTED, REASON, *IDENTIFIED.values())

MAY_SHOW = ("person show", "audit report", "person correct", "person duplicates")
"""Commands that print what they were asked for."""

DRIVER = """
import json, sys
from click.testing import CliRunner
from casehaven.cli import main

written = set()
def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        mode, flags = args[1], args[2]
        if (isinstance(mode, str) and set(mode) & set("wax+")) or flags & 3:
            written.add(args[0] if isinstance(args[0], str) else args[0].decode())
sys.addaudithook(hook)
results = []
for arguments in json.load(sys.stdin):
    result = CliRunner().invoke(main, arguments)
    results.append([result.exit_code, result.output])
print(json.dumps([results, sorted(written)]))
"""


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What the whole way left."""

    folder: Path
    """Where everything is, temporary files included."""
    commands: list[str]
    results: list[tuple[int, str]]
    written: list[str]
    """Files that Python opened for writing."""


def forms(word: str) -> Iterator[bytes]:
    """A word as it may lie on a disk."""
    plain = word.encode()
    yield plain
    yield word.encode("utf-16-le")
    yield word.encode("utf-16-be")
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    yield json.dumps(word).strip('"').encode()
    for shift in range(
        3
    ):  # base64 of the word after 0, 1 or 2 other bytes, without the characters that depend on its neighbours
        text = base64.b64encode(bytes(shift) + plain)
        yield text[(4 if shift else 0) : -4]


@functools.cache
def all_forms(word: str) -> tuple[bytes, ...]:
    return tuple(forms(word))


def found(data: bytes) -> list[str]:
    """The planted words that are in a file, packed or not."""
    parts = [data]
    if zipfile.is_zipfile(io.BytesIO(data)):  # a workbook, too
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts += [packed.read(name) for name in packed.namelist()]
    return [word for word in CANARIES if any(form in part for part in parts for form in all_forms(word))]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Go the whole way once."""
    folder = tmp_path_factory.mktemp("canary")
    (folder / "tmp").mkdir()
    yes = {column: "TRUE" if purpose == "care" else "yes" for purpose, column in SCHEMA.consent.items()}
    answers = ("Feminine", "Masculine", ""), ("PhysicalThreats", "", "ThreatsLawEnforcement;PhysicalThreats")
    records = [
        {
            **yes,
            "personToken": f"p{number:05d}",
            "yearOfRegistration": str(2015 + number % 5),
            "prs_Gender": answers[0][number % 3],
            "vic_MethodsOfControl": answers[1][number % 3],
        }
        for number in range(40)
    ]
    records[0] |= {**IDENTIFIED, "personToken": TOKEN, "prs_Gender": VALUE}
    records[0] |= {"vic_MethodsOfControl": f"PhysicalThreats;{VALUE}"}
    records[1] |= {name: word for name, word in IDENTIFIED.items() if name != REFERENCE}  # the same person once more
    with (folder / "case-file.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [attribute.name for attribute in SCHEMA.attributes], restval="")
        writer.writeheader()
        writer.writerows(records)
    commands = _commands(folder)
    environment = {
        **os.environ,
        "TMPDIR": str(folder / "tmp"),
        "SQLITE_TMPDIR": str(folder / "tmp"),
        "HOME": str(folder),
    }
    run = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(commands),
        env={name: value for name, value in environment.items() if not name.startswith("CASEHAVEN_")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert not found(run.stderr.encode())
    results, written = json.loads(run.stdout)
    return Walk(
        folder=folder,
        commands=[" ".join(arguments[: 2 if arguments[0] in GROUPS else 1]) for arguments in commands],
        results=[(code, output) for code, output in results],
        written=written,
    )


GROUPS = ("vault", "person", "audit", "ledger", "keys")


def _commands(folder: Path) -> list[list[str]]:
    vault = ["--vault", "vault", "--root-key", "file:root.key"]
    why = ["--reason", REASON]
    keep = ["--keystore", "vault.keys", "--anchor", "vault.anchor"]
    return [
        ["vault", "create", *vault],
        ["intake", "case-file.csv", "--yes", "--organisation", "north", "--dataset", "cases", "--schema", "htcds-2.0"]
        + [part for name in KEPT for part in ("--keep", name)]
        + ["--people-cap", "1000", *vault],
        ["person", "find", TOKEN, *why, *vault],
        ["person", "find", IDENTIFIED[REFERENCE], *why, *vault],
        ["person", "show", TOKEN, *why, *vault],
        ["person", "duplicates", *why, *vault],
        ["person", "correct", TOKEN, "--set", f"{NOTES}={CORRECTED}", *why, *vault],
        ["person", "consent", TOKEN, "--purpose", "synthetic_release", "--refused", *why, *vault],
        ["person", "export", TOKEN, "-o", "export.json", *why, *vault],
        ["tables", "-o", "tables.xlsx", *why, *vault],
        ["ledger", "create", "--ledger", "ledger.sqlite", "--epsilon", "8"],
        ["keys", "create", "--key", "key.pem"],
        ["release", "--from", "north/cases", "--epsilon", "4", "--out", "bundle", "--open-accounts"]
        + ["--ledger", "ledger.sqlite", "--key", "key.pem", *vault],
        ["backup", "-o", "backup", *vault],
        ["drill", "backup", "--root-key", "file:root.key", *keep],
        ["person", "erase", TOKEN, "--yes", "--receipt", "receipt.json", *why, *vault],
        ["vault", "status", "--check", *vault],
        ["restore", "backup", "--vault", "again", "--root-key", "file:root.key", *keep, *why],
        ["audit", "verify", "--vault", "again", "--root-key", "file:root.key"],
        ["audit", "report", "--vault", "again", "--root-key", "file:root.key", *why],
        # and refusals, whose messages quote nothing
        ["person", "show", TOKEN, "--vault", "again", "--root-key", "file:root.key", *why],
        ["intake", "case-file.csv", "--yes", "--organisation", "north", "--dataset", "other", "--schema", "htcds-2.0"]
        + ["--people-cap", "3", "--vault", "again", "--root-key", "file:root.key"],
    ]


REFUSED = 2
"""The last commands are refusals."""


def test_every_command_of_the_way_did_what_it_should(walk: Walk) -> None:
    for command, (code, output) in zip(walk.commands[:-REFUSED], walk.results[:-REFUSED], strict=True):
        assert code == 0, (command, output)
    assert [code for code, _ in walk.results[-REFUSED:]] == [1] * REFUSED


def test_no_word_of_a_record_is_in_any_file(walk: Walk) -> None:
    allowed = {"case-file.csv", "export.json"}
    for path in walk.folder.rglob("*"):
        name = str(path.relative_to(walk.folder))
        assert not found(name.encode()), "a planted word is in the name of a file"
        if path.is_file() and name not in allowed:
            assert not found(path.read_bytes()), f"planted words are in {name}"


def test_no_word_of_a_record_is_printed_but_to_whoever_asked_for_it(walk: Walk) -> None:
    for command, (code, output) in zip(walk.commands, walk.results, strict=True):
        if code != 0 or command not in MAY_SHOW:
            shown = set(found(output.encode()))
            if command == "intake":  # its dry run says which words of an attribute with a public list it does not know
                shown -= {VALUE}
            assert not shown, f"`casehaven {command}` prints planted words"


def test_no_temporary_file_is_left_and_nothing_is_written_elsewhere(walk: Walk) -> None:
    assert not [*(walk.folder / "tmp").iterdir()]
    elsewhere = [
        path
        for path in walk.written
        if Path(path).is_absolute() and not Path(path).is_relative_to(walk.folder) and not path.startswith("/dev/")
    ]
    assert not [path for path in elsewhere if "__pycache__" not in path]


def test_the_search_finds_what_is_there(walk: Walk) -> None:
    """The words are in the case file and in the export, and every form of each is found."""
    assert {TOKEN, VALUE, *IDENTIFIED.values()} <= {*found((walk.folder / "case-file.csv").read_bytes())}
    assert {TOKEN, CORRECTED} <= {*found((walk.folder / "export.json").read_bytes())}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("sheet1.xml", f"<c>{NOTE * 9}</c>")
    assert NOTE.encode() not in packed.getvalue()
    assert found(packed.getvalue()) == [NOTE]
    shown = dict(zip(walk.commands, walk.results, strict=True))["audit report"][1]
    assert REASON in found(shown.encode())
    for word in CANARIES:
        for data in (word.encode("utf-16-le"), word.encode().hex().encode()):
            assert found(b"\x01" + data + b"\x02") == [word]
        for shift in range(3):
            assert found(base64.b64encode(b"x" * shift + word.encode() + b"yz")) == [word]


def test_the_walk_reaches_every_kind_of_file(walk: Walk) -> None:
    names = {str(path.relative_to(walk.folder)).split("/")[0] for path in walk.folder.rglob("*")}
    expected = {"vault", "vault.keys", "vault.anchor", "backup", "again", "bundle", "ledger.sqlite", "receipt.json"}
    assert expected <= names
    assert [*(walk.folder / "again" / "chunks").rglob("*.chunk")]


def test_what_was_not_to_be_kept_is_not_even_sealed(walk: Walk) -> None:
    """Everything sealed on the person is in the export and in `person show`."""
    assert not DROPPED & {*found((walk.folder / "export.json").read_bytes())}
    shown = dict(zip(walk.commands, walk.results, strict=True))
    assert IDENTIFIED[REFERENCE] in found(shown["person duplicates"][1].encode())
    for command in ("person duplicates", "person correct"):
        assert not DROPPED & {*found(shown[command][1].encode())}
