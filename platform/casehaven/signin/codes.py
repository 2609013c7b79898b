"""Codes beside the password: from an authenticator app, or one of ten recovery codes.

1. The app's codes are those of RFC 6238: SHA-1, six digits, a new one every 30 seconds. The code before and the one after count too, for clocks that differ.
2. A code is taken once. The latest step that was used is kept, and no code of it or of an earlier step is taken again.
3. The app's secret has 160 random bits, is sealed under the key of sign-in, and is shown while it is set up and never again. Until a code proves that the app has it, it opens nothing.
4. Ten recovery codes of 120 random bits are shown once. The database keeps their SHA-256, and a used one is deleted. New ones take the place of all old ones.
5. A code is taken in a writing transaction: of two people with the same code, one gets in.
"""

from __future__ import annotations

import hmac
import os
import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import Connection, delete, func, insert, select, update

from casehaven.signin.models import recovery_code, totp
from casehaven.signin.secrets_made import digest, new_typed_value, typed, typed_digest
from casehaven.signin.sign_in_key import SignInKey

STEP_SECONDS: Final = 30
DRIFT_STEPS: Final = 1
RECOVERY_CODES: Final = 10

_SECRET_BYTES: Final = 20
_KIND: Final = "recovery-code"
_CODE: Final = re.compile(r"[0-9]{6}")
_ISSUER: Final = "Casehaven"


def begin_app(connection: Connection, now: int, key: SignInKey, member: str, handle: str) -> str:
    """Make a secret for an app and return its `otpauth` address; it opens nothing until it is confirmed, and an app that is confirmed stays in use until then.

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        key: seals the secret.
        member: whose.
        handle: their name, which the app shows.
    """
    secret = os.urandom(_SECRET_BYTES)
    connection.execute(delete(totp).where(totp.c.member == member, ~totp.c.confirmed))
    connection.execute(
        insert(totp).values(
            member=member, confirmed=False, sealed_secret=key.seal(member, secret), last_step=0, made_at=now
        )
    )
    return _app(secret).get_provisioning_uri(handle, _ISSUER)


def secret_of(uri: str) -> str:
    """Return the secret of an `otpauth` address, as people type it into an app that reads no picture."""
    return parse_qs(urlsplit(uri).query)["secret"][0]


def confirm_app(connection: Connection, now: int, key: SignInKey, member: str, code: str) -> bool:
    """Take a new app into use in the place of the one before, when a code proves that it has the secret (rule 3)."""
    if not _take_app_code(connection, now, key, member, code, confirmed=False):
        return False
    connection.execute(delete(totp).where(totp.c.member == member, totp.c.confirmed))
    connection.execute(update(totp).where(totp.c.member == member).values(confirmed=True))
    return True


def has_app(connection: Connection, member: str) -> bool:
    """Tell whether a member has an app that is confirmed."""
    return (
        connection.execute(select(totp.c.member).where(totp.c.member == member, totp.c.confirmed)).first() is not None
    )


def take_code(connection: Connection, now: int, key: SignInKey, member: str, code: str) -> str | None:
    """Take a code of a member's app or a recovery code, which works once.

    Args:
        connection: of a writing transaction.
        now: seconds since 1970, UTC.
        key: opens the secret.
        member: whose.
        code: as it was typed.

    Returns:
        `app` or `recovery`; None when it is no code of theirs, or was used.
    """
    if typed(code) is None:
        return "app" if take_app_code(connection, now, key, member, code) else None
    found = typed_digest(_KIND, code)
    used = connection.execute(
        delete(recovery_code).where(recovery_code.c.member == member, recovery_code.c.digest == found)
    )
    return "recovery" if used.rowcount == 1 else None


def take_app_code(connection: Connection, now: int, key: SignInKey, member: str, code: str) -> bool:
    """Take a code of the app alone; tell whether it was one that was not used yet."""
    return _take_app_code(connection, now, key, member, code, confirmed=True)


def new_recovery_codes(connection: Connection, member: str) -> tuple[str, ...]:
    """Make ten recovery codes in the place of all earlier ones (rule 4)."""
    codes = tuple(new_typed_value() for _ in range(RECOVERY_CODES))
    connection.execute(delete(recovery_code).where(recovery_code.c.member == member))
    for code in codes:
        connection.execute(insert(recovery_code).values(member=member, digest=digest(_KIND, typed(code) or "")))
    return codes


def recovery_codes_left(connection: Connection, member: str) -> int:
    """Return how many recovery codes a member has not used."""
    return connection.scalar(select(func.count()).where(recovery_code.c.member == member)) or 0


def _take_app_code(
    connection: Connection, now: int, key: SignInKey, member: str, code: str, *, confirmed: bool
) -> bool:
    text = re.sub(r"\s", "", code)
    row = connection.execute(select(totp).where(totp.c.member == member, totp.c.confirmed == confirmed)).first()
    if not _CODE.fullmatch(text):
        return False
    secret = os.urandom(_SECRET_BYTES) if row is None else key.open(member, bytes(row.sealed_secret))
    step = _step_of(secret, text, now)  # nobody's code costs as much as a wrong one
    if row is None or step is None or step <= row.last_step:
        return False
    connection.execute(
        update(totp).where(totp.c.member == member, totp.c.confirmed == confirmed).values(last_step=step)
    )
    return True


def _step_of(secret: bytes, code: str, now: int) -> int | None:
    """The step that a code belongs to, or None; every step is looked at, whichever fits."""
    app, found = _app(secret), None
    here = now // STEP_SECONDS
    for step in range(here - DRIFT_STEPS, here + DRIFT_STEPS + 1):
        if step >= 0 and hmac.compare_digest(app.generate(step * STEP_SECONDS), code.encode("ascii")):
            found = step
    return found


def _app(secret: bytes) -> TOTP:
    return TOTP(secret, 6, SHA1(), STEP_SECONDS)
