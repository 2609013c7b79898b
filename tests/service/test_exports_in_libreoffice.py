"""Threat 20: whatever we write for a spreadsheet holds no formula. A real spreadsheet program opens it, with formulas in CSV switched on.

Every module that writes CSV or workbooks is on the list below, with what shows that its files are safe; a module that is not on it fails a test.
"""

from __future__ import annotations

import ast
import csv
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openpyxl
import pandas as pd
import pytest

from casehaven.generate.dialects import DIALECTS, write_dialect
from casehaven.generate.files import write_records as write_made_up
from casehaven.intake.mapping import map_file
from casehaven.registry.downloads import make_downloads
from casehaven.web.answer_view import csv_bytes, read
from casehaven.web.words import LANGUAGES, Words
from caseschemas import load_mapping, load_schema
from casesynth.domain import Domain
from casesynth.recordfiles import write_records
from casesynth.tables import write_frame

if TYPE_CHECKING:
    from tests.conftest import SafeHouse
    from tests.service.conftest import Press

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (
    "=1+1", "+1+1", "-1+1", "@SUM(1;1)", "\t=1+1", "\r=1+1", "\0=1+1", "＝1+1", "＋1+1", "－1+1", "＠SUM(1)",
    '=HYPERLINK("http://x.example";"y")', "=cmd|' /C calc'!A0", '-2+3+cmd|" /C calc"!A0',
)  # fmt: skip
STARTS = tuple("=+-@\t\r\0＝＋－＠")

WRITERS = {
    "casesynth.recordfiles": "synthetic.csv: test_a_release_holds_no_formula",
    "casesynth.tables": "aggregates.csv: test_a_release_holds_no_formula",
    "casehaven.people.export": "a person's records: test_the_export_of_one_person_holds_no_formula",
    "casehaven.intake.mapping": "mapped case files: test_a_mapped_file_holds_no_formula",
    "casehaven.intake.sealed_upload": "a sealed file, which no spreadsheet opens",
    "casehaven.statistics.workbook": "exact tables: tests/service/people/test_exact_tables.py opens them in LibreOffice",
    "casehaven.releases.indicators.workbook": "indicator tables: test_indicator_tables_hold_no_formula",
    "casehaven.registry.downloads": "a release's other forms: test_downloads_of_the_registry_hold_no_formula",
    "casehaven.web.answer_view": "an answer's file: test_the_file_of_an_answer_holds_no_formula",
    "casehaven.web.intakes_page": "a list of files taken in, of moments and numbers alone",
    "casehaven.web.retention_pages": "signed receipts as JSON in a ZIP, which no spreadsheet opens",
    "casehaven.generate.practice": "forty made-up people: test_made_up_files_hold_no_formula opens records of the same generator",
    "casehaven.generate.files": "made-up records: test_made_up_files_hold_no_formula",
    "casehaven.generate.dialects.csv_text": "made-up exports: test_made_up_files_hold_no_formula",
    "casehaven.generate.dialects.workbook": "made-up exports: test_made_up_files_hold_no_formula",
    "casehaven.generate.dialects.odk_central": "made-up exports, CSV inside a ZIP, by csv_text",
    "casehaven.generate.dialects.locked_zip": "made-up exports, CSV inside a ZIP, by csv_text",
}
"""Module to what shows that no file of it holds a formula."""

CALLS = {
    "write_csv",
    "CSVWriter",
    "to_csv",
    "to_excel",
    "ExcelWriter",
    "DictWriter",
    "writestr",
    "ZipFile",
    "Workbook",
    "save_workbook",
}
"""Names of calls that write what a spreadsheet opens."""

READS_ONLY = {
    "casehaven.generate.dialects.htcds_parts": "opens the user's template",
    "casehaven.cli.generate": "calls the writers",
}

Opened = dict[str, str]
"""Name of a file to what LibreOffice made of it, as flat XML."""


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of LibreOffice's settings; making them takes longest."""
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(scope="module")
def office() -> str:
    found = shutil.which("soffice")
    if found is None:
        pytest.skip("LibreOffice is absent")
    return found


@pytest.fixture
def opened(office: str, profile: Path, tmp_path: Path) -> Callable[[Sequence[Path]], Opened]:
    """Let LibreOffice open files and say, as flat XML, what it holds in each cell."""

    def open_all(files: Sequence[Path]) -> Opened:
        out, found = tmp_path / "opened", Opened()
        for kind, options in (
            (".csv", ["--infilter=CSV:44,34,76,1,,0,false,true,false,false,false,0,true"]),
            (".xlsx", []),
        ):
            some = [file for file in files if file.suffix == kind]
            if not some:
                continue
            settings = f"-env:UserInstallation=file://{profile}"
            command = [
                office,
                settings,
                "--headless",
                *options,
                "--convert-to",
                "fods",
                "--outdir",
                str(out),
                *map(str, some),
            ]
            subprocess.run(
                command, check=True, capture_output=True, timeout=180, env={**os.environ, "HOME": str(profile)}
            )
            for file in some:
                found[file.name] = (out / f"{file.stem}.fods").read_text("utf-8")
        assert set(found) == {file.name for file in files}
        return found

    return open_all


def formulas(text: str) -> list[str]:
    return re.findall(r'table:formula="[^"]*"', text)


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for root in ("platform/casehaven", "synth/casesynth", "schemas/caseschemas"):
        for path in sorted((ROOT / root).rglob("*.py")):
            name = ".".join(path.relative_to((ROOT / root).parent).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(path.read_text("utf-8"))


def _writes(tree: ast.Module) -> bool:
    """Whether a module calls what writes CSV, workbooks or ZIP files; `csv.writer` too, and a ZIP that is only read does not count."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = (
                called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
            )
            owner = called.value.id if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) else ""
            if name == "ZipFile":
                modes = [argument.value for argument in node.args[1:2] if isinstance(argument, ast.Constant)]
                if "w" not in modes:
                    continue
            if name in CALLS or (owner == "csv" and name == "writer"):
                return True
        if isinstance(node, ast.Constant) and node.value == b"PK\x03\x04":
            return True
    return False


def test_every_module_that_writes_for_a_spreadsheet_is_on_the_list() -> None:
    tools = {
        f"casehaven.generate.dialects.{name}" for name in ("kobo", "primero", "salesforce", "by_hand", "htcds_template")
    }
    reading = {
        name for name, _ in _modules() if name.startswith("casehaven.intake.sandbox.")
    }  # a process that can open no file
    writing = {name for name, tree in _modules() if _writes(tree)}
    assert writing - tools - reading == set(WRITERS)


def test_the_list_names_tests_that_are_there() -> None:
    here = Path(__file__).read_text("utf-8")
    for shown in WRITERS.values():
        for name in re.findall(r"test_\w+(?!\.py)\b", shown.replace("test_exact_tables.py", "")):
            assert f"def {name}(" in here, name


def test_libreoffice_would_show_a_formula_if_there_were_one(
    opened: Callable[[Sequence[Path]], Opened], tmp_path: Path
) -> None:
    control, book = tmp_path / "control.csv", tmp_path / "book.xlsx"
    with control.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["a", "b"], ["=1+1", "x"]])
    made = openpyxl.Workbook()
    made.worksheets[0]["A1"] = "=1+1"
    made.save(book)
    found = opened([control, book])
    assert len(formulas(found["control.csv"])) == len(formulas(found["book.xlsx"])) == 1


def test_a_release_holds_no_formula(opened: Callable[[Sequence[Path]], Opened], tmp_path: Path) -> None:
    values = list(HOSTILE)
    domain = Domain.declare({"=attribute()": values, "plain": ["-5", "ok"]})
    codes = np.arange(len(domain.columns[0].values)).astype(np.uint16)
    write_records((codes, (codes % 2).astype(np.uint16)), domain, tmp_path, "synthetic")
    numbers = pd.DataFrame({"value": values[:3], "=head": values[3:6], "low": [-3.5, 0.0, 12.0]})
    write_frame(numbers, tmp_path, "aggregates")
    found = opened([tmp_path / "synthetic.csv", tmp_path / "aggregates.csv"])
    assert [formulas(text) for text in found.values()] == [[], []]
    for name in ("synthetic.csv", "aggregates.csv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        hostile = [cell for cell in cells if cell.startswith(STARTS)]
        assert hostile == ([] if name == "synthetic.csv" else ["-3.5"])
        assert [cell for cell in cells if cell.startswith("'")]
    assert 'office:value-type="float" office:value="-3.5"' in found["aggregates.csv"]


def test_downloads_of_the_registry_hold_no_formula(opened: Callable[[Sequence[Path]], Opened], tmp_path: Path) -> None:
    values = [value for value in HOSTILE if "\0" not in value]
    (tmp_path / "bundle").mkdir()
    for stem in ("synthetic", "aggregates"):
        write_frame(pd.DataFrame({"value": values, "=head": values}), tmp_path / "bundle", stem)
    made = make_downloads(tmp_path / "bundle", tmp_path / "made", [("title", "=1+1")], lambda: None)
    names = [one.name for one in made if one.format in ("csv", "xlsx") and not one.hxl]
    found = opened([tmp_path / "made" / name for name in names if name.startswith("records")])
    found.update(opened([tmp_path / "made" / name for name in names if name.startswith("aggregates")]))
    assert len(found) == len(names) == 4
    assert [formulas(text) for text in found.values()] == [[]] * 4


def test_the_file_of_an_answer_holds_no_formula(opened: Callable[[Sequence[Path]], Opened], tmp_path: Path) -> None:
    values = [value for value in HOSTILE if "\0" not in value]
    document = {
        "question": {
            "by": [{"facts": value, "parts": []} for value in values],
            "count": "people",
            "where": {"all": []},
            "show": "counts",
            "totals": False,
        },
        "snapshot": {"day": "2026-11-23"},
        "guarantee": {"nano_rho": 1},
        "rows": [{"cell": [[value, value] for value in values], "kind": "count", "hidden": True}],
    }
    words = Words(language=LANGUAGES["en"])
    (tmp_path / "answer.csv").write_bytes(csv_bytes(document, read(document, None, words)))
    assert formulas(opened([tmp_path / "answer.csv"])["answer.csv"]) == []


def test_the_export_of_one_person_holds_no_formula(
    opened: Callable[[Sequence[Path]], Opened], house: SafeHouse
) -> None:
    house.take_in([{"token": "p1", "notes": text, "gender": "woman"} for text in HOSTILE if "\0" not in text])
    out = house.folder / "person.csv"
    done = house.run("person", "export", "p1", "--reason", "a test", "-o", out)
    assert done.exit_code == 0, done.output
    assert formulas(opened([out])["person.csv"]) == []
    with out.open(newline="", encoding="utf-8") as file:
        notes = [row["notes"] for row in csv.DictReader(file)]
    assert len(notes) == len(HOSTILE) - 1
    assert not [note for note in notes if note.startswith(STARTS)]


def test_a_mapped_file_holds_no_formula(opened: Callable[[Sequence[Path]], Opened], tmp_path: Path) -> None:
    source, out = tmp_path / "htcds.csv", tmp_path / "mapped.csv"
    mapping = load_mapping("htcds-2.0", "ctdc-global")
    write_made_up(load_schema("htcds-2.0"), 20, 1, source)
    frame = pd.read_csv(source, dtype=str, keep_default_na=False)
    rows = [number % len(HOSTILE) for number in range(len(frame))]
    frame["caseReference"] = [HOSTILE[row].replace("\0", "=") for row in rows]
    frame.to_csv(source, index=False)
    map_file(source, mapping, out)
    assert formulas(opened([out])["mapped.csv"]) == []
    with out.open(newline="", encoding="utf-8") as file:
        references = [row["caseReference"] for row in csv.DictReader(file)]
    assert references and all(reference.startswith("'") for reference in references)


def test_indicator_tables_hold_no_formula(
    opened: Callable[[Sequence[Path]], Opened], refuge: Press, bundle: Path
) -> None:
    out = refuge.folder / "tables-for-libreoffice"
    done = refuge.run("indicators", bundle, *refuge.options, *refuge.roles, "-o", out)
    assert done.exit_code == 0, done.output
    text = opened([out / "indicators.xlsx"])["indicators.xlsx"]
    assert formulas(text) == []
    assert "HYPERLINK" in text  # the hostile label is there, as text
    assert 'office:value-type="float"' in text


def test_made_up_files_hold_no_formula(opened: Callable[[Sequence[Path]], Opened], tmp_path: Path) -> None:
    files = [tmp_path / "plain.csv"]
    write_made_up(load_schema("ctdc-global"), 20, 1, files[0])
    for name, dialect in DIALECTS.items():
        if dialect.write is not None and dialect.suffixes[0] in (".csv", ".xlsx"):
            file = tmp_path / f"{name}{dialect.suffixes[0]}"
            files.append(write_dialect(name, load_schema("ctdc-global"), 20, 1, file))
    found = opened(files)
    assert {name: formulas(text) for name, text in found.items() if formulas(text)} == {}
    numbers = found["kobo-xlsx.xlsx"].count('office:value-type="float"')
    assert numbers > 40 and 'office:value-type="date"' in found["kobo-xlsx.xlsx"]
