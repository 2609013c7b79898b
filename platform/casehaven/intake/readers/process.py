"""The parsing process, seen from outside: started without an environment, fed one request, listened to, and ended.

1. It is an interpreter of its own, isolated and without site packages: the standard library and `casehaven.intake.sandbox`, nothing more. With a password it also gets
   `cryptography`, for ZIPs under AES, and for a Parquet file `pyarrow`.
2. It gets the file as an open descriptor and the request on its standard input. A password is neither in its arguments nor in its environment.
3. What it says is checked: sizes of frames, offsets, UTF-8. A process that is silent for too long is killed; so is one whose reader stops listening.
4. Nothing that it says is run or unpickled.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import cryptography
import numpy as np
import pyarrow as pa

from casehaven.intake.readers.errors import BY_KIND, ReaderStoppedError
from casehaven.intake.sandbox.frames import COUNTS, HEADER
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.sandbox.parquet_rows import MARK
from casehaven.intake.sandbox.request import Request
from casehaven.intake.source import SourceBatch

_START = """
import sys, types
root, packages, file, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for name, folder in (("casehaven", root), ("casehaven.intake", root + "/intake")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
sys.path += [packages] if packages else []
from casehaven.intake.sandbox.child import main
main(file, out)
"""
"""Makes the two packages above the sandbox known without running them: they import what the process must not have."""

_FRAME_MOST = 1 << 29
_SENTENCE_MOST = 1_000
_ROOT = Path(__file__).resolve().parents[2]
_STOPPED = (
    "reading it took longer, or more, than a file of its size may; split it into smaller files, or export it again"
)


class Reader:
    """One running parsing process."""

    def __init__(
        self,
        path: Path,
        process: subprocess.Popen[bytes],
        pipe: IO[bytes],
        limits: Limits,
        file: IO[bytes] | None = None,
    ) -> None:
        self._name = path.name
        self._file = file
        self._share = 0.0
        self._process = process
        self._pipe = pipe
        self._limits = limits

    def description(self) -> Any:
        """Return what the file holds, as plain values.

        Raises:
            CaseFileError: it cannot be read.
        """
        kind, data = self._frame()
        if kind != b"H":
            raise self._stopped()
        return json.loads(data)

    def batches(self, columns: Sequence[str]) -> Iterator[SourceBatch]:
        """Yield what is read, after the description.

        Raises:
            CaseFileError: the rows cannot be read; says where.
        """
        while True:
            kind, data = self._frame()
            if kind == b"Z":
                return
            if kind != b"B":
                raise self._stopped()
            yield self._batch(data, columns)

    def _read_so_far(self) -> float | None:
        """Part of the file that the process is past: both ends hold one open file, and it has one position."""
        if self._file is None:
            return None
        at, size = os.lseek(self._file.fileno(), 0, os.SEEK_CUR), os.fstat(self._file.fileno()).st_size
        self._share = max(self._share, min(at / max(size, 1), 1.0))  # the parts of a ZIP are not read in their order
        return self._share

    def _batch(self, data: bytes, columns: Sequence[str]) -> SourceBatch:
        rows, count = COUNTS.unpack_from(data)
        at = COUNTS.size
        if count != len(columns) or len(data) < at + 8 * rows + 4 * (rows + 1) * count:
            raise self._stopped()
        numbers = np.frombuffer(data, np.int64, rows, at)
        at += 8 * rows
        buffer = pa.py_buffer(data)
        arrays = []
        for _ in columns:
            if at + 4 * (rows + 1) > len(data):
                raise self._stopped()
            size = int(np.frombuffer(data, np.int32, 1, at + 4 * rows)[0])
            text = at + 4 * (rows + 1)
            if not 0 <= size <= len(data) - text:
                raise self._stopped()
            try:
                array = pa.StringArray.from_buffers(rows, buffer.slice(at, 4 * (rows + 1)), buffer.slice(text, size))
                array.validate(full=True)
            except pa.ArrowInvalid:
                raise self._stopped() from None
            arrays.append(array)
            at = text + size
        cells = pa.RecordBatch.from_arrays(arrays, names=list(columns))
        return SourceBatch(rows=numbers, cells=cells, share=self._read_so_far())

    def _frame(self) -> tuple[bytes, bytes]:
        kind, size = HEADER.unpack(self._bytes(HEADER.size))
        if size > _FRAME_MOST:
            raise self._stopped()
        data = self._bytes(size)
        if kind == b"F":
            fault, sentence = json.loads(data)
            shown = "".join(character for character in sentence[:_SENTENCE_MOST] if character.isprintable())
            raise BY_KIND[fault](f"{self._name}: {shown}")
        return kind, data

    def _bytes(self, size: int) -> bytes:
        parts = []
        while size:
            ready, _, _ = select.select([self._pipe], [], [], self._limits.silence_seconds)
            part = os.read(self._pipe.fileno(), min(size, 1 << 20)) if ready else b""
            if not part:
                raise self._stopped()
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _stopped(self) -> ReaderStoppedError:
        return ReaderStoppedError(f"{self._name}: {_STOPPED}")


@contextmanager
def reading(path: Path, request: Request) -> Iterator[Reader]:
    """Start a parsing process for one file and one request; it ends with the block."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", buffering=0) as pipe, path.open("rb") as file:
        packages = _packages(file, request)
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    "-c",
                    _START,
                    str(_ROOT),
                    packages,
                    str(file.fileno()),
                    str(write_end),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                pass_fds=(file.fileno(), write_end),
            )
        finally:
            os.close(write_end)
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(request.document()).encode())
            process.stdin.close()
            yield Reader(path, process, pipe, request.limits, file)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _packages(file: IO[bytes], request: Request) -> str:
    """Return the folder of packages that the process may import from; empty: none (rule 1)."""
    if os.pread(file.fileno(), len(MARK), 0) == MARK:
        return str(Path(pa.__file__).parents[1])
    return str(Path(cryptography.__file__).parents[1]) if request.password is not None else ""
