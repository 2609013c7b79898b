"""What a handler of a job is given, and what it gives back.

1. Each lane has a vault and a ledger of its own, opened once. What a job needs of a request's private part it opens with the organisation's keys.
2. A handler says how far it is with `tick`, which also stops it when somebody asked for that.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from casehaven.core.job_seals import read_request, request_context
from casehaven.core.job_ticks import fix_tick
from casehaven.core.jobs import TakenJob
from casehaven.core.service_store import ServiceStore
from casehaven.errors import CasehavenError
from casehaven.ledger import Ledger
from casehaven.queries.held import HeldPeople
from casehaven.vault.datasets import Dataset, parse_dataset_id
from casehaven.vault.store import Vault


class JobCancelledError(CasehavenError):
    """Somebody asked for the end of the job."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What one lane works with."""

    store: ServiceStore
    vault: Vault
    ledger: Ledger
    held: HeldPeople
    signing_key: Path
    clock: Callable[[], int] = field(default=lambda: int(time.time()))


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a job."""

    result: Mapping[str, Any] = field(default_factory=dict)
    """Shown to whoever asked; of a private kind it is sealed to them."""
    visible_at: int | None = None
    """Seconds since 1970 of the tick at which it is seen; None: as the kind says."""


@dataclass(kw_only=True)
class Work:
    """One job in a handler's hands."""

    job: TakenJob
    bench: Bench
    phase: str = "running"
    done: int = 0
    total: int = 0
    cancelled: Event = field(default_factory=Event)
    due: int = 0
    """Seconds since 1970: before this moment nothing of the job is seen; 0: at once."""
    slot: float = 0.0
    """Seconds: its lane takes the next job whole slots after it took this one; 0: at `due`."""

    @property
    def request(self) -> Mapping[str, Any]:
        """The part of the request without case data."""
        return self.job.request

    def private_request(self) -> Mapping[str, Any]:
        """Open the part of the request that holds case data.

        Raises:
            SealBrokenError: it was not sealed to this organisation for this job.
        """
        assert self.job.sealed_request is not None
        keys = self.bench.vault.keystore.organisation(self.job.organisation)
        context = request_context(self.job.organisation, self.job.job_id)
        found: Mapping[str, Any] = read_request(keys.open_upload(self.job.sealed_request, context))
        return found

    def dataset(self) -> Dataset:
        """The one dataset that the job is about.

        Raises:
            DatasetMissingError: it is not there.
        """
        return self.bench.vault.dataset(*parse_dataset_id(self.job.dataset))

    def datasets(self) -> list[Dataset]:
        """Every dataset that the job is about."""
        return [self.bench.vault.dataset(*parse_dataset_id(name)) for name in self.job.dataset.split()]

    @property
    def actor(self) -> str:
        """Who asked, for the audit log and the ledger: the member's handle."""
        return str(self.request.get("actor", "")) or "service"

    def fix(self, due: int) -> None:
        """Write down when the job's end is seen, before anything is charged and counted (`casehaven.core.job_ticks`).

        Raises:
            JobCancelledError: another attempt has the job.
        """
        bench, job = self.bench, self.job
        with bench.store.writing(alone=False) as connection:
            held = fix_tick(connection, job.job_id, worker=job.worker, attempt=job.attempt, now=bench.clock(), due=due)
        if not held:
            raise JobCancelledError("another attempt has the job")

    def lane_waits(self, began: float, now: float) -> float:
        """Return for how many seconds the job's lane takes no other, so that the next one begins at a public moment (privacy rule 24).

        Args:
            began: when the lane took the job, in seconds since 1970.
            now: when it was done with it.
        """
        if not self.due:
            return 0.0
        if not self.slot:
            return max(self.due - now, 0.0)
        return began + self.slot * max(math.ceil((now - began) / self.slot), 1) - now

    def tick(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Say how far it is.

        Raises:
            JobCancelledError: somebody asked for the end.
        """
        self.phase, self.done, self.total = phase, done, total
        if self.cancelled.is_set():
            raise JobCancelledError("the job was cancelled")


def plain(document: Any) -> Any:
    """Return a document as JSON would carry it."""
    return json.loads(json.dumps(document, ensure_ascii=False, default=str))
