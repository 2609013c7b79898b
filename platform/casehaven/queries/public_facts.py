"""The public facts that a question rests on: what is asked about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from casehaven.blocks import schema_blocks
from casehaven.queries.pooled import Pool
from casehaven.vault.datasets import Dataset
from casehaven.vault.snapshots import Tokens
from caseschemas import CaseSchema
from casesynth.answers.hiding import MINIMUM
from casesynth.answers.question import Question
from casesynth.canonical import JsonValue, canonical_json

PURPOSE: Final = "pooled_statistics"
"""What people consented to who are counted in answers."""


@dataclass(frozen=True, kw_only=True)
class SnapshotFacts:
    """What is asked about: datasets of one vault on one day, for one purpose.

    The day is public, and a version is not: a version would move at the very moment of a withdrawal, an erasure or a correction, and tell whoever
    can bring one about whether the person is there (privacy rules 5 and 21).
    """

    vault_id: str
    """Name of the vault: answers of one are never those of another."""
    day: str
    """UTC day, such as 2026-03-01: a new day is a new snapshot, whether or not anything changed."""

    datasets: tuple[Dataset, ...]
    """In the order of their names."""
    tokens_are: Tokens
    people_cap: int
    pool: Pool | None = None
    """The terms of the agreement that the datasets are counted together under."""
    more_keys: int = 0
    """Linkage keys beyond one of each organisation under which the person tokens of its datasets were made."""

    @staticmethod
    def of(
        datasets: Sequence[Dataset],
        tokens_are: Tokens,
        *,
        vault_id: str,
        seconds: int,
        pool: Pool | None = None,
        more_keys: int = 0,
    ) -> SnapshotFacts:
        """Return the facts of some datasets of a vault, at so many seconds since 1970."""
        ordered = tuple(sorted(datasets, key=lambda dataset: dataset.id))
        return SnapshotFacts(
            vault_id=vault_id,
            day=_day(seconds),
            datasets=ordered,
            tokens_are=tokens_are,
            people_cap=sum(dataset.people_cap for dataset in ordered) if pool is None else pool.people_cap,
            pool=pool,
            more_keys=more_keys,
        )

    def is_of(self, seconds: int) -> bool:
        """Whether they are the facts of the day of a moment, in seconds since 1970."""
        return self.day == _day(seconds)

    @property
    def schema(self) -> CaseSchema:
        """Of all datasets."""
        return self.datasets[0].schema

    @property
    def tokens(self) -> int:
        """How many person tokens one person may have: one in each organisation, linked or not, or what the agreement says (privacy rule 2).

        Where an organisation's datasets were made under several linkage keys, or some under none, one person has one token for each.
        """
        named = len({dataset.organisation for dataset in self.datasets}) if self.pool is None else self.pool.tokens
        return named + self.more_keys

    @property
    def minimum_count(self) -> int:
        """The smallest count that an answer shows (privacy rule 25), raised where the agreement says so."""
        return int(MINIMUM) if self.pool is None else max(int(MINIMUM), self.pool.minimum_count)

    @property
    def blocks(self) -> tuple[str, ...]:
        """All blocks that people of these datasets may be in: years of first registration, and "" for those of whom it was not known."""
        return schema_blocks(self.schema)

    def charged(self, question: Question) -> tuple[str, ...]:
        """Return the blocks that a question reads, and that pay for it: each person is in one, for good (privacy rule 12)."""
        return self.blocks if question.registered is None else question.registered

    def on(self, day: str) -> SnapshotFacts:
        """Return the facts of the same datasets on another day."""
        return replace(self, day=day)

    @property
    def about(self) -> dict[str, JsonValue]:
        """The facts that are the same on every day."""
        return {
            "vault": self.vault_id,
            **(
                {"datasets": [dataset.id for dataset in self.datasets]} if self.pool is None else {**self.pool.stated()}
            ),
            "schema": f"{self.schema.id} {self.schema.version}",
            "schema_sha256": self.schema.digest(),
            "purpose": PURPOSE,
            "person_tokens": self.tokens_are,
            "people_cap": self.people_cap,
        }

    def stated(self) -> dict[str, JsonValue]:
        """Return the facts as an answer states them."""
        return {**self.about, "day": self.day}

    @property
    def name(self) -> str:
        """What answers are stored under: two snapshots that differ in anything public have two names."""
        return f"snapshot-2:{hashlib.sha256(canonical_json(self.stated())).hexdigest()}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
