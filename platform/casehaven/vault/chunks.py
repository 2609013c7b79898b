"""Chunks: the coded columns of many records in one sealed file, for counting.

1. A chunk holds, for each record, the person's number, the person token under the vault's linkage key, the record's number, the place of the person's block among
   the schema's, and one code for each column of the domain. It holds no cell: what the domain does not know is not in it.
2. Rows are in the order of their random record numbers, so a chunk does not say who came first.
3. A chunk file has a key of its own. It is padded to a step of sizes before it is sealed.
4. A chunk is never changed in place. Rewriting it makes a new file of the next generation under a new key; the generation is part of what is
   authenticated, so an older file does not open in a newer one's place.
5. A file is there whole or not at all: temporary name, fsync, rename, fsync of the folder. What is written is sealed already.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casehaven.vault.blocks import UNSETTLED, Places
from casehaven.vault.errors import DamagedChunkError
from casesynth.codes import Codes
from casesynth.domain import Domain

ROWS_FULL: Final = 1 << 18
"""Records from which a chunk is full; a chunk holds this many and a batch at most."""

TOKEN_BYTES: Final = 16
"""Of a person token under the vault's linkage key."""

_SMALLEST: Final = 1 << 16
_LENGTH_BYTES: Final = 8
_FIXED: Final = ("person", "token", "record", "block")
_FIXED_BEFORE_BLOCKS: Final = _FIXED[:-1]
"""Of chunks that were written for tables of version 0004 and before."""


@dataclass(frozen=True, kw_only=True)
class ChunkRows:
    """Coded records with whose they are. Holds real data; leaves the vault sealed, or as a person table under a receipt."""

    persons: NDArray[np.int64]
    """Number of each record's person."""
    tokens: pa.FixedSizeBinaryArray
    """Person token of each record under the linkage key."""
    records: NDArray[np.int64]
    """Number of each record."""
    blocks: Places
    """Place of each record's person's block (`blocks.schema_blocks`)."""
    columns: tuple[Codes, ...]
    """One array per column of the domain."""

    def __len__(self) -> int:
        return len(self.records)

    def only(self, kept: NDArray[np.bool_]) -> ChunkRows:
        """Return the rows that a mask keeps."""
        return ChunkRows(
            persons=self.persons[kept],
            tokens=self.tokens.filter(pa.array(kept)),
            records=self.records[kept],
            blocks=self.blocks[kept],
            columns=tuple(column[kept] for column in self.columns),
        )


def join(parts: Sequence[ChunkRows]) -> ChunkRows:
    """Return the rows of several parts, in the order of their record numbers (rule 2)."""
    records = np.concatenate([part.records for part in parts])
    order = np.argsort(records)
    tokens = pa.concat_arrays([part.tokens for part in parts])
    return ChunkRows(
        persons=np.concatenate([part.persons for part in parts])[order],
        tokens=tokens.take(pa.array(order)),
        records=records[order],
        blocks=np.concatenate([part.blocks for part in parts])[order],
        columns=tuple(
            np.concatenate(columns)[order] for columns in zip(*(part.columns for part in parts), strict=True)
        ),
    )


def pack(rows: ChunkRows, domain: Domain) -> bytes:
    """Return rows as the padded plaintext of a chunk: a length, an Arrow stream, zeros (rule 3)."""
    if (rows.blocks == UNSETTLED).any():
        raise ValueError("a chunk is written when the block of every person in it is fixed")
    names = [*_FIXED, *(column.name for column in domain.columns)]
    arrays = [
        pa.array(rows.persons),
        rows.tokens,
        pa.array(rows.records),
        pa.array(rows.blocks),
        *map(pa.array, rows.columns),
    ]
    batch = pa.RecordBatch.from_arrays(arrays, names=names)
    sink = io.BytesIO()
    sink.write(bytes(_LENGTH_BYTES))
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    size = sink.tell()
    sink.seek(0)
    sink.write((size - _LENGTH_BYTES).to_bytes(_LENGTH_BYTES, "big"))
    sink.seek(size)
    sink.write(bytes(padded_size(size) - size))
    return sink.getvalue()


def unpack(plaintext: bytes, domain: Domain, *, before_blocks: bool = False) -> ChunkRows:
    """Return the rows of a chunk's plaintext; the columns are views of it.

    Args:
        plaintext: of the chunk.
        domain: of its dataset's schema.
        before_blocks: it was written for tables of version 0004 or before; its rows get no block.

    Raises:
        DamagedChunkError: its columns are not those of the domain.
    """
    size = int.from_bytes(plaintext[:_LENGTH_BYTES], "big")
    view = pa.py_buffer(plaintext).slice(_LENGTH_BYTES, size)
    with pa.ipc.open_stream(view) as reader:
        batch = reader.read_next_batch()
    fixed = _FIXED_BEFORE_BLOCKS if before_blocks else _FIXED
    if batch.schema.names != [*fixed, *(column.name for column in domain.columns)]:
        raise DamagedChunkError("a chunk does not have the columns of its dataset's schema")
    arrays: list[Any] = batch.columns
    persons, tokens, records = arrays[:3]
    blocks = np.full(len(records), UNSETTLED, np.int16) if before_blocks else _numbers(arrays[3])
    return ChunkRows(
        persons=_numbers(persons),
        tokens=tokens,
        records=_numbers(records),
        blocks=blocks,
        columns=tuple(_numbers(c) for c in arrays[len(fixed) :]),
    )


def _numbers(array: Any) -> Any:
    """Return an Arrow array without nulls as a view. Its own `to_numpy` would load pandas first, which takes as long as a chunk."""
    return np.from_dlpack(array)


def padded_size(size: int) -> int:
    """Return the step that a size is padded to: eight steps to each doubling, 64 KiB at least.

    >>> padded_size(1), padded_size(65_537), padded_size(1_000_000)
    (65536, 73728, 1048576)
    """
    if size <= _SMALLEST:
        return _SMALLEST
    step = 1 << ((size - 1).bit_length() - 4)
    return -(-size // step) * step


def write_file(path: Path, content: bytes) -> bytes:
    """Write a sealed file whole or not at all, and return its SHA-256 (rule 5).

    Raises:
        OSError: the disk is full or failing; nothing is left.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.partial")
    try:
        with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return hashlib.sha256(content).digest()


def read_file(path: Path, sha256: bytes) -> bytes:
    """Read a sealed file back.

    Raises:
        DamagedChunkError: it is missing, or it is not the one that was written.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DamagedChunkError(f"the chunk file {path.name} is missing") from None
    if hashlib.sha256(content).digest() != sha256:
        raise DamagedChunkError(f"the chunk file {path.name} is not the one that was written")
    return content


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
