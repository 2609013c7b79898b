"""The engine for a data scientist: a frame, a file or a stream of records in, a protected release out.

domain = casesynth.Domain.declare({"sex": ["female", "male"], "age": ["0-17", "18-29", "30+"]})
release = casesynth.release(frame, domain, person="id", epsilon=1, people_cap=100_000)
release.records, release.aggregates, release.people

A file of any length is streamed: casesynth.release("cases.parquet", domain, person="id", epsilon=1, people_cap=20_000_000)
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pandas as pd

from casesynth.bundle import People, ReleaseBundle, people_interval, write_bundle
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.measure import Charge
from casesynth.model import FitSettings
from casesynth.notes import ReleaseNotes
from casesynth.persons import PersonTable, PersonTableBuilder
from casesynth.plan import ReleasePlan
from casesynth.privacy.loss import PrivacyLoss, Receipt
from casesynth.progress import Progress, silent
from casesynth.signing import SigningKey
from casesynth.sources import Records, RecordsFileError, check_records, source_of
from casesynth.synthesis import Synthesis, synthesise
from casesynth.tables import aggregates_frame, records_frame


class _EachRow:
    """The steward's declaration that one row is one person."""

    def __repr__(self) -> str:
        return "EACH_ROW"


EACH_ROW: Final = _EachRow()
"""In place of a person column: one row is one person, and the steward says so (privacy rule 1)."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A protected release as pandas frames."""

    synthesis: Synthesis
    """The parts: plan, measurements, model, codes."""
    unit: str
    """The privacy unit."""

    @property
    def records(self) -> pd.DataFrame:
        """Synthetic records, one row per synthetic person."""
        return records_frame(self.synthesis.records, self.synthesis.plan.domain)

    @property
    def aggregates(self) -> pd.DataFrame:
        """Combinations of up to three values that pass privacy rule 25, with estimates and 95 % intervals in people."""
        return aggregates_frame(self.synthesis.aggregates, self.synthesis.plan.domain)

    @property
    def people(self) -> People:
        """Noisy number of people: estimate and the ends of its 95 % interval."""
        return people_interval(self.synthesis)

    @property
    def plan(self) -> ReleasePlan:
        """What was measured and what it cost."""
        return self.synthesis.plan

    def save(self, folder: Path | str, key: SigningKey, *, title: str, legal_basis: str) -> ReleaseBundle:
        """Write a signed bundle that `casehaven verify` accepts.

        Raises:
            BundleExistsError: the folder is there already.
        """
        notes = ReleaseNotes(
            title=title, created=datetime.now(UTC).date().isoformat(), unit=self.unit, legal_basis=legal_basis
        )
        return write_bundle(self.synthesis, notes, Path(folder), key)


def release(
    records: Records,
    domain: Domain,
    *,
    person: str | _EachRow,
    epsilon: float,
    people_cap: int,
    delta: float | None = None,
    max_tokens_per_person: int = 1,
    tables: Sequence[Sequence[str]] = (),
    table_share: float | None = None,
    charge: Charge | None = None,
    settings: FitSettings | None = None,
    progress: Progress = silent,
) -> Release:
    """Release synthetic records and aggregates of case records, differentially private for each person.

    The structure of the records is checked before the charge: their columns and types, a person key in every record, the cap. Records that
    pass can be read, so that after the charge only whatever `progress` raises, a file or stream that changed, or a lack of memory ends a
    release without a result. Files and streams are read batch by batch.

    Args:
        records: raw records: a frame, the path of a Parquet file, or a function that starts a stream of record batches each time it is
            called (once before the charge and once after it), such as `pyarrow.dataset.dataset(folder).to_batches`. Columns that the
            domain does not name are ignored.
        domain: public value lists, from a schema or declared by hand, never from the records.
        person: column with the person token, or `EACH_ROW`.
        epsilon: privacy loss for one person token, 0.001 to 100.
        people_cap: public bound on the number of people; more are refused.
        delta: default the smaller of 1e-6 and 1 / (10 people_cap).
        max_tokens_per_person: how many person tokens one person may have; stated in the release, rho grows with its square.
        tables: tables that matter, each one to three attributes: they come out sharper, the rest a little less sharp.
        table_share: part of the budget that they share; default a quarter.
        charge: commits the charge to a ledger and returns its receipt. Without it nothing keeps account of repeated releases of
            the same people: their losses add up, and you have to.
        settings: how hard to fit.
        progress: called with each phase; raising from it cancels.

    Raises:
        PrivacyLossError, PlanError: the policy cannot be planned; nothing was charged.
        UnknownColumnError, RepeatedColumnError, ColumnTypeError, PersonKeyError, PeopleCapError: the records do not fit; nothing was
            charged.
        RecordsFileError: the file is damaged, and nothing was charged; or it changed after the charge, which stands.
        ReceiptError: `charge` returned a receipt for less than the plan costs; no value was read.
        Whatever `charge` raises; no value was read.
    """
    if not isinstance(person, str | _EachRow):
        raise TypeError(f"person must be the name of a column or EACH_ROW, got {type(person).__name__}")
    key = None if isinstance(person, _EachRow) else person
    plan = ReleasePlan.make(
        domain,
        epsilon=epsilon,
        people_cap=people_cap,
        delta=delta,
        max_tokens_per_person=max_tokens_per_person,
        tables=tables,
        table_share=table_share,
    )
    source = source_of(records)
    names = [*(attribute.name for attribute in domain.measured.attributes), *([] if key is None else [key])]
    before = source.fingerprint()
    check_records(source, names, person=key, people_cap=people_cap)

    def open_people(receipt: Receipt) -> PersonTable:
        builder = PersonTableBuilder(domain)
        for batch in source.batches(names):
            progress("count", None)
            builder.add(encode(batch, domain, person=key))
        if source.fingerprint() != before:
            raise RecordsFileError("the file changed while it was being read")
        return builder.build(people_cap=people_cap)

    synthesis = synthesise(
        plan, charge=charge or _unmetered, open_people=open_people, settings=settings, progress=progress
    )
    return Release(synthesis=synthesis, unit="person token" if key is not None else "record")


def _unmetered(loss: PrivacyLoss) -> Receipt:
    """Stand in for a ledger where the caller keeps account."""
    return Receipt(charge_id=f"unmetered-{secrets.token_hex(8)}", loss=loss)
