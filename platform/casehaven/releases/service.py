"""The release of case files, or of datasets in a vault, from draft to bundle.

1. Everything public is checked first: policy, plan, files' structure or the vault's datasets, place of the bundle. What fails there costs nothing.
2. The charge is committed to every contributing dataset and to every block that is read before a cell becomes a code (privacy rules 2, 12 and 14).
3. A draw is announced to the ledger before the snapshot opens, and the result's digest before its first byte is on disk. Interrupted
   before that, the charge stands and the same request may draw once more under it; cut short after it, the bundle is finished from
   the measurements that are on disk, and nothing is drawn again.
4. The same request again returns the bundle that is there at no charge (privacy rule 16).
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from casehaven.errors import CasehavenError
from casehaven.intake import snapshot
from casehaven.ledger import AlreadyRevealedError, AnalystId, ChargeRecord, ChargeState, IdempotencyKey, Ledger
from casehaven.ledger.one_holder import one_holder
from casehaven.queries.pooled import Permit, always
from casehaven.releases.draft import DraftError, ReleaseDraft
from casehaven.releases.request import request_body
from casesynth.bundle import BundleExistsError, stated_measurements, write_bundle
from casesynth.notes import ReleaseNotes, registered_words
from casesynth.persons import PersonTable
from casesynth.plan import ReleasePlan
from casesynth.privacy import PrivacyLoss, Receipt
from casesynth.progress import Progress, silent
from casesynth.signing import SigningKey
from casesynth.synthesis import Synthesis, recompute, synthesise
from casesynth.unfinished import Stages, find_unfinished, remove_work_folders

if TYPE_CHECKING:
    from casehaven.vault.store import Vault

PURPOSE: Final = "synthetic_release"


class RequestBusyError(CasehavenError):
    """Another process is working on the same request."""


class UnknownDatasetError(CasehavenError):
    """A dataset that has no account in the ledger, and nobody said that it is new."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a draft."""

    folder: Path
    synthesis: Synthesis | None
    """None when the request was a replay of a release that is there already."""


def release_case_files(
    draft: ReleaseDraft, ledger: Ledger, key: SigningKey, request: IdempotencyKey, *, progress: Progress = silent
) -> Outcome:
    """Charge the ledger and release case files as a signed bundle.

    Args:
        draft: what to release.
        ledger: what pays.
        key: signs the bundle.
        request: the same for every attempt at this release.
        progress: called with each phase; raising from it cancels, and a charge that was made stands.

    Raises:
        CaseFileError, PersonKeyError, PeopleCapError, PlanError, PrivacyLossError, BundleExistsError: nothing was charged.
        BudgetExhaustedError: no balance changed.
        UnknownDatasetError: a dataset has no account and the draft does not open one; nothing was charged.
        DrawRefusedError, AlreadyRevealedError: the request was drawn before and cannot be drawn again.
        OSError: the disk is full; the charge stands, no half bundle is left, one more attempt is free.
    """
    if draft.vault_datasets:
        raise DraftError("this draft names datasets of a vault, and no files")

    def checked() -> Source:
        opened = snapshot(
            draft.files,
            draft.schema,
            people_cap=draft.people_cap,
            person=draft.person,
            organisations=draft.organisations if draft.tokens_are == "separate" else None,
            legal_basis=draft.legal_basis,
            ignored=draft.ignored_columns,
            check=lambda: progress("check", None),
        )
        return Source(open=opened.open, consent_applied=opened.consent is not None)

    with _alone(ledger, request):
        return _release(draft, checked, ledger, key, request, progress)


def release_vault_datasets(
    draft: ReleaseDraft,
    vault: Vault,
    ledger: Ledger,
    key: SigningKey,
    request: IdempotencyKey,
    *,
    progress: Progress = silent,
    payer: AnalystId | None = None,
    permit: Permit = always,
) -> Outcome:
    """Charge the ledger and release datasets of a vault as a signed bundle.

    Counted are the people whose latest consent to synthetic release is a yes. Where a dataset changes while it is opened, the opening begins again: no change fails a release.

    Args:
        draft: what to release; it names datasets of the vault.
        vault: where they are.
        ledger: what pays.
        key: signs the bundle.
        request: the same for every attempt at this release.
        progress: called with each phase; raising from it cancels, and a charge that was made stands.
        payer: an agreement that pays beside the accounts, within its own budget.
        permit: encloses the charge, and raises where it may not be made.

    Raises:
        DatasetMissingError, SchemaDiffersError, PeopleCapError, PlanError, BundleExistsError: nothing was charged.
        OtherLedgerError: a dataset's accounts are in another ledger; nothing was charged.
        UnboundedDatasetError: a dataset was released without differential privacy, by the vault's own mark (privacy rule 34).
        BudgetExhaustedError, UnknownDatasetError, DrawRefusedError, AlreadyRevealedError, OSError: as for case files.
    """
    from casehaven.intake.prepared_history import more_linkage_keys
    from casehaven.vault.datasets import parse_dataset_id  # a release of files needs no vault
    from casehaven.vault.ledger_binding import bind_ledger
    from casehaven.vault.snapshots import snapshot as vault_snapshot
    from casehaven.vault.unbounded import refuse_marked

    named = [vault.dataset(*parse_dataset_id(dataset)) for dataset in draft.vault_datasets]
    draft = replace(draft, more_tokens=more_linkage_keys(vault, named))

    def bound() -> None:
        datasets = [vault.dataset(*parse_dataset_id(dataset)) for dataset in draft.vault_datasets]
        bind_ledger(vault, datasets, ledger.id, ledger.unknown)

    def checked() -> Source:
        datasets = [vault.dataset(*parse_dataset_id(dataset)) for dataset in draft.vault_datasets]
        for dataset in datasets:
            if dataset.schema.digest() != draft.schema.digest():
                raise DraftError(f"{dataset.id} has the schema {dataset.schema.id} {dataset.schema.version}")
        opened = vault_snapshot(
            vault,
            datasets,
            PURPOSE,
            people_cap=draft.people_cap,
            tokens_are=draft.tokens_are or "separate",
            blocks=draft.registered or None,
        )
        refuse_marked(vault, datasets)

        def open_people(receipt: Receipt, *, check: Callable[[], None]) -> PersonTable:
            refuse_marked(vault, datasets)  # a mark that was made since the check
            return opened.open(receipt, check=check)

        return Source(open=open_people, consent_applied=True)

    with _alone(ledger, request):
        return _release(
            draft,
            checked,
            ledger,
            key,
            request,
            progress,
            vault_id=vault.vault_id,
            bound=bound,
            payer=payer,
            permit=permit,
        )


class OpenPeople(Protocol):
    """Opens the people of a snapshot."""

    def __call__(self, receipt: Receipt, *, check: Callable[[], None]) -> PersonTable:
        """Return one row per person, for a receipt."""
        ...


@dataclass(frozen=True, kw_only=True)
class Source:
    """Checked people of a release: files or a vault."""

    open: OpenPeople
    consent_applied: bool
    """Whether consent decided who is counted."""


def _release(
    draft: ReleaseDraft,
    checked: Callable[[], Source],
    ledger: Ledger,
    key: SigningKey,
    request: IdempotencyKey,
    progress: Progress,
    *,
    vault_id: str | None = None,
    bound: Callable[[], None] = lambda: None,
    payer: AnalystId | None = None,
    permit: Permit = always,
) -> Outcome:
    plan = draft.plan()
    known = ledger.find(request)
    written = known if known is not None and known.state in (ChargeState.WRITING, ChargeState.REVEALED) else None
    if written is None and (draft.out.exists() or draft.out.is_symlink()):
        raise BundleExistsError(f"{draft.out} is there already; a bundle is never overwritten")
    if not draft.out.resolve().parent.is_dir():
        raise DraftError(f"the folder {draft.out.resolve().parent} for the bundle does not exist")

    def charge(loss: PrivacyLoss) -> Receipt:
        bound()  # one ledger holds a dataset's accounts, for good
        # privacy rule 14: charge before data is touched; rule 16: a replay returns the same receipt at no charge
        with permit(loss):
            return ledger.charge(
                key=request,
                body=request_body(draft, plan),
                datasets=draft.datasets,
                blocks=draft.blocks,
                loss=loss,
                purpose=PURPOSE,
                analyst=payer,
                vault_id=vault_id,
            )

    if written is not None:
        charge(plan.loss)  # refuses another request under the same key
        return _finish(draft, plan, ledger, key, written, progress)
    progress("check", None)
    source = checked()
    notes = _notes(draft, source)
    _open_accounts(draft, ledger, vault_id)

    def open_people(receipt: Receipt) -> PersonTable:
        ledger.begin_draw(receipt)
        return source.open(receipt, check=lambda: progress("count", None))

    synthesis = synthesise(plan, charge=charge, open_people=open_people, progress=progress)
    receipt = synthesis.receipt
    stages = Stages(
        writing=lambda digest: ledger.begin_writing(receipt, digest),
        withdrawn=lambda: ledger.withdraw_writing(receipt),
        revealed=lambda digest: ledger.mark_revealed(receipt, digest),
    )
    write_bundle(synthesis, notes, draft.out, key, schema=draft.schema, stages=stages, progress=progress)
    return Outcome(folder=draft.out, synthesis=synthesis)


def _finish(
    draft: ReleaseDraft,
    plan: ReleasePlan,
    ledger: Ledger,
    key: SigningKey,
    written: ChargeRecord,
    progress: Progress,
) -> Outcome:
    """Return the bundle of a request that was released before, or finish one whose writing was cut short; nothing is drawn or read."""
    digest, charge_id = written.result_digest or "", written.receipt.charge_id
    if stated_measurements(draft.out) == digest:
        ledger.mark_revealed(written.receipt, digest)
        remove_work_folders(draft.out, charge_id)
        return Outcome(folder=draft.out, synthesis=None)
    if draft.out.exists() or draft.out.is_symlink():
        raise BundleExistsError(f"{draft.out} is there already, and it is not the bundle of this request")
    left = find_unfinished(draft.out, charge_id, digest, plan.domain)
    if left is None:
        raise AlreadyRevealedError(
            f"this request was drawn before (measurements with SHA-256 {digest}), and {draft.out} does not hold it",
            result_digest=digest,
        )
    if [(m.clique, m.nano_rho) for m in left.measurements] != [(t.clique, t.nano_rho) for t in plan.tables]:
        raise DraftError(
            "what was measured follows another plan; finish it with the version of casehaven that measured it"
        )
    synthesis = recompute(plan, written.receipt, left.measurements, progress=progress)
    stages = Stages(
        writing=lambda _: None,  # it is recorded already
        withdrawn=lambda: None,  # and it stays: the result is known
        revealed=lambda found: ledger.mark_revealed(written.receipt, found),
    )
    write_bundle(synthesis, left.notes, draft.out, key, schema=draft.schema, stages=stages, progress=progress)
    return Outcome(folder=draft.out, synthesis=synthesis)


@contextmanager
def _alone(ledger: Ledger, request: IdempotencyKey) -> Iterator[None]:
    """Hold the one lock of a request: two processes never work on the same result."""
    name = hashlib.sha256(request.text.encode()).hexdigest()[:16]
    path = ledger.path.with_name(f"{ledger.path.name}.{name}.lock")
    with ExitStack() as held:
        try:
            held.enter_context(one_holder(path, wait=False))
        except BlockingIOError:
            raise RequestBusyError("another process is working on this request") from None
        yield


def _open_accounts(draft: ReleaseDraft, ledger: Ledger, vault_id: str | None) -> None:
    """Open the accounts of new datasets when the steward says that they are new: a slip of the pen must not open a fresh budget."""
    opened = sorted({row.dataset for row in ledger.statement().rows})
    new = [dataset for dataset in draft.datasets if dataset not in opened]
    if new and not draft.open_accounts:
        similar = sorted({name for dataset in new for name in difflib.get_close_matches(dataset, opened, cutoff=0.5)})
        hint = f"; did you mean {', '.join(similar)}?" if similar else ""
        raise UnknownDatasetError(f"the ledger has no account for {', '.join(new)}{hint}")
    for dataset in draft.datasets:
        ledger.open_dataset(dataset, draft.accounts, vault_id=vault_id)


def _notes(draft: ReleaseDraft, source: Source) -> ReleaseNotes:
    of = f", people first registered in {registered_words(draft.registered)}" if draft.registered else ""
    return ReleaseNotes(
        title=draft.title or f"Protected release of case records ({draft.schema.id} {draft.schema.version}){of}",
        created=datetime.now(UTC).date().isoformat(),
        organisations=draft.default_tokens,
        unit="record" if draft.row_is_person else "person token",
        consent_applied=source.consent_applied,
        legal_basis=(draft.legal_basis or "").strip() or None,
        person_tokens=draft.tokens_are if draft.default_tokens > 1 else None,
        tokens_reason=draft.tokens_reason if draft.lowered else None,
        decision_used_private_data=draft.decision_used_private_data,
        registered=draft.registered,
    )
