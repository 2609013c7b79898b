"""Two releases side by side: what changed between them, by how much, and which changes are real.

1. Both releases describe the same domain. Every number is its own release's one best estimate.
2. The noise of two releases is independent, so the variances of their errors add: half of the interval of a difference is the root of the
   sum of the squared halves. That holds too where both describe the same people.
3. A change is *real* when chance does not explain it even though many were looked at: by Holm's method, which holds for overlapping groups
   as well, the probability that even one change is called real and is not stays below FALSE_ALARM. Single values get one half of
   it, pairs the other. Benjamini-Hochberg would find more, but a share of what it names would be wrong, and a minister quotes one.
4. A number that privacy rule 25 hides in one release stays hidden, and so does a difference with it. Only that such a change is real,
   and whether people became more or fewer, is said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from casehaven.errors import CasehavenError
from casehaven.releases.published import PublishedRelease, ReleaseFacts
from caseschemas import CaseSchema
from casesynth.aggregates import LOWEST_END, MINIMUM
from casesynth.contrasts import Floats
from casesynth.domain import Domain
from casesynth.estimates import Estimates
from casesynth.intervals import NORMAL, half_widths
from casesynth.report.words import Estimate
from casesynth.tables import stored_columns

FALSE_ALARM = 0.05
"""Largest probability that any change is called real that is not."""

FEWEST_KNOWN = 2
"""Of attributes with fewer known values, the missing value is not compared: it is everybody else."""

NAMED_MOST = 5
"""Most differences between two domains that an error names."""


class SameReleaseError(CasehavenError):
    """Both bundles hold the same release."""


class DifferentDomainsError(CasehavenError):
    """The releases have different attributes or value lists, so their numbers cannot be set side by side."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One number in both releases."""

    facts: tuple[tuple[str, str], ...]
    """Attribute and code, up to two; none for all people."""
    label: str
    first: Estimate
    second: Estimate
    real: bool
    """Whether chance does not explain it."""
    telling: bool = True
    """Whether it says something about people: not that a value is missing, and not when they were registered."""

    @property
    def shown(self) -> bool:
        """Whether the difference may be shown: both numbers are."""
        return self.first.shown and self.second.shown

    @property
    def difference(self) -> float:
        """Second minus first, in people."""
        return self.second.value - self.first.value

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the difference: variances add."""
        return math.hypot(self.first.half_width, self.second.half_width)

    @property
    def low(self) -> float:
        """Lower end of the difference's interval."""
        return self.difference - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the difference's interval."""
        return self.difference + self.half_width

    @property
    def step(self) -> int:
        """What the difference is rounded to: a power of ten, well inside its interval."""
        return Estimate(value=0.0, low=-self.half_width, high=self.half_width).step

    @property
    def rose(self) -> bool:
        """Whether people became more."""
        return self.difference > 0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two releases side by side."""

    first: ReleaseFacts
    second: ReleaseFacts
    people: Change
    values: tuple[Change, ...]
    """Every single value that either release shows, in public order."""
    pairs: tuple[Change, ...]
    """The pairs of values that changed most: real ones first, then by the size of the difference."""
    pairs_compared: int
    """How many pairs either release shows; as many were looked at."""
    pairs_real: int
    """How many of them changed for real."""


def check_comparable(first: ReleaseFacts, second: ReleaseFacts) -> None:
    """Return only when two verified releases can be set side by side.

    Raises:
        SameReleaseError: they are one release.
        DifferentDomainsError: their domains differ; the message names what differs.
    """
    if first.measurements_sha256 == second.measurements_sha256:
        raise SameReleaseError(f"{first.folder} and {second.folder} hold the same release: there is nothing to compare")
    if first.domain_sha256 != second.domain_sha256:
        found = list(_differences(first, second))
        named = "; ".join(found[:NAMED_MOST]) or "the same value lists, but other values mean missing"
        more = f"; and {len(found) - NAMED_MOST} more" if len(found) > NAMED_MOST else ""
        raise DifferentDomainsError(
            f"{first.folder} ({first.source}) and {second.folder} ({second.source}) have different domains: {named}{more}"
        )


def _differences(first: ReleaseFacts, second: ReleaseFacts) -> Iterator[str]:
    one, other = stored_columns(first.model_path), stored_columns(second.model_path)
    for name in [*one, *(name for name in other if name not in one)]:
        if name not in other:
            yield f"{name} is only in {first.folder}"
        elif name not in one:
            yield f"{name} is only in {second.folder}"
        elif one[name] != other[name]:
            yield f"{name} has other values"
    if list(one) != list(other) and set(one) == set(other):
        yield "the attributes stand in another order"


def compare(first: PublishedRelease, second: PublishedRelease, *, pairs: int) -> Comparison:
    """Set two releases side by side.

    Args:
        first: usually the earlier one.
        second: of the same domain.
        pairs: how many pairs of values to name at most.
    """
    domain, schema = first.estimates.domain, first.schema
    ends = (first.estimates, second.estimates)
    single = [(column,) for column in range(len(domain.columns))]
    double = list(itertools.combinations(range(len(domain.columns)), 2))
    everybody = (first.estimates.people, second.estimates.people)
    listed = _compared(ends, single)
    crossed = _compared(ends, double)
    # rule 3: all people are tested among the single values
    sure = holm(np.append(listed.chances(), _chance(*everybody)), FALSE_ALARM / 2)
    sure_pairs = holm(crossed.chances(), FALSE_ALARM / 2)
    order = np.lexsort((-np.abs(crossed.second - crossed.first), ~sure_pairs))[:pairs]
    return Comparison(
        first=first.facts,
        second=second.facts,
        people=Change(facts=(), label="All people", first=everybody[0], second=everybody[1], real=bool(sure[-1])),
        values=tuple(listed.change(place, domain, schema, bool(sure[place])) for place in range(len(listed.first))),
        pairs=tuple(crossed.change(int(place), domain, schema, bool(sure_pairs[place])) for place in order),
        pairs_compared=len(crossed.first),
        pairs_real=int(sure_pairs.sum()),
    )


def holm(chances: Floats, most: float) -> NDArray[np.bool_]:
    """Tell which of many tests to believe, so that even one false alarm has at most the probability `most`.

    Args:
        chances: for each test, the probability of a result as extreme where nothing changed.
        most: the probability of any false alarm.

    >>> holm(np.array([0.001, 0.06, 0.012]), 0.05).tolist()
    [True, False, True]
    """
    order = np.argsort(chances, kind="stable")
    allowed = most / np.arange(len(chances), 0, -1)
    failed = chances[order] > allowed
    believed = np.zeros(len(chances), dtype=bool)
    believed[order[: int(np.argmax(failed)) if failed.any() else len(chances)]] = True
    return believed


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """Cells of one length that either release shows, as arrays of shape (cells,)."""

    facts: list[tuple[tuple[int, int], ...]]
    """Column and value."""
    first: Floats
    first_half: Floats
    second: Floats
    second_half: Floats

    def chances(self) -> Floats:
        """Return how probable a difference as large would be if nothing had changed."""
        errors = np.hypot(self.first_half, self.second_half) / NORMAL
        return np.array([_two_sided(z) for z in (self.second - self.first) / errors], dtype=np.float64)

    def change(self, place: int, domain: Domain, schema: CaseSchema, real: bool) -> Change:
        """Return one cell as a change."""
        facts = self.facts[place]
        return Change(
            facts=tuple(_coded(domain, fact) for fact in facts),
            label=", ".join(_named(domain, schema, fact) for fact in facts),
            first=_estimate(self.first[place], self.first_half[place]),
            second=_estimate(self.second[place], self.second_half[place]),
            real=real,
            telling=not any(value in domain.columns[column].missing for column, value in facts)
            and not any(domain.columns[column].attribute == domain.order_attribute for column, _ in facts),
        )


def _compared(ends: tuple[Estimates, Estimates], cliques: Sequence[tuple[int, ...]]) -> _Compared:
    """Return the cells of known values that either release shows; of single columns, missing values too."""
    columns = ends[0].domain.columns
    facts: list[tuple[tuple[int, int], ...]] = []
    found: list[list[Floats]] = [[np.zeros(0)] for _ in range(4)]
    for clique in cliques:
        allowed = np.ones([columns[i].size for i in clique], dtype=bool)
        for axis, column in enumerate(clique):
            spec = columns[column]
            if len(clique) > 1 or spec.size - len(spec.missing) < FEWEST_KNOWN:
                np.moveaxis(allowed, axis, 0)[sorted(spec.missing)] = False
        parts = [part for end in ends for part in _cells(end, clique)]
        shown = [(value >= MINIMUM) & (value - half >= LOWEST_END) for value, half in (parts[:2], parts[2:])]
        kept = np.argwhere(allowed & (shown[0] | shown[1]))
        facts += [tuple(zip(clique, map(int, row), strict=True)) for row in kept]
        for target, part in zip(found, parts, strict=True):
            target.append(part[tuple(kept.T)])
    first, first_half, second, second_half = (np.concatenate(part) for part in found)
    return _Compared(facts=facts, first=first, first_half=first_half, second=second, second_half=second_half)


def _cells(estimates: Estimates, clique: tuple[int, ...]) -> tuple[Floats, Floats]:
    return estimates.model.marginal(clique), half_widths(estimates.model, estimates.errors, clique)


def _estimate(value: float, half: float) -> Estimate:
    return Estimate(value=float(value), low=max(float(value - half), 0.0), high=float(value + half))


def _chance(first: Estimate, second: Estimate) -> float:
    return _two_sided((second.value - first.value) / math.hypot(first.half_width, second.half_width) * NORMAL)


def _two_sided(z: float) -> float:
    """Return the probability that a standard normal error is as far from zero."""
    return math.erfc(abs(z) / math.sqrt(2))


def _coded(domain: Domain, fact: tuple[int, int]) -> tuple[str, str]:
    column = domain.columns[fact[0]]
    return column.attribute, column.values[fact[1]] if column.value is None else column.value


def _named(domain: Domain, schema: CaseSchema, fact: tuple[int, int]) -> str:
    name, code = _coded(domain, fact)
    attribute = schema.attribute(name)
    label = attribute.labels.text("en") or name
    value = attribute.values[attribute.position(code)]
    if attribute.kind == "flag" and value.missing is None:
        return label
    return f"{label}: {value.labels.text('en') or code or 'missing'}"
