"""An organisation's own ledger: what its datasets spent, in the coarse steps of the public statement, month by month and by purpose, and the allowances that it gave (privacy rule 18).

1. It tells the state at the beginning of the present month, in sixteenths of the cap that an account began with, rounded up. Its last month is the public statement's row, number for number: a
   steward sees no charge of anybody earlier or finer than the public does.
2. A month shows the cumulative steps at its end. What was spent for one purpose is a number of steps of its own, rounded up: purposes may sum to more than the whole.
3. An allowance shows its limit, which a steward set, and what was used of it before this month in sixteenths of the limit, rounded up; without a limit, only whether anything was used. A row that no
   steward gave (an agreement's, or an analyst's without a limit) is there once something was used before this month.
4. An agreement pays as itself: it stands under its id, and no name of whoever asked stands beside it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Final

from casehaven.ledger.allowances import AllowanceState
from casehaven.ledger.anchored import STEPS
from casehaven.ledger.public import account_in_steps
from casehaven.ledger.service import Ledger
from casehaven.ledger.spending import AccountSpending
from casesynth.canonical import JsonValue

FORMAT: Final = "casehaven-own-ledger/1"
_AGREEMENT: Final = "agreement@"


def own_ledger(ledger: Ledger, organisation: str, *, today: date | None = None) -> dict[str, JsonValue]:
    """Return what an organisation sees of the ledger.

    Args:
        ledger: open.
        organisation: whose datasets.
        today: UTC; None for today.
    """
    day = today or datetime.now(UTC).date()
    first = day.replace(day=1).isoformat()
    found = ledger.spending_of(organisation, day=first, today=day.isoformat())
    return {
        "format": FORMAT,
        "organisation": organisation,
        "before": first,
        "steps": STEPS,
        "accounts": [_account(account) for account in found.accounts],
        "allowances": [_allowance(state) for state in found.allowances if _is_told(state)],
    }


def _account(account: AccountSpending) -> JsonValue:
    row = account.row
    months, purposes, spent = list[JsonValue](), defaultdict[str, int](int), 0
    for month, amounts in account.months.items():
        for purpose, nano_rho in amounts.items():
            purposes[purpose] += nano_rho
            spent += nano_rho
        shown = account_in_steps(replace(row, spent_nano_rho=spent))
        months.append(
            {"month": month, "spent_parts": shown["spent_parts"], "epsilon_at_most": shown["epsilon_at_most"]}
        )
    return {
        **account_in_steps(row),
        "cap_nano_rho": row.cap_nano_rho,
        "first_cap_nano_rho": row.first_cap_nano_rho,
        "months": months,
        "purposes": {
            purpose: account_in_steps(replace(row, spent_nano_rho=nano_rho))["spent_parts"]
            for purpose, nano_rho in sorted(purposes.items())
        },
    }


def _is_told(state: AllowanceState) -> bool:
    """Whether a row says nothing of this month: one that a first charge made is told when that charge is (rule 3)."""
    given = state.limit_nano_rho is not None and not state.analyst.text.startswith(_AGREEMENT)
    return given or state.spent_nano_rho > 0


def _allowance(state: AllowanceState) -> JsonValue:
    limit, name = state.limit_nano_rho, state.analyst.text
    agreement = name.removeprefix(_AGREEMENT) if name.startswith(_AGREEMENT) else None
    return {
        "dataset": state.dataset,
        "analyst": None if agreement is not None else name,
        "agreement": agreement,
        "limit_nano_rho": limit,
        "used_parts": min(-(-state.spent_nano_rho * STEPS // limit), STEPS) if limit else None,
        "used": state.spent_nano_rho > 0,
    }
