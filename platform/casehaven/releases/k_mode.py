"""Making a k-synthetic file, which is not differentially private and ends the dataset's account (privacy rule 34).

The order is the rule:

1. What is never done is refused first: more than one organisation or dataset, a dataset under an agreement. `refuse_pooled` is the one place that decides it.
2. Two people approved the very request that is carried out; records come from where it says: the vault of that id, or case files.
3. The files are checked by structure; nothing is read for its values yet.
4. The ledger marks the dataset, for good; a dataset of a vault is marked in the vault too. Then, not before, records are opened.
5. The file is made, checked against its promises, labelled, signed and placed whole.

A dataset of a vault keeps its mark whichever ledger is used later, and another ledger than its own is refused: one that does not know a charge under
which the vault opened the dataset, or the mark that the vault has. A dataset of case files is marked in the ledger that the request names, nowhere else.

A request is good for one attempt, also where the attempt fails: another one needs two people again. There is no way to come here from a server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from casehaven.core.training import refuse_training
from casehaven.errors import CasehavenError
from casehaven.intake import snapshot
from casehaven.ledger import Ledger
from casehaven.releases.k_mode_bundle import write_k_bundle
from casehaven.releases.k_mode_request import VAULT, Approval, KRequest, KRequestError, two_people
from caseschemas import CaseSchema
from casesynth.bundle import BundleExistsError
from casesynth.domain import Domain
from casesynth.kanonymity import k_synthetic
from casesynth.persons import PersonTable
from casesynth.privacy import Receipt
from casesynth.progress import Progress, silent
from casesynth.signing import SigningKey, TrustedSigner, TrustStore

if TYPE_CHECKING:
    from casehaven.vault.store import Vault

PURPOSE: Final = "synthetic_release"


class PooledKModeError(CasehavenError):
    """A k-synthetic file of people whom several organisations share, or whom an agreement covers: never made."""


@dataclass(frozen=True, kw_only=True)
class KOutcome:
    """What was made."""

    folder: Path
    records: int
    """In the file; not the number of people."""
    approved_by: tuple[TrustedSigner, ...]


Open = Callable[[Receipt], PersonTable]


def refuse_pooled(request: KRequest, ledger: Ledger, *, sources: Sequence[str]) -> None:
    """Return only when the records are one organisation's own, of one dataset, under no agreement with others.

    This is the one place that decides it. Today a dataset counts as shared when it was ever charged together with another organisation's. Agreements,
    when there are such, are asked about here.

    Args:
        request: what was approved.
        ledger: where the mark will be.
        sources: `organisation/dataset` that each file or dataset is of.

    Raises:
        PooledKModeError: they are not.
    """
    if set(sources) != {request.dataset}:
        raise PooledKModeError(f"a k-synthetic file is made of one dataset alone, here {request.dataset}")
    others = ledger.pooled_with(request.dataset)
    if others:
        raise PooledKModeError(
            f"{request.dataset} took part in a release together with {', '.join(others[:3])}: people whom organisations share are never "
            "released without a privacy guarantee"
        )


def make_k_synthetic_of_files(
    files: Sequence[Path],
    schema: CaseSchema,
    approvals: tuple[Approval, ...],
    trust: TrustStore,
    ledger: Ledger,
    key: SigningKey,
    out: Path,
    *,
    open_accounts: bool = False,
    ignored_columns: Sequence[str] = (),
    progress: Progress = silent,
) -> KOutcome:
    """Make a k-synthetic file of one organisation's case files.

    Args:
        files: all of the dataset that the request names.
        schema: of the files; the one that the request names.
        approvals: of two people.
        trust: who is known here.
        ledger: that the request names.
        key: signs the bundle.
        out: folder of the bundle; must not exist.
        open_accounts: the dataset is new to the ledger.
        ignored_columns: columns beside the schema's that may be there.
        progress: called with each phase; raising from it cancels, and a mark that was made stays.

    Raises:
        TwoPeopleError, BadSignatureError, KRequestError, PooledKModeError, CaseFileError, PeopleCapError, BundleExistsError: nothing was marked.
        UnboundedRequestUsedError: the request was used before.
    """
    request = _approved(approvals)
    if request.source.startswith(VAULT):
        raise KRequestError("two people approved that records are read from a vault, and these are case files")

    def checked() -> tuple[Open, bool]:
        opened = snapshot(
            files,
            schema,
            people_cap=request.people_cap,
            person=request.person_key,
            legal_basis=request.legal_basis,
            ignored=ignored_columns,
            check=lambda: progress("check", None),
        )
        return lambda receipt: opened.open(receipt, check=lambda: progress("count", None)), opened.consent is not None

    sources = [request.dataset for _ in files]
    return _make(request, approvals, trust, ledger, key, out, schema, sources, checked, open_accounts, progress)


def make_k_synthetic_of_vault(
    vault: Vault,
    approvals: tuple[Approval, ...],
    trust: TrustStore,
    ledger: Ledger,
    key: SigningKey,
    out: Path,
    *,
    open_accounts: bool = False,
    progress: Progress = silent,
) -> KOutcome:
    """Make a k-synthetic file of a dataset of a vault; people count whose latest consent to synthetic release is a yes.

    Raises:
        DatasetMissingError: as for a release.
        TrainingDataError: it is a dataset of training.
        KRequestError: the ledger is not the one under which the vault opened the dataset before; nothing was marked.
        The others: as `make_k_synthetic_of_files`.
    """
    from casehaven.vault.datasets import parse_dataset_id  # a file of case files needs no vault
    from casehaven.vault.ledger_binding import bind_ledger
    from casehaven.vault.snapshots import snapshot as vault_snapshot
    from casehaven.vault.unbounded import charges_of, mark_dataset, marked_since

    request = _approved(approvals)
    refuse_training([request.dataset])
    dataset = vault.dataset(*parse_dataset_id(request.dataset))
    if request.source != f"{VAULT}{vault.vault_id}":
        raise KRequestError(f"the request does not name this vault as its source; expected {VAULT}{vault.vault_id}")
    if request.person_key is None or request.legal_basis is not None:
        raise KRequestError("a vault keeps records by person and knows what each agreed to; the request says otherwise")

    def checked() -> tuple[Open, bool]:
        marked = {row.dataset for row in ledger.statement().rows if row.unbounded_since is not None}
        other = marked_since(vault, dataset) is not None and dataset.id not in marked
        if other or ledger.unknown(charges_of(vault, dataset)):
            raise KRequestError(
                f"the vault opened {dataset.id} before under a ledger that is not this one, or is newer than this copy; use the dataset's own"
            )
        opened = vault_snapshot(vault, [dataset], PURPOSE, people_cap=request.people_cap)
        return lambda receipt: opened.open(receipt, check=lambda: progress("count", None)), True

    def bound() -> None:
        bind_ledger(vault, [dataset], request.ledger, ledger.unknown)

    def mark() -> None:
        mark_dataset(vault, dataset, request_sha256=request.digest(), ledger=request.ledger)

    schema, sources = dataset.schema, [dataset.id]
    return _make(
        request,
        approvals,
        trust,
        ledger,
        key,
        out,
        schema,
        sources,
        checked,
        open_accounts,
        progress,
        vault_id=vault.vault_id,
        bound=bound,
        also_mark=mark,
    )


def _approved(approvals: tuple[Approval, ...]) -> KRequest:
    if not approvals:
        raise KRequestError("a k-synthetic file needs the approvals of two people")
    return approvals[0].request


def _make(
    request: KRequest,
    approvals: tuple[Approval, ...],
    trust: TrustStore,
    ledger: Ledger,
    key: SigningKey,
    out: Path,
    schema: CaseSchema,
    sources: Sequence[str],
    checked: Callable[[], tuple[Open, bool]],
    open_accounts: bool,
    progress: Progress,
    *,
    vault_id: str | None = None,
    bound: Callable[[], None] = lambda: None,
    also_mark: Callable[[], None] = lambda: None,
) -> KOutcome:
    refuse_pooled(request, ledger, sources=sources)
    people = two_people(approvals, trust)
    statement = ledger.statement()
    if request.ledger != statement.ledger_id:
        raise KRequestError("the request names another ledger than this one")
    if request.schema_sha256 != schema.digest():
        raise KRequestError(f"the request names another schema than {schema.id} {schema.version}")
    if out.exists() or out.is_symlink():
        raise BundleExistsError(f"{out} is there already; a bundle is never overwritten")
    if not out.resolve().parent.is_dir():
        raise KRequestError(f"the folder {out.resolve().parent} for the bundle does not exist")
    progress("check", None)
    opening, consent_applied = checked()
    if open_accounts:
        ledger.open_dataset(request.dataset, [""], vault_id=vault_id)
    bound()  # one ledger holds a dataset's accounts, for good
    mark = ledger.mark_unbounded(
        request.dataset, request.digest(), vault_id=vault_id
    )  # privacy rule 34: before anything is opened
    also_mark()
    domain = Domain.from_schema(schema)
    made = k_synthetic(opening(mark.receipt), domain, k=request.k, mode=request.mode, progress=progress)
    progress("write", 0.0)
    write_k_bundle(made, domain, request, approvals, out, key, consent_applied=consent_applied)
    return KOutcome(folder=out, records=made.records, approved_by=people)
