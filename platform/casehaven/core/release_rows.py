"""The rows of releases: what was drawn, by whom, what was decided, and what may be downloaded. The public registry is `casehaven.registry`.

1. A release is *drawn*, then *published* or *withheld*, for good (privacy rule 33); what was published can be *withdrawn* by a notice. A drawn or withheld one is for its own organisation; a published one, withdrawn
   or not, is for everybody who is signed in. One that was drawn under an agreement which was revoked before the decision is *hidden*, from everybody. One about which nobody decided for 14 days is *expired*: its
   organisation sees that it is there, and no file of it (privacy rule 35).
2. A release is seen from its tick on (`released_at`), a moment that was fixed before anything was counted, and not when its bundle was there (privacy rule 24).
3. Everything in a row is public: protected numbers, names of files, fingerprints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, and_, insert, or_, select, update

from casehaven.core.service_tables import release as table
from casehaven.organisations.errors import NotFoundError
from casesynth.canonical import canonical_json

DRAFT_SECONDS: Final = 14 * 86_400
"""How long a drawn release waits for a decision, and a draft for its approvals (privacy rule 35)."""


_OWN: Final = frozenset({"organisation", "datasets", "agreement", "draft", "digest"})
"""Fields of a release that its own organisation alone sees."""


def add_release(
    connection: Connection, release_id: str, organisation: str, document: Mapping[str, Any], *, now: int
) -> None:
    """Add a drawn release that is seen from `now` on; does nothing where it is there."""
    if connection.scalar(select(table.c.release_id).where(table.c.release_id == release_id)) is None:
        connection.execute(
            insert(table).values(
                release_id=release_id,
                organisation=organisation,
                state="drawn",
                document=canonical_json(dict(document)).decode(),
                released_at=now,
            )
        )


def set_state(connection: Connection, release_id: str, state: str) -> None:
    """Write down what was decided."""
    connection.execute(update(table).where(table.c.release_id == release_id).values(state=state))


def hide_release(connection: Connection, release_id: str) -> None:
    """Hide a release that is drawn and nobody decided about, where there is one."""
    this = (table.c.release_id == release_id, table.c.state == "drawn")
    connection.execute(update(table).where(*this).values(state="hidden"))


def hide_drawn(connection: Connection, agreement: str) -> None:
    """Hide every release under an agreement that is drawn and nobody decided about (privacy rule 35)."""
    drawn = connection.execute(select(table.c.release_id, table.c.document).where(table.c.state == "drawn")).all()
    for row in drawn:
        if json.loads(row.document).get("agreement") == agreement:
            set_state(connection, row.release_id, "hidden")


def release_of(connection: Connection, release_id: str, *, reader: str, now: int) -> dict[str, Any]:
    """Return a release.

    Args:
        connection: reads.
        release_id: which.
        reader: the reader's organisation.
        now: seconds since 1970.

    Raises:
        NotFoundError: there is none yet, or it is not for this reader.
    """
    row = connection.execute(select(table).where(table.c.release_id == release_id, _for(reader, now))).first()
    if row is None:
        raise NotFoundError
    return _shown(row._mapping, now, reader)


def releases_for(
    connection: Connection, *, reader: str, before: int | None, limit: int, now: int
) -> list[tuple[int, dict[str, Any]]]:
    """Return the releases that a reader may see, newest first, each with its number."""
    query = select(table).where(_for(reader, now)).order_by(table.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.sequence < before)
    return [(row.sequence, _shown(row._mapping, now, reader)) for row in connection.execute(query)]


def _for(reader: str, now: int) -> Any:
    own = and_(table.c.organisation == reader, table.c.state != "hidden")
    return and_(or_(table.c.state.in_(("published", "withdrawn")), own), table.c.released_at <= now)


def _shown(row: Mapping[Any, Any], now: int, reader: str) -> dict[str, Any]:
    shown = {"id": row["release_id"], "state": row["state"], **json.loads(row["document"])}
    if row["organisation"] != reader:  # contributors' names do not show
        shown = {name: said for name, said in shown.items() if name not in _OWN}
    if row["state"] == "drawn":
        shown["decide_before"] = row["released_at"] + DRAFT_SECONDS
        if now >= shown["decide_before"]:
            shown.update(state="expired", files=[])
    return shown
