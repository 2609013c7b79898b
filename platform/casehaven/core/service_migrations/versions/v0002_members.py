"""Version 2 of the service store: organisations, members, roles, grants, events, and all of sign-in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _member(*, key: bool = False) -> sa.Column[str]:
    return sa.Column("member", sa.Text, sa.ForeignKey("member.id"), primary_key=key, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    _organisations()
    _credentials()
    _passing()


def _organisations() -> None:
    op.create_table(
        "organisation",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column(
            "kind",
            sa.Text,
            sa.CheckConstraint("kind IN ('ngo', 'research', 'policy', 'deployment')", name="organisation_kind"),
            nullable=False,
        ),
        sa.Column("created_at", IDENTIFIER, nullable=False),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("handle", sa.Text, nullable=False, unique=True),
        sa.Column("organisation", sa.Text, sa.ForeignKey("organisation.name"), nullable=False),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('invited', 'active', 'ended')", name="member_state"),
            nullable=False,
        ),
        sa.Column("created_at", IDENTIFIER, nullable=False),
    )
    op.create_index("member_of_organisation", "member", ["organisation"])
    op.create_table(
        "member_role",
        _member(key=True),
        sa.Column("role", sa.Text, primary_key=True),
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("granted_at", IDENTIFIER, nullable=False),
    )
    op.create_table(
        "dataset_grant",
        _member(key=True),
        sa.Column("organisation", sa.Text, sa.ForeignKey("organisation.name"), primary_key=True),
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("allowance_nano_rho", IDENTIFIER),
        sa.Column("granted_by", sa.Text, nullable=False),
        sa.Column("granted_at", IDENTIFIER, nullable=False),
        sa.CheckConstraint("allowance_nano_rho >= 0", name="dataset_grant_allowance"),
    )
    op.create_table(
        "event",
        sa.Column("id", IDENTIFIER, primary_key=True),
        sa.Column("at", IDENTIFIER, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("object_kind", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _credentials() -> None:
    op.create_table(
        "password",
        _member(key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("memory_kib", sa.Integer, nullable=False),
        sa.Column("iterations", sa.Integer, nullable=False),
        sa.Column("lanes", sa.Integer, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("set_at", IDENTIFIER, nullable=False),
    )
    op.create_table(
        "totp",
        _member(key=True),
        sa.Column("confirmed", sa.Boolean, primary_key=True),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("last_step", IDENTIFIER, nullable=False),
        sa.Column("made_at", IDENTIFIER, nullable=False),
    )
    op.create_table("recovery_code", _member(key=True), sa.Column("digest", sa.LargeBinary, primary_key=True))
    op.create_table(
        "passkey",
        sa.Column("credential", sa.LargeBinary, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        _member(),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", IDENTIFIER, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("made_at", IDENTIFIER, nullable=False),
        sa.Column("used_at", IDENTIFIER),
    )
    op.create_index("passkey_of_member", "passkey", ["member"])


def _passing() -> None:
    op.create_table(
        "session",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        _member(),
        sa.Column(
            "kind",
            sa.Text,
            sa.CheckConstraint("kind IN ('full', 'enrolling')", name="session_kind"),
            nullable=False,
        ),
        sa.Column("started_at", IDENTIFIER, nullable=False),
        sa.Column("seen_at", IDENTIFIER, nullable=False),
        sa.Column("ends_at", IDENTIFIER, nullable=False),
        sa.Column("stepped_up_at", IDENTIFIER),
    )
    op.create_index("session_of_member", "session", ["member"])
    op.create_table(
        "token",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        _member(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("operations", sa.Text, nullable=False),
        sa.Column("made_at", IDENTIFIER, nullable=False),
        sa.Column("ends_at", IDENTIFIER, nullable=False),
        sa.Column("used_day", IDENTIFIER),
    )
    op.create_index("token_of_member", "token", ["member"])
    op.create_table(
        "one_time_code",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column(
            "purpose",
            sa.Text,
            sa.CheckConstraint("purpose IN ('set-up', 'operator', 'join')", name="one_time_code_purpose"),
            nullable=False,
        ),
        sa.Column("member", sa.Text, sa.ForeignKey("member.id")),
        sa.Column("ends_at", IDENTIFIER, nullable=False),
    )
    op.create_table(
        "recovery",
        _member(key=True),
        sa.Column("ends_at", IDENTIFIER, nullable=False),
        sa.Column("first_by", sa.Text, sa.ForeignKey("member.id"), nullable=False),
        sa.Column("first_digest", sa.LargeBinary, nullable=False),
        sa.Column("second_by", sa.Text, sa.ForeignKey("member.id")),
        sa.Column("second_digest", sa.LargeBinary),
        sa.CheckConstraint("first_by <> second_by", name="recovery_two_people"),
        sa.CheckConstraint("(second_by IS NULL) = (second_digest IS NULL)", name="recovery_second"),
    )
    op.create_table(
        "guess",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("blocked_until", IDENTIFIER, nullable=False),
        sa.Column("touched_at", IDENTIFIER, nullable=False),
    )
    op.create_index("guess_touched", "guess", ["touched_at"])
    op.create_table(
        "device",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        _member(),
        sa.Column("ends_at", IDENTIFIER, nullable=False),
    )
    op.create_index("device_of_member", "device", ["member"])
    op.create_table(
        "challenge",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("ends_at", IDENTIFIER, nullable=False),
    )
