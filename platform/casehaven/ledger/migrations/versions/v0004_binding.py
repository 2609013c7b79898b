"""Version 4: the vault of a dataset, the people who approve raises, since when the ledger has an anchor, what was shown at no charge, and less to write at each charge.

No amount changes. Since when is taken to be today: an earlier version did not write it down, and a later day promises less.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from casehaven.ledger._migrate import loosen_lines
from casehaven.ledger.clock import now

revision = "0004"
down_revision: str | None = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make three tables and one column."""
    op.create_table(
        "vault_of_dataset",
        sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.dataset_id"), primary_key=True, nullable=False),
        sa.Column("vault_id", sa.Text, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "approvers",
        sa.Column("number", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("request_sha256", sa.Text, nullable=False),
        sa.Column("people", sa.Text, nullable=False),
        sa.Column("approved_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("named_at", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "served",
        sa.Column("idempotency_key", sa.Text, primary_key=True, nullable=False),
        sa.Column("request_sha256", sa.Text, nullable=False),
        sa.Column("document", sa.Text),
        sa.Column("document_sha256", sa.Text, nullable=False),
        sa.Column("served_at", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.drop_index("entry_of_subject", "entry")
    connection = op.get_bind()
    anchored = connection.execute(sa.text("SELECT place, secret FROM anchoring")).first()
    if connection.dialect.name == "sqlite":
        _narrow_lines()
    loosen_lines(connection)
    op.drop_table("anchoring")
    op.create_table(
        "anchoring",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    if anchored is not None:
        connection.execute(
            sa.text("INSERT INTO anchoring (id, place, secret, since) VALUES (1, :place, :secret, :since)"),
            {"place": anchored.place, "secret": anchored.secret, "since": now()},
        )


def _narrow_lines() -> None:
    """Keep the lines of a charge in one tree of the file instead of two."""
    op.create_table(
        "charge_line_of_today",
        sa.Column("charge_id", sa.Text, sa.ForeignKey("charge.charge_id"), primary_key=True, nullable=False),
        sa.Column("account_id", sa.Integer, sa.ForeignKey("account.account_id"), primary_key=True, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO charge_line_of_today SELECT charge_id, account_id FROM charge_line")
    op.drop_table("charge_line")
    op.rename_table("charge_line_of_today", "charge_line")
