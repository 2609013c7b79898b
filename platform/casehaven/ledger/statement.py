"""What has been spent, as rows that people and programs read, and the worst total for one person.

1. A row belongs to one dataset and block and is exact: integers, as charged.
2. The *odometer* bounds the loss of one person who is in up to m datasets, in one block of each. A charge of rho that touches n of this
   person's tokens costs the person rho n^2 (group privacy of zCDP), and charges add up. With s(D) the largest balance of a block of dataset D,
   and g(D, E) the sum of the charges that touch both D and E, but at most sqrt(s(D) s(E)) rounded up, the person's loss is at most the sum over the
   person's datasets D of s(D) plus g(D, E) for every other E of them. The odometer takes, for each D, the m - 1 largest g(D, E), and then
   the m largest of these sums: never below the true worst case, and equal to it when all datasets are always charged together or never.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from casehaven.ledger import models
from casehaven.ledger.accounts import stored_ledger_policy, stored_policy
from casehaven.ledger.decisions import ReleaseDecision, release_decisions
from casehaven.ledger.policy import BudgetPolicy, LedgerPolicy
from casehaven.ledger.unbounded import unbounded_since


@dataclass(frozen=True, kw_only=True)
class StatementRow:
    """One account: a dataset and a block of first-registration years."""

    dataset: str
    """`organisation/dataset`."""
    block: str
    """Four digits of a year; empty when the year is unknown."""
    cap_nano_rho: int
    """The most that may ever be spent."""
    spent_nano_rho: int
    """What has been charged, whether or not a result came of it."""
    cap_delta_units: int
    """The most additive delta, in units of 1e-15."""
    spent_delta_units: int
    """The additive delta charged, in units of 1e-15."""
    delta_units: int
    """The policy's whole delta, in units of 1e-15: what `epsilon` is stated at."""
    epsilon: float
    """What is spent, as epsilon at the policy's delta for one person token; rounded up; 0 when nothing is spent."""
    cap_epsilon: str
    """The policy's epsilon, as decimal text."""
    unbounded_since: str | None = None
    """Day of the first release without differential privacy; from then on no amount here bounds anything (privacy rule 34)."""

    @property
    def remaining_nano_rho(self) -> int:
        """What may still be charged."""
        if self.unbounded_since is not None:
            return 0
        return self.cap_nano_rho - self.spent_nano_rho


@dataclass(frozen=True, kw_only=True)
class Odometer:
    """The worst total loss of one person over the whole ledger (rule 2)."""

    tokens: int
    """In how many datasets this person is taken to be; 0 when the ledger has none."""
    nano_rho: int
    """An upper bound on the person's zCDP rho, times 1e9."""
    delta_units: int
    """The delta that `epsilon` is stated at, in units of 1e-15: the ledger policy's."""
    epsilon: float | None
    """The same as epsilon; None when additive deltas were charged, for which no bound on several tokens is stated, and where nothing bounds it."""
    unbounded: bool = False
    """Whether a dataset was released without differential privacy: then a person in it has no bound at all."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The state of a whole ledger at one moment."""

    ledger_id: str
    """Random name of the ledger, made when it was created."""
    policy: LedgerPolicy
    """What the ledger was created with."""
    rows: tuple[StatementRow, ...]
    """One row per account, by dataset and block."""
    odometer: Odometer
    """The worst total for one person."""
    releases: tuple[ReleaseDecision, ...] = ()
    """Every release that was drawn and shown, with what was decided about it."""


def worst_person_nano_rho(balances: Mapping[str, int], shared: Mapping[tuple[str, str], int], tokens: int) -> int:
    """Bound the loss of a person who is in up to `tokens` datasets, as the module's rule 2 says.

    Args:
        balances: largest block balance per dataset, in nano-rho.
        shared: for each ordered pair of different datasets, the sum of the charges that touch both, in nano-rho.
        tokens: number of datasets that one person may be in.

    >>> worst_person_nano_rho({"a/x": 10, "b/x": 10}, {("a/x", "b/x"): 10, ("b/x", "a/x"): 10}, 2)
    40
    >>> worst_person_nano_rho({"a/x": 10, "b/x": 4}, {}, 2)
    14
    """
    sums = []
    for dataset, balance in balances.items():
        others = sorted(
            (
                min(shared.get((dataset, other), 0), _root_up(balance * balances[other]))
                for other in balances
                if other != dataset
            ),
            reverse=True,
        )
        sums.append(balance + sum(others[: tokens - 1]))
    return sum(sorted(sums, reverse=True)[:tokens])


def _root_up(square: int) -> int:
    root = math.isqrt(square)
    return root if root * root == square else root + 1


def statement_row(account: Row[Any], policy: BudgetPolicy, unbounded_since: str | None = None) -> StatementRow:
    """Return an account as a row of the statement."""
    return StatementRow(
        dataset=account.dataset_id,
        block=account.block,
        cap_nano_rho=account.cap_nano_rho,
        spent_nano_rho=account.spent_nano_rho,
        cap_delta_units=account.cap_delta_units,
        spent_delta_units=account.spent_delta_units,
        delta_units=policy.delta_units,
        epsilon=policy.epsilon_of(account.spent_nano_rho),
        cap_epsilon=str(policy.epsilon),
        unbounded_since=unbounded_since,
    )


def worst_person(
    policy: LedgerPolicy, rows: Sequence[StatementRow], touched: Iterable[tuple[str, int, str]]
) -> Odometer:
    """Return the worst total for one person.

    Args:
        policy: of the ledger.
        rows: every account.
        touched: charge id, nano-rho and dataset, once for each dataset that a charge touches.
    """
    balances: dict[str, int] = {}
    for row in rows:
        balances[row.dataset] = max(balances.get(row.dataset, 0), row.spent_nano_rho)
    together: dict[str, tuple[int, list[str]]] = {}
    for charge_id, nano_rho, dataset in touched:
        together.setdefault(charge_id, (nano_rho, []))[1].append(dataset)
    shared: dict[tuple[str, str], int] = defaultdict(int)
    for nano_rho, datasets in together.values():
        for one in datasets:
            for other in datasets:
                if one != other:
                    shared[one, other] += nano_rho
    tokens = min(policy.max_tokens_per_person or len(balances), len(balances))
    worst = worst_person_nano_rho(balances, shared, tokens)
    additive = tokens > 1 and any(row.spent_delta_units for row in rows)
    unbounded = any(row.unbounded_since is not None for row in rows)
    epsilon = None if additive or unbounded else policy.account.epsilon_of(worst)
    return Odometer(
        tokens=tokens, nano_rho=worst, delta_units=policy.account.delta_units, epsilon=epsilon, unbounded=unbounded
    )


def stored_statement(connection: Connection) -> Statement:
    """Return the state of a whole ledger."""
    ledger = connection.execute(select(models.ledger)).one()
    policy = stored_ledger_policy(connection)
    policies = {row.dataset_id: stored_policy(row) for row in connection.execute(select(models.dataset))}
    order = (models.account.c.dataset_id, models.account.c.block)
    accounts = connection.execute(select(models.account).order_by(*order)).all()
    touched = connection.execute(
        select(models.charge.c.charge_id, models.charge.c.nano_rho, models.account.c.dataset_id)
        .join(models.charge_line, models.charge_line.c.charge_id == models.charge.c.charge_id)
        .join(models.account, models.account.c.account_id == models.charge_line.c.account_id)
        .distinct()
    ).all()
    since = unbounded_since(connection)
    rows = tuple(
        statement_row(account, policies[account.dataset_id], since.get(account.dataset_id)) for account in accounts
    )
    return Statement(
        ledger_id=ledger.ledger_id,
        policy=policy,
        rows=rows,
        odometer=worst_person(policy, rows, touched),
        releases=release_decisions(connection),
    )
