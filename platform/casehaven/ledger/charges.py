"""A charge as a value: what was asked, how far it has come, and the receipt that it was issued with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, select

from casehaven.ledger import models
from casehaven.ledger.allowances import AnalystId
from casehaven.ledger.errors import (
    AlreadyRevealedError,
    ChargeRequestError,
    DamagedLedgerError,
    IdempotencyKeyError,
    UnknownChargeError,
)
from casehaven.ledger.policy import IdempotencyKey, parse_block, parse_dataset_id
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json
from casesynth.privacy import PrivacyLoss, PrivacyLossError, Receipt

_PURPOSE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ChargeState(Enum):
    """How far a charge has come; it moves downwards in this list, but for a writing that was withdrawn without a trace."""

    CHARGED = "charged"
    """Paid; nothing was drawn yet."""
    DRAWN = "drawn"
    """The first draw has begun; one redraw is left."""
    REDRAWN = "redrawn"
    """The redraw has begun; there is no third."""
    WRITING = "writing"
    """A result is being written to disk; somebody may find it there, so nothing is drawn unless every byte of it was removed."""
    REVEALED = "revealed"
    """The result was shown; it is never drawn again."""


@dataclass(frozen=True, kw_only=True)
class ChargeRecord:
    """What the ledger holds about one charge."""

    receipt: Receipt
    """As it was issued."""
    key: IdempotencyKey
    """Of the request that paid."""
    purpose: str
    """What the charge was for."""
    state: ChargeState
    """How far it has come."""
    result_digest: str | None
    """SHA-256 of the result, from the moment before its first byte is written."""
    charged_at: str
    """UTC, ISO 8601, to the second."""


@dataclass(frozen=True, kw_only=True)
class ChargeRequest:
    """One request to spend, checked."""

    key: IdempotencyKey
    datasets: tuple[str, ...]
    blocks: tuple[str, ...]
    loss: PrivacyLoss
    purpose: str
    analyst: AnalystId | None
    sha256: str
    """Of everything that makes a request the request it is: a replay must match all of it (privacy rule 16)."""

    @staticmethod
    def of(
        key: IdempotencyKey,
        body: Mapping[str, JsonValue],
        datasets: Sequence[str],
        blocks: Sequence[str],
        loss: PrivacyLoss,
        purpose: str,
        analyst: AnalystId | None,
    ) -> ChargeRequest:
        """Check a request.

        Raises:
            ChargeRequestError: nothing is named, or the amount is not a privacy loss.
            AccountNameError: a dataset or block is not written as it must be.
        """
        names, years = distinct(datasets, parse_dataset_id), distinct(blocks, parse_block)
        if not isinstance(loss, PrivacyLoss):
            raise ChargeRequestError(f"a charge needs a PrivacyLoss in integer nano-rho, got {type(loss).__name__}")
        if not isinstance(purpose, str) or not _PURPOSE.fullmatch(purpose):
            raise ChargeRequestError("a charge needs a purpose: small letters, digits and _")
        if not isinstance(body, Mapping):
            raise ChargeRequestError(f"the body of a charge must be a mapping, got {type(body).__name__}")
        if not names or not years:
            raise ChargeRequestError("a charge needs at least one dataset and one block")
        request: dict[str, JsonValue] = {
            "body": body,
            "datasets": names,
            "blocks": years,
            "nano_rho": loss.nano_rho,
            "delta_units": loss.delta_units,
            "purpose": purpose,
        }
        if analyst is not None:
            request["analyst"] = analyst.text
        try:
            digest = hashlib.sha256(canonical_json(request)).hexdigest()
        except JsonFaultError as error:
            raise ChargeRequestError(f"the body of the charge: {error}") from None
        return ChargeRequest(
            key=key, datasets=names, blocks=years, loss=loss, purpose=purpose, analyst=analyst, sha256=digest
        )


def distinct(names: Sequence[str], parse: Callable[[str], str]) -> tuple[str, ...]:
    """Return names that are written as they must be, each once, in order."""
    if isinstance(names, str):
        raise ChargeRequestError("expected a list of names, got one text")
    if all(type(name) is str for name in names):
        return _distinct(tuple(names), parse)
    return tuple(sorted({parse(name) for name in names}))


@lru_cache(maxsize=256)
def _distinct(names: tuple[str, ...], parse: Callable[[str], str]) -> tuple[str, ...]:
    """The same blocks are charged all day: what was checked once is not checked again."""
    return tuple(sorted({parse(name) for name in names}))


def check_digest(digest: str) -> None:
    """Refuse what is no SHA-256.

    Raises:
        ChargeRequestError: it is not.
    """
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ChargeRequestError("a digest is 64 hexadecimal digits of a SHA-256")


def issued_charge(connection: Connection, receipt: Receipt) -> ChargeRecord:
    """Return the charge behind a receipt.

    Raises:
        UnknownChargeError: the ledger issued no such receipt.
    """
    row = connection.execute(select(models.charge).where(models.charge.c.charge_id == receipt.charge_id)).first()
    if row is None or charge_record(row).receipt != receipt:
        raise UnknownChargeError(f"this ledger issued no receipt {str(receipt.charge_id)[:64]!r} over this loss")
    return charge_record(row)


def charge_record(row: Row[Any]) -> ChargeRecord:
    """Return a stored charge as a value.

    Raises:
        DamagedLedgerError: the row holds what the ledger never wrote.
    """
    drawn = (ChargeState.CHARGED, ChargeState.DRAWN, ChargeState.REDRAWN)[row.draws]
    try:
        return ChargeRecord(
            receipt=Receipt(
                charge_id=row.charge_id, loss=PrivacyLoss(nano_rho=row.nano_rho, delta_units=row.delta_units)
            ),
            key=IdempotencyKey(text=row.idempotency_key),
            purpose=row.purpose,
            state=drawn if row.result_sha256 is None else ChargeState.REVEALED if row.shown else ChargeState.WRITING,
            result_digest=row.result_sha256,
            charged_at=row.charged_at,
        )
    except (IdempotencyKeyError, PrivacyLossError):
        raise DamagedLedgerError("the ledger is damaged: it holds a charge that it never wrote") from None


def revealed_already(result_digest: str) -> AlreadyRevealedError:
    """The refusal that says which result was revealed."""
    return AlreadyRevealedError(
        f"the result of this charge was revealed, with SHA-256 {result_digest}; it is never drawn again",
        result_digest=result_digest,
    )
