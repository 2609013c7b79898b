"""Budgets: the public statement of cumulative loss, and what is left of your own fair share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from casehaven.client.answers import NANO
from casehaven.client.display import Listing
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The public statement of cumulative loss: the state at the beginning of this month, in sixteenths of each budget."""

    document: Mapping[str, Any] = field(repr=False)
    """`casehaven-budget-statement/1`."""
    words: str = field(repr=False)
    """The same in words."""
    fingerprint: str
    """Of the key that signed; compare it with the deployment's over another channel."""
    signed: bytes = field(repr=False)
    """`casehaven-signed-statement/1`, as a file that `casehaven budget verify` checks."""


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """Your own fair share of a dataset's budget."""

    dataset: str
    limit_nano_rho: int | None
    """None: no limit."""
    left_nano_rho: int | None

    @property
    def left_rho(self) -> float | None:
        """What is left; None where there is no limit."""
        return None if self.left_nano_rho is None else self.left_nano_rho / NANO


class Budgets:
    """What was spent, as the public is told, and what you may spend."""

    def __init__(self, jobs: Jobs) -> None:
        """Use a connection."""
        self._jobs = jobs

    def statement(self) -> Statement:
        """Return the signed public statement."""
        fields = Fields(self._jobs.ask("GET", "/v1/budgets/statement").result, "statement")
        return Statement(
            document=fields.inner("document").all,
            words=fields.text("words", most=10_000_000),
            fingerprint=fields.text("fingerprint"),
            signed=fields.text("signed", most=50_000_000).encode("utf-8", "surrogatepass"),
        )

    def allowances(self) -> Listing[Allowance]:
        """Return what is left of your fair share in each dataset that you may ask about."""
        fields = Fields(self._jobs.ask("GET", "/v1/budgets/allowances").result, "list of allowances")
        return Listing(fields.each("allowances", _allowance))


def _allowance(fields: Fields) -> Allowance:
    return Allowance(
        dataset=fields.text("dataset"),
        limit_nano_rho=fields.maybe_whole("limit_nano_rho"),
        left_nano_rho=fields.maybe_whole("left_nano_rho"),
    )
