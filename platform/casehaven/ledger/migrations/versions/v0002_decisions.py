"""Version 2: what was decided about releases, and datasets that were released without differential privacy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "decision",
        sa.Column("decision_id", NUMBER, primary_key=True),
        sa.Column("charge_id", sa.Text, sa.ForeignKey("charge.charge_id"), nullable=False),
        sa.Column(
            "kind", sa.Text, sa.CheckConstraint("kind IN ('published', 'withheld', 'report_opened')"), nullable=False
        ),
        sa.Column("decided_at", sa.Text, nullable=False),
        sa.UniqueConstraint("charge_id", "kind"),
        sqlite_strict=True,
    )
    op.create_table(
        "unbounded",
        sa.Column("request_sha256", sa.Text, primary_key=True, nullable=False),
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        sqlite_strict=True,
    )
