"""Accounts as they are stored: the policies they were opened with, and what is left of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select

from casehaven.ledger import models
from casehaven.ledger.allowances import AllowanceState
from casehaven.ledger.errors import BudgetExhaustedError, BudgetPolicyError, DamagedLedgerError, UnknownAccountError
from casehaven.ledger.policy import BudgetPolicy, LedgerPolicy
from casehaven.ledger.unbounded import refuse_unbounded
from casesynth.privacy import PrivacyLoss
from casesynth.privacy.loss import NANO

_SHOWN = 3


def open_accounts(
    connection: Connection, dataset: str, blocks: tuple[str, ...], policy: BudgetPolicy | None, now: str
) -> int:
    """Open the accounts of a dataset that are not there yet, and return the cap of each in nano-rho.

    Raises:
        BudgetPolicyError: the policy allows more than the ledger's, or is not the one that the dataset has.
    """
    opened = connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == dataset)).first()
    allowed = stored_ledger_policy(connection).account
    if opened is None:
        policy = policy or allowed
        if policy.epsilon > allowed.epsilon or policy.delta_units > allowed.delta_units:
            raise BudgetPolicyError(
                f"{dataset} asks for epsilon {policy.epsilon} at delta {float(policy.delta):g}; "
                f"the ledger allows epsilon {allowed.epsilon} at delta {float(allowed.delta):g}"
            )
        cap = policy.cap_nano_rho()
        values = {"dataset_id": dataset, "cap_nano_rho": cap, "opened_at": now, **policy_columns(policy)}
        connection.execute(insert(models.dataset).values(**values))
    else:
        raised = latest_raises(connection).get(dataset)
        present = with_raise(stored_policy(opened), raised)
        if policy is not None and policy != present:
            raise BudgetPolicyError(
                f"{dataset} has epsilon {present.epsilon} at {present.delta_units} units of delta; its cap never changes but by a raise"
            )
        policy, cap = present, opened.cap_nano_rho if raised is None else raised.cap_nano_rho
    existing = select(models.account.c.block).where(models.account.c.dataset_id == dataset)
    for block in sorted(set(blocks) - set(connection.scalars(existing))):
        connection.execute(
            insert(models.account).values(
                dataset_id=dataset,
                block=block,
                cap_nano_rho=cap,
                cap_delta_units=policy.additive_delta_units,
                spent_nano_rho=0,
                spent_delta_units=0,
            )
        )
    return cap


def opened_cap(
    connection: Connection, dataset: str, blocks: tuple[str, ...], policy: BudgetPolicy | None
) -> int | None:
    """Return the cap of accounts that are all there, with this policy or none named; None where something is to be opened, or refused."""
    opened = connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == dataset)).first()
    there = set(connection.scalars(select(models.account.c.block).where(models.account.c.dataset_id == dataset)))
    if opened is None or not there >= set(blocks):
        return None
    raised = latest_raises(connection).get(dataset)
    if policy is not None and policy != with_raise(stored_policy(opened), raised):
        return None
    return int(opened.cap_nano_rho if raised is None else raised.cap_nano_rho)


def latest_raises(connection: Connection) -> dict[str | None, Row[Any]]:
    """Return the highest raise of each dataset, and under None of the cap for one person."""
    query = select(models.budget_raise).order_by(models.budget_raise.c.cap_nano_rho)
    return {row.dataset_id: row for row in connection.execute(query)}


def with_raise(policy: BudgetPolicy, raised: Row[Any] | None) -> BudgetPolicy:
    """Return a policy with the epsilon that it was raised to."""
    return policy if raised is None else replace(policy, epsilon=Decimal(raised.epsilon))


class Charged(NamedTuple):
    """An account that is about to be charged, and all that is to be known of it."""

    account_id: int
    dataset_id: str
    cap_nano_rho: int
    cap_delta_units: int
    spent_nano_rho: int
    spent_delta_units: int
    ceiling_nano_rho: int
    ceiling_delta_units: int
    has_ceiling: bool
    is_unbounded: bool
    vault_id: str | None
    """That the dataset is bound to."""
    limit_nano_rho: int | None
    """Of the analyst who asks; None: no limit, or nobody asks."""
    used_nano_rho: int
    """What that analyst charged to the dataset."""


def missing(connection: Connection, datasets: tuple[str, ...], blocks: tuple[str, ...]) -> UnknownAccountError:
    """Return the refusal that names accounts that were never opened.

    Raises:
        UnboundedAccountError: one of the datasets was released without differential privacy (privacy rule 34).
    """
    refuse_unbounded(connection, datasets)
    found = {(row.dataset_id, row.block) for row in connection.execute(select(models.account))}
    wanted = {(dataset, block) for dataset in datasets for block in blocks}
    return UnknownAccountError(f"no account was opened for {_named(sorted(wanted - found))}")


def refuse_exhausted(
    connection: Connection, accounts: Sequence[Charged], loss: PrivacyLoss, own: Sequence[AllowanceState] | None
) -> None:
    """Return only when every account can pay.

    Args:
        connection: for the policy that amounts are stated by.
        accounts: that are charged.
        loss: to each of them.
        own: the allowances of the analyst who asks; None for a steward, who may see what is left.

    Raises:
        BudgetExhaustedError: one cannot.
    """
    over = [
        account
        for account in accounts
        if loss.nano_rho > account.cap_nano_rho - account.spent_nano_rho
        or loss.delta_units > account.cap_delta_units - account.spent_delta_units
    ]
    if not over:
        return
    names = list(dict.fromkeys(account.dataset_id for account in over))
    refused = (
        f"the budget does not allow it for {', '.join(names[:_SHOWN])}{' and others' if len(names) > _SHOWN else ''}"
    )
    if own is not None:  # privacy rule 18: nothing about what others spent
        raise BudgetExhaustedError(f"{refused}; {'; '.join(str(state) for state in own if state.dataset in names)}")
    policy = stored_ledger_policy(connection).account
    least = min(over, key=lambda account: account.cap_nano_rho - account.spent_nano_rho)
    left = least.cap_nano_rho - least.spent_nano_rho
    raise BudgetExhaustedError(
        f"{refused}: asked {_amount(loss.nano_rho, policy)} and {loss.delta_units} units of delta, "
        f"left {_amount(left, policy)} and {least.cap_delta_units - least.spent_delta_units} units"
    )


def _amount(nano_rho: int, policy: BudgetPolicy) -> str:
    """Return an amount in rho, and as the epsilon that it would be by itself."""
    return f"{nano_rho / NANO:.9f} rho (epsilon {policy.epsilon_of(nano_rho):.3f} by itself)"


def stored_ledger_policy(connection: Connection) -> LedgerPolicy:
    """Return the policy that the ledger was created with; the cap for one person as it was raised since."""
    row = connection.execute(select(models.ledger)).one()
    cap = connection.execute(select(models.odometer_cap)).first()
    raised = latest_raises(connection).get(None)
    return LedgerPolicy(
        account=stored_policy(row),
        max_tokens_per_person=row.max_tokens_per_person,
        odometer_epsilon=None if cap is None else Decimal(cap.epsilon if raised is None else raised.epsilon),
    )


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
