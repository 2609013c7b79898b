"""Measurements: noisy tables with the exact scale of their noise. The last place that touches real data.

Everything made from a `Measurement` is post-processing and costs nothing.

1. The plan is charged, and the charge committed, before the people are opened (privacy rule 14): `measure` is handed `charge` and
   `open_people`, and cannot open without a receipt.
2. Tables are counted exactly, then every cell gets noise; exact counts are dropped table by table.
3. The number of people and single columns get their noise first. The others are folded by what those noisy numbers say
   (`casesynth.folds`), then get theirs. Shares of the budget stand in the plan, before either.
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
from casesynth.folds import folded, stored_folds
from casesynth.marginals import Clique, Marginal
from casesynth.persons import PersonTable
from casesynth.plan import PlannedTable, ReleasePlan
from casesynth.privacy.loss import PrivacyLoss, Receipt
from casesynth.privacy.mechanisms import add_gaussian_noise, gaussian_scale
from casesynth.progress import Progress, silent
from casesynth.threads import one_blas_thread

Charge: TypeAlias = Callable[[PrivacyLoss], Receipt]
"""Commits a charge and returns its receipt, or raises and charges nothing."""

OpenPeople: TypeAlias = Callable[[Receipt], PersonTable]
"""Opens the snapshot for a committed charge."""

AddNoise: TypeAlias = Callable[[NDArray[np.int64], int], NDArray[np.int64]]
"""Adds noise to exact counts, for the share in nano-rho of one table."""


class ReceiptError(CasesynthError):
    """The receipt does not cover the plan."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One noisy table: protected, may be published."""

    clique: Clique
    values: NDArray[np.int64]
    """Noisy signed marginal: one axis per column of the clique that is not binary, folded where there are several columns; may be negative."""
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
    with one_blas_thread():
        marginals = count_signed(people.batches(), cliques, plan.domain.sizes, check=lambda: progress("count", None))
    del people
    drawn = 0

    def noisy(counts: NDArray[np.int64], nano_rho: int) -> NDArray[np.int64]:
        nonlocal drawn
        progress("measure", min(drawn / plan.cells, 1.0))
        drawn += counts.size
        return add_gaussian_noise(  # reads exact counts: the last place that does
            counts, nano_rho=nano_rho, people_cap=plan.people_cap
        )

    measurements = in_two_stages(plan, marginals, noisy)
    progress("measure", 1.0)
    return measurements, receipt


def in_two_stages(plan: ReleasePlan, marginals: Sequence[Marginal], noisy: AddNoise) -> tuple[Measurement, ...]:
    """Return the plan's tables with noise: first the number of people and single columns, then the others, folded.

    Args:
        plan: which tables, with which shares.
        marginals: their exact signed marginals, in the plan's order.
        noisy: adds noise to a flat array for the share of one table.
    """
    found: dict[int, Measurement] = {}
    first = [place for place, table in enumerate(plan.tables) if len(table.clique) < 2]
    _add(found, first, plan.tables, [marginals[place].counts for place in first], noisy)
    folds = stored_folds(tuple(found.values()), plan.domain.sizes)
    rest = [place for place, table in enumerate(plan.tables) if len(table.clique) > 1]
    _add(found, rest, plan.tables, [folded(marginals[p].counts, marginals[p].clique, folds) for p in rest], noisy)
    return tuple(found[place] for place in range(len(plan.tables)))


def _add(
    found: dict[int, Measurement],
    places: Sequence[int],
    tables: Sequence[PlannedTable],
    counts: Sequence[NDArray[np.int64]],
    noisy: AddNoise,
) -> None:
    """Add noise to some of the tables; those of equal shares in one call, laid end to end."""
    groups: dict[int, list[int]] = {}
    for position, place in enumerate(places):
        groups.setdefault(tables[place].nano_rho, []).append(position)
    for nano_rho, members in groups.items():
        flat = np.concatenate([counts[position].ravel() for position in members])
        parts = _split(noisy(flat, nano_rho), [counts[position].size for position in members])
        for position, values in zip(members, parts, strict=True):
            shape, clique = counts[position].shape, tables[places[position]].clique
            found[places[position]] = Measurement(clique=clique, values=values.reshape(shape), nano_rho=nano_rho)


def _split(flat: NDArray[np.int64], sizes: Sequence[int]) -> list[NDArray[np.int64]]:
    return np.split(flat, list(itertools.accumulate(sizes))[:-1])
