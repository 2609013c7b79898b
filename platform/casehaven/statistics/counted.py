"""The people that own statistics count, one by one, without noise.

1. A person is counted once, whatever the number of their records. The merge rules of the schema have already made one row of them.
2. Answered is what the schema says: an ordinary value, or a recorded no. Unknown and not asked are no answer (privacy rule 4).
3. Nothing here may leave the vault: these are exact numbers about real people. `casehaven.releases` never imports this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from casesynth.domain import Attribute, Domain
from casesynth.persons import PersonTable

Mask: TypeAlias = NDArray[np.bool_]
"""One yes or no per person."""


@dataclass(frozen=True, kw_only=True)
class CountedPeople:
    """People who consented to own statistics, and which of them a table is about.

    >>> from casesynth.domain import Multi
    >>> domain = Domain.declare({"sex": ["female", "male"], "means": Multi(values=["threats", "debt"])})
    >>> columns = (np.array([1, 2, 0], np.uint16), np.array([1, 0, 0], np.uint16), np.array([1, 1, 0], np.uint16))
    >>> people = CountedPeople(table=PersonTable(columns=columns), domain=domain)
    >>> int(people.holding("means", ["debt"]).sum()), int(people.answered("means").sum()), people.everyone.tolist()
    (2, 2, [True, True, True])
    """

    table: PersonTable
    domain: Domain

    @property
    def everyone(self) -> Mask:
        """Yes for each person."""
        return np.ones(self.table.people, dtype=bool)

    def holding(self, attribute: str, codes: Iterable[str]) -> Mask:
        """Return who holds any of these values."""
        return self._any(self.domain.attribute(attribute), set(codes))

    def answered(self, attribute: str) -> Mask:
        """Return who gave an answer: an ordinary value, or a recorded no."""
        found = self.domain.attribute(attribute)
        return self._any(found, {code for place, code in enumerate(found.values) if place not in found.missing})

    def registered_in(self, attribute: str, years: Iterable[int]) -> Mask:
        """Return who has a date in any of these years, by the code of its period."""
        starts = tuple(f"{year:04d}" for year in years)
        found = self.domain.attribute(attribute)
        return self._any(
            found,
            {code for place, code in enumerate(found.values) if place not in found.missing and code.startswith(starts)},
        )

    def only(self, kept: Mask) -> CountedPeople:
        """Return some of the people."""
        columns = tuple(column[kept] for column in self.table.columns)
        return CountedPeople(table=PersonTable(columns=columns), domain=self.domain)

    def _any(self, attribute: Attribute, codes: set[str]) -> Mask:
        mask = np.zeros(self.table.people, dtype=bool)
        for column, held in zip(self.domain.columns, self.table.columns, strict=True):
            if column.attribute != attribute.name:
                continue
            if column.value is not None:
                mask |= (held == 1) if column.value in codes else False
            else:
                mask |= np.isin(held, [place for place, code in enumerate(column.values) if code in codes])
        return mask
