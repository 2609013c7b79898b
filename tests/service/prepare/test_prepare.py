"""What leaves an organisation, what does not, and what the vault takes in."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from casehaven.generate import generate_records
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.prepare import _coded
from casehaven.intake.sealed_upload import (
    MAGIC,
    allowed_columns,
    is_prepared,
)
from casehaven.intake.uploads import take_in
from caseschemas import CaseSchema, load_schema

if TYPE_CHECKING:
    from tests.service.prepare.conftest import Agreement

HTCDS = "htcds-2.0"
CANARY = "Canary Xylophone"


def positions(schema: CaseSchema, name: str, cell: str) -> frozenset[int]:
    attribute = schema.attribute(name)
    return frozenset(place for place in attribute.codes_of(cell) or () if attribute.values[place].answered)


def test_what_is_opened_says_what_the_export_says_and_nothing_else(agreement: Agreement) -> None:
    done = agreement.prepare(agreement.export())
    assert done.exit_code == 0, done.output
    schema, found = load_schema(HTCDS), agreement.open()
    assert set(found.columns) == set(allowed_columns(schema))
    cells = agreement.cells()
    listed = [a.name for a in schema.attributes if a.values]
    truth = {name: [] for name in listed}  # type: dict[str, list[str]]
    for batch in generate_records(schema, 40, 3):
        victims = [
            row
            for row, cell in enumerate(batch.column("vic_TraffickingStatus").to_pylist())
            if not cell.startswith("NotA")
        ]
        for name in listed:
            truth[name] += [batch.column(name).to_pylist()[row] for row in victims]

    def rows(columns: dict[str, list[str]]) -> list[tuple[frozenset[int], ...]]:
        meant = [[positions(schema, name, cell) for cell in columns[name]] for name in listed]
        return sorted(zip(*meant, strict=True), key=str)

    assert rows(cells) == rows(truth)
    assert len(cells["personToken"]) > 30
    for name in ("personToken", RECORD_KEY):
        assert all(re.fullmatch("[0-9a-f]{32}", cell) for cell in cells[name])
    assert len(set(cells[RECORD_KEY])) == len(cells[RECORD_KEY])
    assert cells[RECORD_KEY] == sorted(cells[RECORD_KEY])


@pytest.mark.parametrize("dialect", ["kobo-csv", "primero-xlsx", "excel-fr", "odk-central"])
def test_no_canary_of_the_export_is_in_the_output_even_when_it_is_opened(agreement: Agreement, dialect: str) -> None:
    suffix = {"kobo-csv": "csv", "odk-central": "zip"}.get(dialect, "xlsx")
    source = agreement.export(f"c.{suffix}", dialect=dialect)
    done = agreement.prepare(source)
    assert done.exit_code == 0, done.output
    opened = "\n".join(cell for cells in agreement.cells().values() for cell in cells)
    schema, needles = load_schema(HTCDS), set[str]()
    for batch in generate_records(schema, 40, 3):
        for attribute in schema.attributes:
            if not attribute.values:
                needles |= {cell for cell in batch.column(attribute.name).to_pylist() if cell}
    needles |= {"Fictitious Person", "+999", "Made-up story", "Nowhere Street", "example-0", "Example "}
    assert len(needles) > 500
    sealed = (agreement.folder / "out.prepared").read_bytes()
    for needle in needles:
        assert needle not in opened, needle
        assert needle.encode() not in sealed, needle
    for screen in (done.stdout, done.stderr):
        assert not [needle for needle in needles - {"Example "} if needle in screen]


def test_words_that_the_schema_does_not_list_stay_behind_and_an_unknown_word_on_consent_is_a_refusal(
    agreement: Agreement,
) -> None:
    source = agreement.folder / "hand.csv"
    header = ["personToken", "prs_Gender", "vic_MethodsOfControl", "con_Consent", "cas_Status", "prs_FirstName"]
    rows = [
        ["p1", f"{CANARY} 1", f"DebtBondage;{CANARY} 2", "TRUE", "Active", f"{CANARY} 3"],
        ["p2", "Feminine", "FalsePromises", f"{CANARY} 4", f"{CANARY} 5", ""],
    ]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    done = agreement.prepare(source)
    assert done.exit_code == 0, done.output
    cells = agreement.cells()
    assert CANARY not in str(cells)
    assert sorted(zip(cells["con_Consent"], cells["vic_MethodsOfControl"], strict=True)) == [
        ("FALSE", "FalsePromises"), ("TRUE", "DebtBondage"),
    ]  # fmt: skip
    assert sorted(cells["cas_Status"]) == ["", "Active"]


def test_cells_are_written_as_codes_of_the_list_whatever_the_mapping_let_through() -> None:
    schema = load_schema(HTCDS)
    control, gender, consent = (
        schema.attribute(name) for name in ("vic_MethodsOfControl", "prs_Gender", "con_Consent")
    )
    cells = pa.chunked_array([[f"Debt bondage;{CANARY}", CANARY, None, " Other ; FalsePromises"]])
    assert _coded(control, cells).to_pylist() == ["DebtBondage", "", "", "FalsePromises;Other"]
    assert _coded(gender, pa.chunked_array([["feminine", CANARY, ""]])).to_pylist() == ["Feminine", "", ""]
    assert _coded(consent, pa.chunked_array([["yes", CANARY, ""]])).to_pylist() == ["TRUE", "FALSE", ""]
    assert _coded(gender, pa.chunked_array([[]], pa.string())).to_pylist() == []


def test_the_vault_takes_a_prepared_file_in_once_and_a_correction_updates(agreement: Agreement) -> None:
    source = agreement.export()
    dataset = agreement.vault.dataset("north", "cases")
    assert agreement.prepare(source).exit_code == 0
    first = take_in(agreement.vault, dataset, agreement.open())
    assert not first.repeated and first.records > 30 and first.corrected == 0
    assert agreement.prepare(source, out="again.prepared").exit_code == 0
    assert (agreement.folder / "again.prepared").read_bytes() != (agreement.folder / "out.prepared").read_bytes()
    assert take_in(agreement.vault, dataset, agreement.open("again.prepared")).repeated

    text = source.read_text("utf-8")
    corrected = agreement.folder / "corrected.csv"
    corrected.write_text(text.replace('"Closed"', '"FollowUp"', 1), "utf-8")
    assert agreement.prepare(corrected, out="corrected.prepared").exit_code == 0
    update = take_in(agreement.vault, dataset, agreement.open("corrected.prepared"))
    assert (update.repeated, update.records, update.corrected) == (False, 1, 1)
    assert update.unchanged == first.records - 1


def test_the_command_refuses_what_is_not_sure(agreement: Agreement) -> None:
    source, folder = agreement.export(people=4), agreement.folder
    wrong = agreement.run(
        "prepare", source, "--schema", HTCDS, "--organisation", "north", "--to", folder / "north.pub", "--fingerprint", "SHA256:x",
        "--linkage-key", folder / "agreement.key", "-o", folder / "x.prepared",
    )  # fmt: skip
    assert wrong.exit_code == 1 and "not the one that was given" in wrong.output
    common = (
        "prepare",
        source,
        "--schema",
        HTCDS,
        "--linkage-key",
        folder / "agreement.key",
        "-o",
        folder / "x.prepared",
    )
    unsure = agreement.run(*common, "--organisation", "north", "--to", folder / "north.pub", given="n\n")
    assert unsure.exit_code == 1 and "nobody compared it" in unsure.output
    theirs = agreement.run(*common, "--organisation", "south", "--to", folder / "north.pub")
    assert theirs.exit_code == 1 and "the public key is that of north, not of south" in theirs.output
    assert not (folder / "x.prepared").exists()
    sure = agreement.run(*common, "--organisation", "north", "--to", folder / "north.pub", given="y\ny\n")
    assert sure.exit_code == 0, sure.output
    before = (folder / "x.prepared").read_bytes()
    assert (folder / "x.prepared").stat().st_mode & 0o077 == 0
    again = agreement.run(*common, "--organisation", "north", "--to", folder / "north.pub", given="y\ny\n")
    assert again.exit_code == 1 and "exists already" in again.output
    assert (folder / "x.prepared").read_bytes() == before


def test_guesses_need_a_yes_to_a_mapping_that_somebody_saw(agreement: Agreement) -> None:
    source, saved = agreement.folder / "guess.csv", agreement.folder / "mapping.json"
    source.write_text("personToken,Genders\n1,Feminine\n2,Masculine\n", "utf-8")
    unsure = agreement.prepare(source, out="g.prepared", extra=("--save-mapping", str(saved)))
    assert unsure.exit_code == 1 and "rest on guesses" in unsure.output
    assert not (agreement.folder / "g.prepared").exists()
    sure = agreement.prepare(source, out="g.prepared", extra=("--mapping", str(saved)))
    assert sure.exit_code == 0, sure.output
    assert sorted(agreement.cells("g.prepared")["prs_Gender"]) == ["Feminine", "Masculine"]


def test_preparing_opens_no_connection_and_needs_no_vault(agreement: Agreement, tmp_path: Path) -> None:
    source = agreement.export(people=4)
    script = (
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.bind', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        raise SystemExit(f'network: {event}')\n"
        "    if event == 'open' and 'vault' in str(arguments[0]) and '.py' not in str(arguments[0]):\n"
        "        raise SystemExit(f'vault: {arguments[0]}')\n"
        "sys.addaudithook(watch)\n"
        "from casehaven.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    for name in ("agreement.key", "north.pub", source.name):
        (lonely / name).write_bytes((agreement.folder / name).read_bytes())
    (lonely / "agreement.key").chmod(0o600)
    arguments = [
        "prepare", source.name, "--schema", HTCDS, "--organisation", "north", "--to", "north.pub", "--linkage-key", "agreement.key",
        "--fingerprint", agreement.public("north").fingerprint, "-o", "out.prepared", "--yes",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=lonely, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in lonely.iterdir()) == sorted(
        ["agreement.key", "north.pub", "out.prepared", source.name]
    )
    assert (lonely / "out.prepared").read_bytes().startswith(MAGIC) and is_prepared(lonely / "out.prepared")
    assert not is_prepared(source) and not is_prepared(lonely / "absent")


OWN = "personToken,prs_Gender,ageAtRegistration,vic_TraffickingStatus,yearOfRegistration"
ROWS = (
    "a,Feminine,15,,2021",
    "b,Masculine,40,NotAVictimOfTrafficking,2021",
    "c,Masculine,40,,2021",
    "d,Feminine,40,,2021",
)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ((), ["15", "40", "40"]),
        (("--minors", "leave-out"), ["40", "40"]),
        (("--minors", "leave-out", "--leave-out", "prs_Gender=Masculine"), ["40"]),
        (("--leave-out-nothing",), ["15", "40", "40", "40"]),
        (("--ignore-column", "ageAtRegistration"), ["", "", ""]),
    ],
)
def test_who_stays_behind_stays_at_the_organisation(
    agreement: Agreement, options: tuple[str, ...], sent: list[str]
) -> None:
    path = agreement.folder / "own.csv"
    path.write_text("\n".join((OWN, *ROWS)) + "\n", encoding="utf-8")
    done = agreement.prepare(path, extra=options)
    assert done.exit_code == 0, done.output
    bands = {"": "", "15": "9-17", "40": "39-47"}
    assert sorted(agreement.cells()["ageAtRegistration"]) == sorted(bands[age] for age in sent)


def test_a_dry_run_of_prepare_writes_nothing_and_needs_no_fingerprint(agreement: Agreement) -> None:
    path = agreement.folder / "own.csv"
    path.write_text("\n".join((OWN, *ROWS)) + "\n", encoding="utf-8")
    words: list[str | Path] = [
        "prepare",
        path,
        "--schema",
        HTCDS,
        "--organisation",
        "north",
        "--to",
        agreement.folder / "north.pub",
    ]
    tried = agreement.run(
        *words, "--linkage-key", agreement.folder / "agreement.key", "-o", agreement.folder / "x.prepared", "--dry-run"
    )
    assert (tried.exit_code, "dry run    nothing was written" in tried.output) == (0, True), tried.output
    assert "rows       4 read, 3 to be taken in" in tried.output
    assert not (agreement.folder / "x.prepared").exists()
