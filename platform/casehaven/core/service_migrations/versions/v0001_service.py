"""Version 1 of the service store: jobs, idempotency keys, what the worker publishes, uploads, releases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "job",
        sa.Column("sequence", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("member_id", sa.Text, nullable=False),
        sa.Column("member_organisation", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("sealed_request", sa.LargeBinary),
        sa.Column("result_key", sa.LargeBinary),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("cancelling", sa.Integer, nullable=False),
        sa.Column("queued_at", IDENTIFIER, nullable=False),
        sa.Column("started_at", IDENTIFIER),
        sa.Column("ended_at", IDENTIFIER),
        sa.Column("visible_at", IDENTIFIER),
        sa.Column("lease_until", IDENTIFIER),
        sa.Column("worker", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("sealed_result", sa.LargeBinary),
        sa.Column("expires_at", IDENTIFIER),
        sa.Column("code", sa.Text),
        sa.Column("detail", sa.Text),
    )
    op.create_index("job_waiting", "job", ["state", "lane", "sequence"])
    op.create_index("job_of_member", "job", ["member_id", "sequence"])
    op.create_table(
        "idempotency",
        sa.Column("member_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("request_sha256", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("created_at", IDENTIFIER, nullable=False),
    )
    op.create_table(
        "projection",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("updated_at", IDENTIFIER, nullable=False),
    )
    op.create_table(
        "upload",
        sa.Column("sequence", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("upload_id", sa.Text, nullable=False, unique=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("member_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("received_at", IDENTIFIER, nullable=False),
        sa.Column("expires_at", IDENTIFIER, nullable=False),
    )
    op.create_index("upload_of_dataset", "upload", ["organisation", "dataset", "sequence"])
    op.create_table(
        "release",
        sa.Column("sequence", IDENTIFIER, primary_key=True, autoincrement=True),
        sa.Column("release_id", sa.Text, nullable=False, unique=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("released_at", IDENTIFIER, nullable=False),
    )
    op.create_index("release_of_organisation", "release", ["organisation", "sequence"])
    op.create_table(
        "moved",
        sa.Column("what", sa.Text, primary_key=True),
        sa.Column("until", IDENTIFIER, nullable=False),
    )
