"""The release plan: which tables are measured, with how much of the budget, and what error to expect.

1. The plan depends on public facts only: the sizes of the value lists, the budget, people_cap (privacy rule 6). It is made, and can
   be printed, before anything is charged or opened.
2. Tables are signed marginals: the number of people, all single columns, all pairs, and the smallest triples of columns
   of at most `TRIPLE_VALUES` values, as long as all tables together have at most `CELLS` cells. A binary column is a sign and no axis, so what a table costs and takes is decided by its other columns.
3. Shares: a fixed part of the budget for each length, within it proportional to the square root of the number of cells, which minimises
   the total variance (Lagrange on sum of cells / rho_T). Rounded down to integer nano-rho, so the sum never passes the budget.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

from casesynth.domain import Domain
from casesynth.errors import CasesynthError
from casesynth.marginals import Clique, signed_shape
from casesynth.privacy.accounting import check_delta, default_delta, epsilon_for, rho_for
from casesynth.privacy.loss import PrivacyLoss
from casesynth.privacy.mechanisms import gaussian_scale

PAIR_CELLS_MAX = 2_000_000
"""Most cells that the plain tables of all pairs may have together."""

TRIPLE_CELLS = 4_000
"""Most cells of a triple that is measured."""

TRIPLE_VALUES = 100
"""Most values of a column in a triple that is measured: a longer list spreads people over more cells than noise leaves readable."""

CELLS = 240_000
"""Triples are measured, smallest first, while all tables together have no more cells than this: noise takes time by the cell."""

LENGTH_SHARES = (0.03, 0.13, 0.33, 0.51)
"""Parts of the budget for the number of people, single columns, pairs and triples; what has no table leaves its part to the others."""

PEOPLE_CAP_MAX = 1 << 40


class PlanError(CasesynthError):
    """A plan that cannot be made from these public facts; says what to change."""


@dataclass(frozen=True, kw_only=True)
class PlannedTable:
    """One table that will be measured."""

    clique: Clique
    cells: int
    """Of the signed marginal."""
    nano_rho: int

    @property
    def scale(self) -> float:
        """Scale of the discrete Gaussian noise on each cell, in people."""
        return gaussian_scale(self.nano_rho)


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """What will be measured, what it costs and how large the noise will be; public facts only."""

    domain: Domain
    tables: tuple[PlannedTable, ...]
    people_cap: int
    epsilon: float
    """The policy's epsilon for one person token."""
    delta: float
    max_tokens_per_person: int

    @property
    def loss(self) -> PrivacyLoss:
        """Privacy loss for one person token: the sum of all tables."""
        return PrivacyLoss(nano_rho=sum(table.nano_rho for table in self.tables))

    @property
    def epsilon_per_person(self) -> float:
        """Epsilon at the plan's delta for a person behind `max_tokens_per_person` tokens (privacy rule 2)."""
        return epsilon_for(self.loss.scaled(self.max_tokens_per_person).nano_rho, self.delta)

    @cached_property
    def cells(self) -> int:
        """Number of noisy cells that will be drawn."""
        return sum(table.cells for table in self.tables)

    @classmethod
    def make(
        cls,
        domain: Domain,
        *,
        epsilon: float,
        people_cap: int,
        delta: float | None = None,
        max_tokens_per_person: int = 1,
    ) -> ReleasePlan:
        """Plan a release for one policy.

        Args:
            domain: the public value lists.
            epsilon: privacy loss for one person token, 0.001 to 100.
            people_cap: public bound on the number of people.
            delta: default the smaller of 1e-6 and 1 / (10 people_cap).
            max_tokens_per_person: how many person tokens one person may have across organisations.

        Raises:
            PlanError: people_cap or the domain is out of range; says what to change.
            PrivacyLossError: epsilon or delta is out of range.
        """
        if isinstance(people_cap, bool) or not isinstance(people_cap, int) or not 1 <= people_cap <= PEOPLE_CAP_MAX:
            raise PlanError(f"people_cap must be a whole number from 1 to {PEOPLE_CAP_MAX}, got {people_cap}")
        tokens = max_tokens_per_person
        if isinstance(tokens, bool) or not isinstance(tokens, int) or not 1 <= tokens <= 1000:
            raise PlanError(f"max_tokens_per_person must be from 1 to 1000, got {tokens}")
        used_delta = check_delta(default_delta(people_cap) if delta is None else delta)
        budget = rho_for(epsilon, used_delta)
        _check_width(domain)
        shares = _shares(domain.sizes)
        tables = tuple(
            PlannedTable(
                clique=clique,
                cells=math.prod(signed_shape(clique, domain.sizes)),
                nano_rho=math.floor(budget * share),
            )
            for clique, share in shares.items()
        )
        if any(table.nano_rho < 1 for table in tables):
            raise PlanError(
                f"epsilon {epsilon:g} is too small for {len(tables)} tables: raise epsilon or use fewer attributes"
            )
        return cls(
            domain=domain,
            tables=tables,
            people_cap=people_cap,
            epsilon=float(epsilon),
            delta=used_delta,
            max_tokens_per_person=max_tokens_per_person,
        )


def _check_width(domain: Domain) -> None:
    pair_cells = sum(a * b for a, b in itertools.combinations(domain.sizes, 2))
    if pair_cells > PAIR_CELLS_MAX:
        longest = sorted(domain.columns, key=lambda column: -column.size)[:3]
        raise PlanError(
            f"all pairs of columns have {pair_cells} cells, more than {PAIR_CELLS_MAX}: coarsen the longest value lists "
            f"({', '.join(f'{column.name} with {column.size} values' for column in longest)}) or leave attributes out"
        )


def _shares(sizes: tuple[int, ...]) -> dict[Clique, float]:
    """Return each table's share of the budget; the shares sum to 1."""
    columns = range(len(sizes))

    def cells(clique: Clique) -> int:
        return math.prod(signed_shape(clique, sizes))

    chosen: list[list[Clique]] = [
        [()] if 2 in sizes else []
    ]  # other columns' tables tell the number of people themselves
    chosen += [list(itertools.combinations(columns, length)) for length in (1, 2)]
    room = CELLS - sum(cells(clique) for group in chosen for clique in group)
    by_cells: dict[int, list[Clique]] = {}
    for triple in itertools.combinations([i for i in columns if sizes[i] <= TRIPLE_VALUES], 3):
        by_cells.setdefault(cells(triple), []).append(triple)
    triples: list[Clique] = []
    for size in sorted(size for size in by_cells if size <= TRIPLE_CELLS):
        room -= size * len(by_cells[size])
        if room < 0:
            break
        triples += by_cells[size]
    chosen.append(triples)
    whole = sum(part for part, group in zip(LENGTH_SHARES, chosen, strict=True) if group)
    shares: dict[Clique, float] = {}
    for part, group in zip(LENGTH_SHARES, chosen, strict=True):
        roots = [math.sqrt(cells(clique)) for clique in group]
        total = sum(roots)
        shares |= {clique: part / whole * root / total for clique, root in zip(group, roots, strict=True)}
    return shares
