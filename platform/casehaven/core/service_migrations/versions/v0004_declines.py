"""Version 4 of the service store: who declined an agreement's document, and which raises of a cap were asked for and approved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "agreement_decline",
        sa.Column("digest", sa.Text, sa.ForeignKey("agreement_document.digest"), primary_key=True),
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("declined_at", IDENTIFIER, nullable=False),
    )
    op.create_table(
        "cap_raise",
        sa.Column("sequence", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("proposed_at", IDENTIFIER, nullable=False),
        sa.Column("raised_at", IDENTIFIER),
    )
    op.create_index("cap_raise_of_organisation", "cap_raise", ["organisation", "sequence"])
    op.create_table(
        "cap_raise_approval",
        sa.Column("digest", sa.Text, sa.ForeignKey("cap_raise.digest"), primary_key=True),
        sa.Column("fingerprint", sa.Text, primary_key=True),
        sa.Column("approval", sa.Text, nullable=False),
        sa.Column("sent_by", sa.Text, nullable=False),
        sa.Column("sent_at", IDENTIFIER, nullable=False),
    )
