"""Version 2: the audit log, which only grows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

FIXED = [
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
]
FUNCTION = """CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$"""


def upgrade() -> None:
    """Make the tables of the audit log, and the triggers that refuse every change but one."""
    op.create_table(
        "audit_log",
        sa.Column(
            "id", sa.Integer, sa.CheckConstraint("id = 1", name="audit_log_once"), primary_key=True, autoincrement=False
        ),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("period_seconds", sa.Integer, nullable=False),
        sa.Column("leaves_per_period", sa.Integer, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column(
            "position",
            IDENTIFIER,
            sa.CheckConstraint("position >= 0", name="audit_position"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("object_kind", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("reason_sealed", sa.LargeBinary),
        sa.Column("reason_wrapped_dek", sa.LargeBinary),
        sa.Column("reason_epoch", sa.Text),
        sa.Column("reason_sha256", sa.LargeBinary),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("chain", sa.LargeBinary, nullable=False),
        sa.CheckConstraint(
            "(reason_sealed IS NULL) = (reason_wrapped_dek IS NULL) AND (reason_sealed IS NULL) = (reason_epoch IS NULL) "
            "AND (reason_sealed IS NULL OR reason_sha256 IS NOT NULL)",
            name="audit_reason",
        ),
    )
    op.create_index("audit_of_object", "audit", ["object_id"])
    op.create_table(
        "audit_checkpoint",
        sa.Column("period", IDENTIFIER, primary_key=True, autoincrement=False),
        sa.Column("next_position", IDENTIFIER, nullable=False),
        sa.Column("period_root", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.execute(  # a vault that is there already begins its log today
        "INSERT INTO audit_log (id, origin, started_at, period_seconds, leaves_per_period) "
        f"SELECT 1, 'casehaven/' || vault_id, '{datetime.now(UTC):%Y-%m-%d}T00:00:00Z', 86400, 1024 FROM vault"
    )
    for statement in _triggers(op.get_bind().dialect.name):
        op.execute(statement)


def _triggers(dialect: str) -> Iterator[str]:
    sqlite = dialect == "sqlite"
    differs = "IS NOT" if sqlite else "IS DISTINCT FROM"
    changes = " OR ".join(f"NEW.{column} {differs} OLD.{column}" for column in FIXED)
    changes += f" OR (NEW.reason_sealed IS NOT NULL AND NEW.reason_sealed {differs} OLD.reason_sealed)"
    if not sqlite:
        yield FUNCTION
    for table in ("audit_log", "audit", "audit_checkpoint"):
        for event in ("DELETE", "UPDATE"):
            changing = changes if (table, event) == ("audit", "UPDATE") else ""
            head = f"CREATE TRIGGER {table}_{event.lower()} BEFORE {event} ON {table} "
            if sqlite:
                when = f"WHEN {changing} " if changing else ""
                yield f"{head}{when}BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"
            else:
                when = f"WHEN ({changing}) " if changing else ""
                yield f"{head}FOR EACH ROW {when}EXECUTE FUNCTION audit_only_grows()"
