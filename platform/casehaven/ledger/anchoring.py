"""Where a ledger's anchor is, as the ledger remembers it.

1. Beside the ledger, the place is stored by name: the two are moved together. Elsewhere it is stored in full.
2. An earlier copy of the ledger knows the earlier place; when the anchor was moved since, it finds none and spends nothing.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from casehaven.ledger import models
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.errors import LedgerAnchorMissingError


def default_place(path: Path) -> Path:
    """The anchor of a ledger whose keeper named no other place.

    >>> default_place(Path("desk/ledger.sqlite")).name
    'ledger.sqlite.anchor'
    """
    return path.with_name(f"{path.name}.anchor")


def stored_place(connection: Connection, path: Path | None) -> Path | None:
    """Return where the anchor is; None for a ledger of an earlier version that has none."""
    place = connection.scalar(select(models.anchoring.c.place))
    if place is None:
        return None
    return Path(place) if path is None else path.absolute().parent / place


def stored_anchor(connection: Connection, path: Path | None) -> LedgerAnchor:
    """Return the anchor.

    Raises:
        LedgerAnchorMissingError: the ledger has none yet.
    """
    place = stored_place(connection, path)
    both = select(models.ledger.c.ledger_id, models.anchoring.c.secret).join_from(
        models.ledger, models.anchoring, models.anchoring.c.id == models.ledger.c.id
    )
    row = connection.execute(both).first() if place else None
    if place is None or row is None:
        raise LedgerAnchorMissingError(
            "this ledger was made by an earlier version and has no anchor yet; it spends nothing before it has one"
        )
    return LedgerAnchor(place, row.ledger_id, row.secret)


def move_anchor(connection: Connection, path: Path | None, place: Path, secret: str | None) -> None:
    """Write down where the anchor is, and with the first one its secret."""
    text = str(place.absolute())
    if path is not None and place.absolute().parent == path.absolute().parent:
        text = place.name
    if secret is not None:
        connection.execute(insert(models.anchoring).values(id=1, place=text, secret=secret))
    else:
        connection.execute(update(models.anchoring).values(place=text))
