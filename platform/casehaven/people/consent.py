"""Consent of one person, per purpose: versions with date and language, and no by default.

1. Purposes stand each for itself: care, own statistics, pooled statistics, synthetic release. Consent to one is no consent to another.
2. Without a row there is no consent. The row with the highest version counts, and no row is ever changed: a withdrawal is one more version.
3. A file never undoes a refusal. Intake may add a refusal at any time, and a yes only where no refusal was recorded; a yes after a no is recorded here, by a
   person with a reason (one refusal wins).
4. A withdrawal stops every snapshot from then on. What was released stands, and the consent text has to say so (privacy rule 35).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

from sqlalchemy import Connection, Row, insert, select

from casehaven.people.errors import ConsentFactError
from casehaven.vault import models
from caseschemas import Purpose

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

PURPOSE_LABELS: Mapping[Purpose, str] = {
    "care": "care",
    "own_statistics": "own statistics",
    "pooled_statistics": "pooled statistics",
    "synthetic_release": "synthetic release",
}
"""What people read."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")
_EARLIEST = date(1990, 1, 1)


@dataclass(frozen=True, kw_only=True)
class ConsentVersion:
    """What a person said about one purpose at one time."""

    purpose: Purpose
    version: int
    """From 1; the highest counts."""
    given: bool
    language: str
    """Language tag of the words that the person heard; empty where it was not recorded."""
    dated: date | None
    """When the person said so; None where it was not recorded."""
    recorded_at: str
    """When it was written down here, in UTC."""


@dataclass(frozen=True, kw_only=True)
class ConsentHistory:
    """Everything that one person ever said.

    >>> ConsentHistory(versions=()).given("synthetic_release")
    False
    """

    versions: tuple[ConsentVersion, ...]
    """By purpose and version."""

    def latest(self, purpose: Purpose) -> ConsentVersion | None:
        """Return what counts; None where the person was never asked."""
        found = [version for version in self.versions if version.purpose == purpose]
        return max(found, key=lambda version: version.version, default=None)

    def given(self, purpose: Purpose) -> bool:
        """Whether records may be used for a purpose; no by default (rule 2)."""
        latest = self.latest(purpose)
        return latest is not None and latest.given


def parse_purpose(unverified: str) -> Purpose:
    """Read a purpose as it is typed: `synthetic-release` and `synthetic_release` are one.

    Raises:
        ConsentFactError: there is no such purpose; lists those there are.
    """
    plain = unverified.strip().lower().replace("-", "_").replace(" ", "_")
    for purpose in PURPOSES:
        if purpose == plain:
            return purpose
    raise ConsentFactError(f"the purpose must be one of {', '.join(PURPOSES)}")


def parse_language(unverified: str) -> str:
    """Read a language tag.

    Raises:
        ConsentFactError: it is not written as one.
    """
    if not _LANGUAGE.fullmatch(unverified):
        raise ConsentFactError("the language must be a tag such as en, fr or pt-BR")
    return unverified


def check_dated(dated: date, today: date) -> date:
    """Return the day when a person consented or refused.

    Raises:
        ConsentFactError: it is in the future or before 1990.
    """
    if not _EARLIEST <= dated <= today:
        raise ConsentFactError(f"the date of consent must be from {_EARLIEST} to {today}, the day it is recorded")
    return dated


def consent_history(connection: Connection, person_id: int) -> ConsentHistory:
    """Read what one person said."""
    table = models.consent
    rows = connection.execute(
        select(table).where(table.c.person_id == person_id).order_by(table.c.purpose, table.c.version)
    ).all()
    return ConsentHistory(versions=tuple(_version(row) for row in rows))


def add_consent(
    connection: Connection,
    person_id: int,
    purpose: Purpose,
    *,
    given: bool,
    language: str,
    dated: date,
    recorded_at: str,
) -> ConsentVersion:
    """Add a version in the caller's transaction; the ones before stay (rule 2)."""
    latest = consent_history(connection, person_id).latest(purpose)
    added = ConsentVersion(
        purpose=purpose,
        version=1 if latest is None else latest.version + 1,
        given=given,
        language=language,
        dated=dated,
        recorded_at=recorded_at,
    )
    connection.execute(
        insert(models.consent).values(
            person_id=person_id,
            purpose=purpose,
            version=added.version,
            given=given,
            language=language,
            dated=dated,
            recorded_at=recorded_at,
        )
    )
    return added


def consent_lines(history: ConsentHistory) -> Sequence[str]:
    """Return one plain line per purpose."""
    lines = []
    for purpose in PURPOSES:
        latest = history.latest(purpose)
        if latest is None:
            lines.append(f"{PURPOSE_LABELS[purpose]}: not asked, so no")
            continue
        when = f", on {latest.dated}" if latest.dated is not None else ", day not recorded"
        words = f", in {latest.language}" if latest.language else ", language not recorded"
        again = f", version {latest.version}" if latest.version > 1 else ""
        lines.append(f"{PURPOSE_LABELS[purpose]}: {'yes' if latest.given else 'no'}{when}{words}{again}")
    return lines


def _version(row: Row[Any]) -> ConsentVersion:
    return ConsentVersion(
        purpose=parse_purpose(row.purpose),
        version=row.version,
        given=bool(row.given),
        language=row.language,
        dated=row.dated,
        recorded_at=row.recorded_at,
    )
