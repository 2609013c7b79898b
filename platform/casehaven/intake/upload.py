"""What became of a case file, and how a file is known again.

1. A dataset knows a file by an HMAC of its SHA-256 under a key of the organisation: nobody else can try a guess.
2. Numbers of records are for the organisation's own screen only (privacy rule 5).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlalchemy import select

from casehaven.vault import models
from casehaven.vault.context import prefixed
from casehaven.vault.datasets import Dataset
from casehaven.vault.keystore import OrganisationKeys
from casehaven.vault.store import Vault


class CaseRecords(Protocol):
    """A file whose columns are the schema's, or `RECORD_KEY`."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns."""

    def digest(self) -> str:
        """Return the SHA-256 that it is known by, as hex."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield its records, only the columns asked for."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What became of a case file."""

    upload_id: int
    version: int
    """Of the dataset, with the file in it."""
    repeated: bool
    """The dataset had the file already; nothing was added."""
    records: int = 0
    """Records that were added, corrections among them. For the organisation's own screen only (privacy rule 5)."""
    corrected: int = 0
    """Records that stand for an earlier one."""
    unchanged: int = 0
    """Records that were there already, as they are."""
    changed: bool = True
    """Whether the dataset is another one: by a record, or by a refusal alone."""


def known_upload(vault: Vault, dataset: Dataset, sha256: str) -> Upload | None:
    """Return the upload of a file that the dataset has already; None where it has not.

    Args:
        vault: where.
        dataset: which.
        sha256: what the file's `digest` says.
    """
    upload = models.upload.c
    index = upload_index(vault.keys_of(dataset), dataset, sha256)
    where = (upload.dataset_id == dataset.dataset_id, upload.file_sha256_hmac == index)
    with vault.database.transaction(writes=False) as connection:
        there = connection.execute(select(upload.upload_id, upload.version).where(*where)).first()
    return None if there is None else Upload(upload_id=there.upload_id, version=there.version, repeated=True)


def upload_index(keys: OrganisationKeys, dataset: Dataset, sha256: str) -> bytes:
    """Return what a file is known by: an HMAC under a key of the organisation."""
    return hmac.digest(keys.index_key("upload"), _named(dataset, sha256), "sha256")


def _named(dataset: Dataset, sha256: str) -> bytes:
    return hashlib.sha256(prefixed(dataset.name.encode()) + bytes.fromhex(sha256)).digest()
