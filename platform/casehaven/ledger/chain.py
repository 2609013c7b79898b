"""The chain of entries: everything that ever happened to charges, one after the other, so that an earlier copy of a ledger is known for one.

1. An entry is a position, from 1 without gaps, what happened, and the SHA-256 over the chain before it and what happened.
2. Entries are written in the transaction of what they tell of: a charge, a draw, a result, a decision, a mark, a raise, a resumption.
3. Two ledgers that went different ways have different chains from there on (privacy rule 20).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select

from casehaven.ledger import models
from casehaven.ledger.errors import DamagedLedgerError

FIRST = "0" * 64
"""The chain before the first entry."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The end of a chain."""

    position: int
    """Of the last entry; 0 when there is none."""
    chain: str
    """64 hexadecimal digits."""


_INSERT = insert(models.entry)


def linked(chain: str, subject: str) -> str:
    """Return the chain after one more entry."""
    return hashlib.sha256(f"{chain}\n{subject}".encode()).hexdigest()


def head(connection: Connection) -> Head:
    """Return the end of the stored chain."""
    row = connection.execute(select(models.entry).order_by(models.entry.c.position.desc()).limit(1)).first()
    return Head(position=0, chain=FIRST) if row is None else Head(position=row.position, chain=row.chain)


def append(connection: Connection, subject: str, *, after: Head | None = None) -> Head:
    """Write one entry.

    Args:
        connection: of a transaction that no other writer runs beside.
        subject: what happened.
        after: the entry that it follows; None for the last one. A resumption follows the anchor's, which may be further.
    """
    last = after or head(connection)
    made = Head(position=last.position + 1, chain=linked(last.chain, subject))
    connection.execute(_INSERT, {"position": made.position, "subject": subject, "chain": made.chain})
    return made


_MEETING = select(models.entry.c.position, models.entry.c.chain).where(
    (models.entry.c.position == bindparam("known"))
    | (models.entry.c.position == select(func.max(models.entry.c.position)).scalar_subquery())
)


def meeting(connection: Connection, known: Head) -> Head | None:
    """Return the stored end when the chain went through an end that somebody else remembers; None when it did not."""
    found = {row.position: row.chain for row in connection.execute(_MEETING, {"known": known.position})}
    if not found:
        return Head(position=0, chain=FIRST) if known == Head(position=0, chain=FIRST) else None
    there = FIRST if known.position == 0 else found.get(known.position)
    last = max(found)
    return Head(position=last, chain=found[last]) if there == known.chain else None


def contains(connection: Connection, known: Head) -> bool:
    """Whether the stored chain went through an end that somebody else remembers."""
    return meeting(connection, known) is not None


def check_chain(connection: Connection) -> None:
    """Follow the whole chain.

    Raises:
        DamagedLedgerError: an entry does not follow from the one before it, or a charge has no entry.
    """
    chain, position = FIRST, 0
    for row in connection.execute(select(models.entry).order_by(models.entry.c.position)):
        if row.subject.startswith("resume "):  # it follows the anchor's end, which an earlier copy did not know
            after = row.subject.split(" ")[2]
            if row.position <= position or linked(after, row.subject) != row.chain:
                raise DamagedLedgerError("the ledger is damaged: its entries do not follow from one another")
        elif row.position != position + 1 or linked(chain, row.subject) != row.chain:
            raise DamagedLedgerError("the ledger is damaged: its entries do not follow from one another")
        chain, position = row.chain, row.position
    charges = set(connection.scalars(select(models.charge.c.charge_id)))
    told = connection.scalars(select(models.entry.c.subject).where(models.entry.c.subject.startswith("charge ")))
    if charges != {subject.removeprefix("charge ") for subject in told}:
        raise DamagedLedgerError("the ledger is damaged: a charge and the chain of entries do not agree")
