"""Security events of the service store, moved into the vault's audit log in their order.

1. An event is written by the api in the transaction of what it tells of (`casehaven.organisations.events`). The worker adds it to the chain, then remembers how far it is.
2. Killed between the two, it would add the same event again: the object id of an entry carries the event's number, so that a reader sees which is the second.
3. An event that is not in `casehaven.organisations.events.RECORDED`, or not in the log's form, was written by nobody's code: in its place the log gets `event.refused` with its number, and nothing of what it says. So no row of the store makes an entry that the worker, the vault or the ledger believes as its own, and none stops what comes after it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, insert, select

from casehaven.core.audit import AuditEntryError
from casehaven.core.service_store import ServiceStore
from casehaven.core.service_tables import moved
from casehaven.organisations.events import RECORDED, Event, events_after
from casehaven.vault.store import Vault

REFUSED: Final = "event.refused"
_EVENTS: Final = "events"


def move_events(store: ServiceStore, vault: Vault) -> None:
    """Move what is new."""
    with store.reading() as connection:
        last = connection.scalar(select(moved.c.until).where(moved.c.what == _EVENTS)) or 0
        waiting = events_after(connection, last, limit=200)
    if not waiting:
        return
    with vault.writing() as connection:
        for event in waiting:
            _enter(vault, connection, event)
    with store.writing() as connection:
        connection.execute(delete(moved).where(moved.c.what == _EVENTS))
        connection.execute(insert(moved).values(what=_EVENTS, until=waiting[-1].id))


def _enter(vault: Vault, connection: Connection, event: Event) -> None:
    """Add an event to the log, or that it was refused (rule 3)."""
    number = f"#{event.id}"
    if event.action in RECORDED:
        try:
            vault.audit.append(
                connection,
                action=event.action,
                object_kind=event.object_kind,
                object_id=f"{event.object_id}{number}",
                organisation=_known(vault, event),
                actor=event.actor or "nobody",
            )
            return
        except AuditEntryError:  # refused before anything was written
            pass
    vault.audit.append(connection, action=REFUSED, object_kind="event", object_id=number, actor="nobody")


def _known(vault: Vault, event: Event) -> str:
    """The organisation where it has keys in the vault; else the entry is the vault's."""
    return event.organisation if event.organisation in vault.keystore.organisations else ""
