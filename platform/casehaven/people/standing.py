"""How a dataset stands, in exact numbers for the organisation that holds it: people, records, consent, last days, and the files that were taken in.

1. Rows are counted; no record is opened, so nothing of a person is read.
2. The numbers are exact. They are for members of the organisation who look after its records, and for nobody else (privacy rule 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy import Connection, and_, func, select

from casehaven.people.consent import PURPOSES
from casehaven.vault import models
from casehaven.vault.datasets import Dataset

INTAKES_SHOWN: Final = 500


@dataclass(frozen=True, kw_only=True)
class ConsentStanding:
    """What people said last about one purpose."""

    given: int
    """People whose latest word is yes."""
    refused: int
    """People whose latest word is no."""
    never_asked: int
    """People without a word: a no."""


@dataclass(frozen=True, kw_only=True)
class DatasetStanding:
    """Exact numbers of one dataset."""

    dataset: str
    version: int
    """Raised by every change of its records."""
    people_cap: int
    people: int
    records: int
    """That count: those that no correction replaced."""
    replaced: int
    """Records that a correction stands for; they can be read still."""
    consent: Mapping[str, ConsentStanding]
    """By purpose."""
    without_last_day: int
    """People whose records may be kept without an end."""
    due: int
    """People whose last day is past."""
    next_last_day: date | None
    """The earliest that is not past."""
    erased: int
    """People who were erased from it."""


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """One file that was taken in."""

    committed_at: str
    """UTC, ISO 8601."""
    version: int
    """Of the dataset after it."""
    records: int
    """Records that came with it and are there still."""
    replaced: int
    """Of these, those that a correction stands for by now."""


def dataset_standing(connection: Connection, dataset: Dataset, *, today: date | None = None) -> DatasetStanding:
    """Count one dataset.

    Args:
        connection: a transaction.
        dataset: which.
        today: UTC; None for today.
    """
    day = today or datetime.now(UTC).date()
    person, record, this = models.person.c, models.record.c, dataset.dataset_id
    here = person.dataset_id == this

    def people(*where: object) -> int:
        query = select(func.count()).select_from(models.person).where(here, *where)  # type: ignore[arg-type]  # columns
        return int(connection.scalar(query) or 0)

    def records(superseded: bool) -> int:
        stands = record.superseded_by.is_not(None) if superseded else record.superseded_by.is_(None)
        query = select(func.count()).select_from(models.record).where(record.dataset_id == this, stands)
        return int(connection.scalar(query) or 0)

    everybody = people()
    nearest = connection.scalar(select(func.min(person.retain_until)).where(here, person.retain_until >= day))
    gone = select(func.count()).select_from(models.erasure).where(models.erasure.c.dataset_id == this)
    return DatasetStanding(
        dataset=dataset.id,
        version=dataset.version,
        people_cap=dataset.people_cap,
        people=everybody,
        records=records(False),
        replaced=records(True),
        consent=_consent(connection, dataset, everybody),
        without_last_day=people(person.retain_until.is_(None)),
        due=people(person.retain_until < day),
        next_last_day=nearest,
        erased=int(connection.scalar(gone) or 0),
    )


def taken_in(connection: Connection, dataset: Dataset) -> tuple[TakenIn, ...]:
    """Return the files that were taken into a dataset, newest first."""
    upload, record = models.upload.c, models.record.c
    brought = (
        select(
            record.version,
            func.count().label("records"),
            func.count(record.superseded_by).label("replaced"),
        )
        .where(record.dataset_id == dataset.dataset_id)
        .group_by(record.version)
        .subquery()
    )
    query = (
        select(upload.committed_at, upload.version, brought.c.records, brought.c.replaced)
        .select_from(models.upload)
        .outerjoin(brought, brought.c.version == upload.version)
        .where(upload.dataset_id == dataset.dataset_id, upload.state == "committed")
        .order_by(upload.version.desc(), upload.committed_at.desc())
        .limit(INTAKES_SHOWN)
    )
    return tuple(
        TakenIn(
            committed_at=row.committed_at, version=row.version, records=row.records or 0, replaced=row.replaced or 0
        )
        for row in connection.execute(query)
    )


def _consent(connection: Connection, dataset: Dataset, everybody: int) -> dict[str, ConsentStanding]:
    consent, person = models.consent.c, models.person.c
    latest = (
        select(consent.person_id, consent.purpose, func.max(consent.version).label("version"))
        .join(models.person, person.person_id == consent.person_id)
        .where(person.dataset_id == dataset.dataset_id)
        .group_by(consent.person_id, consent.purpose)
        .subquery()
    )
    this = and_(
        consent.person_id == latest.c.person_id,
        consent.purpose == latest.c.purpose,
        consent.version == latest.c.version,
    )
    query = (
        select(consent.purpose, consent.given, func.count().label("people"))
        .select_from(models.consent)
        .join(latest, this)
        .group_by(consent.purpose, consent.given)
    )
    found = {(row.purpose, bool(row.given)): int(row.people) for row in connection.execute(query)}
    return {
        purpose: ConsentStanding(
            given=(given := found.get((purpose, True), 0)),
            refused=(refused := found.get((purpose, False), 0)),
            never_asked=everybody - given - refused,
        )
        for purpose in PURPOSES
    }
