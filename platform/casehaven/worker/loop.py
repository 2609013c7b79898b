"""The worker's loop: takes jobs, does them, writes what came of them, and moves security events into the audit log.

1. One worker at a time: a lock that the kernel lets go of when the process is gone. Whoever holds it knows that no other worker runs, and takes up at once what the last one left.
2. Each lane does one job at a time in a thread of its own, with its own vault and ledger. A crash inside a native library takes the process, never the api.
3. Whatever a handler raises ends its job with a problem of the table (`casehaven.core.problems`); the loop goes on. What the table does not know is `internal`, and the log gets the name of
   the class and nothing else (privacy rule 23). That a job was taken is logged, its end is not: the moment may depend on records (privacy rule 24).
4. A thread that fails for a reason of the process's own, such as a store that cannot be written, ends the process. Its jobs are taken again.
5. Every job that runs is renewed from one thread, also while a handler sits in a long native call.
6. A question that was counted waits for its tick as a row of the store and holds no lane. Its lane takes the next one a slot after it took this one: the slot follows from public caps and holds the longest
   measured time, so when the next one begins does not tell how long this one took. One that took longer than a slot takes a whole number of them: that it did, and no more, can be told by whoever waits behind it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

from casehaven.core import jobs
from casehaven.core.errors import DatabaseError
from casehaven.core.idempotency import forget_keys
from casehaven.core.job_kinds import KEPT_SECONDS, Lane
from casehaven.core.job_seals import seal_result
from casehaven.core.logs import log_line
from casehaven.core.problems import problem_of
from casehaven.core.service_store import ServiceStore
from casehaven.core.upload_files import destroy_expired, forget_uploads
from casehaven.ledger import Ledger
from casehaven.queries.held import HeldPeople
from casehaven.signin.job_assertions import Taken
from casehaven.vault.rootkeys import RootKey
from casehaven.vault.store import Vault
from casehaven.worker.assertions import require_signed
from casehaven.worker.errors import WorkerRunsError
from casehaven.worker.events import move_events
from casehaven.worker.handlers import handler_of
from casehaven.worker.leftovers import remove_leftovers
from casehaven.worker.publish import publish_signer, publish_vault
from casehaven.worker.standing import require_standing
from casehaven.worker.volume import require_volume
from casehaven.worker.work import Bench, Done, JobCancelledError, Work
from casesynth.signing import SigningKey

LANES: Final[tuple[Lane, ...]] = ("short", "questions", "long", "releases")
QUESTIONS_AT_ONCE: Final = 3
"""Lanes of questions side by side. A period leaves four times the longest measured time, so three fit on two cores."""
_LOOK_SECONDS: Final = (0.05, 0.5)
"""Between two looks for jobs: just after one was found, and when none has come for a while. Whoever can wake the worker need not wait for a look."""
_BEAT_SECONDS: Final = 5.0
_HOUSEKEEPING_SECONDS: Final = 1.0
_SETTLE_EVERY: Final = 5
_DESTROY_EVERY: Final = 60


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Where the worker finds what it works with."""

    vault: Path
    root: RootKey
    ledger: Path | str
    signing_key: Path
    assertions: bool = False
    """Whether members with a passkey sign jobs that need a second factor: where the api is another user."""


@dataclass(kw_only=True)
class Worker:
    """A running worker."""

    store: ServiceStore
    settings: WorkerSettings
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    stopping: Event = field(default_factory=Event)
    wake: Event = field(default_factory=Event)
    """Set by whoever knows that there is a job: it is looked for at once."""
    _current: dict[str, Work] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _signed: Taken = field(default_factory=Taken)
    _held: HeldPeople = field(default_factory=HeldPeople)
    _waiting: dict[Lane, Event] = field(default_factory=lambda: {lane: Event() for lane in LANES})

    def run(self) -> None:
        """Work until `stopping` is set.

        Raises:
            WorkerRunsError: another worker serves this store.
        """
        with ExitStack() as stack:
            stack.enter_context(only_worker(self.store.folder))
            bench = self._bench()
            with self.store.writing() as connection:
                jobs.release_leases(connection, now=self._now())
            publish_vault(self.store, bench.vault, self._now())
            publish_signer(self.store, SigningKey.load(self.settings.signing_key).public_key, self._now())
            more: list[Lane] = ["questions"] * (QUESTIONS_AT_ONCE - 1)
            lanes: tuple[Lane, ...] = (*LANES, *more)
            threads = [self._thread(lane, partial(self._lane, lane)) for lane in lanes]
            threads += [self._thread("beats", self._beats), self._thread("look", self._look)]
            for thread in threads:
                thread.start()
            log_line("worker.started")
            try:
                self._housekeeping(bench)
            finally:
                self.stopping.set()
                self.wake.set()
                for thread in threads:
                    thread.join()

    def _bench(self) -> Bench:
        settings = self.settings
        return Bench(
            store=self.store,
            vault=Vault.open(settings.vault, settings.root),
            ledger=Ledger.open(settings.ledger),
            held=self._held,
            signing_key=settings.signing_key,
        )

    def _thread(self, name: str, target: Callable[[], None]) -> Thread:
        """Return a thread whose failure ends the process: the supervisor starts another one, and no worker goes on that has lost a part of itself."""

        def run() -> None:
            try:
                target()
            except BaseException as error:  # noqa: BLE001 - rule 4: whatever it is, the process ends
                log_line("worker.fault", kind=type(error).__name__)
                os._exit(1)

        return Thread(target=run, name=name)

    # --- lanes ---

    def _lane(self, lane: Lane) -> None:
        bench = self._bench()
        while not self.stopping.is_set():
            if not self._waiting[lane].wait(1.0):
                continue
            self._waiting[lane].clear()
            try:
                with self.store.writing(alone=False) as connection:
                    taken = jobs.take(connection, lane=lane, worker=self.name, now=self._now())
            except DatabaseError as error:
                log_line("worker.store", kind=type(error).__name__)
                taken = None
            if taken is not None:
                work, began = Work(job=taken, bench=bench), time.time()
                self._do(work)
                self.stopping.wait(work.lane_waits(began, time.time()))  # rule 6
                self._waiting[lane].set()  # there may be another one

    def _do(self, work: Work) -> None:
        job = work.job
        log_line("job.taken", job=job.kind.name)
        with self._lock:
            self._current[job.job_id] = work
        try:
            with self.store.reading() as connection:
                require_standing(connection, job, now=self._now())
            require_signed(work, self._signed, demanded=self.settings.assertions)
            require_volume(work)
            done = handler_of(job.kind.name)(work)
        except JobCancelledError:
            with self.store.writing(alone=False) as connection:
                jobs.stop(connection, job, worker=self.name, now=self._now())
        except Exception as error:  # noqa: BLE001 - rule 3: the one place where every failure of a job becomes a problem
            problem, sealed = problem_of(error), None
            if problem.status >= 500:
                log_line("job.fault", kind=type(error).__name__, job=job.kind.name)
            if job.kind.private and job.result_key is not None and problem.detail:
                sealed = seal_result(job.result_key, job.job_id, {"detail": problem.detail})
                problem = replace(problem, detail="")
            with self.store.writing(alone=False) as connection:
                jobs.fail(
                    connection,
                    job,
                    problem,
                    worker=self.name,
                    now=self._now(),
                    sealed=sealed,
                    visible_at=work.due or None,
                )
        else:
            self._finish(job, done)
        finally:
            with self._lock:
                self._current.pop(job.job_id, None)

    def _finish(self, job: jobs.TakenJob, done: Done) -> None:
        result, sealed = done.result, None
        if job.kind.private and job.result_key is not None:
            result, sealed = {}, seal_result(job.result_key, job.job_id, done.result)
        with self.store.writing(alone=False) as connection:
            jobs.finish(
                connection,
                job,
                worker=self.name,
                now=self._now(),
                result=dict(result),
                sealed=sealed,
                visible_at=done.visible_at,
            )

    # --- beside the lanes ---

    def _look(self) -> None:
        """Wake the lanes that have something to do: one look for all of them."""
        pause = _LOOK_SECONDS[0]
        while not self.stopping.is_set():
            self.wake.wait(pause)
            self.wake.clear()
            try:
                with self.store.reading() as connection:
                    found = jobs.waiting_lanes(connection, now=self._now())
            except DatabaseError:
                found = set()  # a lane that tries says so in the log
            for lane in LANES:
                if lane in found:
                    self._waiting[lane].set()
            pause = _LOOK_SECONDS[0] if found else min(pause * 1.3, _LOOK_SECONDS[1])

    def _beats(self) -> None:
        while not self.stopping.wait(_BEAT_SECONDS):
            with self._lock:
                running = list(self._current.values())
            for work in running:
                with suppress(DatabaseError), self.store.writing(alone=False) as connection:
                    goes_on = jobs.beat(
                        connection,
                        work.job.job_id,
                        worker=self.name,
                        now=self._now(),
                        phase=work.phase,
                        done=work.done,
                        total=work.total,
                    )
                    if not goes_on:
                        work.cancelled.set()

    def _housekeeping(self, bench: Bench) -> None:
        seconds = 0
        while not self.stopping.wait(_HOUSEKEEPING_SECONDS):
            try:
                move_events(self.store, bench.vault)
                if seconds % _SETTLE_EVERY == 0:
                    with self.store.writing() as connection:
                        jobs.settle(connection, now=self._now())
                if seconds % _DESTROY_EVERY == 0:
                    destroy_expired(self.store, now=self._now())
                    with self.store.writing() as connection:
                        forget_keys(connection, before=self._now() - KEPT_SECONDS)
                        forget_uploads(connection, before=self._now() - KEPT_SECONDS)
                    remove_leftovers(self.store, now=self._now())
            except DatabaseError as error:
                log_line("worker.store", kind=type(error).__name__)
            seconds += 1

    @staticmethod
    def _now() -> int:
        return int(time.time())


@contextmanager
def only_worker(folder: Path) -> Iterator[None]:
    """Be the only worker of a store while the block runs (rule 1).

    Raises:
        WorkerRunsError: there is one.
    """
    descriptor = os.open(folder / "worker.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o660)  # the api looks at it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WorkerRunsError("another worker serves this folder") from None
    try:
        yield
    finally:
        os.close(descriptor)
