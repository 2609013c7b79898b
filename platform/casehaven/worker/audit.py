"""Jobs on the audit log: is it whole, and who did what to whose records.

1. A verification tells whether the log is whole and where it is not; positions are of the whole deployment, so only the first bad one is told, and no number of entries.
2. A report lists the entries about one organisation. It stands in the log itself before it is shown.
3. Reasons are what people of an organisation wrote about persons: they are opened for its own members alone. The privacy officer of the deployment gets the entries without them.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Final

from casehaven.core.audit import timestamp
from casehaven.core.audit_checkpoint import LogSettings, NoteKey, close_periods, parse_checkpoint
from casehaven.core.audit_report import AuditQuestion
from casehaven.core.audit_report import report as entries_of
from casehaven.core.audit_verify import verify_log
from casehaven.organisations.members import member_by_id
from casehaven.people.service import check_reason
from casehaven.worker.work import Done, Work

ENTRIES_SHOWN: Final = 5_000


def verify(work: Work) -> Done:
    """Verify every entry, and that the log agrees with its anchor and with checkpoints that were kept outside."""
    vault = work.bench.vault
    state = vault.anchor.read()
    with contextlib.ExitStack() as kept:
        for organisation in vault.keystore.organisations:  # no key ends while its reasons are opened
            kept.enter_context(vault.organisation_lock(organisation, alone=False))
        connection = kept.enter_context(vault.database.transaction(writes=False))
        key = NoteKey(name=LogSettings.read(connection).origin, public_key=vault.keystore.verify_key)
        checkpoints = [parse_checkpoint(str(text).encode(), key) for text in work.request.get("checkpoints", ())]
        found = verify_log(
            connection,
            vault.audit,
            vault.keystore.verify_key,
            anchor=state.head,
            checkpoints=checkpoints,
            erased=state.erased,
        )
    return Done(result={"whole": found.whole, "first_bad": found.first_bad, "checkpoints": len(checkpoints)})


def checkpoint(work: Work) -> Done:
    """Return the signed checkpoint of the last day that is over, and the public key that it is signed with; partners keep both."""
    vault = work.bench.vault
    with vault.writing() as connection:
        closed = close_periods(connection, vault.audit, vault.keystore.signing_key())
        settings = LogSettings.read(connection)
    key = NoteKey(name=settings.origin, public_key=vault.keystore.verify_key)
    return Done(
        result={
            "key": key.text,
            "checkpoint": None if closed is None else closed.note,
            "until": settings.end_of(0 if closed is None else closed.period),
        }
    )


def report(work: Work) -> Done:
    """List who did what to an organisation's records, when and why."""
    vault, asked = work.bench.vault, work.private_request()
    reason, organisation = check_reason(str(asked["reason"])), work.job.organisation
    with work.bench.store.reading() as connection:
        own = member_by_id(connection, work.job.member_id).organisation == organisation  # rule 3
    question = AuditQuestion(
        organisation=organisation,
        actor=str(asked.get("actor") or ""),
        since=_moment(asked.get("since"), 0),
        until=_moment(asked.get("until"), 1),
    )
    with vault.writing() as connection:
        vault.audit.append(
            connection,
            action="audit.report",
            object_kind="vault",
            object_id=vault.vault_id,
            organisation=organisation,
            actor=work.actor,
            reason=reason,
        )
    with vault.database.transaction(writes=False) as connection:
        lines = list(entries_of(connection, vault.audit, question, reasons=own))
    return Done(
        result={
            "format": "casehaven-audit-report/1",
            "reasons": own,
            "cut": len(lines) > ENTRIES_SHOWN,
            "entries": [
                {
                    "position": line.entry.position,
                    "at": line.entry.at,
                    "actor": line.entry.actor,
                    "action": line.entry.action,
                    "object_kind": line.entry.object_kind,
                    "object_id": line.entry.object_id,
                    "reason": line.reason,
                    "reason_gone": line.reason_gone,
                    "reason_broken": line.reason_broken,
                }
                for line in lines[-ENTRIES_SHOWN:]
            ],
        }
    )


def _moment(day: object, later: int) -> str:
    if day is None:
        return ""
    return timestamp(datetime.strptime(str(day), "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=later))
