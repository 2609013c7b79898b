"""Security events: what happened to organisations, members, roles and credentials.

1. An event is written in the same transaction as what it tells of.
2. It names actors by handle, what happened by one word, and what was touched by a public name. No password, code, token, session, address or reason is ever in it.
3. Ids grow in the order in which transactions were committed, because writers follow one another. The worker moves events into the vault's audit log in that order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select

from casehaven.organisations.models import event

_ACTION: Final = re.compile(r"[a-z_]+\.[a-z_]+")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened."""

    id: int
    at: int
    """Seconds since 1970, UTC."""
    actor: str
    """A handle; empty where nobody was signed in."""
    action: str
    """Such as `role.granted`."""
    organisation: str
    """Whose member or object it is; empty for the deployment."""
    object_kind: str
    object_id: str
    """A public name: a handle, the name of a role or token."""


def record(
    connection: Connection, now: int, *, actor: str, action: str, organisation: str, object_kind: str, object_id: str
) -> None:
    """Write an event into the transaction of what it tells of (rule 1)."""
    if not _ACTION.fullmatch(action):
        raise ValueError(f"an event's action is two words with a dot between, not {action!r}")
    connection.execute(
        insert(event).values(
            at=now, actor=actor, action=action, organisation=organisation, object_kind=object_kind, object_id=object_id
        )
    )


def events_after(
    connection: Connection, last: int, *, organisation: str | None = None, limit: int = 1_000
) -> list[Event]:
    """Return events with a larger id, in order (rule 3).

    Args:
        connection: of a transaction.
        last: an id; 0 for the first events.
        organisation: only those of this organisation.
        limit: at most this many.
    """
    chosen = select(event).where(event.c.id > last).order_by(event.c.id).limit(limit)
    if organisation is not None:
        chosen = chosen.where(event.c.organisation == organisation)
    return [Event(**row._mapping) for row in connection.execute(chosen)]
