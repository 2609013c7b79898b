"""The release plan: which tables are measured, with how much of the budget, and what error to expect.

1. The plan depends on public facts only: the sizes of the value lists, the budget, people_cap (privacy rule 6). It is made, and can
   be printed, before anything is charged or opened.
2. Tables are signed marginals: the number of people, all single columns, all pairs, and the smallest triples, as long as all tables together
   are expected to have at most `CELLS` cells. A binary column is a sign and no axis, so what a table costs and takes is decided by its other
   columns. In tables of several columns a long list is expected to fill `FILLED` cells, the others fold into one (`casesynth.folds`).
3. Shares: a fixed part of the budget for each length, another one where no list is long enough to fold; within it proportional to the square root of the expected number of cells, which
   minimises the total variance (Lagrange on sum of cells / rho_T). Rounded down to integer nano-rho, so the sum never passes the budget.
4. Tables that the steward names get a share of their own on top: their signed tables are measured more precisely.
5. A share is at least one nano-rho. Where the budget is too small for that, triples are left out, the largest first, and the plan says so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from casesynth.domain import Domain
from casesynth.errors import CasesynthError
from casesynth.folds import FOLD_SIZE
from casesynth.marginals import LENGTH_MAX, Clique, axes_of, signed_shape, signs_of
from casesynth.privacy.accounting import check_delta, default_delta, epsilon_for, rho_for
from casesynth.privacy.loss import PrivacyLoss
from casesynth.privacy.mechanisms import gaussian_scale

PAIR_CELLS_MAX = 2_000_000
"""Most cells that the plain tables of all pairs may have together."""

TRIPLE_CELLS = 4_000
"""Most cells of a triple that is measured."""

TRIPLE_VALUES = 100
"""A longer list is in a triple only with two columns of two values: cells beyond that are more than noise leaves readable."""

FILLED = 110
"""As many values of a long list are expected to have cells of their own in tables of several columns (`casesynth.folds`)."""

FILLED_IN_TRIPLES = 45
"""As many in tables of three columns, where more of them fold."""

CELLS = 240_000
"""Triples are measured, smallest first, while all tables together have no more cells than this: noise takes time by the cell."""

LENGTH_SHARES = (0.01, 0.22, 0.44, 0.33)
"""Parts of the budget for the number of people, single columns, pairs and triples; what has no table leaves its part to the others."""

SHORT_LENGTH_SHARES = (0.02, 0.14, 0.38, 0.46)
"""The same where no list is long enough to fold: triples then tell more."""

TABLE_SHARE = 0.25
"""Part of the budget that named tables share beside their place among the others, unless the steward says otherwise."""

TABLE_CELLS = 4_000
"""Most plain cells of a named table."""

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
    triples_left_out: int = 0
    """Triples that would be measured with a larger budget: shares are whole nano-rho."""
    named: tuple[tuple[str, ...], ...] = ()
    """Tables that matter to the steward, by attribute: they get a share of their own."""
    table_share: float = 0.0
    """Part of the budget that the named tables share."""

    @property
    def measured(self) -> Domain:
        """The domain without derived attributes: the columns of the tables."""
        return self.domain.measured

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
        """Most noisy cells that will be drawn: all there are where no value folds (`casesynth.folds`)."""
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
        tables: Sequence[Sequence[str]] = (),
        table_share: float | None = None,
    ) -> ReleasePlan:
        """Plan a release for one policy.

        Args:
            domain: the public value lists.
            epsilon: privacy loss for one person token, 0.001 to 100.
            people_cap: public bound on the number of people.
            delta: default the smaller of 1e-6 and 1 / (10 people_cap).
            max_tokens_per_person: how many person tokens one person may have across organisations.
            tables: tables that matter, each one to three attributes; they come out sharper, the rest a little less sharp.
            table_share: part of the budget that they share, above 0 and at most .9; default `TABLE_SHARE`.

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
        _check_width(domain.measured)
        sizes = domain.measured.sizes
        named, share = named_cliques(domain, tables), (TABLE_SHARE if table_share is None else table_share)
        if not 0 < share <= 0.9:
            raise PlanError(f"table_share must be above 0 and at most 0.9, got {table_share}")
        if table_share is not None and not named:
            raise PlanError("table_share is for named tables, and none is named")
        own = math.floor(budget * share) if named else 0
        priced, left_out = _priced(sizes, budget - own)
        if not priced:
            raise PlanError(
                f"epsilon {epsilon:g} is too small for the pairs of {len(sizes)} columns: raise epsilon or use fewer attributes"
            )
        for clique, nano_rho in _own_shares(named, sizes, own).items():
            priced[clique] = priced.get(clique, 0) + nano_rho
        planned = tuple(
            PlannedTable(clique=clique, cells=math.prod(signed_shape(clique, sizes)), nano_rho=nano_rho)
            for clique, nano_rho in priced.items()
        )
        return cls(
            domain=domain,
            tables=planned,
            people_cap=people_cap,
            epsilon=float(epsilon),
            delta=used_delta,
            max_tokens_per_person=max_tokens_per_person,
            triples_left_out=left_out,
            named=tuple(tuple(table) for table in tables),
            table_share=share if named else 0.0,
        )


def named_cliques(domain: Domain, tables: Sequence[Sequence[str]]) -> tuple[Clique, ...]:
    """Return the columns of each named table; one table for each value of a multi-value attribute.

    Raises:
        PlanError: a table names no attributes, or too many, or one that the domain lacks, or has too many cells.
    """
    places: dict[str, list[int]] = {}
    for place, column in enumerate(domain.columns):
        places.setdefault(column.attribute, []).append(place)
    cliques: dict[Clique, None] = {}
    for table in tables:
        shown = ",".join(table)
        if not 1 <= len(table) <= LENGTH_MAX or len(set(table)) != len(table):
            raise PlanError(f"a named table has 1 to {LENGTH_MAX} different attributes, got {shown or 'none'}")
        derived = {each.name: each.derived.source for each in domain.attributes if each.derived is not None}
        follows = [name for name in table if name in derived]
        if follows:
            raise PlanError(f"table {shown}: {follows[0]} is derived and never measured; name {derived[follows[0]]}")
        unknown = [name for name in table if name not in places]
        if unknown:
            raise PlanError(f"table {shown}: no attribute {unknown[0]} in the domain")
        for chosen in itertools.product(*(places[name] for name in table)):
            cells = math.prod(domain.sizes[column] for column in chosen)
            if cells > TABLE_CELLS:
                raise PlanError(f"table {shown} has {cells} cells, more than {TABLE_CELLS}: coarsen an attribute")
            cliques[tuple(sorted(chosen))] = None
    return tuple(cliques)


def _own_shares(named: Sequence[Clique], sizes: tuple[int, ...], budget: int) -> dict[Clique, int]:
    """Return what the named tables get beside their ordinary shares.

    A plain table is as many signed ones as its binary columns have subsets: each gets the same, as if it were measured plain.
    """
    roots = {clique: math.sqrt(math.prod(sizes[column] for column in clique)) for clique in named}
    total = sum(roots.values())
    shares: dict[Clique, int] = {}
    for clique, root in roots.items():
        axes, signs = axes_of(clique, sizes), signs_of(clique, sizes)
        each = math.floor(budget * root / total / 2 ** len(signs))
        for length in range(len(signs) + 1 if each else 0):
            for chosen in itertools.combinations(signs, length):
                part = tuple(sorted(axes + chosen))
                shares[part] = shares.get(part, 0) + each
    return shares


def _check_width(domain: Domain) -> None:
    pair_cells = sum(a * b for a, b in itertools.combinations(domain.sizes, 2))
    if pair_cells > PAIR_CELLS_MAX:
        longest = sorted(domain.columns, key=lambda column: -column.size)[:3]
        raise PlanError(
            f"all pairs of columns have {pair_cells} cells, more than {PAIR_CELLS_MAX}: coarsen the longest value lists "
            f"({', '.join(f'{column.name} with {column.size} values' for column in longest)}) or leave attributes out"
        )


def _priced(sizes: tuple[int, ...], budget: int) -> tuple[dict[Clique, int], int]:
    """Return each table's share in nano-rho, and how many triples the budget is too small for; no tables where it is too small for pairs."""
    groups = _triples(sizes)
    every = sum(map(len, groups))
    while True:
        shares = _shares(sizes, [triple for group in groups for triple in group])
        if math.floor(budget * min(shares.values())) >= 1 or not groups:
            break
        groups.pop()  # the largest triples go first
    left_out = every - sum(map(len, groups))
    if math.floor(budget * min(shares.values())) >= 1:
        return {clique: math.floor(budget * share) for clique, share in shares.items()}, left_out
    spare = budget - len(shares)
    return {clique: 1 + math.floor(spare * share) for clique, share in shares.items()} if spare >= 0 else {}, left_out


def _cells(clique: Clique, sizes: Sequence[int]) -> int:
    """Return how many cells a table is expected to have."""
    most = FILLED if len(clique) < 3 else FILLED_IN_TRIPLES
    filled = [size if size < FOLD_SIZE or len(clique) < 2 else min(size, most) for size in sizes]
    return math.prod(signed_shape(clique, filled))


def _triples(sizes: tuple[int, ...]) -> list[list[Clique]]:
    """Return the triples that are measured, in groups of equally many expected cells, smallest first."""
    columns = range(len(sizes))
    room = CELLS - sum(_cells(clique, sizes) for length in (1, 2) for clique in itertools.combinations(columns, length))
    by_cells: dict[int, list[Clique]] = {}
    for triple in itertools.combinations(columns, 3):
        if max(sizes[i] for i in triple) > TRIPLE_VALUES and sum(sizes[i] == 2 for i in triple) < 2:
            continue
        by_cells.setdefault(_cells(triple, sizes), []).append(triple)
    groups: list[list[Clique]] = []
    for cells in sorted(cells for cells in by_cells if cells <= TRIPLE_CELLS):
        room -= cells * len(by_cells[cells])
        if room < 0:
            break
        groups.append(by_cells[cells])
    return groups


def _shares(sizes: tuple[int, ...], triples: list[Clique]) -> dict[Clique, float]:
    """Return each table's share of the budget; the shares sum to 1."""
    columns = range(len(sizes))
    chosen: list[list[Clique]] = [
        [()] if 2 in sizes else [],  # other columns' tables tell the number of people themselves
        *(list(itertools.combinations(columns, length)) for length in (1, 2)),
        triples,
    ]
    parts = LENGTH_SHARES if max(sizes) >= FOLD_SIZE else SHORT_LENGTH_SHARES
    whole = sum(part for part, group in zip(parts, chosen, strict=True) if group)
    shares: dict[Clique, float] = {}
    for part, group in zip(parts, chosen, strict=True):
        roots = [math.sqrt(_cells(clique, sizes)) for clique in group]
        total = sum(roots)
        shares |= {clique: part / whole * root / total for clique, root in zip(group, roots, strict=True)}
    return shares
