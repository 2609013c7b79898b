"""One synthesis from end to end: charge, count, measure, fit, sample, aggregate.

Everything after `measure` is post-processing of protected numbers and never sees a real record again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from casesynth.aggregates import AggregateTable, aggregate
from casesynth.codes import Codes
from casesynth.contrasts import combine
from casesynth.derived import derivations
from casesynth.doubt import doubted
from casesynth.intervals import ErrorScale, judge
from casesynth.measure import Charge, Measurement, OpenPeople, measure
from casesynth.model import FitSettings, LatentClassModel, fit
from casesynth.near import with_links
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import Receipt
from casesynth.progress import Progress, silent
from casesynth.sample import sample_records
from casesynth.seeded import measurements_digest
from casesynth.threads import one_blas_thread


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """Everything a release is made of. Protected: all of it may be published."""

    plan: ReleasePlan
    receipt: Receipt
    """Proof of the charge that paid for the measurements."""
    measurements: tuple[Measurement, ...]
    model: LatentClassModel
    records: tuple[Codes, ...]
    """Synthetic records as codes, one array per column of the domain."""
    aggregates: AggregateTable
    errors: ErrorScale
    """How far estimates may be off."""
    settings: FitSettings
    """How hard the model was fitted."""


def synthesise(
    plan: ReleasePlan,
    *,
    charge: Charge,
    open_people: OpenPeople,
    settings: FitSettings | None = None,
    progress: Progress = silent,
) -> Synthesis:
    """Charge the plan, measure the people, and make everything else from the measurements.

    Args:
        plan: what to measure; public facts only.
        charge: commits the plan's loss and returns a receipt.
        open_people: opens the snapshot for a receipt.
        settings: how hard to fit.
        progress: called with each phase; raising from it cancels, and the charge stands.
    """
    measurements, receipt = measure(plan, charge=charge, open_people=open_people, progress=progress)
    return recompute(plan, receipt, measurements, settings=settings, progress=progress)


def recompute(
    plan: ReleasePlan,
    receipt: Receipt,
    measurements: Sequence[Measurement],
    *,
    settings: FitSettings | None = None,
    progress: Progress = silent,
) -> Synthesis:
    """Make everything that follows from the measurements. Anyone who holds them can do this; it costs nothing."""
    seed = measurements_digest(measurements)
    settings = settings or FitSettings()
    with one_blas_thread():
        contrasts = combine(measurements, plan.measured.sizes)
        declared = derivations(plan.domain)
        model = fit(contrasts, seed, settings=settings, progress=progress)
        model = with_links(model, contrasts, fixed=[link.source for link in declared])
        errors = judge(model, measurements, plan, seed, settings=settings, progress=progress)
        model = model.linked(doubted(declared, model, measurements))
        aggregates = aggregate(model, plan.domain, errors, progress=progress)
        records = sample_records(model, seed, rules=plan.domain.rules, progress=progress)
    return Synthesis(
        plan=plan,
        receipt=receipt,
        measurements=tuple(measurements),
        model=model,
        records=records,
        aggregates=aggregates,
        errors=errors,
        settings=settings,
    )
