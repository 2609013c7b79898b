"""Questions to a released bundle: answered from its model, at no charge, because what was published is paid for.

1. Counts alone, of people, over at most three attributes: the length up to which the release's intervals were judged.
2. Estimates and intervals are the release's own, and what privacy rule 25 hides in it is hidden here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from casehaven.queries.errors import OtherUnitError
from casehaven.releases.published import PublishedRelease
from casesynth.aggregates import LENGTH
from casesynth.answers.answer import AnswerRow
from casesynth.answers.question import Condition, Counts, Every, Fact, Question, Split
from casesynth.estimates import Combination

Place = tuple[str, frozenset[int]]


def released_rows(question: Question, release: PublishedRelease) -> tuple[AnswerRow, ...]:
    """Return the numbers that a question shows, from a release's model.

    Raises:
        OtherUnitError: the model does not answer questions like this one; says what it answers.
    """
    if question.registered is not None:
        raise OtherUnitError("a release does not tell in which years people were first registered")
    if question.unit is not None or not isinstance(question.show, Counts) or question.totals:
        raise OtherUnitError("a release answers counts of people, without totals")
    conditions = _conditions(question)
    return tuple(_rows(question, release, conditions))


def _conditions(question: Question) -> list[Place]:
    where = question.where
    parts = where.parts if isinstance(where, Every) else (where,)
    found = []
    for part in parts:
        if not isinstance(part, Condition):
            raise OtherUnitError("a release answers conditions that all have to hold, on one attribute each")
        found.append((part.attribute, part.positions))
    return found


def _rows(question: Question, release: PublishedRelease, conditions: list[Place]) -> Iterator[AnswerRow]:
    axes = [
        [(part.label, (axis.attribute, part.positions), part.answered) for part in axis.parts]
        if isinstance(axis, Split)
        else [(fact.label, _single(fact), True) for fact in axis.facts]
        for axis in question.by
    ]
    names = [axis.attribute if isinstance(axis, Split) else axis.label for axis in question.by]
    for chosen in itertools.product(*axes):
        parts = _union(release, [place for _, place, _ in chosen] + conditions)
        found = release.estimates.union(parts)
        seen = found.shown and bool(parts)
        yield AnswerRow(
            cell=tuple(zip(names, (label for label, _, _ in chosen), strict=True)),
            kind="count",
            estimate=float(round(found.value)) if seen else None,
            low=float(math.floor(found.low)) if seen else None,
            high=float(math.ceil(found.high)) if seen else None,
            answered=all(answered for _, _, answered in chosen),
        )


def _single(fact: Fact) -> Place:
    ((name, positions),) = fact.holds
    return name, positions


def _union(release: PublishedRelease, places: list[Place]) -> list[Combination]:
    """Return the disjoint combinations of values in which all places hold."""
    domain = release.estimates.domain
    kept: dict[str, frozenset[int]] = {}
    several: list[Place] = []
    for name, positions in places:
        if domain.attribute(name).multi:
            if len(positions) != 1:
                raise OtherUnitError(f"a release answers about one value of {name} at a time")
            if (name, positions) not in several:
                several.append((name, positions))
        else:
            kept[name] = kept.get(name, positions) & positions
    if len(kept) + len(several) > LENGTH:
        raise OtherUnitError(f"a release answers questions about at most {LENGTH} attributes")
    lists = [
        [
            fact
            for position in sorted(positions)
            for fact in release.estimates.facts(name, domain.attribute(name).values[position])
        ]
        for name, positions in [*kept.items(), *several]
    ]
    return list(itertools.product(*lists))
