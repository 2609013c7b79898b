"""A release whose noise is simulated and seeded, for tests of what is made of noisy tables: reports, pages, intervals, attacks.

1. Every run sees the same release, so no test of it gives a false alarm: it always passes or always fails.
2. The scales are those of the plan, and everything after the noise is the real code. That the real noise is what it should be, and that nothing is opened
   before it is paid for, is tested where nothing is simulated: test_measure, test_mechanisms and test_two_worlds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

import casesynth
from casesynth.codes import Codes
from casesynth.counting import count_signed
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.intervals import simulate
from casesynth.model import FitSettings
from casesynth.plan import ReleasePlan
from casesynth.privacy import Receipt
from casesynth.synthesis import Synthesis, recompute


def seeded_synthesis(
    plan: ReleasePlan, people: Sequence[Codes], *, seed: int = 1, settings: FitSettings | None = None
) -> Synthesis:
    """Return what a plan makes of people.

    Args:
        plan: what is measured, and how exactly.
        people: one array of codes per column of the plan's domain.
        seed: of the noise; releases that should differ need different ones.
        settings: how hard the model is fitted.
    """
    marginals = count_signed([tuple(people)], [table.clique for table in plan.tables], plan.domain.sizes)
    measurements = simulate(plan, marginals, np.random.default_rng(seed))
    return recompute(plan, Receipt(charge_id="charge-1", loss=plan.loss), measurements, settings=settings)


def seeded_release(
    frame: pd.DataFrame, domain: Domain, *, epsilon: float, people_cap: int, seed: int = 1
) -> casesynth.Release:
    """Return a release of a frame in which each row is a person."""
    plan = ReleasePlan.make(domain, epsilon=epsilon, people_cap=people_cap)
    people = encode(frame, domain, person=None).columns
    return casesynth.Release(synthesis=seeded_synthesis(plan, people, seed=seed), unit="record")
