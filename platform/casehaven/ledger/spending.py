"""What one organisation's datasets spent, month by month and by purpose: exact amounts, from which `casehaven.ledger.own` makes what the organisation sees.

1. An amount belongs to an account, the month of its charge and a purpose. The amounts of an account sum to what the statement of the same day says.
2. What an earlier copy may have lost counts in the month of its resumption, also of the present one; what a clock that was ahead dated after today counts in the month before the day. So says the statement, too.
3. What an analyst charged to a dataset adds up over charges, each once whatever number of blocks it names, as allowances do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Connection, func, select

from casehaven.ledger import models
from casehaven.ledger.allowances import AllowanceState, AnalystId
from casehaven.ledger.statement import StatementRow, charged_before, stored_statement

RESUMED: Final = "resumed"
"""In the place of a purpose: what an earlier copy may have lost (privacy rule 20)."""


@dataclass(frozen=True, kw_only=True)
class AccountSpending:
    """One account: its row of the statement, and where its amount comes from."""

    row: StatementRow
    months: Mapping[str, Mapping[str, int]]
    """By month (`2026-11`), then by purpose: nano-rho."""


@dataclass(frozen=True, kw_only=True)
class OrganisationSpending:
    """The accounts of an organisation's datasets, and the allowances on them."""

    accounts: tuple[AccountSpending, ...]
    """By dataset and block."""
    allowances: tuple[AllowanceState, ...]
    """By dataset and analyst; spent is what was charged before the day."""


def stored_spending(connection: Connection, organisation: str, *, day: str, today: str) -> OrganisationSpending:
    """Return what an organisation's datasets spent before the beginning of a day.

    Args:
        connection: a transaction.
        organisation: whose.
        day: ISO 8601, UTC; the first of a month.
        today: ISO 8601, UTC.
    """
    before = charged_before(day, today)
    rows = [
        row for row in stored_statement(connection, of=before).rows if row.dataset.partition("/")[0] == organisation
    ]
    names = sorted({row.dataset for row in rows})
    last = (date.fromisoformat(day) - timedelta(days=1)).isoformat()[:7]
    found: dict[tuple[str, str], dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    account, paid, line = models.account.c, models.charge.c, models.charge_line.c
    month = func.substr(paid.charged_at, 1, 7)
    charged = (
        select(account.dataset_id, account.block, month, paid.purpose, func.sum(paid.nano_rho))
        .select_from(models.charge_line)
        .join(models.charge, paid.charge_id == line.charge_id)
        .join(models.account, account.account_id == line.account_id)
        .where(account.dataset_id.in_(names), before)
        .group_by(account.dataset_id, account.block, month, paid.purpose)
    )
    for dataset, block, when, purpose, nano_rho in connection.execute(charged):
        found[dataset, block][min(str(when), last)][str(purpose)] += int(nano_rho)  # rule 2
    part, again = models.resume_line.c, models.resume.c
    resumed = (
        select(account.dataset_id, account.block, again.resumed_at, part.nano_rho)
        .select_from(models.resume_line)
        .join(models.resume, again.resume_id == part.resume_id)
        .join(models.account, account.account_id == part.account_id)
        .where(account.dataset_id.in_(names))
    )
    for dataset, block, when, nano_rho in connection.execute(resumed):
        if nano_rho:
            found[dataset, block][str(when)[:7]][RESUMED] += int(nano_rho)
    accounts = tuple(
        AccountSpending(
            row=row,
            months={
                when: dict(sorted(amounts.items())) for when, amounts in sorted(found[row.dataset, row.block].items())
            },
        )
        for row in rows
    )
    return OrganisationSpending(accounts=accounts, allowances=_allowances(connection, names, day=day, today=today))


def _allowances(connection: Connection, datasets: list[str], *, day: str, today: str) -> tuple[AllowanceState, ...]:
    """Return the allowances on datasets, with what each analyst charged before a day."""
    account, paid, line, allowed = models.account.c, models.charge.c, models.charge_line.c, models.allowance.c
    once = (
        select(paid.charge_id, paid.analyst, account.dataset_id, paid.nano_rho)
        .select_from(models.charge_line)
        .join(models.charge, paid.charge_id == line.charge_id)
        .join(models.account, account.account_id == line.account_id)
        .where(account.dataset_id.in_(datasets), paid.analyst.is_not(None), charged_before(day, today))
        .distinct()
        .subquery()
    )
    sums = select(once.c.analyst, once.c.dataset_id, func.sum(once.c.nano_rho)).group_by(
        once.c.analyst, once.c.dataset_id
    )
    spent = {(analyst, dataset): int(nano_rho) for analyst, dataset, nano_rho in connection.execute(sums)}
    rows = connection.execute(
        select(allowed.analyst, allowed.dataset_id, allowed.limit_nano_rho)
        .where(allowed.dataset_id.in_(datasets))
        .order_by(allowed.dataset_id, allowed.analyst)
    )
    return tuple(
        AllowanceState(
            analyst=AnalystId(text=row.analyst),
            dataset=row.dataset_id,
            limit_nano_rho=row.limit_nano_rho,
            spent_nano_rho=spent.get((row.analyst, row.dataset_id), 0),
        )
        for row in rows
    )
