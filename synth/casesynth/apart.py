"""Pairs that stand apart: their numbers are further from the noisy table than intervals of their size would have it.

Intervals go by length and size of a combination. A pair of two long lists (where people come from, where they were exploited), or one that nearly
follows from another with exceptions that differ from class to class, may be off by several times as much, and there are too few such numbers for the
others to show it.

1. Each pair of columns with at least three values each is compared with its noisy table, where the model expects ten people or more who have both. If
   intervals were right, squared gaps would be on average what noise and intervals together say, or less. Where they are more than chance allows, the pair stands apart.
2. Its squared misfit grows with the root of the estimate, as that of others does. The factor is the smallest one with which nearly all of its noisy
   numbers lie inside intervals widened by the noise.
3. Every combination with both columns is widened by it, of three values as well: the part of a number is off by no more of itself.
4. All of it is post-processing of noisy numbers (privacy rule 6). What noise drowns cannot be seen: there intervals are wide for the noise itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from casesynth.contrasts import Contrasts, Floats
from casesynth.domain import Domain
from casesynth.marginals import Clique
from casesynth.model import LatentClassModel

VALUES_LEAST = 3
"""Columns of two values are never apart: two classes say all about a pair of them."""
INSIDE = 0.965
"""Part of a pair's noisy numbers that lies inside its widened intervals, as for the others (`casesynth.intervals.QUANTILE`)."""
STANDS_OUT = 4.0
"""By how many standard errors of chance the mean squared gap has to be above what noise and intervals say."""
FEWEST = 10
"""Of fewer numbers nothing is said."""
SMALLEST = 10.0
"""Smallest estimate that is looked at."""
NORMAL = 1.96


@dataclass(frozen=True, kw_only=True)
class Apart:
    """Two columns whose combinations are further off than others."""

    columns: tuple[int, int]
    """Positions in the domain, ascending."""
    misfit: float
    """Squared misfit over the root of the estimate, beside that of others."""


def apart_said(pairs: Sequence[Apart], domain: Domain) -> tuple[str, ...]:
    """Return what is said of each pair, and what to do, for the steward and the readers."""
    return tuple(
        f"Numbers of {one} together with {other} are further off than others of their size: the model does not say all that the noisy table of the two "
        "says. Their intervals are wider for it, and more of them are hidden. Where they matter, ask for that table by itself, or give one of the two a "
        "shorter list."
        for one, other in ([domain.columns[column].name for column in pair.columns] for pair in pairs)
    )


def beyond(pairs: Sequence[Apart], columns: Clique) -> float:
    """Return the squared misfit over the root of the estimate of combinations of these columns, beside that of others; 0 for nearly all."""
    return sum(pair.misfit for pair in pairs if pair.columns[0] in columns and pair.columns[1] in columns)


def found_apart(
    model: LatentClassModel,
    contrasts: Contrasts,
    known: Sequence[NDArray[np.int64]],
    half_width: Callable[[Floats], Floats],
) -> tuple[Apart, ...]:
    """Return the pairs of columns that stand apart.

    Args:
        model: the fitted model, linked.
        contrasts: the noisy measurements that it was fitted to.
        known: per column, the values that are published.
        half_width: half of the interval of estimates of two values.
    """
    found = []
    columns = [column for column, values in enumerate(known) if len(values) >= VALUES_LEAST]
    for pair in itertools.combinations(columns, 2):
        direct = contrasts.table(pair)
        if direct is None:
            continue
        places = np.ix_(known[pair[0]], known[pair[1]])
        guess, noisy = model.marginal(pair)[places].ravel(), direct[places].ravel()
        seen = (guess >= SMALLEST) & np.isfinite(noisy)
        count = int(seen.sum())
        if count < FEWEST:
            continue
        guess, gaps = guess[seen], (noisy[seen] - guess[seen]) ** 2
        variance = 1 / float(contrasts.of(pair)[1].mean())
        usual = half_width(guess) ** 2 + NORMAL**2 * variance
        if float((NORMAL**2 * gaps / usual).mean()) <= 1 + STANDS_OUT * math.sqrt(2 / count):
            continue
        wanted = np.maximum(gaps - usual, 0.0) / (NORMAL**2 * np.sqrt(guess))
        found.append(Apart(columns=pair, misfit=float(np.quantile(wanted, INSIDE, method="higher"))))
    return tuple(found)


def stored_apart(pairs: Sequence[Apart], domain: Domain) -> list[dict[str, Any]]:
    """Return pairs as JSON, by the names of their columns."""
    return [{"columns": [domain.columns[c].name for c in pair.columns], "misfit": pair.misfit} for pair in pairs]


def read_apart(stored: object, domain: Domain) -> tuple[Apart, ...] | None:
    """Return stored pairs; None where it is not two columns and a misfit from zero each."""
    places = {column.name: place for place, column in enumerate(domain.columns)}
    found = []
    for entry in stored if isinstance(stored, list) else [None]:
        names, misfit = (entry.get("columns"), entry.get("misfit")) if isinstance(entry, dict) else (None, None)
        if not isinstance(names, list) or len(names) != 2 or not all(isinstance(n, str) and n in places for n in names):
            return None
        if isinstance(misfit, bool) or not isinstance(misfit, int | float):
            return None
        if not 0 <= misfit < math.inf or names[0] == names[1]:
            return None
        first, second = sorted(places[name] for name in names)
        found.append(Apart(columns=(first, second), misfit=float(misfit)))
    return tuple(found)
