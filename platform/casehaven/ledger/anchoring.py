"""Where a ledger's anchor is, as the ledger remembers it.

1. Beside the ledger, the place is stored by name: the two are moved together. Elsewhere it is stored in full.
2. An earlier copy of the ledger knows the earlier place; when the anchor was moved since, it finds none and spends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Anchored:
    """What every step that spends begins with."""

    anchor: LedgerAnchor
    odometer_capped: bool
    """Whether the ledger has a cap for one person."""


_FACTS = select(
    models.ledger.c.ledger_id,
    models.anchoring.c.place,
    models.anchoring.c.secret,
    models.odometer_cap.c.id.is_not(None).label("odometer_capped"),
).select_from(
    models.ledger.outerjoin(models.anchoring, models.anchoring.c.id == models.ledger.c.id).outerjoin(
        models.odometer_cap, models.odometer_cap.c.id == models.ledger.c.id
    )
)
"""In one statement: a charge waits for few."""


def anchored(connection: Connection, path: Path | None) -> Anchored:
    """Return the anchor, and whether there is a cap for one person.

    Raises:
        LedgerAnchorMissingError: the ledger has no anchor yet.
    """
    row = connection.execute(_FACTS).one()
    if row.place is None:
        raise LedgerAnchorMissingError(
            "this ledger was made by an earlier version and has no anchor yet; it spends nothing before it has one"
        )
    place = Path(row.place) if path is None else path.absolute().parent / row.place
    return Anchored(anchor=LedgerAnchor(place, row.ledger_id, row.secret), odometer_capped=bool(row.odometer_capped))


def stored_anchor(connection: Connection, path: Path | None) -> LedgerAnchor:
    """Return the anchor.

    Raises:
        LedgerAnchorMissingError: the ledger has none yet.
    """
    return anchored(connection, path).anchor


def move_anchor(connection: Connection, path: Path | None, place: Path, secret: str | None) -> None:
    """Write down where the anchor is, and with the first one its secret."""
    text = str(place.absolute())
    if path is not None and place.absolute().parent == path.absolute().parent:
        text = place.name
    if secret is not None:
        connection.execute(insert(models.anchoring).values(id=1, place=text, secret=secret))
    else:
        connection.execute(update(models.anchoring).values(place=text))
