"""Whether a job may count what it asks for, decided where the keys are: no agreement, no pooling.

1. Whoever asks is looked up at execution: an active member with the right. Without an agreement a job is about datasets of the asker's own organisation, and of no other: a steward's grant
   lets the own researchers ask, and is asked for again just before the charge (`casehaven.worker.grants`).
2. With an agreement, one and the same document in force has to cover all of it: every dataset, the purpose, the asker, every attribute at its level. Two agreements never add up.
   An asker names the agreement and no dataset; which datasets these are is found here and told to nobody.
3. A document counts when its bytes have the digest that its contributors signed, each contributor's signature stands in the vault's audit log (`casehaven.worker.signatures`), and no
   decline of it and no revocation stands in the store or in the log. The rows of the store alone, which the api can write, put nothing in force.
4. All this is asked again in the transaction that encloses the charge: a revocation is before a charge, and refuses it, or after it. The charge is to every dataset that can pay, with the
   agreement as a payer of its own: what is left of its budget is the ledger's to say, in the same transaction.
5. Which datasets cannot pay is read from the ledger's public statement of the month, never from a balance and never from a record: it says what everybody may know (privacy rule 18).
6. What is refused tells no contributor's name: beyond what the agreement or the question itself refuses, only the fixed title of the error is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from casehaven.agreements.coverage import check_question, check_release
from casehaven.agreements.document import LEFT_OUT, AgreementDocument, check_against_schema
from casehaven.agreements.errors import (
    AgreementBudgetError,
    AgreementNeededError,
    AgreementsError,
    NotAgreedError,
    TooFewContributorsError,
)
from casehaven.agreements.service import DECLINED, REVOKED, agreement_of
from casehaven.agreements.uses import Use, begin_use, charge_use, settle_use
from casehaven.core.training import refuse_training
from casehaven.drafts.errors import DraftsError
from casehaven.errors import CasehavenError
from casehaven.intake.prepared_history import prepared_history
from casehaven.ledger import AnalystId, IdempotencyKey
from casehaven.ledger.errors import AllowanceExhaustedError
from casehaven.ledger.public import public_statement
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.members import Member, member_by_id
from casehaven.organisations.roles import rights_of
from casehaven.queries.errors import QueryError
from casehaven.queries.pooled import Pool
from casehaven.vault.datasets import Dataset, parse_dataset_id
from casehaven.vault.errors import DatasetMissingError
from casehaven.vault.snapshots import Tokens
from casehaven.vault.store import Vault
from casehaven.worker.grants import granted_limits, set_limits
from casehaven.worker.pool_names import pool_name
from casehaven.worker.signatures import Signatures, ended_in_log
from casehaven.worker.work import Work
from casesynth.answers.question import Question
from casesynth.privacy import PrivacyLoss

SIGNED: Final = "agreement.sign"
"""The action of a signature in the vault's audit log; its object is the document's digest."""
SIGNATURES: Final = Signatures(action=SIGNED, object_kind="agreement")


def payer(document: AgreementDocument) -> AnalystId:
    """Return the agreement as the ledger's payer: no member's handle has an @, so no grant of a steward moves its limit."""
    return AnalystId(text=f"agreement@{document.agreement}")


@dataclass(kw_only=True)
class Permission:
    """What a job may count, and the agreement that lets it; None: datasets of the asker's own organisation."""

    work: Work
    asker: Member
    purpose: str
    datasets: tuple[Dataset, ...]
    """All datasets of the agreement, or those that the job names."""
    document: AgreementDocument | None
    tokens_are: Tokens
    key: str
    """Of the charge."""
    operation: Operation
    """What the asker does."""
    counted: tuple[Dataset, ...] = ()
    """Those that can pay; set by `pool`."""
    also: Callable[[Connection], object] | None = None
    """A further look in the transaction that encloses the charge, where there is one; raises where nothing may be charged."""

    def check_question(self, question: Question) -> None:
        """Return when the agreement allows every attribute of a question (rule 2).

        Raises:
            NotAgreedError: names the attribute.
        """
        if self.document is not None:
            check_question(self.document, question, self.datasets[0].schema, self.datasets[0].domain)

    def check_release(self) -> None:
        """Return when the agreement allows a release of every attribute.

        Raises:
            NotAgreedError: names the first that it does not allow.
        """
        if self.document is not None:
            check_release(self.document, self.datasets[0].schema)

    def pool(self, blocks: Collection[str]) -> Pool | None:
        """Choose the datasets that can pay for some blocks (rule 5), and return the terms that they are counted under.

        Raises:
            TooFewContributorsError: datasets of fewer than two organisations are left.
        """
        document = self.document
        if document is None:
            self.counted = self.datasets
            return None
        dry = dry_datasets(public_statement(self.work.bench.ledger), blocks)
        self.counted = tuple(dataset for dataset in self.datasets if dataset.id not in dry)
        if not self.counted or len({dataset.organisation for dataset in self.counted}) < min(
            2, len(document.contributors)
        ):
            raise TooFewContributorsError
        return Pool(
            agreement=document.agreement,
            name=pool_name(document, (dataset.id for dataset in self.counted)),
            tokens=document.max_tokens_per_person,
            people_cap=document.people_cap,
            minimum_count=document.minimum_count,
            left_out=len(self.datasets) - len(self.counted),
            rule=LEFT_OUT,
        )

    @property
    def analyst(self) -> AnalystId:
        """Who pays beside the accounts: the agreement, or the asker."""
        return AnalystId(text=self.asker.handle) if self.document is None else payer(self.document)

    @contextmanager
    def permit(self, loss: PrivacyLoss) -> Iterator[None]:
        """Enclose a charge: nobody can revoke between the last look and the charge (rule 4).

        Raises:
            AgreementNeededError: the agreement is not in force any more, or the asker not a member.
            AgreementBudgetError: it cannot pay.
            NotFoundError: without an agreement: the grant of a dataset was ended.
        """
        document, bench = self.document, self.work.bench
        if document is None:
            with bench.store.reading() as connection:
                names = [dataset.id for dataset in self.datasets]
                limits = granted_limits(connection, self._asker(connection), self.operation, names)
            set_limits(bench.ledger, self.analyst, limits)
            if self.also is None:
                yield
                return
            with bench.store.writing() as connection:
                self.also(connection)
                yield
            return
        self._limit_payer(document)
        with bench.store.writing() as connection:
            if _in_force(connection, document.agreement, bench.clock(), self._asker(connection)) != document:
                raise AgreementNeededError
            if self.also is not None:
                self.also(connection)
            charge_use(connection, self.key, loss.nano_rho)
            try:
                yield
            except AllowanceExhaustedError:
                raise AgreementBudgetError from None

    @contextmanager
    def using(self, what: str) -> Iterator[None]:
        """Write down what the datasets are used for while the block runs; what is refused before a charge leaves nothing."""
        if self.document is None:
            yield
            return
        bench = self.work.bench
        use = Use(
            key=self.key,
            document=self.document,
            datasets=[dataset.id for dataset in self.counted],
            purpose=self.purpose,
            what=what,
        )
        with bench.store.writing() as connection:
            begin_use(connection, use, bench.clock())
        try:
            yield
        except CasehavenError:
            self._settle(free=False)
            raise
        self._settle(free=True)

    def in_force_within(self, connection: Connection) -> bool:
        """Whether the agreement is still in force, within somebody's writing transaction; without one there is nothing to ask."""
        if self.document is None:
            return True
        now = self.work.bench.clock()
        return _in_force(connection, self.document.agreement, now, self._asker(connection)) == self.document

    def _settle(self, *, free: bool) -> None:
        """End a use as the ledger knows it: whatever failed, a charge that was made is a use."""
        known = self.work.bench.ledger.find(IdempotencyKey(text=self.key))
        with self.work.bench.store.writing() as connection:
            if known is not None:
                charge_use(connection, self.key, known.receipt.loss.nano_rho)
            else:
                settle_use(connection, self.key, free=free)

    def _asker(self, connection: Connection) -> Member:
        return _asker(connection, self.work)

    def _limit_payer(self, document: AgreementDocument) -> None:
        """Set what the agreement may charge to each dataset, where the ledger has another limit."""
        ledger, analyst = self.work.bench.ledger, payer(document)
        for dataset in self.counted:
            if ledger.allowance(analyst, dataset.id).limit_nano_rho != document.budget_nano_rho:
                ledger.set_allowance(analyst, dataset.id, document.budget_nano_rho)


def permission(work: Work, purpose: str, operation: Operation) -> Permission:
    """Return what a job may count.

    Args:
        work: the job. Its request names the agreement, or else the job its datasets.
        purpose: what for.
        operation: what the asker does; they have to hold it still.

    Raises:
        AgreementNeededError: datasets of several organisations, or of another one than the asker's, without an agreement in force that lets the asker ask.
        NotAgreedError: the agreement has another purpose.
        TrainingDataError: a dataset of training together with another one, or under an agreement.
        NotFoundError: without an agreement: nothing lets the asker do this with one of the datasets.
    """
    bench, named = work.bench, work.request.get("agreement")
    key = f"job-{work.job.job_id}"
    with bench.store.reading() as connection:
        asker = _asker(connection, work)
        if not any(right.operation is operation for right in rights_of(asker.kind, asker.roles)):
            raise AgreementNeededError
        document = None if named is None else _in_force(connection, str(named), bench.clock(), asker)
    if document is None:
        datasets = tuple(work.datasets())
        if len(datasets) > 1:
            refuse_training(dataset.id for dataset in datasets)
        if named is not None or not datasets or {dataset.organisation for dataset in datasets} != {asker.organisation}:
            raise AgreementNeededError
        with bench.store.reading() as connection:
            granted_limits(connection, asker, operation, [dataset.id for dataset in datasets])
        shared: Tokens = "shared" if work.request.get("person_tokens") == "shared" else "separate"
        return Permission(
            work=work,
            asker=asker,
            purpose=purpose,
            datasets=datasets,
            document=None,
            tokens_are=shared,
            key=key,
            operation=operation,
        )
    if not signed_in_log(bench.vault, document):
        raise AgreementNeededError
    if purpose not in document.purposes:
        raise NotAgreedError("the agreement does not have this purpose")
    datasets = _datasets(bench.vault, document)
    return Permission(
        work=work,
        asker=asker,
        purpose=purpose,
        datasets=datasets,
        document=document,
        tokens_are=_tokens(bench.vault, document, datasets),
        key=key,
        operation=operation,
    )


def signed_in_log(vault: Vault, document: AgreementDocument) -> bool:
    """Whether the vault's audit log holds every contributor's signature of a document, no decline of it and no revocation (rule 3)."""
    with vault.database.transaction(writes=False) as connection:
        signed = signed_by(vault, connection, document.digest) >= set(document.contributors)
        ended = ((REVOKED, document.agreement), (DECLINED, document.digest))
        return signed and not any(ended_in_log(connection, action, name) for action, name in ended)


def signed_by(vault: Vault, connection: Connection, digest: str) -> set[str]:
    """Return the organisations that signed a document, as the vault's audit log has it."""
    return {entry.organisation for entry in SIGNATURES.of(vault, connection, [digest])}


def dry_datasets(statement: dict[str, Any], blocks: Collection[str]) -> frozenset[str]:
    """Return the datasets of which an account for one of some blocks is spent, by the public statement of the month (rule 5)."""
    return frozenset(
        account["dataset"]
        for account in statement["accounts"]
        if account["block"] in blocks
        and (account["spent_parts"] is None or account["spent_parts"] >= statement["steps"])
    )


@contextmanager
def nameless(found: Permission | None) -> Iterator[None]:
    """Take the words from whatever is refused under an agreement, where they could name a contributor (rule 6)."""
    try:
        yield
    except (AgreementsError, QueryError, DraftsError):
        raise
    except CasehavenError as error:
        if found is None or found.document is not None:
            error.args = ()
        raise


def _asker(connection: Connection, work: Work) -> Member:
    """Return who asks, as they are now (rule 1)."""
    try:
        found = member_by_id(connection, work.job.member_id)
    except NotFoundError:
        raise AgreementNeededError from None
    if not found.active:
        raise AgreementNeededError
    return found


def _in_force(connection: Connection, agreement: str, now: int, asker: Member) -> AgreementDocument | None:
    """Return the document in force that lets a member ask, as the store knows it."""
    try:
        document = agreement_of(connection, agreement).in_force(now)
    except NotFoundError:
        return None
    return document if document is not None and document.lets_ask(asker.handle, asker.organisation) else None


def _datasets(vault: Vault, document: AgreementDocument) -> tuple[Dataset, ...]:
    """Return all datasets of a document, checked against it as they are now."""
    refuse_training(document.datasets)
    try:
        found = tuple(vault.dataset(*parse_dataset_id(name)) for name in document.datasets)
        for dataset in found:
            check_against_schema(document, dataset.schema, {each.id: each.people_cap for each in found})
    except (DatasetMissingError, AgreementsError):
        raise AgreementNeededError from None
    return found


def _tokens(vault: Vault, document: AgreementDocument, datasets: Sequence[Dataset]) -> Tokens:
    """Return whether equal tokens are one person: where every dataset's were made under the agreement's linkage key."""
    linked = document.linkage is not None and all(
        prepared_history(vault, dataset).linkage_key == document.linkage for dataset in datasets
    )
    return "shared" if linked else "separate"
