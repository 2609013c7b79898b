"""A raw upload, opened in memory only, and read by the readers as a file.

1. The plain bytes live in a file without a name that the kernel keeps in memory (`memfd_create`) and drops with this process. Nothing plain is written to a disk.
2. Readers take a path: it leads through the process's own table of open files, under one fixed name, so that no message ever quotes the name that the file had.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from casehaven.core.request_errors import ResultGoneError
from casehaven.core.service_store import ServiceStore
from casehaven.core.upload_files import UploadRow, upload_context, upload_path
from casehaven.vault.store import Vault

NAME = "upload"
"""What the file is called in messages."""


@contextmanager
def opened_upload(store: ServiceStore, vault: Vault, upload: UploadRow) -> Iterator[Path]:
    """Open a raw upload while the block runs.

    Raises:
        ResultGoneError: it was destroyed.
        SealBrokenError: it was not sealed to this organisation for this dataset, or was changed.
    """
    try:
        sealed = upload_path(store, upload.upload_id).read_bytes()
    except FileNotFoundError:
        raise ResultGoneError from None
    keys = vault.keystore.organisation(upload.organisation)
    plain = keys.open_upload(sealed, upload_context(upload.organisation, upload.dataset, upload.upload_id))
    del sealed
    descriptor = os.memfd_create(NAME, os.MFD_CLOEXEC)
    try:
        view = memoryview(plain)
        while view:
            view = view[os.write(descriptor, view) :]
        del view, plain
        with tempfile.TemporaryDirectory(prefix="casehaven-") as folder:
            path = Path(folder) / NAME
            path.symlink_to(f"/proc/self/fd/{descriptor}")
            yield path
    finally:
        os.close(descriptor)
