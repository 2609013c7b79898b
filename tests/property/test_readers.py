"""Whatever a program writes is read as it was written, and whatever bytes come, there is an answer."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence

import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it ships no types
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from casehaven.intake.sandbox.child import answer
from casehaven.intake.sandbox.clean import clean_cell, clean_cells
from casehaven.intake.sandbox.columns import joined
from casehaven.intake.sandbox.contents import Contents
from casehaven.intake.sandbox.frames import HEADER, FrameWriter
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.sandbox.request import Request
from casehaven.intake.sandbox.source_plan import source_of

LIMITS = Limits(rows=5_000, columns=200, cell_length=5_000, decompressed_bytes=8 << 20, ratio_from=1 << 20)
CELLS = st.text(st.characters(codec="utf-8"), max_size=12)
TABLES = st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def _field_size() -> Iterator[None]:
    """Give the csv module its bound back: the parsing process sets its own."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)


def _names(width: int) -> list[str]:
    return [f"question {letter}" for letter in "ABCDE"[:width]]


def _read(data: bytes, request: Request | None = None) -> list[list[str]]:
    """Return the records, as the parsing process would say them."""
    source = source_of(Contents(io.BytesIO(data), request or Request(do="read", limits=LIMITS)), Request(do="read"))
    rows = [cells for _, cells in source.rows]
    if not rows:
        return []
    block = list(zip(*rows, strict=True))
    return [list(row) for row in zip(*(column.make(block) for column in source.columns), strict=True)]


def _expected(table: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return what a table is once cleaned: rows without text are no records."""
    cleaned = [[clean_cell(cell) for cell in row] for row in table]
    return [row for row, raw in zip(cleaned, table, strict=True) if any(cell.strip() for cell in raw)]


@MANY
@given(
    TABLES,
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_the_csv_module_writes_is_read_back(table: list[list[str]], mark: str, encoding: str, end: str) -> None:
    width = max(map(len, table), default=2)
    assume(width > 1)
    assume(not _counts_or_tags(table))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=mark, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([_names(width), *table])
    data = out.getvalue().encode(encoding)
    assume(not data.startswith((b"PK", b"PAR1")))
    assert _read(data) == _expected(table)


@MANY
@given(st.lists(st.lists(CELLS | st.integers(-(10**14), 10**14), min_size=2, max_size=2), max_size=8))
def test_what_a_workbook_shows_is_read_back(table: list[list[str | int]]) -> None:
    texts = [[str(cell) for cell in row] for row in table]
    assume(not _counts_or_tags(texts))
    # xlsxwriter writes a lone surrogate or a control character as an escape; expat has no way to say U+FFFE and U+FFFF
    assume(not any(re.search("[\ufffe\uffff]|_x", cell) for row in texts for cell in row))
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        rows: list[list[str | int]] = [[*_names(2)], *table]
        for number, row in enumerate(rows):
            for place, cell in enumerate(row):
                sheet.write_number(number, place, cell) if isinstance(cell, int) else sheet.write_string(
                    number, place, cell
                )
    assert _read(out.getvalue()) == _expected(texts)


@MANY
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["name", "age", "means", "place/town"]),
            CELLS | st.none() | st.booleans() | st.lists(CELLS, max_size=3),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_the_json_module_writes_is_read_back(documents: list[dict[str, object]]) -> None:
    assume(any(documents))
    names = list(dict.fromkeys(name for document in documents for name in document))
    lists = {name for document in documents for name, value in document.items() if isinstance(value, list) and value}
    expected = [[_json_cell(document.get(name), name in lists) for name in names] for document in documents]
    for data in (
        json.dumps(documents),
        json.dumps(documents, ensure_ascii=False, indent=1),
        json.dumps({"count": 1, "results": documents}),
    ):
        assert _read(data.encode()) == expected


def _json_cell(value: object, listed: bool) -> str:
    if isinstance(value, list):
        text = ";".join(item.replace(";", ",") for item in value if item)
    else:
        text = {None: "", True: "true", False: "false"}.get(value, str(value)) if not isinstance(value, str) else value  # type: ignore[call-overload]  # keys of three types
    text = clean_cell(text)
    return joined(part.strip() for part in text.split(";")) if listed else text


def _counts_or_tags(table: Sequence[Sequence[str]]) -> bool:
    """Tell of tables that are read by another rule: running numbers, tags under the header, a header too short to tell."""
    first = [row[0].strip() for row in table if row and row[0].strip()]
    return bool(first) and (
        all(cell.isdigit() for cell in first) or all(cell.startswith("#") for cell in table[0] if cell.strip())
    )


@MANY
@given(st.lists(CELLS))
def test_cleaning_is_the_same_for_one_cell_and_for_many_and_done_once(cells: list[str]) -> None:
    cleaned = list(clean_cells(cells))
    assert cleaned == [clean_cell(cell) for cell in cells]
    for cell in cleaned:
        assert "\x00" not in cell
        assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\u00ad\n\r\t]", cell)
        assert cell == cell.strip()


SEEDS = [
    b"a,b\n1,2\n",
    b'a;b\n"1";"x"\n',
    b'[{"a": 1, "b": ["x", {"c": null}]}]',
    b'{"results": [{"_id": 1}]}',
    b"PK\x05\x06" + bytes(18),
    "a,b\n1,ü\n".encode("utf-16"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"<html>",
]


def spoken(data: bytes) -> bytes:
    """Return the frames that the parsing process would write about some bytes; the pipe is emptied as it fills."""
    path = os.memfd_create("frames")
    try:
        request = Request(do="describe", limits=LIMITS, password="x")
        answer(lambda: Contents(io.BytesIO(data), request), request, FrameWriter(path))
        os.lseek(path, 0, os.SEEK_SET)
        return os.read(path, 1 << 24)
    finally:
        os.close(path)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6)), max_size=6),
    st.binary(max_size=40),
)
def test_any_bytes_get_an_answer(seed: bytes, edits: list[tuple[int, bytes]], tail: bytes) -> None:
    data = bytearray(seed + tail)
    for place, piece in edits:
        at = place % (len(data) + 1)
        data[at : at + len(piece)] = piece
    kind, _ = HEADER.unpack_from(spoken(bytes(data)))
    assert kind in (b"H", b"F")


def _workbook() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for row in range(5):
            sheet.write_row(row, 0, ["name", "age", row])
    return out.getvalue()


BOOK = _workbook()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(BOOK)), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_any_damage_to_a_workbook_gets_an_answer(edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(BOOK)
    for at, piece in edits:
        data[at : at + len(piece)] = piece
    kind, _ = HEADER.unpack_from(spoken(bytes(data)))
    assert kind in (b"H", b"F")
