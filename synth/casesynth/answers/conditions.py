"""Conditions of a question: their one normal form, who may be in any block at all, and how they are written.

1. Normal is: `all` in `all` and `any` in `any` are opened, conditions on one single-valued attribute are one, doubles are gone, parts stand in one
   order. Two ways to write a condition that differ in these alone are one condition, and one entry of the cache (privacy rule 17).
2. A condition that nobody can meet is refused, because the domain alone says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from casesynth.answers.question import EVERYBODY, Condition, Every, Some, Where
from casesynth.canonical import JsonValue, canonical_json
from casesynth.domain import Domain
from casesynth.errors import CasesynthError


class ConditionError(CasesynthError):
    """A condition that nobody can meet."""


def everybody() -> Where:
    """Return the condition that everybody meets."""
    return EVERYBODY


def normal(where: Where, domain: Domain) -> Where:
    """Return a condition in its normal form.

    Raises:
        ConditionError: nobody can meet it.
    """
    if isinstance(where, Condition):
        if not where.positions:
            raise ConditionError("nobody can meet these conditions together")
        attribute = domain.attribute(where.attribute)
        whole = not attribute.multi and len(where.positions) == len(attribute.values)
        return EVERYBODY if whole else where
    kind = type(where)
    opened: list[Where] = []
    for part in where.parts:
        found = normal(part, domain)
        opened += found.parts if isinstance(found, Every | Some) and type(found) is kind else [found]
    if kind is Some and EVERYBODY in opened:
        return EVERYBODY
    parts = _merged(opened, domain, every=kind is Every)
    ordered = sorted(parts, key=lambda part: canonical_json(written(part, domain)))
    return ordered[0] if len(ordered) == 1 else kind(parts=tuple(ordered))


def _merged(parts: Sequence[Where], domain: Domain, *, every: bool) -> list[Where]:
    """Join conditions on the same attribute: for single-valued ones both ways, for multi-value ones where any suffices."""
    found: dict[str, frozenset[int]] = {}
    others: list[Where] = []
    for part in parts:
        if not isinstance(part, Condition) or (every and domain.attribute(part.attribute).multi):
            if part not in others:
                others.append(part)
        elif part.attribute not in found:
            found[part.attribute] = part.positions
        elif every:
            found[part.attribute] &= part.positions
        else:
            found[part.attribute] |= part.positions
    joined = [normal(Condition(attribute=name, positions=positions), domain) for name, positions in found.items()]
    if every:
        return [*(part for part in joined if part != EVERYBODY), *others]
    return [EVERYBODY] if EVERYBODY in joined else [*joined, *others]


def written(where: Where, domain: Domain) -> JsonValue:
    """Return a normal condition as JSON."""
    if isinstance(where, Condition):
        values = domain.attribute(where.attribute).values
        return {"attribute": where.attribute, "in": [values[position] for position in sorted(where.positions)]}
    word = "all" if isinstance(where, Every) else "any"
    return {word: [written(part, domain) for part in where.parts]}
