"""Tokens: how programs sign in for a member.

1. A token is `chv_` and 256 random bits. It is shown once; the database keeps its SHA-256. The prefix lets scanners of files and logs find one that leaked.
2. It may do what was named when it was made, as long as its holder may do it too, and nothing that needs a second factor.
3. It ends on its day, at most a year away, when its holder or whoever could end its holder revokes it, and with its holder. Revoked is revoked at the next request.
4. The day of its last use is kept, not the moment.
5. Nobody makes a token without a fresh second factor, and no token makes another.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from casehaven.organisations import events
from casehaven.organisations.access import STEP_UP, Operation, Principal, require
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import as_of_now, in_reach, member_by_id
from casehaven.signin.errors import TokenRequestError
from casehaven.signin.models import token
from casehaven.signin.secrets_made import digest, new_value

PREFIX: Final = "chv_"
LONGEST_DAYS: Final = 366

_DAY: Final = 86_400
_KIND: Final = "token"
_TOKEN: Final = re.compile(r"chv_[A-Za-z0-9_-]{43}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}")


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token as its holder sees it afterwards."""

    id: str
    """Its public name; opens nothing."""
    member: str
    """The holder's row."""
    name: str
    """What the holder calls it."""
    operations: frozenset[Operation]
    made_at: int
    ends_at: int
    used_day: int | None
    """Day of the last use, counted from 1970; None: never used."""


def make_token(
    connection: Connection, now: int, principal: Principal, *, name: str, operations: frozenset[Operation], days: int
) -> tuple[Token, str]:
    """Make a token for the principal; its value is shown now and never again.

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        principal: who will stand behind it.
        name: what the holder calls it.
        operations: what it may do.
        days: until it ends.

    Raises:
        TokenRequestError: too long, nothing to do, more than the holder may do, or something that needs a second factor.
        StepUpNeededError: a fresh second factor is missing, as for everybody who comes with a token (rule 5).
    """
    principal = as_of_now(connection, principal)
    require(principal, Operation.TOKEN_MAKE, principal.organisation)
    if not 1 <= days <= LONGEST_DAYS:
        raise TokenRequestError(f"a token ends after 1 to {LONGEST_DAYS} days")
    if not _NAME.fullmatch(name):
        raise TokenRequestError("a token's name has 1 to 60 letters, digits, spaces, dots and dashes")
    if not operations or operations & STEP_UP or not all(map(principal.holds, operations)):
        raise TokenRequestError("a token does what its holder may do, and nothing that needs a second factor")
    value = PREFIX + new_value()
    made = Token(
        id=secrets.token_hex(16),
        member=principal.member_id,
        name=name,
        operations=operations,
        made_at=now,
        ends_at=now + days * _DAY,
        used_day=None,
    )
    connection.execute(
        insert(token).values(
            digest=digest(_KIND, value),
            id=made.id,
            member=made.member,
            name=name,
            operations=" ".join(sorted(operations)),
            made_at=now,
            ends_at=made.ends_at,
        )
    )
    _tell(connection, now, principal, "token.made", made.id)
    return made, value


def find_token(connection: Connection, now: int, value: str) -> tuple[Token, bool] | None:
    """Return a token by its value, and whether `touch_token` is due; None when it ended or never was."""
    if not _TOKEN.fullmatch(value):
        return None
    row = connection.execute(select(token).where(token.c.digest == digest(_KIND, value))).first()
    if row is None or now >= row.ends_at:
        return None
    return _token(row._mapping), row.used_day != now // _DAY


def token_named(connection: Connection, token_id: str, member: str, *, now: int) -> frozenset[Operation]:
    """Return what a member's token may do now, by its public name; nothing where it ended or never was."""
    row = connection.execute(select(token).where(token.c.id == token_id, token.c.member == member)).first()
    return frozenset() if row is None or now >= row.ends_at else _token(row._mapping).operations


def touch_token(connection: Connection, now: int, found: Token) -> None:
    """Keep the day of the last use (rule 4)."""
    connection.execute(update(token).where(token.c.id == found.id).values(used_day=now // _DAY))


def tokens_of(connection: Connection, member: str) -> list[Token]:
    """Return a member's tokens, the oldest first."""
    rows = connection.execute(select(token).where(token.c.member == member).order_by(token.c.made_at, token.c.id))
    return [_token(row._mapping) for row in rows]


def revoke_token(connection: Connection, now: int, principal: Principal, token_id: str) -> None:
    """End a token at once: one's own, or that of a member whom the principal could end.

    Raises:
        NotFoundError: there is none in reach.
    """
    principal = as_of_now(connection, principal)
    row = connection.execute(select(token).where(token.c.id == token_id)).first()
    if row is None:
        raise NotFoundError
    if row.member != principal.member_id:
        holder = member_by_id(connection, row.member)
        if not principal.reaches(Operation.MEMBER_END, holder.organisation):
            raise NotFoundError
        in_reach(connection, principal, Operation.MEMBER_END, holder.handle)
    connection.execute(delete(token).where(token.c.id == token_id))
    _tell(connection, now, principal, "token.revoked", token_id)


def end_tokens(connection: Connection, member: str) -> None:
    """End all tokens of a member."""
    connection.execute(delete(token).where(token.c.member == member))


def _token(fields: object) -> Token:
    row = dict(fields)  # type: ignore[call-overload]  # a SQLAlchemy mapping
    return Token(
        id=row["id"],
        member=row["member"],
        name=row["name"],
        operations=frozenset(Operation(name) for name in row["operations"].split()),
        made_at=row["made_at"],
        ends_at=row["ends_at"],
        used_day=row["used_day"],
    )


def _tell(connection: Connection, now: int, principal: Principal, action: str, token_id: str) -> None:
    events.record(
        connection,
        now,
        actor=principal.handle,
        action=action,
        organisation=principal.organisation,
        object_kind="token",
        object_id=token_id,
    )
