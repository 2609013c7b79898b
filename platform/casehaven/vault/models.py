"""The tables of a vault: what a holder of the database sees is on this page.

1. No column holds a cell of a case record in the clear: records are sealed, and chunks of coded columns are sealed files beside the database.
2. A person is a random number. What leads from a token to a person is an HMAC under a key of the organisation and the dataset: without it two
   datasets cannot be compared.
3. A person's key is wrapped in the person's row and stands nowhere else; when the row goes, the person's records cannot be opened.
4. A record is never changed: a correction adds one and says which it stands for. Erasure alone deletes.
5. Rows are in the order of random numbers, so nothing says who came first. Dates of persons are months.
6. In the clear stand: names of organisations and datasets, schemas, how many rows there are, sizes (in steps), which purposes a person said yes or no to,
   and when. A person's block, the year of first registration, does not: its code can be read with a key of the organisation alone (`blocks`).
   `docs/threat-model.md` says so.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from casehaven.core.db import Identifier, metadata

TOKEN_INDEX_BYTES: Final = 16
"""Of the HMAC that stands for a person token."""

BLIND_INDEX_BYTES: Final = 8
"""Of the HMAC in a blind index: short, so that values meet by chance."""

vault = Table(
    "vault",
    metadata,
    Column("vault_id", Text, primary_key=True),  # the one that `vault.json` names
    Column("created_at", Text, nullable=False),
)

organisation = Table(
    "organisation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", Text, nullable=False),
)

dataset = Table(
    "dataset",
    metadata,
    Column("dataset_id", Identifier, primary_key=True, autoincrement=False),
    Column("organisation", Text, ForeignKey("organisation.name"), nullable=False),
    Column("name", Text, nullable=False),
    Column("schema_id", Text, nullable=False),
    Column("schema_sha256", Text, nullable=False),
    Column("schema_document", Text, nullable=False),  # canonical JSON
    Column("people_cap", Identifier, CheckConstraint("people_cap > 0", name="dataset_people_cap"), nullable=False),
    Column("version", Integer, nullable=False),  # raised by every change of its records
    Column("created_at", Text, nullable=False),
    Column("mac", LargeBinary),  # over all of these but the version: see `bound_rows`
    UniqueConstraint("organisation", "name", name="dataset_once"),
)

upload = Table(
    "upload",
    metadata,
    Column("upload_id", Identifier, primary_key=True, autoincrement=False),
    Column("dataset_id", Identifier, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("file_sha256_hmac", LargeBinary, nullable=False),  # under a key of the organisation: no guess can be tried
    Column("state", Text, CheckConstraint("state IN ('open', 'committed')", name="upload_state"), nullable=False),
    Column("started_at", Text, nullable=False),
    Column("committed_at", Text),
    Column("version", Integer),  # of the dataset, once committed
    UniqueConstraint("dataset_id", "file_sha256_hmac", name="upload_once"),
)

person = Table(
    "person",
    metadata,
    Column("person_id", Identifier, primary_key=True, autoincrement=False),  # random, 63 bits
    Column("dataset_id", Identifier, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("token_index", LargeBinary, nullable=False),
    Column("wrapped_dek", LargeBinary, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("retain_until", Date),
    Column("created_month", Text, nullable=False),
    Column("block_code", LargeBinary),  # of the block that the person is in for good: see `blocks`
    UniqueConstraint("dataset_id", "token_index", name="person_once"),
)
Index(
    "person_retained",
    person.c.dataset_id,
    person.c.retain_until,
    sqlite_where=person.c.retain_until.is_not(None),
    postgresql_where=person.c.retain_until.is_not(None),
)

chunk = Table(
    "chunk",
    metadata,
    Column("chunk_id", Text, primary_key=True),  # 32 hex digits; stays when the chunk is rewritten
    Column("dataset_id", Identifier, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("version", Integer, nullable=False),  # of the dataset, when its rows came in
    Column("generation", Integer, nullable=False),  # raised when it is rewritten; part of what is authenticated
    Column("path", Text, nullable=False),  # below the vault's folder `chunks`
    Column("wrapped_dek", LargeBinary, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("sealed_sha256", LargeBinary, nullable=False),
    Column("created_at", Text, nullable=False),
    Index("chunk_of_dataset", "dataset_id"),
)

record = Table(
    "record",
    metadata,
    Column("record_id", Identifier, primary_key=True, autoincrement=False),  # random, 63 bits
    Column("person_id", Identifier, ForeignKey("person.person_id"), nullable=False),
    Column("dataset_id", Identifier, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("version", Integer, nullable=False),  # of the dataset, when it came in
    Column("chunk_id", Text, ForeignKey("chunk.chunk_id"), nullable=False),  # where its coded columns are
    Column("sealed", LargeBinary, nullable=False),  # JSON of its cells, padded
    Column("superseded_by", Identifier),
    Index("record_of_person", "person_id"),
)
Index(
    "record_superseded",
    record.c.dataset_id,
    record.c.record_id,
    sqlite_where=record.c.superseded_by.is_not(None),
    postgresql_where=record.c.superseded_by.is_not(None),
)

blind_index = Table(
    "blind_index",
    metadata,
    Column("dataset_id", Identifier, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("field", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("person_id", Identifier, ForeignKey("person.person_id"), nullable=False),
    Column("mac", LargeBinary),  # over all of these: see `bound_rows`
    Index("blind_index_value", "dataset_id", "field", "value"),
    Index("blind_index_of_person", "person_id"),
)

consent = Table(
    "consent",
    metadata,
    Column("person_id", Identifier, ForeignKey("person.person_id"), primary_key=True, autoincrement=False),
    Column("purpose", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),  # the highest counts; none: not given
    Column("given", Boolean, nullable=False),
    Column("language", Text, nullable=False),  # of the words that the person heard; empty: not recorded
    Column("dated", Date),  # when the person said so, if recorded
    Column("recorded_at", Text, nullable=False),
    Index("consent_to_purpose", "purpose", "person_id", "version", "given"),
    sqlite_with_rowid=False,
)

erasure = Table(
    "erasure",
    metadata,
    Column("person_id", Identifier, primary_key=True, autoincrement=False),
    Column("dataset_id", Identifier, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("erased_month", Text, nullable=False),
    Column("receipt_sha256", LargeBinary, nullable=False),
)

record_key = Table(
    "record_key",
    metadata,
    Column("dataset_id", Identifier, ForeignKey("dataset.dataset_id"), primary_key=True, autoincrement=False),
    Column("key_index", LargeBinary, primary_key=True),  # HMAC of the record key, under a key of the organisation
    Column("person_id", Identifier, ForeignKey("person.person_id"), nullable=False),
    Column("record_id", Identifier, nullable=False),  # the latest that came in under this key
    Column("content", LargeBinary, nullable=False),  # HMAC of its cells and its key: equal only for the same record
    Index("record_key_of_person", "person_id"),
    sqlite_with_rowid=False,
)

intake_mapping = Table(
    "intake_mapping",
    metadata,
    Column("dataset_id", Identifier, ForeignKey("dataset.dataset_id"), primary_key=True, autoincrement=False),
    Column("columns_index", LargeBinary, primary_key=True),  # HMAC of the names of the file's columns
    Column("sealed", LargeBinary, nullable=False),  # the mapping, as JSON
    Column("recorded_at", Text, nullable=False),
)
