"""Raises of a cap in the service store: asked for by a member, approved with keys that the ledger names (privacy rule 19).

1. A request is drawn up by the worker, which knows the ledger and the cap that holds now. It raises nothing.
2. An approval is a file that a person signed with a key of their own, away from the service. Whoever hands it in need not be that person; the signature is what counts, and the worker checks it.
3. With approvals of two people whom the ledger names, the worker raises the cap. That the ledger did so is what counts, not a row here.
4. A request of another organisation is answered as one that is not there.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, insert, select, update

from casehaven.budgets.models import cap_raise, cap_raise_approval
from casehaven.organisations import events
from casehaven.organisations.errors import NotFoundError


def add_raise(
    connection: Connection, now: int, *, digest: str, organisation: str, document: str, proposed_by: str
) -> None:
    """Add a request; does nothing where it is there.

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        digest: SHA-256 of the document.
        organisation: whose dataset it is about.
        document: canonical JSON.
        proposed_by: a handle.
    """
    if connection.scalar(select(cap_raise.c.sequence).where(cap_raise.c.digest == digest)) is not None:
        return
    connection.execute(
        insert(cap_raise).values(
            digest=digest, organisation=organisation, document=document, proposed_by=proposed_by, proposed_at=now
        )
    )
    _tell(connection, now, proposed_by, "budget.raise_proposed", organisation, digest)


def add_approval(
    connection: Connection, now: int, *, digest: str, fingerprint: str, approval: str, sent_by: str
) -> None:
    """Add an approval that the worker found to hold; does nothing where this key approved already."""
    table = cap_raise_approval
    mine = (table.c.digest == digest, table.c.fingerprint == fingerprint)
    if connection.scalar(select(table.c.digest).where(*mine)) is not None:
        return
    connection.execute(
        insert(table).values(digest=digest, fingerprint=fingerprint, approval=approval, sent_by=sent_by, sent_at=now)
    )
    organisation = connection.scalar(select(cap_raise.c.organisation).where(cap_raise.c.digest == digest))
    _tell(connection, now, sent_by, "budget.raise_approved", str(organisation), digest)


def set_raised(connection: Connection, now: int, digest: str, *, by: str) -> None:
    """Write down that the ledger raised the cap; done twice, it is done."""
    row = connection.execute(select(cap_raise).where(cap_raise.c.digest == digest)).one()
    if row.raised_at is None:
        connection.execute(update(cap_raise).where(cap_raise.c.digest == digest).values(raised_at=now))
        _tell(connection, now, by, "budget.raised", row.organisation, digest)


def raise_document(connection: Connection, digest: str, organisation: str) -> tuple[str, tuple[str, ...]]:
    """Return a request and the approvals that were handed in for it, as they are signed.

    Raises:
        NotFoundError: the organisation has no such request.
    """
    row = _row(connection, digest, organisation)
    query = select(cap_raise_approval.c.approval).where(cap_raise_approval.c.digest == digest)
    return row.document, tuple(connection.scalars(query.order_by(cap_raise_approval.c.fingerprint)))


def raise_of(connection: Connection, digest: str, organisation: str) -> dict[str, Any]:
    """Return a request as it is shown.

    Raises:
        NotFoundError: the organisation has no such request.
    """
    return _shown(connection, _row(connection, digest, organisation))


def raises_of(
    connection: Connection, organisation: str, *, before: int | None, limit: int
) -> list[tuple[int, dict[str, Any]]]:
    """Return the requests about an organisation's datasets, newest first, each with its number."""
    query = select(cap_raise).where(cap_raise.c.organisation == organisation)
    if before is not None:
        query = query.where(cap_raise.c.sequence < before)
    rows = connection.execute(query.order_by(cap_raise.c.sequence.desc()).limit(limit)).all()
    return [(row.sequence, _shown(connection, row)) for row in rows]


def _row(connection: Connection, digest: str, organisation: str) -> Any:
    mine = (cap_raise.c.digest == digest, cap_raise.c.organisation == organisation)
    row = connection.execute(select(cap_raise).where(*mine)).first()
    if row is None:
        raise NotFoundError
    return row


def _shown(connection: Connection, row: Any) -> dict[str, Any]:
    approval = cap_raise_approval.c
    query = select(approval.fingerprint, approval.sent_by, approval.sent_at).where(approval.digest == row.digest)
    return {
        "id": row.digest,
        "state": "proposed" if row.raised_at is None else "raised",
        "request": json.loads(row.document),
        "proposed_by": row.proposed_by,
        "proposed_at": row.proposed_at,
        "raised_at": row.raised_at,
        "approvals": [
            {"fingerprint": each.fingerprint, "sent_by": each.sent_by, "sent_at": each.sent_at}
            for each in connection.execute(query.order_by(approval.sent_at, approval.fingerprint))
        ],
    }


def _tell(connection: Connection, now: int, by: str, action: str, organisation: str, digest: str) -> None:
    events.record(
        connection, now, actor=by, action=action, organisation=organisation, object_kind="cap-raise", object_id=digest
    )
