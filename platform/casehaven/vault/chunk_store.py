"""The sealed chunk files of a vault: written, opened, and swept away when nothing names them.

A chunk file is written before the transaction that names it and removed after the one that forgets it. What an interrupted change left is named by no row, opens for nobody, and is
removed when the vault is opened or the dataset changed the next time. A row does not say where its file is: the path is made of what the chunk is sealed for.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from casehaven.core.db import Database
from casehaven.vault import chunks, models
from casehaven.vault.context import SealContext
from casehaven.vault.datasets import Dataset, now
from casehaven.vault.errors import DamagedChunkError
from casehaven.vault.folder import VaultFolder
from casehaven.vault.keystore import OrganisationKeys
from casehaven.vault.sealed import new_key, seal, unseal

_CHUNK_ID = re.compile("[0-9a-f]{32}")
_DATASET_FOLDER = re.compile("[0-9a-f]{16}")


class ChunkStore:
    """The chunk files of a vault, and the rows that name them."""

    def __init__(self, folder: VaultFolder, database: Database) -> None:
        """A vault makes one of itself."""
        self.folder = folder
        """Where it is, and what its own file says."""
        self.database = database

    @property
    def chunks_folder(self) -> Path:
        """Folder of the chunk files."""
        return self.folder.chunks

    def write_chunk(
        self,
        dataset: Dataset,
        keys: OrganisationKeys,
        rows: chunks.ChunkRows,
        *,
        version: int,
        chunk_id: str | None = None,
        generation: int = 0,
    ) -> dict[str, Any]:
        """Write rows as a new sealed file, and return the row that names it; nothing names it yet.

        Raises:
            OSError: the disk is full or failing; nothing is left.
        """
        chunk_id = uuid.uuid4().hex if chunk_id is None else chunk_id
        dek = new_key()
        context = dataset.context("chunk", f"{chunk_id}/{generation}", version=version)
        path = chunk_path(dataset.dataset_id, chunk_id, generation)
        sha256 = chunks.write_file(self.folder.chunks / path, seal(dek, chunks.pack(rows, dataset.domain), context))
        epoch, wrapped = keys.wrap_dek_with_epoch(dek, chunk_key_context(dataset, chunk_id, generation))
        return {
            "chunk_id": chunk_id,
            "dataset_id": dataset.dataset_id,
            "version": version,
            "generation": generation,
            "path": path,
            "wrapped_dek": wrapped,
            "epoch": epoch,
            "sealed_sha256": sha256,
            "created_at": now(),
        }

    def read_chunk(
        self, dataset: Dataset, keys: OrganisationKeys, row: Row[Any], *, before_blocks: bool = False
    ) -> chunks.ChunkRows:
        """Open the chunk that a row names.

        Args:
            dataset: whose it is.
            keys: of its organisation.
            row: of the table `chunk`.
            before_blocks: it was written for tables of version 0004 or before.

        Raises:
            DamagedChunkError: the file is missing or another one.
            SealBrokenError: it does not open at this place.
        """
        sealed = chunks.read_file(self.chunk_file(row), bytes(row.sealed_sha256))
        key_context = chunk_key_context(dataset, row.chunk_id, row.generation)
        dek = keys.unwrap_dek(bytes(row.wrapped_dek), row.epoch, key_context)
        context = dataset.context("chunk", f"{row.chunk_id}/{row.generation}", version=row.version)
        return chunks.unpack(unseal(dek, sealed, context), dataset.domain, before_blocks=before_blocks)

    def chunk_file(self, row: Row[Any]) -> Path:
        """Return the file of the chunk that a row names.

        Raises:
            DamagedChunkError: the row names another place.
        """
        path = chunk_path(row.dataset_id, row.chunk_id, row.generation)
        if row.path != path:
            raise DamagedChunkError("the row of a chunk names a file that is not its own; restore a backup")
        return self.folder.chunks / path

    def unswept(self) -> list[int]:
        """Return the numbers of datasets with chunk files that no transaction names: left by a change that was cut short, or being written now."""
        with self.database.transaction(writes=False) as connection:
            named = {*connection.scalars(select(models.chunk.c.path))}
        left = {
            path.parent.name
            for path in self.folder.chunks.glob("*/*")
            if f"{path.parent.name}/{path.name}" not in named
        }
        return sorted(int(name, 16) for name in left if _DATASET_FOLDER.fullmatch(name))

    def sweep(self, dataset: Dataset) -> None:
        """Remove chunk files that no transaction names: what an interrupted change left (rule 4). The dataset is held."""
        place = self.folder.chunks / f"{dataset.dataset_id:016x}"
        if not place.is_dir():
            return
        with self.database.transaction(writes=False) as connection:
            rows = connection.execute(select(models.chunk).where(models.chunk.c.dataset_id == dataset.dataset_id))
            named = {self.chunk_file(row).name for row in rows}
        for path in place.iterdir():
            if path.name not in named:
                path.unlink()


def chunk_path(dataset_id: int, chunk_id: str, generation: int) -> str:
    """Return where a chunk is below the folder of chunks.

    >>> chunk_path(255, "0123456789abcdef0123456789abcdef", 2)
    '00000000000000ff/0123456789abcdef0123456789abcdef-2.chunk'

    Raises:
        DamagedChunkError: no chunk has such a number.
    """
    if not _CHUNK_ID.fullmatch(chunk_id) or generation < 0 or dataset_id < 0:
        raise DamagedChunkError("a chunk has a number that nobody gives one; restore a backup")
    return f"{dataset_id:016x}/{chunk_id}-{generation}.chunk"


def chunk_key_context(dataset: Dataset, chunk_id: str, generation: int) -> SealContext:
    """The place that a chunk's key is wrapped for."""
    return dataset.context("chunk-key", f"{chunk_id}/{generation}")
