"""Version 5 of the service store: drafts of releases with their approvals, records of the registry, and its public log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _drafts()
    _registry()


def _drafts() -> None:
    op.create_table(
        "release_draft",
        sa.Column("sequence", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("draft", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("drafted_at", IDENTIFIER, nullable=False),
        sa.UniqueConstraint("draft", "number", name="release_draft_number"),
    )
    op.create_table(
        "release_draft_party",
        sa.Column("digest", sa.Text, sa.ForeignKey("release_draft.digest"), primary_key=True),
        sa.Column("organisation", sa.Text, primary_key=True),
    )
    op.create_index("release_draft_of_organisation", "release_draft_party", ["organisation"])
    op.create_table(
        "release_approval",
        sa.Column("digest", sa.Text, sa.ForeignKey("release_draft.digest"), primary_key=True),
        sa.Column(
            "part",
            sa.Text,
            sa.CheckConstraint("part IN ('steward', 'privacy_officer')", name="release_approval_part"),
            primary_key=True,
        ),
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("approved_at", IDENTIFIER, nullable=False),
        sa.Column(
            "method",
            sa.Text,
            sa.CheckConstraint("method IN ('passkey', 'second_factor')", name="release_approval_method"),
            nullable=False,
        ),
        sa.Column("assertion", sa.Text),
        sa.UniqueConstraint("digest", "handle", name="release_approval_once"),
    )
    op.create_table(
        "release_draft_end",
        sa.Column("draft", sa.Text, primary_key=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("handle", sa.Text, nullable=False),
        sa.Column("ended_at", IDENTIFIER, nullable=False),
    )


def _registry() -> None:
    op.create_table(
        "registry_record",
        sa.Column("sequence", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("record", sa.Text, nullable=False, unique=True),
        sa.Column("concept", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("release_id", sa.Text, nullable=False, unique=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('published', 'withdrawn')", name="registry_record_state"),
            nullable=False,
        ),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("published_at", IDENTIFIER, nullable=False),
        sa.Column("withdrawn_at", IDENTIFIER),
        sa.Column("reason", sa.Text),
        sa.UniqueConstraint("concept", "version", name="registry_record_version"),
    )
    op.create_index("registry_record_of_organisation", "registry_record", ["organisation"])
    op.create_table(
        "registry_log",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
    )
