"""Privacy loss as epsilon: what an amount of rho, the currency of the ledger, is at the delta of this deployment.

1. The delta is the one of the public statement. A ledger is made with it for good, so it is asked for once in a process.
2. The conversion is the ledger's own (`casesynth.privacy.accounting`); it is rounded up, never down.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from casehaven.web.backend import place
from casehaven.web.desk import Desk
from casehaven.web.release_numbers import rounded_up
from casesynth.privacy.accounting import epsilon_for

WAIT_SECONDS: Final = 5
PLACES: Final = 2
"""Decimals of an epsilon that is shown."""


@dataclass(frozen=True, kw_only=True)
class LedgerDelta:
    """The delta at which a deployment states privacy loss."""

    delta: float

    @property
    def said(self) -> str:
        """The delta as people write it.

        >>> LedgerDelta(delta=1e-6).said
        '1e-06'
        """
        return f"{self.delta:g}"

    def epsilon(self, nano_rho: int, tokens: int = 1) -> str:
        """Return the epsilon, rounded up, for a person behind so many person tokens.

        Args:
            nano_rho: for one person token; 0 is no loss.
            tokens: of one person; the loss in rho grows with their square (privacy rule 2).

        >>> LedgerDelta(delta=1e-6).epsilon(100_000_000), LedgerDelta(delta=1e-6).epsilon(0)
        ('2.15', '0')
        """
        return f"{rounded_up(epsilon_for(nano_rho * tokens**2, self.delta), PLACES):g}" if nano_rho else "0"


async def ledger_delta(desk: Desk) -> LedgerDelta | None:
    """Return the delta of the deployment's ledger; None where the service did not say it in time."""
    state = desk.request.app.state
    known: LedgerDelta | None = getattr(state, "ledger_delta", None)
    if known is None:
        answer = await desk.backend.call("GET", place("/v1/budgets/statement"), wait=WAIT_SECONDS)
        if answer.status != 200:
            return None
        stated = json.loads(answer.body["result"]["signed"])["statement"]
        known = LedgerDelta(delta=float(stated["policy"]["delta"]))
        state.ledger_delta = known
    return known
