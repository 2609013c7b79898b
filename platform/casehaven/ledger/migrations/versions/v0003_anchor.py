"""Version 3: the anchor and its ceilings, the chain of entries, allowances, raises, the odometer's cap, and stored answers.

Charges that are there already become the first entries of the chain, oldest first. No amount changes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from casehaven.ledger.chain import FIRST, linked

revision = "0003"
down_revision: str | None = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables, one column, and the first entries."""
    _make_anchor_tables()
    _make_budget_tables()
    op.create_table(
        "answer",
        sa.Column("answer_id", NUMBER, primary_key=True),
        sa.Column("plan_sha256", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("mechanism", sa.Text, nullable=False),
        sa.Column("noise_scale", NUMBER, sa.CheckConstraint("noise_scale > 0"), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("document_sha256", sa.Text, nullable=False),
        sa.Column("stored_at", NUMBER, nullable=False),
        sa.Column("visible_at", NUMBER, nullable=False),
        sa.UniqueConstraint("plan_sha256", "snapshot", "mechanism", "noise_scale"),
        sqlite_strict=True,
    )
    op.create_index("answer_of_document", "answer", ["document_sha256"])
    op.create_index("answer_of_snapshot", "answer", ["snapshot"])
    if op.get_bind().dialect.name == "sqlite":
        for name in ("charge_only_advances", "charge_fixed"):  # they name every column of the table
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
    op.add_column("charge", sa.Column("analyst", sa.Text))
    _first_entries(op.get_bind())


def _make_anchor_tables() -> None:
    op.create_table(
        "anchoring",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "ceiling",
        sa.Column("account_id", NUMBER, sa.ForeignKey("account.account_id"), primary_key=True, autoincrement=False),
        sa.Column("nano_rho", NUMBER, nullable=False),
        sa.Column("delta_units", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "resume",
        sa.Column("resume_id", sa.Text, primary_key=True, nullable=False),
        sa.Column("position", NUMBER, nullable=False),
        sa.Column("resumed_at", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "resume_line",
        sa.Column("resume_id", sa.Text, sa.ForeignKey("resume.resume_id"), primary_key=True, nullable=False),
        sa.Column("account_id", NUMBER, sa.ForeignKey("account.account_id"), primary_key=True, nullable=False),
        sa.Column("nano_rho", NUMBER, sa.CheckConstraint("nano_rho >= 0"), nullable=False),
        sa.Column("delta_units", NUMBER, sa.CheckConstraint("delta_units >= 0"), nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "entry",
        sa.Column("position", NUMBER, sa.CheckConstraint("position > 0"), primary_key=True, autoincrement=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("entry_of_subject", "entry", ["subject"])


def _make_budget_tables() -> None:
    op.create_table(
        "allowance",
        sa.Column("allowance_id", NUMBER, primary_key=True),
        sa.Column("analyst", sa.Text, nullable=False),
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), nullable=False),
        sa.Column("limit_nano_rho", NUMBER, sa.CheckConstraint("limit_nano_rho >= 0")),
        sa.Column("spent_nano_rho", NUMBER, sa.CheckConstraint("spent_nano_rho >= 0"), nullable=False),
        sa.UniqueConstraint("analyst", "dataset_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "budget_raise",
        sa.Column("request_sha256", sa.Text, primary_key=True, nullable=False),
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id")),
        sa.Column("epsilon", sa.Text, nullable=False),
        sa.Column("cap_nano_rho", NUMBER, sa.CheckConstraint("cap_nano_rho > 0"), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("approvers", sa.Text, nullable=False),
        sa.Column("raised_at", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "odometer_cap",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("epsilon", sa.Text, nullable=False),
        sa.Column("cap_nano_rho", NUMBER, sa.CheckConstraint("cap_nano_rho > 0"), nullable=False),
        sqlite_strict=True,
    )


def _first_entries(connection: sa.Connection) -> None:
    chain = FIRST
    charges = connection.execute(sa.text("SELECT charge_id FROM charge ORDER BY charged_at, charge_id")).all()
    for position, (charge_id,) in enumerate(charges, 1):
        subject = f"charge {charge_id}"
        chain = linked(chain, subject)
        connection.execute(
            sa.text("INSERT INTO entry (position, subject, chain) VALUES (:position, :subject, :chain)"),
            {"position": position, "subject": subject, "chain": chain},
        )
