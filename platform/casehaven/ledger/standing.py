"""How the accounts of a charge stand together, one row for each dataset: what nearly every charge has to know, and no more.

1. Of each amount only the least counts: what fits below it fits below all.
2. Who has enough by this has enough. Where anything is less, or other than it nearly always is, the accounts are read one by one, and that is what refuses,
   raises ceilings and binds (`casehaven.ledger.paying`).
3. The rows that are added up are locked in the order of their ids before (privacy rule 15), and stay so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from casehaven.ledger.charges import ChargeRequest


class Standing(NamedTuple):
    """The accounts of one dataset that are about to be charged, together."""

    accounts: int
    """How many there are of those that are asked for."""
    ids: str
    """Of all of them, a list as the database writes and reads it."""
    left_nano_rho: int
    """The least that a cap leaves."""
    left_delta_units: int
    below_nano_rho: int
    """The least that is left below a ceiling that the anchor knows; an account without one has none."""
    below_delta_units: int
    is_unbounded: bool
    vault_id: str | None
    """That the dataset is bound to."""
    limit_nano_rho: int | None
    """Of the analyst who asks; None: no limit, or nobody asks."""
    used_nano_rho: int
    """What that analyst charged to the dataset."""


STANDINGS: Final = """
(SELECT dataset_id, count(*) AS accounts, gathered(held.account_id) AS ids, min(cap_nano_rho - spent_nano_rho) AS left_nano_rho,
  min(cap_delta_units - spent_delta_units) AS left_delta_units, min(COALESCE(ceiling.nano_rho, 0) - spent_nano_rho) AS below_nano_rho,
  min(COALESCE(ceiling.delta_units, 0) - spent_delta_units) AS below_delta_units
FROM (SELECT account_id, dataset_id, cap_nano_rho, cap_delta_units, spent_nano_rho, spent_delta_units FROM account
    WHERE dataset_id IN (texts(:datasets)) AND block IN (texts(:blocks)) ORDER BY account_id{lock}) AS held
  LEFT JOIN ceiling ON ceiling.account_id = held.account_id
GROUP BY dataset_id) AS stood"""
"""One row for each dataset that has any of the accounts."""

COLUMNS: Final = """stood.accounts, stood.ids, stood.left_nano_rho, stood.left_delta_units, stood.below_nano_rho, stood.below_delta_units,
  EXISTS (SELECT 1 FROM unbounded WHERE unbounded.dataset_id = stood.dataset_id), vault_of_dataset.vault_id, {own}"""
"""What a `Standing` holds."""


def all_fit(request: ChargeRequest, standings: Sequence[Standing], vault_id: str | None) -> bool:
    """Whether nothing refuses a request, no ceiling has to rise and no dataset has to be bound (rule 2)."""
    loss = request.loss
    return len(standings) == len(request.datasets) and all(
        found.accounts == len(request.blocks)
        and loss.nano_rho <= min(found.left_nano_rho, found.below_nano_rho)
        and loss.delta_units <= min(found.left_delta_units, found.below_delta_units)
        and not found.is_unbounded
        and vault_id in (None, found.vault_id)
        and (found.limit_nano_rho is None or loss.nano_rho <= found.limit_nano_rho - found.used_nano_rho)
        for found in standings
    )


def joined(standings: Sequence[Standing]) -> str:
    """Return the ids of the accounts of all datasets, as the database takes them.

    >>> joined([Standing(1, "[1,2]", 0, 0, 0, 0, False, None, None, 0), Standing(1, "[7]", 0, 0, 0, 0, False, None, None, 0)])
    '[1,2,7]'
    """
    ids = standings[0].ids
    return f"{ids[0]}{','.join(found.ids[1:-1] for found in standings)}{ids[-1]}"
