"""The rows of a file that were refused, as a file that only the organisation can read.

1. The list holds row numbers and reasons, and of each row what the file says, so that it can be corrected at the source. It is sealed before it is written.
2. The key is derived from the organisation's secret; rotation of other keys does not change it. Whoever has the file and not the vault's keys learns
   the size of the list in steps.
3. A file of that name is never replaced.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from casehaven.intake.check import CheckReport
from casehaven.intake.errors import CaseFileError, ExistingMappedFileError
from casehaven.intake.mapped_file import MappedFile
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import SealBrokenError
from casehaven.vault.sealed import seal, unseal
from casehaven.vault.store import Vault

MAGIC: Final = b"casehaven-refused-rows/1\n"
_KEY: Final = "refused-rows"
_SMALLEST: Final = 4096


def write_refused_rows(vault: Vault, dataset: Dataset, file: MappedFile, report: CheckReport, out: Path) -> None:
    """Seal the refused rows of a file into a new file.

    Raises:
        ExistingMappedFileError: the file is there already.
        OSError: it cannot be written.
    """
    places = {int(row): place for place, row in enumerate(file.held.rows.tolist())}
    columns = {column.name: file.held.column(column.name) for column in file.held.columns}
    listed: list[dict[str, Any]] = []
    for refused in report.refused:
        cells = {name: column.cells[column.places[places[refused.row]]] for name, column in columns.items()}
        listed.append({"row": refused.row, "reason": refused.reason, "cells": {n: c for n, c in cells.items() if c}})
    text = json.dumps({"file": file.path.name, "rows": listed}, ensure_ascii=False).encode()
    size = max(_SMALLEST, 1 << (len(text) - 1).bit_length())
    context = dataset.context("detail", _KEY)
    sealed = seal(vault.keys_of(dataset).index_key(_KEY), text.ljust(size), context)
    head = MAGIC + dataset.id.encode() + b"\n"
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ExistingMappedFileError(f"{out}: exists already; nothing was written") from None
    with os.fdopen(handle, "wb") as sink:
        sink.write(head + sealed)
        sink.flush()
        os.fsync(sink.fileno())


def read_refused_rows(vault: Vault, path: Path) -> tuple[Dataset, dict[str, Any]]:
    """Open a file of refused rows: the dataset, and `file`, and of each of `rows` its number, reason and cells.

    Raises:
        CaseFileError: it is no such file.
        SealBrokenError: it is another vault's, or was changed.
        DatasetMissingError: the vault has not the dataset that it is of.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CaseFileError(f"{path}: cannot be read: {error.strerror}") from None
    if not raw.startswith(MAGIC):
        raise CaseFileError(f"{path.name}: not a file of refused rows")
    name, _, sealed = raw[len(MAGIC) :].partition(b"\n")
    organisation, _, dataset_name = name.decode("utf-8", "replace").partition("/")
    dataset = vault.dataset(organisation, dataset_name)
    text = unseal(vault.keys_of(dataset).index_key(_KEY), sealed, dataset.context("detail", _KEY))
    found = json.loads(text)
    if not isinstance(found, dict):
        raise SealBrokenError(f"{path.name} opens, but holds no rows")
    return dataset, found
