"""Sessions: a browser's cookie, and what the service knows behind it.

1. The cookie's value has two parts of 256 random bits. The database keeps the SHA-256 of both together, so that a copy of the database signs nobody in.
2. A session ends half an hour after it was last used, twelve hours after it began, when it is signed out, and with its member. Time of last use is kept to the minute.
3. The value is exchanged for a new one at every sign-in and at every step-up: one that was planted or read before is worth nothing after. At a step-up the second part stays: private results
   of before are sealed to it, and stay readable to the session that asked.
4. An *enrolling* session comes from a one-time code. It makes credentials, opens nothing else, and ends after fifteen minutes.
5. What changes something needs, besides the cookie, a value that only pages of this service can know: an HMAC under the cookie's value.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, delete, insert, select, update

from casehaven.organisations.access import STEP_UP_SECONDS
from casehaven.signin.models import session
from casehaven.signin.secrets_made import digest, new_value

IDLE_SECONDS: Final = 1_800
LONGEST_SECONDS: Final = 12 * 3_600
ENROLLING_SECONDS: Final = 900

_SEEN_SECONDS: Final = 60
_KIND: Final = "session"

Kind = Literal["full", "enrolling"]


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session that is going on."""

    id: str
    """Its public name; opens nothing."""
    member: str
    """Whose."""
    kind: Kind
    started_at: int
    seen_at: int
    """Last use, to the minute."""
    ends_at: int
    """Whatever happens (rule 2)."""
    stepped_up_at: int | None
    """When a second factor was given last."""

    def stepped_up(self, now: int) -> bool:
        """Whether a second factor is fresh."""
        return self.stepped_up_at is not None and 0 <= now - self.stepped_up_at < STEP_UP_SECONDS


def start_session(connection: Connection, now: int, member: str, *, kind: Kind) -> str:
    """Begin a session and return the cookie's value; one of the kind `full` begins with a fresh second factor.

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        member: whose.
        kind: what it may do.
    """
    value = f"{new_value()}.{new_value()}"
    connection.execute(delete(session).where((session.c.ends_at <= now) | (session.c.seen_at <= now - IDLE_SECONDS)))
    connection.execute(
        insert(session).values(
            digest=digest(_KIND, value),
            id=secrets.token_hex(16),
            member=member,
            kind=kind,
            started_at=now,
            seen_at=now,
            ends_at=now + (LONGEST_SECONDS if kind == "full" else ENROLLING_SECONDS),
            stepped_up_at=now if kind == "full" else None,
        )
    )
    return value


def find_session(connection: Connection, now: int, value: str) -> tuple[Session, bool] | None:
    """Return a session by its cookie's value, and whether `touch_session` is due; None when it ended or never was."""
    row = connection.execute(select(session).where(session.c.digest == digest(_KIND, value))).first()
    if row is None or now >= row.ends_at or now - row.seen_at >= IDLE_SECONDS:
        return None
    return _session(row._mapping), now - row.seen_at >= _SEEN_SECONDS


def touch_session(connection: Connection, now: int, found: Session) -> None:
    """Keep a session from ending idle."""
    connection.execute(update(session).where(session.c.id == found.id, session.c.seen_at < now).values(seen_at=now))


def step_up_session(connection: Connection, now: int, value: str) -> str | None:
    """Note a second factor, and return the new value of the cookie (rule 3); None when the session is not there any more."""
    new = f"{new_value()}.{value.partition('.')[2] or new_value()}"
    changed = connection.execute(
        update(session)
        .where(session.c.digest == digest(_KIND, value), session.c.kind == "full")
        .values(digest=digest(_KIND, new), stepped_up_at=now, seen_at=now)
    )
    return new if changed.rowcount == 1 else None


def gave_second_factor(connection: Connection, member: str, session_id: object, *, asked_at: int) -> bool:
    """Whether a full session of a member gave a second factor shortly before something was asked for, or has since.

    Args:
        connection: reads.
        member: the row of whoever asked.
        session_id: the session's public name, as the request carries it; not believed.
        asked_at: seconds since 1970.
    """
    mine = (session.c.id == str(session_id), session.c.member == member, session.c.kind == "full")
    at = connection.scalar(select(session.c.stepped_up_at).where(*mine))
    return at is not None and asked_at - at < STEP_UP_SECONDS


def end_session(connection: Connection, value: str) -> None:
    """Sign out."""
    connection.execute(delete(session).where(session.c.digest == digest(_KIND, value)))


def end_sessions(connection: Connection, member: str, *, but: str | None = None) -> None:
    """Sign a member out everywhere.

    Args:
        connection: of a writing transaction.
        member: whose sessions.
        but: the public name of a session that goes on.
    """
    connection.execute(delete(session).where(session.c.member == member, session.c.id != (but or "")))


def sessions_of(connection: Connection, now: int, member: str) -> list[Session]:
    """Return a member's sessions that are going on, the oldest first."""
    rows = connection.execute(
        select(session)
        .where(session.c.member == member, session.c.ends_at > now, session.c.seen_at > now - IDLE_SECONDS)
        .order_by(session.c.started_at, session.c.id)
    )
    return [_session(row._mapping) for row in rows]


def end_session_named(connection: Connection, member: str, session_id: str) -> bool:
    """End one of a member's sessions by its public name; tell whether there was one."""
    gone = connection.execute(delete(session).where(session.c.member == member, session.c.id == session_id))
    return gone.rowcount == 1


def page_value(value: str) -> str:
    """Return the value that pages of this service send with what changes something (rule 5)."""
    made = hmac.digest(value.encode(), b"casehaven-page-value/1", "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode("ascii")


def key_of(value: str) -> bytes:
    """Return 32 bytes that only whoever holds a cookie's or token's value can make; of a cookie from the part that stays (rule 3).

    >>> key_of("a.b") == key_of("c.b"), key_of("a.b") == key_of("a.c"), key_of("chv_a") == key_of("chv_b")
    (True, False, False)
    """
    lasting = value.partition(".")[2] or value
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"casehaven-session-key/2").derive(lasting.encode())


def _session(row: Mapping[Any, Any]) -> Session:
    return Session(
        id=row["id"],
        member=row["member"],
        kind=row["kind"],
        started_at=row["started_at"],
        seen_at=row["seen_at"],
        ends_at=row["ends_at"],
        stepped_up_at=row["stepped_up_at"],
    )
