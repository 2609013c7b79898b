"""What was decided about a drawn release, and whether somebody had looked at real records before (privacy rule 33).

1. Whether a drawn release is published or withheld is decided once, and the decision is final: a release that was withheld is never published.
2. The private report compares a release with real records. The ledger remembers for good that it was opened, and in which order.
3. A release is not covered by its guarantee's words on the decision when the report was opened before the decision, or when the release was withheld
   after the report was opened. No call and no order of calls takes that back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Connection, insert, select

from casehaven.ledger import models
from casehaven.ledger.errors import DecisionError, DecisionNeededError, UnknownChargeError


class DecisionKind(Enum):
    """What happened to a drawn release; each at most once."""

    PUBLISHED = "published"
    """It was decided to publish it."""
    WITHHELD = "withheld"
    """It was decided not to publish it, or not to go on doing so."""
    REPORT_OPENED = "report_opened"
    """The private report was opened."""


@dataclass(frozen=True, kw_only=True)
class ReleaseDecision:
    """What the ledger holds about one drawn release beside its charge."""

    charge_id: str
    datasets: tuple[str, ...]
    """That paid for it."""
    result_sha256: str
    """Of its measurements."""
    steps: tuple[DecisionKind, ...]
    """In the order in which they happened."""

    @property
    def decision(self) -> DecisionKind | None:
        """What holds now: published, withheld, or None where nothing was decided."""
        made = [step for step in self.steps if step is not DecisionKind.REPORT_OPENED]
        return made[-1] if made else None

    @property
    def report_opened(self) -> bool:
        """Whether somebody compared the release with real records."""
        return DecisionKind.REPORT_OPENED in self.steps

    @property
    def used_private_data(self) -> bool:
        """Whether the decision may rest on real records: rule 3."""
        if not self.report_opened:
            return False
        opened = self.steps.index(DecisionKind.REPORT_OPENED)
        return opened == 0 or DecisionKind.WITHHELD in self.steps[opened:]


def release_decisions(connection: Connection, charge_id: str | None = None) -> tuple[ReleaseDecision, ...]:
    """Return what was decided about each release that was drawn and shown, oldest charge first; of one charge where it is named."""
    charge, step = models.charge.c, models.decision.c
    query = select(charge.charge_id, charge.result_sha256).where(charge.shown == 1)
    if charge_id is not None:
        query = query.where(charge.charge_id == charge_id)
    shown = connection.execute(query.order_by(charge.charged_at, charge.charge_id)).all()
    steps = connection.execute(select(step.charge_id, step.kind).order_by(step.decision_id)).all()
    paid = connection.execute(
        select(models.charge_line.c.charge_id, models.account.c.dataset_id).join(models.account).distinct()
    ).all()
    return tuple(_decision(row, steps, paid) for row in shown)


def _decision(row: Any, steps: Iterable[Any], paid: Iterable[Any]) -> ReleaseDecision:
    return ReleaseDecision(
        charge_id=row.charge_id,
        datasets=tuple(sorted(line.dataset_id for line in paid if line.charge_id == row.charge_id)),
        result_sha256=row.result_sha256,
        steps=tuple(DecisionKind(step.kind) for step in steps if step.charge_id == row.charge_id),
    )


def record_step(
    connection: Connection, charge_id: str, kind: DecisionKind, *, now: str, before_decision: bool
) -> ReleaseDecision:
    """Write one step; the same step again changes nothing.

    Raises:
        UnknownChargeError: this ledger knows no release under that charge.
        DecisionError: the release was withheld, and is to be published.
        DecisionNeededError: the report is to be opened, nothing was decided, and the caller did not say that this is meant.
    """
    known = release_decisions(connection, charge_id)
    if not known:
        raise UnknownChargeError(f"this ledger knows no release under the charge {charge_id[:64]!r}")
    if kind is DecisionKind.PUBLISHED and known[0].decision is DecisionKind.WITHHELD:
        raise DecisionError("this release was withheld, and that is final")
    if kind in known[0].steps:
        return known[0]
    if kind is DecisionKind.REPORT_OPENED:
        check_report_may_open(known[0], before_decision=before_decision)
    connection.execute(insert(models.decision).values(charge_id=charge_id, kind=kind.value, decided_at=now))
    return release_decisions(connection, charge_id)[0]


def check_report_may_open(known: ReleaseDecision, *, before_decision: bool) -> None:
    """Return when the private report of a release may be opened.

    Raises:
        DecisionNeededError: nothing was decided, and the caller did not say that this is meant.
    """
    if known.decision is None and not known.report_opened and not before_decision:
        raise DecisionNeededError(
            "nothing was decided about this release yet; its private report opens after the decision, so that the decision cannot rest on real records"
        )
