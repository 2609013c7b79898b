"""Exact counts of a planned answer, and their noise. With `casesynth.measure` the only place that hands exact counts to the mechanisms.

1. The plan is charged, and the charge committed, before the people are opened (privacy rule 14): without a receipt for the whole plan nothing opens.
2. Every person is in one cell of every table, with the product of their signs; those whom the condition leaves out are in none. So one person moves one cell
   of a table by one. Of records: each is in one cell, and of one person at most `at_most` count.
3. Tables of equal shares get their noise in one call; every cell of the public domain gets it, those of nobody too (privacy rule 11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from casesynth.answers.plan import AnswerPlan
from casesynth.answers.question import Condition, CountTable, Every, Fact, Split, Where
from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.errors import CasesynthError
from casesynth.measure import Charge, ReceiptError
from casesynth.persons import PersonTable
from casesynth.privacy.loss import Receipt
from casesynth.privacy.mechanisms import add_gaussian_noise

Mask: TypeAlias = NDArray[np.bool_]


class AnswerUnitError(CasesynthError):
    """People were opened where records are asked for, or records where people are."""


@dataclass(frozen=True, kw_only=True)
class RecordTable:
    """Some records of each person, at most so many, as codes. Holds real data; never written to an answer."""

    columns: tuple[Codes, ...]
    at_most: int
    """Of one person."""


Open: TypeAlias = Callable[[Receipt], PersonTable | RecordTable]
"""Opens the snapshot for a committed charge."""


@dataclass(frozen=True, kw_only=True)
class NoisyTable:
    """One noisy table: protected."""

    table: CountTable
    values: NDArray[np.int64]


def measure_answer(
    plan: AnswerPlan, domain: Domain, *, charge: Charge, open_rows: Open
) -> tuple[tuple[NoisyTable, ...], Receipt]:
    """Charge the plan, open the snapshot, count, and return the noisy tables.

    Args:
        plan: of the question.
        domain: of the snapshot.
        charge: commits the charge to a ledger and returns its receipt.
        open_rows: opens people, or records where the question counts those.

    Raises:
        ReceiptError: the receipt is for less than the plan costs; nothing was opened.
        AnswerUnitError: what was opened is not what is counted.
        Whatever `charge` raises; nothing was opened.
    """
    receipt = charge(plan.loss)
    if receipt.loss.nano_rho < plan.loss.nano_rho or receipt.loss.delta_units < plan.loss.delta_units:
        raise ReceiptError("the receipt covers less than the plan costs; nothing was opened")
    return noisy_tables(plan, exact_tables(plan, domain, open_rows(receipt))), receipt


def exact_tables(plan: AnswerPlan, domain: Domain, rows: PersonTable | RecordTable) -> list[NDArray[np.int64]]:
    """Return the exact tables of a plan: real data, for `noisy_tables` alone.

    Raises:
        AnswerUnitError: what was opened is not what is counted.
    """
    unit = plan.question.unit
    opened = rows.at_most if isinstance(rows, RecordTable) else None
    if opened != (None if unit is None else unit.at_most):
        raise AnswerUnitError("the snapshot was opened for another unit than the question counts")
    people = _Rows(columns=rows.columns, domain=domain)
    kept = people.meeting(plan.question.where)
    places = None if kept.all() else np.flatnonzero(kept)
    found: dict[tuple[tuple[Split, ...], frozenset[Fact]], NDArray[np.int64]] = {}
    keys: dict[tuple[Split, ...], NDArray[np.int64]] = {}
    held: dict[frozenset[Fact], Mask] = {}

    def having(splits: tuple[Split, ...], facts: frozenset[Fact]) -> NDArray[np.int64]:
        """Count those who have all of some facts, per cell."""
        if (splits, facts) not in found:
            if splits not in keys:
                keys[splits] = people.cells(splits, places)
            if facts not in held:
                held[facts] = (
                    np.logical_and.reduce([people.holding(fact)[... if places is None else places] for fact in facts])
                    if facts
                    else np.ones(len(keys[splits]), bool)
                )
            cells = int(np.prod([len(split.parts) for split in splits], dtype=np.int64))
            key = keys[splits] if not facts else keys[splits][held[facts]]
            found[splits, facts] = np.bincount(key, minlength=cells).astype(np.int64)
        return found[splits, facts]

    return [_signed(table, having) for table in plan.tables]


def _signed(
    table: CountTable, having: Callable[[tuple[Split, ...], frozenset[Fact]], NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Return the sum of products of signs per cell: the product of (2 [has the fact] - 1), multiplied out."""
    total = np.zeros(table.cells, np.int64)
    for chosen in range(1 << len(table.facts)):
        some = frozenset(fact for place, fact in enumerate(table.facts) if chosen >> place & 1)
        total += (-1) ** (len(table.facts) - len(some)) * 2 ** len(some) * having(table.splits, some)
    return total.reshape(table.shape)


def noisy_tables(plan: AnswerPlan, exact: Sequence[NDArray[np.int64]]) -> tuple[NoisyTable, ...]:
    """Return the tables with noise on every cell; tables of equal shares in one call."""
    groups: dict[int, list[int]] = {}
    for place, table in enumerate(plan.tables):
        groups.setdefault(table.nano_rho, []).append(place)
    found: dict[int, NDArray[np.int64]] = {}
    for nano_rho, places in groups.items():
        flat = np.concatenate([exact[place].ravel() for place in places])
        spread = plan.tables[places[0]].spread
        noisy = add_gaussian_noise(
            flat, nano_rho=nano_rho, people_cap=plan.people_cap * spread
        )  # the last exact number
        for place, part in zip(places, np.split(noisy, np.cumsum([exact[p].size for p in places])[:-1]), strict=True):
            found[place] = part.reshape(plan.tables[place].shape)
    return tuple(NoisyTable(table=table, values=found[place]) for place, table in enumerate(plan.tables))


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Coded rows, one per person or record."""

    columns: tuple[Codes, ...]
    domain: Domain

    @property
    def count(self) -> int:
        return len(self.columns[0])

    def meeting(self, where: Where) -> Mask:
        """Return who meets a condition."""
        if isinstance(where, Condition):
            return self._among(where.attribute, where.positions)
        mask = np.full(self.count, isinstance(where, Every))
        for part in where.parts:
            mask = mask & self.meeting(part) if isinstance(where, Every) else mask | self.meeting(part)
        return mask

    def holding(self, fact: Fact) -> Mask:
        """Return who has a fact."""
        mask = np.zeros(self.count, bool)
        for attribute, positions in fact.holds:
            mask |= self._among(attribute, positions)
        return mask

    def cells(self, splits: tuple[Split, ...], places: NDArray[np.intp] | None) -> NDArray[np.int64]:
        """Return the cell of each row, or of the rows at some places."""
        chosen = ... if places is None else places
        key = np.zeros(self.count if places is None else len(places), np.int64)
        for split in splits:
            key *= len(split.parts)
            key += self._parts(split)[self._single(split.attribute)[chosen]]
        return key

    def _parts(self, split: Split) -> NDArray[np.int64]:
        lookup = np.zeros(len(self.domain.attribute(split.attribute).values), np.int64)
        for number, part in enumerate(split.parts):
            lookup[list(part.positions)] = number
        return lookup

    def _single(self, name: str) -> Codes:
        return next(
            codes for column, codes in zip(self.domain.columns, self.columns, strict=True) if column.attribute == name
        )

    def _among(self, name: str, positions: frozenset[int]) -> Mask:
        attribute = self.domain.attribute(name)
        lookup = np.zeros(len(attribute.values), bool)
        lookup[list(positions)] = True
        if not attribute.multi:
            return lookup[self._single(name)]
        mask = np.zeros(self.count, bool)
        for column, codes in zip(self.domain.columns, self.columns, strict=True):
            if column.attribute == name and column.value is not None and lookup[attribute.values.index(column.value)]:
                mask |= codes == 1
        return mask
