"""Ticks: fixed by public facts before anything is counted, the same for every answer of a class (privacy rule 24)."""

from __future__ import annotations

import inspect
import itertools

import pytest

from casehaven.queries import ticks
from casehaven.queries.ticks import FACTOR, STEPS, JobClass, Ticks, job_class, next_tick, schedule

DAY = 86_400
NOON = 1_700_000_000


@pytest.mark.parametrize("period", STEPS)
def test_a_job_has_a_whole_period_and_ends_at_a_tick_of_the_day(period: int) -> None:
    assert DAY % period == 0
    for accepted_at in (NOON, NOON + 1, NOON + period - 1, NOON - NOON % period, NOON - NOON % period + 1):
        due = Ticks(period=period).next_tick(accepted_at)
        assert due % period == 0 and period <= due - accepted_at < 2 * period


def test_one_after_another_each_has_its_own_period() -> None:
    """However long the one before took: its tick is named before it begins."""
    due = None
    dues = [due := Ticks(period=10).next_tick(NOON, after=due) for _ in range(5)]
    assert all(later - sooner == 10 for sooner, later in itertools.pairwise(dues))
    assert Ticks(period=10).next_tick(NOON + 100, after=NOON) == Ticks(period=10).next_tick(NOON + 100)


def test_a_period_is_four_times_the_longest_time_rounded_up() -> None:
    for job, people_cap, columns in itertools.product(
        JobClass, (100, 25_000, 200_000, 2_000_000, 1 << 40), (1, 27, 200)
    ):
        found, longest = schedule(job, people_cap=people_cap, columns=columns).period, job.longest(people_cap, columns)
        assert found >= FACTOR * longest
        assert found in STEPS or found % DAY == 0
        smaller = [step for step in STEPS if step < found]
        assert not smaller or smaller[-1] < FACTOR * longest


def test_more_people_or_columns_or_tables_never_shorten_it() -> None:
    caps, columns = (10, 1_000, 100_000, 10_000_000), (2, 20, 200)
    for job, wide in itertools.product(JobClass, columns):
        periods = [schedule(job, people_cap=cap, columns=wide).period for cap in caps]
        assert periods == sorted(periods)
    for cap in caps:
        periods = [schedule(JobClass.QUESTION, people_cap=cap, columns=wide).period for wide in columns]
        assert periods == sorted(periods)
        small, large = (schedule(job, people_cap=cap, columns=27).period for job in JobClass)
        assert small <= large
    assert job_class(tables=16, cells=2_000) is JobClass.QUESTION
    assert job_class(tables=17, cells=17) is job_class(tables=1, cells=2_001) is JobClass.LARGE_QUESTION


def test_no_function_of_the_schedule_can_be_told_how_many_there_are() -> None:
    for function in (schedule, next_tick, JobClass.longest, job_class, Ticks.next_tick):
        asked = set(inspect.signature(function).parameters)
        assert asked <= {"self", "job", "people_cap", "columns", "tables", "cells", "accepted_at", "after"}
    assert next_tick(NOON, JobClass.QUESTION, people_cap=1000, columns=10) == schedule(
        JobClass.QUESTION, people_cap=1000, columns=10
    ).next_tick(NOON)
    assert ticks.FACTOR == 4
