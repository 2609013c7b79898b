"""One case file: CSV or Parquet, read in batches of text cells.

1. The header is checked against the schema before any row is read: names twice, names that the schema does not have, and names that
   are missing are refused, each by name.
2. A first row that holds few of the needed names is no header but may be a person's record: nothing of it is shown (privacy rule 23).
3. Rows are read batch by batch, the cells of CSV as text; what is held is one batch.
4. Every fault of a file shows on the first reading, which comes before the charge: a later one finds no column of another type and no text
   that is not UTF-8.
5. Library messages never reach the user: they quote cells.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from casehaven.intake.errors import (
    CaseFileError,
    EncodingError,
    FileKindError,
    HeaderError,
    MissingColumnsError,
    RaggedRowError,
    UnknownColumnsError,
)
from caseschemas import CaseSchema
from casesynth.encode import ColumnTypeError, check_columns

BATCH_ROWS = 1 << 17
_BLOCK_BYTES = 1 << 24
_HEADER_BYTES = 1 << 20
_SHOWN = 12
_SHOWN_LENGTH = 60
_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    """A case file whose header fits the schema."""

    path: Path
    columns: tuple[str, ...]
    """Header names in file order."""
    parquet: bool

    def digest(self) -> str:
        """Return the SHA-256 of the file as it is now, as hex."""
        return file_digest(self.path)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows as batches of cells, only the columns asked for.

        Raises:
            CaseFileError: the rows cannot be read; says where.
            ColumnTypeError: a column cannot be read as text; names file and column.
        """
        yield from self._parquet_batches(columns) if self.parquet else self._csv_batches(columns)

    def _parquet_batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with _parquet_faults(self.path), pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            self._check(file.schema_arrow.empty_table(), columns)
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
                self._check(pa.Table.from_batches([batch]), columns)
                yield batch

    def _check(self, table: pa.Table, columns: Sequence[str]) -> None:
        try:
            check_columns(table, columns)
        except ColumnTypeError as error:
            raise ColumnTypeError(f"{self.path.name}: {error}") from None

    def _csv_batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        ragged: list[tuple[int | None, int]] = []

        def refuse(row: pacsv.InvalidRow) -> str:
            ragged.append((row.number, row.actual_columns))
            return "error"

        convert = pacsv.ConvertOptions(
            column_types=dict.fromkeys(self.columns, pa.string()),
            include_columns=list(columns),
            strings_can_be_null=False,
            null_values=[],
        )
        parse = pacsv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse)
        read = pacsv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES)
        try:
            with pacsv.open_csv(self.path, read_options=read, parse_options=parse, convert_options=convert) as reader:
                yield from reader
        except pa.ArrowException:
            _refuse_encoding(self.path)
            if ragged:
                number, cells = ragged[0]
                where = f"row {number}" if number is not None else "a row"
                raise RaggedRowError(
                    f"{self.path.name}: {where} has {cells} cells, the header has {len(self.columns)}"
                ) from None
            raise FileKindError(f"{self.path.name}: not readable as CSV; a quote may be left open") from None


def open_case_file(
    path: Path, schema: CaseSchema, *, needed: Collection[str], ignored: Collection[str] = ()
) -> CaseFile:
    """Check the header of a case file.

    Args:
        path: a .csv or .parquet file.
        schema: what a case is.
        needed: columns that must be there.
        ignored: columns that the steward allows beside the schema's; they are not read.

    Raises:
        CaseFileError: the file is missing, of another kind, or its header does not fit; names every column concerned.
    """
    if not path.is_file():
        raise CaseFileError(f"{path}: there is no such file")
    parquet = path.suffix.lower() == ".parquet"
    if not parquet and path.suffix.lower() != ".csv":
        raise FileKindError(f"{path.name}: expected a .csv or .parquet file, got {path.suffix or 'no suffix'}")
    columns = _parquet_header(path) if parquet else _csv_header(path)
    if 2 * len(set(needed) & set(columns)) < len(set(needed)):
        examples = [attribute.name for attribute in schema.attributes if attribute.name in needed][:_EXAMPLES]
        what = "its columns are not those" if parquet else "the first row is not a header"
        raise HeaderError(f"{path.name}: {what} of {schema.id}; expected columns such as {', '.join(examples)}")
    if any(not name.strip() for name in columns):
        raise HeaderError(f"{path.name}: column {[*map(str.strip, columns)].index('') + 1} has no name")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise HeaderError(f"{path.name}: the header names a column twice: {_listed(twice)}")
    known = {attribute.name for attribute in schema.attributes}
    absent = sorted(set(needed) - set(columns))
    unknown = sorted(set(columns) - known - set(needed) - set(ignored))
    if absent:
        also = f"; it has columns that {schema.id} does not know: {_listed(unknown)}" if unknown else ""
        raise MissingColumnsError(f"{path.name}: columns missing: {_listed(absent)}{also}")
    if unknown:
        raise UnknownColumnsError(f"{path.name}: columns that {schema.id} does not have: {_listed(unknown)}")
    return CaseFile(path=path, columns=columns, parquet=parquet)


def unguarded(table: pa.Table) -> pa.Table:
    """Return a table without the `'` that stands before a cell which a spreadsheet would take for a formula.

    >>> unguarded(pa.table({"token": ["'-1", "'Awlaki", "-1"]})).column("token").to_pylist()
    ['-1', "'Awlaki", '-1']
    """
    for place, name in enumerate(table.column_names):
        column = table.column(name)
        if pa.types.is_string(column.type) and pc.any(pc.starts_with(column, "'")).as_py():
            table = table.set_column(place, name, pc.replace_substring_regex(column, r"^'([=+\-@\t\r|%])", r"\1"))
    return table


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as it is now, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _parquet_faults(path: Path) -> Iterator[None]:
    """Say what is wrong with a Parquet file, whatever the library raises; faults of the disk stay what they are."""
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError):
        raise FileKindError(f"{path.name}: damaged or not a Parquet file") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise FileKindError(f"{path.name}: damaged or not a Parquet file") from None  # a page that cannot be decoded


def _parquet_header(path: Path) -> tuple[str, ...]:
    with _parquet_faults(path):
        return tuple(pq.read_schema(path).names)


def _csv_header(path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    if not start.strip():
        raise HeaderError(f"{path.name}: the file is empty; expected a header row")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise EncodingError(f"{path.name}: UTF-16 text; expected UTF-8")
    try:
        with path.open(encoding="utf-8-sig", newline="", errors="strict") as text:
            header = tuple(next(csv.reader(text, strict=True)))
    except UnicodeDecodeError:
        _refuse_encoding(path)
        raise EncodingError(f"{path.name}: not UTF-8 text") from None
    except (csv.Error, StopIteration):
        raise HeaderError(f"{path.name}: the header row cannot be read") from None
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise HeaderError(f"{path.name}: cells are separated by another mark than the comma")
    return header


def _refuse_encoding(path: Path) -> None:
    """Say on which line a file stops being UTF-8, if it does."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                raise EncodingError(f"{path.name}: line {number} is not UTF-8 text") from None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(_cleaned(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _cleaned(name: str) -> str:
    """Return a name from a file as it may be printed: no control characters, and not long."""
    return "".join(character for character in name if character.isprintable())[:_SHOWN_LENGTH] or "(nothing printable)"
