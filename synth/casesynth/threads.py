"""One thread inside each matrix product, several products side by side.

The model's matrices are small: a threaded BLAS spends more time waiting than working on them, and its sums depend on the number of
threads, so that two machines would not repeat each other's fit. Independent starts run side by side instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import TypeAlias, TypeVar

from threadpoolctl import threadpool_limits

Result = TypeVar("Result")

Check: TypeAlias = Callable[[], None]
"""Called now and then by a task; raises when the others have been cancelled."""

WORKERS = 2
TICK_SECONDS = 0.2


class _Stopped(Exception):
    """Ends a task whose result nobody waits for any more."""


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold matrix products to one thread while the context lasts."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def side_by_side(tasks: Sequence[Callable[[Check], Result]], tick: Check) -> list[Result]:
    """Run independent tasks on a few threads.

    Args:
        tasks: each is given a check to call now and then.
        tick: called from the caller's thread while it waits; raising from it, or an interrupt, stops all tasks.

    Returns:
        Results in the order given.
    """
    stop = Event()

    def check() -> None:
        if stop.is_set():
            raise _Stopped

    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(task, check) for task in tasks]
        try:
            waiting = set(futures)
            while waiting:
                tick()
                done, waiting = wait(waiting, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]
