"""Security events: what happened to organisations, members, roles and credentials.

1. An event is written in the same transaction as what it tells of.
2. It names actors by handle, what happened by one word, and what was touched by a public name. No password, code, token, session, address or reason is ever in it.
3. Ids grow in the order in which transactions were committed, because writers follow one another. The worker moves events into the vault's audit log in that order.
4. What may be moved is listed (`RECORDED`). None of it is an action that the worker or the vault writes into the log and reads there again: whoever may write to the store could forge those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select

from casehaven.organisations.models import event

RECORDED: Final = frozenset(
    {
        "agreement.declined",
        "agreement.proposed",
        "agreement.revoked",
        "agreement.signed",
        "budget.raise_approved",
        "budget.raise_proposed",
        "budget.raised",
        "credential.changed",
        "dataset.grant_ended",
        "dataset.granted",
        "member.ended",
        "member.invited",
        "member.joined",
        "organisation.created",
        "recovery.approved",
        "recovery.ended",
        "recovery.used",
        "recovery_code.used",
        "registry.withdrawn",
        "release_draft.approved",
        "release_draft.made",
        "release_draft.withdrawn",
        "role.granted",
        "role.revoked",
        "session.began",
        "session.ended_by_another",
        "session.ended_everywhere",
        "session.refused",
        "step_up.refused",
        "token.made",
        "token.revoked",
        "volume.alarm",
        "volume.approved",
    }
)
"""Every action of an event (rule 4)."""

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


def events_before(connection: Connection, first: int, *, organisation: str, limit: int = 1_000) -> list[Event]:
    """Return an organisation's events with a smaller id, the newest first.

    Args:
        connection: of a transaction.
        first: an id.
        organisation: only those of this organisation.
        limit: at most this many.
    """
    chosen = select(event).where(event.c.id < first, event.c.organisation == organisation)
    found = connection.execute(chosen.order_by(event.c.id.desc()).limit(limit))
    return [Event(**row._mapping) for row in found]


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
