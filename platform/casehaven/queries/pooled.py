"""What a question is asked under, where datasets of several organisations are counted together: the terms of their agreement, without the contributors' names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from casesynth.canonical import JsonValue
from casesynth.privacy import PrivacyLoss

Permit = Callable[[PrivacyLoss], AbstractContextManager[None]]
"""Encloses a charge: entering it asks once more whether the charge may be made, and raises where it may not."""


def always(loss: PrivacyLoss) -> AbstractContextManager[None]:
    """Permit every charge: whoever asks has the keys."""
    return nullcontext()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The terms under which some datasets are counted together."""

    agreement: str
    """Its public name."""
    name: str
    """Tells this choice of datasets, under this document, from any other; a hash that nobody can try names against."""
    tokens: int
    """How many person tokens one person may have."""
    people_cap: int
    minimum_count: int
    """Smallest count that is shown."""
    left_out: int
    """Datasets of the agreement that cannot pay by its public rule."""
    rule: str
    """That rule, in words."""

    def stated(self) -> dict[str, JsonValue]:
        """Return what an answer says in the place of the datasets."""
        return {
            "agreement": self.agreement,
            "pool": self.name,
            "minimum_count": self.minimum_count,
            "max_tokens_per_person": self.tokens,
            "left_out": self.left_out,
            "left_out_rule": self.rule,
        }
