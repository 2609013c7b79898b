"""The tables of sign-in.

1. No row holds a usable secret: sessions, tokens, one-time codes, recovery codes, devices and challenges are SHA-256 of random values; passwords are Argon2id under a
   key outside the database; the secrets of codes are sealed under that key; passkeys are public keys.
2. Times are whole seconds since 1970, UTC.
3. Of network addresses there are keyed hashes only.
"""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from casehaven.core.db import Identifier
from casehaven.core.service_tables import metadata


def _member(*, key: bool = False) -> Column[str]:
    return Column("member", Text, ForeignKey("member.id"), primary_key=key, nullable=False)


password = Table(
    "password",
    metadata,
    _member(key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("memory_kib", Integer, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("lanes", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("set_at", Identifier, nullable=False),
)
"""A member's password: Argon2id with its parameters."""

totp = Table(
    "totp",
    metadata,
    _member(key=True),
    Column("confirmed", Boolean, primary_key=True),  # one that is being set up stands beside the one in use
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("last_step", Identifier, nullable=False),  # the latest step whose code was used
    Column("made_at", Identifier, nullable=False),
)
"""A member's authenticator app."""

recovery_code = Table(
    "recovery_code",
    metadata,
    _member(key=True),
    Column("digest", LargeBinary, primary_key=True),
)
"""Recovery codes that are not used yet; a used one is deleted."""

passkey = Table(
    "passkey",
    metadata,
    Column("credential", LargeBinary, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    _member(),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Identifier, nullable=False),
    Column("name", Text, nullable=False),
    Column("made_at", Identifier, nullable=False),
    Column("used_at", Identifier),
    Index("passkey_of_member", "member"),
)
"""Public keys of passkeys."""

session = Table(
    "session",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    _member(),
    Column("kind", Text, CheckConstraint("kind IN ('full', 'enrolling')", name="session_kind"), nullable=False),
    Column("started_at", Identifier, nullable=False),
    Column("seen_at", Identifier, nullable=False),
    Column("ends_at", Identifier, nullable=False),
    Column("stepped_up_at", Identifier),
    Index("session_of_member", "member"),
)
"""Sessions of browsers. An enrolling one may make credentials and nothing else."""

token = Table(
    "token",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    _member(),
    Column("name", Text, nullable=False),
    Column("operations", Text, nullable=False),  # names with a space between
    Column("made_at", Identifier, nullable=False),
    Column("ends_at", Identifier, nullable=False),
    Column("used_day", Identifier),  # days since 1970
    Index("token_of_member", "member"),
)
"""Tokens of machines."""

one_time_code = Table(
    "one_time_code",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column(
        "purpose",
        Text,
        CheckConstraint("purpose IN ('set-up', 'operator', 'join')", name="one_time_code_purpose"),
        nullable=False,
    ),
    Column("member", Text, ForeignKey("member.id")),  # none: of the first run
    Column("ends_at", Identifier, nullable=False),
)
"""Codes for a first sign-in; a used one is deleted."""

recovery = Table(
    "recovery",
    metadata,
    _member(key=True),
    Column("ends_at", Identifier, nullable=False),
    Column("first_by", Text, ForeignKey("member.id"), nullable=False),
    Column("first_digest", LargeBinary, nullable=False),
    Column("second_by", Text, ForeignKey("member.id")),
    Column("second_digest", LargeBinary),
    CheckConstraint("first_by <> second_by", name="recovery_two_people"),
    CheckConstraint("(second_by IS NULL) = (second_digest IS NULL)", name="recovery_second"),
)
"""Recoveries of accounts that two people approve, each with a part of the code."""

guess = Table(
    "guess",
    metadata,
    Column("key", LargeBinary, primary_key=True),  # keyed hash of what is counted: a handle, an address, a device
    Column("failures", Integer, nullable=False),
    Column("blocked_until", Identifier, nullable=False),
    Column("touched_at", Identifier, nullable=False),
    Index("guess_touched", "touched_at"),
)
"""How often somebody guessed wrong, and until when nobody listens."""

device = Table(
    "device",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _member(),
    Column("ends_at", Identifier, nullable=False),
    Index("device_of_member", "member"),
)
"""Browsers in which a member signed in before."""

challenge = Table(
    "challenge",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),  # and for whom
    Column("ends_at", Identifier, nullable=False),
)
"""Challenges to passkeys that are not answered yet."""
