"""How far the number of people with a derived value may be off, beside what is known of single combinations.

Where a derived value stands for many rare values of its source (a region that hardly anybody comes from), small errors of the model in each of
them may add up: the model raises shares that noise alone would make negative. The sum of their noisy counts is unbiased, and how far it scatters is known. So what the model says may
be off by its distance to that sum and 1.96 standard errors of it. Post-processing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from casesynth.links import Floats, Link
from casesynth.measure import Measurement
from casesynth.model import LatentClassModel

NORMAL = 1.96
"""Standard errors on each side of a 95 % interval."""


def doubted(links: Sequence[Link], model: LatentClassModel, measurements: Sequence[Measurement]) -> list[Link]:
    """Return declared links with how far the number of people with each of their values may be off.

    Args:
        links: declared ones, not yet part of the model.
        model: fitted to the measurements.
        measurements: the noisy tables; single columns of more than two values were measured value by value.
    """
    singles = {m.clique[0]: m for m in measurements if len(m.clique) == 1}
    found = []
    for link in links:
        single = singles.get(link.source)
        if single is not None and single.values.shape == (len(link.table),):
            direct = np.maximum(single.values @ link.table, 0.0)
            scatter: Floats = NORMAL * single.scale * np.sqrt(link.table.sum(axis=0))
            people = np.maximum(link.follow(model.marginal((link.source,))), 1e-9)
            link = replace(link, doubt=(np.abs(people - direct) + scatter) / people)
        found.append(link)
    return found
