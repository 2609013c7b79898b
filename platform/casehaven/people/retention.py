"""Retention timers: the last day on which a person's records may be kept.

1. From the day after, the records count in no table and no release. They are erased by a person, with a reason; `casehaven person retention` names who is due.
2. The last day is included: who may be kept until 31 March is due on 1 April.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date

from sqlalchemy import Connection, select, update

from casehaven.people.errors import RetentionError
from casehaven.vault import models
from casehaven.vault.datasets import Dataset, Person

MONTHS_MOST = 1_200


def set_retention(connection: Connection, person: Person, until: date | None, *, today: date) -> None:
    """Set the last day of one person, or take it away.

    Raises:
        RetentionError: the day is past: then erase the person instead.
    """
    if until is not None and until < today:
        raise RetentionError(f"the last day ({until}) is past; to end now, erase the person")
    this = models.person.c.person_id == person.person_id
    connection.execute(update(models.person).where(this).values(retain_until=until))


def set_retention_for_all(connection: Connection, dataset: Dataset, months: int) -> None:
    """Give everybody of a dataset who has no last day one, counted from the month in which they came.

    Raises:
        RetentionError: the number of months is not from 1 to `MONTHS_MOST`.
    """
    if not 1 <= months <= MONTHS_MOST:
        raise RetentionError(f"records are kept for 1 to {MONTHS_MOST} months")
    person = models.person
    open_ended = (person.c.dataset_id == dataset.dataset_id, person.c.retain_until.is_(None))
    for month in connection.scalars(select(person.c.created_month).where(*open_ended).distinct()).all():
        connection.execute(
            update(person)
            .where(*open_ended, person.c.created_month == month)
            .values(retain_until=last_day(month, months))
        )


def due_people(connection: Connection, dataset: Dataset, *, today: date) -> tuple[int, ...]:
    """Return the numbers of the people whose last day is past, the longest overdue first."""
    person = models.person
    query = (
        select(person.c.person_id)
        .where(person.c.dataset_id == dataset.dataset_id, person.c.retain_until < today)
        .order_by(person.c.retain_until, person.c.person_id)
    )
    return tuple(connection.scalars(query).all())


def last_day(month: str, months: int) -> date:
    """Return the last day of the month that comes so many months later.

    >>> last_day("2026-11", 3), last_day("2026-12", 24)
    (datetime.date(2027, 2, 28), datetime.date(2028, 12, 31))
    """
    year, number = int(month[:4]), int(month[5:7])
    count = year * 12 + number - 1 + months
    year, number = count // 12, count % 12 + 1
    return date(year, number, monthrange(year, number)[1])
