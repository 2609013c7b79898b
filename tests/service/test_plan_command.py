"""`casehaven plan` says what a release would be worth, opens nothing but the schema, and writes a page to look at."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main

ROOT = Path(__file__).resolve().parents[2]
ASKED = ("--schema", "ctdc-global", "--people-cap", "25000", "--people", "15000", "--epsilon", "2")


def plan(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["plan", *(str(argument) for argument in arguments)])


def test_a_plan_says_errors_what_is_shown_the_cap_and_what_would_help() -> None:
    result = plan(*ASKED, "--tokens", "2", "--cap-epsilon", "8", "--years", "4")
    assert result.exit_code == 0, result.output
    for said in (
        "epsilon 4.29 for a person behind 2 person tokens",
        "how far off 19 of 20 estimates are at most",
        "shown, at an estimate of at least 10",
        "cap        The cap of epsilon 8 pays for",
        "the planned 4 releases in 4 years",
        "group the 249 values of citizenship into 125",
        "twice the epsilon, 4",
        "four such organisations together",
    ):
        assert said in result.output


def test_the_document_for_programs_holds_the_numbers_of_the_screen_and_is_documented() -> None:
    result = plan(*ASKED, "--cap-epsilon", "8", "--json")
    found = json.loads(result.output)
    assert found["format"] == "casehaven-feasibility/1"
    screen = plan(*ASKED, "--cap-epsilon", "8").output
    (at_100,) = (e["error"] for e in found["lengths"][1]["errors"] if e["count"] == 100)
    row = next(line for line in screen.splitlines() if re.match(r" +100 ", line))
    assert row.split()[2] == f"{at_100:.0f}"
    spec = (ROOT / "docs" / "spec" / "feasibility.md").read_text(encoding="utf-8")
    for part in (found, found["lengths"][0], found["lengths"][0]["errors"][0], found["years"], found["suggestions"][0]):
        for name in part:
            assert f"`{name}`" in spec, name


def test_a_page_is_written_once_and_loads_nothing(tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    assert plan(*ASKED, "--cap-epsilon", "8", "--out", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 2
    assert "What the cap pays for" in text
    assert not re.search(r"<script|https?://|src=", text)
    refused = plan(*ASKED, "--out", page)
    assert refused.exit_code == 1
    assert "is there already" in refused.output
    assert page.read_text(encoding="utf-8") == text
    assert plan(*ASKED, "--out", page, "--replace").exit_code == 0
    assert "What the cap pays for" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--people", "30000"), 2, "must be from 1 to the people cap of 25000, got 30000"),
        (("--people", "0"), 2, "must be from 1 to the people cap"),
        (("--epsilon", "0"), 1, "epsilon must be a number from 0.001 to 100"),
        (("--epsilon", "nan"), 1, "epsilon must be a number"),
        (("--tokens", "0"), 1, "max_tokens_per_person must be from 1"),
        (("--people-cap", "0", "--people", "1"), 2, "people cap of 0"),
        (("--cap-epsilon", "8", "--years", "0"), 1, "at least 1 year"),
        (("--cap-epsilon", "1000"), 1, "epsilon must be a number from 0.001 to 100"),
        (("--schema", "no-such-schema"), 1, "no-such-schema"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_what_to_do(arguments: tuple[str, ...], code: int, said: str) -> None:
    result = plan(*ASKED, *arguments)
    assert result.exit_code == code
    assert said in result.output
    assert "try: " in result.output
    assert len(result.output.strip().splitlines()) == 2


WATCHED = """
import os, sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event in ("open", "sqlite3.connect", "os.listdir", "os.scandir") else None)
from casehaven.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
here = os.getcwd()
print("OPENED", [os.path.relpath(os.path.abspath(name), here) for name in opened if os.path.abspath(name).startswith(here)], file=sys.stderr)
print("MODULES", [m for m in sys.modules if m.startswith(("casehaven.vault", "casehaven.ledger", "casehaven.intake", "casesynth.evaluation"))], file=sys.stderr)
"""


def test_no_record_vault_or_ledger_is_opened_although_they_lie_there(tmp_path: Path) -> None:
    for name in ("cases.csv", "casehaven-ledger.sqlite", "casehaven-vault.anchor"):
        (tmp_path / name).write_text("token,gender\np1,woman\n", encoding="utf-8")
    (tmp_path / "casehaven-vault").mkdir()
    written = (ROOT / "tests" / "schemas" / "written" / "complaints.json").read_text(encoding="utf-8")
    (tmp_path / "schema.json").write_text(written, encoding="utf-8")
    asked = (*ASKED, "--schema", "schema.json", "--cap-epsilon", "8", "--out", "plan.html")
    command = [sys.executable, "-c", WATCHED, "plan", *asked]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    opened = done.stderr.split("OPENED ")[1].splitlines()[0]
    assert "schema.json" in opened  # the watch works: what is read is seen
    assert (tmp_path / "plan.html").exists()
    for name in ("cases.csv", "ledger", "vault", "anchor"):
        assert name not in opened
    assert "MODULES []" in done.stderr
