"""How much may be spent: the policy of an account, the policy of a ledger, and the names of accounts and requests.

1. A policy is stated as (epsilon, delta). The cap of an account is the largest zCDP rho, in integer nano-rho, whose conversion at that delta
   stays within that epsilon (privacy rule 13). Epsilon is a decimal number, delta an integer number of 1e-15: nothing here is a float.
2. A part of delta may be set aside for mechanisms that add delta of their own; the conversion then uses the rest, so that the two
   parts together never exceed the policy's delta. By default nothing is set aside, and a loss with a delta is refused.
3. Names have one spelling: a dataset that could be written in two ways could be opened, and spent, twice.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from casehaven.ledger.errors import AccountNameError, BudgetPolicyError, IdempotencyKeyError
from casesynth.privacy import PrivacyLossError
from casesynth.privacy.accounting import check_delta, check_epsilon, epsilon_for, rho_for

UNITS_PER_ONE = 10**15
"""Integer units in a delta of 1."""

_DATASET = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}/[a-z0-9][a-z0-9._-]{0,63}")
_BLOCK = re.compile(r"(?:[0-9]{4})?")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,127}")


@dataclass(frozen=True, kw_only=True)
class BudgetPolicy:
    """The guarantee that an account never leaves.

    >>> BudgetPolicy.of("2", "1e-6")
    BudgetPolicy(epsilon=Decimal('2'), delta_units=1000000000, additive_delta_units=0)
    """

    epsilon: Decimal
    """For one person token, over everything that is ever charged to the account."""
    delta_units: int
    """The whole delta in units of 1e-15."""
    additive_delta_units: int = 0
    """The part of delta that mechanisms may add by themselves, in units of 1e-15; the rest serves the conversion from rho."""

    def __post_init__(self) -> None:
        if not isinstance(self.epsilon, Decimal):
            raise BudgetPolicyError(f"epsilon must be a decimal number, got {type(self.epsilon).__name__}")
        for name, units in (("delta_units", self.delta_units), ("additive_delta_units", self.additive_delta_units)):
            if isinstance(units, bool) or not isinstance(units, int) or units < 0:
                raise BudgetPolicyError(f"{name} must be a number of units of 1e-15, 0 or more")
        try:
            check_epsilon(float(self.epsilon))
            check_delta(self.delta_units / UNITS_PER_ONE)
            check_delta(self.conversion_delta)
        except (PrivacyLossError, ValueError, OverflowError) as error:
            raise BudgetPolicyError(str(error)) from None

    @staticmethod
    def of(epsilon: str | float | Decimal, delta: str | float | Decimal) -> BudgetPolicy:
        """Read a policy as people write it; a delta between two units is rounded down, to the stricter side.

        Raises:
            BudgetPolicyError: one of them is not a number, or not one that a policy may name.
        """
        units = _decimal("delta", delta) * UNITS_PER_ONE
        if not 0 <= units <= UNITS_PER_ONE:
            raise BudgetPolicyError(f"delta must be a number from 1e-15 to 0.01, got {delta}")
        return BudgetPolicy(epsilon=_decimal("epsilon", epsilon), delta_units=int(units))

    @property
    def delta(self) -> Fraction:
        """The whole delta, exactly."""
        return Fraction(self.delta_units, UNITS_PER_ONE)

    @property
    def conversion_delta(self) -> float:
        """The delta at which rho is converted into epsilon."""
        return (self.delta_units - self.additive_delta_units) / UNITS_PER_ONE

    def cap_nano_rho(self) -> int:
        """The most that an account under this policy may ever spend, in nano-rho."""
        return rho_for(float(self.epsilon), self.conversion_delta)

    def epsilon_of(self, spent_nano_rho: int) -> float:
        """The epsilon, rounded up, that a spent amount amounts to at this policy's delta; 0 when nothing is spent."""
        return epsilon_for(spent_nano_rho, self.conversion_delta) if spent_nano_rho else 0.0


@dataclass(frozen=True, kw_only=True)
class LedgerPolicy:
    """What a ledger is created with, for good."""

    account: BudgetPolicy
    """The policy of every account whose dataset names none, and the most that a dataset's own policy may allow."""
    max_tokens_per_person: int | None = None
    """In how many datasets one person may be. None: in every dataset of the ledger, which is never too low."""
    odometer_epsilon: Decimal | None = None
    """The most that one person in `max_tokens_per_person` datasets may lose in all, at the account policy's delta; None: no cap beside the accounts'."""

    def odometer_policy(self) -> BudgetPolicy:
        """The cap for one person as a policy; only where there is one."""
        return replace(self.account, epsilon=self.odometer_epsilon or self.account.epsilon)

    def __post_init__(self) -> None:
        self.odometer_policy()
        if self.odometer_epsilon is not None and self.account.additive_delta_units:
            raise BudgetPolicyError("a cap for one person is not defined where mechanisms add a delta of their own")
        tokens = self.max_tokens_per_person
        if tokens is not None and (isinstance(tokens, bool) or not isinstance(tokens, int) or not 1 <= tokens <= 1000):
            raise BudgetPolicyError(f"max_tokens_per_person must be a whole number from 1 to 1000, got {tokens}")


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    """The name of one spending request: the same request sent again carries the same key (privacy rule 16)."""

    text: str
    """8 to 128 letters, digits, and . _ : -"""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not _KEY.fullmatch(self.text):
            raise IdempotencyKeyError(
                "an idempotency key has 8 to 128 letters, digits or . _ : - and starts with a letter or digit"
            )

    @staticmethod
    def create() -> IdempotencyKey:
        """A key that nobody used before."""
        return IdempotencyKey(text=secrets.token_hex(16))


def parse_dataset_id(unverified: str) -> str:
    """Return a dataset id that is written as `organisation/dataset`.

    >>> parse_dataset_id("shelter-north/cases")
    'shelter-north/cases'

    Raises:
        AccountNameError: it is not; capital letters are refused, so that one dataset has one id.
    """
    if not isinstance(unverified, str) or not _DATASET.fullmatch(unverified):
        raise AccountNameError(
            f"the dataset id {str(unverified)[:140]!r} must be organisation/dataset, "
            "each 1 to 64 of the characters a-z 0-9 . _ - and starting with a letter or digit"
        )
    return unverified


def parse_block(unverified: str) -> str:
    """Return a block: four digits of a year, or nothing for people whose year of first registration is unknown.

    Raises:
        AccountNameError: it is something else.
    """
    if not isinstance(unverified, str) or not _BLOCK.fullmatch(unverified):
        raise AccountNameError(
            f"the block {str(unverified)[:20]!r} must be a year of four digits, or empty when it is unknown"
        )
    return unverified


def _decimal(name: str, value: str | float | Decimal) -> Decimal:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise BudgetPolicyError(f"{name} must be a number, got {str(value)[:40]!r}") from None
    if not number.is_finite() or abs(number.adjusted()) > 300:
        raise BudgetPolicyError(f"{name} must be a finite number, got {str(value)[:40]}")
    return number
