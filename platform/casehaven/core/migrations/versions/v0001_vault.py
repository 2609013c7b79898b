"""Version 1: organisations, datasets, uploads, persons, records, chunks, consents, blind indexes, erasures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables of a vault."""
    op.create_table(
        "vault",
        sa.Column("vault_id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_table(
        "organisation",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_table(
        "dataset",
        sa.Column("dataset_id", IDENTIFIER, primary_key=True, autoincrement=False),
        sa.Column("organisation", sa.Text, sa.ForeignKey("organisation.name"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("schema_id", sa.Text, nullable=False),
        sa.Column("schema_sha256", sa.Text, nullable=False),
        sa.Column("schema_document", sa.Text, nullable=False),
        sa.Column(
            "people_cap", IDENTIFIER, sa.CheckConstraint("people_cap > 0", name="dataset_people_cap"), nullable=False
        ),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.UniqueConstraint("organisation", "name", name="dataset_once"),
    )
    op.create_table(
        "upload",
        sa.Column("upload_id", IDENTIFIER, primary_key=True, autoincrement=False),
        _dataset(),
        sa.Column("file_sha256_hmac", sa.LargeBinary, nullable=False),
        sa.Column(
            "state", sa.Text, sa.CheckConstraint("state IN ('open', 'committed')", name="upload_state"), nullable=False
        ),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("committed_at", sa.Text),
        sa.Column("version", sa.Integer),
        sa.UniqueConstraint("dataset_id", "file_sha256_hmac", name="upload_once"),
    )
    op.create_table(
        "person",
        sa.Column("person_id", IDENTIFIER, primary_key=True, autoincrement=False),
        _dataset(),
        sa.Column("token_index", sa.LargeBinary, nullable=False),
        sa.Column("wrapped_dek", sa.LargeBinary, nullable=False),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("retain_until", sa.Date),
        sa.Column("created_month", sa.Text, nullable=False),
        sa.UniqueConstraint("dataset_id", "token_index", name="person_once"),
    )
    retained = sa.text("retain_until IS NOT NULL")
    op.create_index(
        "person_retained", "person", ["dataset_id", "retain_until"], sqlite_where=retained, postgresql_where=retained
    )
    op.create_table(
        "chunk",
        sa.Column("chunk_id", sa.Text, primary_key=True),
        _dataset(),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("wrapped_dek", sa.LargeBinary, nullable=False),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("sealed_sha256", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_index("chunk_of_dataset", "chunk", ["dataset_id"])
    op.create_table(
        "record",
        sa.Column("record_id", IDENTIFIER, primary_key=True, autoincrement=False),
        _person(),
        _dataset(),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("chunk_id", sa.Text, sa.ForeignKey("chunk.chunk_id"), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("superseded_by", IDENTIFIER),
    )
    op.create_index("record_of_person", "record", ["person_id"])
    superseded = sa.text("superseded_by IS NOT NULL")
    op.create_index(
        "record_superseded",
        "record",
        ["dataset_id", "record_id"],
        sqlite_where=superseded,
        postgresql_where=superseded,
    )
    op.create_table(
        "blind_index",
        _dataset(),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        _person(),
    )
    op.create_index("blind_index_value", "blind_index", ["dataset_id", "field", "value"])
    op.create_index("blind_index_of_person", "blind_index", ["person_id"])
    op.create_table(
        "consent",
        sa.Column("person_id", IDENTIFIER, sa.ForeignKey("person.person_id"), primary_key=True, autoincrement=False),
        sa.Column("purpose", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("given", sa.Boolean, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("dated", sa.Date),
        sa.Column("recorded_at", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("consent_to_purpose", "consent", ["purpose", "person_id", "version", "given"])
    op.create_table(
        "erasure",
        sa.Column("person_id", IDENTIFIER, primary_key=True, autoincrement=False),
        _dataset(),
        sa.Column("erased_month", sa.Text, nullable=False),
        sa.Column("receipt_sha256", sa.LargeBinary, nullable=False),
    )


def _dataset() -> sa.Column[int]:
    return sa.Column("dataset_id", IDENTIFIER, sa.ForeignKey("dataset.dataset_id"), nullable=False)


def _person() -> sa.Column[int]:
    return sa.Column("person_id", IDENTIFIER, sa.ForeignKey("person.person_id"), nullable=False)
