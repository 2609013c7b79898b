"""What has been spent, as rows that people and programs read: exact, for those who keep the ledger. `casehaven.ledger.public` makes what is published.

1. A row belongs to one dataset and block and is exact: integers, as charged.
2. Raises and resumptions are listed for good (privacy rules 19 and 20).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from casehaven.core.training import is_training
from casehaven.ledger import models
from casehaven.ledger.accounts import latest_raises, stored_ledger_policy, stored_policy, with_raise
from casehaven.ledger.approvers import ApproverSet, stored_sets
from casehaven.ledger.decisions import ReleaseDecision, release_decisions
from casehaven.ledger.odometer import Odometer, shared_charges, worst_person
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
    first_cap_nano_rho: int
    """The same before any raise."""
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
class StatementRaise:
    """A cap that two people raised (privacy rule 19)."""

    dataset_id: str | None
    """`organisation/dataset`; None: the cap for one person."""
    epsilon: str
    """The new one."""
    cap_nano_rho: int
    """The new one."""
    reason: str
    approvers: str
    """Fingerprints of two keys, with a space between."""
    raised_at: str
    """UTC, ISO 8601."""


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
    first_odometer_cap_nano_rho: int | None = None
    """The cap for one person before any raise; None where there is none."""
    releases: tuple[ReleaseDecision, ...] = ()
    """Every release that was drawn and shown, with what was decided about it."""
    raises: tuple[StatementRaise, ...] = ()
    """Every raise of a cap, oldest first."""
    approvers: tuple[ApproverSet, ...] = ()
    """Every set of people who may approve raises, oldest first; none for a ledger of an earlier version."""
    created_at: str = ""
    """UTC, ISO 8601."""
    anchored_since: str | None = None
    """Since when the ledger has an anchor: an earlier copy is not known for one. None: it has none."""
    vaults: Mapping[str, str] = field(default_factory=dict)
    """Public ids of the vaults that datasets are bound to, by dataset."""
    resumed: tuple[str, ...] = ()
    """When an earlier copy was taken into use, and everything up to its ceilings counted as spent."""


Spent = Mapping[int, tuple[int, int]]
"""By account: nano-rho, and units of delta."""


def statement_row(
    account: Row[Any], policy: BudgetPolicy, first_cap_nano_rho: int, unbounded_since: str | None, earlier: Spent | None
) -> StatementRow:
    """Return an account as a row of the statement, of now or with what it had spent earlier."""
    rho, delta = account.spent_nano_rho, account.spent_delta_units
    if earlier is not None:
        rho, delta = earlier.get(account.account_id, (0, 0))
    return StatementRow(
        dataset=account.dataset_id,
        block=account.block,
        cap_nano_rho=account.cap_nano_rho,
        first_cap_nano_rho=first_cap_nano_rho,
        spent_nano_rho=rho,
        cap_delta_units=account.cap_delta_units,
        spent_delta_units=delta,
        delta_units=policy.delta_units,
        epsilon=policy.epsilon_of(rho),
        cap_epsilon=str(policy.epsilon),
        unbounded_since=unbounded_since,
    )


def charged_before(day: str, today: str) -> ColumnElement[bool]:
    """What was charged before the beginning of a day. What a clock that was ahead dated after today counts as charged before it: no statement hides it.

    Args:
        day: ISO 8601, UTC.
        today: ISO 8601, UTC.
    """
    tomorrow = (date.fromisoformat(today) + timedelta(days=1)).isoformat()
    return or_(models.charge.c.charged_at < day, models.charge.c.charged_at >= tomorrow)


def stored_statement(connection: Connection, *, of: ColumnElement[bool] | None = None) -> Statement:
    """Return the state of a whole ledger: of all charges, or of some. What was lost with an earlier copy is always in it, so that no resumption lowers an amount."""
    ledger = connection.execute(select(models.ledger)).one()
    policy = stored_ledger_policy(connection)
    raised = latest_raises(connection)
    policies, first_caps = dict[str, BudgetPolicy](), dict[str, int]()
    for row in connection.execute(select(models.dataset)):
        policies[row.dataset_id] = with_raise(stored_policy(row), raised.get(row.dataset_id))
        first_caps[row.dataset_id] = row.cap_nano_rho
    order = (models.account.c.dataset_id, models.account.c.block)
    accounts = connection.execute(select(models.account).order_by(*order)).all()
    earlier = None if of is None else _spent_of(connection, of)
    since = unbounded_since(connection)
    rows = tuple(
        statement_row(
            account,
            policies[account.dataset_id],
            first_caps[account.dataset_id],
            since.get(account.dataset_id),
            earlier,
        )
        for account in accounts
    )
    return Statement(
        ledger_id=ledger.ledger_id,
        policy=policy,
        rows=rows,
        odometer=stored_odometer(connection, policy, rows, of),
        releases=release_decisions(connection),
        raises=tuple(
            StatementRaise(**{key: value for key, value in row._asdict().items() if key != "request_sha256"})
            for row in connection.execute(select(models.budget_raise).order_by(models.budget_raise.c.raised_at))
        ),
        approvers=stored_sets(connection),
        first_odometer_cap_nano_rho=connection.scalar(select(models.odometer_cap.c.cap_nano_rho)),
        created_at=ledger.created_at,
        anchored_since=connection.scalar(select(models.anchoring.c.since)),
        vaults={row.dataset_id: row.vault_id for row in connection.execute(select(models.vault_of_dataset))},
        resumed=tuple(connection.scalars(select(models.resume.c.resumed_at).order_by(models.resume.c.position))),
    )


def stored_odometer(
    connection: Connection, policy: LedgerPolicy, rows: Sequence[StatementRow], of: ColumnElement[bool] | None = None
) -> Odometer:
    """Return the worst total for one person, of all charges or of some."""
    balances: dict[str, int] = {}
    rows = [row for row in rows if not is_training(row.dataset)]  # rule 4 of `casehaven.ledger.odometer`
    for row in rows:
        balances[row.dataset] = max(balances.get(row.dataset, 0), row.spent_nano_rho)
    worst = worst_person(policy, balances, shared_charges(connection, of))
    additive = worst.tokens > 1 and any(row.spent_delta_units for row in rows)
    unbounded = any(row.unbounded_since is not None for row in rows)
    return replace(worst, epsilon=None, unbounded=unbounded) if additive or unbounded else worst


def _spent_of(connection: Connection, of: ColumnElement[bool]) -> Spent:
    """Return what accounts spent in some charges, and in what was lost with an earlier copy."""
    line, paid, part = models.charge_line.c, models.charge.c, models.resume_line.c
    charged = select(line.account_id, paid.nano_rho, paid.delta_units).join_from(models.charge_line, models.charge)
    resumed = select(part.account_id, part.nano_rho, part.delta_units).join_from(models.resume_line, models.resume)
    found: dict[int, tuple[int, int]] = {}
    for query in (charged.where(of), resumed):
        for account_id, nano_rho, delta_units in connection.execute(query):
            known = found.get(account_id, (0, 0))
            found[account_id] = (known[0] + nano_rho, known[1] + delta_units)
    return found
