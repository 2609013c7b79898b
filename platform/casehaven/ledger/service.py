"""The ledger: what every release and question pays from, before any record is opened.

1. An account belongs to a dataset and a block of first-registration years. Its cap is fixed when it is opened and never changes (privacy rule 12).
2. A charge debits all blocks named of all datasets named in one transaction: all of them, or none (privacy rules 14 and 18).
3. A charge is on disk before `charge` returns its receipt, and nothing lowers it afterwards, whatever becomes of the result (privacy rule 14).
4. A request carries an idempotency key. The same request again gets the same receipt at no charge; another request under the same
   key is refused (privacy rule 16).
5. A charge pays for one result. `begin_draw` is asked, and its answer is on disk, before noise is drawn: it allows a first draw, and one redraw if
   nothing was revealed, and refuses a third. `begin_writing` is on disk before the first byte of a result is; after it nothing is drawn again,
   unless `withdraw_writing` says that every byte was removed. `mark_revealed` is on disk before the result is shown to anyone, and is final.

Not here yet: allowances per analyst, raises by two people, a ceiling outside the file. A copy that is put back rewinds it; see docs/spec/ledger.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, insert, select, update

from casehaven.ledger import models, unbounded
from casehaven.ledger._store import Connector, Store, connect, create_file
from casehaven.ledger.accounts import (
    charged_accounts,
    policy_columns,
    refuse_exhausted,
    stored_ledger_policy,
    stored_policy,
)
from casehaven.ledger.charges import (
    ChargeRecord,
    ChargeState,
    charge_record,
    check_digest,
    issued_charge,
    request_digest,
    revealed_already,
)
from casehaven.ledger.decisions import DecisionKind, ReleaseDecision, record_step, release_decisions
from casehaven.ledger.errors import (
    BudgetPolicyError,
    ChargeRequestError,
    DrawRefusedError,
    IdempotencyConflictError,
)
from casehaven.ledger.policy import BudgetPolicy, IdempotencyKey, LedgerPolicy, parse_block, parse_dataset_id
from casehaven.ledger.statement import Statement, stored_statement
from casehaven.ledger.unbounded import UnboundedMark
from casesynth.canonical import JsonValue
from casesynth.privacy import PrivacyLoss, Receipt

Step = Literal[
    "charge.begun",
    "charge.written",
    "charge.committed",
    "draw.written",
    "draw.committed",
    "writing.written",
    "writing.committed",
    "withdraw.written",
    "withdraw.committed",
    "reveal.written",
    "reveal.committed",
]
"""The moments at which a test may end the process, to show that the ledger survives it."""


def _no_failpoint(step: Step) -> None:
    """The failpoint of every ledger that is not under test."""


class Ledger:
    """An open ledger file. Safe to share between threads and processes; each call is one transaction."""

    def __init__(self, store: Store, failpoint: Callable[[Step], None]) -> None:
        self._store = store
        self._failpoint = failpoint

    @property
    def path(self) -> Path:
        """The file."""
        return self._store.path

    @staticmethod
    def create(path: Path, policy: LedgerPolicy) -> Ledger:
        """Create a ledger file that only its owner may read and write.

        Args:
            path: where; nothing may be there.
            policy: of every account, for good.

        Raises:
            LedgerExistsError: something is there already.
            LedgerStorageError: the file cannot be written.
        """
        policy.account.cap_nano_rho()  # a policy that allows nothing is refused before there is a file

        def fill(connection: Connection) -> None:
            connection.execute(
                insert(models.ledger).values(
                    id=1,
                    ledger_id=secrets.token_hex(16),
                    max_tokens_per_person=policy.max_tokens_per_person,
                    created_at=_now(),
                    **policy_columns(policy.account),
                )
            )

        create_file(path, fill)
        return Ledger.open(path)

    @staticmethod
    def open(
        path: Path, *, failpoint: Callable[[Step], None] = _no_failpoint, connector: Connector = connect
    ) -> Ledger:
        """Open a ledger after reading and checking all of it.

        Args:
            path: an existing ledger.
            failpoint: called at each `Step`; for tests that end the process there.
            connector: opens a database connection; for tests that limit the space.

        Raises:
            LedgerMissingError: there is none.
            NotALedgerError: the file is something else.
            LedgerVersionError: the format is another one.
            DamagedLedgerError: it was damaged; restore a whole copy, with a ceiling no lower than what was spent since.
        """
        store = Store(path, connector)
        store.check()
        return Ledger(store, failpoint)

    def open_dataset(self, dataset: str, blocks: Sequence[str], policy: BudgetPolicy | None = None) -> int:
        """Open the accounts of a dataset, or accounts for new blocks of a dataset that has some; accounts that exist stay as they are.

        Args:
            dataset: `organisation/dataset`.
            blocks: years of four digits, and "" for people whose year is unknown; the public list of the schema.
            policy: of this dataset, within the ledger's; None for the ledger's own, or the dataset's when it has accounts.

        Returns:
            The cap of each account in nano-rho.

        Raises:
            AccountNameError: a name is not written as it must be.
            BudgetPolicyError: the policy allows more than the ledger's, or is not the one that the dataset was opened with.
        """
        dataset, years = parse_dataset_id(dataset), _distinct(blocks, parse_block)
        with self._store.transaction(writes=True) as connection:
            opened = connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == dataset)).first()
            allowed = stored_ledger_policy(connection).account
            if opened is None:
                policy = policy or allowed
                if policy.epsilon > allowed.epsilon or policy.delta_units > allowed.delta_units:
                    raise BudgetPolicyError(
                        f"{dataset} asks for epsilon {policy.epsilon} at delta {float(policy.delta):g}; "
                        f"the ledger allows epsilon {allowed.epsilon} at delta {float(allowed.delta):g}"
                    )
                cap = policy.cap_nano_rho()
                values = {
                    "dataset_id": dataset,
                    "cap_nano_rho": cap,
                    "opened_at": _now(),
                    **policy_columns(policy),
                }
                connection.execute(insert(models.dataset).values(**values))
            elif policy is not None and policy != stored_policy(opened):
                raise BudgetPolicyError(
                    f"{dataset} was opened with epsilon {opened.epsilon} at {opened.delta_units} units of delta; its cap never changes"
                )
            else:
                policy, cap = stored_policy(opened), opened.cap_nano_rho
            existing = select(models.account.c.block).where(models.account.c.dataset_id == dataset)
            for block in sorted(set(years) - set(connection.scalars(existing))):
                connection.execute(
                    insert(models.account).values(
                        dataset_id=dataset,
                        block=block,
                        cap_nano_rho=cap,
                        cap_delta_units=policy.additive_delta_units,
                        spent_nano_rho=0,
                        spent_delta_units=0,
                    )
                )
        return cap

    def charge(
        self,
        *,
        key: IdempotencyKey,
        body: Mapping[str, JsonValue],
        datasets: Sequence[str],
        blocks: Sequence[str],
        loss: PrivacyLoss,
        purpose: str,
    ) -> Receipt:
        """Charge one loss to every named block of every named dataset, and return when that is on disk.

        Args:
            key: of the request; the same for every attempt at it.
            body: the request itself, public facts only; compared on a replay.
            datasets: every dataset that the result will read.
            blocks: every block that it will read, the same in each dataset.
            loss: for one person token.
            purpose: what for: `synthetic_release`, `pooled_statistics` and the like.

        Returns:
            The receipt; the very same one when the request is a replay, at no further charge.

        Raises:
            BudgetExhaustedError: an account has less left; no balance changed.
            IdempotencyConflictError: the key stands for another request.
            UnknownAccountError: an account was never opened.
            UnboundedAccountError: a dataset was released without differential privacy.
            ChargeRequestError: nothing is named, or the amount is not a privacy loss.
            LedgerBusyError, LedgerStorageError, DamagedLedgerError: nothing that could be spent twice was charged.
        """
        names, years = _distinct(datasets, parse_dataset_id), _distinct(blocks, parse_block)
        digest = request_digest(body, names, years, loss, purpose)
        with self._store.transaction(writes=True) as connection:
            self._failpoint("charge.begun")
            known = connection.execute(select(models.charge).where(models.charge.c.idempotency_key == key.text)).first()
            if known is not None:
                if known.request_sha256 != digest:  # privacy rule 16: the same key with another body
                    raise IdempotencyConflictError(
                        f"the key {key.text} was used for another request, charged {known.charged_at}"
                    )
                return charge_record(known).receipt
            unbounded.refuse_unbounded(connection, names)  # privacy rule 34
            accounts = charged_accounts(connection, names, years)
            refuse_exhausted(accounts, loss, stored_ledger_policy(connection).account)
            charge_id = secrets.token_hex(16)
            connection.execute(
                insert(models.charge).values(
                    charge_id=charge_id,
                    idempotency_key=key.text,
                    request_sha256=digest,
                    nano_rho=loss.nano_rho,
                    delta_units=loss.delta_units,
                    purpose=purpose,
                    charged_at=_now(),
                    draws=0,
                    shown=0,
                )
            )
            for account in accounts:
                connection.execute(
                    insert(models.charge_line).values(charge_id=charge_id, account_id=account.account_id)
                )
                connection.execute(
                    update(models.account)
                    .where(models.account.c.account_id == account.account_id)
                    .values(
                        spent_nano_rho=models.account.c.spent_nano_rho + loss.nano_rho,
                        spent_delta_units=models.account.c.spent_delta_units + loss.delta_units,
                    )
                )
            self._failpoint("charge.written")
        self._failpoint("charge.committed")
        return Receipt(charge_id=charge_id, loss=loss)

    def find(self, key: IdempotencyKey) -> ChargeRecord | None:
        """The charge that a key stands for, or None."""
        with self._store.transaction(writes=False) as connection:
            row = connection.execute(select(models.charge).where(models.charge.c.idempotency_key == key.text)).first()
        return None if row is None else charge_record(row)

    def record(self, receipt: Receipt) -> ChargeRecord:
        """What the ledger holds about a receipt.

        Raises:
            UnknownChargeError: this ledger did not issue it.
        """
        with self._store.transaction(writes=False) as connection:
            return issued_charge(connection, receipt)

    def begin_draw(self, receipt: Receipt) -> ChargeRecord:
        """Ask to draw noise under a charge; the permission is on disk when this returns (privacy rule 14).

        Returns:
            The charge, in state `DRAWN` for the first draw and `REDRAWN` for the one that may follow a failure.

        Raises:
            AlreadyRevealedError: the result was revealed; the error carries its digest.
            DrawRefusedError: the first draw and the redraw have both begun; the charge stays.
            UnboundedAccountError: a dataset of the charge was released without differential privacy since.
            UnknownChargeError: this ledger did not issue the receipt.
        """
        with self._store.transaction(writes=True) as connection:
            found = issued_charge(connection, receipt)
            unbounded.refuse_unbounded_charge(connection, receipt.charge_id)  # privacy rule 34
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
            connection.execute(
                update(models.charge)
                .where(models.charge.c.charge_id == receipt.charge_id)
                .values(draws=models.charge.c.draws + 1)
            )
            advanced = issued_charge(connection, receipt)
            self._failpoint("draw.written")
        self._failpoint("draw.committed")
        return advanced

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
        with self._store.transaction(writes=True) as connection:
            found = issued_charge(connection, receipt)
            if found.state is ChargeState.REVEALED:
                raise revealed_already(found.result_digest or "")
            if found.state is ChargeState.CHARGED or found.result_digest not in (None, result_digest):
                raise DrawRefusedError(f"charge {receipt.charge_id} has no draw with this result to write")
            _set(connection, receipt, result_sha256=result_digest)
            advanced = issued_charge(connection, receipt)
            self._failpoint("writing.written")
        self._failpoint("writing.committed")
        return advanced

    def withdraw_writing(self, receipt: Receipt) -> ChargeRecord:
        """Record that nothing is left of a result that was being written: the caller has seen that every byte of it is gone.

        Raises:
            AlreadyRevealedError: the result was revealed.
            DrawRefusedError: nothing was being written.
            UnknownChargeError: this ledger did not issue the receipt.
        """
        with self._store.transaction(writes=True) as connection:
            found = issued_charge(connection, receipt)
            if found.state is ChargeState.REVEALED:
                raise revealed_already(found.result_digest or "")
            if found.state is not ChargeState.WRITING:
                raise DrawRefusedError(f"no result of charge {receipt.charge_id} was being written")
            _set(connection, receipt, result_sha256=None)
            advanced = issued_charge(connection, receipt)
            self._failpoint("withdraw.written")
        self._failpoint("withdraw.committed")
        return advanced

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
        with self._store.transaction(writes=True) as connection:
            found = issued_charge(connection, receipt)
            if found.state is ChargeState.REVEALED and found.result_digest == result_digest:
                return found
            if found.result_digest not in (None, result_digest):
                raise revealed_already(found.result_digest or "")
            if found.state is ChargeState.CHARGED:
                raise DrawRefusedError(f"nothing was drawn under charge {receipt.charge_id}")
            _set(connection, receipt, result_sha256=result_digest, shown=1)
            advanced = issued_charge(connection, receipt)
            self._failpoint("reveal.written")
        self._failpoint("reveal.committed")
        return advanced

    def decide(self, charge_id: str, kind: DecisionKind, *, before_decision: bool = False) -> ReleaseDecision:
        """Record a step about a drawn release, for good; it is on disk when this returns. See `casehaven.ledger.decisions`.

        Args:
            charge_id: of the charge that paid for the release.
            kind: published, withheld, or that the private report is about to be opened.
            before_decision: open the report although nothing was decided; the release is marked for good (privacy rule 33).

        Raises:
            UnknownChargeError, DecisionError, DecisionNeededError: as `record_step`; nothing was written.
        """
        with self._store.transaction(writes=True) as connection:
            return record_step(connection, charge_id, kind, now=_now(), before_decision=before_decision)

    def release(self, charge_id: str) -> ReleaseDecision | None:
        """Return what was decided about the release of a charge; None where this ledger knows none."""
        with self._store.transaction(writes=False) as connection:
            return next(iter(release_decisions(connection, charge_id)), None)

    def mark_unbounded(self, dataset: str, request_digest: str) -> UnboundedMark:
        """Record, for good, that a dataset is about to be released without differential privacy; it is on disk when this returns (privacy rule 34).

        Args:
            dataset: `organisation/dataset`; it has accounts.
            request_digest: SHA-256 of the request that two people approved; good for one attempt.

        Raises:
            UnknownAccountError, UnboundedRequestUsedError, ChargeRequestError: no account, a request used before, no digest.
        """
        check_digest(request_digest)
        with self._store.transaction(writes=True) as connection:
            return unbounded.write_mark(connection, parse_dataset_id(dataset), request_digest, _now()[:10])

    def unknown(self, charges: Collection[str]) -> frozenset[str]:
        """Return those of some ids of receipts that this ledger never issued."""
        with self._store.transaction(writes=False) as connection:
            return unbounded.unknown(connection, charges)

    def pooled_with(self, dataset: str) -> tuple[str, ...]:
        """Return the datasets of other organisations that were ever charged together with this one."""
        with self._store.transaction(writes=False) as connection:
            return unbounded.pooled_with(connection, parse_dataset_id(dataset))

    def statement(self) -> Statement:
        """What has been spent, per dataset and block, and the worst total for one person."""
        with self._store.transaction(writes=False) as connection:
            return stored_statement(connection)


def _distinct(names: Sequence[str], parse: Callable[[str], str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ChargeRequestError("expected a list of names, got one text")
    return tuple(sorted({parse(name) for name in names}))


def _set(connection: Connection, receipt: Receipt, **values: str | int | None) -> None:
    connection.execute(update(models.charge).where(models.charge.c.charge_id == receipt.charge_id).values(**values))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
