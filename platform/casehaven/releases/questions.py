"""Questions to a published release: answered from its model, at no charge, because what was published is paid for.

1. Counts and percentages of people, over at most three attributes: the length up to which the release's intervals were judged.
2. Estimates and intervals are the release's own, and what privacy rule 25 hides in it is hidden here.
3. A percentage is of those who answered: a part and all other answers of its line, each with an interval. How their errors go together is not known, so both intervals are
   widened until both hold in 95 of 100 cases, however they do (Bonferroni), and the percentage is least where the part is least and the rest is most. Where one
   percentage of a line is hidden alone, the smallest of the others is hidden with it.
4. How much is worked out follows from the question and the value lists alone. Who asks for more than `most` combinations of values, or about attributes whose whole table has more than `cells` cells,
   is refused before anything is worked out: an interval may need the whole table.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Final

import numpy as np

from casehaven.errors import CasehavenError
from casehaven.releases.published import PublishedRelease
from casesynth.aggregates import LENGTH
from casesynth.answers.answer import AnswerRow
from casesynth.answers.hiding import without_lone
from casesynth.answers.question import Condition, Counts, Every, Fact, Percentages, Question, Split
from casesynth.domain import Domain
from casesynth.estimates import Combination
from casesynth.report.words import Estimate

Place = tuple[str, frozenset[int]]

_BOTH: Final = NormalDist().inv_cdf(1 - 0.05 / 4) / NormalDist().inv_cdf(1 - 0.05 / 2)
"""How much wider intervals are of which two hold together in 95 of 100 cases."""


class ReleaseQuestionError(CasehavenError):
    """A question that a published release cannot answer from its model; the message says what it answers."""


MOST: Final = 200_000
"""Combinations of values that one question may need, where nobody says otherwise."""
CELLS: Final = 5_000_000
"""Cells of the table of all attributes of a question, where nobody says otherwise."""


def released_rows(
    question: Question, release: PublishedRelease, *, most: int = MOST, cells: int = CELLS
) -> tuple[AnswerRow, ...]:
    """Return the numbers that a question shows, from a release's model.

    Args:
        question: parsed against the release's own lists.
        release: opened.
        most: combinations of values that may be worked out (rule 4).
        cells: of the table of all its attributes (rule 4).

    Raises:
        ReleaseQuestionError: the model does not answer questions like this one; says what it answers.
    """
    if question.registered is not None:
        raise ReleaseQuestionError("a release does not tell in which years people were first registered")
    if question.unit is not None or not isinstance(question.show, Counts | Percentages) or question.totals:
        raise ReleaseQuestionError("a release answers counts and percentages of people, without totals")
    conditions = _conditions(question)
    if _combinations(question, conditions) > most:
        raise ReleaseQuestionError(
            f"a release answers questions that need at most {most:,} combinations of values: ask for fewer with a condition, or ask the bundle with the program"
        )
    if _cells(question, conditions, release) > cells:
        raise ReleaseQuestionError(f"a release answers questions about attributes with at most {cells:,} combinations")
    if isinstance(question.show, Percentages):
        return tuple(_percentages(question, release, conditions))
    return tuple(_rows(question, release, conditions))


def _combinations(question: Question, conditions: list[Place]) -> int:
    """Return how many combinations of values a question needs at most: each part of each axis, with every value that the conditions let in."""
    needed = math.prod(len(positions) for _, positions in conditions)
    for axis in question.by:
        parts = (
            [part.positions for part in axis.parts] if isinstance(axis, Split) else [_single(f)[1] for f in axis.facts]
        )
        needed *= sum(map(len, parts))
    last = question.by[-1] if question.by else None
    if isinstance(question.show, Percentages) and isinstance(last, Split):
        needed *= len(last.parts) + 1  # each part with all others of its line
    return needed


def _cells(question: Question, conditions: list[Place], release: PublishedRelease) -> int:
    """Return how many cells the table of all attributes of a question has; of several values of one person each is a column of two."""
    domain = release.estimates.domain
    named = {name for name, _ in conditions}
    columns = 0
    for axis in question.by:
        if isinstance(axis, Split):
            named.add(axis.attribute)
        else:
            several = {name for name, _ in map(_single, axis.facts)}
            columns += 1
            named |= {name for name in several if not domain.attribute(name).multi}
    return math.prod(_size(domain, name) for name in named) << columns


def _size(domain: Domain, name: str) -> int:
    """Return how many values a column of an attribute has; of a derived one at least as many as its source, from which its intervals come."""
    found = domain.attribute(name)
    own = 2 if found.multi else len(found.values)
    return own if found.derived is None else max(own, _size(domain, found.derived.source))


def _conditions(question: Question) -> list[Place]:
    where = question.where
    parts = where.parts if isinstance(where, Every) else (where,)
    found = []
    for part in parts:
        if not isinstance(part, Condition):
            raise ReleaseQuestionError("a release answers conditions that all have to hold, on one attribute each")
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


def _percentages(question: Question, release: PublishedRelease, conditions: list[Place]) -> Iterator[AnswerRow]:
    axes = []
    for axis in question.by:
        if not isinstance(axis, Split):
            raise ReleaseQuestionError("a release answers percentages of attributes with one value for each person")
        axes.append(axis)
    last = axes[-1]
    known = [part for part in last.parts if part.answered]
    for chosen in itertools.product(*(axis.parts for axis in axes[:-1])):
        of = [(axis.attribute, part.positions) for axis, part in zip(axes, chosen, strict=False)] + conditions
        whole = release.estimates.union(
            _union(release, [*of, (last.attribute, frozenset[int]().union(*(part.positions for part in known)))])
        )
        shares = []
        for part in known:
            rest = frozenset[int]().union(*(other.positions for other in known if other is not part))
            inside, outside = (
                release.estimates.union(_union(release, [*of, (last.attribute, positions)]))
                for positions in (part.positions, rest)
            )
            shares.append((inside, _share(inside, outside)))
        seen = np.array([part.shown and whole.shown for part, _ in shares])
        if whole.shown:
            seen = without_lone(seen, np.array([part.value for part, _ in shares]), np.ones(1, bool), 0)
        for part, (_, share), shown in zip(known, shares, seen.tolist(), strict=True):
            low, estimate, high = (100 * number for number in share)
            yield AnswerRow(
                cell=tuple((axis.attribute, one.label) for axis, one in zip(axes, (*chosen, part), strict=True)),
                kind="percentage",
                estimate=estimate if shown else None,
                low=low if shown else None,
                high=high if shown else None,
                answered=all(one.answered for one in chosen),
            )


def _share(part: Estimate, rest: Estimate) -> tuple[float, float, float]:
    """Return lowest, estimated and highest share of a part in itself and the rest (rule 3)."""
    low, high = (max(part.value + sign * _BOTH * part.half_width, 0.0) for sign in (-1, 1))
    rest_low, rest_high = (max(rest.value + sign * _BOTH * rest.half_width, 0.0) for sign in (-1, 1))

    def share(one: float, other: float) -> float:
        return min(max(one / (one + other), 0.0), 1.0) if one + other > 0 else 0.0

    return share(low, rest_high), share(max(part.value, 0.0), max(rest.value, 0.0)), share(high, rest_low)


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
                raise ReleaseQuestionError(f"a release answers about one value of {name} at a time")
            if (name, positions) not in several:
                several.append((name, positions))
        else:
            kept[name] = kept.get(name, positions) & positions
    if len(kept) + len(several) > LENGTH:
        raise ReleaseQuestionError(f"a release answers questions about at most {LENGTH} attributes")
    lists = [
        [
            fact
            for position in sorted(positions)
            for fact in release.estimates.facts(name, domain.attribute(name).values[position])
        ]
        for name, positions in [*kept.items(), *several]
    ]
    return list(itertools.product(*lists))
