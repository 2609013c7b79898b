"""What is stored about a snapshot, and what a question gets from it at no charge (privacy rule 17).

1. Shown and combined is what has passed its tick. The same question at the same accuracy or a weaker one gets the answer that waits for its tick, too, and waits with it: two who ask the same
   pay once.
2. A stored answer serves the same question at the same accuracy or a weaker one. Noisy tables that were paid for serve every question whose numbers they tell.
3. What was stored on a day stands for that day, for good, and is found by its day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final

from casehaven.ledger import AnswerKey, Ledger, StoredAnswer
from casehaven.queries.public_facts import SnapshotFacts
from casesynth.answers import AnswerPlan, CountTable, Question, helping, question_digest
from casesynth.answers.document import StoredAnswerError, read_whole
from casesynth.answers.question import Integers, WithinPeople
from casesynth.answers.told import SeenGrid
from casesynth.canonical import JsonValue, canonical_json

MECHANISM: Final = "discrete_gaussian_2"
NANO_PEOPLE: Final = 10**9

Tables = tuple[tuple[CountTable, Integers], ...]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The stored answers about one snapshot, as they are visible at one moment; read once, but for `seen`."""

    ledger: Ledger
    facts: SnapshotFacts
    now: int
    """Seconds since 1970."""

    def visible(self) -> tuple[StoredAnswer, ...]:
        """Return the answers of this snapshot, oldest first."""
        return self._after_their_tick(self._of_snapshot)

    def of_every_day(self) -> tuple[StoredAnswer, ...]:
        """Return the answers about these datasets on any day, oldest first."""
        return tuple(found for found in self._after_their_tick(self.ledger.answers()) if is_about(found, self.facts))

    def tables(self, question: Question) -> Tables:
        """Return the noisy tables that are paid for and help."""
        tables: list[tuple[CountTable, Integers]] = []
        for found in self.visible():
            tables += read(found)[1]
        return tuple(helping(question, tables))

    def seen(self) -> tuple[SeenGrid, ...]:
        """Return what the answers of this snapshot show of their counts, those too that were stored while people were counted (privacy rule 25)."""
        present = self._after_their_tick(self.ledger.answers(snapshot=self.facts.name))
        return tuple(grid for found in present for grid in _read(found.sha256, found.document)[2])

    def key(self, plan: AnswerPlan) -> AnswerKey:
        """Return what the answer of a plan is stored under."""
        return AnswerKey(
            plan_sha256=question_digest(plan.question),
            snapshot=self.facts.name,
            mechanism=MECHANISM,
            noise_scale=_nano(plan.within),
        )

    def cached(self, alone: AnswerPlan) -> StoredAnswer | None:
        """Return the most exact stored answer that is as exact as what is asked for; None where there is none.

        Args:
            alone: the plan without earlier tables, which says how exact an epsilon is.
        """
        return self._most_exact(alone, self.visible())

    def waiting(self, alone: AnswerPlan) -> StoredAnswer | None:
        """Return the most exact stored answer that is as exact as what is asked for and has not passed its tick; None where there is none.

        Args:
            alone: as for `cached`.
        """
        later = tuple(stored for stored in self._of_snapshot if stored.visible_at > self.now)
        return self._most_exact(alone, later)

    def tick_of(self, question: Question, document: str) -> int:
        """Return when an answer that was served is seen: not before the stored answer that it is.

        Args:
            question: that it answers.
            document: the answer's canonical bytes.
        """
        same = self.ledger.answers(plan=question_digest(question))
        found = (s.visible_at for s in same if canonical_json(dict(shown(s))).decode("utf-8") == document)
        return max(self.now, min(found, default=0))

    def _most_exact(self, alone: AnswerPlan, among: tuple[StoredAnswer, ...]) -> StoredAnswer | None:
        key = replace(self.key(alone), noise_scale=_asked(alone))
        found = [stored for stored in among if _serves(stored, key)]
        return min(found, key=lambda stored: stored.key.noise_scale, default=None)

    def earlier_days(self, alone: AnswerPlan) -> tuple[str, ...]:
        """Return the days before this one on which the question was answered as exactly, the latest first."""
        key, days = replace(self.key(alone), noise_scale=_asked(alone)), set()
        for stored in self._after_their_tick(self.ledger.answers(plan=key.plan_sha256)):
            if _serves(stored, key) and is_about(stored, self.facts):
                days.add(str(shown(stored)["snapshot"]["day"]))
        return tuple(sorted((day for day in days if day < self.facts.day), reverse=True))

    @cached_property
    def _of_snapshot(self) -> tuple[StoredAnswer, ...]:
        return self.ledger.answers(snapshot=self.facts.name)

    def _after_their_tick(self, found: tuple[StoredAnswer, ...]) -> tuple[StoredAnswer, ...]:
        return tuple(stored for stored in found if stored.visible_at <= self.now)


def answers_it(stored: StoredAnswer, facts: SnapshotFacts, question: Question) -> bool:
    """Whether an answer is to this question at this accuracy, on whatever day."""
    answer = shown(stored)
    asked = canonical_json([question.canonical, accuracy_of(question)])
    return is_about(stored, facts) and canonical_json([answer["question"], answer["accuracy"]]) == asked


def is_about(stored: StoredAnswer, facts: SnapshotFacts) -> bool:
    """Whether a stored answer is about these datasets of this vault, on whatever day."""
    try:
        said = dict(shown(stored)["snapshot"])
    except StoredAnswerError:  # of a version that stored other things
        return False
    said.pop("day", None)
    return said == facts.about


def accuracy_of(question: Question) -> JsonValue:
    """Return the accuracy asked for, as JSON."""
    asked = question.accuracy
    return {"within_people": asked.people} if isinstance(asked, WithinPeople) else {"epsilon": asked.epsilon}


def shown(stored: StoredAnswer) -> Mapping[str, Any]:
    """Return what people see of a stored answer."""
    return read(stored)[0]


def read(stored: StoredAnswer) -> tuple[Mapping[str, Any], Tables]:
    """Return a stored answer and its noisy tables: protected numbers alone."""
    return _read(stored.sha256, stored.document)[:2]


@lru_cache(maxsize=256)
def _read(sha256: str, document: str) -> tuple[Mapping[str, Any], Tables, tuple[SeenGrid, ...]]:
    answer, tables, seen = read_whole(document.encode("utf-8"))
    return answer, tuple(tables), tuple(seen)


def _serves(stored: StoredAnswer, key: AnswerKey) -> bool:
    same = (stored.key.plan_sha256, stored.key.mechanism) == (key.plan_sha256, key.mechanism)
    return same and stored.key.noise_scale <= key.noise_scale


def _asked(alone: AnswerPlan) -> int:
    asked = alone.question.accuracy
    return _nano(asked.people if isinstance(asked, WithinPeople) else alone.within)


def _nano(people: float) -> int:
    """Return billionths of people, rounded up."""
    return max(-int(-people * NANO_PEOPLE // 1), 1)
