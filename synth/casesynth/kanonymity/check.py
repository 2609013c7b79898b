"""What a k-synthetic file promises, checked from the start: on codes alone, with nothing of the way it was made.

1. For every record, at least k people state all that it states, and it states something.
2. Every value that is stated occurs as often as people state it, rounded down to a multiple of k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.kanonymity.errors import BrokenPromiseError
from casesynth.kanonymity.items import OPEN, Items
from casesynth.persons import PersonTable
from casesynth.progress import Progress, silent


def check_promises(
    columns: tuple[Codes, ...], people: PersonTable, domain: Domain, *, k: int, progress: Progress = silent
) -> None:
    """Return only when the records keep what the k mode promises.

    Args:
        columns: records as codes, `OPEN` where they state nothing.
        people: one row per person.
        domain: public value lists.
        k: how many people at least state all that a record states.
        progress: called often; raising from it cancels.

    Raises:
        BrokenPromiseError: they do not; names neither record nor count.
    """
    items = Items.of(domain)
    for place, (column, made) in enumerate(zip(people.columns, columns, strict=True)):
        size = domain.sizes[place]
        stated = items.stated[items.first[place] : items.first[place] + size]
        promised = np.where(stated, np.bincount(column, minlength=size) // k * k, 0)
        given = np.bincount(made[made != OPEN], minlength=size)
        if len(given) != size or (given != promised).any():
            raise BrokenPromiseError("a value does not occur as often as people state it, rounded down")
    if not len(columns[0]):
        return
    records = np.unique(np.stack(columns, axis=1), axis=0)
    if (records == OPEN).all(axis=1).any():
        raise BrokenPromiseError("a record states nothing")
    progress("check", 0.0)
    if not _stated_by(records, np.stack(people.columns, axis=1), k, progress):
        raise BrokenPromiseError("a record is stated by fewer people than k")


def _stated_by(records: NDArray[np.uint16], people: NDArray[np.uint16], k: int, progress: Progress) -> bool:
    """Tell whether each record is stated by at least k people.

    Column by column, records that state the same so far share one list of the people who state it: a walk down the tree of the sorted records.
    """
    waiting: list[tuple[int, int, int, NDArray[np.intp]]] = [(0, 0, len(records), np.arange(len(people)))]
    steps = 0
    while waiting:
        column, start, end, among = waiting.pop()
        if len(among) < k:
            return False
        if column == records.shape[1]:
            continue
        steps += 1
        if steps % 4096 == 0:
            progress("check", None)
        said = records[start:end, column]
        if said[0] == said[-1]:  # sorted: all alike
            narrowed = among if said[0] == OPEN else among[people[among, column] == said[0]]
            waiting.append((column + 1, start, end, narrowed))
            continue
        codes = people[among, column]
        order = np.argsort(codes, kind="stable")
        ordered = codes[order]
        starts = np.flatnonzero(np.diff(said.astype(np.int64), prepend=-1))
        for first, last in zip(starts, [*starts[1:], len(said)], strict=True):
            value = said[first]
            if value == OPEN:
                narrowed = among
            else:
                narrowed = among[order[slice(*np.searchsorted(ordered, [value, value + 1]))]]
            waiting.append((column + 1, start + int(first), start + int(last), narrowed))
    return True
