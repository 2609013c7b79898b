"""The worker as a process: it ends with a signal, after the job that it has in hand.

A worker that `casehaven serve` started has a pipe to it for its standard input. A byte there says that a job waits. Its end says that the supervisor is gone, however that came
about: then the worker ends within seconds, whatever it has in hand, because the next supervisor starts one of its own. The job is taken again there.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

from casehaven.core.errors import DatabaseVersionError
from casehaven.core.logs import log_line
from casehaven.core.service_store import ServiceStore
from casehaven.serving.errors import UnfinishedFolderError
from casehaven.serving.folder import ServiceFolder
from casehaven.vault.rootkeys import parse_root
from casehaven.worker.loop import Worker, WorkerSettings

_WAIT_SECONDS = 30.0
_LAST_SECONDS = 3.0
"""What a worker whose supervisor is gone has left for the job in hand."""


def serve_worker(folder: ServiceFolder, *, supervised: bool = False) -> None:
    """Work until a signal ends the process.

    Args:
        folder: where everything is.
        supervised: standard input is a pipe to the supervisor.

    Raises:
        UnfinishedFolderError: there is no service store, no vault or no ledger.
        WorkerRunsError: another worker serves this folder.
    """
    folder.check()
    worker = Worker(
        store=_store(folder),
        settings=WorkerSettings(
            vault=folder.vault,
            root=parse_root(folder.root),
            ledger=folder.ledger,
            signing_key=folder.signing_key,
            assertions=not supervised,  # the api that started this one is the same user, and can do all that it can
        ),
    )

    def stop(_: int, __: FrameType | None) -> None:
        worker.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if supervised:
        threading.Thread(target=_listen, args=(worker,), name="supervisor", daemon=True).start()
    worker.run()
    log_line("worker.ended")


def _listen(worker: Worker) -> None:
    """Look for jobs when the supervisor says so, and end when it is gone."""
    while os.read(0, 4096):
        worker.wake.set()
    worker.stopping.set()
    time.sleep(_LAST_SECONDS)
    os._exit(1)


def _store(folder: ServiceFolder) -> ServiceStore:
    """Open the store; in split mode the api makes it, and may be a moment behind."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return folder.open_store()
        except (UnfinishedFolderError, DatabaseVersionError):  # it is being made at this moment
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
