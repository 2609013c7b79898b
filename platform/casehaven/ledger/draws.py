"""The life of a charge after it is paid: drawn, written, revealed. Every step is an entry of the chain (privacy rules 14 and 20).

1. A charge pays for one result. It allows a first draw, and one redraw if nothing was revealed, and refuses a third.
2. Once the first byte of a result may be on disk nothing is drawn again, unless every byte of it was removed. What was revealed is final.
3. Nothing is drawn under a charge of a dataset that was marked as unbounded since, or of before the ledger was resumed from its ceiling.
"""

from __future__ import annotations

from sqlalchemy import Connection, update

from casehaven.ledger import models
from casehaven.ledger.answers import ANSWER_PURPOSE, AnswerKey, StoredAnswer, answer_of, write_answer
from casehaven.ledger.ceilings import refuse_after_resumption
from casehaven.ledger.chain import append
from casehaven.ledger.charges import ChargeRecord, ChargeState, issued_charge, revealed_already
from casehaven.ledger.errors import ChargeRequestError, DrawRefusedError
from casehaven.ledger.unbounded import refuse_unbounded_charge
from casesynth.privacy import Receipt


def draw(connection: Connection, receipt: Receipt) -> ChargeRecord:
    """Record that noise is about to be drawn under a charge."""
    found = issued_charge(connection, receipt)
    refuse_unbounded_charge(connection, receipt.charge_id)  # privacy rule 34
    if found.state is ChargeState.WRITING:
        raise DrawRefusedError(
            f"a result of charge {receipt.charge_id} was being written; it may have been seen, so nothing is drawn again"
        )
    if found.result_digest is not None:
        raise revealed_already(found.result_digest)
    if found.state is ChargeState.REDRAWN:
        raise DrawRefusedError(
            f"charge {receipt.charge_id} was drawn and redrawn and revealed nothing; it is spent, and a new draw needs a new charge"
        )
    refuse_after_resumption(connection, receipt.charge_id)
    connection.execute(
        update(models.charge)
        .where(models.charge.c.charge_id == receipt.charge_id)
        .values(draws=models.charge.c.draws + 1)
    )
    append(connection, f"draw {receipt.charge_id}")
    return issued_charge(connection, receipt)


def write(connection: Connection, receipt: Receipt, result_digest: str) -> ChargeRecord:
    """Record which result is about to be written."""
    found = issued_charge(connection, receipt)
    if found.state is ChargeState.REVEALED:
        raise revealed_already(found.result_digest or "")
    if found.state is ChargeState.CHARGED or found.result_digest not in (None, result_digest):
        raise DrawRefusedError(f"charge {receipt.charge_id} has no draw with this result to write")
    _set(connection, receipt, f"write {receipt.charge_id} {result_digest}", result_sha256=result_digest)
    return issued_charge(connection, receipt)


def withdraw(connection: Connection, receipt: Receipt) -> ChargeRecord:
    """Record that every byte of a result that was being written is gone."""
    found = issued_charge(connection, receipt)
    if found.state is ChargeState.REVEALED:
        raise revealed_already(found.result_digest or "")
    if found.state is not ChargeState.WRITING:
        raise DrawRefusedError(f"no result of charge {receipt.charge_id} was being written")
    _set(connection, receipt, f"withdraw {receipt.charge_id}", result_sha256=None)
    return issued_charge(connection, receipt)


def reveal(connection: Connection, receipt: Receipt, result_digest: str) -> ChargeRecord:
    """Record which result is about to be shown."""
    found = issued_charge(connection, receipt)
    if found.state is ChargeState.REVEALED and found.result_digest == result_digest:
        return found
    if found.result_digest not in (None, result_digest):
        raise revealed_already(found.result_digest or "")
    if found.state is ChargeState.CHARGED:
        raise DrawRefusedError(f"nothing was drawn under charge {receipt.charge_id}")
    _set(connection, receipt, f"reveal {receipt.charge_id} {result_digest}", result_sha256=result_digest, shown=1)
    return issued_charge(connection, receipt)


def store(connection: Connection, receipt: Receipt, key: AnswerKey, document: str, visible_at: int) -> StoredAnswer:
    """Store the answer of a charge and mark the charge as revealed, in one transaction."""
    found = issued_charge(connection, receipt)
    if found.purpose != ANSWER_PURPOSE:
        raise ChargeRequestError(f"an answer is paid for by a charge with the purpose {ANSWER_PURPOSE}")
    if found.state is ChargeState.REVEALED:
        there = answer_of(connection, found.result_digest)
        if there is not None and there.document == document:
            return there
        raise revealed_already(found.result_digest or "")
    if found.state is ChargeState.CHARGED:
        raise DrawRefusedError(f"nothing was drawn under charge {receipt.charge_id}")
    stored = write_answer(connection, key, document, visible_at)
    reveal(connection, receipt, stored.sha256)
    return stored


def _set(connection: Connection, receipt: Receipt, subject: str, **values: str | int | None) -> None:
    connection.execute(update(models.charge).where(models.charge.c.charge_id == receipt.charge_id).values(**values))
    append(connection, subject)
