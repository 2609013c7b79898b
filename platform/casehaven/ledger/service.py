"""The ledger: what every release and question pays from, before any record is opened.

1. An account belongs to a dataset and a block of first-registration years. Only a raise that two people approved changes its cap (privacy rules 12 and 19).
2. A charge debits all blocks named of all datasets named in one transaction: all of them, or none (privacy rules 14 and 18).
3. A charge is on disk before `charge` returns its receipt, and nothing lowers it afterwards, whatever becomes of the result (privacy rule 14).
4. A request carries an idempotency key. The same request again gets the same receipt at no charge; another request under the same
   key is refused (privacy rule 16).
5. A charge pays for one result. `begin_draw` is asked, and its answer is on disk, before noise is drawn; see `casehaven.ledger.draws`. An answer is
   stored with `store_answer` before it is shown, and found again at no charge (privacy rule 17).
6. Spending stays below a ceiling that an anchor outside knows; every step of a charge is on disk there before it is acknowledged. Without the
   anchor, or behind it, the ledger reads and spends nothing (privacy rule 20).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, insert, select

from casehaven.core.db import is_postgres
from casehaven.ledger import models, raises, unbounded
from casehaven.ledger._postgres import PostgresStore
from casehaven.ledger._store import Connector, SqliteStore, Store, connect, create_file
from casehaven.ledger.accounts import open_accounts, opened_cap, policy_columns
from casehaven.ledger.allowances import AllowanceState, AnalystId, allowance_of, set_allowance
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.anchored import stored_state
from casehaven.ledger.anchoring import default_place, move_anchor, stored_footing
from casehaven.ledger.approvers import (
    ApproverApproval,
    ApproverRequest,
    ApproverSet,
    check_people,
    present_set,
    rename,
    write_first,
)
from casehaven.ledger.ceilings import anchor_opened
from casehaven.ledger.chain import FIRST, Head, append
from casehaven.ledger.charges import (
    ChargeRecord,
    ChargeRequest,
    charge_record,
    check_digest,
    distinct,
    issued_charge,
)
from casehaven.ledger.clock import now
from casehaven.ledger.decisions import DecisionKind, ReleaseDecision, record_step, release_decisions
from casehaven.ledger.errors import LedgerAnchorMissingError
from casehaven.ledger.kept import Step, no_failpoint
from casehaven.ledger.paying import write_charge
from casehaven.ledger.policy import BudgetPolicy, IdempotencyKey, LedgerPolicy, parse_block, parse_dataset_id
from casehaven.ledger.results import ResultLedger
from casehaven.ledger.spending import OrganisationSpending, stored_spending
from casehaven.ledger.statement import Statement, charged_before, stored_statement
from casehaven.ledger.unbounded import UnboundedMark
from casehaven.ledger.vaults import bind_opened, parse_vault_id, vault_of
from casesynth.canonical import JsonValue
from casesynth.privacy import PrivacyLoss, Receipt
from casesynth.signing import TrustStore

NOBODY = TrustStore()
"""No approver."""


class Ledger(ResultLedger):
    """An open ledger, for one thread or many: each call is one transaction on a connection of its own, and an object that a fork inherits opens new ones.

    Two threads that write follow one another in the order in which the database lets them, as two processes do. `close` is for when no call is running.
    """

    @staticmethod
    def create(
        place: Path | str,
        policy: LedgerPolicy,
        *,
        anchor: Path | None = None,
        approvers: TrustStore = NOBODY,
        keep_open: bool = False,
    ) -> Ledger:
        """Create a ledger that only its owner may read and write, and its anchor.

        Args:
            place: a file, where nothing may be; or `postgresql://user@host/name`, where no ledger may be.
            policy: of every account, for good.
            anchor: the anchor file, best on other storage; None for one beside the file, `NAME.anchor`. A ledger on a server needs one named.
            approvers: at least two people who may approve raises and name others in their place; nobody: no cap is ever raised (privacy rule 19).
            keep_open: as for `open`.

        Raises:
            BudgetRaiseError: one person alone would approve.
            LedgerExistsError: something is there already, a ledger or the anchor of one.
            LedgerStorageError, LedgerAnchorMissingError: the file or the anchor cannot be written.
        """
        policy.account.cap_nano_rho()  # a policy that allows nothing is refused before there is a file
        check_people(approvers)
        path = None if is_postgres(place) else Path(place)
        if path is None and anchor is None:
            raise LedgerAnchorMissingError(
                "a ledger on a server needs the place of its anchor, on another machine's storage"
            )
        ledger_id, secret = secrets.token_hex(16), secrets.token_hex(32)
        first = LedgerAnchor((default_place(path) if path else Path()) if anchor is None else anchor, ledger_id, secret)
        made, made_at = False, now()

        def fill(connection: Connection) -> None:
            nonlocal made
            connection.execute(
                insert(models.ledger).values(
                    id=1,
                    ledger_id=ledger_id,
                    max_tokens_per_person=policy.max_tokens_per_person,
                    created_at=made_at,
                    **policy_columns(policy.account),
                )
            )
            if policy.odometer_epsilon is not None:
                cap = policy.odometer_policy().cap_nano_rho()
                connection.execute(
                    insert(models.odometer_cap).values(id=1, epsilon=str(policy.odometer_epsilon), cap_nano_rho=cap)
                )
            move_anchor(connection, path, first.path, (secret, made_at))
            write_first(connection, approvers, made_at)
            first.create(stored_state(connection), Head(position=0, chain=FIRST))
            made = True

        try:
            if path is None:
                PostgresStore(str(place)).create(fill)
            else:
                create_file(path, fill)
        except BaseException:
            if made:
                first.path.unlink(missing_ok=True)
            raise
        return Ledger.open(place, keep_open=keep_open)

    @staticmethod
    def open(
        place: Path | str,
        *,
        failpoint: Callable[[Step], None] = no_failpoint,
        connector: Connector = connect,
        clock: Callable[[], str] = now,
        keep_open: bool = False,
    ) -> Ledger:
        """Open a ledger after reading and checking all of it.

        Args:
            place: an existing ledger: a file, or `postgresql://user@host/name`.
            failpoint: called at each `Step`; for tests that end the process there.
            connector: opens a database connection to a file; for tests that limit the space.
            clock: UTC, ISO 8601, to the second; for tests of clocks that are wrong.
            keep_open: keep connections between calls until `close`; much faster for a process that charges all day, but a file must not be copied meanwhile.

        Raises:
            LedgerMissingError: there is none.
            NotALedgerError: the file is something else.
            LedgerVersionError: the format is another one.
            DamagedLedgerError: it was damaged; restore a whole copy, and resume it from the ceiling.
        """
        store: Store = (
            PostgresStore(str(place), keep_open=keep_open)
            if is_postgres(place)
            else SqliteStore(Path(place), connector, keep_open=keep_open)
        )
        store.check()
        return Ledger(store, failpoint, clock)

    # --- accounts and charges ---------------------------------------------------------------------------------------------

    def open_dataset(
        self, dataset: str, blocks: Sequence[str], policy: BudgetPolicy | None = None, *, vault_id: str | None = None
    ) -> int:
        """Open the accounts of a dataset, or accounts for new blocks of a dataset that has some; accounts that exist stay as they are.

        Args:
            dataset: `organisation/dataset`.
            blocks: years of four digits, and "" for people whose year is unknown; the public list of the schema.
            policy: of this dataset, within the ledger's; None for the ledger's own, or the dataset's when it has accounts.
            vault_id: of the vault that its records are in, as for `charge`.

        Returns:
            The cap of each account in nano-rho.

        Raises:
            AccountNameError: a name is not written as it must be.
            BudgetPolicyError: the policy allows more than the ledger's, or is not the one that the dataset has, here or in the anchor.
            OtherVaultError: it is bound to another vault.
            LedgerAnchorMissingError, BrokenLedgerAnchorError, LedgerBehindAnchorError: no account is opened without the anchor (privacy rule 20).
        """
        dataset, years, vault = parse_dataset_id(dataset), distinct(blocks, parse_block), parse_vault_id(vault_id)
        with self._store.transaction(writes=False) as connection:
            there = opened_cap(connection, dataset, years, policy)
            bound = vault is None or vault_of(connection, dataset) == vault
        if there is not None and bound:
            return there
        with self._spending("open.written", "open.committed") as (connection, anchor):
            cap = open_accounts(connection, dataset, years, policy, self._clock())
            append(connection, f"open {dataset}")
            anchor_opened(anchor, dataset, stored_state(connection))
            bind_opened(connection, anchor, dataset, vault, self._clock())
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
        analyst: AnalystId | None = None,
        vault_id: str | None = None,
    ) -> Receipt:
        """Charge one loss to every named block of every named dataset, and return when that is on disk.

        Args:
            key: of the request; the same for every attempt at it.
            body: the request itself, public facts only; compared on a replay.
            datasets: every dataset that the result will read.
            blocks: every block that it will read, the same in each dataset.
            loss: for one person token.
            purpose: what for: `synthetic_release`, `question` and the like.
            analyst: who asks, and whose allowances pay too; None for a steward's release.
            vault_id: of the vault that the records are in; it binds the datasets to that vault, for good. None for records of a file.

        Returns:
            The receipt; the very same one when the request is a replay, at no further charge.

        Raises:
            BudgetExhaustedError: an account has less left; no balance changed.
            AllowanceExhaustedError, OdometerExhaustedError: the analyst's allowance, or the cap for one person, has less left; no balance changed.
            IdempotencyConflictError: the key stands for another request.
            UnknownAccountError: an account was never opened.
            UnboundedAccountError: a dataset was released without differential privacy.
            OtherVaultError: a dataset is bound to another vault.
            ChargeRequestError: nothing is named, or the amount is not a privacy loss.
            LedgerAnchorMissingError, BrokenLedgerAnchorError, LedgerBehindAnchorError: nothing is spent without the anchor.
            LedgerBusyError, LedgerStorageError, DamagedLedgerError: nothing that could be spent twice was charged.
        """
        vault = parse_vault_id(vault_id)
        request = ChargeRequest.of(key, body, datasets, blocks, loss, purpose, analyst)
        with self._store.transaction(writes=True) as connection:
            self._failpoint("charge.begun")
            paid = write_charge(
                connection,
                request,
                lambda: stored_footing(connection, self._store.path),
                self._footing,
                self._clock(),
                vault_id=vault,
                ceiling=lambda: self._failpoint("ceiling.raised"),
            )
            self._failpoint("charge.written")
        self._footing = paid.footing or self._footing
        self._failpoint("charge.committed")
        return paid.receipt

    def accepts(self, datasets: Sequence[str]) -> None:
        """Return when questions about datasets can be paid for at all; reads no balance.

        Raises:
            UnknownAccountError: one has no account.
            UnboundedAccountError: one was released without differential privacy.
        """
        with self._store.transaction(writes=False) as connection:
            unbounded.refuse_closed(connection, distinct(datasets, parse_dataset_id))

    @property
    def id(self) -> str:
        """The public name of the ledger: 32 hexadecimal digits."""
        with self._store.transaction(writes=False) as connection:
            return str(connection.scalar(select(models.ledger.c.ledger_id)))

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

    def allowance(self, analyst: AnalystId, dataset: str) -> AllowanceState:
        """How an analyst stands with a dataset; for that analyst."""
        with self._store.transaction(writes=False) as connection:
            return allowance_of(connection, analyst, parse_dataset_id(dataset))

    def set_allowance(self, analyst: AnalystId, dataset: str, nano_rho: int | None) -> AllowanceState:
        """Set what an analyst may charge to a dataset in all, or lift it; for fairness only.

        Raises:
            UnknownAccountError, ChargeRequestError: no account, or no amount.
        """
        with self._store.transaction(writes=True) as connection:
            return set_allowance(connection, analyst, parse_dataset_id(dataset), nano_rho)

    def raise_cap(self, approvals: Sequence[raises.RaiseApproval]) -> raises.RaiseRequest:
        """Raise the cap of a dataset's accounts, or the cap for one person, as two people approved; visible for good (privacy rule 19).

        Raises:
            BudgetRaiseError: two of the people whom the ledger names did not approve it, it is of another ledger, or the cap is another one by now.
        """
        with self._spending() as (connection, anchor):
            return raises.apply(connection, anchor, approvals, self._clock())

    def raised(self, request_digest: str) -> bool:
        """Tell whether a cap was raised by the request with this SHA-256."""
        check_digest(request_digest)
        with self._store.transaction(writes=False) as connection:
            return raises.was_applied(connection, request_digest)

    def name_approvers(self, approvals: Sequence[ApproverApproval]) -> ApproverRequest:
        """Name other people who may approve raises, as two of the present ones approved; visible for good (privacy rule 19).

        Raises:
            BudgetRaiseError: two of the present ones did not approve it, it is of another ledger, or others were named since.
        """
        with self._spending() as (connection, anchor):
            return rename(connection, anchor, approvals, self._clock())

    def approvers(self) -> ApproverSet | None:
        """The people who may approve raises; None for a ledger of an earlier version that names nobody yet."""
        with self._store.transaction(writes=False) as connection:
            return present_set(connection)

    # --- decisions and marks ----------------------------------------------------------------------------------------------

    def decide(self, charge_id: str, kind: DecisionKind, *, before_decision: bool = False) -> ReleaseDecision:
        """Record a step about a drawn release, for good; it is on disk when this returns. See `casehaven.ledger.decisions`.

        Args:
            charge_id: of the charge that paid for the release.
            kind: published, withheld, or that the private report is about to be opened.
            before_decision: open the report although nothing was decided; the release is marked for good (privacy rule 33).

        Raises:
            UnknownChargeError, DecisionError, DecisionNeededError: as `record_step`; nothing was written.
        """
        with self._spending() as (connection, _):
            decided = record_step(connection, charge_id, kind, now=self._clock(), before_decision=before_decision)
            append(connection, f"decide {charge_id} {kind.value}")
            return decided

    def release(self, charge_id: str) -> ReleaseDecision | None:
        """Return what was decided about the release of a charge; None where this ledger knows none."""
        with self._store.transaction(writes=False) as connection:
            return next(iter(release_decisions(connection, charge_id)), None)

    def mark_unbounded(self, dataset: str, request_digest: str, *, vault_id: str | None = None) -> UnboundedMark:
        """Record, for good, that a dataset is about to be released without differential privacy; it is on disk when this returns (privacy rule 34).

        Args:
            dataset: `organisation/dataset`; it has accounts.
            request_digest: SHA-256 of the request that two people approved; good for one attempt.
            vault_id: of the vault that its records are in, as for `charge`.

        Raises:
            UnknownAccountError, UnboundedRequestUsedError, ChargeRequestError: no account, a request used before, no digest.
        """
        check_digest(request_digest)
        with self._spending() as (connection, anchor):
            mark = unbounded.write_mark(connection, parse_dataset_id(dataset), request_digest, self._clock()[:10])
            bind_opened(connection, anchor, mark.dataset, parse_vault_id(vault_id), self._clock())
            append(connection, f"unbounded {request_digest}")
            anchor.raise_state(stored_state(connection))
            return mark

    def unknown(self, opened: Mapping[str, str]) -> frozenset[str]:
        """Return those of some ids of receipts, each with when something was opened under it, that this ledger neither issued nor counts since it was resumed."""
        with self._store.transaction(writes=False) as connection:
            return unbounded.unknown(connection, opened)

    def pooled_with(self, dataset: str) -> tuple[str, ...]:
        """Return the datasets of other organisations that were ever charged together with this one."""
        with self._store.transaction(writes=False) as connection:
            return unbounded.pooled_with(connection, parse_dataset_id(dataset))

    def statement(self) -> Statement:
        """What has been spent, per dataset and block, and the worst total for one person; exact, for the people who keep the ledger."""
        with self._store.transaction(writes=False) as connection:
            return stored_statement(connection)

    def spending_of(self, organisation: str, *, day: str, today: str) -> OrganisationSpending:
        """What an organisation's datasets spent before the beginning of a day, month by month and by purpose, and the allowances on them; exact, for those who keep the ledger."""
        with self._store.transaction(writes=False) as connection:
            return stored_spending(connection, organisation, day=day, today=today)

    def statement_before(self, day: str, *, today: str) -> Statement:
        """The same, of what was charged before the beginning of a day (ISO 8601, UTC); for the public statement."""
        with self._store.transaction(writes=False) as connection:
            return stored_statement(connection, of=charged_before(day, today))
