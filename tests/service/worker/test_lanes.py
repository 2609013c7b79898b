"""When a lane takes the next job: at moments that follow from public bounds, not from how long the one before it took (privacy rule 24)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casehaven.core.job_kinds import KINDS
from casehaven.core.jobs import TakenJob
from casehaven.queries.ticks import FACTOR, JobClass, Ticks, schedule
from casehaven.worker.work import Bench, Work

BEGAN = 1_000_000.0


def work(*, due: int, slot: float) -> Work:
    job = TakenJob(
        job_id="j",
        kind=KINDS["question.ask"],
        organisation="",
        dataset="",
        member_id="m",
        member_organisation="",
        request={},
        sealed_request=None,
        result_key=None,
        worker="w",
        attempt=1,
        queued_at=0,
    )
    unused: Any = None
    bench = Bench(store=unused, vault=unused, ledger=unused, held=unused, signing_key=Path("none"))
    return Work(job=job, bench=bench, due=due, slot=slot)


@given(took=st.floats(min_value=0.0, max_value=1.25))
def test_whatever_fits_a_slot_lets_the_next_one_begin_at_the_same_moment(took: float) -> None:
    one = work(due=int(BEGAN) + 5, slot=Ticks(period=5).slot)
    assert BEGAN + took + one.lane_waits(BEGAN, BEGAN + took) == pytest.approx(BEGAN + 1.25, abs=1e-6)


@given(took=st.floats(min_value=1.26, max_value=40.0))
def test_what_does_not_fit_takes_whole_slots(took: float) -> None:
    one = work(due=int(BEGAN) + 5, slot=1.25)
    slots = (took + one.lane_waits(BEGAN, BEGAN + took)) / 1.25
    assert slots == pytest.approx(round(slots), abs=1e-5)
    assert slots >= took / 1.25 - 1e-5


def test_a_release_holds_its_lane_until_its_tick_and_a_refusal_holds_none() -> None:
    assert work(due=int(BEGAN) + 60, slot=0.0).lane_waits(BEGAN, BEGAN + 20) == 40
    assert work(due=int(BEGAN) + 60, slot=0.0).lane_waits(BEGAN, BEGAN + 70) == 0
    assert work(due=0, slot=1.25).lane_waits(BEGAN, BEGAN + 0.2) == 0


@pytest.mark.parametrize("job", JobClass)
@pytest.mark.parametrize("people_cap", [2_000, 25_000, 200_000, 2_000_000])
def test_a_slot_holds_the_longest_measured_time_and_is_a_share_of_the_period(job: JobClass, people_cap: int) -> None:
    ticks = schedule(job, people_cap=people_cap, columns=30)
    assert ticks.slot >= job.longest(people_cap, 30)
    assert ticks.slot * FACTOR == ticks.period
