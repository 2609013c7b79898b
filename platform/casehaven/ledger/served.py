"""What a request was shown at no charge, kept under its key: the same request again is shown the same bytes, on whatever day (privacy rule 16).

1. A key stands for one request for good: one that was charged is never served for nothing, and one that was served is never charged.
2. A document that is a stored answer is not stored twice. Nothing is spent here, so nothing of it is in the chain; what is shown waits for the anchor as every
   answer does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import Connection, insert, select

from casehaven.ledger import models
from casehaven.ledger.answers import check_document
from casehaven.ledger.errors import ChargeRequestError, IdempotencyConflictError
from casehaven.ledger.policy import IdempotencyKey
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json


def body_digest(body: Mapping[str, JsonValue]) -> str:
    """Return the SHA-256 of the canonical JSON of a request.

    Raises:
        ChargeRequestError: it has none.
    """
    if not isinstance(body, Mapping):
        raise ChargeRequestError(f"the body of a request must be a mapping, got {type(body).__name__}")
    try:
        return hashlib.sha256(canonical_json(dict(body))).hexdigest()
    except JsonFaultError as error:
        raise ChargeRequestError(f"the body of the request: {error}") from None


def keep_served(connection: Connection, key: IdempotencyKey, digest: str, document: str, now: str) -> str:
    """Keep what a request is shown at no charge; return it, or what it was shown before.

    Raises:
        IdempotencyConflictError: the key was charged, or stands for another request.
        ChargeRequestError: the document is not text that can be kept.
    """
    known = served_document(connection, key, digest)
    if known is not None:
        return known
    charged = select(models.charge.c.charge_id).where(models.charge.c.idempotency_key == key.text)
    if connection.execute(charged).first() is not None:
        raise IdempotencyConflictError(f"the key {key.text} was used for a request that was charged")
    check_document(document)
    sha256 = hashlib.sha256(document.encode("utf-8")).hexdigest()
    answered = select(models.answer.c.answer_id).where(models.answer.c.document_sha256 == sha256)
    connection.execute(
        insert(models.served).values(
            idempotency_key=key.text,
            request_sha256=digest,
            document=None if connection.execute(answered).first() is not None else document,
            document_sha256=sha256,
            served_at=now,
        )
    )
    return document


def served_document(connection: Connection, key: IdempotencyKey, digest: str) -> str | None:
    """Return what a request was shown at no charge; None when it was not.

    Raises:
        IdempotencyConflictError: the key stands for another request.
    """
    row = connection.execute(select(models.served).where(models.served.c.idempotency_key == key.text)).first()
    if row is None:
        return None
    if row.request_sha256 != digest:
        raise IdempotencyConflictError(f"the key {key.text} was used for another request, answered {row.served_at}")
    if row.document is not None:
        return str(row.document)
    answered = models.answer.c
    return connection.scalar(select(answered.document).where(answered.document_sha256 == row.document_sha256).limit(1))
