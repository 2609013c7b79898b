"""Files of made-up case records: CSV or Parquet by suffix, one or one per organisation.

1. A file appears whole or not at all: it is written under a hidden name in the same folder, flushed to the disk and then renamed. After an
   error or an interrupt nothing of it is left, and a file that was there before is untouched.
2. An existing file is only replaced where the caller says so: it might hold real case records.
3. Rows are written in groups of a fixed size that does not depend on the number of people, so memory is bounded.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from casehaven.generate.errors import ExistingFileError, OutputError, RequestError
from casehaven.generate.records import LARGEST_PEOPLE, RecordMaker, chunk_sizes
from caseschemas import CaseSchema

__all__ = ["SUFFIXES", "organisation_paths", "write_records"]

SUFFIXES = (".csv", ".parquet")
"""What can be written."""

_GROUP_ROWS = 262_144
_QUOTED = frozenset('",\r\n')


class _Format(Protocol):
    def write(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class _Csv:
    """Comma-separated, UTF-8, a header, line feeds; quotes only where a schema has a value that needs them."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema, *, quoted: bool) -> None:
        names = (f'"{name.replace(chr(34), chr(34) * 2)}"' if set(name) & _QUOTED else name for name in schema.names)
        sink.write((",".join(names) + "\n").encode("utf-8"))
        self._sink = sink
        self._options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed" if quoted else "none")

    def write(self, table: pa.Table) -> None:
        pyarrow.csv.write_csv(table, self._sink, self._options)

    def close(self) -> None:
        """Nothing is held back."""

    def abandon(self) -> None:
        """Nothing is held back."""


class _Parquet:
    """Dictionary-encoded columns; texts that never repeat are written plain."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema) -> None:
        listed = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        self._writer = pyarrow.parquet.ParquetWriter(
            sink, schema, compression="zstd", compression_level=1, use_dictionary=listed or False
        )

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=len(table))

    def close(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        self._writer.is_open = False  # or its finaliser writes the footer of a file that is gone


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One file on its way."""

    path: Path
    """Where it will appear."""
    hidden: Path
    """Where it is until then."""
    sink: BinaryIO
    """Open for writing."""
    format: _Format
    """Turns tables into bytes."""
    waiting: list[pa.RecordBatch]
    """Batches that do not fill a group yet."""

    def add(self, batch: pa.RecordBatch, *, last: bool) -> None:
        """Take a batch; write the group when it is full or the file ends."""
        if len(batch):
            self.waiting.append(batch)
        if self.waiting and (last or sum(map(len, self.waiting)) >= _GROUP_ROWS):
            self.format.write(pa.Table.from_batches(self.waiting))
            self.waiting.clear()

    def finish(self) -> None:
        """Put every byte on the disk."""
        self.format.close()
        self.sink.flush()
        os.fsync(self.sink.fileno())
        self.sink.close()


def organisation_paths(path: Path, organisations: int | None) -> tuple[Path, ...]:
    """Return the files to write.

    >>> [str(one) for one in organisation_paths(Path("cases.csv"), 2)]
    ['cases-1.csv', 'cases-2.csv']
    """
    if organisations is None:
        return (path,)
    return tuple(path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, organisations + 1))


def write_records(
    schema: CaseSchema,
    people: int,
    seed: int,
    path: Path,
    *,
    organisations: int | None = None,
    replace: bool = False,
    progress: Callable[[int], None] | None = None,
) -> tuple[Path, ...]:
    """Write made-up case records and return the files.

    Args:
        schema: what a case record holds.
        people: number of people over all files.
        seed: whole number from 0.
        path: where to; the suffix decides the format.
        organisations: number of organisations, one file each (``stem-1``, ``stem-2``, ...); None for one file at ``path``.
        replace: whether files that exist may be replaced.
        progress: called with the number of people done since the last call.

    Raises:
        RequestError: an argument is out of range.
        ExistingFileError: a file exists and ``replace`` was not given.
        OutputError: a file could not be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise RequestError(f"{path}: suffix {path.suffix!r} is not written, expected one of {', '.join(SUFFIXES)}")
    if not 0 <= people <= LARGEST_PEOPLE:
        raise RequestError(f"people ({people}) must be 0 to {LARGEST_PEOPLE}")
    maker = RecordMaker(schema, seed, organisations=1 if organisations is None else organisations)
    paths = organisation_paths(path, organisations)
    for one in paths:
        if one.is_dir():
            raise OutputError(f"{one}: is a folder, expected the name of a file")
        if one.exists() and not replace:
            raise ExistingFileError(f"{one}: exists already and might hold real case records; nothing was written")
    made_up = {
        "casehaven": "made-up case records",
        "schema": schema.id,
        "schema_version": schema.version,
        "seed": str(seed),
    }
    try:
        with ExitStack() as stack:
            parts = [_open(stack, one, suffix, maker.schema.with_metadata(made_up), maker.quoted) for one in paths]
            for chunk, size in chunk_sizes(people):
                last = (chunk + 1) * maker.chunk_people >= people
                for part, batch in zip(parts, maker.batches(chunk, size), strict=True):
                    part.add(batch.replace_schema_metadata(made_up), last=last)
                if progress is not None:
                    progress(size)
            for part in parts:
                part.finish()
            for part in parts:
                os.replace(part.hidden, part.path)
            _flush_folder(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: could not be written: {error.strerror or error}; nothing of it was left") from error
    return paths


def _open(stack: ExitStack, path: Path, suffix: str, schema: pa.Schema, quoted: bool) -> _Part:
    """Open a hidden file that disappears unless it has been renamed when the stack unwinds."""
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    stack.callback(hidden.unlink, missing_ok=True)
    sink: Any = stack.enter_context(open(hidden, "xb", buffering=1 << 20))  # noqa: SIM115 - the stack closes it
    form: _Format = _Csv(sink, schema, quoted=quoted) if suffix == ".csv" else _Parquet(sink, schema)
    stack.callback(form.abandon)
    return _Part(path=path, hidden=hidden, sink=sink, format=form, waiting=[])


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
