"""Case records of one schema as case records of another: frames in, frames out, and whole files.

1. Work is done on each distinct cell once, then on positions; `CaseMapping.record` says the same record by record, slowly.
2. A mapped file holds case records like the one it was made from: only its owner may read it, an existing file is never replaced unless asked, and a file
   is there whole or not at all.
3. Nothing is said about the records: no count, no cell.
4. In CSV a cell that a spreadsheet would take for a formula has a `'` in front (threat 20).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from casehaven.intake.errors import ExistingMappedFileError, FileKindError, MissingColumnsError
from casehaven.intake.files import CaseFile, open_case_file
from caseschemas import CaseMapping, ColumnMapping, SchemaAttribute
from casesynth.encode import as_table, text_column
from casesynth.tables import safe_cell

__all__ = ["map_file", "map_frame"]

Frame = TypeVar("Frame", pd.DataFrame, pa.Table, pa.RecordBatch)
Positions = NDArray[np.int32]

_SUFFIXES = (".csv", ".parquet")


class _Cells:
    """The source columns of one frame as indices into their distinct cells, read once each; an absent identifier is empty."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._read: dict[str, tuple[NDArray[np.int64], list[str]]] = {}

    def column(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """Return each record's index into the distinct cells, and those."""
        if name not in self._read:
            if name in self._table.column_names:
                encoded = text_column(self._table.column(name), name)
                cells = [cell or "" for cell in encoded.dictionary.to_pylist()]
                indices = encoded.indices.cast(pa.int64()).fill_null(len(cells))
                self._read[name] = np.asarray(indices), [*cells, ""]
            else:
                self._read[name] = np.zeros(self._table.num_rows, np.int64), [""]
        return self._read[name]


def map_frame(frame: Frame, mapping: CaseMapping) -> Frame:
    """Map case records.

    Args:
        frame: raw cells of the source schema; columns that the mapping does not read are ignored.
        mapping: what becomes of them.

    Returns:
        A frame of the same kind with every column of the target schema, as text, in its order; records that stay behind are gone.

    Raises:
        MissingColumnsError: a needed column is absent; names it.
        ColumnTypeError: a column cannot be read as text; names it.
    """
    mapped = _mapped(as_table(frame), mapping)
    if isinstance(frame, pd.DataFrame):
        out: pd.DataFrame = mapped.to_pandas()
        return out
    if isinstance(frame, pa.RecordBatch):
        return mapped.combine_chunks().to_batches()[0] if mapped.num_rows else _empty(mapped.schema)
    return mapped


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _mapped(table: pa.Table, mapping: CaseMapping) -> pa.Table:
    absent = sorted(set(mapping.needed) - set(table.column_names))
    if absent:
        raise MissingColumnsError(f"columns missing: {', '.join(absent)}; the mapping {mapping.id} reads them")
    cells = _Cells(table)
    held: dict[str, Positions] = {}
    texts: dict[str, pa.Array] = {}
    for column in mapping.columns:
        attribute = mapping.target.attribute(column.to)
        if attribute.values:
            held[column.to] = _positions(cells, mapping, column, attribute)
        elif column.source is None:
            texts[column.to] = pa.repeat(pa.scalar("", pa.string()), table.num_rows)
        else:
            indices, distinct = cells.column(column.source)
            texts[column.to] = pa.array(distinct, pa.string()).take(pa.array(indices))
    _blank_forbidden(mapping, held)
    for name, positions in held.items():
        codes = pa.array([value.code for value in mapping.target.attribute(name).values], pa.string())
        texts[name] = codes.take(pa.array(positions))
    whole = pa.table({attribute.name: texts[attribute.name] for attribute in mapping.target.attributes})
    return whole.filter(pa.array(_goes_over(cells, mapping, table.num_rows)))


def _positions(cells: _Cells, mapping: CaseMapping, column: ColumnMapping, attribute: SchemaAttribute) -> Positions:
    """Return each record's position in the target's list."""
    indices, distinct = cells.column(column.source or "")
    if column.source is None:
        return np.full(len(indices), attribute.blank, np.int32)
    found = np.array([mapping.position(column, cell) for cell in distinct], np.int32)[indices]
    if column.rule == "age" and column.born is not None and column.at is not None:
        (births, born), (dates, at) = cells.column(column.born), cells.column(column.at)
        open_rows = np.flatnonzero(found == attribute.blank)
        pairs, places = np.unique(births[open_rows] * len(at) + dates[open_rows], return_inverse=True)
        ages = [mapping.age(column, born[pair // len(at)], at[pair % len(at)]) for pair in pairs.tolist()]
        found[open_rows] = np.array(ages, np.int32)[places]
    return found


def _blank_forbidden(mapping: CaseMapping, held: dict[str, Positions]) -> None:
    """Blank, in place, what the target's logic forbids in the mapped record; rules may build on each other."""
    target = mapping.target
    for _ in target.logic:
        for rule in target.logic:
            condition = target.attribute(rule.only_with.attribute)
            allowed = np.array([value.code in rule.only_with.codes for value in condition.values])[held[condition.name]]
            for name in rule.attributes:
                attribute = target.attribute(name)
                held[name][~allowed & (held[name] >= attribute.first_known)] = attribute.blank


def _goes_over(cells: _Cells, mapping: CaseMapping, records: int) -> NDArray[np.bool_]:
    """Return which records do not stay behind."""
    over = np.ones(records, np.bool_)
    for entry in mapping.leave_out:
        indices, distinct = cells.column(entry.attribute)
        over &= ~np.array([mapping.stays_behind(entry, cell) for cell in distinct], np.bool_)[indices]
    return over


def map_file(path: Path, mapping: CaseMapping, out: Path, *, replace: bool = False) -> None:
    """Map a case file of any length into another one, CSV or Parquet by suffix.

    Args:
        path: case file of the source schema; columns of that schema which the mapping does not read may be absent.
        mapping: what becomes of the records.
        out: where to.
        replace: whether an existing file at ``out`` is replaced.

    Raises:
        CaseFileError: the file cannot be read, or its header does not fit; names columns, never cells.
        ExistingMappedFileError: ``out`` is there and ``replace`` was not given.
        OSError: ``out`` cannot be written; nothing of it was left.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise FileKindError(f"{out.name}: expected a .csv or .parquet file, got {out.suffix or 'no suffix'}")
    if out.exists() and (not replace or out.samefile(path)):
        raise ExistingMappedFileError(f"{out}: exists already and might hold case records; nothing was written")
    file = open_case_file(path, mapping.source, needed=mapping.needed)
    schema = pa.schema([(attribute.name, pa.string()) for attribute in mapping.target.attributes])
    hidden = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    with ExitStack() as stack:
        stack.callback(hidden.unlink, missing_ok=True)
        handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        sink = stack.enter_context(os.fdopen(handle, "wb"))
        text = out.suffix.lower() == ".csv"
        writer: pacsv.CSVWriter | pq.ParquetWriter = (
            pacsv.CSVWriter(sink, schema) if text else pq.ParquetWriter(sink, schema)
        )
        with writer:
            for batch in _batches(file, mapping):
                table = pa.Table.from_batches([map_frame(batch, mapping)])
                writer.write_table(_guarded(table) if text else table)
        sink.flush()
        os.fsync(sink.fileno())
        os.replace(hidden, out)
    folder = os.open(out.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _guarded(table: pa.Table) -> pa.Table:
    """Return cells that no spreadsheet takes for a formula (rule 4)."""
    columns = []
    for column in table.columns:
        encoded = column.combine_chunks().dictionary_encode()
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        safe = [None if cell is None else safe_cell(cell) for cell in encoded.dictionary.to_pylist()]
        columns.append(pa.array(safe, pa.string()).take(encoded.indices))
    return pa.table(columns, schema=table.schema)


def _batches(file: CaseFile, mapping: CaseMapping) -> Iterator[pa.RecordBatch]:
    return file.batches([name for name in mapping.read if name in file.columns])
