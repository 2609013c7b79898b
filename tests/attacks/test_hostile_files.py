"""Files made to harm: bombs, lies, tricks with text. Each is refused or read, below 512 MB and 5 s, and leaves nothing behind.

The corpus is made by the functions below; every hostile cell holds the canary, and no message may show it. One driver process opens all files, as the command line
would, so that memory of the parsing processes can be read from the system afterwards.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pyzipper  # type: ignore[import-untyped]  # it ships no types

from casehaven.intake.errors import CaseFileError
from casehaven.intake.readers import open_source

if TYPE_CHECKING:
    from tests.conftest import SafeHouse

CANARY = "Canary Q. Testperson"
SECONDS = 5.0
MEBIBYTES = 512

Make = Callable[[], bytes]
CORPUS: dict[str, tuple[str, Make, str, str]] = {}
"""Name to file name, maker, expected error (empty: it is read; of several with `|` one), and a part of the advice that its message must hold."""


def hostile(file: str, error: str, says: str = "") -> Callable[[Make], Make]:
    """Add a file to the corpus."""

    def add(make: Make) -> Make:
        CORPUS[make.__name__] = (file, make, error, says)
        return make

    return add


def _zip(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


_SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_SPREADSHEET}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SPREADSHEET}.worksheet+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{_SPREADSHEET}.sharedStrings+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_SPREADSHEET}.styles+xml"/></Types>'
).encode()
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def _sheet(rows: str, *, before: str = "", after: str = "") -> bytes:
    return f'<?xml version="1.0"?>{before}<worksheet {_MAIN}><sheetData>{rows}</sheetData>{after}</worksheet>'.encode()


def _row(number: int, *cells: str) -> str:
    inner = "".join(
        f'<c r="{chr(65 + place)}{number}" t="inlineStr"><is><t>{cell}</t></is></c>' for place, cell in enumerate(cells)
    )
    return f'<row r="{number}">{inner}</row>'


_HEADER = _row(1, "name", "gender", "age")
_RECORD = _row(2, CANARY, "woman", "31")


def _book(
    sheet: bytes, *, texts: bytes = b"", styles: bytes = b"", more: dict[str, bytes] | None = None, sheets: int = 1
) -> bytes:
    listed = "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="r1"/>' for n in range(1, sheets + 1))
    entries = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": (
            '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="r1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ).encode(),
        "xl/workbook.xml": f'<?xml version="1.0"?><workbook {_MAIN} xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>'.encode(),
        "xl/_rels/workbook.xml.rels": (
            '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="r1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
            + (f'<Relationship Id="r2" Type="{_RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>' if texts else "")
            + (f'<Relationship Id="r3" Type="{_RELATIONS}/styles" Target="styles.xml"/>' if styles else "")
            + f'<Relationship Id="r4" Type="{_RELATIONS}/externalLink" TargetMode="External" Target="http://192.0.2.1/steal.xlsx"/>'
            "</Relationships>"
        ).encode(),
        "xl/worksheets/sheet1.xml": sheet,
    }
    if texts:
        entries["xl/sharedStrings.xml"] = texts
    if styles:
        entries["xl/styles.xml"] = styles
    return _zip(entries | (more or {}))


_CSV = f"name,gender,age\n{CANARY},woman,31\n".encode()


# --- ZIPs -------------------------------------------------------------------------------------------------------------------


@hostile("flat.zip", "TooLargeError", "100 times")
def flat_bomb() -> bytes:
    return _zip({"cases.csv": _CSV + b"a" * (64 << 20)})


@hostile("nested.zip", "FileKindError", "unpack the outer one")
def nested_bomb() -> bytes:
    inner = _zip({"0.csv": b"0" * (16 << 20)})
    for level in range(4):
        inner = _zip({f"{level}-{n}.zip": inner for n in range(10)})
    return inner


@hostile("overlapping.zip", "DamagedFileError", "lie over each other")
def overlapping_bomb() -> bytes:
    """Many list entries for one body (Fifield 2019)."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * (16 << 20))
        first = archive.infolist()[0]
        for n in range(200):
            twin = zipfile.ZipInfo(f"{n}.csv")
            for name in (
                "compress_type",
                "CRC",
                "compress_size",
                "file_size",
                "header_offset",
                "flag_bits",
                "external_attr",
            ):
                setattr(twin, name, getattr(first, name))
            archive.filelist.append(twin)
    return body.getvalue()


@hostile("lying.zip", "DamagedFileError", "again")
def stated_size_is_a_lie() -> bytes:
    data = bytearray(_zip({"cases.csv": _CSV * 1_000}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    return bytes(data)


@hostile("many.zip", "TooLargeError", "files in one ZIP")
def too_many_entries() -> bytes:
    return _zip({f"{n}.csv": b"" for n in range(20_100)}, zipfile.ZIP_STORED)


@hostile("stated-many.zip", "TooLargeError", "files in one ZIP")
def a_list_that_states_too_many_entries() -> bytes:
    data = bytearray(_zip({"cases.csv": _CSV}))
    at = data.rfind(b"PK\x05\x06")
    data[at + 8 : at + 12] = b"\xff\xff\xff\xff"
    return bytes(data)


@hostile("traversal.zip", "DamagedFileError", "outside")
def path_that_leads_out() -> bytes:
    return _zip({"../../../../tmp/cases.csv": _CSV})


@hostile("absolute.zip", "DamagedFileError", "outside")
def absolute_path() -> bytes:
    return _zip({"/etc/cron.d/cases.csv": _CSV})


@hostile("backslash.zip", "DamagedFileError", "outside")
def path_with_backslashes() -> bytes:
    return _zip({"..\\..\\cases.csv": _CSV})


@hostile("link.zip", "DamagedFileError", "link")
def link_instead_of_a_file() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("cases.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return out.getvalue()


@hostile("lzma.zip", "FileKindError", "deflate")
def unusual_method() -> bytes:
    return _zip({"cases.csv": _CSV}, zipfile.ZIP_LZMA)


@hostile("truncated.zip", "DamagedFileError", "again")
def truncated_zip() -> bytes:
    data = _zip({"cases.csv": os.urandom(10_000)})
    return data[: len(data) // 2]


@hostile("flipped.zip", "DamagedFileError", "again")
def flipped_bytes_in_a_zip() -> bytes:
    data = bytearray(_zip({"cases.csv": _CSV * 50}))
    data[60] ^= 0xFF
    return bytes(data)


@hostile("nothing.zip", "FileKindError", "holds no table")
def zip_without_a_table() -> bytes:
    return _zip({"photo.jpg": b"\xff\xd8", "setup.exe": b"MZ"})


@hostile("two.zip", "SheetError", "--sheet")
def zip_of_several_tables() -> bytes:
    return _zip({"a.csv": _CSV, "b.csv": _CSV})


@hostile("no-password.zip", "PasswordError", "password")
def password_that_is_not_given() -> bytes:
    return _aes("secret")


@hostile("wrong-password.zip", "PasswordError", "does not open")
def wrong_password_under_aes() -> bytes:
    return _aes("secret")


@hostile("changed-password.zip", "DamagedFileError", "changed")
def bytes_changed_under_aes() -> bytes:
    data = bytearray(_aes("canary"))
    data[len(data) // 3] ^= 1
    return bytes(data)


@hostile("wrong-password-crypto.zip", "PasswordError", "does not open")
def wrong_password_under_zipcrypto() -> bytes:
    return zip_crypto("cases.csv", _CSV * 40, "secret")


@hostile("right-password-crypto.zip", "")
def right_password_under_zipcrypto() -> bytes:
    return zip_crypto("cases.csv", _CSV * 40, "canary")


@hostile("bomb-password.zip", "TooLargeError", "100 times")
def bomb_under_aes() -> bytes:
    return _aes("canary", _CSV + b"a" * (64 << 20))


def _aes(password: str, data: bytes = _CSV * 40) -> bytes:
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        archive.writestr("cases.csv", data)
    return out.getvalue()


def zip_crypto(name: str, data: bytes, password: str) -> bytes:
    """Return a ZIP under ZipCrypto, which the standard library reads and does not write."""
    table = [0] * 256
    for n in range(256):
        value = n
        for _ in range(8):
            value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
        table[n] = value
    keys = [0x12345678, 0x23456789, 0x34567890]

    def mix(byte: int) -> None:
        keys[0] = (keys[0] >> 8) ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = (keys[2] >> 8) ^ table[(keys[2] ^ (keys[1] >> 24)) & 0xFF]

    def encrypted(plain: bytes) -> bytes:
        out = bytearray()
        for byte in plain:
            value = (keys[2] | 2) & 0xFFFF
            out.append(byte ^ (((value * (value ^ 1)) >> 8) & 0xFF))
            mix(byte)
        return bytes(out)

    for byte in password.encode():
        mix(byte)
    crc = zlib.crc32(data)
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(data) + packer.flush()
    body = encrypted(bytes(11) + bytes([crc >> 24]) + packed)
    common = struct.pack("<HHHHIIIHH", 1, 8, 0, 0x21, crc, len(body), len(data), len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<H", 20) + common + name.encode() + body
    listed = b"PK\x01\x02" + struct.pack("<HH", 20, 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name.encode()
    return local + listed + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(listed), len(local), 0)


# --- workbooks --------------------------------------------------------------------------------------------------------------

_LAUGHS = (
    "<!DOCTYPE w ["
    + '<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    + "]>"
)


@hostile("laughs.xlsx", "DamagedFileError", "document type")
def billion_laughs_in_a_sheet() -> bytes:
    return _book(_sheet(_row(1, "&a11;"), before=_LAUGHS))


@hostile("laughs-texts.xlsx", "DamagedFileError", "document type")
def billion_laughs_in_the_texts() -> bytes:
    texts = f'<?xml version="1.0"?>{_LAUGHS}<sst {_MAIN}><si><t>&a11;</t></si></sst>'.encode()
    return _book(_sheet('<row r="1"><c r="A1" t="s"><v>0</v></c></row>'), texts=texts)


@hostile("outside.xlsx", "DamagedFileError", "document type")
def external_entity() -> bytes:
    return _book(_sheet(_row(1, "&x;"), before='<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>'))


@hostile("quadratic.xlsx", "DamagedFileError", "document type")
def quadratic_entities() -> bytes:
    before = f'<!DOCTYPE w [<!ENTITY a "{"a" * 100_000}">]>'
    return _book(_sheet(_row(1, "&a;" * 20_000), before=before))


@hostile("texts.xlsx", "TooLargeError|ReaderStoppedError")
def many_different_texts() -> bytes:
    texts = f'<?xml version="1.0"?><sst {_MAIN}>'.encode() + b"<si><t/></si>" * 4_000_000 + b"</sst>"
    return _book(_sheet(_HEADER + _RECORD), texts=texts)


@hostile("long-text.xlsx", "TooLargeError|ReaderStoppedError")
def one_long_text() -> bytes:
    texts = f'<?xml version="1.0"?><sst {_MAIN}><si><t>'.encode() + b"ab" * (40 << 20) + b"</t></si></sst>"
    return _book(_sheet(_HEADER + '<row r="2"><c r="A2" t="s"><v>0</v></c></row>'), texts=texts)


@hostile("long-cell.xlsx", "TooLargeError", "characters in one cell")
def one_long_cell() -> bytes:
    return _book(_sheet(_HEADER + _row(2, CANARY + "x" * 200_000)))


@hostile("rows.xlsx", "TooLargeError|ReaderStoppedError")
def endless_rows() -> bytes:
    return _book(_sheet(_HEADER + '<row r="2"><c r="A2"><v>1</v></c></row>' * 3_000_000))


@hostile("empty-rows.xlsx", "TooLargeError|ReaderStoppedError")
def endless_empty_rows() -> bytes:
    return _book(_sheet(_HEADER + '<row r="2"/>' * 4_000_000))


@hostile("columns.xlsx", "TooLargeError", "columns")
def a_cell_in_the_last_column() -> bytes:
    return _book(_sheet(_HEADER + '<row r="2"><c r="XFD2"><v>1</v></c></row>'))


@hostile("no-column.xlsx", "DamagedFileError", "cannot be")
def a_cell_beyond_the_last_column() -> bytes:
    return _book(_sheet(_HEADER + '<row r="2"><c r="ZZZZZZ2"><v>1</v></c></row>'))


@hostile("dimension.xlsx", "")
def a_sheet_that_states_a_huge_size() -> bytes:
    sheet = _sheet(_HEADER + _RECORD).replace(b"<sheetData>", b'<dimension ref="A1:XFD1048576"/><sheetData>')
    return _book(sheet)


@hostile("last-row.xlsx", "")
def a_record_in_the_last_row() -> bytes:
    return _book(_sheet(_HEADER + _row(1_048_576, CANARY, "woman", "31")))


@hostile("deep.xlsx", "DamagedFileError")
def deep_elements() -> bytes:
    return _book(_sheet("<a>" * 1_000_000))


@hostile("attributes.xlsx", "DamagedFileError")
def broken_elements() -> bytes:
    return _book(_sheet(_HEADER + '<row r="2"><c r="A2" t="s"><v>1</c></row>'))


@hostile("absent-text.xlsx", "DamagedFileError", "points to a text")
def a_text_that_is_not_there() -> bytes:
    return _book(_sheet(_HEADER + '<row r="2"><c r="A2" t="s"><v>99</v></c></row>'))


@hostile("digits.xlsx", "DamagedFileError")
def a_place_of_a_million_digits() -> bytes:
    return _book(_sheet(_HEADER + f'<row r="2"><c r="A2" t="s"><v>{"9" * 1_000_000}</v></c></row>'))


@hostile("formula.xlsx", "CellError", "spreadsheet program")
def a_formula_without_a_result() -> bytes:
    return _book(_sheet(_HEADER + '<row r="2"><c r="A2"><f>WEBSERVICE("http://192.0.2.1/")</f></c></row>'))


@hostile("commands.xlsx", "")
def formulas_that_run_commands() -> bytes:
    formula = "cmd|&apos;/c calc&apos;!A0"
    return _book(
        _sheet(
            _HEADER
            + f'<row r="2"><c r="A2" t="str"><f>{formula}</f><v>{CANARY}</v></c><c r="B2" t="inlineStr"><is><t>woman</t></is></c></row>'
        )
    )


@hostile("links.xlsx", "")
def links_to_other_files() -> bytes:
    more = {"xl/externalLinks/externalLink1.xml": b"<!DOCTYPE x>", "xl/vbaProject.bin": b"\xd0\xcf" + b"\x00" * 4_096}
    return _book(_sheet(_HEADER + _RECORD), more=more)


@hostile("macro-bomb.xlsm", "")
def a_bomb_in_a_part_that_is_not_read() -> bytes:
    return _book(_sheet(_HEADER + _RECORD), more={"xl/media/image1.png": b"\x00" * (64 << 20)})


@hostile("styles.xlsx", "TooLargeError")
def a_bomb_of_formats() -> bytes:
    styles = (
        f"<styleSheet {_MAIN}><numFmts>".encode()
        + b'<numFmt numFmtId="1" formatCode="y"/>' * 600_000
        + b"</numFmts></styleSheet>"
    )
    return _book(_sheet(_HEADER + _RECORD), styles=styles)


@hostile("sheets.xlsx", "TooLargeError", "sheets")
def too_many_sheets() -> bytes:
    return _book(_sheet(_HEADER), sheets=2_000)


@hostile("cut.xlsx", "DamagedFileError")
def a_sheet_that_is_cut_off() -> bytes:
    return _book(_sheet(_HEADER + _RECORD)[:-40])


@hostile("twice.xlsx", "HeaderError", "twice")
def names_that_are_the_same_once_cleaned() -> bytes:
    return _book(_sheet(_row(1, "name", "na\u200bme", "age") + _RECORD))


@hostile("no-sheet.xlsx", "FileKindError")
def a_workbook_without_sheets() -> bytes:
    return _zip({"[Content_Types].xml": _TYPES, "xl/workbook.xml": f"<workbook {_MAIN}/>".encode()})


@hostile("protected.xlsx", "PasswordError", "without one")
def a_workbook_with_a_password() -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600 + "EncryptedPackage".encode("utf-16-le") + b"\x00" * 600


# --- JSON -------------------------------------------------------------------------------------------------------------------


@hostile("deep.json", "TooLargeError", "deep")
def deep_lists() -> bytes:
    return b"[" * 200_000


@hostile("deep-objects.json", "TooLargeError", "deep")
def deep_objects() -> bytes:
    return b'[{"a":' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}]"


@hostile("keys.json", "TooLargeError", "columns")
def endless_keys() -> bytes:
    return json.dumps([{f"k{n}": CANARY} for n in range(6_000)]).encode()


@hostile("open.json", "TooLargeError", "quote")
def an_open_quote() -> bytes:
    return b'[{"name": "' + CANARY.encode() * 2_000_000


@hostile("cut.json", "DamagedFileError", "export it again")
def json_that_is_cut_off() -> bytes:
    return json.dumps([{"name": CANARY}] * 50).encode()[:-20]


@hostile("number.json", "TooLargeError", "characters in one cell")
def a_number_of_a_million_digits() -> bytes:
    return b'[{"age": ' + b"9" * 1_000_000 + b"}]"


@hostile("scalar.json", "FileKindError")
def a_list_of_no_records() -> bytes:
    return json.dumps([CANARY] * 10).encode()


@hostile("surrogate.json", "")
def halves_of_surrogates() -> bytes:
    return b'[{"name": "\\ud800' + CANARY.encode() + b'", "age": NaN}]'


# --- text -------------------------------------------------------------------------------------------------------------------


@hostile("quotes.csv", "TooLargeError", "quote")
def an_open_quote_over_a_large_file() -> bytes:
    return _CSV + b'"' + f"{CANARY},woman,31\n".encode() * 1_000_000


@hostile("quotes-short.csv", "RaggedRowError", "row 3")
def an_open_quote_at_the_end() -> bytes:
    return _CSV + f'"{CANARY},woman'.encode()


@hostile("all-quotes.csv", "TooLargeError")
def nothing_but_quotes() -> bytes:
    return b'"' * (32 << 20)


@hostile("columns.csv", "TooLargeError")
def endless_columns() -> bytes:
    return b"," * (16 << 20)


@hostile("rows.csv", "TooLargeError", "rows")
def endless_lines() -> bytes:
    return b"a,b\n" + b"1,2\n" * 2_100_000


@hostile("ragged.csv", "RaggedRowError", "row 3")
def a_row_that_is_too_long() -> bytes:
    return _CSV + f"{CANARY},woman,31,more\n".encode()


@hostile("nul.csv", "HeaderError", "empty")
def nothing_but_nul() -> bytes:
    return b"\x00" * (8 << 20)


@hostile("nul-inside.csv", "")
def nul_inside_cells() -> bytes:
    return _CSV.replace(b"Canary", b"Can\x00ary")


@hostile("bidi.csv", "")
def text_that_turns_direction() -> bytes:
    return "name,\u202eredneg\u202c,age\n".encode() + f"\u2066{CANARY}\u2069,wo\u200bman,31\n".encode()


@hostile("newlines.csv", "")
def mixed_line_ends() -> bytes:
    return f"name,gender,age\r\n{CANARY},woman,31\rB,man,5\nC,man,6\r\n".encode()


@hostile("duplicate.csv", "HeaderError", "twice: name")
def a_name_that_is_there_twice() -> bytes:
    return b"name,gender,name\n" + CANARY.encode() + b",woman,31\n"


@hostile("cyrillic.csv", "EncodingError", "--encoding")
def another_alphabet() -> bytes:
    return "имя,пол\nКанарейка,женщина\n".encode("cp1251")


@hostile("late.csv", "EncodingError", "--encoding")
def other_bytes_far_behind() -> bytes:
    return _CSV * 100_000 + "Канарейка,женщина,31\n".encode("cp1251")


@hostile("random.csv", "CaseFileError")
def random_bytes() -> bytes:
    return bytes((n * 7_919 + n // 251) % 256 for n in range(200_000))


@hostile("empty.csv", "HeaderError", "header")
def an_empty_file() -> bytes:
    return b""


@hostile("page.xls", "FileKindError", "spreadsheet program")
def a_web_page() -> bytes:
    return f"<html><table><tr><td>{CANARY}".encode()


@hostile("old.xls", "FileKindError", "XLSX")
def an_old_workbook() -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + os.urandom(4_096)


@hostile("paper.csv", "FileKindError", "PDF")
def a_pdf() -> bytes:
    return b"%PDF-1.7\n" + CANARY.encode()


@hostile("packed.csv.gz", "FileKindError", "gzip")
def a_gzip() -> bytes:
    return b"\x1f\x8b\x08" + os.urandom(100)


@hostile("sheet.ods", "FileKindError", "OpenDocument")
def an_opendocument_file() -> bytes:
    return _zip({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<x/>"})


@hostile("columns.parquet", "DamagedFileError", "export it again")
def parquet_that_is_none() -> bytes:
    return b"PAR1" + os.urandom(2_000) + b"PAR1"


_FLAT = {"name": [CANARY], "gender": ["woman"], "age": ["31"]}


def _parquet(columns: dict[str, Any], **how: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **how)
    return out.getvalue()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _footer(schema: Sequence[bytes], rows: int, groups: int = 0) -> bytes:
    """A Parquet file that is its footer alone, in Thrift's compact protocol: version 1, schema, rows, row groups."""
    body = b"\x15\x02" + b"\x19\xfc" + _varint(len(schema)) + b"".join(schema)
    body += b"\x16" + _varint(2 * rows) + b"\x19\xfc" + _varint(groups)
    return b"PAR1" + body + b"\x00" + struct.pack("<I", len(body) + 1) + b"PAR1"


def _element(name: str, children: int = 0) -> bytes:
    """An element of a schema: a group of so many children, or an optional text."""
    called = _varint(len(name)) + name.encode()
    if children:
        return b"\x48" + called + b"\x15" + _varint(2 * children) + b"\x00"
    return b"\x15\x0c" + b"\x25\x02" + b"\x18" + called + b"\x00"


@hostile("truncated.parquet", "DamagedFileError", "export it again")
def parquet_cut_short() -> bytes:
    data = _parquet(_FLAT)
    return data[: len(data) - 20]


@hostile("mark-alone.parquet", "DamagedFileError", "export it again")
def parquet_of_a_mark_alone() -> bytes:
    return b"PAR1"


@hostile("footer-length.parquet", "DamagedFileError", "export it again")
def parquet_whose_footer_is_longer_than_the_file() -> bytes:
    return _parquet(_FLAT)[:-8] + b"\xff\xff\xff\x7fPAR1"


@hostile("footer-large.parquet", "TooLargeError", "footer")
def parquet_whose_footer_is_large() -> bytes:
    body = bytes(17 << 20)
    return b"PAR1" + body + struct.pack("<I", len(body)) + b"PAR1"


@hostile("footer-wrong.parquet", "DamagedFileError", "export it again")
def parquet_whose_footer_is_of_another_file() -> bytes:
    data, other = _parquet(_FLAT), _parquet({"name": [CANARY] * 9_000, "x": list(range(9_000))})
    (length,) = struct.unpack("<I", other[-8:-4])
    return data[:60] + other[-8 - length :]


@hostile("encrypted.parquet", "EncryptedRecordsError", "without encryption")
def parquet_with_an_encrypted_footer() -> bytes:
    return _parquet(_FLAT)[:-4] + b"PARE"


@hostile("stated-rows.parquet", "TooLargeError", "rows")
def parquet_that_states_too_many_rows() -> bytes:
    return _footer([_element("root", 1), _element("name")], 1 << 60)


@hostile("stated-groups.parquet", "DamagedFileError|TooLargeError|ReaderStoppedError")
def parquet_that_states_too_many_parts() -> bytes:
    return _footer([_element("root", 1), _element("name")], 1, groups=0x7FFFFFFF)


@hostile("stated-children.parquet", "DamagedFileError|TooLargeError|ReaderStoppedError")
def parquet_whose_root_states_too_many_columns() -> bytes:
    return _footer([_element("root", 0x3FFFFFFF), _element("name")], 1)


@hostile("deep.parquet", "DamagedFileError|ReaderStoppedError|TooLargeError")
def parquet_of_deep_groups() -> bytes:
    return _footer([_element("g", 1)] * 200_000 + [_element("name")], 1)


@hostile("deep-lists.parquet", "FileKindError|DamagedFileError")
def parquet_of_lists_in_lists() -> bytes:
    kind = pa.string()
    for _ in range(60):
        kind = pa.list_(kind)
    return _parquet({"name": [CANARY], "deep": pa.nulls(1, kind)})


@hostile("columns-many.parquet", "TooLargeError", "columns")
def parquet_of_too_many_columns() -> bytes:
    return _parquet({f"c{number}": ["x"] for number in range(4_100)})


@hostile("columns-twice.parquet", "HeaderError", "twice")
def parquet_that_names_a_column_twice() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([CANARY])] * 2, names=["name", " name"]), out)
    return out.getvalue()


@hostile("rows-many.parquet", "TooLargeError", "rows")
def parquet_of_too_many_rows() -> bytes:
    return _parquet({"name": pa.array([CANARY]).take(pa.array(np.zeros(2_000_001, np.int64)))})


@hostile("dictionary.parquet", "TooLargeError|ReaderStoppedError")
def parquet_dictionary_bomb() -> bytes:
    """One long text, two million times: 180 GB in 100 kB."""
    words = pa.DictionaryArray.from_arrays(np.zeros(1_900_000, np.int32), pa.array([CANARY + "x" * 90_000]))
    return _parquet({"name": words})


@hostile("dictionary-wide.parquet", "TooLargeError", "cells")
def parquet_of_many_repeated_columns() -> bytes:
    """Five hundred million cells in a file of kilobytes."""
    words = pa.DictionaryArray.from_arrays(np.zeros(1_900_000, np.int32), pa.array([CANARY * 4]))
    return _parquet({f"c{number}": words for number in range(250)})


@hostile("long-cell.parquet", "TooLargeError", "characters in one cell")
def parquet_of_one_long_cell() -> bytes:
    return _parquet({"name": [CANARY + "x" * 200_000]})


@hostile("page.parquet", "TooLargeError|ReaderStoppedError")
def parquet_page_bomb() -> bytes:
    """A page of 96 MiB in kilobytes."""
    return _parquet({"name": ["x" * (96 << 20)]}, compression="zstd", use_dictionary=False)


@hostile("list.parquet", "TooLargeError|ReaderStoppedError")
def parquet_of_an_endless_list() -> bytes:
    """A cell of thirty million values."""
    values = pa.array(np.zeros(30_000_000, np.int8))
    return _parquet({"means": pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)})


@hostile("flipped.parquet", "DamagedFileError", "export it again")
def parquet_with_a_changed_page() -> bytes:
    data = bytearray(
        _parquet({"name": [f"{CANARY} {n}" for n in range(200)]}, write_page_checksum=True, compression="none")
    )
    data[data.index(CANARY.encode()) + 3] ^= 1
    return bytes(data)


@hostile("not-text.parquet", "DamagedFileError", "export it again")
def parquet_of_text_that_is_none() -> bytes:
    out = io.BytesIO()
    wrong = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe\xfd"]).buffers())
    pq.write_table(pa.table({"name": wrong}), out)
    return out.getvalue()


@hostile("tricks.parquet", "")
def parquet_with_tricks_in_its_text() -> bytes:
    return _parquet({"name": [f"\u202e{CANARY}\x00\u200b"], "gender": ["'=1+1"], "age": ["31"]})


# --- the proof --------------------------------------------------------------------------------------------------------------

_DRIVER = """
import json, resource, sys, time
from pathlib import Path
from casehaven.errors import CasehavenError
from casehaven.intake.readers import open_source

def used():
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + child.ru_utime + child.ru_stime

for name in json.load(sys.stdin):
    path, started, before = Path(name), time.monotonic(), used()
    password = "canary" if "password" in name and not path.name.startswith("no-") else None
    answer = {"name": path.name, "error": "", "classes": [], "message": "", "rows": 0}
    try:
        source = open_source(path, password=password)
        for batch in source.batches([column.name for column in source.columns]):
            answer["rows"] += batch.cells.num_rows
        answer["message"] = " ".join(source.notes)
    except CasehavenError as error:
        answer |= {"error": type(error).__name__, "classes": [c.__name__ for c in type(error).__mro__], "message": str(error)}
    answer["seconds"] = time.monotonic() - started
    answer["cpu"] = used() - before
    answer["mebibytes"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What became of the corpus."""

    answers: dict[str, dict[str, Any]]
    spoken: str
    left: list[str]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Open the whole corpus in one process with a folder for temporary files of its own."""
    folder, temporary = tmp_path_factory.mktemp("corpus"), tmp_path_factory.mktemp("temporary")
    paths = []
    for file, make, _, _ in CORPUS.values():
        (folder / file).write_bytes(make())
        paths.append(str(folder / file))
    run = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        cwd=temporary,
    )
    answers = {answer["name"]: answer for answer in map(json.loads, run.stdout.splitlines())}
    for path in paths:
        Path(path).unlink()
    left = [str(path) for place in (folder, temporary) for path in place.rglob("*")]
    return Outcomes(answers=answers, spoken=run.stdout + run.stderr, left=left)


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_file_is_refused_with_what_to_do_or_read_within_bounds(name: str, outcomes: Outcomes) -> None:
    file, _, error, says = CORPUS[name]
    answer = outcomes.answers[file]
    assert answer["cpu"] < SECONDS  # of the processor: the clock on the wall also counts what else the machine does
    assert answer["seconds"] < 30 * SECONDS  # nobody waits for what never comes
    assert answer["mebibytes"] < MEBIBYTES
    if error:
        assert set(error.split("|")) & set(answer["classes"]), answer
        assert says in answer["message"]
        assert answer["message"].startswith(f"{file}: ")
    else:
        assert not answer["error"], answer
        assert answer["rows"] >= 1


def test_no_hostile_file_shows_a_cell_in_a_message_or_leaves_a_file(outcomes: Outcomes) -> None:
    assert len(outcomes.answers) == len(CORPUS)
    for part in CANARY.split():
        assert part not in outcomes.spoken
    assert "Traceback" not in outcomes.spoken
    assert outcomes.left == []


def test_any_damage_to_a_parquet_file_gets_an_answer(tmp_path: Path) -> None:
    """Its decoder is no code of ours, so it is tried where it runs: in the process with bounds. Half of the damage falls on the footer."""
    whole = _parquet({"name": [f"{CANARY} {n % 7}" for n in range(300)], "age": list(range(300))})
    draw, read = random.Random(7), 0
    for number in range(24):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(data)) if number % 2 else len(data) - 1 - draw.randrange(len(data) // 2)
            data[at] = draw.randrange(256)
        path = tmp_path / f"damaged-{number}.parquet"
        path.write_bytes(data)
        try:
            source = open_source(path)
            read += sum(len(batch.rows) for batch in source.batches([column.name for column in source.columns]))
        except CaseFileError as error:
            assert not any(part in str(error) for part in CANARY.split())
    assert read % 300 == 0, "a file is read whole or refused"


# --- the command ------------------------------------------------------------------------------------------------------------

_HOUSE = "token,mayRelease,mayCare,mayCount,mayPool,year,gender,age,means"
_GOOD = "".join(f"p{n:05d},yes,yes,yes,yes,2020,woman,22,threats\n" for n in range(5_000))

LATE: dict[str, bytes] = {
    "late-row.csv": f"{_HOUSE}\n{_GOOD}{CANARY},yes,yes\n".encode(),
    "late-quote.csv": f'{_HOUSE}\n{_GOOD}"{CANARY},yes,yes,yes,yes,2020,woman,22,threats\n'.encode(),
    "late-bytes.csv": f"{_HOUSE}\n{_GOOD}".encode()
    + "Канарейка".encode("cp1251")
    + b",yes,yes,yes,yes,2020,woman,22,threats\n",
    "late-bomb.zip": _zip({"cases.csv": f"{_HOUSE}\n{_GOOD}".encode() + b"a" * (64 << 20)}),
    "late-end.json": json.dumps(
        [dict(zip(_HOUSE.split(","), line.split(","), strict=True)) for line in _GOOD.splitlines()]
        + [{"token": CANARY}]
    ).encode()[:-2],
}
"""Files whose first 5,000 records are good."""


@pytest.mark.parametrize("name", LATE)
def test_of_a_file_that_turns_hostile_at_its_end_nothing_is_stored(house: SafeHouse, name: str) -> None:
    path = house.folder / name
    path.write_bytes(LATE[name])
    schema = _schema(house)
    before = _kept(house)
    result = house.run("intake", path, "--organisation", "north", "--dataset", "cases", "--schema", schema, "--yes")
    assert result.exit_code == 1, result.output
    assert name in result.output
    for part in CANARY.split():
        assert part not in result.output
    assert house.open().dataset("north", "cases").version == 0
    assert _kept(house) == before


def test_of_the_same_records_without_that_end_all_are_stored(house: SafeHouse) -> None:
    path = house.folder / "good.csv"
    path.write_text(f"{_HOUSE}\n{_GOOD}", encoding="utf-8")
    result = house.run(
        "intake", path, "--organisation", "north", "--dataset", "cases", "--schema", _schema(house), "--yes"
    )
    assert result.exit_code == 0, result.output
    assert house.open().dataset("north", "cases").version == 1


def _schema(house: SafeHouse) -> Path:
    path = house.folder / "house.json"
    path.write_bytes(house.open().dataset("north", "cases").schema.canonical())
    return path


def _kept(house: SafeHouse) -> list[str]:
    """Names of all files beside and below the vault, the sealed chunks among them; locks are empty files."""
    return sorted(
        str(path.relative_to(house.folder))
        for path in house.folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )
