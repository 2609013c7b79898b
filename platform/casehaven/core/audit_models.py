"""The tables of the audit log, and the rules that the database itself enforces.

1. An entry is never deleted. Nothing in it changes but its sealed reason: the key that wraps it (epochs end), or that it goes (erasure).
2. An entry holds no case value: actor, action, and the ids of what was touched. Why it was touched may hold one, so the reason is sealed.
3. Periods are closed in order. A closed period never changes.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from casehaven.core.db import Dialect, Identifier, metadata

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="audit_log_once"), primary_key=True, autoincrement=False),
    Column("origin", Text, nullable=False),  # first line of every checkpoint
    Column("started_at", Text, nullable=False),  # UTC; periods are counted from here
    Column("period_seconds", Integer, nullable=False),
    Column("leaves_per_period", Integer, nullable=False),  # a power of two
)
"""One row: how this log counts time."""

audit = Table(
    "audit",
    metadata,
    Column(
        "position",
        Identifier,
        CheckConstraint("position >= 0", name="audit_position"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("at", Text, nullable=False),  # UTC, never earlier than the entry before
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("organisation", Text, nullable=False),  # empty: the whole vault
    Column("object_kind", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("reason_sealed", LargeBinary),
    Column("reason_wrapped_dek", LargeBinary),
    Column("reason_epoch", Text),
    Column("reason_sha256", LargeBinary),  # of reason_sealed; stays when the reason goes
    Column("leaf", LargeBinary, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    CheckConstraint(
        "(reason_sealed IS NULL) = (reason_wrapped_dek IS NULL) AND (reason_sealed IS NULL) = (reason_epoch IS NULL) "
        "AND (reason_sealed IS NULL OR reason_sha256 IS NOT NULL)",
        name="audit_reason",
    ),
    Index("audit_of_object", "object_id"),
)
"""One row per event, in order."""

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("period", Identifier, primary_key=True, autoincrement=False),  # counted from 0
    Column("next_position", Identifier, nullable=False),  # of the first entry after the period
    Column("period_root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),  # the signed checkpoint for its end
)
"""One row per closed period."""

_FIXED = (
    "position",
    "at",
    "actor",
    "action",
    "organisation",
    "object_kind",
    "object_id",
    "reason_sha256",
    "leaf",
    "chain",
)
_TABLES = ("audit_log", "audit", "audit_checkpoint")
_POSTGRES_FUNCTION = """CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$"""


def triggers(dialect: Dialect) -> tuple[str, ...]:
    """Return the SQL statements that make the log append-only; a migration runs them after creating the tables.

    >>> len(triggers("sqlite")), len(triggers("postgresql"))
    (6, 7)
    """
    refused = [(table, event) for table in _TABLES for event in ("DELETE", "UPDATE")]
    when = {("audit", "UPDATE"): _changes(dialect)}
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER {table}_{event.lower()} BEFORE {event} ON {table} "
            f"{f'WHEN {when[table, event]} ' if (table, event) in when else ''}"
            f"BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"
            for table, event in refused
        )
    statements = (
        f"CREATE TRIGGER {table}_{event.lower()} BEFORE {event} ON {table} FOR EACH ROW "
        f"{f'WHEN ({when[table, event]}) ' if (table, event) in when else ''}EXECUTE FUNCTION audit_only_grows()"
        for table, event in refused
    )
    return (_POSTGRES_FUNCTION, *statements)


def _changes(dialect: Dialect) -> str:
    """SQL that is true when an update touches more than a reason, or writes a reason where there was another or none."""
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    moved = " OR ".join(f"NEW.{column} {differs} OLD.{column}" for column in _FIXED)
    return f"{moved} OR (NEW.reason_sealed IS NOT NULL AND NEW.reason_sealed {differs} OLD.reason_sealed)"
