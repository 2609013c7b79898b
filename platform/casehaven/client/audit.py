"""The audit log of a server: is it whole, its checkpoints, and who did what to your organisation's records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from casehaven.client.datasets import organisation_path
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs, Progress


@dataclass(frozen=True, kw_only=True)
class AuditVerification:
    """What the server found."""

    whole: bool
    first_bad: int | None
    """Position of the first bad entry."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A signed checkpoint, to be kept elsewhere."""

    key: str
    """The public key that it is signed with."""
    note: str | None
    """None before the first period is over."""
    until: str
    """When the period of this checkpoint, or of the first one, ends."""


class Audit:
    """The audit log."""

    def __init__(self, jobs: Jobs) -> None:
        """Use a connection."""
        self._jobs = jobs

    def verify(self, checkpoints: Sequence[str] = (), *, progress: Progress | None = None) -> AuditVerification:
        """Have every entry verified, and that the log agrees with its anchor and with checkpoints that were kept outside.

        Args:
            checkpoints: their texts.
            progress: is told of the job now and then.

        Raises:
            BadRequestError: a text is no checkpoint of this log.
        """
        body = {"checkpoints": list(checkpoints)}
        fields = Fields(
            self._jobs.ask("POST", "/v1/audit/verification", body=body, progress=progress).result, "verification"
        )
        return AuditVerification(whole=fields.flag("whole"), first_bad=fields.maybe_whole("first_bad"))

    def checkpoint(self) -> Checkpoint:
        """Return the signed checkpoint of the last day that is over."""
        fields = Fields(self._jobs.ask("GET", "/v1/audit/checkpoint").result, "checkpoint")
        return Checkpoint(key=fields.text("key"), note=fields.maybe_text("checkpoint"), until=fields.text("until"))

    def report(
        self,
        organisation: str,
        *,
        reason: str,
        actor: str | None = None,
        since: date | None = None,
        until: date | None = None,
        progress: Progress | None = None,
    ) -> Mapping[str, Any]:
        """Return who did what to the organisation's records: `casehaven-audit-report/1`. Needs a second factor: sign in.

        Args:
            organisation: whose records.
            reason: why; it stands in the log itself.
            actor: only what this member did.
            since: first day.
            until: last day.
            progress: is told of the job now and then.
        """
        body: dict[str, Any] = {"reason": reason}
        body |= {} if actor is None else {"actor": actor}
        body |= {name: day.isoformat() for name, day in (("since", since), ("until", until)) if day is not None}
        path = f"{organisation_path(organisation)}/audit-report"
        found = Fields(self._jobs.ask("POST", path, body=body, progress=progress).result, "report")
        found.each("entries", lambda one: one.text("action"))
        return found.all
