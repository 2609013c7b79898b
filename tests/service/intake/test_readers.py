"""What tools and people make of a table, and what is read of it: one test for each quirk."""

from __future__ import annotations

import csv
import datetime
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pyzipper  # type: ignore[import-untyped]  # it ships no types

from casehaven.intake.errors import CaseFileError, EncodingError, FileKindError, HeaderError, RaggedRowError
from casehaven.intake.headers import schema_names
from casehaven.intake.readers import open_form, open_source
from casehaven.intake.readers.errors import (
    CellError,
    EncryptedRecordsError,
    FormNotRecordsError,
    PasswordError,
    SheetError,
    TooLargeError,
)
from casehaven.intake.sandbox.columns import NONE_CHOSEN
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.source import SourceTable, Tool
from caseschemas import load_schema

Rows = Sequence[Sequence[object]]


def records(source: SourceTable) -> list[dict[str, str]]:
    """Return all records by name of column."""
    names = [column.name for column in source.columns]
    return [record for batch in source.batches(names) for record in batch.cells.to_pylist()]


def numbers(source: SourceTable) -> list[int]:
    """Return the number of each record's row."""
    return [int(row) for batch in source.batches([source.columns[0].name]) for row in batch.rows]


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    """Write a text file, line ends as they are."""
    path.write_bytes(content.encode(encoding))
    return path


def table(path: Path, rows: Rows, **options: str) -> Path:
    """Write a CSV file."""
    out = io.StringIO()
    csv.writer(out, **options).writerows(rows)  # type: ignore[arg-type]  # names of the csv module
    return text(path, out.getvalue())


def book(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """Write a workbook."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    workbook.save(path)
    return path


def archive(path: Path, entries: Mapping[str, bytes]) -> Path:
    """Write a ZIP."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return path


# --- text files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mark", "name"), [(",", ""), (";", "semicolon"), ("\t", "tab"), ("|", "pipe")])
def test_the_separator_is_told_and_said(tmp_path: Path, mark: str, name: str) -> None:
    source = open_source(
        table(tmp_path / "a.csv", [["name", "city, country", "age"], ["A; B", "X, Y", "3,5"]], delimiter=mark)
    )
    assert records(source) == [{"name": "A; B", "city, country": "X, Y", "age": "3,5"}]
    assert source.tool is Tool.CSV
    assert source.notes == ((f"separated by {name}",) if name else ())


def test_a_first_line_may_state_the_separator(tmp_path: Path) -> None:
    assert records(open_source(text(tmp_path / "a.csv", "sep=|\na,b|c\n1|2\n"))) == [{"a,b": "1", "c": "2"}]


def test_the_separator_may_be_declared(tmp_path: Path) -> None:
    path = text(tmp_path / "a.csv", "a;b,c;d\n1;2,3;4\n")
    assert records(open_source(path, separator=",")) == [{"a;b": "1;2", "c;d": "3;4"}]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("utf-32", "UTF-32"),
        ("cp1252", "Windows-1252"),
        ("iso-8859-1", "Windows-1252"),
    ],
)
def test_the_encoding_is_told_and_said(tmp_path: Path, encoding: str, said: str) -> None:
    source = open_source(text(tmp_path / "a.csv", "prénom,âge\nZoé Übel,31\n" * 1 + "François,28\n", encoding))
    assert [record["prénom"] for record in records(source)] == ["Zoé Übel", "François"]
    assert any(said in note for note in source.notes) if said else not source.notes


@pytest.mark.parametrize(
    ("encoding", "words"), [("cp1256", "الاسم,العمر\nمريم,٣١\n"), ("cp1251", "имя,возраст\nОльга,31\n")]
)
def test_other_alphabets_are_refused_until_they_are_declared(tmp_path: Path, encoding: str, words: str) -> None:
    words = words.replace("٣١", "31")
    path = text(tmp_path / "a.csv", words, encoding)
    with pytest.raises(EncodingError, match=r"--encoding \(cp1251 for Cyrillic"):
        open_source(path)
    source = open_source(path, encoding=encoding)
    assert records(source)[0][words.split(",", maxsplit=1)[0]] == words.split("\n")[1].split(",", maxsplit=1)[0]
    assert source.notes == (f"read as {encoding}, as declared",)


def test_central_european_bytes_are_not_taken_for_western_ones(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="cp1250 for Central European"):
        open_source(text(tmp_path / "a.csv", "imię,wiek\nWałęsa,31\n", "cp1250"))


def test_an_encoding_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="not known here"):
        open_source(text(tmp_path / "a.csv", "a,b\n1,2\n"), encoding="zlib")


def test_line_ends_may_be_mixed_and_stand_in_quotes(tmp_path: Path) -> None:
    source = open_source(text(tmp_path / "a.csv", 'a,b\r\n1,"x\r\ny"\r2,z\n\n3,w\n'))
    assert [record["b"] for record in records(source)] == ["x y", "z", "w"]
    assert numbers(source) == [
        2,
        3,
        5,
    ]  # as a spreadsheet shows them: a blank line counts, a line end in quotes does not
    assert "line ends are mixed; each of them ends a row" in source.notes


def test_characters_that_cannot_be_seen_are_taken_out(tmp_path: Path) -> None:
    source = open_source(
        text(tmp_path / "a.csv", "na\u200bme,\u202eage\ufeff\n\u2066Ma\x00ria\u2069,\u00a031\u00ad \n")
    )
    assert records(source) == [{"name": "Maria", "age": "31"}]
    assert "control, direction and zero-width characters were taken out" in source.notes


def test_a_name_that_is_there_twice_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(HeaderError, match="twice: age; give each"):
        open_source(text(tmp_path / "a.csv", "age,name,age\n1,A,2\n"))


def test_a_row_of_another_length_is_refused_with_its_number(tmp_path: Path) -> None:
    short = open_source(text(tmp_path / "a.csv", "a,b,c\n1,2,3\n" + "1,2,3\n" * 5_000 + "1,2\n"))
    with pytest.raises(RaggedRowError, match=r"a.csv: row 5003 has 2 cells, the header has 3"):
        records(short)
    longer = text(tmp_path / "b.csv", "a,b\n1,2,,\n")
    assert records(open_source(longer)) == [{"a": "1", "b": "2"}]


def test_text_after_a_closing_quote_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(RaggedRowError, match="row 2: a quote is left open, or text follows"):
        open_source(text(tmp_path / "a.csv", 'a,b\n"x"y,2\n'))


def test_blank_columns_and_blank_rows_are_dropped(tmp_path: Path) -> None:
    source = open_source(
        table(tmp_path / "a.csv", [["a", "", "b", ""], ["1", "", "2", ""], ["", " ", "", ""], ["3", "", "4", ""]])
    )
    assert records(source) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert source.notes == ("blank columns were dropped",)


def test_a_column_without_a_name_but_with_text_keeps_its_letter(tmp_path: Path) -> None:
    source = open_source(table(tmp_path / "a.csv", [["a", "", "b"], ["1", "x", "2"]]))
    assert [column.name for column in source.columns] == ["a", "column B", "b"]
    assert source.notes == ("column B has no header",)


def test_a_file_without_records_has_none(tmp_path: Path) -> None:
    assert records(open_source(text(tmp_path / "a.csv", "a,b\n"))) == []


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="there is no such file"):
        open_source(tmp_path / "a.csv")


# --- Excel by hand ----------------------------------------------------------------------------------------------------------


def test_a_thousand_numbered_rows_are_no_records(tmp_path: Path) -> None:
    numbered: list[Sequence[object]] = [[n, None, None] for n in range(3, 1_003)]
    rows: Rows = [["No", "name", "age"], [1, "A", 31], [2, "B", 28], *numbered]
    source = open_source(book(tmp_path / "a.xlsx", {"Cases": rows}))
    assert [record["name"] for record in records(source)] == ["A", "B"]
    assert "column No only counts rows; rows without anything else are no records" in source.notes


def test_a_title_and_merged_headings_are_understood(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        {
            "Cases": [
                ["Register of the shelter"],
                [],
                ["Victim", None, "Trafficker", None, "Date"],
                ["Age", "Sex", "Age", "Sex"],
                [31, "F", 40, "M", "2019"],
            ]
        },
    )
    workbook = openpyxl.load_workbook(path)
    for area in ("A1:E1", "A3:B3", "C3:D3"):
        workbook.worksheets[0].merge_cells(area)
    workbook.save(path)
    source = open_source(path)
    assert records(source) == [
        {"Victim/Age": "31", "Victim/Sex": "F", "Trafficker/Age": "40", "Trafficker/Sex": "M", "Date": "2019"}
    ]
    assert source.columns[0].labels == ("Age",)
    assert numbers(source) == [5]


def test_dates_are_dates_and_say_no_more_than_their_cell_shows(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"Cases": [["day", "month", "year", "moment", "number"], []]})
    workbook = openpyxl.load_workbook(path)
    sheet = workbook.worksheets[0]
    formats = ("DD/MM/YYYY", "mmm-yy", "yyyy", "dd.mm.yyyy hh:mm", "0.00")
    for place, number_format in enumerate(formats, start=1):
        cell = sheet.cell(2, place, 43_556 if place == 5 else datetime.datetime(2019, 4, 1, 10 if place == 4 else 0))
        cell.number_format = number_format
    workbook.save(path)
    assert records(open_source(path)) == [
        {"day": "2019-04-01", "month": "2019-04", "year": "2019", "moment": "2019-04-01T10:00:00", "number": "43556"}
    ]


def test_a_formula_without_a_stored_result_is_refused_with_its_place(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"Cases": [["name", "age"], ["A", "=1+1"]]})
    with pytest.raises(
        CellError, match=r"row 2, column B of sheet 'Cases' has a formula without a stored result; open the file"
    ):
        open_source(path)


def test_another_sheet_can_be_named(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        {"Read me": [["How to use"]], "Cases": [["a", "b", "c"], [1, 2, 3]], "Lists": [["x", "y", "z"], [7, 8, 9]]},
    )
    source = open_source(path)
    assert records(source) == [{"a": "1", "b": "2", "c": "3"}]
    assert source.notes == ("read from sheet Cases; not read: Read me, Lists; another one can be named with --sheet",)
    assert records(open_source(path, sheet="lists")) == [{"x": "7", "y": "8", "z": "9"}]
    with pytest.raises(SheetError, match="the workbook has: Read me, Cases, Lists"):
        open_source(path, sheet="Nothing")


def test_hidden_rows_and_columns_are_read(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", {"Cases": [["a", "b"], [1, 2], [3, 4]]})
    workbook = openpyxl.load_workbook(path)
    workbook.worksheets[0].row_dimensions[2].hidden = True
    workbook.worksheets[0].column_dimensions["B"].hidden = True
    workbook.save(path)
    assert records(open_source(path)) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


# --- Kobo -------------------------------------------------------------------------------------------------------------------

_KOBO = ["_id", "_uuid", "_submission_time", "_validation_status", "_tags", "__version__"]
_KOBO_CELLS = ["1", "u-1", "2024-01-01T10:00:00", "", "", "v1"]


def _kobo(
    path: Path, names: Sequence[str], *rows: Sequence[str], tags: bool = False, apart: Sequence[str] = ()
) -> SourceTable:
    lines = [[*names, *_KOBO], *([["#age", "#sex"]] if tags else []), *([*row, *_KOBO_CELLS] for row in rows)]
    if tags:
        lines[1] += [""] * (len(lines[0]) - 2)
    return open_source(table(path, lines, delimiter=";"), apart=apart)


def test_kobo_is_told_by_its_marks_which_are_its_own(tmp_path: Path) -> None:
    source = _kobo(tmp_path / "a.csv", ["case/age", "case/sex"], ["31", "f"], tags=True)
    assert (source.tool, source.record_key) == (Tool.KOBO, "_id")
    assert {column.name for column in source.columns if column.role == "tool"} == set(_KOBO)
    assert source.column("case/age").labels == ("age",)
    assert [record["case/age"] for record in records(source)] == ["31"]
    assert "row 2 holds HXL tags and was dropped" in source.notes


@pytest.mark.parametrize(
    ("names", "rows", "key"),
    [
        (["_id", "_uuid", "meta/rootUuid"], [["1", "u-3", "uuid:u-1"], ["2", "u-2", "u-2"]], "meta/rootUuid"),
        (["_id", "_uuid", "meta/rootUuid"], [["1", "u-3", "uuid:u-1"], ["2", "u-2", ""]], "_id"),
        (["_id", "_uuid"], [["1", "u-3"], ["2", "u-2"]], "_id"),
        (["_submission_time", "_uuid"], [["2024-01-01", "u-3"], ["2024-01-02", "u-2"]], "_uuid"),
    ],
)
def test_kobo_records_are_known_by_what_an_edit_does_not_change(
    tmp_path: Path, names: Sequence[str], rows: Sequence[Sequence[str]], key: str
) -> None:
    source = open_source(table(tmp_path / "a.csv", [["age", *names], *(["31", *row] for row in rows)]))
    assert (source.tool, source.record_key) == (Tool.KOBO, key)
    assert any("gives another one with every edit" in note for note in source.notes) == (key == "_uuid")
    assert all(column.role == "tool" for column in source.columns if column.name != "age")
    if key == "meta/rootUuid":
        assert [record[key] for record in records(source)] == ["u-1", "u-2"]


def test_odk_central_records_are_known_by_their_first_instance(tmp_path: Path) -> None:
    names = ["SubmissionDate", "age", "meta-instanceID", "KEY"]
    source = open_source(table(tmp_path / "a.csv", [names, ["2024-01-01", "31", "uuid:b", "uuid:a"]]))
    assert (source.tool, source.record_key) == (Tool.ODK_CENTRAL, "KEY")


def test_kobo_codes_with_columns_of_0_and_1_beside_them_are_one_column(tmp_path: Path) -> None:
    names = ["means", "means/debt", "means/threats", "means/other"]
    rows = [["threats debt", "1", "1", "0"], ["", "", "", ""], ["", "0", "1", "0"], ["debt old_code", "1", "0", "0"]]
    source = _kobo(tmp_path / "a.csv", names, *rows)
    column = source.column("means")
    assert column.multiple
    assert dict(column.options) == {"debt": "debt", "threats": "threats", "other": "other"}
    # the order chosen; nothing; the flags alone; a code that an older version of the form had is not one of these columns
    assert [record["means"] for record in records(source)] == ["threats;debt", "", "threats", "debt"]
    assert [column.name for column in source.columns if column.role == "answer"] == ["means"]


def test_kobo_columns_of_0_and_1_alone_are_one_column(tmp_path: Path) -> None:
    source = _kobo(tmp_path / "a.csv", ["case/means/debt", "case/means/threats"], ["1", "1"], ["0", "1"], ["", ""])
    assert [record["case/means"] for record in records(source)] == ["debt;threats", "threats", ""]
    assert source.column("case/means").multiple


def test_answered_with_none_of_the_choices_is_not_the_same_as_not_asked(tmp_path: Path) -> None:
    flags = _kobo(tmp_path / "a.csv", ["means/debt", "means/threats"], ["0", "0"], ["0", "1"], ["", ""])
    assert [record["means"] for record in records(flags)] == [NONE_CHOSEN, "threats", ""]
    rows = [["", "0", "0"], ["", "", ""], ["debt", "1", "0"], ["", "", "0"]]
    both = _kobo(tmp_path / "b.csv", ["means", "means/debt", "means/threats"], *rows)
    assert [record["means"] for record in records(both)] == [NONE_CHOSEN, "", "debt", NONE_CHOSEN]


def test_columns_that_ask_for_consent_are_never_joined(tmp_path: Path) -> None:
    for number, names in enumerate(
        (
            ["consents/own", "consents/pooled"],
            ["agreed", "agreed/own", "agreed/pooled"],
            ["q9/consentement_a", "q9/other"],
            ["q9/autorización", "q9/otra"],
        )
    ):
        rows = [["own", "1", "0"][-len(names) :], ["", "0", "0"][-len(names) :]]
        source = _kobo(tmp_path / f"{number}.csv", names, *rows)
        assert [column.name for column in source.columns if column.role == "answer"] == names
        assert [record[names[-1]] for record in records(source)] == ["0", "0"]
        assert any("kept apart" in note for note in source.notes)


def test_columns_that_fill_the_schema_by_themselves_are_never_joined(tmp_path: Path) -> None:
    names, rows = ["q/labour", "q/Sexual exploitation"], [["0", "0"], ["1", "0"]]
    apart = _kobo(tmp_path / "a.csv", names, *rows, apart=["isLabour", "Sexual Exploitation"])
    assert [column.name for column in apart.columns if column.role == "answer"] == names
    joined = _kobo(tmp_path / "b.csv", names, *rows, apart=["isLabour"])
    assert [column.name for column in joined.columns if column.role == "answer"] == ["q"]


def test_questions_of_one_group_are_not_taken_for_one_question(tmp_path: Path) -> None:
    source = _kobo(tmp_path / "a.csv", ["consent/own", "consent/pooled"], ["1", "yes"], ["0", "1"])
    assert [column.name for column in source.columns if column.role == "answer"] == ["consent/own", "consent/pooled"]
    partly = _kobo(tmp_path / "b.csv", ["flags/labour", "flags/sexual"], ["1", ""], ["", "1"])
    assert [column.name for column in partly.columns if column.role == "answer"] == ["flags/labour", "flags/sexual"]


def test_kobo_codes_with_spaces_are_several_answers_and_free_text_is_not(tmp_path: Path) -> None:
    rows = [
        ["debt threats", "She left. He stayed", "Ana Lima"],
        ["threats", "Left home", "Bo Li"],
        ["debt", "nothing", "Cy Ra"],
    ]
    source = _kobo(tmp_path / "a.csv", ["means", "story", "name"], *rows)
    assert [column.multiple for column in source.columns][:3] == [True, False, False]
    assert records(source)[0]["means"] == "debt;threats"
    assert "codes with spaces between them were taken as several answers: means" in source.notes


def test_cells_with_a_long_or_a_repeated_part_are_free_text(tmp_path: Path) -> None:
    choices = ["debt;threats", "threats;debt", "debt", "threats"]
    for more, multiple in ((["debt"], True), (["debt;debt"], False), (["debt;" + "x" * 81] * 2, False)):
        rows = [[f"001{number:012d}", "001000000000009", cell] for number, cell in enumerate([*choices, *more])]
        source = open_source(table(tmp_path / "a.csv", [["Id", "OwnerId", "Means__c"], *rows]))
        assert source.tool is Tool.SALESFORCE
        assert source.column("Means__c").multiple == multiple, more
        assert records(source)[-1]["Means__c"] == more[-1], "no part of a free text is dropped"


def test_kobo_fields_of_several_versions_of_a_form_are_kept_apart(tmp_path: Path) -> None:
    source = _kobo(tmp_path / "a.csv", ["Age", "Age"], ["", "31"], ["28", ""])
    assert [(record["Age"], record["Age (2)"]) for record in records(source)] == [("", "31"), ("28", "")]
    assert "names that are there more than once got a number: Age" in source.notes


def test_kobo_repeats_on_a_second_sheet_are_folded_into_their_records(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        {
            "cases": [["age", "_id", "_uuid", "_index"], [31, 7, "u-7", 1], [28, 8, "u-8", 2]],
            "children": [
                ["name", "_index", "_parent_index", "_submission__uuid"],
                ["X", 1, 1, "u-7"],
                ["Y", 2, 1, "u-7"],
            ],
        },
    )
    source = open_source(path)
    assert [record["children/name"] for record in records(source)] == ["X;Y", ""]
    assert source.column("children/name").multiple


def test_kobo_json_is_read_with_its_groups_lists_and_repeats(tmp_path: Path) -> None:
    results = [
        {
            "_id": 7,
            "_uuid": "u-7",
            "_submission_time": "2024-01-01T10:00:00",
            "case/age": 31,
            "case/kids": [{"case/kids/name": "X"}, {"case/kids/name": "Y"}],
            "_tags": [],
        },
        {
            "_id": 8,
            "_uuid": "u-8",
            "_submission_time": "2024-01-02T10:00:00",
            "case/minor": True,
            "case/means": ["debt", "a;b"],
        },
    ]
    path = text(tmp_path / "a.json", json.dumps({"count": 2, "next": None, "results": results}))
    source = open_source(path)
    assert source.tool is Tool.KOBO
    first, second = records(source)
    assert (first["case/age"], first["case/minor"], second["case/minor"]) == ("31", "", "true")
    assert second["case/means"] == "debt;a,b"
    assert source.column("case/means").multiple
    assert [record["case/kids/case/kids/name"] for record in (first, second)] == ["X;Y", ""]


# --- ODK Central ------------------------------------------------------------------------------------------------------------

_ODK = ["SubmissionDate", "case-age", "case-means", "meta-instanceID", "KEY", "SubmitterID", "Status", "ReviewState"]


def _odk(path: Path, *rows: Sequence[str], more: Mapping[str, bytes] | None = None) -> Path:
    root = "\n".join(",".join(row) for row in (_ODK, *rows))
    return archive(path, {"form.csv": root.encode(), "media/1.jpg": b"\xff\xd8", **(more or {})})


def test_odk_central_repeats_are_folded_by_their_parents(tmp_path: Path) -> None:
    rows = [
        ["2024-01-01", age, means, key, key, "5", "", ""]
        for age, means, key in (("31", "b a", "uuid:1"), ("28", "a", "uuid:2"), ("", "b", "uuid:3"))
    ]
    more = {
        "form-kid.csv": b"name,PARENT_KEY,KEY\nX,uuid:1,uuid:1/kid[1]\nY,uuid:1,uuid:1/kid[2]\nX,uuid:2,uuid:2/kid[1]\n",
        "form-kid-toy.csv": b"toy,PARENT_KEY,KEY\nball,uuid:1/kid[2],uuid:1/kid[2]/toy[1]\n",
    }
    source = open_source(_odk(tmp_path / "a.zip", *rows, more=more))
    assert (source.tool, source.record_key) == (Tool.ODK_CENTRAL, "KEY")
    assert [record["kid-name"] for record in records(source)] == ["X;Y", "X", ""]
    assert [record["kid-toy-toy"] for record in records(source)] == ["ball", "", ""]
    assert [record["case-means"] for record in records(source)] == ["b;a", "a", "b"]  # in the order chosen
    assert source.column("case-age").labels == ("age",)
    assert source.column("SubmissionDate").role == "tool"


def test_encrypted_records_of_odk_central_are_refused(tmp_path: Path) -> None:
    path = _odk(tmp_path / "a.zip", ["2024-01-01", "", "", "uuid:1", "uuid:1", "5", "not decrypted", ""])
    with pytest.raises(EncryptedRecordsError, match="passphrase"):
        open_source(path)


# --- Primero ----------------------------------------------------------------------------------------------------------------


def test_primero_bars_lists_guards_and_places(tmp_path: Path) -> None:
    rows = [
        ["id", "case_id_display", "owned_by", "record_state", "means", "concerns", "phone", "place"],
        ["c-1", "1", "cp", "true", "Threats ||| Debt; bondage", '["a", "b"]', "'+999 1", "XX::Region::Town"],
        ["c-2", "2", "cp", "true", "Threats", "[]", "'Awlaki", ""],
    ]
    source = open_source(table(tmp_path / "a.csv", rows))
    assert (source.tool, source.record_key) == (Tool.PRIMERO, "id")
    first, second = records(source)
    assert (first["means"], second["means"]) == ("Threats;Debt, bondage", "Threats")
    assert (first["concerns"], second["concerns"]) == ("a;b", "")
    assert (first["phone"], second["phone"]) == ("+999 1", "'Awlaki")  # a guard is taken off, an apostrophe is not
    assert first["place"] == "XX::Region::Town"
    assert any("places are written" in note and "place" in note for note in source.notes)


def test_primero_records_that_are_spread_over_rows_are_one(tmp_path: Path) -> None:
    rows = [["ID", "Sex", "Means"], ["c-1", "Female", "Threats"], ["c-1", "Female", "Debt"], ["c-2", "Male", "Debt"]]
    source = open_source(table(tmp_path / "a.csv", rows), tool=Tool.PRIMERO)
    assert records(source) == [
        {"ID": "c-1", "Sex": "Female", "Means": "Threats;Debt"},
        {"ID": "c-2", "Sex": "Male", "Means": "Debt"},
    ]
    assert numbers(source) == [2, 4]


def test_primero_forms_and_subforms_on_sheets_of_their_own_are_one_table(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        {
            "Basic Identity": [["ID", "Nom", "Âge"], ["c1", "A", 31], ["c2", "B", 28]],
            "Exploitation": [["ID", "Formes", "Âge"], ["c1", "Travail ||| Autre", "x"], ["c2", "Travail", "y"]],
            "Services-Suivi": [["ID", "Service"], ["c1", "Abri"], ["c1", "Santé"], ["c2", "Abri"]],
        },
    )
    source = open_source(path)
    assert source.tool is Tool.PRIMERO
    first, second = records(source)
    assert (first["Formes"], first["Service"], first["Âge"], first["Âge (Exploitation)"]) == (
        "Travail;Autre",
        "Abri;Santé",
        "31",
        "x",
    )
    assert (second["Formes"], second["Service"]) == ("Travail", "Abri")


def test_primero_json_is_spread_from_under_data(tmp_path: Path) -> None:
    path = text(
        tmp_path / "a.json", json.dumps([{"id": "c-1", "data": {"sex": "female", "means": ["a", "b"], "notes": None}}])
    )
    source = open_source(path)
    assert source.tool is Tool.PRIMERO
    assert records(source) == [{"id": "c-1", "sex": "female", "means": "a;b", "notes": ""}]


@pytest.mark.parametrize("strength", [128, 192, 256])
def test_a_zip_under_aes_opens_with_its_password_only(tmp_path: Path, strength: int) -> None:
    path = tmp_path / "a.zip"
    with pyzipper.AESZipFile(path, "w", compression=pyzipper.ZIP_DEFLATED) as out:
        out.setpassword(b"p\xc3\xa4ss")
        out.setencryption(pyzipper.WZ_AES, nbits=strength)
        out.writestr("cases.csv", "a,b\n" + "1,2\n" * 40_000)
    assert len(records(open_source(path, password="päss"))) == 40_000
    with pytest.raises(PasswordError, match="does not open"):
        open_source(path, password="pass")
    with pytest.raises(PasswordError, match="--password-file"):
        open_source(path)


def test_a_workbook_may_lie_in_a_zip(tmp_path: Path) -> None:
    inner = book(tmp_path / "a.xlsx", {"S": [["a", "b"], [1, 2]]}).read_bytes()
    assert records(open_source(archive(tmp_path / "b.zip", {"cases.xlsx": inner, "__MACOSX/._cases.xlsx": b"x"}))) == [
        {"a": "1", "b": "2"}
    ]


def test_unpacked_bytes_count_once_however_often_they_are_read(tmp_path: Path) -> None:
    data = b"a,b\n" + b"1,2\n" * 10_000
    path = archive(tmp_path / "a.zip", {"cases.csv": data})
    assert len(records(open_source(path, limits=Limits(decompressed_bytes=len(data))))) == 10_000
    with pytest.raises(TooLargeError, match="once unpacked"):
        open_source(path, limits=Limits(decompressed_bytes=len(data) - 1))


def test_one_of_several_files_in_a_zip_can_be_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"a.csv": b"a,b\n1,2\n", "b.csv": b"c,d\n3,4\n"})
    assert records(open_source(path, sheet="b.csv")) == [{"c": "3", "d": "4"}]


# --- Salesforce -------------------------------------------------------------------------------------------------------------


def test_salesforce_ids_are_made_whole_and_semicolons_are_several_answers(tmp_path: Path) -> None:
    rows = [
        ["Id", "OwnerId", "CreatedDate", "Means__c", "Minor__c", "Story__c"],
        ["0015000000Gv7qJ", "005", "2024-01-01", "Threats;Debt", "true", "Left; came back; and left"],
        ["0015000000Gv7qKAAR", "005", "2024-01-01", "Debt;Threats", "false", "x; y"],
    ]
    source = open_source(text(tmp_path / "a.csv", "\ufeff" + "\n".join("\t".join(row) for row in rows)))
    assert (source.tool, source.record_key) == (Tool.SALESFORCE, "Id")
    assert [record["Id"] for record in records(source)] == ["0015000000Gv7qJAAR", "0015000000Gv7qKAAR"]
    assert [column.multiple for column in source.columns] == [False, False, False, True, False, False]
    assert [record["Minor__c"] for record in records(source)] == ["true", "false"]


# --- HTCDS ------------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings(
    "ignore:Data Validation extension"
)  # openpyxl, which fills the template, drops the lists of choices
@pytest.mark.parametrize(
    "name", ["HTCDS_Excel_Spreadsheet_v2.0.xlsx", "HTCDS_Excel_Spreadsheet_multi_select_with_validation_v2.0.xlsm"]
)
def test_ioms_templates_are_read_by_what_people_see(shared_data: Path, tmp_path: Path, name: str) -> None:
    workbook = openpyxl.load_workbook(shared_data / "htcds" / name)
    sheet = workbook.worksheets[0]
    labels = {str(cell.value).strip(): cell.column for cell in sheet[2] if cell.value}
    for label, cell in {
        "Mailing Street": "Street 1",
        "Mailing Country": "XX",
        "Reason for Outgoing Referral": "Other",
        "Trafficking Status Decision Making Organization": "NGO",
        "Methods of Control": "DebtBondage ; \u00a0Threats",
        "Birthdate": "1990",
    }.items():
        sheet.cell(3, labels[label], cell)
    workbook.save(tmp_path / "a.xlsx")
    source = open_source(tmp_path / "a.xlsx")
    assert source.tool is Tool.HTCDS_TEMPLATE
    (record,) = records(source)  # the other 999 rows only have their number
    assert record["prs_MailingStreet"] == "Street 1"  # under the hidden name prs_MailingCity
    assert record["prs_MailingCountry"] == "XX"
    assert record["cas_ReasonForOutgoingReferral"] == "Other"  # there is no hidden name
    assert record["vic_TraffickingStatusDecisionMakingOrg"] == "NGO"  # the hidden name is misspelt
    assert record["vic_MethodsOfControl"] == "DebtBondage;Threats"
    assert "vic_TraffickinStatusDecisionMakingOrg" in source.column("vic_TraffickingStatusDecisionMakingOrg").labels
    assert source.column("prs_MailingStreet").labels == ("Mailing Street",)
    assert numbers(source) == [3]


def test_ioms_form_is_explained_and_gives_labels_and_options(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "htcds" / "htcds_xlsform.xlsx"
    with pytest.raises(FormNotRecordsError, match="this is a form"):
        open_source(path)
    form = open_form(path)
    names = ["prs_Gender", "vic_Methods_of_Control"]
    rows = [[*names, *_KOBO], ["Feminine", "DebtBondage PhysicalThreats", *_KOBO_CELLS]]
    source = open_source(table(tmp_path / "a.csv", rows), form=form)
    assert source.column("prs_Gender").labels == ("Gender",)
    assert (
        source.column("prs_Gender").options["NonConforming"] == "Non-Conforming"
    )  # its label ends in a no-break space
    assert source.column("vic_Methods_of_Control").multiple
    assert records(source)[0]["vic_Methods_of_Control"] == "DebtBondage;PhysicalThreats"


def test_a_form_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormNotRecordsError, match="not an XLSForm"):
        open_form(book(tmp_path / "a.xlsx", {"S": [["a", "b"], [1, 2]]}))


def test_a_question_that_bears_the_name_of_what_it_fills_is_one_of_several_answers(tmp_path: Path) -> None:
    """A form with the schema's own names, exported as columns of 0 and 1 alone."""
    path = tmp_path / "kobo.csv"
    path.write_text(
        "_id;_uuid;_submission_time;case/vic_MethodsOfControl/DebtBondage;case/vic_MethodsOfControl/FalsePromises\n"
        "1;u1;2021-02-03;1;1\n2;u2;2021-02-03;0;1\n3;u3;2021-02-03;0;0\n4;u4;2021-02-03;;\n",
        encoding="utf-8",
    )
    source = open_source(path, apart=schema_names(load_schema("htcds-2.0")))
    assert [column.name for column in source.columns if column.multiple] == ["case/vic_MethodsOfControl"]
    assert [record["case/vic_MethodsOfControl"] for record in records(source)] == [
        "DebtBondage;FalsePromises", "FalsePromises", NONE_CHOSEN, "",
    ]  # fmt: skip


# --- Parquet, and all -------------------------------------------------------------------------------------------------------


def test_parquet_is_read_as_text(tmp_path: Path) -> None:
    pq.write_table(
        pa.table(
            {
                "age": pa.array([31, None]),
                "share": pa.array([1.0, float("nan")]),
                "day": pa.array([datetime.date(2019, 4, 1), None]),
                "minor": pa.array([True, None]),
                "means": pa.array([["a", "b;c", None], None]),
                "name": pa.array([" A\u200b", None]).dictionary_encode(),
            }
        ),
        tmp_path / "a.parquet",
    )
    source = open_source(tmp_path / "a.parquet")
    assert records(source) == [
        {"age": "31", "share": "1", "day": "2019-04-01", "minor": "true", "means": "a;b,c", "name": "A"},
        dict.fromkeys(("age", "share", "day", "minor", "means", "name"), ""),
    ]
    assert [column.name for column in source.columns if column.multiple] == ["means"]


def test_parquet_that_holds_no_cells_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"photo": pa.array([b"\xff"])}), tmp_path / "a.parquet")
    with pytest.raises(FileKindError, match="column photo"):
        open_source(tmp_path / "a.parquet")


@pytest.mark.parametrize("limits", [Limits(rows=3), Limits(columns=1), Limits(cell_length=2), Limits(file_bytes=10)])
@pytest.mark.parametrize("kind", ["csv", "xlsx", "json", "parquet"])
def test_every_kind_of_file_keeps_the_limits(tmp_path: Path, kind: str, limits: Limits) -> None:
    path = tmp_path / f"a.{kind}"
    rows = [{"a": "1234", "b": "5"}] * 5
    if kind == "csv":
        table(path, [["a", "b"], *(list(row.values()) for row in rows)])
    elif kind == "xlsx":
        book(path, {"S": [["a", "b"], *(list(row.values()) for row in rows)]})
    elif kind == "json":
        text(path, json.dumps(rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert len(records(open_source(path))) == 5
    with pytest.raises(TooLargeError, match="more than"):
        records(open_source(path, limits=limits))


def test_only_the_columns_asked_for_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    source = open_source(text(tmp_path / "a.csv", "a,b,c\n1,2,3\n"))
    (batch,) = source.batches(["c", "a"])
    assert batch.cells.to_pylist() == [{"c": "3", "a": "1"}]
    assert list(batch.cells.schema.types) == [pa.string(), pa.string()]
    with pytest.raises(KeyError):
        next(source.batches(["d"]))
