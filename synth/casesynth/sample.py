"""Synthetic records, drawn from the model only (post-processing; privacy rules 5, 7 and 25).

1. The number of rows is the noisy number of people.
2. Class sizes, and inside each class the count of every value, come from rounding by largest remainder: as close to the model as whole
   records allow. What rounding leaves over is carried from class to class, so the totals agree too.
3. Inside a class the values of each column are placed at random, then swapped between records of the class where that brings the
   counts of all pairs of columns closer to the model's.
4. A linked column (`casesynth.links`) is rounded in the same way inside each value of its source, and placed at random there. One that is
   declared holds what its public table says, after everything else.
5. No record breaks the public logic (`casesynth.logic`).
6. Of more records than are balanced, each column is placed and stored by itself, in a byte or two for each record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casesynth.balance import ROWS_MAX, balance, shuffled_inside
from casesynth.codes import Codes, narrow
from casesynth.contrasts import Floats
from casesynth.logic import ColumnRule, obey
from casesynth.model import LatentClassModel
from casesynth.progress import Progress, silent
from casesynth.seeded import generator


def sample_records(
    model: LatentClassModel, seed: bytes, *, rules: Sequence[ColumnRule] = (), progress: Progress = silent
) -> tuple[Codes, ...]:
    """Return synthetic records as codes, one array per column of the domain.

    Args:
        model: the fitted model.
        seed: digest of the measurements; the same seed repeats the records.
        rules: public logic; no record breaks it.
        progress: called often; raising from it cancels.
    """
    random = generator(seed, "records")
    rules = [rule for rule in rules if rule.within(_measured(model))]
    rows = max(round(model.people), 0)
    class_sizes = _rounded(model.weights * rows, rows)
    rows_class = np.repeat(np.arange(len(class_sizes)), class_sizes)
    progress("sample", 0.0)
    if rows > ROWS_MAX:
        return _many(model, class_sizes, rules, random, progress)
    free = [model.shares[column] for column in _free(model)]
    columns = [_placed(_values_by_class(shares, class_sizes), rows_class, random) for shares in free]
    columns = balance(columns, rows_class, free, model.weights, random, progress=progress)
    columns = _with_linked(columns, model, random)
    if rules:
        obey(columns, rows_class, rules, random)
    shuffled = random.permutation(rows)
    return _with_declared([column[shuffled].astype(np.uint16) for column in columns], model)


def _many(
    model: LatentClassModel,
    class_sizes: NDArray[np.int64],
    rules: Sequence[ColumnRule],
    random: np.random.Generator,
    progress: Progress,
) -> tuple[Codes, ...]:
    """Return more records than are balanced, column by column in as few bytes as they need."""
    shuffled = random.permutation(int(class_sizes.sum()))
    ends = np.cumsum(class_sizes)
    columns: list[Codes] = []
    for place, shares in ((column, model.shares[column]) for column in _free(model)):
        values = narrow(_values_by_class(shares, class_sizes, narrow(np.arange(len(shares)), len(shares))), len(shares))
        for k, end in enumerate(ends):
            if k % 50 == 0:
                progress("sample", place / len(model.shares))
            random.shuffle(values[end - class_sizes[k] : end])
        columns.append(values[shuffled])
    columns = [
        narrow(column, len(shares))
        for column, shares in zip(_with_linked(columns, model, random), model.shares, strict=False)
    ]
    if rules:
        obey(columns, np.repeat(np.arange(len(class_sizes)), class_sizes)[shuffled], rules, random)
    return _with_declared(columns, model)


def draw_people(model: LatentClassModel, random: np.random.Generator) -> tuple[Codes, ...]:
    """Return people drawn independently from the model, as codes: a made-up population, for judging estimates.

    Args:
        model: the fitted model.
        random: a seeded generator.
    """
    rows = max(round(model.people), 0)
    class_sizes = random.multinomial(rows, model.weights)
    rows_class = np.repeat(np.arange(len(class_sizes)), class_sizes)
    columns = []
    for shares in (model.shares[column] for column in _free(model)):
        counts = random.multinomial(class_sizes, shares.T)
        values = np.repeat(np.tile(np.arange(len(shares)), len(class_sizes)), counts.ravel())
        columns.append(_placed(values, rows_class, random).astype(np.uint16))
    return _with_declared(_with_linked(columns, model, random, draw=True), model)


def _free(model: LatentClassModel) -> list[int]:
    """Return the columns that follow from no other."""
    linked = {link.column for link in model.links}
    return [column for column in range(len(model.shares)) if column not in linked]


def _with_linked(
    free: Sequence[NDArray[Any]], model: LatentClassModel, random: np.random.Generator, *, draw: bool = False
) -> list[NDArray[Any]]:
    """Return all columns from those that follow from no other; linked ones rounded, or drawn, inside each value of their source."""
    columns = dict(zip(_free(model), free, strict=True))
    for link in (link for link in model.links if not link.declared):
        source = columns[link.source]
        sizes = np.bincount(source, minlength=len(link.table))
        if draw:
            counts = random.multinomial(sizes, link.table)
            values = np.repeat(np.tile(np.arange(counts.shape[1]), len(counts)), counts.ravel())
        else:
            values = _values_by_class(link.table.T, sizes)
        placed = np.empty(len(source), dtype=np.uint16)
        placed[shuffled_inside(source, random)] = values
        columns[link.column] = placed
    return [columns[column] for column in range(_measured(model))]


def _measured(model: LatentClassModel) -> int:
    """Return how many columns are measured; declared ones come behind them."""
    return len(model.shares) - sum(link.declared for link in model.links)


def _with_declared(columns: Sequence[NDArray[Any]], model: LatentClassModel) -> tuple[Codes, ...]:
    """Return the columns and those that follow by a public table."""
    tables = {link.column: (link.source, link.table.argmax(axis=1)) for link in model.links if link.declared}
    followed = (tables[column] for column in range(len(columns), len(model.shares)))
    return (*columns, *(narrow(table, int(table.max()) + 1)[columns[source]] for source, table in followed))


def _placed(values: NDArray[np.int64], rows_class: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Place values, given class by class, at random inside each class."""
    return values[shuffled_inside(rows_class, random)]


def _rounded(expected: Floats, total: int) -> NDArray[np.int64]:
    """Round to whole numbers that sum to `total`, by largest remainder; negative expectations count as zero."""
    floor = np.floor(np.maximum(expected, 0.0))
    counts = floor.astype(np.int64)
    missing = total - int(counts.sum())
    if missing > 0:
        remainder = expected - floor
        largest = np.argsort(-remainder, kind="stable")
        counts[largest[:missing]] += 1
        for _ in range(missing - len(largest)):
            counts[largest[0]] += 1
    while missing < 0:
        positive = np.flatnonzero(counts > 0)
        take = positive[np.argsort((expected - counts)[positive], kind="stable")[:-missing]]
        counts[take] -= 1
        missing += len(take)
    return counts


def _values_by_class(
    shares: Floats, class_sizes: NDArray[np.int64], values: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return the values of one column, class by class; what rounding leaves over is carried to the next class."""
    values = np.arange(len(shares)) if values is None else values
    if (
        len(shares) == 2
    ):  # the same in one step: the rounded running total never rises by less than 0 or more than the class
        ends = np.rint(np.cumsum(shares[1] * class_sizes)).astype(np.int64)
        second = np.clip(np.diff(ends, prepend=0), 0, class_sizes)
        return np.repeat(np.tile(values, len(class_sizes)), np.stack([class_sizes - second, second], axis=1).ravel())
    carried = np.zeros(shares.shape[0])
    parts = []
    for k, size in enumerate(class_sizes):
        expected = shares[:, k] * size + carried
        counts = _rounded(expected, int(size))
        carried = expected - counts
        parts.append(np.repeat(values, counts))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
