"""The parsing process: bounds itself, closes its doors, reads one request, says what a file holds, and ends.

1. The request comes on standard input, a password within it; the file and the pipe to the parent are open descriptors. Nothing else is ever opened.
2. A fault is said in one sentence. Whatever else goes wrong ends the process without a word: a traceback could hold cells.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from casehaven.intake.sandbox import aes_zip, parquet_rows
from casehaven.intake.sandbox.columns import PlanColumn
from casehaven.intake.sandbox.contents import Contents
from casehaven.intake.sandbox.delimited import ENCODINGS
from casehaven.intake.sandbox.faults import FaultError
from casehaven.intake.sandbox.frames import FrameWriter
from casehaven.intake.sandbox.lockdown import bound, close_doors, end_with_parent
from casehaven.intake.sandbox.parquet_rows import ParquetRows
from casehaven.intake.sandbox.request import Request, request_of
from casehaven.intake.sandbox.source_plan import NO_FORM, form_in, source_of

BLOCK_ROWS = 4_096
_CODECS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp437", "idna")
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    csv.Error,
    UnicodeError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
)
"""What the standard library raises over bytes that are not what they say."""


def main(file: int, out: int) -> None:
    """Answer the request on standard input about the file of one descriptor, on another."""
    end_with_parent()
    request = request_of(json.loads(sys.stdin.buffer.read()))
    declared = ENCODINGS.get((request.encoding or "").lower().replace("-", "").replace("_", ""), "utf-8")
    for codec in (*_CODECS, declared):
        codecs.lookup(codec)  # loads it, while files can be opened
    if request.password is not None:
        aes_zip.prepare()
    parquet = os.pread(file, len(parquet_rows.MARK), 0) == parquet_rows.MARK
    if parquet:
        with suppress(ImportError):
            parquet_rows.prepare()
    seconds = request.limits.cpu_seconds(os.fstat(file).st_size, locked=request.password is not None)
    bound(request.limits.memory_bytes, seconds)
    close_doors()
    writer = FrameWriter(out)
    opened = io.FileIO(file, "rb", closefd=False)
    answer(
        lambda: ParquetRows(opened, request.limits) if parquet else Contents(opened, request),
        request,
        writer,
    )


def answer(contents: Callable[[], Contents | ParquetRows], request: Request, writer: FrameWriter) -> None:
    """Say what was asked, or why it cannot be said."""
    try:
        found = contents()
        if isinstance(found, ParquetRows):
            _answer_parquet(found, request, writer)
        else:
            _answer(found, request, writer)
        writer.end()
    except FaultError as fault:
        writer.fault(fault)
    except MemoryError:
        writer.fault(FaultError("large", "it needs more memory than a case file may; split it into smaller files"))
    except RecursionError:
        writer.fault(FaultError("large", "values lie too deep inside each other; no tool writes such a file"))
    except _DAMAGED:
        writer.fault(FaultError("damaged", "the file is damaged, or not what its name says; export it again"))


def _answer_parquet(rows: ParquetRows, request: Request, writer: FrameWriter) -> None:
    if request.do == "form":
        raise FaultError("form", NO_FORM)
    writer.description(rows.document())
    if request.do == "read":
        for numbers, columns in rows.batches(request.columns):
            writer.texts(numbers, columns)


def _answer(contents: Contents, request: Request, writer: FrameWriter) -> None:
    if request.do == "form":
        writer.description(form_in(contents).document())
        return
    source = source_of(contents, request)
    writer.description(source.document())
    if request.do == "describe":
        return
    by_name = {column.name: column for column in source.columns}
    wanted: list[PlanColumn] = [by_name[name] for name in request.columns]
    while rows := list(islice(source.rows, BLOCK_ROWS)):
        block = list(zip(*(cells for _, cells in rows), strict=True))
        writer.batch([number for number, _ in rows], [column.make(block) for column in wanted])
