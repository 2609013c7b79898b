"""Parquet files, as programs write them: typed columns under names that nobody typed by hand.

1. The decoder is that of `pyarrow`, inside the process with its bounds of memory and time; it is imported, and tried once on every kind of column, before the doors close (`prepare`).
2. What the file states of itself (length of the footer, rows, columns, unpacked bytes) is held against the bounds before a page is decoded. What it does not state
   truly is stopped by the bounds of the process. Pages carry check sums where the writer made them.
3. A column is cleaned by its distinct values: texts stay as a dictionary, as they lie in the file, and a value over the bound of a cell is refused before it is repeated.
4. A column of lists is one of several values; a nested one, or one of bytes, is refused by name.
5. Numbers are written as people do, 12 for 12.0; dates and times as ISO; a time with a zone as the clocks of that zone
   showed it, with the offset (`wall_clock`). A zone that nobody here knows is refused by name.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from typing import Any, BinaryIO, Final

from casehaven.intake.sandbox import wall_clock
from casehaven.intake.sandbox.clean import clean_cells
from casehaven.intake.sandbox.columns import joined
from casehaven.intake.sandbox.faults import FaultError, too_large
from casehaven.intake.sandbox.headers import clean_name
from casehaven.intake.sandbox.limits import Limits

__all__ = ["MARK", "ParquetRows", "prepare"]

MARK: Final = b"PAR1"
"""A Parquet file begins and ends with it."""

TextColumn = tuple[bytes, bytes]
"""Offsets of four bytes, one more than there are cells, and the text of all cells."""

_BATCH_ROWS: Final = 1 << 14
_BATCH_CELLS: Final = 1 << 20
_CELLS_MOST: Final = 1 << 28
"""Rows times columns: a kilobyte of Parquet can state more than anybody has time to read."""
_FOOTER_MOST: Final = 16 << 20
_BUFFER: Final = 1 << 20
_ZONE_SHOWN: Final = 60
_END: Final = struct.Struct("<I4s")
_SETTINGS: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Read once by the libraries: no threads, and no address space that is only reserved."""

_DAMAGED: Final = "damaged or not a Parquet file; export it again"

_arrow: list[Any] = []
"""`pyarrow`, its compute functions and its reader of Parquet, once they are imported."""


def prepare() -> None:
    """Import the decoder, and use it once; without it, Parquet files are refused."""
    os.environ.update(_SETTINGS)
    import datetime
    import io

    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    wall_clock.prepare()
    pyarrow.set_cpu_count(1)
    _arrow.extend((pyarrow, pyarrow.compute, pyarrow.parquet))
    made, stamp = io.BytesIO(), datetime.datetime(2020, 1, 2, 3, 4, 5)
    columns = {
        "text": pyarrow.array(["a", None]),
        "view": pyarrow.array(["a", None], pyarrow.string_view()),
        "views": pyarrow.array([["a"], None], pyarrow.list_(pyarrow.string_view())),
        "words": pyarrow.array(["a", None]).dictionary_encode(),
        "list": pyarrow.array([["a"], None]),
        "number": pyarrow.array([1, None]),
        "real": pyarrow.array([1.5, None]),
        "exact": pyarrow.array([1, None]).cast(pyarrow.decimal128(25, 2)),
        "yes": pyarrow.array([True, None]),
        "day": pyarrow.array([stamp.date(), None]),
        "at": pyarrow.array([stamp, None], pyarrow.timestamp("ns")),
        "zoned": pyarrow.array([stamp, None], pyarrow.timestamp("us", "UTC")),
        "hour": pyarrow.array([stamp.time(), None]),
        "span": pyarrow.array([1, None], pyarrow.duration("us")),
        "half": pyarrow.array([1.5, None], pyarrow.float16()),
        "none": pyarrow.nulls(2),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), made)
    made.seek(0)
    tried = ParquetRows(made, Limits())
    for _ in tried.batches(tuple(tried.names)):
        pass


class ParquetRows:
    """One Parquet file."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        """Read what the file says of itself (rule 2).

        Raises:
            FaultError: damaged, too large, or with columns that are no cells.
        """
        if not _arrow:
            raise FaultError("kind", "Parquet cannot be read here; the package pyarrow is missing")
        self._file, self._limits = file, limits
        self._check_footer()
        with self._opened() as opened:
            self._schema, about = opened.schema_arrow, opened.metadata
            unpacked = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
        self.rows = int(about.num_rows)
        for what, found, most in (
            ("rows", self.rows, limits.rows),
            ("columns", len(self._schema.names), limits.columns),
            ("cells", self.rows * len(self._schema.names), _CELLS_MOST),
            ("bytes once unpacked", unpacked, limits.decompressed_bytes),
        ):
            if not 0 <= found <= most:
                raise too_large(what, most)
        self.names = [clean_name(name) for name in self._schema.names]
        self._check_columns()

    def document(self) -> dict[str, object]:
        """Return the description."""
        columns = [
            {"name": name, "labels": [], "options": {}, "multiple": self._is_list(field.type), "role": "answer"}
            for name, field in zip(self.names, self._schema, strict=True)
        ]
        return {"tool": "parquet", "columns": columns, "notes": [], "record_key": None}

    def batches(self, names: Sequence[str]) -> Iterator[tuple[list[int], list[TextColumn]]]:
        """Yield some rows at a time: their numbers, and the cells of the columns asked for.

        Raises:
            FaultError: a page is damaged, or a cell over the bound.
        """
        originals = [self._schema.names[self.names.index(name)] for name in names]
        first, size = 1, min(_BATCH_ROWS, max(_BATCH_CELLS // max(len(names), 1), 64))
        with self._opened() as opened:
            for batch in opened.iter_batches(batch_size=size, columns=originals, use_threads=False):
                columns = [self._text_column(batch.column(name)) for name in originals]
                yield list(range(first, first + batch.num_rows)), columns
                first += batch.num_rows
                if first > self._limits.rows + 1:
                    raise too_large("rows", self._limits.rows)

    # --- what it says of itself ---

    def _check_footer(self) -> None:
        size = self._file.seek(0, 2)
        if size > self._limits.file_bytes:
            raise too_large("bytes", self._limits.file_bytes)
        if size < len(MARK) + _END.size:
            raise FaultError("damaged", _DAMAGED)
        self._file.seek(size - _END.size)
        length, mark = _END.unpack(self._file.read(_END.size))
        self._file.seek(0)
        if mark == b"PARE":
            raise FaultError("encrypted", "a Parquet file with an encrypted footer; export it without encryption")
        if mark != MARK or length > size - len(MARK) - _END.size:
            raise FaultError("damaged", _DAMAGED)
        if length > _FOOTER_MOST:
            raise too_large("bytes in the footer of a Parquet file", _FOOTER_MOST)

    def _check_columns(self) -> None:
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice or not all(self.names):
            what = f"names a column twice: {', '.join(twice[:12])}" if twice else "has a column without a name"
            raise FaultError("header", f"the file {what}; give each column a name of its own")
        types = _arrow[0].types
        for field, name in zip(self._schema, self.names, strict=True):
            inner = field.type.value_type if self._is_list(field.type) else field.type
            inner = inner.value_type if types.is_dictionary(inner) else inner
            bytes_ = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
            if types.is_nested(inner) or types.is_interval(inner) or any(kind(inner) for kind in bytes_):
                raise FaultError(
                    "kind", f"column {name} holds no text, number, date or list of them; leave it out of the export"
                )
            if types.is_timestamp(inner) and inner.tz is not None and wall_clock.zone_of(inner.tz) is None:
                raise FaultError(
                    "kind",
                    f"column {name} has times of a zone that is not known here, {clean_name(inner.tz)[:_ZONE_SHOWN]}; "
                    "export it with another zone, or without one",
                )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """Open the file; whatever the library raises about its bytes, it is damaged."""
        pa, _, pq = _arrow
        self._file.seek(0)
        texts = (
            [field.name for field in self._schema if self._is_text(field.type)] if hasattr(self, "_schema") else None
        )
        try:
            with pq.ParquetFile(
                pa.PythonFile(self._file, mode="r"),
                page_checksum_verification=True,
                pre_buffer=False,
                buffer_size=_BUFFER,
                read_dictionary=texts,
            ) as opened:
                yield opened
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, TypeError, UnicodeDecodeError):
            raise FaultError("damaged", _DAMAGED) from None

    # --- cells ---

    def _text_column(self, array: Any) -> TextColumn:
        pa, pc, _ = _arrow
        cells = self._texts(array)
        if not len(cells):
            return bytes(4), b""
        longest = pc.max(pc.utf8_length(cells)).as_py() or 0
        if longest > self._limits.cell_length:
            raise self._long()
        cells = pa.concat_arrays([cells])  # begins at 0
        _, offsets, data = cells.buffers()
        starts = offsets.slice(0, 4 * (len(cells) + 1)).to_pybytes()
        (end,) = struct.unpack("=i", starts[-4:])
        return starts, data.slice(0, end).to_pybytes() if data is not None else b""

    def _texts(self, array: Any) -> Any:
        """Return the cells as text without nulls (rules 3 to 5)."""
        pa, pc, _ = _arrow
        types, kind = pa.types, array.type
        if self._is_list(kind):
            lists = self._texts(array.flatten()).to_pylist()
            sizes = pc.fill_null(pc.list_value_length(array), 0).to_pylist()
            made, at = [], 0
            for size in sizes:
                made.append(joined(lists[at : at + size]))
                at += size
            return pa.array(made, pa.string())
        if types.is_null(kind):
            return pa.array([""] * len(array), pa.string())
        if types.is_float16(kind):
            array = array.cast(pa.float32())
        encoded = array if types.is_dictionary(array.type) else array.dictionary_encode()
        distinct = self._distinct(encoded.dictionary)
        used = pc.fill_null(encoded.indices.cast(pa.int64()), len(distinct))
        return pa.array([*distinct, ""], pa.string()).take(used)

    def _distinct(self, values: Any) -> Sequence[str]:
        """Return each distinct value as text (rule 5)."""
        pa, pc, _ = _arrow
        types, kind = pa.types, values.type
        if self._is_text(kind):
            values = values.cast(pa.large_string()) if types.is_string_view(kind) else values
            longest = pc.max(pc.binary_length(values)).as_py() or 0
            if longest > 4 * self._limits.cell_length:
                raise self._long()
            return clean_cells([value or "" for value in values.to_pylist()])
        if types.is_timestamp(kind):
            zone = None if kind.tz is None else wall_clock.zone_of(kind.tz)
            counts = values.cast(pa.int64()).to_pylist()
            return ["" if count is None else wall_clock.time_text(count, kind.unit, zone) for count in counts]
        if types.is_duration(kind):
            counts = values.cast(pa.int64()).to_pylist()
            return ["" if count is None else wall_clock.duration_text(count, kind.unit) for count in counts]
        if types.is_time64(kind):
            values = values.cast(pa.time64("us"), safe=False)
        return ["" if value is None else _text(value) for value in values.to_pylist()]

    def _long(self) -> FaultError:
        most = self._limits.cell_length
        return FaultError("large", f"more than {most:,} characters in one cell; shorten it")

    @staticmethod
    def _is_list(kind: Any) -> bool:
        types = _arrow[0].types
        return bool(types.is_list(kind) or types.is_large_list(kind))

    @staticmethod
    def _is_text(kind: Any) -> bool:
        types = _arrow[0].types
        return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _text(value: object) -> str:
    """Return a value as people write it (rule 5).

    >>> _text(12.0), _text(1.5), _text(float("nan")), _text(True)
    ('12', '1.5', '', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if isnan(value) else str(int(value)) if value.is_integer() else str(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
