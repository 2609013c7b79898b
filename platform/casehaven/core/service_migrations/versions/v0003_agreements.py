"""Version 3 of the service store: agreements, who signed and revoked them, and what data was used for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "agreement_document",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("proposed_at", IDENTIFIER, nullable=False),
        sa.UniqueConstraint("agreement", "number", name="agreement_number"),
    )
    op.create_table(
        "agreement_party",
        sa.Column("digest", sa.Text, sa.ForeignKey("agreement_document.digest"), primary_key=True),
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column(
            "part",
            sa.Text,
            sa.CheckConstraint("part IN ('contributor', 'reader')", name="agreement_part"),
            nullable=False,
        ),
    )
    op.create_index("agreement_of_organisation", "agreement_party", ["organisation"])
    op.create_table(
        "agreement_signature",
        sa.Column("digest", sa.Text, sa.ForeignKey("agreement_document.digest"), primary_key=True),
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("signed_at", IDENTIFIER, nullable=False),
        sa.Column(
            "method",
            sa.Text,
            sa.CheckConstraint("method IN ('passkey', 'second_factor')", name="agreement_method"),
            nullable=False,
        ),
        sa.Column("assertion", sa.Text),
    )
    op.create_table(
        "agreement_revocation",
        sa.Column("agreement", sa.Text, primary_key=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("revoked_at", IDENTIFIER, nullable=False),
    )
    _uses()


def _uses() -> None:
    op.create_table(
        "agreement_use",
        sa.Column("sequence", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("use", sa.Text, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("nano_rho", IDENTIFIER, nullable=False),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('begun', 'charged', 'free')", name="agreement_use_state"),
            nullable=False,
        ),
        sa.UniqueConstraint("use", "dataset", name="agreement_use_once"),
    )
    op.create_index("agreement_use_of_organisation", "agreement_use", ["organisation", "sequence"])
