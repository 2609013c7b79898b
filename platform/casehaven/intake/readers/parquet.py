"""Parquet files, as programs write them: typed columns under names that nobody typed by hand.

The footer is read first; what it states is held against the bounds before a page is read. Pages carry check sums where the writer made them. A column of lists is one
of several values; a nested one is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from casehaven.intake.errors import FileKindError, HeaderError
from casehaven.intake.readers.errors import DamagedFileError, TooLargeError
from casehaven.intake.sandbox.clean import clean_cells
from casehaven.intake.sandbox.columns import joined
from casehaven.intake.sandbox.headers import clean_name
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.source import SourceBatch, SourceColumn, SourceTable, Tool

MARK = b"PAR1"
_BATCH_ROWS = 1 << 14


def open_parquet(path: Path, limits: Limits) -> SourceTable:
    """Say what a Parquet file holds.

    Raises:
        CaseFileError: damaged, too large, or with columns that are no cells.
    """
    with _opened(path) as file:
        schema, about = file.schema_arrow, file.metadata
    unpacked = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
    for what, found, most in (
        ("bytes", path.stat().st_size, limits.file_bytes),
        ("rows", about.num_rows, limits.rows),
        ("columns", len(schema.names), limits.columns),
        ("bytes once unpacked", unpacked, limits.decompressed_bytes),
    ):
        if found > most:
            raise TooLargeError(f"{path.name}: more than {most:,} {what}; split it into smaller files")
    names = [clean_name(name) for name in schema.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not all(names):
        what = f"names a column twice: {', '.join(twice)}" if twice else "has a column without a name"
        raise HeaderError(f"{path.name}: the file {what}; give each column a name of its own")
    for field, name in zip(schema, names, strict=True):
        inner = field.type.value_type if _is_list(field.type) else field.type
        if pa.types.is_nested(inner) or (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
            raise FileKindError(
                f"{path.name}: column {name} holds no text, number, date or list of them; leave it out of the export"
            )
    columns = tuple(
        SourceColumn(name=name, multiple=_is_list(field.type)) for name, field in zip(names, schema, strict=True)
    )
    originals = dict(zip(names, schema.names, strict=True))

    def read(wanted: Sequence[str]) -> Iterator[SourceBatch]:
        with _opened(path) as file:
            first = 1
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=[originals[name] for name in wanted]):
                arrays = [_texts(batch.column(originals[name]), path, limits) for name in wanted]
                cells = pa.RecordBatch.from_arrays(arrays, names=list(wanted))
                yield SourceBatch(rows=np.arange(first, first + batch.num_rows), cells=cells)
                first += batch.num_rows

    return SourceTable(path=path, tool=Tool.PARQUET, columns=columns, notes=(), record_key=None, read=read)


def _texts(array: pa.Array, path: Path, limits: Limits) -> pa.Array:
    if _is_list(array.type):
        cells = [
            joined(clean_cells(["" if value is None else _text(value) for value in values or ()]))
            for values in array.to_pylist()
        ]
    elif pa.types.is_dictionary(array.type):
        return _texts(array.dictionary_decode(), path, limits)
    elif pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        cells = list(clean_cells([cell or "" for cell in array.to_pylist()]))
    elif pa.types.is_floating(array.type):
        cells = ["" if value is None or isnan(value) else _text(value) for value in array.to_pylist()]
    elif pa.types.is_temporal(array.type) or pa.types.is_boolean(array.type):
        cells = ["" if value is None else _text(value) for value in array.to_pylist()]
    else:
        cells = pc.fill_null(pc.cast(array, pa.string()), "").to_pylist()
    if max(map(len, cells), default=0) > limits.cell_length:
        raise TooLargeError(f"{path.name}: more than {limits.cell_length:,} characters in one cell; shorten it")
    return pa.array(cells, pa.string())


def _text(value: object) -> str:
    """Return a value as people write it: 12 for 12.0, ISO dates, true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open the file; say what is wrong whatever the library raises, but faults of the disk stay what they are."""
    damaged = DamagedFileError(f"{path.name}: damaged or not a Parquet file; export it again")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, UnicodeDecodeError):
        raise damaged from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise damaged from None  # a page that cannot be decoded
