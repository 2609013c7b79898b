"""`casehaven tables`: exact numbers of consenting people, for their own organisation, logged and marked."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from casehaven.core.audit import entries
from casehaven.statistics import MARK
from casehaven.vault.errors import PurposeRefusedError
from casehaven.vault.snapshots import snapshot

if TYPE_CHECKING:
    from tests.conftest import Record, SafeHouse

WHY = ("--reason", "report to the donor")
ROLES = {
    "format": "casehaven-indicator-roles/1",
    "schema": "house",
    "sex": {"attribute": "gender"},
    "age": {
        "attribute": "age",
        "groups": [{"label": "Child", "codes": ["0-17"]}, {"label": "Adult", "codes": ["18-29", "30+"]}],
    },
    "form": {"attributes": ["means"]},
    "year": {"attribute": "year"},
    "notes": ["The schema records gender, not sex."],
}

PEOPLE: list[Record] = [
    *(
        {"token": f"W{n}", "year": "2022", "gender": "woman", "age": "15", "means": "debt", "mayCount": "yes"}
        for n in range(7)
    ),
    *({"token": f"M{n}", "year": "2023", "gender": "man", "age": "40", "mayCount": "yes"} for n in range(4)),
    *({"token": f"X{n}", "year": "2022", "gender": "woman", "means": "hours", "mayCount": "no"} for n in range(9)),
    *({"token": f"Y{n}", "year": "2022", "gender": "woman", "means": "hours", "mayRelease": "yes"} for n in range(13)),
]
"""Seven and four consented to own statistics; nine refused, and thirteen agreed to something else."""


@pytest.fixture
def home(house: SafeHouse) -> SafeHouse:
    house.take_in([*PEOPLE, {**PEOPLE[0], "means": "threats"}])
    (house.folder / "roles.json").write_text(json.dumps(ROLES), encoding="utf-8")
    return house


def row(text: str, label: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(label)]
    return re.split(r"\s{2,}", line)


def test_only_people_who_consented_are_counted_each_once(home: SafeHouse) -> None:
    shown = home.run("tables", *WHY)
    assert shown.exit_code == 0, shown.output
    assert ": 11 people with consent for own statistics" in shown.stdout
    assert row(shown.stdout, "Threats") == ["Threats", "1", "14.3 %"]
    assert row(shown.stdout, "Debt") == ["Debt", "7", "100.0 %"]
    assert row(shown.stdout, "Woman") == ["Woman", "7", "63.6 %"]
    assert "Excessive hours" not in shown.stdout  # nobody who consented has it


def test_the_first_and_the_last_line_on_the_screen_say_not_for_release(home: SafeHouse) -> None:
    lines = home.run("tables", *WHY).stdout.splitlines()
    assert lines[0].startswith(MARK)
    assert lines[-1].startswith(MARK)


def test_roles_cross_sex_age_and_form(home: SafeHouse) -> None:
    shown = home.run("tables", *WHY, "--roles", home.folder / "roles.json").stdout
    assert row(shown, "Debt                  Child") == ["Debt", "Child", "7", "7", "0", "0"]
    assert "name a file with --roles" in home.run("tables", *WHY).stderr


def test_a_withdrawal_an_erasure_and_a_correction_are_in_the_next_tables(home: SafeHouse, tmp_path: Path) -> None:
    why = ("--reason", "what was said")
    assert home.run("person", "consent", "W1", "--purpose", "own_statistics", "--refused", *why).exit_code == 0
    assert home.run("person", "erase", "W2", "--yes", "--receipt", tmp_path / "r.json", *why).exit_code == 0
    assert home.run("person", "correct", "W3", "--set", "gender=man", *why).exit_code == 0
    shown = home.run("tables", *WHY).stdout
    assert ": 9 people" in shown
    assert row(shown, "Woman")[1] == "4"
    assert row(shown, "Man")[1] == "5"


def test_years_of_registration_can_be_chosen(home: SafeHouse) -> None:
    shown = home.run("tables", *WHY, "--year", "2023").stdout
    assert "registered in 2023: 4 people" in shown
    both = home.run("tables", *WHY, "--year", "2023", "--year", "2022").stdout
    assert "registered in 2022, 2023: 11 people" in both
    unknown = home.run("tables", *WHY, "--year", "1066")
    assert unknown.exit_code == 1
    assert "knows the years 2019 to 2023, not 1066" in unknown.stderr


def test_where_nobody_consented_the_refusal_says_what_to_do(house: SafeHouse) -> None:
    house.take_in([{"token": "A", "gender": "woman", "mayRelease": "yes"}])
    result = house.run("tables", *WHY)
    assert result.exit_code == 1
    assert "no people with consent for own statistics on record" in result.stderr
    assert "`casehaven person consent`" in result.stderr


@pytest.mark.parametrize("name", ["report.xlsx", "report.html"])
def test_a_file_is_marked_readable_by_its_owner_alone_and_replaces_nothing(
    home: SafeHouse, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    result = home.run("tables", *WHY, "-o", out)
    assert result.exit_code == 0, result.output
    assert MARK in result.stderr
    assert "63.6" not in result.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    first = out.read_bytes()
    assert home.run("tables", *WHY, "-o", out).exit_code == 1
    assert out.read_bytes() == first
    assert home.run("tables", *WHY, "-o", out, "--replace").exit_code == 0
    assert home.run("tables", *WHY, "-o", tmp_path / "report.csv").exit_code == 1


def test_the_page_holds_the_same_numbers_says_so_everywhere_and_loads_nothing(home: SafeHouse, tmp_path: Path) -> None:
    home.run("tables", *WHY, "-o", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count(MARK) >= 4
    captions = re.findall(r"<caption>(.*?)</caption>", page)
    assert captions
    assert all(caption.endswith(f"({MARK.lower()})") for caption in captions)
    assert "63.6 %" in page
    assert not re.search(r"<script|<link|<img|https?:", page)


def test_what_the_roles_say_of_the_schema_is_in_the_notes(home: SafeHouse, tmp_path: Path) -> None:
    for name in ("report.html", "report.xlsx"):
        home.run("tables", *WHY, "--roles", home.folder / "roles.json", "-o", tmp_path / name)
    assert "The schema records gender, not sex." in (tmp_path / "report.html").read_text(encoding="utf-8")
    notes = openpyxl.load_workbook(tmp_path / "report.xlsx")["Notes"].iter_rows(values_only=True)
    assert ("About the schema", "The schema records gender, not sex.") in {line[:2] for line in notes}


def test_the_workbook_holds_the_numbers(home: SafeHouse, tmp_path: Path) -> None:
    home.run("tables", *WHY, "-o", tmp_path / "report.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "report.xlsx")["Gender"]
    found = {line[0]: line[1:3] for line in sheet.iter_rows(min_row=5, values_only=True)}
    assert found["Woman"][0] == 7
    assert found["Woman"][1] == pytest.approx(7 / 11)
    assert found["People with an answer"][0] == 11


def test_making_tables_is_in_the_log_without_a_number(home: SafeHouse) -> None:
    home.run("tables", "--reason", "report to the donor")
    vault = home.open()
    with vault.database.transaction(writes=False) as connection:
        (entry,) = [one for one in entries(connection) if one.action == "statistics.tables"]
    assert (entry.object_kind, entry.object_id) == ("dataset", "north/cases")
    assert vault.audit.reason(entry) == "report to the donor"


@pytest.mark.parametrize("given", ["", "\n", "x\n"])
def test_without_a_reason_nothing_is_counted(home: SafeHouse, given: str) -> None:
    result = home.run("tables", given=given)
    assert result.exit_code == 1
    assert "Woman" not in result.output
    with home.open().database.transaction(writes=False) as connection:
        assert not [one for one in entries(connection) if one.action == "statistics.tables"]


def test_no_other_purpose_and_no_second_organisation_opens_without_a_charge(home: SafeHouse) -> None:
    home.add_dataset("cases", organisation="south")
    vault = home.open()
    north, south = vault.dataset("north", "cases"), vault.dataset("south", "cases")
    assert snapshot(vault, [north], "own_statistics").open_own().people == 11
    for datasets, purpose in (
        ([north], "synthetic_release"),
        ([north], "pooled_statistics"),
        ([north, south], "own_statistics"),
    ):
        with pytest.raises(PurposeRefusedError):
            snapshot(vault, datasets, purpose).open_own()  # type: ignore[arg-type]  # a Purpose, one by one
