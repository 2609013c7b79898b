"""What the parsing process says: frames of a kind, a length and bytes.

A frame is one letter, eight bytes of length (big-endian) and that many bytes: `H` the description of the table as JSON, `B` a batch, `F` a fault as JSON,
`Z` the end. A batch is `n`, the number of rows, and `c`, the number of columns (both four bytes, big-endian); `n` row numbers of eight bytes; and for each column
`n + 1` offsets of four bytes and its text as UTF-8. Row numbers and offsets are in the machine's byte order: both ends are on one machine.
"""

from __future__ import annotations

import json
import os
import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate

from casehaven.intake.sandbox.faults import FaultError

HEADER = struct.Struct(">cQ")
COUNTS = struct.Struct(">II")


class FrameWriter:
    """Writes frames to a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def description(self, document: object) -> None:
        """Say what the table is."""
        self._frame(b"H", json.dumps(document).encode())

    def batch(self, rows: Sequence[int], columns: Sequence[Sequence[str]]) -> None:
        """Say some rows: their numbers, and for each column its cells."""
        parts = [COUNTS.pack(len(rows), len(columns)), array("q", rows).tobytes()]
        for cells in columns:
            text = "".join(cells)
            data = text.encode()
            lengths = map(len, cells) if len(data) == len(text) else (len(cell.encode()) for cell in cells)
            parts += [array("i", accumulate(lengths, initial=0)).tobytes(), data]
        self._frame(b"B", b"".join(parts))

    def texts(self, rows: Sequence[int], columns: Sequence[tuple[bytes, bytes]]) -> None:
        """Say some rows whose cells lie as a batch has them: offsets, and text."""
        parts = [COUNTS.pack(len(rows), len(columns)), array("q", rows).tobytes()]
        for offsets, data in columns:
            parts += [offsets, data]
        self._frame(b"B", b"".join(parts))

    def fault(self, fault: FaultError) -> None:
        """Say why there is no more."""
        self._frame(b"F", json.dumps([fault.kind, fault.sentence]).encode())

    def end(self) -> None:
        """Say that this was all."""
        self._frame(b"Z", b"")

    def _frame(self, kind: bytes, data: bytes) -> None:
        view = memoryview(HEADER.pack(kind, len(data)) + data)
        while view:
            view = view[os.write(self._descriptor, view) :]
