"""Which numbers a question shows, as families over grids: rows of ones and zeros, differences and weights. Public facts only.

A grid crosses the splits of the question with one fact of each of its fact axes; percentages of overlapping facts have a further axis for who answered.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from casesynth.answers.grid import Floats
from casesynth.answers.question import (
    Fact,
    Percentages,
    Question,
    Split,
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A family of numbers over a grid."""

    splits: tuple[Split, ...]
    facts: tuple[Fact, ...]
    """The grid: an axis for each split, then a two-valued one for each fact."""
    rows: tuple[Floats, ...] = field(repr=False)
    """One matrix per axis."""
    counts: bool = True
    """Whether these are counts that the accuracy asked for is about."""
    lonely: bool = False
    """Whether its facts are never crossed: no table is over two of them."""
    total: tuple[bool, ...] = ()
    """Per split, whether the family sums over it."""


def shown_families(question: Question) -> list[Shown]:
    """Return the families of counts that a question shows, or rests on."""
    splits = question.splits
    choices = list(itertools.product(*(axis.facts for axis in question.fact_axes)))
    having = np.array([[0.0, 1.0]])
    plain = tuple(np.eye(len(split.parts)) for split in splits)
    if isinstance(question.show, Percentages) and question.fact_axes:
        answered = question.fact_axes[0].answered
        if answered is None:
            raise AssertionError("the grammar refuses percentages of facts about missing values")
        both = np.ones((1, 2))
        return [
            Shown(splits=splits, facts=(fact, answered), rows=(*plain, having, both), lonely=True)
            for (fact,) in choices
        ] + [Shown(splits=splits, facts=(answered,), rows=(*plain, having))]
    found = [Shown(splits=splits, facts=facts, rows=(*plain, *[having] * len(facts))) for facts in choices]
    found = [Shown(splits=s.splits, facts=s.facts, rows=s.rows, total=(False,) * len(splits)) for s in found]
    if not question.totals:
        return found
    for chosen in itertools.product((False, True), repeat=len(splits)):
        if not any(chosen):
            continue
        rows = tuple(
            np.ones((1, len(split.parts))) if all_ else np.eye(len(split.parts))
            for split, all_ in zip(splits, chosen, strict=True)
        )
        found += [
            Shown(splits=splits, facts=facts, rows=(*rows, *[having] * len(facts)), total=chosen) for facts in choices
        ]
    return found


def differences(parts: int, places: Sequence[int]) -> Floats:
    """Return rows that set each of some parts against the one before it.

    >>> differences(3, [1, 2]).tolist()
    [[0.0, -1.0, 1.0]]
    """
    rows = np.zeros((max(len(places) - 1, 0), parts))
    for row, (before, after) in enumerate(itertools.pairwise(places)):
        rows[row, before], rows[row, after] = -1.0, 1.0
    return rows
