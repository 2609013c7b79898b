"""Who did what to whose records, and why: what a breach notice, or a person who asks, needs to know.

1. Entries are listed as the log has them, in order, with their reasons opened. Reasons of people who were erased are gone. A reason that somebody damaged
   is said to be so, and the list goes on.
2. A report on one person lists what was done to that person alone, and what was done to the person's whole dataset: a release or an export of all
   records touched this person too.
3. A report is a reading of the log, so it stands in the log itself before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from casehaven.core.audit import AuditEntry, AuditLog, BrokenReasonError, read_entries
from casehaven.core.audit_models import audit

_WHOLE_DATASET = ("dataset", "snapshot", "tables", "release")


@dataclass(frozen=True, kw_only=True)
class AuditQuestion:
    """Which entries a report lists; what is empty asks for nothing."""

    person: str = ""
    """Number of a person."""
    datasets: Sequence[str] = ()
    """With `person`: the person's dataset, as `organisation/dataset`; entries about the whole of it are listed too."""
    organisation: str = ""
    actor: str = ""
    since: str = ""
    """First moment, as the log writes it."""
    until: str = ""
    """First moment that is no longer asked for."""


@dataclass(frozen=True, kw_only=True)
class ReportLine:
    """One entry with its reason opened."""

    entry: AuditEntry
    reason: str
    """In the actor's words; empty when none was given."""
    reason_gone: bool
    """The reason went when the person was erased."""
    reason_broken: bool = False
    """The reason is there and cannot be opened: `casehaven audit verify` says more."""


def report(
    connection: Connection, log: AuditLog, question: AuditQuestion, *, reasons: bool = True
) -> Iterator[ReportLine]:
    """Read the entries that a question asks for.

    Args:
        connection: reads.
        log: with the keys of the reasons.
        question: which entries.
        reasons: whether reasons are opened; otherwise each is empty.
    """
    query = select(audit).order_by(audit.c.position)
    if question.person:
        about = (audit.c.object_kind == "person") & (audit.c.object_id == question.person)
        whole = audit.c.object_kind.in_(_WHOLE_DATASET) & audit.c.object_id.in_([*question.datasets])
        whole &= audit.c.action.not_like("person.%")  # a look-up that found nobody
        query = query.where(or_(about, whole))
    for column, wanted in ((audit.c.organisation, question.organisation), (audit.c.actor, question.actor)):
        if wanted:
            query = query.where(column == wanted)
    if question.since:
        query = query.where(audit.c.at >= question.since)
    if question.until:
        query = query.where(audit.c.at < question.until)
    for entry in read_entries(connection, query):
        gone = entry.reason is None and entry.reason_sha256 is not None
        try:
            yield ReportLine(entry=entry, reason=(log.reason(entry) or "") if reasons else "", reason_gone=gone)
        except BrokenReasonError:
            yield ReportLine(entry=entry, reason="", reason_gone=gone, reason_broken=True)
