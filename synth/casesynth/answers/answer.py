"""An answer: what a question shows, with 95 % intervals. All of it is post-processing of noisy tables (privacy rule 10).

1. Every table that was paid for on the same snapshot and says something about the question goes into one estimate (`casesynth.answers.reuse`), so one question's
   numbers agree, and earlier answers sharpen later ones.
2. What is hidden is decided by `casesynth.answers.hiding`: small counts, whatever their true number is; percentages, means, quantiles and changes that rest
   on such counts; and what would be told by a difference within the answer (privacy rule 25). Hidden does not mean nobody.
3. Unknown and not asked are parts of their own, and never in the base of a percentage, a mean or a quantile; a recorded no is an answer (privacy rule 4).
4. The interval of a mean holds wherever people stand within their values, from the lowest number of each to the highest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from casesynth.answers.by_facts import ByFacts
from casesynth.answers.families import Shown, differences, shown_families
from casesynth.answers.grid import Family, Floats, GridEstimate
from casesynth.answers.hiding import MINIMUM, Seen, hide_beside_totals, threshold_sigmas, without_lone
from casesynth.answers.plan import NORMAL, AnswerPlan, grid_of
from casesynth.answers.question import (
    ALL,
    Changes,
    Counts,
    CountTable,
    FactAxis,
    Integers,
    Mean,
    Percentages,
    Quantiles,
    Question,
    Split,
)
from casesynth.answers.ratios import quantile_ends, quantile_place, ratio_interval
from casesynth.answers.told import SeenGrid, hide_beside_earlier

Kind: TypeAlias = Literal["count", "percentage", "mean", "quantile", "change"]
Tables: TypeAlias = Sequence[tuple[CountTable, Integers]]


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """One number of an answer with its 95 % interval; None where it is hidden."""

    cell: tuple[tuple[str, str], ...]
    """Axis and part, in the order of the question."""
    kind: Kind
    estimate: float | str | None
    low: float | str | None
    high: float | str | None
    answered: bool = True
    """Whether the cell holds only answers; unknown and not asked are none."""
    level: float | None = None
    """Of a quantile."""

    @property
    def hidden(self) -> bool:
        """Whether privacy rule 25 hides it."""
        return self.estimate is None


def answer_rows(
    question: Question, tables: Tables, *, minimum: float = MINIMUM, earlier: Sequence[SeenGrid] = ()
) -> tuple[AnswerRow, ...]:
    """Return the numbers that a question shows.

    Args:
        question: what was asked.
        tables: noisy tables under its condition on one snapshot: its own, and others that were paid for before.
        minimum: smallest count that is shown.
        earlier: what earlier answers about the same snapshot show of their counts.

    Raises:
        GridError: the tables do not tell all of it.
    """
    show = question.show
    ground = _Ground(
        index=ByFacts.of(tables), sigmas=threshold_sigmas(question), minimum=minimum, earlier=tuple(earlier)
    )
    if isinstance(show, Mean):
        return tuple(_means(question, show, ground))
    if isinstance(show, Quantiles):
        return tuple(_quantiles(question, show, ground))
    if isinstance(show, Percentages):
        return tuple(_percentages(question, ground))
    rows = list(_counts(question, ground))
    return (*rows, *(_changes(question, show, ground) if isinstance(show, Changes) else ()))


def rehearse(plan: AnswerPlan, paid: Tables) -> None:
    """Make the answer of a plan with nobody counted: what fails for public facts fails here, before a charge.

    Raises:
        GridError: the tables would not tell all of it.
    """
    blank = [(table, np.zeros(table.shape, np.int64)) for table in plan.tables]
    answer_rows(plan.question, [*blank, *paid])


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What an answer rests on."""

    index: ByFacts[Integers]
    sigmas: float
    """Standard deviations that a count has to pass."""
    minimum: float
    """Smallest count that is shown."""
    earlier: tuple[SeenGrid, ...]
    """What earlier answers show."""


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    values: Floats
    variances: Floats
    shown: Seen
    """Which pass privacy rule 25, each for itself."""


def _numbers(ground: _Ground, estimate: GridEstimate, family: Family) -> _Numbers:
    values, variances = estimate.values(family), estimate.covariance(family, family)
    shown = values >= np.maximum(ground.minimum, ground.sigmas * np.sqrt(variances))
    return _Numbers(values=values, variances=variances, shown=shown)


def _counts(question: Question, ground: _Ground) -> Iterator[AnswerRow]:
    families = shown_families(question)
    found = [_numbers(ground, grid_of(shown, ground.index, question.where), shown.rows) for shown in families]
    seen: dict[int, Seen] = {}
    together: dict[tuple[object, ...], dict[tuple[bool, ...], int]] = {}
    for place, shown in enumerate(families):
        together.setdefault(tuple(fact.key for fact in shown.facts), {})[shown.total] = place
    for places in together.values():
        values = {total: found[place].values for total, place in places.items()}
        kept = {total: found[place].shown for total, place in places.items()}
        changed = True
        while changed:  # each turn hides one more, or is the last
            before, kept = kept, hide_beside_totals(kept, values)
            kept = {
                total: _beside_earlier(question, families[place], kept[total], values[total], ground)
                for total, place in places.items()
            }
            changed = any((kept[total] != before[total]).any() for total in kept)
        seen |= {place: kept[total] for total, place in places.items()}
    for place, shown in enumerate(families):
        yield from _count_rows(question, shown, found[place], seen[place].reshape(found[place].values.shape))


def _beside_earlier(question: Question, shown: Shown, seen: Seen, values: Floats, ground: _Ground) -> Seen:
    grid = seen_grid(question, shown, seen)
    return hide_beside_earlier(grid, values.reshape(grid.table.shape), ground.earlier).reshape(seen.shape)


def seen_grid(question: Question, shown: Shown, seen: Seen) -> SeenGrid:
    """Return what is shown of a family of counts, as a grid whose axes are the splits that it does not sum over."""
    summed = shown.total or (False,) * len(shown.splits)
    table = CountTable(
        splits=tuple(split for split, total in zip(shown.splits, summed, strict=True) if not total),
        facts=shown.facts,
        nano_rho=1,
        where=question.where,
        at_most=None if question.unit is None else question.unit.at_most,
        registered=question.registered,
    )
    return SeenGrid(table=table, seen=seen.reshape(table.shape))


def seen_grids(question: Question, shown_counts: Sequence[bool]) -> list[SeenGrid]:
    """Return what an answer shows of its counts, from which of them it shows, in their order; nothing where it shows other things."""
    if not isinstance(question.show, Counts | Changes):
        return []
    flags = np.array(shown_counts, bool)
    found, start = [], 0
    for shown in shown_families(question):
        size = math.prod(len(matrix) for matrix in shown.rows)
        found.append(seen_grid(question, shown, flags[start : start + size]))
        start += size
    return found


def _count_rows(question: Question, shown: Shown, found: _Numbers, visible: Seen) -> Iterator[AnswerRow]:
    halves = NORMAL * np.sqrt(found.variances)
    cells = [
        [(ALL, True)] if total else [(part.label, part.answered) for part in split.parts]
        for split, total in zip(shown.splits, shown.total or (False,) * len(shown.splits), strict=True)
    ]
    facts = [[(fact.label, True)] for fact in shown.facts]
    flat = (found.values.ravel().tolist(), halves.ravel().tolist(), visible.ravel().tolist())
    for labels, value, half, seen in zip(itertools.product(*cells, *facts), *flat, strict=True):
        yield AnswerRow(
            cell=_cell(question, [label for label, _ in labels]),
            kind="count",
            estimate=float(round(value)) if seen else None,
            low=float(max(math.floor(value - half), 0)) if seen else None,
            high=float(math.ceil(value + half)) if seen else None,
            answered=all(answered for _, answered in labels),
        )


def _cell(question: Question, labels: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return labels of splits and then of facts in the order of the question's axes."""
    splits = iter(labels[: len(question.splits)])
    facts = iter(labels[len(question.splits) :])
    found = []
    for axis in question.by:
        source = splits if isinstance(axis, Split) else facts
        label = next(source, None)
        if label is not None:
            found.append((axis.attribute if isinstance(axis, Split) else axis.label, label))
    return tuple(found)


def _percentages(question: Question, ground: _Ground) -> Iterator[AnswerRow]:
    last = question.by[-1]
    if isinstance(last, FactAxis):
        for shown in shown_families(question):
            if not shown.lonely:
                continue
            having, both = np.array([[0.0, 1.0]]), np.ones((1, 2))
            plain = shown.rows[: len(shown.splits)]
            label = shown.facts[0].label
            yield from _ratios(question, shown, ground, (*plain, having, both), (*plain, both, having), [label])
        return
    shown = shown_families(question)[0]
    known = [part for part in last.parts if part.answered]
    parts = np.array([[float(part is other) for other in last.parts] for part in known])
    base = np.tile(np.array([float(part.answered) for part in last.parts]), (len(known), 1))
    plain = shown.rows[:-1]
    yield from _ratios(question, shown, ground, (*plain, parts), (*plain, base), [part.label for part in known])


def _ratios(
    question: Question, shown: Shown, ground: _Ground, part: Family, whole: Family, labels: Sequence[str]
) -> Iterator[AnswerRow]:
    estimate = grid_of(shown, ground.index, question.where)
    parts, wholes = _numbers(ground, estimate, part), _numbers(ground, estimate, whole)
    shared = estimate.covariance(part, whole)
    others = shown.splits if shown.lonely else shown.splits[:-1]
    both_seen = parts.shown & wholes.shown
    if not shown.lonely:
        both_seen = without_lone(both_seen, parts.values, wholes.shown[..., :1], both_seen.ndim - 1)
    cells = [[(p.label, p.answered) for p in split.parts] for split in others]
    flat = zip(
        itertools.product(*cells, [(label, True) for label in labels]),
        *(a.ravel().tolist() for a in (parts.values, wholes.values, parts.variances, wholes.variances, shared)),
        both_seen.ravel().tolist(),
        strict=True,
    )
    for found, top, bottom, top_variance, bottom_variance, both, seen in flat:
        low, high = ratio_interval(top, bottom, top_variance, bottom_variance, both, errors=NORMAL)
        yield AnswerRow(
            cell=_cell(question, [label for label, _ in found]),
            kind="percentage",
            estimate=100 * min(max(top / bottom, 0.0), 1.0) if seen else None,
            low=100 * min(max(low, 0.0), 1.0) if seen else None,
            high=100 * min(max(high, 0.0), 1.0) if seen else None,
            answered=all(answered for _, answered in found),
        )


def _last(question: Question) -> tuple[Shown, Split, Floats]:
    """Return the grid of a mean or quantiles, its last split, and which of its parts are answers."""
    shown = shown_families(question)[0]
    last = shown.splits[-1]
    return shown, last, np.array([float(part.answered) for part in last.parts])


def _groups(question: Question, shown: Shown) -> list[tuple[tuple[tuple[str, str], ...], bool]]:
    """Return the cells over the splits before the last one."""
    cells = [[(part.label, part.answered) for part in split.parts] for split in shown.splits[:-1]]
    return [
        (_cell(question, [label for label, _ in found]), all(answered for _, answered in found))
        for found in itertools.product(*cells)
    ]


def _means(question: Question, show: Mean, ground: _Ground) -> Iterator[AnswerRow]:
    shown, _, answered = _last(question)
    estimate = grid_of(shown, ground.index, question.where)
    ends = np.array([(0.0, 0.0) if pair is None else pair for pair in show.bounds])
    known = ends[answered > 0]
    middle = float((known.min() + known.max()) / 2)
    whole = (*shown.rows[:-1], answered[None, :])
    base = _numbers(ground, estimate, whole)
    found = []
    for weights in (ends[:, 0], ends.mean(axis=1), ends[:, 1]):
        part = (*shown.rows[:-1], ((weights - middle) * answered)[None, :])  # about the middle: no digits are lost
        numbers, shared = _numbers(ground, estimate, part), estimate.covariance(part, whole)
        found.append([numbers.values.ravel(), numbers.variances.ravel(), shared.ravel()])
    visible = base.shown
    for place in sorted(_telling(show, answered)):
        one = np.zeros((1, len(answered)))
        one[0, place] = 1.0
        visible = visible & _numbers(ground, estimate, (*shown.rows[:-1], one)).shown
    seen, values, variances = visible.ravel(), base.values.ravel(), base.variances.ravel()
    for place, (cell, known_cell) in enumerate(_groups(question, shown)):
        ratios = [
            ratio_interval(top[place], values[place], spread[place], variances[place], both[place], errors=NORMAL)
            for top, spread, both in found
        ]
        low, high = middle + ratios[0][0], middle + ratios[2][1]
        yield AnswerRow(
            cell=cell,
            kind="mean",
            estimate=_within(middle + found[1][0][place] / values[place], known) if seen[place] else None,
            low=_within(low, known) if seen[place] else None,
            high=_within(high, known) if seen[place] else None,
            answered=known_cell,
        )


def _telling(show: Mean, answered: Floats) -> set[int]:
    """Return the parts whose count a mean would tell: those with numbers of the asker's own, and all where there are but two numbers."""
    known = [place for place, pair in enumerate(show.bounds) if pair is not None and answered[place]]
    few = len({show.bounds[place] for place in known}) <= 2
    return set(known) if few else set(known) & show.named


def _within(number: float, known: Floats) -> float:
    return float(min(max(number, known.min()), known.max()))


def _quantiles(question: Question, show: Quantiles, ground: _Ground) -> Iterator[AnswerRow]:
    shown, last, answered = _last(question)
    estimate = grid_of(shown, ground.index, question.where)
    places = np.flatnonzero(answered)
    base = _numbers(ground, estimate, (*shown.rows[:-1], answered[None, :])).shown.ravel()
    labels = [last.parts[place].label for place in places]
    for level in show.levels:
        rows = np.zeros((len(places), len(answered)))
        for number, place in enumerate(places):
            rows[number] = answered * ((np.arange(len(answered)) <= place) - level)
        found = _numbers(ground, estimate, (*shown.rows[:-1], rows))
        leads = found.values.reshape(-1, len(places))
        deviations = np.sqrt(found.variances).reshape(-1, len(places))
        for number, (cell, known_cell) in enumerate(_groups(question, shown)):
            low, high = quantile_ends(leads[number].tolist(), deviations[number].tolist(), errors=NORMAL)
            at = min(max(quantile_place(leads[number].tolist()), low), high)
            seen = bool(base[number])
            yield AnswerRow(
                cell=cell,
                kind="quantile",
                estimate=labels[at] if seen else None,
                low=labels[low] if seen else None,
                high=labels[high] if seen else None,
                answered=known_cell,
                level=level,
            )


def _changes(question: Question, show: Changes, ground: _Ground) -> Iterator[AnswerRow]:
    shown = shown_families(question)[0]
    axis = next(place for place, split in enumerate(shown.splits) if split.attribute == show.attribute)
    parts = shown.splits[axis].parts
    places = [place for place, part in enumerate(parts) if part.answered]
    estimate = grid_of(shown, ground.index, question.where)
    rows = [*shown.rows]
    rows[axis] = differences(len(parts), places)
    found = _numbers(ground, estimate, rows)
    visible = np.take(_numbers(ground, estimate, shown.rows).shown, places, axis=axis)
    both = np.take(visible, range(1, len(places)), axis=axis) & np.take(visible, range(len(places) - 1), axis=axis)
    names = [f"{parts[before].label} to {parts[after].label}" for before, after in itertools.pairwise(places)]
    cells = [
        [(name, True) for name in names] if place == axis else [(part.label, part.answered) for part in split.parts]
        for place, split in enumerate(shown.splits)
    ]
    halves = NORMAL * np.sqrt(found.variances)
    flat = (found.values.ravel().tolist(), halves.ravel().tolist(), both.ravel().tolist())
    for labels, value, half, seen in zip(itertools.product(*cells), *flat, strict=True):
        yield AnswerRow(
            cell=_cell(question, [label for label, _ in labels]),
            kind="change",
            estimate=float(round(value)) if seen else None,
            low=float(math.floor(value - half)) if seen else None,
            high=float(math.ceil(value + half)) if seen else None,
            answered=all(answered for _, answered in labels),
        )
