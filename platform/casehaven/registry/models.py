"""The tables of the registry in the service store.

1. A record is added when a release is published, and never deleted. The only thing that changes is that a notice of withdrawal is added, once.
2. The log only grows; each entry is signed by the worker's key, which the api does not have (`casehaven.registry.log`).
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint

from casehaven.core.db import Identifier
from casehaven.core.service_tables import metadata

registry_record = Table(
    "registry_record",
    metadata,
    Column("sequence", Identifier, primary_key=True, autoincrement=True),
    Column("record", Text, nullable=False, unique=True),  # such as CHV-7K3M-9QXW-2HBD.v1
    Column("concept", Text, nullable=False),  # the same for every version
    Column("version", Integer, nullable=False),
    Column("release_id", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False),  # of whoever drew it; not shown
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('published', 'withdrawn')", name="registry_record_state"),
        nullable=False,
    ),
    Column("document", Text, nullable=False),  # JSON, public
    Column("published_at", Identifier, nullable=False),
    Column("withdrawn_at", Identifier),
    Column("reason", Text),  # of the withdrawal, public
    UniqueConstraint("concept", "version", name="registry_record_version"),
    Index("registry_record_of_organisation", "organisation"),
)
"""One row per published version."""

registry_log = Table(
    "registry_log",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),  # from 0
    Column("entry", Text, nullable=False),  # canonical JSON
    Column("public_key", Text, nullable=False),  # base64
    Column("signature", Text, nullable=False),  # base64
)
"""The public log."""
