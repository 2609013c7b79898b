"""Security events of the service store, moved into the vault's audit log in their order.

1. An event is written by the api in the transaction of what it tells of (`casehaven.organisations.events`). The worker adds it to the chain, then remembers how far it is.
2. Killed between the two, it would add the same event again: the object id of an entry carries the event's number, so that a reader sees which is the second.
"""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from casehaven.core.service_store import ServiceStore
from casehaven.core.service_tables import moved
from casehaven.organisations.events import Event, events_after
from casehaven.vault.store import Vault

_EVENTS = "events"


def move_events(store: ServiceStore, vault: Vault) -> None:
    """Move what is new."""
    with store.reading() as connection:
        last = connection.scalar(select(moved.c.until).where(moved.c.what == _EVENTS)) or 0
        waiting = events_after(connection, last, limit=200)
    if not waiting:
        return
    with vault.writing() as connection:
        for event in waiting:
            vault.audit.append(
                connection,
                action=event.action,
                object_kind=event.object_kind,
                object_id=f"{event.object_id}#{event.id}",
                organisation=_known(vault, event),
                actor=event.actor or "nobody",
            )
    with store.writing() as connection:
        connection.execute(delete(moved).where(moved.c.what == _EVENTS))
        connection.execute(insert(moved).values(what=_EVENTS, until=waiting[-1].id))


def _known(vault: Vault, event: Event) -> str:
    """The organisation where it has keys in the vault; else the entry is the vault's."""
    return event.organisation if event.organisation in vault.keystore.organisations else ""
