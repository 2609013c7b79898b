"""Where a ledger's anchor is, as the ledger remembers it.

1. Beside the ledger, the place is stored by name: the two are moved together. Elsewhere it is stored in full.
2. A ledger of before version 3 leaves a mark beside it when it gets its first anchor: `NAME.anchored`. A copy of before that gets no other one (privacy rule 20).
3. An earlier copy of the ledger knows the earlier place; when the anchor was moved since, it finds none and spends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from casehaven.ledger import models
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.errors import LedgerAnchorMissingError, LedgerExistsError
from casesynth._files import write_whole


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
class Footing:
    """What every step that spends begins with. All but the place of the anchor is the same for good."""

    place: str
    """Of the anchor, as it is stored."""
    anchor: LedgerAnchor
    odometer_capped: bool
    """Whether the ledger has a cap for one person."""


def stored_footing(connection: Connection, path: Path | None) -> Footing:
    """Return the anchor, and whether there is a cap for one person.

    Raises:
        LedgerAnchorMissingError: the ledger has no anchor yet.
    """
    kept = models.anchoring.c
    capped = models.odometer_cap.c.id.is_not(None).label("odometer_capped")
    query = select(models.ledger.c.ledger_id, kept.place, kept.secret, capped).select_from(
        models.ledger.outerjoin(models.anchoring, kept.id == models.ledger.c.id).outerjoin(
            models.odometer_cap, models.odometer_cap.c.id == models.ledger.c.id
        )
    )
    row = connection.execute(query).one()
    if row.place is None:
        raise LedgerAnchorMissingError(
            "this ledger was made by an earlier version and has no anchor yet; it spends nothing before it has one"
        )
    place = Path(row.place) if path is None else path.absolute().parent / row.place
    return Footing(
        place=row.place,
        anchor=LedgerAnchor(place, row.ledger_id, row.secret),
        odometer_capped=bool(row.odometer_capped),
    )


def stored_anchor(connection: Connection, path: Path | None) -> LedgerAnchor:
    """Return the anchor.

    Raises:
        LedgerAnchorMissingError: the ledger has none yet.
    """
    return stored_footing(connection, path).anchor


def move_anchor(connection: Connection, path: Path | None, place: Path, first: tuple[str, str] | None) -> None:
    """Write down where the anchor is, and with the first one its secret, and since when it knows the ledger."""
    text = str(place.absolute())
    if path is not None and place.absolute().parent == path.absolute().parent:
        text = place.name
    if first is not None:
        connection.execute(insert(models.anchoring).values(id=1, place=text, secret=first[0], since=first[1]))
    else:
        connection.execute(update(models.anchoring).values(place=text))


def mark_path(path: Path) -> Path:
    """Return where the mark of a first anchor is.

    >>> mark_path(Path("desk/ledger.sqlite")).name
    'ledger.sqlite.anchored'
    """
    return path.with_name(f"{path.name}.anchored")


def refuse_second_first(path: Path | None) -> None:
    """Return when no first anchor was ever made for the ledger in this place.

    Raises:
        LedgerExistsError: one was, so what is here is a copy of before it.
    """
    if path is not None and mark_path(path).exists():
        raise LedgerExistsError(
            f"{path} got an anchor already, and this is a copy of before that: it does not know what was spent since, and spends nothing; "
            "put back a copy that was made later"
        )


def leave_mark(path: Path | None) -> None:
    """Leave the mark that the ledger in this place has an anchor; it may be there already.

    Raises:
        LedgerAnchorMissingError: it cannot be written.
    """
    if path is None or mark_path(path).exists():
        return
    said = f"The ledger {path.name} has an anchor. A copy of before that is not to be used. Leave this file here.\n"
    try:
        write_whole(mark_path(path), said.encode("utf-8"), mode=0o600, replace=True)
    except OSError as error:
        raise LedgerAnchorMissingError(f"{mark_path(path)} cannot be written: {error.strerror}") from None
