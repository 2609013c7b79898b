"""The tables of a ledger, the same on SQLite and on Postgres; `casehaven.ledger._triggers` has the rules that the database itself enforces.

1. Every amount is an integer; no column holds a float (privacy rule 13).
2. A check on every account refuses a balance above its cap, whatever the code above it believes.
3. What happened is a chain of entries, one after the other: `entry`. An earlier copy of the ledger has fewer of them (privacy rule 20).
4. Answers are text that is protected by noise already. No table holds a case record or a count of people.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

APPLICATION_ID = 0x43484C31
"""Marks a SQLite file as a ledger in its header: `CHL1`."""

SCHEMA_VERSION = 4
"""Raised when the tables change; a ledger of a later version is refused, never guessed at."""

SCHEMA = "casehaven_ledger"
"""The Postgres schema of the tables, so that a ledger may share a database with a vault."""

Number = BigInteger().with_variant(Integer, "sqlite")
"""A whole number of 63 bits."""

metadata = MetaData()

version = Table(
    "alembic_version",
    metadata,
    Column("version_num", Text, primary_key=True, nullable=False),
    sqlite_strict=True,
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("ledger_id", Text, nullable=False),
    Column("epsilon", Text, nullable=False),  # decimal text
    Column("delta_units", Number, nullable=False),
    Column("additive_delta_units", Number, nullable=False),
    Column("max_tokens_per_person", Integer),
    Column("created_at", Text, nullable=False),
    sqlite_strict=True,
)

anchoring = Table(
    "anchoring",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("place", Text, nullable=False),  # of the anchor file; relative to the ledger's folder where it is below it
    Column("secret", Text, nullable=False),  # 64 hexadecimal digits; the anchor is authenticated with it
    Column("since", Text, nullable=False),  # UTC: an anchor knows the ledger from then on
    sqlite_strict=True,
)

dataset = Table(
    "dataset",
    metadata,
    Column("dataset_id", Text, primary_key=True, nullable=False),
    Column("epsilon", Text, nullable=False),
    Column("delta_units", Number, nullable=False),
    Column("additive_delta_units", Number, nullable=False),
    Column("cap_nano_rho", Number, CheckConstraint("cap_nano_rho > 0"), nullable=False),  # when it was opened
    Column("opened_at", Text, nullable=False),
    sqlite_strict=True,
)

vault_of_dataset = Table(
    "vault_of_dataset",
    metadata,
    Column("dataset_id", Text, ForeignKey("dataset.dataset_id"), primary_key=True, nullable=False),
    Column("vault_id", Text, nullable=False),
    Column("since", Text, nullable=False),
    sqlite_strict=True,
)

account = Table(
    "account",
    metadata,
    Column("account_id", Number, primary_key=True),
    Column("dataset_id", Text, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("block", Text, nullable=False),
    Column("cap_nano_rho", Number, nullable=False),
    Column("cap_delta_units", Number, nullable=False),
    Column("spent_nano_rho", Number, nullable=False),
    Column("spent_delta_units", Number, nullable=False),
    UniqueConstraint("dataset_id", "block"),
    CheckConstraint("spent_nano_rho BETWEEN 0 AND cap_nano_rho"),
    CheckConstraint("spent_delta_units BETWEEN 0 AND cap_delta_units"),
    sqlite_strict=True,
)

ceiling = Table(
    "ceiling",
    metadata,
    Column("account_id", Number, ForeignKey("account.account_id"), primary_key=True, autoincrement=False),
    Column("nano_rho", Number, nullable=False),  # what the anchor allows to be spent; none: nothing
    Column("delta_units", Number, nullable=False),
    sqlite_strict=True,
)

charge = Table(
    "charge",
    metadata,
    Column("charge_id", Text, primary_key=True, nullable=False),
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("request_sha256", Text, nullable=False),
    Column("nano_rho", Number, CheckConstraint("nano_rho > 0"), nullable=False),
    Column("delta_units", Number, CheckConstraint("delta_units >= 0"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("charged_at", Text, nullable=False),
    Column("draws", Integer, CheckConstraint("draws BETWEEN 0 AND 2"), nullable=False),
    Column("result_sha256", Text),
    Column("shown", Integer, CheckConstraint("shown IN (0, 1)"), nullable=False),
    Column("analyst", Text),  # who asked; none for a release
    CheckConstraint("result_sha256 IS NULL OR draws > 0"),
    CheckConstraint("shown = 0 OR result_sha256 IS NOT NULL"),
    sqlite_strict=True,
)

charge_line = Table(
    "charge_line",
    metadata,
    Column("charge_id", Text, ForeignKey("charge.charge_id"), primary_key=True, nullable=False),
    Column("account_id", Number, ForeignKey("account.account_id"), primary_key=True, nullable=False),
    sqlite_with_rowid=False,  # one tree less to write at each charge
    sqlite_strict=True,
)

decision = Table(
    "decision",
    metadata,
    Column("decision_id", Number, primary_key=True),
    Column("charge_id", Text, ForeignKey("charge.charge_id"), nullable=False),
    Column("kind", Text, CheckConstraint("kind IN ('published', 'withheld', 'report_opened')"), nullable=False),
    Column("decided_at", Text, nullable=False),
    UniqueConstraint("charge_id", "kind"),
    sqlite_strict=True,
)

unbounded = Table(
    "unbounded",
    metadata,
    Column("request_sha256", Text, primary_key=True, nullable=False),
    Column("dataset_id", Text, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("since", Text, nullable=False),  # a day
    sqlite_strict=True,
)

allowance = Table(
    "allowance",
    metadata,
    Column("allowance_id", Number, primary_key=True),
    Column("analyst", Text, nullable=False),
    Column("dataset_id", Text, ForeignKey("dataset.dataset_id"), nullable=False),
    Column("limit_nano_rho", Number, CheckConstraint("limit_nano_rho >= 0")),  # none: no limit
    Column("spent_nano_rho", Number, CheckConstraint("spent_nano_rho >= 0"), nullable=False),
    UniqueConstraint("analyst", "dataset_id"),
    sqlite_strict=True,
)

budget_raise = Table(
    "budget_raise",
    metadata,
    Column("request_sha256", Text, primary_key=True, nullable=False),
    Column("dataset_id", Text, ForeignKey("dataset.dataset_id")),  # none: the odometer's cap
    Column("epsilon", Text, nullable=False),
    Column("cap_nano_rho", Number, CheckConstraint("cap_nano_rho > 0"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("approvers", Text, nullable=False),  # two fingerprints of keys, with a space between
    Column("raised_at", Text, nullable=False),
    sqlite_strict=True,
)

approvers = Table(
    "approvers",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),  # 1 for the first; the last one counts
    Column("request_sha256", Text, nullable=False),  # of the request that two approved; none when the ledger was made
    Column("people", Text, nullable=False),  # canonical JSON: names and public keys
    Column("approved_by", Text, nullable=False),  # two fingerprints of keys, with a space between, or none
    Column("reason", Text, nullable=False),
    Column("named_at", Text, nullable=False),
    sqlite_strict=True,
)

resume = Table(
    "resume",
    metadata,
    Column("resume_id", Text, primary_key=True, nullable=False),
    Column("position", Number, nullable=False),  # of its entry
    Column("resumed_at", Text, nullable=False),
    sqlite_strict=True,
)

resume_line = Table(
    "resume_line",
    metadata,
    Column("resume_id", Text, ForeignKey("resume.resume_id"), primary_key=True, nullable=False),
    Column("account_id", Number, ForeignKey("account.account_id"), primary_key=True, nullable=False),
    Column("nano_rho", Number, CheckConstraint("nano_rho >= 0"), nullable=False),
    Column("delta_units", Number, CheckConstraint("delta_units >= 0"), nullable=False),
    sqlite_strict=True,
)

entry = Table(
    "entry",
    metadata,
    Column("position", Number, CheckConstraint("position > 0"), primary_key=True, autoincrement=False),
    Column("subject", Text, nullable=False),  # what happened, and the id of it
    Column("chain", Text, nullable=False),  # SHA-256 over the chain before and the subject
    sqlite_strict=True,
)

answer = Table(
    "answer",
    metadata,
    Column("answer_id", Number, primary_key=True),
    Column("plan_sha256", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("mechanism", Text, nullable=False),
    Column("noise_scale", Number, CheckConstraint("noise_scale > 0"), nullable=False),  # 1e-9 people
    Column("document", Text, nullable=False),
    Column("document_sha256", Text, nullable=False),
    Column("stored_at", Number, nullable=False),  # seconds since 1970
    Column("visible_at", Number, nullable=False),
    UniqueConstraint("plan_sha256", "snapshot", "mechanism", "noise_scale"),
    Index("answer_of_document", "document_sha256"),
    Index("answer_of_snapshot", "snapshot"),
    sqlite_strict=True,
)

served = Table(
    "served",
    metadata,
    Column("idempotency_key", Text, primary_key=True, nullable=False),
    Column("request_sha256", Text, nullable=False),
    Column("document", Text),  # none: it is the stored answer with this SHA-256
    Column("document_sha256", Text, nullable=False),
    Column("served_at", Text, nullable=False),
    sqlite_strict=True,
)

odometer_cap = Table(
    "odometer_cap",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    Column("epsilon", Text, nullable=False),
    Column("cap_nano_rho", Number, CheckConstraint("cap_nano_rho > 0"), nullable=False),  # when the ledger was created
    sqlite_strict=True,
)
