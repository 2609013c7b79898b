"""Estimates from a stored model: any combination of up to three facts, and any union of disjoint ones, with its interval.

1. A fact is one value of one column. The estimate of a combination is the model's expected number of people who have all its facts:
   one number for any question, never a synthetic count (privacy rule 10).
2. Its interval comes from the error scale, by length and size. Without any fact it is the noisy number of people, whose noise is known.
3. A union of combinations that no person can share, such as the age bands below 18, has the sum of their estimates. Its half width is
   the root of the sum of their squares, as for errors that do not go together, and never less than that of one combination of
   its size: what the model lacks may go together.
4. What public logic forbids is 0 (`casesynth.logic`).
5. What privacy rule 25 hides is hidden here too, for a union by its own numbers.
6. Where an interval needs the whole table of its columns, the table is made once and kept: `TABLES` of them, the ones used last.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from casesynth.aggregates import LENGTH
from casesynth.apart import beyond
from casesynth.contrasts import Floats
from casesynth.domain import Domain, DomainError
from casesynth.errors import CasesynthError
from casesynth.intervals import ErrorScale, half_widths
from casesynth.links import joint, related
from casesynth.logic import forbidden
from casesynth.model import LatentClassModel
from casesynth.report.words import Estimate, people_of
from casesynth.sharper import of_table

Fact: TypeAlias = tuple[int, int]
"""A column of the domain and the position of one of its values."""

Combination: TypeAlias = Sequence[Fact]
"""Facts that hold together; of different columns."""


TABLES = 4
"""Tables of half widths that are kept (rule 6)."""


class CombinationError(CasesynthError):
    """A combination whose error is not known, or a union whose parts overlap."""


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """A model with its public domain and its error scale. Protected: may be published."""

    domain: Domain
    model: LatentClassModel
    errors: ErrorScale
    _tables: OrderedDict[tuple[int, ...], Floats] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )
    """Half widths of whole tables, by their columns (rule 6)."""

    @property
    def people(self) -> Estimate:
        """The noisy number of people."""
        return people_of(self.model)

    def facts(self, attribute: str, code: str) -> tuple[Fact, ...]:
        """Return the fact that a person has this value; of a multi-value attribute, that the value is among theirs.

        Returns:
            One fact; none where a missing value of a multi-value attribute is asked for, which is no single fact.

        Raises:
            DomainError: there is no such attribute or value.
        """
        found = self.domain.attribute(attribute)
        if code not in found.values:
            raise DomainError(f"attribute {attribute} has no value {code!r}")
        for place, column in enumerate(self.domain.columns):
            if column.attribute == attribute and not found.multi:
                return ((place, column.values.index(code)),)
            if column.attribute == attribute and column.value == code:
                return ((place, next(p for p in range(column.size) if p not in column.missing)),)
        return ()

    def of(self, facts: Combination) -> Estimate:
        """Return how many people have all these facts."""
        return self.union([facts])

    def union(self, parts: Sequence[Combination]) -> Estimate:
        """Return how many people are in any of these combinations.

        Args:
            parts: combinations of which one person can have at most one: each two differ in the value of some column.

        Raises:
            CombinationError: a part is longer than LENGTH or names a column twice, or two parts overlap.
        """
        for part in parts:
            if len(part) > LENGTH or len({column for column, _ in part}) != len(part):
                raise CombinationError(f"a combination has at most {LENGTH} facts, each of another column")
        if not _disjoint(parts):
            raise CombinationError("the combinations of a union must exclude each other")
        if not parts:
            return Estimate(value=0.0, low=0.0, high=0.0)
        if len(parts) == 1 and not parts[0]:
            return self.people
        values = np.array([self._value(part) for part in parts])
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        total = float(values.sum())
        halves = self.errors.half_width(lengths, values)
        alone = float(self.errors.half_width(lengths.max(keepdims=True), np.array([total]))[0])
        for place, part in enumerate(parts):
            columns = tuple(column for column, _ in part)
            derived = any(link.declared and link.column in columns for link in self.model.links)
            if derived or of_table(self.errors.sharper, columns) is not None:
                halves[place] = self._half_widths(columns)[tuple(value for _, value in part)]
            elif beyond(self.errors.apart, columns):
                halves[place] = self.errors.of(columns, values[[place]])[0]
                alone = max(alone, float(self.errors.of(columns, np.array([total]))[0]))
        together = math.sqrt(float((halves**2).sum()))
        half = together if len(parts) == 1 else max(together, alone)
        return Estimate(value=total, low=max(total - half, 0.0), high=total + half)

    def _half_widths(self, columns: tuple[int, ...]) -> Floats:
        found = self._tables.get(columns)
        if found is None:
            found = self._tables[columns] = half_widths(self.model, self.errors, columns)
            while len(self._tables) > TABLES:
                self._tables.popitem(last=False)
        return found

    def _value(self, facts: Combination) -> float:
        if forbidden(dict(facts), self.domain.rules):
            return 0.0
        share: Floats = self.model.weights * self.model.people
        columns = [column for column, _ in facts]
        if related(columns, self.model.links):
            values = {column: np.array([value]) for column, value in facts}
            return float(joint(columns, self.model.shares, self.model.links, values).reshape(-1) @ share)
        for column, value in facts:
            share = share * self.model.shares[column][value]
        return float(share.sum())


def _disjoint(parts: Sequence[Combination]) -> bool:
    """Whether each two parts differ in the value of a column that both name."""
    kept = [dict(part) for part in parts]
    if len({frozenset(part) for part in kept}) == 1:  # all of the same columns: they differ where they are not the same
        return len({frozenset(part.items()) for part in kept}) == len(kept)
    return all(
        any(column in other and other[column] != value for column, value in one.items())
        for place, one in enumerate(kept)
        for other in kept[:place]
    )
