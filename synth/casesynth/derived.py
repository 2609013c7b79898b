"""Declared functions of other columns: left out of what is measured, and derived afterwards, exactly and at no cost.

1. A derived attribute follows from its source by a public table (`casesynth.domain.Derived`). What a record says in its column is never read:
   a record that contradicts the table leaves no trace in any answer, error or count (privacy rules 3, 23, 28).
2. Of several records of one person the source becomes one value first; the derived value is that of the result.
3. In the model it is a declared link: no noise of its own, and no share of the budget.
4. Its function is exact; how many people have its values is an estimate (`casesynth.doubt`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casesynth.codes import Codes, narrow
from casesynth.domain import Domain
from casesynth.links import Link


def derivations(domain: Domain) -> tuple[Link, ...]:
    """Return a link for each derived column of the domain."""
    places = {column.name: place for place, column in enumerate(domain.columns)}
    links = []
    for attribute in domain.attributes:
        if attribute.derived is not None:
            source = places[attribute.derived.source]
            table = np.zeros((domain.sizes[source], len(attribute.values)))
            table[np.arange(len(table)), list(attribute.derived.places)] = 1.0
            links.append(Link(column=places[attribute.name], source=source, table=table, declared=True))
    return tuple(links)


def with_derived(columns: Sequence[NDArray[Any]], domain: Domain) -> tuple[Codes, ...]:
    """Return codes of all columns of the domain from those of the measured ones, which come first; further ones are replaced."""
    found: list[Codes] = list(columns[: len(domain.measured.columns)])
    for column in domain.columns[len(found) :]:
        derived = domain.attribute(column.attribute).derived
        assert derived is not None  # only derived columns come behind the measured ones
        source = next(place for place, each in enumerate(domain.columns) if each.name == derived.source)
        found.append(narrow(np.array(derived.places), column.size)[found[source]])
    return tuple(found)
