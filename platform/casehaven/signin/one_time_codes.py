"""One-time codes: how somebody without credentials gets to make some.

1. A code has 120 random bits, works once, and ends by itself: for a first run after an hour, for an operator after a day, for somebody who was invited after seven days.
2. It is hashed with its purpose: a code for one purpose is worth nothing for another.
3. Whoever types it gets an enrolling session, nothing else. They are a member who signs in when they have made a way in.
4. It is shown to one person in one place: on the terminal of whoever starts the service, or on the page of whoever invited. It is in no log and no event.
"""

from __future__ import annotations

from typing import Final, Literal

from sqlalchemy import Connection, delete, insert

from casehaven.signin.models import one_time_code
from casehaven.signin.secrets_made import digest, new_typed_value, typed, typed_digest

Purpose = Literal["set-up", "operator", "join"]

SECONDS: Final[dict[Purpose, int]] = {"set-up": 3_600, "operator": 86_400, "join": 7 * 86_400}


def new_code(connection: Connection, now: int, purpose: Purpose, member: str | None = None) -> str:
    """Make a code in the place of earlier ones of the same purpose and member.

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        purpose: what it is for.
        member: who was invited; None for the first run.
    """
    code = new_typed_value()
    connection.execute(
        delete(one_time_code).where(
            one_time_code.c.purpose == purpose, one_time_code.c.member.is_not_distinct_from(member)
        )
    )
    connection.execute(
        insert(one_time_code).values(
            digest=digest(purpose, typed(code) or ""), purpose=purpose, member=member, ends_at=now + SECONDS[purpose]
        )
    )
    return code


def take_code(connection: Connection, now: int, purpose: Purpose, unverified: str) -> tuple[bool, str | None]:
    """Use a code up; return whether it was one, and for which member."""
    found = typed_digest(purpose, unverified)
    if found is None:
        return False, None
    row = connection.execute(
        delete(one_time_code)
        .where(one_time_code.c.digest == found, one_time_code.c.purpose == purpose)
        .returning(one_time_code.c.member, one_time_code.c.ends_at)
    ).first()
    if row is None or row.ends_at <= now:
        return False, None
    return True, row.member


def end_codes(connection: Connection, member: str) -> None:
    """End the codes of a member."""
    connection.execute(delete(one_time_code).where(one_time_code.c.member == member))
