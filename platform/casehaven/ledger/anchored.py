"""What the anchor remembers of a ledger beside the end of its chain: ceilings, and what a resumption needs to spend under them.

1. It only rises: ceilings never fall, and datasets, raises and marks never leave it (privacy rule 20).
2. Ceilings stand in sixteenths of a cap, rounded up: the file tells little of what was spent (privacy rule 18).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from casehaven.ledger import models
from casesynth.canonical import JsonValue, canonical_json, parse_json

STEPS = 16
"""Parts of a cap that a ceiling is raised by."""

Amount = tuple[int, int]
"""Nano-rho, and units of delta."""


@dataclass(frozen=True, kw_only=True)
class AnchoredRaise:
    """A raise that two people approved, as it is stored."""

    request_sha256: str
    epsilon: str
    cap_nano_rho: int
    reason: str
    approvers: str
    raised_at: str


@dataclass(frozen=True, kw_only=True)
class AnchoredApprovers:
    """A set of people who may approve raises, as it is stored."""

    number: int
    request_sha256: str
    people: str
    approved_by: str
    reason: str
    named_at: str


@dataclass(frozen=True, kw_only=True)
class AnchoredDataset:
    """A dataset of the ledger."""

    epsilon: str
    """With which it was opened."""
    delta_units: int
    additive_delta_units: int
    cap_nano_rho: int
    """With which it was opened."""
    opened_at: str
    vault_id: str | None = None
    """Of the vault that it is bound to."""
    raises: tuple[AnchoredRaise, ...] = ()
    unbounded: Mapping[str, str] = field(default_factory=dict)
    """Marks: SHA-256 of the request, and the day."""
    ceilings: Mapping[str, Amount] = field(default_factory=dict)
    """By block."""

    def raised(self, other: AnchoredDataset) -> AnchoredDataset:
        """This dataset with whatever is higher in the other."""
        blocks = sorted({*self.ceilings, *other.ceilings})
        return AnchoredDataset(
            epsilon=self.epsilon,
            delta_units=self.delta_units,
            additive_delta_units=self.additive_delta_units,
            cap_nano_rho=self.cap_nano_rho,
            opened_at=self.opened_at,
            vault_id=self.vault_id or other.vault_id,
            raises=_together(self.raises, other.raises),
            unbounded={**other.unbounded, **self.unbounded},
            ceilings={
                block: _higher(self.ceilings.get(block, (0, 0)), other.ceilings.get(block, (0, 0))) for block in blocks
            },
        )


@dataclass(frozen=True, kw_only=True)
class AnchoredState:
    """Everything that the anchor remembers beside the end of the chain."""

    datasets: Mapping[str, AnchoredDataset] = field(default_factory=dict)
    """By `organisation/dataset`."""
    odometer_raises: tuple[AnchoredRaise, ...] = ()
    """Raises of the deployment's cap for one person."""
    approvers: tuple[AnchoredApprovers, ...] = ()
    """Every set of people who may approve raises, oldest first."""

    def raised(self, other: AnchoredState) -> AnchoredState:
        """This state with whatever is higher in the other (rule 1)."""
        datasets = dict(other.datasets)
        for name, known in self.datasets.items():
            datasets[name] = known.raised(datasets[name]) if name in datasets else known
        further = other if len(other.approvers) > len(self.approvers) else self
        return AnchoredState(
            datasets=datasets,
            odometer_raises=_together(self.odometer_raises, other.odometer_raises),
            approvers=further.approvers,
        )

    def to_bytes(self) -> bytes:
        """The canonical bytes."""
        return canonical_json(
            {
                "datasets": {name: _dataset_json(known) for name, known in self.datasets.items()},
                "odometer_raises": [vars(each) for each in self.odometer_raises],
                "approvers": [vars(each) for each in self.approvers],
            }
        )

    @staticmethod
    def parse(authentic: bytes) -> AnchoredState:
        """Read what `to_bytes` wrote; the anchor has checked that nobody else did."""
        document: Any = parse_json(authentic, "the anchor")
        return AnchoredState(
            datasets={
                name: AnchoredDataset(
                    **{
                        **fields,
                        "raises": tuple(AnchoredRaise(**each) for each in fields["raises"]),
                        "ceilings": {block: (rho, delta) for block, (rho, delta) in fields["ceilings"].items()},
                    }
                )
                for name, fields in document["datasets"].items()
            },
            odometer_raises=tuple(AnchoredRaise(**each) for each in document["odometer_raises"]),
            approvers=tuple(
                AnchoredApprovers(**each) for each in document.get("approvers", ())
            ),  # none before version 4
        )


def stored_state(connection: Connection) -> AnchoredState:
    """Return what the anchor should at least remember of the ledger."""
    raises: dict[str | None, list[AnchoredRaise]] = {}
    for row in connection.execute(select(models.budget_raise).order_by(models.budget_raise.c.cap_nano_rho)):
        named = row._asdict()
        raises.setdefault(named.pop("dataset_id"), []).append(AnchoredRaise(**named))
    marks: dict[str, dict[str, str]] = {}
    for row in connection.execute(select(models.unbounded)):
        marks.setdefault(row.dataset_id, {})[row.request_sha256] = row.since
    bound = {row.dataset_id: row.vault_id for row in connection.execute(select(models.vault_of_dataset))}
    ceilings: dict[str, dict[str, Amount]] = {}
    known = select(models.account.c.dataset_id, models.account.c.block, models.ceiling).join_from(
        models.account, models.ceiling
    )
    for row in connection.execute(known):
        ceilings.setdefault(row.dataset_id, {})[row.block] = (row.nano_rho, row.delta_units)
    return AnchoredState(
        datasets={
            row.dataset_id: AnchoredDataset(
                epsilon=row.epsilon,
                delta_units=row.delta_units,
                additive_delta_units=row.additive_delta_units,
                cap_nano_rho=row.cap_nano_rho,
                opened_at=row.opened_at,
                vault_id=bound.get(row.dataset_id),
                raises=tuple(raises.get(row.dataset_id, ())),
                unbounded=marks.get(row.dataset_id, {}),
                ceilings=ceilings.get(row.dataset_id, {}),
            )
            for row in connection.execute(select(models.dataset))
        },
        odometer_raises=tuple(raises.get(None, ())),
        approvers=tuple(
            AnchoredApprovers(**row._asdict())
            for row in connection.execute(select(models.approvers).order_by(models.approvers.c.number))
        ),
    )


def step_up(amount: int, cap: int) -> int:
    """Return the next sixteenth of a cap at or above an amount that is within it.

    >>> step_up(1, 160), step_up(10, 160), step_up(11, 160), step_up(0, 160), step_up(7, 7)
    (10, 10, 20, 0, 7)
    """
    step = max(1, -(-cap // STEPS))
    return min(cap, -(-amount // step) * step)


def _dataset_json(known: AnchoredDataset) -> dict[str, JsonValue]:
    return {
        **vars(known),
        "raises": [vars(each) for each in known.raises],
        "ceilings": {block: list(amount) for block, amount in known.ceilings.items()},
    }


def _together(ours: Sequence[AnchoredRaise], theirs: Sequence[AnchoredRaise]) -> tuple[AnchoredRaise, ...]:
    known = {each.request_sha256: each for each in (*theirs, *ours)}
    return tuple(sorted(known.values(), key=lambda each: each.cap_nano_rho))


def _higher(ours: Amount, theirs: Amount) -> Amount:
    return max(ours[0], theirs[0]), max(ours[1], theirs[1])
