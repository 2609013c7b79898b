"""What somebody who asks is told: the price before, and the answer after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from casehaven.ledger import AllowanceState
from casesynth.answers import AnswerPlan
from casesynth.privacy import PrivacyLoss


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a question would cost and how exact its answer would be. Reads public facts alone; fixes price and accuracy, and reserves nothing."""

    plan: AnswerPlan
    free: str | None
    """Why it costs nothing: `stored` or `from earlier answers`; None where it costs the plan's loss."""
    earlier_tables: int
    """Noisy tables that are paid for and help."""
    alone_nano_rho: int
    """What it would cost if nothing were paid for."""
    asked_on: tuple[str, ...] = ()
    """Earlier days, the latest first, on which it was answered as exactly: those answers cost nothing, as of their days."""
    allowances: tuple[AllowanceState, ...] = ()
    """Of whoever asks, in each dataset: what is left of a fair share. Nobody else's, and no account's balance."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An answer as it is stored."""

    answer: Mapping[str, Any]
    """`casehaven-answer/1`."""
    charged: PrivacyLoss | None
    """None where it cost nothing."""
    free: str | None
    visible_at: int
    """Seconds since 1970; a service shows nothing of it before."""
