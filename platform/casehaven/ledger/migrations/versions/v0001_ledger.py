"""Version 1: policy, datasets, accounts and charges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the five tables."""
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("ledger_id", sa.Text, nullable=False),
        sa.Column("epsilon", sa.Text, nullable=False),
        sa.Column("delta_units", NUMBER, nullable=False),
        sa.Column("additive_delta_units", NUMBER, nullable=False),
        sa.Column("max_tokens_per_person", sa.Integer),
        sa.Column("created_at", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "dataset",
        sa.Column("dataset_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("epsilon", sa.Text, nullable=False),
        sa.Column("delta_units", NUMBER, nullable=False),
        sa.Column("additive_delta_units", NUMBER, nullable=False),
        sa.Column("cap_nano_rho", NUMBER, sa.CheckConstraint("cap_nano_rho > 0"), nullable=False),
        sa.Column("opened_at", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "account",
        sa.Column("account_id", NUMBER, primary_key=True),
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), nullable=False),
        sa.Column("block", sa.Text, nullable=False),
        sa.Column("cap_nano_rho", NUMBER, nullable=False),
        sa.Column("cap_delta_units", NUMBER, nullable=False),
        sa.Column("spent_nano_rho", NUMBER, nullable=False),
        sa.Column("spent_delta_units", NUMBER, nullable=False),
        sa.UniqueConstraint("dataset_id", "block"),
        sa.CheckConstraint("spent_nano_rho BETWEEN 0 AND cap_nano_rho"),
        sa.CheckConstraint("spent_delta_units BETWEEN 0 AND cap_delta_units"),
        sqlite_strict=True,
    )
    op.create_table(
        "charge",
        sa.Column("charge_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("idempotency_key", sa.Text, nullable=False, unique=True),
        sa.Column("request_sha256", sa.Text, nullable=False),
        sa.Column("nano_rho", NUMBER, sa.CheckConstraint("nano_rho > 0"), nullable=False),
        sa.Column("delta_units", NUMBER, sa.CheckConstraint("delta_units >= 0"), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("charged_at", sa.Text, nullable=False),
        sa.Column("draws", sa.Integer, sa.CheckConstraint("draws BETWEEN 0 AND 2"), nullable=False),
        sa.Column("result_sha256", sa.Text),
        sa.Column("shown", sa.Integer, sa.CheckConstraint("shown IN (0, 1)"), nullable=False),
        sa.CheckConstraint("result_sha256 IS NULL OR draws > 0"),
        sa.CheckConstraint("shown = 0 OR result_sha256 IS NOT NULL"),
        sqlite_strict=True,
    )
    op.create_table(
        "charge_line",
        sa.Column("charge_id", sa.Text, sa.ForeignKey("charge.charge_id"), primary_key=True, nullable=False),
        sa.Column("account_id", NUMBER, sa.ForeignKey("account.account_id"), primary_key=True, nullable=False),
        sqlite_strict=True,
    )
