"""The tables of drafts in the service store.

1. A document is stored under its own digest, and never changed. What is true of a draft follows from its documents, its approvals, its end, and the day.
2. Only public facts and names of members are in them.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from casehaven.core.db import Identifier
from casehaven.core.service_tables import metadata

release_draft = Table(
    "release_draft",
    metadata,
    Column("sequence", Identifier, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256 of the document
    Column("draft", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("document", Text, nullable=False),  # canonical JSON
    Column("organisation", Text, nullable=False),  # of whoever drafted it
    Column("drafted_at", Identifier, nullable=False),
    UniqueConstraint("draft", "number", name="release_draft_number"),
)
"""One row per document."""

release_draft_party = Table(
    "release_draft_party",
    metadata,
    Column("digest", Text, ForeignKey("release_draft.digest"), primary_key=True),
    Column("organisation", Text, primary_key=True),
    Index("release_draft_of_organisation", "organisation"),
)
"""Who sees a document: contributors, and whoever drafted it; follows from it."""

release_approval = Table(
    "release_approval",
    metadata,
    Column("digest", Text, ForeignKey("release_draft.digest"), primary_key=True),
    Column(
        "part",
        Text,
        CheckConstraint("part IN ('steward', 'privacy_officer')", name="release_approval_part"),
        primary_key=True,
    ),
    Column("organisation", Text, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("approved_at", Identifier, nullable=False),
    Column(
        "method",
        Text,
        CheckConstraint("method IN ('passkey', 'second_factor')", name="release_approval_method"),
        nullable=False,
    ),
    Column("assertion", Text),  # JSON: what the passkey signed; none: a second factor was given
    UniqueConstraint("digest", "handle", name="release_approval_once"),
)
"""One row per approval; the vault's audit log has the same, under the worker's key."""

release_draft_end = Table(
    "release_draft_end",
    metadata,
    Column("draft", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("handle", Text, nullable=False),
    Column("ended_at", Identifier, nullable=False),
)
"""One row per draft that was withdrawn, for good."""
