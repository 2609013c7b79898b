"""Idempotency keys: a request that is sent again is the same request.

1. What spends or uploads carries a key of the sender's choice. The key, who sent it and an HMAC of the request are stored in one transaction with the job.
2. The same key with the same request answers with the same job; with another one it is refused. Nobody learns anything of other members' keys.
3. The HMAC is made with a key of the api: a hash of a body with case data could be tried out by whoever reads the store.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from casehaven.core.request_errors import RequestKeyNeededError, RequestKeyReusedError
from casehaven.core.service_tables import idempotency as table

HEADER: Final = "Idempotency-Key"
_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,127}")


def parse_key(unverified: str | None) -> str:
    """Return a key from its header.

    Raises:
        RequestKeyNeededError: there is none, or it has another form.
    """
    if unverified is None or not _FORM.fullmatch(unverified):
        raise RequestKeyNeededError
    return unverified


def request_digest(key: bytes, *parts: bytes) -> str:
    """Return what a request is known by: an HMAC over its parts, each after its length."""
    joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.digest(key, joined, "sha256").hex()


def known_job(connection: Connection, *, member_id: str, key: str, digest: str) -> str | None:
    """Return the job of a request that was sent before; None for a new one.

    Raises:
        RequestKeyReusedError: the key was used with another request.
    """
    this = (table.c.member_id == member_id, table.c.key == key)
    row = connection.execute(select(table.c.request_sha256, table.c.job_id).where(*this)).first()
    if row is None:
        return None
    if not hmac.compare_digest(row.request_sha256, digest):
        raise RequestKeyReusedError
    found: str = row.job_id
    return found


def remember_job(connection: Connection, *, member_id: str, key: str, digest: str, job_id: str, now: int) -> None:
    """Remember a request, in the transaction of its job."""
    connection.execute(
        insert(table).values(member_id=member_id, key=key, request_sha256=digest, job_id=job_id, created_at=now)
    )


def forget_keys(connection: Connection, *, before: int) -> None:
    """Forget keys of long ago."""
    connection.execute(delete(table).where(table.c.created_at < before))
