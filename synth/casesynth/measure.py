"""Measurements: noisy tables with the exact scale of their noise. The last place that touches real data.

Everything made from a `Measurement` is post-processing and costs nothing.

1. The plan is charged, and the charge committed, before the people are opened (privacy rule 14): `measure` is handed `charge` and
   `open_people`, and cannot open without a receipt.
2. Tables are counted exactly, then every cell gets noise; exact counts are dropped table by table.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from casesynth.counting import count_signed
from casesynth.errors import CasesynthError
from casesynth.marginals import Clique
from casesynth.persons import PersonTable
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import PrivacyLoss, Receipt
from casesynth.privacy.mechanisms import add_gaussian_noise, gaussian_scale
from casesynth.progress import Progress, silent

Charge: TypeAlias = Callable[[PrivacyLoss], Receipt]
"""Commits a charge and returns its receipt, or raises and charges nothing."""

OpenPeople: TypeAlias = Callable[[Receipt], PersonTable]
"""Opens the snapshot for a committed charge."""


class ReceiptError(CasesynthError):
    """The receipt does not cover the plan."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One noisy table: protected, may be published."""

    clique: Clique
    values: NDArray[np.int64]
    """Noisy signed marginal: one axis per column of the clique that is not binary; may be negative."""
    nano_rho: int

    @property
    def scale(self) -> float:
        """Scale of the discrete Gaussian noise on each cell, in people."""
        return gaussian_scale(self.nano_rho)


def measure(
    plan: ReleasePlan, *, charge: Charge, open_people: OpenPeople, progress: Progress = silent
) -> tuple[tuple[Measurement, ...], Receipt]:
    """Charge the plan, open the people, and return the noisy tables.

    Raises:
        ReceiptError: the receipt is for less than the plan costs; nothing was opened.
        Whatever `charge` raises when the budget does not suffice; nothing was opened.
    """
    receipt = charge(plan.loss)
    if receipt.loss.nano_rho < plan.loss.nano_rho or receipt.loss.delta_units < plan.loss.delta_units:
        raise ReceiptError("the receipt covers less than the plan costs; nothing was opened")
    people = open_people(receipt)
    progress("count", 0.0)
    cliques = [table.clique for table in plan.tables]
    marginals = count_signed(people.batches(), cliques, plan.domain.sizes, check=lambda: progress("count", None))
    del people
    groups: dict[int, list[int]] = {}
    for place, table in enumerate(plan.tables):
        groups.setdefault(table.nano_rho, []).append(place)
    noisy: list[Measurement | None] = [None] * len(plan.tables)
    drawn = 0
    for nano_rho, places in groups.items():
        progress("measure", drawn / plan.cells)
        tables = [marginals[place].counts for place in places]
        flat = add_gaussian_noise(
            np.concatenate([table.ravel() for table in tables]), nano_rho=nano_rho, people_cap=plan.people_cap
        )
        for place, counts, values in zip(places, tables, _split(flat, [t.size for t in tables]), strict=True):
            noisy[place] = Measurement(clique=cliques[place], values=values.reshape(counts.shape), nano_rho=nano_rho)
        drawn += flat.size
    progress("measure", 1.0)
    return tuple(m for m in noisy if m is not None), receipt


def _split(flat: NDArray[np.int64], sizes: Sequence[int]) -> list[NDArray[np.int64]]:
    return np.split(flat, list(itertools.accumulate(sizes))[:-1])
