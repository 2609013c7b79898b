"""k-synthetic records: each, taken whole, is stated by at least k people, and each value occurs as often as in the data, rounded down to k.

This is the method of the paper that began this field for case data (Edge et al. 2020, arXiv 2005.05688). It is *not* differentially private:
`casesynth.kanonymity.attacks` names three known ways to learn about a person from such a file.

1. *Whole records.* For every record that is made, at least k people state all that it states. A part of such a record is then stated by at
   least k people too, so leaving values away is always safe.
2. *Single counts.* A value that n people state occurs in exactly floor(n / k) k records. So a value of fewer than k people never occurs.
3. *Seeded.* Each person's record is the seed of one record: its values are taken, rarest first, while at least k people state all that was taken.
   *Unseeded.* No record is made from one person's: each value is drawn from the people who state all that was drawn before, as often as they state it.
4. What single counts still lack is put into records that had to leave values away, drawn from the people who state the rest of them, and then
   into further records. So there can be more records than people.
5. Records are sorted, so their order says nothing. Choices come from one generator whose seed is drawn from the operating system and not kept.
6. What was made is checked against rules 1 and 2 from the start before it is returned (`casesynth.kanonymity.check`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.kanonymity.check import check_promises
from casesynth.kanonymity.errors import KModeError
from casesynth.kanonymity.holders import Holders, Support
from casesynth.kanonymity.items import OPEN, Items
from casesynth.persons import PersonTable
from casesynth.progress import Progress, silent
from casesynth.seeded import generator

Mode: TypeAlias = Literal["seeded", "unseeded"]
"""Whether each record begins with a person's, or with counts of combinations."""

K_MIN = 2
"""One person is no crowd."""

_TRIES = 4
"""People from whom a record that left values away may draw others."""

_STEP = 1 << 12
"""Records between two calls of `progress`."""


@dataclass(frozen=True, kw_only=True)
class KSynthetic:
    """A k-synthetic file. Not differentially private."""

    columns: tuple[Codes, ...]
    """One array per column of the domain; `OPEN` where a record states nothing."""
    k: int
    mode: Mode

    @property
    def records(self) -> int:
        """How many records were made."""
        return len(self.columns[0])

    def coded(self, domain: Domain) -> tuple[Codes, ...]:
        """Return the records with the code of an empty cell where they state nothing, as the engine's own records have it."""
        return tuple(
            np.where(column == OPEN, np.uint16(blank), column)
            for column, blank in zip(self.columns, Items.of(domain).blank, strict=True)
        )


def k_synthetic(
    people: PersonTable,
    domain: Domain,
    *,
    k: int,
    mode: Mode = "seeded",
    seed: bytes | None = None,
    progress: Progress = silent,
) -> KSynthetic:
    """Make k-synthetic records of people.

    Args:
        people: one row per person.
        domain: public value lists.
        k: how many people at least state all that a record states.
        mode: see the module.
        seed: for tests and benchmarks that repeat; by default 32 bytes from the operating system, which are not kept.
        progress: called often; raising from it cancels.

    Raises:
        KModeError: k is no whole number from 2, or the mode is unknown.
        BrokenPromiseError: a fault of the program; nothing is returned.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < K_MIN:
        raise KModeError(f"k must be a whole number from {K_MIN}, got {k}")
    if mode not in ("seeded", "unseeded"):
        raise KModeError(f"the mode must be seeded or unseeded, got {str(mode)[:20]!r}")
    items = Items.of(domain)
    progress("count", 0.0)
    numbers = items.numbered(people.columns)
    maker = _Maker(
        numbers, items, k, generator(secrets.token_bytes(32) if seed is None else seed, "k-synthetic"), progress
    )
    made = maker.seeded() if mode == "seeded" else maker.unseeded()
    progress("sample", 1.0)
    columns = items.columns_of(made[np.lexsort(made.T[::-1])])
    check_promises(columns, people, domain, k=k, progress=progress)  # rule 6
    return KSynthetic(columns=columns, k=k, mode=mode)


class _Maker:
    """Makes records, and keeps what each item may still occur."""

    def __init__(
        self, numbers: NDArray[np.int32], items: Items, k: int, random: np.random.Generator, progress: Progress
    ) -> None:
        self._numbers = numbers
        self._column = items.column.tolist()
        self._k = k
        self._random = random
        self._progress = progress
        self._holders = Holders(numbers, len(items.column))
        self._counts = self._holders.counts.tolist()
        self._left = (self._holders.counts // k * k).tolist()  # rule 2

    def seeded(self) -> NDArray[np.int32]:
        """Return records that begin with people's own."""
        seeds, copies = _distinct(self._numbers)
        rows: list[list[int]] = []
        lost: list[int] = []
        for done, (seed, number) in enumerate(zip(seeds.tolist(), copies.tolist(), strict=True)):
            own = [item for item in seed if item >= 0]
            taken = own if number >= self._k else self._taken(sorted(own, key=self._counts.__getitem__))
            rows += [list(taken) for _ in range(number)]
            lost += [len(own) - len(taken)] * number
            if done % _STEP == 0:
                self._progress("sample", 0.5 * done / len(seeds))
        self._keep_to_counts(rows)
        waiting = [place for place, number in enumerate(lost) if number and rows[place]]
        for done, place in enumerate(self._shuffled(waiting)):
            self._extend(rows[place], self._support(rows[place]), lost[place])
            if done % _STEP == 0:
                self._progress("sample", 0.5 + 0.3 * done / len(waiting))
        return self._written(self._completed(rows))

    def unseeded(self) -> NDArray[np.int32]:
        """Return records whose values are drawn one after the other from all who state the earlier ones."""
        rows: list[list[int]] = []
        for done in range(len(self._numbers)):
            row: list[int] = []
            self._draw(row, self._holders.everyone)
            rows.append(row)
            if done % _STEP == 0:
                self._progress("sample", 0.8 * done / len(self._numbers))
        return self._written(self._completed(rows))

    def _taken(self, items: list[int]) -> list[int]:
        """Return the items that can be taken, one after the other, while at least k people state them all."""
        taken: list[int] = []
        support = self._holders.everyone
        for item in items:
            narrowed = self._holders.narrow(support, item, self._k) if taken else self._alone(item)
            if narrowed is not None:
                support = narrowed
                taken.append(item)
        return taken

    def _alone(self, item: int) -> Support | None:
        return self._holders.of(item) if self._counts[item] >= self._k else None

    def _keep_to_counts(self, rows: list[list[int]]) -> None:
        """Leave items away, in records picked at random, that occur more often than rule 2 says; count what is left to give."""
        for place in self._shuffled(list(range(len(rows)))):
            kept = [item for item in rows[place] if self._left[item] > 0]
            for item in kept:
                self._left[item] -= 1
            rows[place] = kept

    def _support(self, row: list[int]) -> Support:
        """Return who states all items of a record: at least k people by rule 1."""
        rarest, *others = sorted(row, key=self._counts.__getitem__)
        support = self._holders.of(rarest)
        for item in others:
            narrowed = self._holders.narrow(support, item, self._k)
            if narrowed is None:
                raise AssertionError("a record that was made is stated by fewer than k people")
            support = narrowed
        return support

    def _extend(self, row: list[int], support: Support, most: int) -> None:
        """Add up to `most` items that are still to be given, of people who state all that the record states."""
        filled = {self._column[item] for item in row}
        for _ in range(_TRIES):
            donor = self._numbers[support.pick(int(self._random.integers(support.people)))].tolist()
            for item in self._shuffled(donor):
                if most <= 0:
                    return
                if item < 0 or self._left[item] <= 0 or self._column[item] in filled:
                    continue
                narrowed = self._holders.narrow(support, item, self._k)
                if narrowed is not None:
                    support = narrowed
                    row.append(item)
                    filled.add(self._column[item])
                    self._left[item] -= 1
                    most -= 1

    def _draw(self, row: list[int], support: Support) -> None:
        """Draw a value for each column that is open, from the people who state all that the record states."""
        if support.people < self._k:
            return
        filled = {self._column[item] for item in row}
        open_columns = [column for column in range(self._numbers.shape[1]) if column not in filled]
        numbers = self._random.random(len(open_columns))
        for column, number in zip(self._shuffled(open_columns), numbers.tolist(), strict=True):
            donor = support.pick(int(number * support.people))
            item = int(self._numbers[donor, column])
            if item < 0 or self._left[item] <= 0:
                continue
            narrowed = self._holders.narrow(support, item, self._k)
            if narrowed is not None:
                support = narrowed
                row.append(item)
                self._left[item] -= 1

    def _completed(self, rows: list[list[int]]) -> list[list[int]]:
        """Add records until every single count is what rule 2 says."""
        for item in sorted((item for item, left in enumerate(self._left) if left), key=self._counts.__getitem__):
            while self._left[item] > 0:
                row = [item]
                self._left[item] -= 1
                self._extend(row, self._holders.of(item), len(self._numbers[0]))
                rows.append(row)
                if len(rows) % _STEP == 0:
                    self._progress("sample", None)
        return rows

    def _shuffled(self, things: list[int]) -> list[int]:
        order = self._random.permutation(len(things)).tolist()
        return [things[place] for place in order]

    def _written(self, rows: list[list[int]]) -> NDArray[np.int32]:
        """Return records as item numbers, without those that state nothing."""
        rows = [row for row in rows if row]
        made = np.full((len(rows), self._numbers.shape[1]), -1, dtype=np.int32)
        for place, row in enumerate(rows):
            for item in row:
                made[place, self._column[item]] = item
        return made


def _distinct(numbers: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the different rows of a table, and how often each is there."""
    if not len(numbers):
        return numbers, np.zeros(0, dtype=np.int64)
    order = np.lexsort(numbers.T[::-1])
    ordered = numbers[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    starts = np.flatnonzero(new)
    return ordered[starts], np.diff(np.append(starts, len(ordered)))
