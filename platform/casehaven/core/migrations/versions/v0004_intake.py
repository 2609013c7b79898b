"""Version 4: which record came under which record key, and the mappings that datasets remember."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "record_key",
        sa.Column("dataset_id", IDENTIFIER, sa.ForeignKey("dataset.dataset_id"), primary_key=True, autoincrement=False),
        sa.Column("key_index", sa.LargeBinary, primary_key=True),
        sa.Column("person_id", IDENTIFIER, sa.ForeignKey("person.person_id"), nullable=False),
        sa.Column("record_id", IDENTIFIER, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("record_key_of_person", "record_key", ["person_id"])
    op.create_table(
        "intake_mapping",
        sa.Column("dataset_id", IDENTIFIER, sa.ForeignKey("dataset.dataset_id"), primary_key=True, autoincrement=False),
        sa.Column("columns_index", sa.LargeBinary, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("recorded_at", sa.Text, nullable=False),
    )
