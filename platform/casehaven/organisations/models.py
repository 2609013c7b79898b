"""The tables of organisations, members, their roles, grants of datasets, and security events.

1. A name is never given twice: members stay in their table when they end.
2. Times are whole seconds since 1970, UTC.
3. No table here holds case data or a secret.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text

from casehaven.core.db import Identifier
from casehaven.core.service_tables import metadata

organisation = Table(
    "organisation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),  # as people write it
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('ngo', 'research', 'policy', 'deployment')", name="organisation_kind"),
        nullable=False,
    ),
    Column("created_at", Identifier, nullable=False),
)
"""One row per organisation."""

member = Table(
    "member",
    metadata,
    Column("id", Text, primary_key=True),
    Column("handle", Text, nullable=False, unique=True),
    Column("organisation", Text, ForeignKey("organisation.name"), nullable=False),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('invited', 'active', 'ended')", name="member_state"),
        nullable=False,
    ),
    Column("created_at", Identifier, nullable=False),
    Index("member_of_organisation", "organisation"),
)
"""One row per member, also after they ended."""

member_role = Table(
    "member_role",
    metadata,
    Column("member", Text, ForeignKey("member.id"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("granted_by", Text, nullable=False),  # a handle; empty: founding
    Column("granted_at", Identifier, nullable=False),
)
"""Which roles a member has."""

dataset_grant = Table(
    "dataset_grant",
    metadata,
    Column("member", Text, ForeignKey("member.id"), primary_key=True),
    Column("organisation", Text, ForeignKey("organisation.name"), primary_key=True),  # the dataset's
    Column("dataset", Text, primary_key=True),
    Column("allowance_nano_rho", Identifier),  # at most this much of the dataset's budget; none: no limit of their own
    Column("granted_by", Text, nullable=False),
    Column("granted_at", Identifier, nullable=False),
    CheckConstraint("allowance_nano_rho >= 0", name="dataset_grant_allowance"),
)
"""Which datasets of others a member may ask about."""

event = Table(
    "event",
    metadata,
    Column("id", Identifier, primary_key=True),  # grows; the worker moves them to the audit log in this order
    Column("at", Identifier, nullable=False),
    Column("actor", Text, nullable=False),  # a handle; empty: nobody was signed in
    Column("action", Text, nullable=False),
    Column("organisation", Text, nullable=False),  # empty: the deployment
    Column("object_kind", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""What happened to members, roles and credentials; never a secret."""
