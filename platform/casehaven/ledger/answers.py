"""Answers as they are stored: with their charge, before anybody sees them, and once for all (privacy rules 14, 16 and 17).

1. An answer is stored in the transaction that marks its charge as revealed, before its tick. There is no answer without a charge.
2. The key of an answer is canonical plan, snapshot, mechanism and noise scale. There is one answer per key for good: it is never drawn again. When two
   charges drew for the same key at the same time, both show the one that was stored first, and both charges stand.
3. A weaker accuracy is served from a stronger answer of the same plan. An answer does not say who asked.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from casehaven.ledger import models
from casehaven.ledger.allowances import AnalystId
from casehaven.ledger.errors import ChargeRequestError

ANSWER_PURPOSE: Final = "question"
"""The purpose of every charge that pays for an answer."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MECHANISM = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SNAPSHOT = re.compile(r"[\x20-\x7e]{1,200}")
_LARGEST = (1 << 62) - 1


@dataclass(frozen=True, kw_only=True)
class AnswerKey:
    """What makes an answer that answer (rule 2)."""

    plan_sha256: str
    """Of the canonical plan of the question, without its accuracy."""
    snapshot: str
    """Name of what is read: vault, datasets, terms and day, not versions; printable ASCII, at most 200 characters."""
    mechanism: str
    """Name and version of the mechanism."""
    noise_scale: int
    """In 1e-9 people, rounded up: of two answers of one plan, the one with the smaller scale is the stronger."""

    def __post_init__(self) -> None:
        for name, value, form in (
            ("plan_sha256", self.plan_sha256, _DIGEST),
            ("snapshot", self.snapshot, _SNAPSHOT),
            ("mechanism", self.mechanism, _MECHANISM),
        ):
            if not isinstance(value, str) or not form.fullmatch(value):
                raise ChargeRequestError(f"the {name} of an answer is not written as it must be")
        _whole("noise_scale", self.noise_scale, 1)


@dataclass(frozen=True, kw_only=True)
class StoredAnswer:
    """An answer that was paid for; nothing here says who asked."""

    key: AnswerKey
    document: str
    """The answer, canonical JSON: protected numbers only."""
    sha256: str
    """Of the document in UTF-8."""
    stored_at: int
    """Seconds since 1970."""
    visible_at: int
    """The tick from which on it may be shown, in seconds since 1970 (privacy rule 24)."""


def cached_answer(connection: Connection, key: AnswerKey) -> StoredAnswer | None:
    """Return the strongest stored answer of the same plan that is at least as strong as asked; None where there is none."""
    row = models.answer.c
    found = connection.execute(
        select(models.answer)
        .where(
            row.plan_sha256 == key.plan_sha256,
            row.snapshot == key.snapshot,
            row.mechanism == key.mechanism,
            row.noise_scale <= key.noise_scale,
        )
        .order_by(row.noise_scale)
        .limit(1)
    ).first()
    return None if found is None else _answer(found)


def answer_of(connection: Connection, result_digest: str | None) -> StoredAnswer | None:
    """Return the answer that a charge revealed; None where it revealed none."""
    row = models.answer.c
    found = connection.execute(
        select(models.answer).where(row.document_sha256 == result_digest).order_by(row.answer_id).limit(1)
    ).first()
    return None if found is None or result_digest is None else _answer(found)


def write_answer(connection: Connection, key: AnswerKey, document: str, visible_at: int) -> StoredAnswer:
    """Store an answer, or return the one that is stored under the very same key (rule 2).

    Raises:
        ChargeRequestError: the document or the tick is not one.
    """
    _whole("visible_at", visible_at, 0)
    data = check_document(document)
    row = models.answer.c
    there = connection.execute(
        select(models.answer).where(
            row.plan_sha256 == key.plan_sha256,
            row.snapshot == key.snapshot,
            row.mechanism == key.mechanism,
            row.noise_scale == key.noise_scale,
        )
    ).first()
    if there is not None:
        return _answer(there)
    stored = StoredAnswer(
        key=key,
        document=document,
        sha256=hashlib.sha256(data).hexdigest(),
        stored_at=int(time.time()),
        visible_at=visible_at,
    )
    connection.execute(
        insert(models.answer).values(
            plan_sha256=key.plan_sha256,
            snapshot=key.snapshot,
            mechanism=key.mechanism,
            noise_scale=key.noise_scale,
            document=document,
            document_sha256=stored.sha256,
            stored_at=stored.stored_at,
            visible_at=visible_at,
        )
    )
    return stored


def check_document(document: str) -> bytes:
    """Return the bytes of an answer that can be stored.

    Raises:
        ChargeRequestError: it is no text, or empty.
    """
    try:
        data = document.encode("utf-8")
    except (AttributeError, UnicodeEncodeError):
        raise ChargeRequestError("an answer is text") from None
    if not data or b"\x00" in data:
        raise ChargeRequestError("an answer is text, and not empty")
    return data


def stored_answers(
    connection: Connection, snapshot: str | None, analyst: AnalystId | None, plan: str | None = None
) -> tuple[StoredAnswer, ...]:
    """Return stored answers, oldest first: of one snapshot, paid for by one analyst, of one plan, where these are named."""
    query = select(models.answer).order_by(models.answer.c.answer_id)
    if plan is not None:
        query = query.where(models.answer.c.plan_sha256 == plan)
    if snapshot is not None:
        query = query.where(models.answer.c.snapshot == snapshot)
    if analyst is not None:
        paid = select(models.charge.c.result_sha256).where(
            models.charge.c.analyst == analyst.text, models.charge.c.shown == 1
        )
        query = query.where(models.answer.c.document_sha256.in_(paid))
    return tuple(_answer(row) for row in connection.execute(query))


def _answer(row: Row[Any]) -> StoredAnswer:
    return StoredAnswer(
        key=AnswerKey(
            plan_sha256=row.plan_sha256,
            snapshot=row.snapshot,
            mechanism=row.mechanism,
            noise_scale=row.noise_scale,
        ),
        document=row.document,
        sha256=row.document_sha256,
        stored_at=row.stored_at,
        visible_at=row.visible_at,
    )


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST:
        raise ChargeRequestError(f"the {name} of an answer is a whole number of at least {least}")
