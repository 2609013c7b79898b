"""Raw uploads on their way: sealed files below the service folder, and their rows.

1. The api seals a file to the organisation's public key while it arrives; what it writes it cannot open.
2. A raw upload is destroyed when it is taken in, when whoever sent it takes it back, and after a day (privacy: raw uploads are never backed up).
3. The name that a file had is not kept: it may name a person.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from casehaven.core.service_store import ServiceStore
from casehaven.core.service_tables import upload as table
from casehaven.organisations.errors import NotFoundError
from casehaven.vault.context import SealContext

LIFE_SECONDS: Final = 86_400
_SUFFIX: Final = ".sealed"


@dataclass(frozen=True, kw_only=True)
class UploadRow:
    """A raw upload."""

    upload_id: str
    organisation: str
    dataset: str
    """Name within the organisation."""
    member_id: str
    state: str
    """`received`, `committed`, or `destroyed`."""
    received_at: int
    expires_at: int
    sequence: int

    def document(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "id": self.upload_id,
            "organisation": self.organisation,
            "dataset": self.dataset,
            "state": self.state,
            "received_at": self.received_at,
            "expires_at": self.expires_at,
        }


def upload_context(organisation: str, dataset: str, upload_id: str) -> SealContext:
    """Where a raw upload belongs."""
    return SealContext(kind="upload", organisation=organisation, dataset=dataset, object_id=f"upload/{upload_id}")


def upload_path(store: ServiceStore, upload_id: str) -> Path:
    """Return the file of a raw upload."""
    return store.uploads / f"{upload_id}{_SUFFIX}"


def answers_path(store: ServiceStore, upload_id: str) -> Path:
    """Return where the worker keeps answers about a raw upload, sealed; they go with it."""
    return store.uploads / f"{upload_id}.answers"


def add_upload(
    connection: Connection, *, upload_id: str, organisation: str, dataset: str, member_id: str, now: int
) -> None:
    """Add the row of a file that is there whole."""
    connection.execute(
        insert(table).values(
            upload_id=upload_id,
            organisation=organisation,
            dataset=dataset,
            member_id=member_id,
            state="received",
            received_at=now,
            expires_at=now + LIFE_SECONDS,
        )
    )


def upload_of(connection: Connection, organisation: str, dataset: str, upload_id: str) -> UploadRow:
    """Return an upload of a dataset.

    Raises:
        NotFoundError: there is none.
    """
    this = (table.c.upload_id == upload_id, table.c.organisation == organisation, table.c.dataset == dataset)
    row = connection.execute(select(table).where(*this)).first()
    if row is None:
        raise NotFoundError
    return _row(row)


def uploads_of(
    connection: Connection, organisation: str, dataset: str, *, before: int | None, limit: int
) -> Sequence[UploadRow]:
    """Return the uploads of a dataset, newest first."""
    query = select(table).where(table.c.organisation == organisation, table.c.dataset == dataset)
    if before is not None:
        query = query.where(table.c.sequence < before)
    return [_row(row) for row in connection.execute(query.order_by(table.c.sequence.desc()).limit(limit))]


def waiting_uploads(connection: Connection, organisation: str) -> Sequence[str]:
    """Return the ids of an organisation's uploads whose files are there."""
    this = (table.c.organisation == organisation, table.c.state == "received")
    return list(connection.scalars(select(table.c.upload_id).where(*this)))


def mark_upload(store: ServiceStore, upload_id: str, state: str) -> None:
    """Destroy the file of an upload and what is kept beside it, and write down why."""
    upload_path(store, upload_id).unlink(missing_ok=True)
    answers_path(store, upload_id).unlink(missing_ok=True)
    with store.writing() as connection:
        connection.execute(update(table).where(table.c.upload_id == upload_id).values(state=state))


def destroy_expired(store: ServiceStore, *, now: int) -> None:
    """Destroy raw uploads of more than a day ago, and files that no row names any more."""
    with store.reading() as connection:
        query = select(table.c.upload_id).where(table.c.state == "received", table.c.expires_at <= now)
        expired = list(connection.scalars(query))
    for upload_id in expired:
        mark_upload(store, upload_id, "destroyed")
    for path in store.uploads.iterdir():
        if os.stat(path, follow_symlinks=False).st_mtime < now - LIFE_SECONDS - 3_600:
            path.unlink(missing_ok=True)


def forget_uploads(connection: Connection, *, before: int) -> None:
    """Delete the rows of uploads that ended long ago."""
    connection.execute(delete(table).where(table.c.state != "received", table.c.received_at < before))


def _row(row: Row[Any]) -> UploadRow:
    return UploadRow(**row._mapping)
