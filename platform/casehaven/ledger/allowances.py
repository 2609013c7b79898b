"""What one analyst may charge to one dataset: for fairness only. The cap that gives the guarantee is on the account (privacy rule 12).

1. What an analyst charges to a dataset adds up over its blocks and questions, each charge once. An allowance may be set, raised and lowered by one
   steward; none is no limit.
2. A refusal shows the caller's own allowance and no other number (privacy rule 18).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from casehaven.ledger import models
from casehaven.ledger.errors import AllowanceExhaustedError, ChargeRequestError, UnknownAccountError
from casesynth.privacy import PrivacyLoss
from casesynth.privacy.loss import NANO

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_LARGEST = (1 << 62) - 1


@dataclass(frozen=True, kw_only=True)
class AnalystId:
    """Who asks; never published."""

    text: str
    """1 to 64 of the characters a-z 0-9 . _ @ - and starting with a letter or digit."""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not _NAME.fullmatch(self.text):
            raise ChargeRequestError(
                "an analyst has 1 to 64 of the characters a-z 0-9 . _ @ - and starts with a letter or digit"
            )


@dataclass(frozen=True, kw_only=True)
class AllowanceState:
    """How one analyst stands with one dataset."""

    analyst: AnalystId
    dataset: str
    """`organisation/dataset`."""
    limit_nano_rho: int | None
    """The most that this analyst may charge to the dataset; None: no limit of the analyst's own."""
    spent_nano_rho: int
    """What this analyst charged to it."""

    @property
    def left_nano_rho(self) -> int | None:
        """What is left; None where there is no limit."""
        return None if self.limit_nano_rho is None else max(0, self.limit_nano_rho - self.spent_nano_rho)

    def __str__(self) -> str:
        """In words, for the analyst."""
        left = self.left_nano_rho
        return (
            f"your own allowance for {self.dataset} has no limit"
            if left is None
            else f"of your own allowance for {self.dataset}, {left / NANO:.9f} rho is left"
        )


def allowance_of(connection: Connection, analyst: AnalystId, dataset: str) -> AllowanceState:
    """Return how an analyst stands with a dataset."""
    row = connection.execute(
        select(models.allowance).where(
            models.allowance.c.analyst == analyst.text, models.allowance.c.dataset_id == dataset
        )
    ).first()
    return AllowanceState(
        analyst=analyst,
        dataset=dataset,
        limit_nano_rho=None if row is None else row.limit_nano_rho,
        spent_nano_rho=0 if row is None else row.spent_nano_rho,
    )


def set_allowance(connection: Connection, analyst: AnalystId, dataset: str, nano_rho: int | None) -> AllowanceState:
    """Set or lift an allowance; what was spent stays.

    Raises:
        UnknownAccountError: the dataset has no account.
        ChargeRequestError: the amount is not a whole number of nano-rho, 0 or more.
    """
    if nano_rho is not None and (
        isinstance(nano_rho, bool) or not isinstance(nano_rho, int) or not 0 <= nano_rho <= _LARGEST
    ):
        raise ChargeRequestError("an allowance is a whole number of nano-rho, 0 or more")
    if connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == dataset)).first() is None:
        raise UnknownAccountError(f"no account was opened for {dataset}")
    row = models.allowance.c
    found = (row.analyst == analyst.text) & (row.dataset_id == dataset)
    if connection.execute(select(row.allowance_id).where(found)).first() is None:
        values = {"analyst": analyst.text, "dataset_id": dataset, "spent_nano_rho": 0}
        connection.execute(insert(models.allowance).values(**values))
    connection.execute(update(models.allowance).where(found).values(limit_nano_rho=nano_rho))
    return allowance_of(connection, analyst, dataset)


def refuse_beyond_allowance(own: Sequence[AllowanceState], loss: PrivacyLoss) -> None:
    """Return only when every allowance of an analyst can pay.

    Raises:
        AllowanceExhaustedError: one of them has less left.
    """
    for state in own:
        left = state.left_nano_rho
        if left is not None and loss.nano_rho > left:
            raise AllowanceExhaustedError(
                f"asked {loss.nano_rho / NANO:.9f} rho, and {state}; what others spent is not told"
            )
