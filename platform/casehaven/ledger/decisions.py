"""What was decided about a drawn release, and whether somebody had looked at real records before (privacy rule 33).

1. Whether a drawn release is published or withheld is decided once, and the decision is final: a release that was withheld is never published.
2. The private report compares a release with real records. The ledger remembers for good that it was opened, and in which order.
3. A release is not covered by its guarantee's words on the decision when the report was opened before the decision, or when the release was withheld
   after the report was opened. No call and no order of calls takes that back.
4. A report is about people, not about one release: it counts as opened for every release that was drawn by then and that charges any of the same
   datasets, finished or not. It is refused while one of those has no decision.
5. An answer to a question is no release: it is shown at its tick whatever anybody thinks of it, so nothing is decided about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection, insert, select

from casehaven.ledger import models
from casehaven.ledger.answers import ANSWER_PURPOSE
from casehaven.ledger.errors import DecisionError, DecisionNeededError, UnknownChargeError


class DecisionKind(Enum):
    """What happened to a drawn release; each at most once."""

    PUBLISHED = "published"
    """It was decided to publish it."""
    WITHHELD = "withheld"
    """It was decided not to publish it, or not to go on doing so."""
    REPORT_OPENED = "report_opened"
    """The private report was opened: its own, or that of another release of the same datasets."""


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
    undecided_beside: tuple[str, ...] = ()
    """Charges of other releases of any of the same datasets that were drawn, and about which nothing was decided before a report was opened: rule 4."""

    @property
    def decision(self) -> DecisionKind | None:
        """What holds now: published, withheld, or None where nothing was decided."""
        made = [step for step in self.steps if step is not DecisionKind.REPORT_OPENED]
        return made[-1] if made else None

    @property
    def report_opened(self) -> bool:
        """Whether somebody compared the release, or another one of the same datasets, with real records."""
        return DecisionKind.REPORT_OPENED in self.steps

    @property
    def used_private_data(self) -> bool:
        """Whether the decision may rest on real records: rule 3."""
        if not self.report_opened:
            return False
        opened = self.steps.index(DecisionKind.REPORT_OPENED)
        return opened == 0 or DecisionKind.WITHHELD in self.steps[opened:]


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """A charge under which a release was drawn, whether or not it was finished."""

    charge_id: str
    result_sha256: str | None
    shown: bool
    datasets: frozenset[str]
    steps: tuple[DecisionKind, ...]


def release_decisions(connection: Connection, charge_id: str | None = None) -> tuple[ReleaseDecision, ...]:
    """Return what was decided about each release that was drawn and shown, oldest charge first; of one charge where it is named."""
    drawn = _drawn(connection)
    return tuple(_decision(each, drawn) for each in drawn if each.shown and charge_id in (None, each.charge_id))


def _drawn(connection: Connection) -> tuple[_Drawn, ...]:
    charge, step = models.charge.c, models.decision.c
    query = select(charge.charge_id, charge.result_sha256, charge.shown).where(
        charge.draws > 0, charge.purpose != ANSWER_PURPOSE
    )
    rows = connection.execute(query.order_by(charge.charged_at, charge.charge_id)).all()
    steps: dict[str, list[DecisionKind]] = defaultdict(list)
    for made in connection.execute(select(step.charge_id, step.kind).order_by(step.decision_id)):
        steps[made.charge_id].append(DecisionKind(made.kind))
    paid: dict[str, set[str]] = defaultdict(set)
    lines = select(models.charge_line.c.charge_id, models.account.c.dataset_id).join(models.account).distinct()
    for line in connection.execute(lines):
        paid[line.charge_id].add(line.dataset_id)
    return tuple(
        _Drawn(
            charge_id=row.charge_id,
            result_sha256=row.result_sha256,
            shown=row.shown == 1,
            datasets=frozenset(paid[row.charge_id]),
            steps=tuple(steps[row.charge_id]),
        )
        for row in rows
    )


def _beside(known: _Drawn, drawn: Iterable[_Drawn]) -> tuple[_Drawn, ...]:
    """The others that charge any of the same datasets."""
    return tuple(each for each in drawn if each.charge_id != known.charge_id and each.datasets & known.datasets)


def _decision(known: _Drawn, drawn: Iterable[_Drawn]) -> ReleaseDecision:
    return ReleaseDecision(
        charge_id=known.charge_id,
        datasets=tuple(sorted(known.datasets)),
        result_sha256=known.result_sha256 or "",  # a release that was shown has one
        steps=known.steps,
        undecided_beside=tuple(each.charge_id for each in _beside(known, drawn) if not each.steps),
    )


def record_step(
    connection: Connection, charge_id: str, kind: DecisionKind, *, now: str, before_decision: bool
) -> ReleaseDecision:
    """Write one step; the same step again changes nothing. A report that is opened is written for every release that it is about: rule 4.

    Raises:
        UnknownChargeError: this ledger knows no release under that charge.
        DecisionError: the release was withheld, and is to be published.
        DecisionNeededError: as `check_report_may_open`.
    """
    known = release_decisions(connection, charge_id)
    if not known:
        raise UnknownChargeError(f"this ledger knows no release under the charge {charge_id[:64]!r}")
    if kind is DecisionKind.PUBLISHED and known[0].decision is DecisionKind.WITHHELD:
        raise DecisionError("this release was withheld, and that is final")
    charges = [charge_id]
    if kind is DecisionKind.REPORT_OPENED:
        check_report_may_open(known[0], before_decision=before_decision)
        drawn = _drawn(connection)
        charges += [each.charge_id for one in drawn if one.charge_id == charge_id for each in _beside(one, drawn)]
    written = models.decision.c
    there = set(connection.scalars(select(written.charge_id).where(written.kind == kind.value)))
    for each in charges:
        if each not in there:
            connection.execute(insert(models.decision).values(charge_id=each, kind=kind.value, decided_at=now))
    return release_decisions(connection, charge_id)[0]


def check_report_may_open(known: ReleaseDecision, *, before_decision: bool) -> None:
    """Return when the private report of a release may be opened.

    Raises:
        DecisionNeededError: nothing was decided about it or about another release of the same datasets, and the caller did not say that this is meant.
    """
    if before_decision:
        return
    if known.decision is None and not known.report_opened:
        raise DecisionNeededError(
            "nothing was decided about this release yet; its private report opens after the decision, so that the decision cannot rest on real records"
        )
    if known.undecided_beside:
        raise DecisionNeededError(
            f"nothing was decided yet about other releases of the same datasets, under the charges {', '.join(known.undecided_beside)}; the report would "
            "tell about their people, too: decide about each first, after finishing one that was interrupted"
        )
