"""Rows of a made-up export as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv

from casehaven.generate.dialects.columns import Column

__all__ = ["write_csv"]


def write_csv(
    sink: BinaryIO,
    names: Sequence[str],
    parts: Iterable[Sequence[Column]],
    *,
    delimiter: str = ",",
    quoted: bool = False,
    mark: bool = False,
    encoding: str = "utf-8",
) -> None:
    """Write a header and rows.

    Args:
        sink: where to.
        names: the header.
        parts: pieces of rows, with one column per name.
        delimiter: between cells.
        quoted: whether every cell stands in quotation marks.
        mark: whether the file begins with a byte order mark.
        encoding: of the text; a character that it has not becomes ``?``.
    """
    options = pacsv.WriteOptions(
        include_header=False, delimiter=delimiter, quoting_style="all_valid" if quoted else "needed"
    )
    if mark:
        sink.write("\ufeff".encode(encoding))
    sink.write((delimiter.join(_quoted(name, delimiter, quoted) for name in names) + "\n").encode(encoding, "replace"))
    for columns in parts:
        table = pa.table({str(place): column.cells for place, column in enumerate(columns)})
        buffer = pa.BufferOutputStream()
        pacsv.write_csv(table, buffer, options)
        text = buffer.getvalue().to_pybytes()
        sink.write(text if encoding == "utf-8" else text.decode("utf-8").encode(encoding, "replace"))


def _quoted(name: str, delimiter: str, always: bool) -> str:
    if always or any(mark in name for mark in (delimiter, '"', "\r", "\n")):
        return '"' + name.replace('"', '""') + '"'
    return name
