"""What is read of a workbook is what its cells show: compared cell by cell with openpyxl, which is another reader, on files of several writers.

The fast way through plain sheets is compared with the full parser on the same files.
"""

from __future__ import annotations

import datetime
import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it ships no types
from click.testing import CliRunner

from casehaven.cli import main
from casehaven.intake.sandbox.archive import Archive
from casehaven.intake.sandbox.cell_values import CellReader
from casehaven.intake.sandbox.limits import LIMITS
from casehaven.intake.sandbox.plain_rows import NotPlainError, plain_rows
from casehaven.intake.sandbox.sheet_rows import SheetRows
from casehaven.intake.sandbox.tables import Row
from casehaven.intake.sandbox.workbook import Workbook

Cells = dict[tuple[int, int], str]


def read_here(data: bytes) -> dict[str, Cells]:
    """Return the cells with text of every sheet, as the sandbox reads them."""
    workbook = Workbook(Archive(io.BytesIO(data), LIMITS), LIMITS)
    return {
        sheet.name: {
            (number, place): cell
            for number, cells in workbook.table(sheet).rows
            for place, cell in enumerate(cells)
            if cell
        }
        for sheet in workbook.sheets
    }


def read_by_openpyxl(data: bytes) -> dict[str, Cells]:
    """Return the same, as openpyxl reads them."""
    workbook = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    return {
        sheet.title: {
            (cell.row, cell.column - 1): _shown(cell.value, cell.number_format)
            for row in sheet.iter_rows()
            for cell in row
            if cell.value is not None and _shown(cell.value, cell.number_format)
        }
        for sheet in workbook.worksheets
    }


def _shown(value: object, number_format: str) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime):
        plain = re.sub(r"\[[^\]]*\]|\\.", "", number_format).lower()
        if not re.search("d", plain):
            return f"{value:%Y-%m}" if "m" in plain else f"{value:%Y}"
        if (value + datetime.timedelta(milliseconds=500)).time().replace(microsecond=0) != datetime.time():
            return (value + datetime.timedelta(milliseconds=500)).replace(microsecond=0).isoformat()
        return value.date().isoformat()
    if isinstance(value, datetime.time):
        return value.replace(microsecond=0).isoformat()
    return str(value)


def _by_xlsxwriter(path: Path, *, from_1904: bool = False) -> None:
    with xlsxwriter.Workbook(path, {"date_1904": from_1904}) as book:
        sheet = book.add_worksheet("Données & more")
        day, moment, month, year, clock = (
            book.add_format({"num_format": code})
            for code in ("dd/mm/yyyy", "yyyy-mm-dd hh:mm:ss", 'mmm" of "yy', "yyyy", "hh:mm:ss")
        )
        bold = book.add_format({"bold": True})
        for row in range(40):
            when = datetime.datetime(1955 + row * 2, 1 + row % 12, 1 + row % 28, row % 24, row, 59)
            values: list[tuple[object, object]] = [
                (f"text {row} <&> ü مريم", None),
                (row * 1_000_003, None),
                (row / 7, None),
                (row % 2 == 0, None),
                (when.replace(hour=0, minute=0, second=0), day),
                (when, moment),
                (when.replace(hour=0, minute=0, second=0), month),
                (when.replace(hour=0, minute=0, second=0), year),
                (when.time(), clock),
                ("", day),
                ("same text", None),
            ]
            for column, (value, shape) in enumerate(values):
                sheet.write(row + row // 10, column, value, shape)
            sheet.write_rich_string(row + row // 10, 12, "in ", bold, "bold", " type")
        sheet.merge_range(60, 0, 60, 3, "merged", bold)
        sheet.write_formula(61, 0, "=1+1", None, 2)
        sheet.write_formula(61, 1, '="a"&"b"', None, "ab")
        sheet.write_formula(61, 2, "=NA()", None, "#N/A")
        hidden = book.add_worksheet("Hidden")
        hidden.hide()
        hidden.write(0, 0, "seen")


@pytest.mark.parametrize("from_1904", [False, True])
def test_a_workbook_of_xlsxwriter_is_read_as_openpyxl_reads_it(tmp_path: Path, from_1904: bool) -> None:
    _by_xlsxwriter(tmp_path / "a.xlsx", from_1904=from_1904)
    data = (tmp_path / "a.xlsx").read_bytes()
    found = read_here(data)
    assert found == read_by_openpyxl(data)
    assert sum(map(len, found.values())) > 400


def test_a_workbook_of_libreoffice_is_read_as_openpyxl_reads_it(tmp_path: Path) -> None:
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("LibreOffice is absent")
    _by_xlsxwriter(tmp_path / "a.xlsx")
    subprocess.run(
        [
            program,
            "--headless",
            f"-env:UserInstallation=file://{tmp_path}/profile",
            "--convert-to",
            "xlsx:Calc MS Excel 2007 XML",
            "--outdir",
            str(tmp_path / "out"),
            str(tmp_path / "a.xlsx"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    data = (tmp_path / "out" / "a.xlsx").read_bytes()
    found = read_here(data)
    assert found == read_by_openpyxl(data)
    assert sum(map(len, found.values())) > 400


@pytest.mark.filterwarnings("ignore:Data Validation extension")
def test_ioms_workbooks_are_read_as_openpyxl_reads_them(shared_data: Path) -> None:
    files = sorted((shared_data / "htcds").glob("*.xls[xm]"))
    assert len(files) == 3
    for path in files:
        data = path.read_bytes()
        assert read_here(data) == read_by_openpyxl(data), path.name


def _by_openpyxl(path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.worksheets[0]
    for row in range(30):
        sheet.append(
            [row, f"t {row}", None, row % 2 == 0, datetime.date(2019, 1, 1 + row % 28), row / 3, " spaced ", "#N/A"]
        )
    workbook.save(path)


def _plain_by_xlsxwriter(path: Path) -> None:
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for row in range(1_000):
            for column in range(60):
                value = (f"a & b <{row}>", row * column, row / 7, "woman", "", "ü" * (row % 5))[(row + column) % 6]
                if value != "":
                    sheet.write(row * 2, column, value)
            sheet.write_datetime(row * 2, 60, datetime.datetime(2019, 1, 1 + row % 28), day)


MAKERS: dict[str, Callable[[Path], None]] = {"openpyxl": _by_openpyxl, "xlsxwriter": _plain_by_xlsxwriter}


def _both_ways(data: bytes) -> Iterator[tuple[list[Row], list[Row], bool]]:
    """Yield, per sheet, the rows of the fast way as far as it went, those of the full parser, and whether the first went to the end."""
    archive = Archive(io.BytesIO(data), LIMITS)
    workbook = Workbook(archive, LIMITS)
    for sheet in workbook.sheets:
        workbook.table(sheet)
        reader = CellReader(workbook._texts or [], workbook._dates or {}, False)
        fast: list[Row] = []
        whole = True
        try:
            with archive.open(sheet.part) as file:
                fast.extend(plain_rows(file, reader, LIMITS))
        except NotPlainError:
            whole = False
        with archive.open(sheet.part) as file:
            full = list(SheetRows(reader=reader, limits=LIMITS, sheet=sheet.name).read(file))
        yield fast, full, whole


@pytest.mark.parametrize("maker", MAKERS)
def test_the_fast_way_goes_to_the_end_of_a_plain_sheet_and_reads_the_same(tmp_path: Path, maker: str) -> None:
    MAKERS[maker](tmp_path / "a.xlsx")
    data = (tmp_path / "a.xlsx").read_bytes()
    for fast, full, whole in _both_ways(data):
        assert whole
        assert fast == full
    assert read_here(data) == read_by_openpyxl(data)


@pytest.mark.parametrize(
    "odd",
    [
        '<c r="B3"><f>1+1</f><v>2</v></c>',
        '<c t="str" r="B3"><v>x</v></c>',
        '<c r="B3" t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r></is></c>',
        '<c r="B3" t="inlineStr"><is><t><![CDATA[</row>]]></t></is></c>',
        "<!-- </row> --><c r='B3'><v>7</v></c>",
        '<c r="B3" t="str"><v>&#65;&lt;</v></c>',
        '<c r="B3"><v>1</v><extLst/></c>',
        '<c r="B3" t="inlineStr"><is><t>a</t><rPh sb="0" eb="1"><t>x</t></rPh></is></c>',
        '<c r="B3" t="str"><v>a&amp;lt;b</v></c>',
        '<c r="B3" t="e"><v>#N/A</v></c><c r="A3"><v>5</v></c>',
    ],
)
def test_the_fast_way_gives_up_at_what_it_does_not_know_and_the_rows_are_those_of_the_full_parser(odd: str) -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c>{odd if n == 3 else ""}</row>' for n in range(1, 6))
    names = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    sheet = f'<?xml version="1.0"?><worksheet {names}><sheetData>{rows}</sheetData></worksheet>'
    reader = CellReader([], {}, False)
    full = list(SheetRows(reader=reader, limits=LIMITS, sheet="S").read(io.BytesIO(sheet.encode())))
    fast: list[Row] = []
    try:
        fast.extend(plain_rows(io.BytesIO(sheet.encode()), reader, LIMITS))
    except NotPlainError:
        pass
    else:
        assert len(fast) == len(full)
    assert fast == list(islice(full, len(fast)))
    assert len(full) == 5
    assert full[2][1][1] if "B3" in odd else True


@pytest.mark.parametrize("dialect", ["kobo-xlsx", "primero-xlsx", "excel-ar"])
def test_a_workbook_as_a_tool_writes_it_is_read_as_openpyxl_reads_it(tmp_path: Path, dialect: str) -> None:
    path = tmp_path / "a.xlsx"
    arguments = ["generate", "--schema", "htcds-2.0", "--people", "20", "--dialect", dialect, "-o", str(path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    data = path.read_bytes()
    assert read_here(data) == read_by_openpyxl(data)
    for fast, full, _ in _both_ways(data):
        assert fast == full[: len(fast)]


def test_a_zip_of_parts_with_prefixes_and_other_places_is_read(tmp_path: Path) -> None:
    """Writers may choose prefixes and names of parts; strict files use other addresses."""
    names = 'xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main" xmlns:r="http://purl.oclc.org/ooxml/officeDocument/relationships"'
    kind = "http://purl.oclc.org/ooxml/officeDocument/relationships"
    rels = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    parts = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships {rels}><Relationship Id="a" Type="{kind}/officeDocument" Target="/book/main.xml"/></Relationships>',
        "book/main.xml": f'<x:workbook {names}><x:sheets><x:sheet name="S" sheetId="1" r:id="b"/></x:sheets></x:workbook>',
        "book/_rels/main.xml.rels": f'<Relationships {rels}><Relationship Id="b" Type="{kind}/worksheet" Target="one.xml"/></Relationships>',
        "book/one.xml": f'<x:worksheet {names}><x:sheetData><x:row><x:c t="inlineStr"><x:is><x:t>a</x:t></x:is></x:c><x:c><x:v>2</x:v></x:c></x:row></x:sheetData></x:worksheet>',
    }
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as out:
        for name, text in parts.items():
            out.writestr(name, text)
    assert read_here(path.read_bytes()) == {"S": {(1, 0): "a", (1, 1): "2"}}
