"""What must be true of every ledger, whatever database holds it: sums, caps, and the chain of entries."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, union_all

from casehaven.ledger import models
from casehaven.ledger.chain import check_chain
from casehaven.ledger.errors import DamagedLedgerError


def check_sums(where: str, connection: Connection) -> None:
    """Return when every cap is its dataset's, every balance is the sum of its charges, and the entries follow from one another.

    Raises:
        DamagedLedgerError: something does not fit.
    """
    raised = (
        select(models.budget_raise.c.dataset_id, func.max(models.budget_raise.c.cap_nano_rho).label("cap"))
        .group_by(models.budget_raise.c.dataset_id)
        .subquery()
    )
    if connection.execute(
        select(models.account.c.account_id)
        .select_from(
            models.account.join(models.dataset).outerjoin(raised, raised.c.dataset_id == models.account.c.dataset_id)
        )
        .where(models.account.c.cap_nano_rho != func.coalesce(raised.c.cap, models.dataset.c.cap_nano_rho))
        .limit(1)
    ).first():
        raise DamagedLedgerError(f"{where} is damaged: the cap of an account is not its dataset's")
    charged = select(models.charge_line.c.account_id, models.charge.c.nano_rho, models.charge.c.delta_units).join_from(
        models.charge_line, models.charge
    )
    resumed = select(models.resume_line.c.account_id, models.resume_line.c.nano_rho, models.resume_line.c.delta_units)
    parts = union_all(charged, resumed).subquery()
    lines = (
        select(
            parts.c.account_id,
            func.sum(parts.c.nano_rho).label("nano_rho"),
            func.sum(parts.c.delta_units).label("delta_units"),
        )
        .group_by(parts.c.account_id)
        .subquery()
    )
    wrong = connection.execute(
        select(models.account.c.account_id)
        .select_from(models.account.outerjoin(lines, lines.c.account_id == models.account.c.account_id))
        .where(
            (models.account.c.spent_nano_rho != func.coalesce(lines.c.nano_rho, 0))
            | (models.account.c.spent_delta_units != func.coalesce(lines.c.delta_units, 0))
        )
        .limit(1)
    ).first()
    if wrong is not None:
        raise DamagedLedgerError(f"{where} is damaged: a balance is not the sum of its charges")
    check_chain(connection)
