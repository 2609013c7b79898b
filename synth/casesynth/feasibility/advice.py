"""What would make a release more useful: shorter lists, fewer attributes, pooling, a larger epsilon; each with what it would change.

1. Each suggestion is a plan of its own, made from public facts and compared by the same formula; nothing is measured (privacy rule 6).
2. The measure is how far off a count of about `SIZE` people is, for the longest combinations, and from how many people on a combination is shown. Where a change makes counts
   larger, the error in parts of the count is what is compared.
3. Shortening a list and leaving an attribute out cost detail; pooling costs agreement between organisations; a larger epsilon costs protection. The
   suggestion says which. It does not say which is right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from casesynth.domain import Attribute, Domain
from casesynth.feasibility.expected import Feasibility, feasibility
from casesynth.plan import PlanError, ReleasePlan
from casesynth.privacy import PrivacyLossError

SIZE = 100
"""People in the counts that suggestions are compared by."""

TRIED = 10
"""Attributes that are tried: those with the most values."""

WORTH = 0.98
"""A suggestion is made where it brings the error to this part, or less."""

KEPT = 4
"""Most suggestions of each kind about single attributes."""

LONG = 8
"""A list is worth shortening from so many values on."""

Kind = Literal["shorter list", "leave out", "larger epsilon", "pool"]


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One change, and what it would bring."""

    kind: Kind
    text: str
    """In words: what to change, and what it costs."""
    attribute: str | None = None
    errors: tuple[float, ...]
    """How far off a count of `SIZE` people would be, or the larger count that it becomes; in people, per length from 1 on."""
    shown_from: tuple[int, ...]
    """From how many people on a combination would be shown, per length."""
    ratio: float
    """Error of the longest combinations in parts of the count, compared with what it is without the change. Where counts get larger, by pooling or by grouping
    values, that of the larger count; of grouping, for combinations with that attribute."""


def suggestions(found: Feasibility) -> tuple[Suggestion, ...]:
    """Return what would help, the most helpful attributes first, then the general measures."""
    helpful = []
    for kind in (_shorter(found), _left_out(found)):
        helpful += [each for each in sorted(kind, key=lambda each: each.ratio) if each.ratio <= WORTH][:KEPT]
    return (*helpful, *_larger_epsilon(found), *_pooled(found))


def _shorter(found: Feasibility) -> Iterator[Suggestion]:
    for attribute in _largest(found.plan.measured):
        known = len(attribute.values) - len(attribute.missing)
        if attribute.multi or known < LONG:
            continue
        kept = (known + 1) // 2
        after = _feasible(found, domain=_with(found.plan.measured, _shortened(attribute, kept)))
        if after is not None:
            text = f"group the {known} values of {attribute.name} into {kept}: less detail there, and counts with it about twice as large"
            yield _suggestion(found, after, "shorter list", text, attribute.name, larger=known / kept)


def _left_out(found: Feasibility) -> Iterator[Suggestion]:
    domain = found.plan.measured
    if len(domain.attributes) < 3:
        return
    for attribute in _largest(domain):
        rest = tuple(each for each in domain.attributes if each.name != attribute.name)
        smaller = Domain(attributes=rest, source=domain.source)
        after = _feasible(found, domain=smaller) if len(smaller.columns) >= len(found.lengths) else None
        if after is not None:
            text = f"leave {attribute.name} out: nothing is said about it, smaller errors in all the rest"
            yield _suggestion(found, after, "leave out", text, attribute.name)


def _larger_epsilon(found: Feasibility) -> Iterator[Suggestion]:
    epsilon = 2 * found.plan.epsilon
    after = _feasible(found, epsilon=epsilon)
    if after is not None:
        text = f"twice the epsilon, {epsilon:g}: people are protected less, and the budget lasts for about a quarter of the releases"
        yield _suggestion(found, after, "larger epsilon", text, None)


def _pooled(found: Feasibility) -> Iterator[Suggestion]:
    """Four times the people at the same noise: a count of SIZE here is one of four times SIZE there."""
    cap, tokens = 4 * found.plan.people_cap, 4 * found.plan.max_tokens_per_person
    after = _feasible(found, people_cap=cap, tokens=tokens, people=4 * found.people)
    if after is None:
        return
    text = (
        f"one release of four such organisations together: counts are four times as large at nearly the same noise; a person known to all of them loses "
        f"epsilon {after.plan.epsilon_per_person:.2f} instead of {found.plan.epsilon_per_person:.2f}"
    )
    yield _suggestion(found, after, "pool", text, None, larger=4)


def _suggestion(
    found: Feasibility, after: Feasibility, kind: Kind, text: str, attribute: str | None, *, larger: float = 1
) -> Suggestion:
    """Compare two plans, where counts become so many times as large."""
    return Suggestion(
        kind=kind,
        text=text,
        attribute=attribute,
        errors=tuple(each.error(larger * SIZE) for each in after.lengths),
        shown_from=tuple(each.shown_from for each in after.lengths),
        ratio=after.lengths[-1].error(larger * SIZE) / (larger * found.lengths[-1].error(SIZE)),
    )


def _feasible(
    found: Feasibility,
    *,
    domain: Domain | None = None,
    epsilon: float | None = None,
    people_cap: int | None = None,
    tokens: int | None = None,
    people: int | None = None,
) -> Feasibility | None:
    """Return what to expect of a changed plan; None where it cannot be made."""
    plan = found.plan
    domain = domain or plan.domain
    names = {attribute.name for attribute in domain.attributes}
    tables = [table for table in plan.named if names.issuperset(table)]
    try:
        changed = ReleasePlan.make(
            domain,
            epsilon=epsilon or plan.epsilon,
            people_cap=people_cap or plan.people_cap,
            delta=plan.delta if people_cap is None else min(plan.delta, 1 / (10 * people_cap)),
            max_tokens_per_person=tokens or plan.max_tokens_per_person,
            tables=tables,
            table_share=plan.table_share if tables else None,
        )
    except (PlanError, PrivacyLossError):
        return None
    return feasibility(changed, people or found.people)


def _largest(domain: Domain) -> list[Attribute]:
    return sorted(domain.attributes, key=lambda each: (-len(each.values), each.name))[:TRIED]


def _shortened(attribute: Attribute, kept: int) -> Attribute:
    """Return an attribute of the same name with fewer values; for planning only, where the number of values is all that counts."""
    missing = [attribute.values[place] for place in sorted(attribute.missing)]
    known = [value for place, value in enumerate(attribute.values) if place not in attribute.missing][:kept]
    return dataclasses.replace(
        attribute,
        values=(*missing, *known),
        missing=frozenset(range(len(missing))),
        blank=0,
        outside=0,
    )


def _with(domain: Domain, changed: Attribute) -> Domain:
    attributes = tuple(changed if each.name == changed.name else each for each in domain.attributes)
    return dataclasses.replace(domain, attributes=attributes)
