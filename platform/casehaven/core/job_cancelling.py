"""Ending everything that a member asked the worker for, in the transaction that ends the member or takes their credentials away.

1. What waits ends at once, and what it held of a person is deleted. What runs is asked to stop, and does when it looks next.
2. The keys of an organisation are asked for in the name of its first member, and stay asked for.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, update

from casehaven.core.service_tables import job as table


def cancel_of_member(connection: Connection, member_id: str, *, now: int) -> None:
    """End what a member asked for: what waits ends at once, what runs is asked to."""
    asked = and_(table.c.member_id == member_id, table.c.kind != "organisation.keys")
    ended = {"state": "cancelled", "outcome": "cancelled", "phase": "ended", "ended_at": now, "visible_at": now}
    connection.execute(update(table).where(asked, table.c.state == "queued").values(**ended, sealed_request=None))
    running = and_(table.c.state == "running", table.c.outcome.is_(None))
    connection.execute(update(table).where(asked, running).values(cancelling=1))
