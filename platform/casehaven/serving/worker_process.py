"""The worker as a process: it ends with a signal, after the job that it has in hand."""

from __future__ import annotations

import signal
import time
from types import FrameType

from casehaven.core.logs import log_line
from casehaven.core.service_store import ServiceStore
from casehaven.serving.errors import UnfinishedFolderError
from casehaven.serving.folder import ServiceFolder
from casehaven.vault.rootkeys import parse_root
from casehaven.worker.loop import Worker, WorkerSettings

_WAIT_SECONDS = 30.0


def serve_worker(folder: ServiceFolder) -> None:
    """Work until a signal ends the process.

    Raises:
        UnfinishedFolderError: there is no service store, no vault or no ledger.
        WorkerRunsError: another worker serves this folder.
    """
    folder.check()
    worker = Worker(
        store=_store(folder),
        settings=WorkerSettings(
            vault=folder.vault, root=parse_root(folder.root), ledger=folder.ledger, signing_key=folder.signing_key
        ),
    )

    def stop(_: int, __: FrameType | None) -> None:
        worker.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    worker.run()
    log_line("worker.ended")


def _store(folder: ServiceFolder) -> ServiceStore:
    """Open the store; in split mode the api makes it, and may be a moment behind."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return folder.open_store()
        except UnfinishedFolderError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
