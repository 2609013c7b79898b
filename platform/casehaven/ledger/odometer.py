"""The odometer: the worst total loss of one person over the whole ledger, which may be capped (privacy rule 12).

1. It bounds the loss of one person who is in up to m datasets, in one block of each. A charge of rho that touches n of this person's tokens costs the
   person rho n^2 (group privacy of zCDP), and charges add up. With s(D) the largest balance of a block of dataset D, and g(D, E) the sum of the
   charges that touch both D and E, but at most sqrt(s(D) s(E)) rounded up, the person's loss is at most the sum over the person's datasets D of s(D)
   plus g(D, E) for every other E of them. The odometer takes, for each D, the m - 1 largest g(D, E), and then the m largest of these sums: never
   below the true worst case, and equal to it when all datasets are always charged together or never.
2. What a resumption counted as spent may have touched any datasets together: g(D, E) gets the smaller of the two amounts.
3. Where the ledger has a cap for one person, a charge that would take the odometer above it is refused whole.
4. Made-up people are no people: what is spent on a dataset of training (`casehaven.core.training`) is in no total for one person, and refuses nobody else's charge. No other dataset has that name.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from casehaven.core.training import is_training
from casehaven.ledger import models
from casehaven.ledger.errors import OdometerExhaustedError
from casehaven.ledger.policy import LedgerPolicy

Shared = Mapping[tuple[str, str], int]
"""For each ordered pair of different datasets, the sum of the charges that touch both, in nano-rho."""


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


def worst_person(policy: LedgerPolicy, balances: Mapping[str, int], shared: Shared) -> Odometer:
    """Return the worst total for one person.

    Args:
        policy: of the ledger.
        balances: largest block balance per dataset, in nano-rho.
        shared: sums of joint charges.
    """
    tokens = min(policy.max_tokens_per_person or len(balances), len(balances))
    worst = worst_person_nano_rho(balances, shared, tokens)
    return Odometer(
        tokens=tokens,
        nano_rho=worst,
        delta_units=policy.account.delta_units,
        epsilon=policy.account.epsilon_of(worst),
    )


def shared_of(touched: Iterable[tuple[str, int, str]]) -> dict[tuple[str, str], int]:
    """Return the sums of joint charges.

    Args:
        touched: charge id, nano-rho and dataset, once for each dataset that a charge touches.
    """
    together: dict[str, tuple[int, list[str]]] = {}
    for charge_id, nano_rho, dataset in touched:
        together.setdefault(charge_id, (nano_rho, []))[1].append(dataset)
    shared: dict[tuple[str, str], int] = defaultdict(int)
    for nano_rho, datasets in together.values():
        for one in datasets:
            for other in datasets:
                if one != other:
                    shared[one, other] += nano_rho
    return shared


def shared_charges(connection: Connection, of: ColumnElement[bool] | None = None) -> Shared:
    """Return the sums of the charges that touch two datasets: of all charges, or of some; what was lost with a copy is always in them."""
    charge, line, account = models.charge.c, models.charge_line.c, models.account.c
    touched = (
        select(line.charge_id, account.dataset_id).join_from(models.charge_line, models.account).distinct().subquery()
    )
    several = select(touched.c.charge_id).group_by(touched.c.charge_id).having(func.count() > 1).subquery()
    query = select(touched.c.charge_id, charge.nano_rho, touched.c.dataset_id).select_from(
        touched.join(several, several.c.charge_id == touched.c.charge_id).join(
            models.charge, charge.charge_id == touched.c.charge_id
        )
    )
    if of is not None:
        query = query.where(of)
    shared = shared_of((row.charge_id, row.nano_rho, row.dataset_id) for row in connection.execute(query))
    for lost in _resumed(connection).values():  # rule 2
        for one in lost:
            for other in lost:
                if one != other:
                    shared[one, other] += min(lost[one], lost[other])
    return shared


def _resumed(connection: Connection) -> dict[str, dict[str, int]]:
    part, account = models.resume_line.c, models.account.c
    query = select(part.resume_id, account.dataset_id, func.max(part.nano_rho)).join_from(
        models.resume_line, models.account
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for resume_id, dataset, nano_rho in connection.execute(query.group_by(part.resume_id, account.dataset_id)):
        found[resume_id][dataset] = nano_rho
    return found


def refuse_beyond_odometer(connection: Connection, policy: LedgerPolicy) -> None:
    """Return when the worst total for one person is within the ledger's cap, with what this transaction charged.

    Raises:
        OdometerExhaustedError: it is not; the caller's transaction comes to nothing.
    """
    row = models.account.c
    most = select(row.dataset_id, func.max(row.spent_nano_rho)).group_by(row.dataset_id)
    balances = {
        dataset: nano_rho for dataset, nano_rho in connection.execute(most) if not is_training(dataset)
    }  # rule 4
    tokens = min(policy.max_tokens_per_person or len(balances), len(balances))
    worst = worst_person_nano_rho(balances, shared_charges(connection), tokens)
    if worst > policy.odometer_policy().cap_nano_rho():
        raise OdometerExhaustedError(
            "the cap for one person over all datasets of this ledger does not allow it; no balance changed"
        )
