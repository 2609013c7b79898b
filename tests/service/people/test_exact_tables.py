"""Exact tables: every number is a head count that a plain loop gives too, every sheet and page says that it is not for release, and no cell is a formula."""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from casehaven.releases.indicators import Roles, parse_roles
from casehaven.statistics.counted import CountedPeople
from casehaven.statistics.exact import ExactTable, Percent, exact_tables
from casehaven.statistics.marking import MARK, ReportFacts
from casehaven.statistics.screen import screen
from casehaven.statistics.workbook import HEAD_ROW, workbook
from caseschemas import CaseSchema, parse_schema
from casesynth.canonical import canonical_json
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.persons import PersonTableBuilder

FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", '=HYPERLINK("http://x.example")', "\uff1d1+1", "=cmd|' /C calc'!A0")
"""Labels that a spreadsheet could take for a formula."""

BLANK = {"code": "", "means": "unknown", "labels": {"en": "Not known"}}
NO = {"code": "no", "means": "no", "labels": {"en": "No"}}


def _attribute(name: str, label: str, kind: str, codes: Sequence[str], **more: Any) -> dict[str, Any]:
    values = [{"code": code, "labels": {"en": f"{label} {code}"}} for code in codes]
    return {
        "name": name,
        "kind": kind,
        "role": "analysis",
        "labels": {"en": label},
        "values": values,
        "missing": ["blank"],
        "merge": "agree",
        **more,
    }


DOCUMENT: dict[str, Any] = {
    "format": "casehaven-schema/1",
    "id": "house",
    "version": "1.0.0",
    "title": {"en": "House"},
    "languages": [{"code": "en", "reviewed": True}],
    "missing": {"blank": BLANK, "no": NO},
    "personKey": "token",
    "attributes": [
        {"name": "token", "kind": "identifier", "role": "person", "labels": {"en": "Token"}},
        _attribute("gender", "Gender", "category", ["woman", "man"]),
        _attribute("age", "Age", "category", ["0-17", "18+"]),
        _attribute("labour", FORMULAS[0], "flag", ["1"], merge="max", missing=["blank", "no"]),
        _attribute("sexual", FORMULAS[4], "flag", ["1"], merge="max", missing=["blank", "no"]),
        _attribute("means", "Means", "multi", ["threats", "debt", "hours"], merge="union", separators=[";"]),
        _attribute("citizenship", FORMULAS[3], "category", [f"c{place:02d}" for place in range(30)]),
    ],
    "groups": [
        {"name": "any", "labels": {"en": FORMULAS[1]}, "members": ["labour", "sexual"], "answered": "any"},
        {"name": "all", "labels": {"en": FORMULAS[5]}, "members": ["labour", "sexual"], "answered": "all"},
        {"name": "means", "labels": {"en": "Means of control"}, "members": ["means"], "answered": "any"},
    ],
}

ROLES: dict[str, Any] = {
    "format": "casehaven-indicator-roles/1",
    "schema": "house",
    "sex": {"attribute": "gender", "title": FORMULAS[2]},
    "age": {
        "attribute": "age",
        "groups": [{"label": "Child", "codes": ["0-17"]}, {"label": "Adult", "codes": ["18+"]}],
    },
    "form": {"attributes": ["labour", "sexual"]},
    "citizenship": {"attribute": "citizenship", "title": FORMULAS[6]},
    "notes": [],
}

Person = dict[str, str]
FACTS = ReportFacts(
    organisation="north", dataset="cases", schema="house 1.0.0", made_on="2026-11-22", years="all years", people=0
)


def made_up(count: int, seed: int) -> list[Person]:
    pick = random.Random(seed).choice
    return [
        {
            "token": f"p{place}",
            "gender": pick(["woman", "woman", "man", ""]),
            "age": pick(["0-17", "18+", ""]),
            "labour": pick(["1", "no", "", ""]),
            "sexual": pick(["1", "no", "", ""]),
            "means": pick(["threats", "threats;debt", "debt;hours", "", ""]),
            "citizenship": pick([f"c{place:02d}" for place in range(9)] + [""]),
        }
        for place in range(count)
    ]


@pytest.fixture(scope="module")
def house_schema() -> CaseSchema:
    return parse_schema(DOCUMENT)


@pytest.fixture(scope="module")
def roles(house_schema: CaseSchema) -> Roles:
    return parse_roles(canonical_json(ROLES), house_schema, name="roles.json")


def counted(house_schema: CaseSchema, people: Sequence[Person]) -> CountedPeople:
    domain = Domain.from_schema(house_schema)
    builder = PersonTableBuilder(domain)
    builder.add(encode(pd.DataFrame(people, columns=list(DOCUMENT_COLUMNS)), domain, person="token"))
    return CountedPeople(table=builder.build(people_cap=100_000), domain=domain)


DOCUMENT_COLUMNS = tuple(attribute["name"] for attribute in DOCUMENT["attributes"])


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return made_up(400, 7)


@pytest.fixture(scope="module")
def tables(house_schema: CaseSchema, roles: Roles, people: list[Person]) -> tuple[ExactTable, ...]:
    return exact_tables(counted(house_schema, people), house_schema, roles)


def by_name(tables: Sequence[ExactTable], name: str) -> ExactTable:
    return next(table for table in tables if table.name == name)


Test = Callable[[Person], bool]
GENDER: list[Test] = [
    lambda p: True,
    lambda p: p["gender"] == "woman",
    lambda p: p["gender"] == "man",
    lambda p: p["gender"] == "",
]
AGE: list[Test] = [lambda p: True, lambda p: p["age"] == "0-17", lambda p: p["age"] == "18+", lambda p: p["age"] == ""]
FORM: list[Test] = [
    lambda p: True,
    lambda p: p["labour"] == "1",
    lambda p: p["sexual"] == "1",
    lambda p: p["labour"] != "1" and p["sexual"] != "1",
]


def test_every_cell_of_a_cross_is_the_head_count_of_a_plain_loop(
    tables: tuple[ExactTable, ...], people: list[Person]
) -> None:
    table = by_name(tables, "Form, age, sex")
    expected = [
        tuple(sum(form(p) and age(p) and gender(p) for p in people) for gender in GENDER)
        for form in FORM
        for age in AGE
    ]
    assert [row.cells for row in table.rows] == expected
    assert sum(map(sum, expected)) > 400


GROUP_ANSWERS: dict[str, Test] = {
    FORMULAS[1]: lambda p: p["labour"] != "" or p["sexual"] != "",
    FORMULAS[5]: lambda p: p["labour"] != "" and p["sexual"] != "",
}


@pytest.mark.parametrize("name", GROUP_ANSWERS)
def test_percentages_of_a_group_are_of_those_who_answered_as_the_group_says(
    tables: tuple[ExactTable, ...], people: list[Person], name: str
) -> None:
    table = by_name(tables, name)
    answered = GROUP_ANSWERS[name]
    holds: list[Test] = [
        lambda p: p["labour"] == "no",
        lambda p: p["labour"] == "1",
        lambda p: p["sexual"] == "no",
        lambda p: p["sexual"] == "1",
    ]
    for row, held in zip(table.rows, holds, strict=False):
        for place, gender in enumerate(GENDER):
            base = sum(answered(p) and gender(p) for p in people)
            part = sum(held(p) and answered(p) and gender(p) for p in people)
            assert row.cells[2 * place : 2 * place + 2] == (part, Percent(part=part, base=base))
    assert [row.cells[0] for row in table.rows[-2:]] == [
        sum(map(answered, people)),
        sum(not answered(p) for p in people),
    ]


def test_values_of_a_multi_value_attribute_are_shares_of_the_people_who_named_any(
    tables: tuple[ExactTable, ...], people: list[Person]
) -> None:
    table = by_name(tables, "Means of control")
    base = sum(p["means"] != "" for p in people)
    for row, code in zip(table.rows, ("threats", "debt", "hours"), strict=False):
        part = sum(code in p["means"].split(";") for p in people)
        assert row.cells[:2] == (part, Percent(part=part, base=base))


def test_several_records_of_one_person_are_one_person(
    house_schema: CaseSchema, roles: Roles, people: list[Person]
) -> None:
    once = exact_tables(counted(house_schema, people), house_schema, roles)
    thrice = exact_tables(counted(house_schema, [*people, *people, *people[::-1]]), house_schema, roles)
    assert once == thrice


def test_a_long_list_shows_only_values_that_somebody_has_and_says_how_many_are_left_out(
    tables: tuple[ExactTable, ...],
) -> None:
    table = by_name(tables, FORMULAS[3])
    assert len(table.rows) == 9 + 2
    assert "21 values that nobody has are left out" in table.base


def test_where_nobody_answered_there_is_a_dash_and_no_division(house_schema: CaseSchema, roles: Roles) -> None:
    silent = [{name: "" for name in DOCUMENT_COLUMNS} | {"token": "p0"}]
    tables = exact_tables(counted(house_schema, silent), house_schema, roles)
    table = by_name(tables, "Means of control")
    assert table.rows[0].cells[:2] == (0, Percent(part=0, base=0))
    book = openpyxl.load_workbook(io.BytesIO(workbook(FACTS, tables)))
    assert book["Means of control"].cell(HEAD_ROW + 2, 3).value == "–"
    assert any(" -" in line for line in screen(FACTS, tables))


def test_a_schema_without_roles_has_percentages_and_no_crosses(house_schema: CaseSchema, people: list[Person]) -> None:
    tables = exact_tables(counted(house_schema, people), house_schema, None)
    assert [table.name for table in tables] == [
        FORMULAS[1],
        FORMULAS[5],
        "Means of control",
        "Gender",
        "Age",
        FORMULAS[3],
    ]
    assert all(table.number_heads == ("People", "%") for table in tables)


# --- marked on every sheet, page and screen ---


@pytest.fixture(scope="module")
def book_bytes(tables: tuple[ExactTable, ...]) -> bytes:
    return workbook(FACTS, tables)


def test_every_sheet_and_every_printed_page_says_that_it_is_not_for_release(
    book_bytes: bytes, tables: tuple[ExactTable, ...]
) -> None:
    book = openpyxl.load_workbook(io.BytesIO(book_bytes))
    assert len(book.worksheets) == len(tables) + 1
    for sheet in book.worksheets:
        assert str(sheet.cell(1, 1).value).startswith(MARK), sheet.title
        for edge in (sheet.oddHeader, sheet.oddFooter):
            assert edge is not None and MARK in str(edge.center.text), sheet.title
        assert str(sheet.print_title_rows).startswith("$1:"), sheet.title
    assert MARK in str(book.properties.title)


def test_the_screen_says_it_first_last_and_beside_every_table(tables: tuple[ExactTable, ...]) -> None:
    lines = list(screen(FACTS, tables))
    assert lines[0].startswith(MARK)
    assert lines[-1].startswith(MARK)
    assert sum(line.endswith(f"({MARK.lower()})") for line in lines) == len(tables)


def test_the_workbook_holds_the_numbers_of_the_tables(book_bytes: bytes, tables: tuple[ExactTable, ...]) -> None:
    book = openpyxl.load_workbook(io.BytesIO(book_bytes))
    for table, sheet in zip(tables, book.worksheets[1:], strict=True):
        first = HEAD_ROW + 2  # one-based, after the heads
        for number, row in enumerate(table.rows, start=first):
            cells = [cell.value for cell in sheet[number]][len(row.labels) :]
            for cell, found in zip(row.cells, cells, strict=True):
                if isinstance(cell, Percent):
                    assert found == (pytest.approx(cell.ratio) if cell.base else "–")
                else:
                    assert found == cell


# --- threat 20: nothing becomes a formula ---


def test_no_cell_of_the_workbook_is_a_formula_or_a_link(book_bytes: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(book_bytes)) as archive:
        for name in archive.namelist():
            text = archive.read(name).decode("utf-8")
            assert "<f>" not in text and "<f " not in text, name
            assert "<hyperlink " not in text and "/hyperlink" not in text, name
    book = openpyxl.load_workbook(io.BytesIO(book_bytes))
    texts = [
        cell.value
        for sheet in book.worksheets
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, str)
    ]
    assert {formula for formula in FORMULAS if f"'{formula}" in " ".join(texts)} == set(FORMULAS)
    assert not [text for text in texts if text.startswith(tuple("=+-@\t\r＝＋－＠"))]


def test_libreoffice_opens_the_workbook_and_finds_no_formula(book_bytes: bytes, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is absent")
    (tmp_path / "tables.xlsx").write_bytes(book_bytes)
    profile = f"-env:UserInstallation=file://{tmp_path / 'profile'}"
    for kind in ("fods", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"):
        subprocess.run(
            [
                office,
                profile,
                "--headless",
                "--convert-to",
                kind,
                "--outdir",
                str(tmp_path),
                str(tmp_path / "tables.xlsx"),
            ],
            check=True,
            capture_output=True,
            timeout=120,
            env={**os.environ, "HOME": str(tmp_path)},
        )
    opened = (tmp_path / "tables.fods").read_text(encoding="utf-8")
    assert "table:formula=" not in opened
    assert opened.count("<table:table ") == len(openpyxl.load_workbook(io.BytesIO(book_bytes)).sheetnames)
    assert re.search(r'office:value-type="float"', opened)
    saved = list(tmp_path.glob("tables-*.csv"))
    assert saved
    for path in saved:  # what a partner saves as CSV and opens again is text too
        for cell in re.findall(r'(?:^|,)"([^"]+)', path.read_text(encoding="utf-8"), re.MULTILINE):
            assert not cell.startswith(tuple("=+-@\t\r")), path.name
