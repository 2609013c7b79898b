"""Privacy loss as a value: what a release costs, exactly, in integers.

1. The one currency is zero-concentrated differential privacy (zCDP, Bun and Steinke 2016): rho, in integer *nano-rho*, plus delta in
   integer units of 1e-15 (privacy rule 13). Integers add without rounding, so a ledger sums exactly.
2. A loss is positive. A spend however small costs at least one unit; zero, negative and non-integer amounts are refused.
3. A receipt is proof that a loss was charged and committed. Whatever opens real data asks for one (privacy rule 14).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from casesynth.errors import CasesynthError

NANO = 1_000_000_000
"""Nano-rho in one rho."""

DELTA_UNIT = Fraction(1, 10**15)
"""One integer unit of delta."""


class PrivacyLossError(CasesynthError):
    """A privacy loss that is not a positive integer amount."""


def _integer(name: str, value: object, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise PrivacyLossError(f"{name} must be an integer, got {type(value).__name__}")
    if value < at_least:
        raise PrivacyLossError(f"{name} must be at least {at_least}, got {value}")


@dataclass(frozen=True, kw_only=True, order=True)
class PrivacyLoss:
    """The privacy loss of one release for one person token.

    >>> PrivacyLoss(nano_rho=2) + PrivacyLoss(nano_rho=3, delta_units=1)
    PrivacyLoss(nano_rho=5, delta_units=1)
    """

    nano_rho: int
    """zCDP rho times 1e9; a positive integer, rounded up."""
    delta_units: int = 0
    """Additive delta in units of 1e-15, rounded up; zero for pure zCDP mechanisms."""

    def __post_init__(self) -> None:
        _integer("nano_rho", self.nano_rho, 1)
        _integer("delta_units", self.delta_units, 0)

    def __add__(self, other: PrivacyLoss) -> PrivacyLoss:
        """Sequential composition: both amounts add."""
        return PrivacyLoss(nano_rho=self.nano_rho + other.nano_rho, delta_units=self.delta_units + other.delta_units)

    @property
    def rho(self) -> Fraction:
        """The zCDP parameter rho, exactly."""
        return Fraction(self.nano_rho, NANO)

    def scaled(self, tokens: int) -> PrivacyLoss:
        """The loss for a person who stands behind `tokens` person tokens: rho grows with the square (privacy rule 2).

        Source: Bun and Steinke 2016, proposition 27 (group privacy of zCDP). Only for losses without delta.

        Raises:
            PrivacyLossError: tokens is below 1, or the loss has a delta.
        """
        _integer("tokens", tokens, 1)
        if self.delta_units and tokens > 1:
            raise PrivacyLossError("group privacy of a loss with delta is not defined here; convert it first")
        return PrivacyLoss(nano_rho=self.nano_rho * tokens * tokens, delta_units=self.delta_units)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Proof that a privacy loss was charged and committed before any data was opened (privacy rule 14)."""

    charge_id: str
    """Identifier of the charge in the ledger that committed it."""
    loss: PrivacyLoss
    """What was charged."""
