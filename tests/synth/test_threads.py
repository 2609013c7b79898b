"""Tasks side by side: results in order, the first error wins, and a caller who gives up is let go at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from casesynth.threads import Check, one_blas_thread, side_by_side


class _TaskFailed(Exception):
    pass


def _nothing() -> None:
    return None


def test_results_come_in_the_order_of_the_tasks() -> None:
    def task(wait: float) -> Callable[[Check], float]:
        def run(check: Check) -> float:
            time.sleep(wait)
            return wait

        return run

    waits = [0.05, 0.0, 0.03, 0.01, 0.0]
    assert side_by_side([task(wait) for wait in waits], _nothing) == waits


def test_no_tasks_give_no_results() -> None:
    assert side_by_side([], _nothing) == []


def test_two_tasks_really_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=60)
    assert sorted(side_by_side([lambda check: meeting.wait(), lambda check: meeting.wait()], _nothing)) == [0, 1]


def test_the_first_error_is_raised_and_stops_the_others() -> None:
    stopped = threading.Event()

    def works_until_stopped(check: Check) -> None:
        try:
            while True:
                check()
                time.sleep(0.005)
        finally:
            stopped.set()

    def fails(check: Check) -> None:
        time.sleep(0.02)
        raise _TaskFailed("first")

    began = time.monotonic()
    with pytest.raises(_TaskFailed, match="first"):
        side_by_side([works_until_stopped, fails, works_until_stopped], _nothing)
    assert stopped.is_set()
    assert time.monotonic() - began < 30  # without the stop it would never end


@pytest.mark.parametrize("error", [KeyboardInterrupt, _TaskFailed])
def test_raising_from_tick_stops_every_task_promptly(error: type[BaseException]) -> None:
    ended: list[int] = []

    def endless(place: int) -> Callable[[Check], None]:
        def run(check: Check) -> None:
            try:
                while True:
                    check()
                    time.sleep(0.005)
            finally:
                ended.append(place)

        return run

    calls = 0

    def tick() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise error

    began = time.monotonic()
    with pytest.raises(error):
        side_by_side([endless(0), endless(1)], tick)
    assert sorted(ended) == [0, 1]
    assert time.monotonic() - began < 30  # without the stop it would never end


def test_tick_is_called_while_tasks_run() -> None:
    ticks: list[float] = []
    third = threading.Event()

    def tick() -> None:
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            third.set()

    assert side_by_side([lambda check: third.wait(60)], tick) == [True]


def test_matrix_products_are_held_to_one_thread_and_let_go_afterwards() -> None:
    def limits() -> set[int]:
        return {int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(limits=2, user_api="blas"):
        before = limits()
        with one_blas_thread():
            assert limits() == {1}
        assert limits() == before
