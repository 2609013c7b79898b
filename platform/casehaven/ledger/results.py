"""A ledger's results: what becomes of a charge after it is paid, and the answers that were stored.

1. A charge pays for one result. Each step towards it is on disk, here and in the anchor, before it is acknowledged (privacy rules 14 and 20); see `casehaven.ledger.draws`.
2. An answer is stored before it is shown, and is found again at no charge, byte for byte (privacy rule 17).
3. What a request was shown at no charge is kept under its key: the same request is shown the same on any later day.
"""

from __future__ import annotations

from collections.abc import Mapping

from casehaven.ledger import answers, draws, served
from casehaven.ledger.allowances import AnalystId
from casehaven.ledger.answers import AnswerKey, StoredAnswer
from casehaven.ledger.ceilings import check_not_behind
from casehaven.ledger.charges import ChargeRecord, check_digest, issued_charge
from casehaven.ledger.kept import KeptLedger
from casehaven.ledger.policy import IdempotencyKey
from casesynth.canonical import JsonValue
from casesynth.privacy import Receipt


class ResultLedger(KeptLedger):
    """A ledger that draws, reveals, stores and finds what was paid for."""

    # --- the life of a charge ---------------------------------------------------------------------------------------------

    def begin_draw(self, receipt: Receipt) -> ChargeRecord:
        """Ask to draw noise under a charge; the permission is on disk, here and in the anchor, when this returns (privacy rule 14).

        Returns:
            The charge, in state `DRAWN` for the first draw and `REDRAWN` for the one that may follow a failure.

        Raises:
            AlreadyRevealedError: the result was revealed; the error carries its digest.
            DrawRefusedError: the first draw and the redraw have both begun; the charge stays.
            UnboundedAccountError: a dataset of the charge was released without differential privacy since.
            UnknownChargeError: this ledger did not issue the receipt.
        """
        with self._spending("draw.written", "draw.committed") as (connection, _):
            return draws.draw(connection, receipt)

    def begin_writing(self, receipt: Receipt, result_digest: str) -> ChargeRecord:
        """Record which result is about to be written; it is on disk when this returns, and only then may the first byte be.

        Args:
            receipt: of the charge that paid for it.
            result_digest: SHA-256 of the result, 64 hexadecimal digits.

        Raises:
            AlreadyRevealedError: a result of this charge was revealed.
            DrawRefusedError: nothing was drawn under this charge, or another result of it is being written.
            ChargeRequestError: the digest is not one.
            UnknownChargeError: this ledger did not issue the receipt.
        """
        check_digest(result_digest)
        with self._spending("writing.written", "writing.committed") as (connection, _):
            return draws.write(connection, receipt, result_digest)

    def withdraw_writing(self, receipt: Receipt) -> ChargeRecord:
        """Record that nothing is left of a result that was being written: the caller has seen that every byte of it is gone.

        Raises:
            AlreadyRevealedError: the result was revealed.
            DrawRefusedError: nothing was being written.
            UnknownChargeError: this ledger did not issue the receipt.
        """
        with self._spending("withdraw.written", "withdraw.committed") as (connection, _):
            return draws.withdraw(connection, receipt)

    def mark_revealed(self, receipt: Receipt, result_digest: str) -> ChargeRecord:
        """Record which result is about to be shown; it is on disk when this returns, and only then may the result leave.

        Args:
            receipt: of the charge that paid for it.
            result_digest: SHA-256 of the result, 64 hexadecimal digits.

        Raises:
            AlreadyRevealedError: another result of this charge was revealed. (The same one again changes nothing.)
            DrawRefusedError: nothing was drawn under this charge.
            ChargeRequestError: the digest is not one.
            UnknownChargeError: this ledger did not issue the receipt.
        """
        check_digest(result_digest)
        with self._spending("reveal.written", "reveal.committed") as (connection, _):
            return draws.reveal(connection, receipt, result_digest)

    # --- answers ----------------------------------------------------------------------------------------------------------

    def store_answer(self, receipt: Receipt, key: AnswerKey, *, document: str, visible_at: int) -> StoredAnswer:
        """Store the answer of a charge before its tick, and mark the charge as revealed, in one transaction (privacy rule 14).

        Args:
            receipt: of the charge that paid for it, with the purpose `ANSWER_PURPOSE`.
            key: under which it is found again.
            document: canonical JSON; protected numbers only.
            visible_at: the tick, in seconds since 1970.

        Returns:
            What is shown: this answer, or the one that was stored first under the same key.

        Raises:
            DrawRefusedError, AlreadyRevealedError, ChargeRequestError, UnknownChargeError: as for `mark_revealed`.
        """
        with self._spending("answer.written", "answer.committed") as (connection, _):
            return draws.store(connection, receipt, key, document, visible_at)

    def cached_answer(self, key: AnswerKey) -> StoredAnswer | None:
        """The strongest stored answer of the same plan, snapshot and mechanism that is at least as strong as the key's; None where there is none."""
        return self._showing(lambda connection: answers.cached_answer(connection, key))

    def answer_of(self, receipt: Receipt) -> StoredAnswer | None:
        """The answer that a charge revealed, or None.

        Raises:
            UnknownChargeError: this ledger did not issue the receipt.
        """
        return self._showing(
            lambda connection: answers.answer_of(connection, issued_charge(connection, receipt).result_digest)
        )

    def answers(
        self, snapshot: str | None = None, analyst: AnalystId | None = None, plan: str | None = None
    ) -> tuple[StoredAnswer, ...]:
        """Stored answers, oldest first: of one snapshot, paid for by one analyst, of one plan by its SHA-256, where these are named.

        Those before their tick are not to be shown.
        """
        return self._showing(lambda connection: answers.stored_answers(connection, snapshot, analyst, plan))

    def keep_served(self, key: IdempotencyKey, body: Mapping[str, JsonValue], document: str) -> str:
        """Keep what a request is shown at no charge, before it is shown; return it, or what was kept first under the same key.

        Raises:
            IdempotencyConflictError: the key was charged, or stands for another request.
            ChargeRequestError: body or document is not one.
            LedgerAnchorMissingError, BrokenLedgerAnchorError, LedgerBehindAnchorError: nothing is shown without the anchor.
        """
        digest = served.body_digest(body)
        with self._store.transaction(writes=True) as connection:
            check_not_behind(connection, self._anchor(connection))
            return served.keep_served(connection, key, digest, document, self._clock())

    def served(self, key: IdempotencyKey, body: Mapping[str, JsonValue]) -> str | None:
        """Return what a request was shown at no charge; None when it was not.

        Raises:
            IdempotencyConflictError: the key stands for another request.
        """
        digest = served.body_digest(body)
        return self._showing(lambda connection: served.served_document(connection, key, digest))
