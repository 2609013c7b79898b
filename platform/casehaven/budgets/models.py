"""The tables of raises in the service store.

1. What stands here is what the api knows: a request, and the approvals that were sent. The worker believes none of it: it reads every signature anew, and the ledger itself decides.
2. No table here holds case data: datasets, epsilons, reasons that are published, keys and signatures.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text

from casehaven.core.db import Identifier
from casehaven.core.service_tables import metadata

cap_raise = Table(
    "cap_raise",
    metadata,
    Column("sequence", Identifier, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256 of the request
    Column("organisation", Text, nullable=False),
    Column("document", Text, nullable=False),  # canonical JSON: casehaven-budget-raise/1
    Column("proposed_by", Text, nullable=False),  # a handle
    Column("proposed_at", Identifier, nullable=False),
    Column("raised_at", Identifier),  # none: the cap is as it was
    Index("cap_raise_of_organisation", "organisation", "sequence"),
)
"""One row per raise that was asked for."""

cap_raise_approval = Table(
    "cap_raise_approval",
    metadata,
    Column("digest", Text, ForeignKey("cap_raise.digest"), primary_key=True),
    Column("fingerprint", Text, primary_key=True),  # of the key that signed
    Column("approval", Text, nullable=False),  # canonical JSON: casehaven-budget-raise-approval/1
    Column("sent_by", Text, nullable=False),  # the handle of whoever handed it in
    Column("sent_at", Identifier, nullable=False),
)
"""One row per person who approved a raise with a key that the ledger names."""
