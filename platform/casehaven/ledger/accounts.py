"""Accounts as they are stored: the policies they were opened with, and what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection, Row, select

from casehaven.ledger import models
from casehaven.ledger.errors import BudgetExhaustedError, BudgetPolicyError, DamagedLedgerError, UnknownAccountError
from casehaven.ledger.policy import BudgetPolicy, LedgerPolicy
from casesynth.privacy import PrivacyLoss
from casesynth.privacy.loss import NANO

_SHOWN = 3


def charged_accounts(connection: Connection, datasets: tuple[str, ...], blocks: tuple[str, ...]) -> Sequence[Row[Any]]:
    """Return the accounts of every block of every dataset.

    Raises:
        UnknownAccountError: one of them was never opened.
    """
    wanted = [(dataset, block) for dataset in datasets for block in blocks]
    found = connection.execute(
        select(models.account)
        .where(models.account.c.dataset_id.in_(datasets), models.account.c.block.in_(blocks))
        .order_by(models.account.c.account_id)
    ).all()
    missing = set(wanted) - {(row.dataset_id, row.block) for row in found}
    if missing:
        raise UnknownAccountError(f"no account was opened for {_named(sorted(missing))}")
    return found


def refuse_exhausted(accounts: Sequence[Row[Any]], loss: PrivacyLoss, policy: BudgetPolicy) -> None:
    """Return only when every account can pay.

    Raises:
        BudgetExhaustedError: one cannot.
    """
    over = [
        account
        for account in accounts
        if loss.nano_rho > account.cap_nano_rho - account.spent_nano_rho
        or loss.delta_units > account.cap_delta_units - account.spent_delta_units
    ]
    if over:
        least = min(over, key=lambda account: account.cap_nano_rho - account.spent_nano_rho)
        left = least.cap_nano_rho - least.spent_nano_rho
        names = list(dict.fromkeys(account.dataset_id for account in over))
        raise BudgetExhaustedError(
            f"the budget does not allow it for {', '.join(names[:_SHOWN])}{' and others' if len(names) > _SHOWN else ''}: "
            f"asked {_amount(loss.nano_rho, policy)} and {loss.delta_units} units of delta, "
            f"left {_amount(left, policy)} and {least.cap_delta_units - least.spent_delta_units} units"
        )


def _amount(nano_rho: int, policy: BudgetPolicy) -> str:
    """Return an amount in rho, and as the epsilon that it would be by itself."""
    return f"{nano_rho / NANO:.9f} rho (epsilon {policy.epsilon_of(nano_rho):.3f} by itself)"


def stored_ledger_policy(connection: Connection) -> LedgerPolicy:
    """Return the policy that the ledger was created with."""
    row = connection.execute(select(models.ledger)).one()
    return LedgerPolicy(account=stored_policy(row), max_tokens_per_person=row.max_tokens_per_person)


def stored_policy(row: Row[Any]) -> BudgetPolicy:
    """Return the policy in a row of the ledger or of a dataset.

    Raises:
        DamagedLedgerError: the row holds what the ledger never wrote.
    """
    try:
        return BudgetPolicy(
            epsilon=Decimal(row.epsilon), delta_units=row.delta_units, additive_delta_units=row.additive_delta_units
        )
    except (BudgetPolicyError, InvalidOperation):
        raise DamagedLedgerError("the ledger is damaged: it holds a policy that it never wrote") from None


def policy_columns(policy: BudgetPolicy) -> dict[str, str | int]:
    """Return the columns that `stored_policy` reads."""
    return {
        "epsilon": str(policy.epsilon),
        "delta_units": policy.delta_units,
        "additive_delta_units": policy.additive_delta_units,
    }


def _named(accounts: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{dataset} block {block or 'unknown'}" for dataset, block in accounts[:3])
    return shown if len(accounts) <= 3 else f"{shown} and {len(accounts) - 3} more"
