"""Answers about a raw upload that waits: the mapping of its last dry run, kept beside it, so that somebody can leave and go on another time.

1. They are sealed with a key of the organisation for this one upload; the api cannot open them, and they fit no other upload.
2. They live as long as the raw upload: taken in, destroyed, or after a day they go with it (`casehaven.core.upload_files`). The last ones count.
3. They are never taken for confirmed: a guess that nobody said yes to is a guess still.
4. The password of a file is not kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from casehaven.core.service_store import ServiceStore
from casehaven.core.upload_files import UploadRow, answers_path, upload_path
from casehaven.vault.context import SealContext
from casehaven.vault.datasets import Dataset
from casehaven.vault.sealed import seal, unseal
from casehaven.vault.store import Vault

_KEY: Final = "intake-mapping"
READING: Final = ("encoding", "separator", "sheet")
"""How a file is read, as it was asked; without the password (rule 4)."""


def keep_answers(
    store: ServiceStore, vault: Vault, dataset: Dataset, upload: UploadRow, asked: Mapping[str, Any]
) -> None:
    """Keep the mapping that was sent, and how the file was read, in the place of earlier ones."""
    kept = {name: asked[name] for name in (*READING, "mapping") if asked.get(name) is not None}
    data = seal(vault.keys_of(dataset).index_key(_KEY), json.dumps(kept).encode(), _place(dataset, upload))
    path = answers_path(store, upload.upload_id)
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
    part.replace(path)
    if not upload_path(store, upload.upload_id).exists():  # it was destroyed meanwhile (rule 2)
        path.unlink(missing_ok=True)


def kept_answers(store: ServiceStore, vault: Vault, dataset: Dataset, upload: UploadRow) -> dict[str, Any]:
    """Return what was kept; empty where nothing was.

    Raises:
        SealBrokenError: it is not what was written.
    """
    try:
        data = answers_path(store, upload.upload_id).read_bytes()
    except FileNotFoundError:
        return {}
    plain = unseal(vault.keys_of(dataset).index_key(_KEY), data, _place(dataset, upload))
    found: dict[str, Any] = json.loads(plain)
    return found


def _place(dataset: Dataset, upload: UploadRow) -> SealContext:
    return dataset.context("detail", f"kept-answers/{upload.upload_id}")
