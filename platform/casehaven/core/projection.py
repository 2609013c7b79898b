"""The public projection: what the worker publishes into the service store, so that the api may list it without a key.

1. Only public facts: names, schemas, people caps, public keys. No count of records or people, no version, no time of an upload (privacy rules 5 and 21).
2. The worker alone writes it: at its start, and after a job that changed something. It can be made anew from the vault at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select

from casehaven.core.request_errors import NoWorkerError
from casehaven.core.service_tables import projection as table
from casehaven.organisations.errors import NotFoundError
from casesynth.canonical import canonical_json

Kind = Literal["organisation-key", "dataset", "schema", "vault", "signer"]


def publish(
    connection: Connection, kind: Kind, name: str, document: Mapping[str, Any], *, organisation: str, now: int
) -> None:
    """Publish a document in the place of what was there."""
    text = canonical_json(dict(document)).decode()
    row = select(table.c.document).where(table.c.kind == kind, table.c.name == name)
    if connection.scalar(row) == text:
        return
    connection.execute(delete(table).where(table.c.kind == kind, table.c.name == name))
    connection.execute(
        insert(table).values(kind=kind, name=name, organisation=organisation, document=text, updated_at=now)
    )


def published(connection: Connection, kind: Kind, name: str) -> dict[str, Any]:
    """Return a document.

    Raises:
        NotFoundError: there is none.
    """
    text = connection.scalar(select(table.c.document).where(table.c.kind == kind, table.c.name == name))
    if text is None:
        raise NotFoundError
    found: dict[str, Any] = json.loads(text)
    return found


def all_published(connection: Connection, kind: Kind) -> list[dict[str, Any]]:
    """Return every document of a kind, by name."""
    query = select(table.c.document).where(table.c.kind == kind).order_by(table.c.name)
    return [json.loads(text) for text in connection.scalars(query)]


def public_key_of(connection: Connection, organisation: str) -> bytes:
    """Return the public key that an organisation's uploads and requests are sealed to.

    Raises:
        NoWorkerError: the worker has not made it yet.
    """
    try:
        return bytes.fromhex(published(connection, "organisation-key", organisation)["public_key"])
    except NotFoundError:
        raise NoWorkerError from None
