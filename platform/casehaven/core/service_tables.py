"""The tables of the service store; the migrations in `service_migrations` make them, and a test holds both together.

1. Nothing here opens a case record. What holds case data (the words of a request about one person, a result that shows one) is sealed: requests to an organisation's public key,
   results to the session that asked.
2. Times are whole seconds since 1970, UTC. Identifiers are random text; the one that counts up is for order alone and never shown.
3. Tables of members and sign-in are in `casehaven.organisations.models` and `casehaven.signin.models`, on the same `metadata`.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text

from casehaven.core.db import Identifier

metadata = MetaData()
"""Every table of the service store."""

job = Table(
    "job",
    metadata,
    Column("sequence", Identifier, primary_key=True, autoincrement=True),
    Column("job_id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("organisation", Text, nullable=False),  # whose object it is about; empty: the deployment's
    Column("dataset", Text, nullable=False),  # organisation/name, several with a space between; empty: none
    Column("member_id", Text, nullable=False),  # who asked; empty: the service itself
    Column("member_organisation", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("request", Text, nullable=False),  # JSON without case data
    Column("sealed_request", LargeBinary),
    Column("result_key", LargeBinary),  # public key of whoever may read the result; NULL: the result holds no case data
    Column("attempts", Integer, nullable=False),
    Column("cancelling", Integer, nullable=False),
    Column("queued_at", Identifier, nullable=False),
    Column("started_at", Identifier),
    Column("ended_at", Identifier),
    Column("visible_at", Identifier),
    Column("lease_until", Identifier),
    Column("worker", Text),
    Column("outcome", Text),  # done, failed or cancelled, from the moment it is known; shown from visible_at on
    Column("result", Text),  # JSON
    Column("sealed_result", LargeBinary),
    Column("expires_at", Identifier),
    Column("code", Text),
    Column("detail", Text),
    Index("job_waiting", "state", "lane", "sequence"),
    Index("job_of_member", "member_id", "sequence"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("member_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_sha256", Text, nullable=False),  # method, route with its parameters, and body
    Column("job_id", Text, nullable=False),
    Column("created_at", Identifier, nullable=False),
)

projection = Table(
    "projection",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("organisation", Text, nullable=False),
    Column("document", Text, nullable=False),  # JSON, public
    Column("updated_at", Identifier, nullable=False),
)

upload = Table(
    "upload",
    metadata,
    Column("sequence", Identifier, primary_key=True, autoincrement=True),
    Column("upload_id", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("member_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("received_at", Identifier, nullable=False),
    Column("expires_at", Identifier, nullable=False),
    Index("upload_of_dataset", "organisation", "dataset", "sequence"),
)

release = Table(
    "release",
    metadata,
    Column("sequence", Identifier, primary_key=True, autoincrement=True),
    Column("release_id", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("document", Text, nullable=False),  # JSON, public
    Column("released_at", Identifier, nullable=False),
    Index("release_of_organisation", "organisation", "sequence"),
)

moved = Table(
    "moved",
    metadata,
    Column("what", Text, primary_key=True),  # events
    Column("until", Identifier, nullable=False),  # the last number that the vault's audit log holds
)
