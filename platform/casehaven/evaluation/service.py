"""The private report of a release: utility against the real records, and attacks, for the steward.

1. It is opened by `casehaven evaluate` alone, after the ledger recorded that it is (privacy rule 33). This module takes a `ReleaseDecision` that says so, and refuses without.
2. The real people are those who may be counted now: consent, corrections, erasures and retention since the release count. The report says that they may differ from those of the release.
3. Control people for the attacks are drawn from the released model with another seed: nobody real is left out of a release to have some. They are more alike to the synthetic records than people
   who were really left out, which can make a risk look smaller than it is; the attacks on generated people in docs/benchmarks.md use people who were left out.
4. What it returns holds exact counts of real people: never in a log, an error or a release.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from casehaven.errors import CasehavenError
from casehaven.intake import snapshot
from casehaven.ledger import ReleaseDecision
from casehaven.releases.published import PublishedRelease
from caseschemas import CaseSchema
from casesynth.aggregates import LENGTH, LOWEST_END, MINIMUM
from casesynth.codes import Codes
from casesynth.counting import count
from casesynth.domain import known_values
from casesynth.encode import encode
from casesynth.evaluation.attacks import Risk, attack_all
from casesynth.evaluation.detail import Bucket, Subgroup, buckets, subgroups
from casesynth.evaluation.private import Utility, utility
from casesynth.intervals import ErrorScale, half_widths
from casesynth.marginals import Clique
from casesynth.model import LatentClassModel
from casesynth.persons import PersonTable
from casesynth.privacy import Receipt
from casesynth.sample import draw_people
from casesynth.seeded import generator

if TYPE_CHECKING:
    from casehaven.vault.store import Vault

RECORDS_FILE = "synthetic.parquet"

Check = Callable[[], None]


class OtherDatasetsError(CasehavenError):
    """The records named are not those of the datasets that paid for the release."""


class NobodyEvaluatedError(CasehavenError):
    """Nobody may be counted any more, so there is nothing to compare with."""


@dataclass(frozen=True, kw_only=True)
class RealPeople:
    """The people behind a release, as they may be counted now. Private."""

    table: PersonTable
    source: str
    """Datasets or files, in words."""


@dataclass(frozen=True, kw_only=True)
class PrivateReport:
    """What a steward learns from real records about a release. Private: exact numbers about real people."""

    title: str
    manifest_sha256: str
    source: str
    made_on: str
    """Date, ISO 8601."""
    used_private_data: bool
    """Whether the release carries the mark of privacy rule 33."""
    people: int
    """Exact."""
    people_released: tuple[float, float, float]
    """Estimate of the release, and the ends of its 95 % interval."""
    records: tuple[Utility, ...]
    """Of the synthetic records, per length."""
    estimates: tuple[Utility, ...]
    """Of the aggregates, per length; what privacy rule 25 hides counts as nobody."""
    sizes: tuple[Bucket, ...]
    """Errors of estimates by length and size of the real count."""
    subgroups: tuple[Subgroup, ...]
    """The one with the largest error first."""
    risks: tuple[Risk, ...]
    """One per attack; empty where attacks were not asked for or nobody is there to attack."""


class OpenReal(Protocol):
    """Opens the people behind a release, once the ledger has it that the report is opened."""

    def __call__(self, decision: ReleaseDecision) -> RealPeople:
        """Return them."""
        ...


def vault_datasets(
    vault: Vault,
    paid: Sequence[str],
    named: Sequence[str],
    schema: CaseSchema,
    *,
    people_cap: int,
    tokens_are: Literal["shared", "separate"],
    registered: Sequence[str] = (),
    receipt: Receipt,
    reason: str,
    actor: str | None = None,
) -> OpenReal:
    """Check the datasets that paid for a release; opening them writes to the audit log first, by whom and why.

    Args:
        vault: where they are.
        paid: the datasets that paid, by the ledger.
        named: the datasets that the steward named.
        schema: of the release.
        people_cap: of the release.
        tokens_are: of the release.
        registered: years of first registration whose people were counted; none for everybody.
        receipt: of the release's own charge: the same records are opened once more, and nothing of them is released.
        reason: in the steward's words; sealed.
        actor: who asks; the user of this process unless given.

    Raises:
        OtherDatasetsError: the datasets are not those that paid for the release, or their schema is another one.
    """
    from casehaven.vault.datasets import parse_dataset_id  # a report on files needs no vault
    from casehaven.vault.snapshots import snapshot as vault_snapshot

    if sorted(set(named)) != sorted(paid):
        raise OtherDatasetsError(f"the release was paid for by {', '.join(paid)}; name these with --from")
    found = [vault.dataset(*parse_dataset_id(dataset)) for dataset in paid]
    if any(dataset.schema.digest() != schema.digest() for dataset in found):
        raise OtherDatasetsError(f"the datasets have another schema than the release, {schema.id} {schema.version}")
    opened = vault_snapshot(
        vault, found, "synthetic_release", people_cap=people_cap, tokens_are=tokens_are, blocks=registered or None
    )

    def open_real(decision: ReleaseDecision) -> RealPeople:
        _opened(decision)
        with vault.writing() as connection:
            for dataset in found:
                vault.audit.append(
                    connection,
                    action="release.evaluate",
                    object_kind="dataset",
                    object_id=dataset.id,
                    organisation=dataset.organisation,
                    actor=actor,
                    reason=reason,
                )
        return RealPeople(table=opened.open(receipt), source=", ".join(paid))

    return open_real


def case_files(
    files: Sequence[Path],
    schema: CaseSchema,
    *,
    people_cap: int,
    person: str | None,
    organisations: Sequence[str] | None,
    legal_basis: str | None,
    ignored: Sequence[str],
    receipt: Receipt,
) -> OpenReal:
    """Check the structure of the case files behind a release.

    Args:
        files: case files.
        schema: of the release.
        people_cap: of the release.
        person: column with the person token; None where one row is one person.
        organisations: whose each file is, where tokens are each organisation's own.
        legal_basis: of the release, where the files have no consent column.
        ignored: columns beside the schema's.
        receipt: of the release's own charge.

    Raises:
        CaseFileError and what else a release of files raises before its charge.
    """
    opened = snapshot(
        files,
        schema,
        people_cap=people_cap,
        person=person,
        organisations=organisations,
        legal_basis=legal_basis,
        ignored=ignored,
    )

    def open_real(decision: ReleaseDecision) -> RealPeople:
        _opened(decision)
        return RealPeople(table=opened.open(receipt), source=", ".join(file.name for file in files))

    return open_real


def _opened(decision: ReleaseDecision) -> None:
    """Rule 1: the ledger knows that the report is being opened."""
    if not decision.report_opened:
        raise AssertionError("the ledger must record that the report is opened before a record is")


def compare(
    release: PublishedRelease,
    decision: ReleaseDecision,
    real: RealPeople,
    *,
    attacks: bool = True,
    check: Check = lambda: None,
) -> PrivateReport:
    """Compare a release with real people.

    Args:
        release: verified and opened.
        decision: of the ledger; the report is on the record.
        real: whom to compare with.
        attacks: make the attacks as well.
        check: called now and then; raises to cancel.

    Raises:
        NobodyEvaluatedError: nobody may be counted.
    """
    _opened(decision)
    if not real.table.people:
        raise NobodyEvaluatedError("nobody may be counted any more; there is nothing to compare with")
    domain, model, errors = release.estimates.domain, release.estimates.model, release.estimates.errors
    frame = pd.read_parquet(release.facts.folder / RECORDS_FILE).astype(str)
    synthetic = encode(frame, domain, person=None).columns
    columns, known = real.table.columns, known_values(domain)
    masks = [np.isin(np.arange(size), values) for size, values in zip(domain.sizes, known, strict=True)]
    records: list[Utility] = []
    estimates: list[Utility] = []
    sizes: list[Bucket] = []
    groups: tuple[Subgroup, ...] = ()
    for length in range(1, min(LENGTH, len(domain.sizes)) + 1):
        check()
        cliques = list(itertools.combinations(range(len(domain.sizes)), length))
        truth = {m.clique: m.counts for m in count([columns], cliques, domain.sizes)}
        made = {m.clique: m.counts for m in count([synthetic], cliques, domain.sizes)}
        records.append(utility(truth, made, masks))
        estimates.append(utility(truth, {clique: _published(clique, model, errors) for clique in cliques}, masks))
        sizes += buckets(truth, model, errors, domain)
        if length == 2:
            groups = subgroups(truth, model, errors, domain)
    check()
    people = release.estimates.people
    return PrivateReport(
        title=release.facts.title,
        manifest_sha256=release.facts.manifest_sha256,
        source=real.source,
        made_on=datetime.now(UTC).date().isoformat(),
        used_private_data=decision.used_private_data,
        people=real.table.people,
        people_released=(people.value, people.low, people.high),
        records=tuple(records),
        estimates=tuple(estimates),
        sizes=tuple(sizes),
        subgroups=groups,
        risks=_attacks(release, synthetic, columns) if attacks else (),
    )


def _published(clique: Clique, model: LatentClassModel, errors: ErrorScale) -> NDArray[np.float64]:
    """Return a table of estimates as aggregates have it: zero where privacy rule 25 hides."""
    guess = model.marginal(clique)
    half = half_widths(model, errors, clique)
    published: NDArray[np.float64] = np.where((guess >= MINIMUM) & (guess - half >= LOWEST_END), guess, 0.0)
    return published


def _attacks(release: PublishedRelease, synthetic: Sequence[Codes], real: Sequence[Codes]) -> tuple[Risk, ...]:
    seed = bytes.fromhex(release.facts.measurements_sha256)
    control = draw_people(release.estimates.model, generator(seed, "control people"))
    domain = release.estimates.domain
    return attack_all(
        synthetic,
        real,
        control,
        sizes=domain.sizes,
        names=[column.name for column in domain.columns],
        seed=seed,
    )
