"""What a release says about itself beside its numbers: written by people, public, and never taken from records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from casesynth.errors import CasesynthError


class NotesError(CasesynthError):
    """A note that a release cannot carry."""


@dataclass(frozen=True, kw_only=True)
class ReleaseNotes:
    """Public facts about one release that its reader needs."""

    title: str
    created: str
    """Date of the release, ISO 8601."""
    organisations: int = 1
    """How many organisations contributed; their names do not show."""
    unit: str = "person token"
    """The privacy unit: `person token`, or `record` where the steward declared that one record is one person."""
    person_tokens: Literal["shared", "separate"] | None = None
    """Of several organisations: whether equal tokens mean the same person, or tokens are each organisation's own."""
    consent_applied: bool = False
    """Whether only people who consented to a synthetic release were counted."""
    legal_basis: str | None = None
    """The steward's words, where no consent column was applied."""
    licence: str = "CC-BY-4.0"
    """Licence of the released files, as an SPDX identifier."""
    decision_used_private_data: bool = False
    """Whether anybody compared a draw with real records before deciding to publish: then the guarantee does not cover the decision
    (privacy rule 33)."""
    tokens_reason: str | None = None
    """Why max_tokens_per_person is lower than the number of organisations, where it is (privacy rule 2)."""
    registered: tuple[str, ...] = ()
    """Years of first registration whose people were counted and charged, `""` for an unknown year; none named: everybody (privacy rule 12)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "registered", tuple(self.registered))  # JSON has lists
        for name in ("title", "created", "unit", "licence"):
            if not str(getattr(self, name)).strip():
                raise NotesError(f"a release needs a {name}")
        if not self.consent_applied and not (self.legal_basis or "").strip():
            raise NotesError("a release needs consent columns that were applied, or a stated legal basis")
        try:
            date.fromisoformat(self.created)
        except ValueError:
            raise NotesError("the date of a release must be written as YYYY-MM-DD") from None
        if self.organisations < 1:
            raise NotesError(f"organisations must be at least 1, got {self.organisations}")


def registered_words(blocks: Sequence[str]) -> str:
    """Return years of first registration as people read them.

    >>> registered_words(["", "2021", "2022"])
    '2021, 2022 or an unknown year'
    """
    named = [*(block for block in blocks if block), *(["an unknown year"] if "" in blocks else [])]
    return " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
