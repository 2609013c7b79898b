"""The tables of agreements in the service store.

1. A document is stored under its own digest, and never changed. What is true of an agreement follows from its documents, signatures and revocation, and the day.
2. No table here holds case data: documents, names of members, questions as they were asked, amounts of privacy loss.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from casehaven.core.db import Identifier
from casehaven.core.service_tables import metadata

agreement_document = Table(
    "agreement_document",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 of the document
    Column("agreement", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("document", Text, nullable=False),  # canonical JSON
    Column("proposed_by", Text, nullable=False),  # a handle
    Column("organisation", Text, nullable=False),  # the proposer's
    Column("proposed_at", Identifier, nullable=False),
    UniqueConstraint("agreement", "number", name="agreement_number"),
)
"""One row per document."""

agreement_party = Table(
    "agreement_party",
    metadata,
    Column("digest", Text, ForeignKey("agreement_document.digest"), primary_key=True),
    Column("organisation", Text, primary_key=True),
    Column("part", Text, CheckConstraint("part IN ('contributor', 'reader')", name="agreement_part"), nullable=False),
    Index("agreement_of_organisation", "organisation"),
)
"""Who is a party of a document; follows from it."""

agreement_signature = Table(
    "agreement_signature",
    metadata,
    Column("digest", Text, ForeignKey("agreement_document.digest"), primary_key=True),
    Column("organisation", Text, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("signed_at", Identifier, nullable=False),
    Column(
        "method",
        Text,
        CheckConstraint("method IN ('passkey', 'second_factor')", name="agreement_method"),
        nullable=False,
    ),
    Column("assertion", Text),  # JSON: what the passkey signed; none: a second factor was given
)
"""One row per document and contributor who signed it; the vault's audit log has the same, under the worker's key."""

agreement_revocation = Table(
    "agreement_revocation",
    metadata,
    Column("agreement", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("handle", Text, nullable=False),
    Column("revoked_at", Identifier, nullable=False),
)
"""One row per agreement that was revoked, for good."""

agreement_decline = Table(
    "agreement_decline",
    metadata,
    Column("digest", Text, ForeignKey("agreement_document.digest"), primary_key=True),
    Column("organisation", Text, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("declined_at", Identifier, nullable=False),
)
"""One row per document and contributor who declined it, for good."""

agreement_use = Table(
    "agreement_use",
    metadata,
    Column("sequence", Identifier, primary_key=True, autoincrement=True),
    Column("use", Text, nullable=False),  # the key of its charge
    Column("dataset", Text, nullable=False),
    Column("organisation", Text, nullable=False),  # the dataset's
    Column("agreement", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("what", Text, nullable=False),  # the question as JSON, or the name of the release
    Column("nano_rho", Identifier, nullable=False),  # charged to this dataset
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('begun', 'charged', 'free')", name="agreement_use_state"),
        nullable=False,
    ),
    UniqueConstraint("use", "dataset", name="agreement_use_once"),
    Index("agreement_use_of_organisation", "organisation", "sequence"),
)
"""What a dataset was used for, under an agreement."""
