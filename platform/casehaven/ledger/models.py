"""The tables of a ledger file, and the rules that the database itself enforces.

1. Every amount is an integer; no column holds a float (privacy rule 13).
2. Triggers refuse what no code path may do: lower a balance, change a cap, edit or delete a charge, un-reveal a result (privacy rule 14).
3. A check on every account refuses a balance above its cap, whatever the code above it believes.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

APPLICATION_ID = 0x43484C31
"""Marks the file as a ledger in its header: `CHL1`."""

SCHEMA_VERSION = 2
"""Raised when the tables change; a file of a version that is not known is refused, never guessed at."""

UPGRADES: dict[int, tuple[str, ...]] = {1: ("decision", "unbounded")}
"""An older version that is brought to this one on opening, and the tables that it lacks; nothing that it has changes."""

metadata = MetaData()

ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("ledger_id", Text, nullable=False),
    Column("epsilon", Text, nullable=False),  # decimal text
    Column("delta_units", Integer, nullable=False),
    Column("additive_delta_units", Integer, nullable=False),
    Column("max_tokens_per_person", Integer),
    Column("created_at", Text, nullable=False),
    sqlite_strict=True,
)

dataset = Table(
    "dataset",
    metadata,
    Column("dataset_id", Text, primary_key=True, nullable=False),
    Column("epsilon", Text, nullable=False),
    Column("delta_units", Integer, nullable=False),
    Column("additive_delta_units", Integer, nullable=False),
    Column("cap_nano_rho", Integer, CheckConstraint("cap_nano_rho > 0"), nullable=False),  # of each of its accounts
    Column("opened_at", Text, nullable=False),
    sqlite_strict=True,
)

account = Table(
    "account",
    metadata,
    Column("account_id", Integer, primary_key=True),
    Column("dataset_id", Text, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("block", Text, nullable=False),
    Column("cap_nano_rho", Integer, nullable=False),
    Column("cap_delta_units", Integer, nullable=False),
    Column("spent_nano_rho", Integer, nullable=False),
    Column("spent_delta_units", Integer, nullable=False),
    UniqueConstraint("dataset_id", "block"),
    CheckConstraint("spent_nano_rho BETWEEN 0 AND cap_nano_rho"),
    CheckConstraint("spent_delta_units BETWEEN 0 AND cap_delta_units"),
    sqlite_strict=True,
)

charge = Table(
    "charge",
    metadata,
    Column("charge_id", Text, primary_key=True, nullable=False),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("request_sha256", Text, nullable=False),
    Column("nano_rho", Integer, CheckConstraint("nano_rho > 0"), nullable=False),
    Column("delta_units", Integer, CheckConstraint("delta_units >= 0"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("charged_at", Text, nullable=False),
    Column("draws", Integer, CheckConstraint("draws BETWEEN 0 AND 2"), nullable=False),
    Column("result_sha256", Text),
    Column("shown", Integer, CheckConstraint("shown IN (0, 1)"), nullable=False),
    CheckConstraint("result_sha256 IS NULL OR draws > 0"),
    CheckConstraint("shown = 0 OR result_sha256 IS NOT NULL"),
    sqlite_strict=True,
)

charge_line = Table(
    "charge_line",
    metadata,
    Column("charge_id", Text, ForeignKey("charge.charge_id"), primary_key=True, nullable=False),
    Column("account_id", Integer, ForeignKey("account.account_id"), primary_key=True, nullable=False),
    sqlite_strict=True,
)

decision = Table(
    "decision",
    metadata,
    Column("decision_id", Integer, primary_key=True),
    Column("charge_id", Text, ForeignKey("charge.charge_id"), nullable=False),
    Column("kind", Text, CheckConstraint("kind IN ('published', 'withheld', 'report_opened')"), nullable=False),
    Column("decided_at", Text, nullable=False),
    UniqueConstraint("charge_id", "kind"),
    sqlite_strict=True,
)

unbounded = Table(
    "unbounded",
    metadata,
    Column("request_sha256", Text, primary_key=True, nullable=False),
    Column("dataset_id", Text, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("since", Text, nullable=False),  # a day
    sqlite_strict=True,
)


def _refuse(name: str, event: str, table: str, when: str, why: str) -> str:
    condition = f" WHEN {when}" if when else ""
    return f"CREATE TRIGGER {name} BEFORE {event} ON {table}{condition} BEGIN SELECT RAISE(ABORT, '{why}'); END"


def _differs(*columns: str) -> str:
    return " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in columns)


TRIGGERS: tuple[str, ...] = (
    *(
        _refuse(f"{table}_stays", "DELETE", table, "", f"a {table} row is never deleted")
        for table in ("ledger", "dataset", "account", "charge", "charge_line", "decision", "unbounded")
    ),
    *(
        _refuse(f"{table}_fixed", "UPDATE", table, "", f"a {table} row never changes")
        for table in ("ledger", "dataset", "charge_line", "decision", "unbounded")
    ),
    _refuse(
        "account_never_falls",
        "UPDATE",
        "account",
        "NEW.spent_nano_rho < OLD.spent_nano_rho OR NEW.spent_delta_units < OLD.spent_delta_units OR "
        + _differs("account_id", "dataset_id", "block", "cap_nano_rho", "cap_delta_units"),
        "a balance never falls and a cap never changes",
    ),
    _refuse(
        "charge_only_advances",
        "UPDATE",
        "charge",
        "NEW.draws < OLD.draws OR NEW.draws > OLD.draws + 1 "
        "OR NEW.shown < OLD.shown OR (OLD.result_sha256 IS NOT NULL AND NEW.draws <> OLD.draws) "
        "OR (OLD.result_sha256 IS NOT NULL AND NEW.result_sha256 IS NOT OLD.result_sha256 "
        "AND (OLD.shown = 1 OR NEW.result_sha256 IS NOT NULL)) OR "
        + _differs(
            "charge_id", "idempotency_key", "request_sha256", "nano_rho", "delta_units", "purpose", "charged_at"
        ),
        "a charge only advances",
    ),
)
"""SQL of the triggers, one statement each."""
