"""The forms in which a published release is downloaded: records and aggregates as CSV, Parquet, XLSX and JSON, each also with a row of HXL tags.

1. They are made once, from the signed bundle, when it is published; a request makes nothing. The bundle is what is signed: each form's size and SHA-256 are in the record, and the record's manifest digest in the signed log.
2. Text that a spreadsheet would take for a formula has a `'` in front, in CSV and in XLSX; no cell of a workbook is a formula or a link.
3. A workbook is made up to `XLSX_CELLS` cells, and never beyond what spreadsheets open; a larger table has no workbook, and its record says so by not listing one.
4. With tags, CSV and XLSX have a row of tags below the heads; JSON is a list of rows, heads and tags first, as HXL writes it; Parquet has the tag in each field's metadata under `hxl`, because its columns have types.
5. The folder is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter  # type: ignore[import-untyped]  # ships no types

from casehaven.registry.hxl import aggregate_tags, record_tags
from casesynth._files import sync_folder
from casesynth.tables import safe_cell

Table = Literal["records", "aggregates"]
Format = Literal["csv", "parquet", "xlsx", "json"]

FORMATS: Final[tuple[Format, ...]] = ("csv", "parquet", "xlsx", "json")
STEMS: Final[dict[Table, str]] = {"records": "synthetic", "aggregates": "aggregates"}
"""Name of the table's files in a bundle."""

XLSX_CELLS: Final = 2_000_000
XLSX_ROWS: Final = 1_048_576
"""Rows of a sheet, heads and tags included."""

_BATCH: Final = 10_000

About = Sequence[tuple[str, str]]
"""Heads and texts of the sheet that says what a workbook is."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file of the folder."""

    name: str
    """Such as `records.csv`, or `records.hxl.csv` with tags."""
    table: Table
    format: Format
    hxl: bool
    rows: int
    """Of data: a number that is public, because the table is."""
    size: int
    """Bytes."""
    sha256: str

    def document(self) -> dict[str, Any]:
        """Return it as a record lists it."""
        return asdict(self)


def file_name(table: str, form: str, *, hxl: bool) -> str:
    """Return the name of a file of the folder.

    >>> file_name("records", "csv", hxl=True)
    'records.hxl.csv'
    """
    return f"{table}.hxl.{form}" if hxl else f"{table}.{form}"


def make_downloads(
    bundle: Path,
    folder: Path,
    about: About,
    tick: Callable[[], None],
    *,
    xlsx_cells: int = XLSX_CELLS,
    also: Callable[[Path], None] = lambda _: None,
) -> list[Download]:
    """Make every form of a verified bundle in a new folder, in the place of what was there.

    Args:
        bundle: verified.
        folder: of the forms.
        about: what a workbook says of itself.
        tick: is called between two files.
        xlsx_cells: the most cells of a workbook.
        also: makes further files in the folder, before it is there.

    Raises:
        OSError: the disk is full, or a file of the bundle cannot be read.
    """
    work = folder.with_name(f".{folder.name}.work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        made = [each for table in STEMS for each in _of_table(bundle, work, table, about, tick, xlsx_cells)]
        also(work)
        sync_folder(work)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(work, folder)
        sync_folder(folder.absolute().parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return made


def _of_table(
    bundle: Path, work: Path, table: Table, about: About, tick: Callable[[], None], xlsx_cells: int
) -> Iterator[Download]:
    stem = STEMS[table]
    source = bundle / f"{stem}.parquet"
    with pq.ParquetFile(source) as file:
        schema, rows = file.schema_arrow, int(file.metadata.num_rows)
    columns = list(schema.names)
    tags = record_tags(columns) if table == "records" else aggregate_tags(columns)
    for form in FORMATS:
        for hxl in (False, True):
            tick()
            path = work / file_name(table, form, hxl=hxl)
            if form == "csv":
                _csv(bundle / f"{stem}.csv", path, tags if hxl else None)
            elif form == "parquet":
                _parquet(source, path, tags if hxl else None)
            elif form == "json":
                _json(source, path, columns, tags if hxl else None)
            elif (rows + 2) > XLSX_ROWS or (rows + 2) * len(columns) > xlsx_cells:  # rule 3
                continue
            else:
                _xlsx(source, path, table, columns, tags if hxl else None, about)
            with path.open("rb") as written:
                digest = hashlib.file_digest(written, "sha256").hexdigest()
                os.fsync(written.fileno())
            yield Download(
                name=path.name, table=table, format=form, hxl=hxl, rows=rows, size=path.stat().st_size, sha256=digest
            )


def _csv(source: Path, path: Path, tags: Sequence[str] | None) -> None:
    """Copy the bundle's own CSV, which is guarded; the row of tags comes after the first line."""
    with source.open("rb") as read, path.open("wb") as write:
        write.write(read.readline())
        if tags is not None:
            write.write((",".join(tags) + "\r\n").encode("ascii"))
        shutil.copyfileobj(read, write)


def _parquet(source: Path, path: Path, tags: Sequence[str] | None) -> None:
    if tags is None:
        shutil.copyfile(source, path)
        return
    table = pq.read_table(source)
    fields = [
        field.with_metadata({**(field.metadata or {}), b"hxl": tag.encode("ascii")})
        for field, tag in zip(table.schema, tags, strict=True)
    ]
    tagged = table.cast(pa.schema(fields, metadata=table.schema.metadata))
    pq.write_table(tagged, path, compression="zstd")


def _rows(source: Path) -> Iterator[list[Any]]:
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(batch_size=_BATCH):
            yield from (list(row) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _json(source: Path, path: Path, columns: Sequence[str], tags: Sequence[str] | None) -> None:
    heads = [] if tags is None else [list(columns), list(tags)]
    with path.open("w", encoding="utf-8", newline="\n") as write:
        write.write("[")
        first = True
        for row in (*heads, *_rows(source)) if tags is not None else _rows(source):
            shown = row if tags is not None else dict(zip(columns, row, strict=True))
            write.write("\n" if first else ",\n")
            write.write(json.dumps(shown, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
            first = False
        write.write("\n]\n")


def _xlsx(
    source: Path, path: Path, table: Table, columns: Sequence[str], tags: Sequence[str] | None, about: About
) -> None:
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        sheet = book.add_worksheet(table)
        heads = [list(columns)] if tags is None else [list(columns), list(tags)]
        for number, row in enumerate((*heads, *_rows(source))):
            for place, cell in enumerate(row):
                if isinstance(cell, bool):
                    sheet.write_boolean(number, place, cell)
                elif isinstance(cell, int | float):
                    sheet.write_number(number, place, cell)
                elif cell:
                    sheet.write_string(number, place, safe_cell(str(cell)))
        sheet.freeze_panes(len(heads), 0)
        notes = book.add_worksheet("about")
        for number, (head, text) in enumerate(about):
            notes.write_string(number, 0, safe_cell(head))
            notes.write_string(number, 1, safe_cell(text))
        notes.set_column(0, 0, 20)
        notes.set_column(1, 1, 100)
