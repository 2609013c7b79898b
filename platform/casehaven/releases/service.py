"""The release of case files, or of datasets in a vault, from draft to bundle.

1. Everything public is checked first: policy, plan, files' structure or the vault's datasets, place of the bundle. What fails there costs nothing.
2. The charge is committed to every contributing dataset and block before a cell becomes a code (privacy rules 2, 12 and 14).
3. A draw is announced to the ledger before the snapshot opens, and the result's digest before its first byte is on disk. Interrupted
   before that, the charge stands and the same request may draw once more under it; cut short after it, the bundle is finished from
   the measurements that are on disk, and nothing is drawn again.
4. The same request again returns the bundle that is there at no charge (privacy rule 16).
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from casehaven.errors import CasehavenError
from casehaven.intake import snapshot
from casehaven.ledger import AlreadyRevealedError, ChargeRecord, ChargeState, IdempotencyKey, Ledger
from casehaven.releases.request import request_body
from caseschemas import CaseSchema
from casesynth.bundle import BundleExistsError, stated_measurements, write_bundle
from casesynth.domain import Domain
from casesynth.named import named_tables
from casesynth.notes import ReleaseNotes
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
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class DraftError(CasehavenError):
    """A draft that contradicts itself."""


class PersonTokensError(DraftError):
    """Several organisations, and nobody said whether their tokens are shared; or a choice where no token is read."""


class RequestBusyError(CasehavenError):
    """Another process is working on the same request."""


class UnknownDatasetError(CasehavenError):
    """A dataset that has no account in the ledger, and nobody said that it is new."""


@dataclass(frozen=True, kw_only=True)
class ReleaseDraft:
    """What a steward asks to release; public choices only, made before any record is read."""

    files: tuple[Path, ...] = ()
    """Case files; none where datasets of a vault are released."""
    organisations: tuple[str, ...] = ()
    """One per file: the organisation whose dataset pays."""
    vault_datasets: tuple[str, ...] = ()
    """Datasets of a vault, `organisation/dataset`; each pays for itself."""
    schema: CaseSchema
    epsilon: float
    people_cap: int
    out: Path
    """Folder of the bundle; must not exist."""
    delta: float | None = None
    person_key: str | None = None
    """Column with the person token; default the schema's. Ignored when one row is one person."""
    row_is_person: bool = False
    """The steward declares that one row is one person (privacy rule 1)."""
    legal_basis: str | None = None
    dataset: str | None = None
    """Name of the dataset within each organisation; default the schema's id."""
    tokens_are: Literal["shared", "separate"] | None = None
    """Of several organisations: shared, equal tokens mean the same person, made with the agreement's linkage key; separate, tokens are each
    organisation's own and it is part of them. No default: the wrong one merges strangers or counts people twice."""
    max_tokens_per_person: int | None = None
    """Default the number of organisations; lower only with a reason (privacy rule 2)."""
    tokens_reason: str | None = None
    open_accounts: bool = False
    """The steward says that datasets without an account are new, and opens accounts for them."""
    ignored_columns: tuple[str, ...] = ()
    decision_used_private_data: bool = False
    """The steward declares that a comparison with real records led to this release (privacy rule 33)."""
    title: str | None = None
    tables: tuple[tuple[str, ...], ...] = ()
    """Tables that matter, by attribute, beside those of the schema: they come out sharper."""
    table_share: float | None = None
    schema_tables: bool = True
    """Whether the tables that the schema names are among them."""

    def __post_init__(self) -> None:
        if bool(self.files) == bool(self.vault_datasets):
            raise DraftError("a release needs at least one case file, or at least one dataset of a vault")
        if self.vault_datasets:
            self._check_vault_datasets()
        elif len(self.organisations) != len(self.files):
            raise DraftError(f"{len(self.files)} files but {len(self.organisations)} organisations; name one per file")
        for name in {*self.contributors, self.dataset or self.schema.id}:
            if not _NAME.fullmatch(name):
                raise DraftError(
                    f"{name[:60]!r} cannot name an organisation or dataset: use 1 to 64 of the characters a-z 0-9 . _ - "
                    f"and start with a letter or digit, for example {_suggested(name)}"
                )
        if len({path.resolve() for path in self.files}) != len(self.files):
            raise DraftError("a file is named twice")
        if not self.row_is_person and self.person is None:
            raise DraftError(
                f"{self.schema.id} names no person key; name the column that tells persons apart, "
                "or declare that one row is one person"
            )
        if self.tokens_are is None and self.default_tokens > 1 and not self.row_is_person:
            raise PersonTokensError(
                f"{self.default_tokens} organisations: are their person tokens shared or separate? shared: the same token in two files is the "
                "same person, because the tokens were made with the agreement's linkage key; separate: each organisation numbers its own people, "
                "so the same token in two organisations is two people"
            )
        if self.tokens_are is not None and self.row_is_person:
            raise PersonTokensError("where one row is one person no person token is read, shared or separate")
        if self.tokens < self.default_tokens and not (self.tokens_reason or "").strip():
            raise DraftError(
                f"max_tokens_per_person {self.tokens} is lower than the {self.default_tokens} organisations; "
                "that needs a reason (--tokens-reason)"
            )

    def _check_vault_datasets(self) -> None:
        if len(set(self.vault_datasets)) != len(self.vault_datasets):
            raise DraftError("a dataset is named twice")
        if self.organisations or self.dataset or self.person_key or self.ignored_columns:
            raise DraftError("datasets of a vault bring their organisation, schema and person key with them")
        if self.row_is_person:
            raise DraftError("a vault keeps records by person; one row cannot be declared one person")
        if self.legal_basis is not None:
            raise DraftError("a vault knows for each person what the person agreed to; no other ground is taken")

    @property
    def contributors(self) -> tuple[str, ...]:
        """The organisation of each file or dataset."""
        if self.vault_datasets:
            return tuple(dataset.partition("/")[0] for dataset in self.vault_datasets)
        return self.organisations

    @property
    def person(self) -> str | None:
        """Column with the person token; None when one row is one person."""
        return None if self.row_is_person else (self.person_key or self.schema.person_key)

    @property
    def default_tokens(self) -> int:
        """Number of contributing organisations, linked or not."""
        return len(set(self.contributors))

    @property
    def tokens(self) -> int:
        """How many person tokens one person may have in this release."""
        return self.default_tokens if self.max_tokens_per_person is None else self.max_tokens_per_person

    @property
    def datasets(self) -> tuple[str, ...]:
        """Ids of the datasets that pay, each once."""
        if self.vault_datasets:
            return self.vault_datasets
        name = self.dataset or self.schema.id
        return tuple(dict.fromkeys(f"{organisation}/{name}" for organisation in self.organisations))

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks that the release reads: every year of the schema, and people without one."""
        if self.schema.block is None:
            return ("",)
        values = self.schema.attribute(self.schema.block.attribute).values
        return ("", *(value.code for value in values if value.missing is None))

    def plan(self) -> ReleasePlan:
        """Return the plan, from public facts only."""
        named = named_tables(self.schema, self.tables, self.table_share, of_the_schema=self.schema_tables)
        return ReleasePlan.make(
            Domain.from_schema(self.schema),
            epsilon=self.epsilon,
            people_cap=self.people_cap,
            delta=self.delta,
            max_tokens_per_person=self.tokens,
            tables=named.tables,
            table_share=named.share,
        )


def _suggested(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:64] or "shelter-north"


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
) -> Outcome:
    """Charge the ledger and release datasets of a vault as a signed bundle.

    Counted are the people whose latest consent to synthetic release is a yes.

    Args:
        draft: what to release; it names datasets of the vault.
        vault: where they are.
        ledger: what pays.
        key: signs the bundle.
        request: the same for every attempt at this release.
        progress: called with each phase; raising from it cancels, and a charge that was made stands.

    Raises:
        DatasetMissingError, SchemaDiffersError, PeopleCapError, PlanError, BundleExistsError: nothing was charged.
        UnboundedDatasetError: a dataset was released without differential privacy, by the vault's own mark (privacy rule 34).
        SnapshotChangedError: a dataset changed after the charge; the charge stands, one more attempt is free.
        BudgetExhaustedError, UnknownDatasetError, DrawRefusedError, AlreadyRevealedError, OSError: as for case files.
    """
    from casehaven.vault.datasets import parse_dataset_id  # a release of files needs no vault
    from casehaven.vault.snapshots import snapshot as vault_snapshot
    from casehaven.vault.unbounded import refuse_marked

    def checked() -> Source:
        datasets = [vault.dataset(*parse_dataset_id(dataset)) for dataset in draft.vault_datasets]
        for dataset in datasets:
            if dataset.schema.digest() != draft.schema.digest():
                raise DraftError(f"{dataset.id} has the schema {dataset.schema.id} {dataset.schema.version}")
        opened = vault_snapshot(
            vault, datasets, PURPOSE, people_cap=draft.people_cap, tokens_are=draft.tokens_are or "separate"
        )
        refuse_marked(vault, datasets)

        def open_people(receipt: Receipt, *, check: Callable[[], None]) -> PersonTable:
            refuse_marked(vault, datasets)  # a mark that was made since the check
            return opened.open(receipt, check=check)

        return Source(open=open_people, consent_applied=True)

    with _alone(ledger, request):
        return _release(draft, checked, ledger, key, request, progress)


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
) -> Outcome:
    plan = draft.plan()
    known = ledger.find(request)
    written = known if known is not None and known.state in (ChargeState.WRITING, ChargeState.REVEALED) else None
    if written is None and (draft.out.exists() or draft.out.is_symlink()):
        raise BundleExistsError(f"{draft.out} is there already; a bundle is never overwritten")
    if not draft.out.resolve().parent.is_dir():
        raise DraftError(f"the folder {draft.out.resolve().parent} for the bundle does not exist")

    def charge(loss: PrivacyLoss) -> Receipt:
        # privacy rule 14: charge before data is touched; rule 16: a replay returns the same receipt at no charge
        return ledger.charge(
            key=request,
            body=request_body(draft, plan),
            datasets=draft.datasets,
            blocks=draft.blocks,
            loss=loss,
            purpose=PURPOSE,
        )

    if written is not None:
        charge(plan.loss)  # refuses another request under the same key
        return _finish(draft, plan, ledger, key, written, progress)
    progress("check", None)
    source = checked()
    notes = _notes(draft, source)
    _open_accounts(draft, ledger)

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
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestBusyError("another process is working on this request") from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _open_accounts(draft: ReleaseDraft, ledger: Ledger) -> None:
    """Open the accounts of new datasets when the steward says that they are new: a slip of the pen must not open a fresh budget."""
    opened = sorted({row.dataset for row in ledger.statement().rows})
    new = [dataset for dataset in draft.datasets if dataset not in opened]
    if new and not draft.open_accounts:
        similar = sorted({name for dataset in new for name in difflib.get_close_matches(dataset, opened, cutoff=0.5)})
        hint = f"; did you mean {', '.join(similar)}?" if similar else ""
        raise UnknownDatasetError(f"the ledger has no account for {', '.join(new)}{hint}")
    for dataset in draft.datasets:
        ledger.open_dataset(dataset, draft.blocks)


def _notes(draft: ReleaseDraft, source: Source) -> ReleaseNotes:
    lowered = draft.tokens < draft.default_tokens
    return ReleaseNotes(
        title=draft.title or f"Protected release of case records ({draft.schema.id} {draft.schema.version})",
        created=datetime.now(UTC).date().isoformat(),
        organisations=draft.default_tokens,
        unit="record" if draft.row_is_person else "person token",
        consent_applied=source.consent_applied,
        legal_basis=(draft.legal_basis or "").strip() or None,
        person_tokens=draft.tokens_are if draft.default_tokens > 1 else None,
        tokens_reason=draft.tokens_reason if lowered else None,
        decision_used_private_data=draft.decision_used_private_data,
    )
