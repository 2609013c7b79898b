"""What data was used for under agreements: each organisation sees the uses of its own datasets.

1. A use is written before its charge, and its amount in one transaction with it. One that stands as *begun* was cut short between the two: its charge may have been made.
2. It tells the agreement, the day, the purpose, what was asked or released, and the charge on this dataset. It tells no other dataset, and not who asked.
3. What was refused before a charge is no use, and leaves no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from casehaven.agreements.document import AgreementDocument
from casehaven.agreements.models import agreement_use as table


@dataclass(frozen=True, kw_only=True)
class Use:
    """One use to be, of several datasets."""

    key: str
    """Of its charge in the ledger; the same at every attempt."""
    document: AgreementDocument
    datasets: Sequence[str]
    """Those that are charged."""
    purpose: str
    what: str
    """The question as canonical JSON, or the name of the release."""


def begin_use(connection: Connection, use: Use, now: int) -> None:
    """Write a use down before its charge (rule 1); the attempt before it may have done so."""
    known = set(connection.scalars(select(table.c.dataset).where(table.c.use == use.key)))
    for dataset in use.datasets:
        if dataset not in known:
            connection.execute(
                insert(table).values(
                    use=use.key,
                    dataset=dataset,
                    organisation=dataset.partition("/")[0],
                    agreement=use.document.agreement,
                    digest=use.document.digest,
                    day=datetime.fromtimestamp(now, UTC).date().isoformat(),
                    purpose=use.purpose,
                    what=use.what,
                    nano_rho=0,
                    state="begun",
                )
            )


def charge_use(connection: Connection, key: str, nano_rho: int) -> None:
    """Write its amount down, in the transaction that the charge is made in."""
    connection.execute(update(table).where(table.c.use == key).values(state="charged", nano_rho=nano_rho))


def settle_use(connection: Connection, key: str, *, free: bool) -> None:
    """End a use that was not charged: answered at no charge, or refused (rule 3)."""
    begun = (table.c.use == key, table.c.state == "begun")
    if free:
        connection.execute(update(table).where(*begun).values(state="free"))
    else:
        connection.execute(delete(table).where(*begun))


def uses_of(
    connection: Connection, organisation: str, *, before: int | None = None, limit: int = 100
) -> list[tuple[int, dict[str, Any]]]:
    """Return the uses of an organisation's datasets, newest first, each with its number.

    Args:
        connection: reads.
        organisation: whose datasets.
        before: those with a smaller number.
        limit: at most so many.
    """
    query = select(table).where(table.c.organisation == organisation).order_by(table.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.sequence < before)
    shown = ("agreement", "digest", "dataset", "day", "purpose", "what", "nano_rho", "state")
    return [(row.sequence, {name: getattr(row, name) for name in shown}) for row in connection.execute(query)]
