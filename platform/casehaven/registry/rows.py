"""The rows of the registry: records that are added and never deleted, and the log.

1. The worker alone adds a record, with its entry in the log, in one transaction. The api reads.
2. What is published is for everybody, and withdrawn records stay where they are. An organisation is asked for only where a record is to be changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from casehaven.organisations.errors import NotFoundError
from casehaven.registry.log import SignedEntry, parse_line
from casehaven.registry.models import registry_log, registry_record
from casesynth.canonical import canonical_json


@dataclass(frozen=True, kw_only=True)
class Record:
    """One published version."""

    name: str
    concept: str
    version: int
    release_id: str
    organisation: str
    """Of whoever drew it; not shown."""
    document: Mapping[str, Any]
    """Public; `docs/spec/registry.md` says what each field is."""
    published_at: int
    withdrawn_at: int | None
    reason: str | None
    sequence: int

    @property
    def withdrawn(self) -> bool:
        """Whether a notice of withdrawal stands."""
        return self.withdrawn_at is not None


def add_record(
    connection: Connection,
    *,
    name: str,
    concept: str,
    version: int,
    release_id: str,
    organisation: str,
    document: Mapping[str, Any],
    now: int,
) -> None:
    """Add a record."""
    connection.execute(
        insert(registry_record).values(
            record=name,
            concept=concept,
            version=version,
            release_id=release_id,
            organisation=organisation,
            state="published",
            document=canonical_json(dict(document)).decode("utf-8"),
            published_at=now,
        )
    )


def mark_withdrawn(connection: Connection, name: str, document: Mapping[str, Any], *, reason: str, now: int) -> None:
    """Add the notice of withdrawal to a record."""
    connection.execute(
        update(registry_record)
        .where(registry_record.c.record == name, registry_record.c.state == "published")
        .values(
            state="withdrawn",
            withdrawn_at=now,
            reason=reason,
            document=canonical_json(dict(document)).decode("utf-8"),
        )
    )


def record_of(connection: Connection, name: str, *, organisation: str | None = None) -> Record:
    """Return a record by its name.

    Args:
        connection: reads.
        name: of a version.
        organisation: only where this organisation drew it.

    Raises:
        NotFoundError: there is none.
    """
    query = select(registry_record).where(registry_record.c.record == name)
    if organisation is not None:
        query = query.where(registry_record.c.organisation == organisation)
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError
    return _record(row)


def record_of_release(connection: Connection, release_id: str) -> Record | None:
    """Return the record of a release; None where it has none."""
    row = connection.execute(select(registry_record).where(registry_record.c.release_id == release_id)).first()
    return None if row is None else _record(row)


def versions_of(connection: Connection, concept: str) -> list[Record]:
    """Return every version of a release, latest first; none where there is no such release."""
    query = select(registry_record).where(registry_record.c.concept == concept)
    return [_record(row) for row in connection.execute(query.order_by(registry_record.c.version.desc()))]


def next_version(connection: Connection, concept: str) -> int:
    """Return the number of the next version."""
    last = connection.scalar(select(func.max(registry_record.c.version)).where(registry_record.c.concept == concept))
    return 1 if last is None else int(last) + 1


def records(connection: Connection, *, before: int | None, limit: int) -> list[Record]:
    """Return records, newest first."""
    query = select(registry_record).order_by(registry_record.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(registry_record.c.sequence < before)
    return [_record(row) for row in connection.execute(query)]


def add_entry(connection: Connection, entry: SignedEntry) -> None:
    """Add an entry to the log."""
    line = entry.document()
    connection.execute(
        insert(registry_log).values(
            position=int(entry.entry["position"]),
            entry=canonical_json(line["entry"]).decode("utf-8"),
            public_key=line["public_key"],
            signature=line["signature"],
        )
    )


def log_entries(connection: Connection, *, after: int = -1, limit: int | None = None) -> list[SignedEntry]:
    """Return entries of the log in order, from behind a position.

    Raises:
        RegistryLogError: a row is no entry.
    """
    query = select(registry_log).where(registry_log.c.position > after).order_by(registry_log.c.position)
    if limit is not None:
        query = query.limit(limit)
    return [parse_line(line_of(row)) for row in connection.execute(query)]


def last_entries(connection: Connection, count: int) -> list[SignedEntry]:
    """Return the last entries of the log, oldest first."""
    query = select(registry_log).order_by(registry_log.c.position.desc()).limit(count)
    return [parse_line(line_of(row)) for row in reversed(connection.execute(query).all())]


def log_lines(connection: Connection, *, limit: int) -> bytes:
    """Return the file of the log, as its rows have it: whoever reads it verifies it."""
    query = select(registry_log).order_by(registry_log.c.position).limit(limit)
    line = '{{"entry":{},"public_key":"{}","signature":"{}"}}\n'
    return "".join(line.format(row.entry, row.public_key, row.signature) for row in connection.execute(query)).encode()


def line_of(row: Row[Any]) -> bytes:
    """Return a row of the log as a line."""
    return canonical_json({"entry": json.loads(row.entry), "public_key": row.public_key, "signature": row.signature})


def _record(row: Row[Any]) -> Record:
    return Record(
        name=row.record,
        concept=row.concept,
        version=row.version,
        release_id=row.release_id,
        organisation=row.organisation,
        document=json.loads(row.document),
        published_at=row.published_at,
        withdrawn_at=row.withdrawn_at,
        reason=row.reason,
        sequence=row.sequence,
    )
