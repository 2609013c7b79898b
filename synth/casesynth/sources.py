"""Where raw records come from: a frame, a Parquet file, or a function that starts a stream of batches.

1. Records are read twice: once before the charge, to check that they can be read, and once after it, to count people (privacy rule 14).
   Both times one batch at a time, so that what is held does not depend on how many there are.
2. The first reading looks at structure and at person keys alone; no other cell is read.
3. A file that changed between the two readings is refused. What a function streams is the caller's to keep the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from casesynth.encode import as_table, check_columns, person_tokens
from casesynth.errors import CasesynthError
from casesynth.persons import DistinctTokens, PeopleCapError, PersonKeyError, first_without_token

BATCH_ROWS = 1 << 17
"""Records read at a time."""

Records: TypeAlias = pd.DataFrame | pa.Table | pa.RecordBatch | Path | str | Callable[[], Iterable[pa.RecordBatch]]
"""Raw records: a frame, the path of a Parquet file, or a function that starts a stream of record batches whenever it is called."""


class RecordsFileError(CasesynthError):
    """A file of records that is not there, is no Parquet file, or changed while it was in use."""


class RecordSource(Protocol):
    """Raw records that can be read again and again, batch by batch."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the records; columns that are not asked for may be there."""
        ...

    def fingerprint(self) -> str:
        """Return something that changes when the records do, or nothing where that cannot be told."""
        ...


def source_of(records: Records) -> RecordSource:
    """Return raw records of any accepted kind as a source.

    Raises:
        RecordsFileError: a path that is no Parquet file.
    """
    if isinstance(records, str | Path):
        return _parquet_file(Path(records))
    if isinstance(records, pd.DataFrame | pa.Table | pa.RecordBatch):
        return _FrameSource(table=as_table(records))
    if callable(records):
        return _StreamSource(start=records)
    raise TypeError(f"records must be a frame, a path or a function that starts a stream, got {type(records).__name__}")


def check_records(source: RecordSource, names: Sequence[str], *, person: str | None, people_cap: int) -> None:
    """Refuse, before the charge, records that could not be read after it.

    Args:
        source: the records.
        names: columns that will be read, the person key among them.
        person: column with the person token; None where each record is one person.
        people_cap: public bound on the number of people.

    Raises:
        UnknownColumnError, RepeatedColumnError, ColumnTypeError: a column cannot be read.
        PersonKeyError: a record has no person key; names its row.
        PeopleCapError: there are more people than people_cap.
        RecordsFileError: the file is damaged.
    """
    distinct, rows = DistinctTokens(), 0
    for batch in source.batches(names):
        check_columns(batch, names)
        if person is not None:
            tokens = person_tokens(batch.column(person), person)
            place = first_without_token(tokens)
            if place is not None:
                raise PersonKeyError(
                    f"record {rows + place + 1} has no person key; give each person a key, or declare EACH_ROW"
                )
            distinct.add(tokens)
        rows += batch.num_rows
        if (rows if person is None else distinct.at_least) > people_cap:
            break
    if (rows if person is None else len(distinct)) > people_cap:
        raise PeopleCapError(f"the records are of more than {people_cap} people, the people_cap that was declared")


@dataclass(frozen=True, kw_only=True)
class _FrameSource:
    """A table in memory."""

    table: pa.Table

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        for start in range(0, max(self.table.num_rows, 1), BATCH_ROWS):
            yield self.table.slice(start, BATCH_ROWS)

    def fingerprint(self) -> str:
        return ""


@dataclass(frozen=True, kw_only=True)
class _StreamSource:
    """A function that starts a stream of batches."""

    start: Callable[[], Iterable[pa.RecordBatch]]

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        for batch in self.start():
            yield from _FrameSource(table=as_table(batch)).batches(columns)

    def fingerprint(self) -> str:
        return ""


@dataclass(frozen=True, kw_only=True)
class _ParquetSource:
    """A Parquet file; only the columns asked for are read."""

    path: Path

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        try:
            with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
                yield file.schema_arrow.empty_table()
                wanted = [name for name in file.schema_arrow.names if name in set(columns)]
                for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                    yield pa.Table.from_batches([batch])
        except (pa.ArrowException, UnicodeDecodeError):  # their messages may quote a cell
            raise RecordsFileError(f"{self.path.name}: damaged or not a Parquet file") from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise RecordsFileError(f"{self.path.name}: damaged or not a Parquet file") from None

    def fingerprint(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _parquet_file(path: Path) -> _ParquetSource:
    if not path.is_file():
        raise RecordsFileError(f"{path.name}: there is no such file")
    return _ParquetSource(path=path)
