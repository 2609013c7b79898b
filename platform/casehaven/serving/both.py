"""Api and worker from one command: the worker is a child process, started again when it dies, and gone when this process is (`worker_process`)."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from casehaven.core.logs import log_line

_PAUSES = (0.2, 1.0, 2.0, 5.0, 10.0)
_CALM_SECONDS = 60.0


class WorkerChild:
    """The worker's process, watched."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Watch a worker.

        Args:
            arguments: of `casehaven serve worker`.
        """
        self._command = [sys.executable, "-m", "casehaven", "serve", "worker", "--supervised", *arguments]
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="worker", daemon=True)

    def start(self) -> None:
        """Start it, and keep it running until `stop`."""
        self._thread.start()

    def wake(self) -> None:
        """Tell the worker that a job waits."""
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # it just died: the next one looks for itself
                os.write(process.stdin.fileno(), b".")

    def stop(self) -> None:
        """End it after the job that it has in hand; after half a minute, at once."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._thread.join(5)

    def _watch(self) -> None:
        falls = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            self._process = process = subprocess.Popen(self._command, stdin=subprocess.PIPE)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
            if self._stopping.is_set():  # `stop` may have looked before there was one
                process.terminate()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._stopping.is_set():
                return
            falls = 0 if time.monotonic() - began > _CALM_SECONDS else falls + 1
            log_line("worker.died")
            self._stopping.wait(_PAUSES[min(falls, len(_PAUSES)) - 1])
