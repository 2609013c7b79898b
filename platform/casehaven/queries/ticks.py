"""When an answer of a service may be seen: at a tick that was fixed before anything was counted (privacy rule 24).

1. Each class of jobs has a schedule: ticks at whole multiples of a period since 1970. The period is four times the longest time that was measured for the class at
   so many people and columns, rounded up to a step of `STEPS`. It follows from people cap, domain and the size of the question alone, never from records.
2. A job's tick is named when the job is accepted: the first one that leaves it a whole period. A job that waits its turn starts after public times, too, however long the one before it took: a
   caller who does one after the other begins the next a slot later, and a slot is a share of the period that holds the longest measured time. One that took longer takes whole slots.
3. What a job came to is shown at its tick, not before: an answer, a failure, and an answer that was ready too late, which is a failure like any other. The charge stands.
4. What is served without counting (a stored answer, one that follows from what is paid for, a refusal before the charge) depends on no record and waits for no tick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

FACTOR: Final = 4
"""How many times the longest measured time a period is."""

STEPS: Final = (2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)
"""Periods in seconds; each divides a day, so that ticks fall on the same moments every day."""

SMALL_TABLES: Final = 16
SMALL_CELLS: Final = 2_000


class JobClass(Enum):
    """Questions of a kind, with the seconds that were measured for the longest of them (`benchmarks/queries.py`, *longest*)."""

    QUESTION = (0.5, 0.20, 0.8)
    """At most 16 tables with 2,000 cells."""
    LARGE_QUESTION = (2.0, 0.20, 9.0)
    """Any other that the grammar lets through."""

    def longest(self, people_cap: int, columns: int) -> float:
        """Return the seconds that the longest job of the class takes: something fixed, something for each code that is read, and something for each person counted."""
        fixed, of_a_million_codes, of_a_million_people = self.value
        millions = people_cap / 1e6
        return fixed + of_a_million_codes * millions * columns + of_a_million_people * millions


def job_class(*, tables: int, cells: int) -> JobClass:
    """Return the class of a question by the noisy tables and cells of its plan.

    >>> job_class(tables=1, cells=1000).name, job_class(tables=1000, cells=1000).name
    ('QUESTION', 'LARGE_QUESTION')
    """
    return JobClass.QUESTION if tables <= SMALL_TABLES and cells <= SMALL_CELLS else JobClass.LARGE_QUESTION


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """The schedule of one class of jobs."""

    period: int
    """Seconds between two ticks."""

    @property
    def slot(self) -> float:
        """Seconds between the beginnings of two jobs of a lane: at least the longest measured time (rule 2).

        >>> Ticks(period=5).slot
        1.25
        """
        return self.period / FACTOR

    def next_tick(self, accepted_at: int, *, after: int | None = None) -> int:
        """Return the tick of a job, in seconds since 1970.

        Args:
            accepted_at: when the request was taken in, in seconds since 1970.
            after: the tick of the job before it, where one is still to come; None where none waits.

        >>> Ticks(period=5).next_tick(100), Ticks(period=5).next_tick(101), Ticks(period=5).next_tick(101, after=110)
        (105, 110, 115)
        """
        start = accepted_at if after is None else max(accepted_at, after)
        return -(-(start + self.period) // self.period) * self.period


def schedule(job: JobClass, *, people_cap: int, columns: int) -> Ticks:
    """Return the ticks of a class, from public facts.

    Args:
        job: the class.
        people_cap: public bound on the number of people.
        columns: of the domain; each value of a multi-value attribute is one.

    >>> schedule(JobClass.QUESTION, people_cap=200_000, columns=27).period
    10
    """
    needed = math.ceil(FACTOR * job.longest(people_cap, columns))
    return Ticks(period=next((step for step in STEPS if step >= needed), -(-needed // 86_400) * 86_400))


def next_tick(accepted_at: int, job: JobClass, *, people_cap: int, columns: int, after: int | None = None) -> int:
    """Return the tick of a job that was accepted at some second: see `Ticks.next_tick` and `schedule`."""
    return schedule(job, people_cap=people_cap, columns=columns).next_tick(accepted_at, after=after)
