"""What to expect of a release, as one page to look at: how far off numbers will be, what will be shown, what the cap pays for, and what would help.

Public facts only; nothing to load, nothing that runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from casesynth.feasibility.advice import SIZE, Suggestion
from casesynth.feasibility.expected import FACTOR, Feasibility, feasibility
from casesynth.feasibility.years import YearsOutlook
from casesynth.plan import PlanError, ReleasePlan
from casesynth.privacy import PrivacyLossError
from casesynth.report.document import document
from casesynth.report.guarantee import software
from casesynth.report.markup import Html, table, tag
from casesynth.report.plots import Curve, curves, figure
from casesynth.report.precision import LENGTH_NAMES

STEPS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""The epsilons of the second plot, beside the one that was asked for."""


def feasibility_html(found: Feasibility, helpful: Sequence[Suggestion], years: YearsOutlook | None) -> str:
    """Return the page."""
    plan = found.plan
    sections = [
        tag("h1", "What a release would be worth"),
        tag("p", f"{plan.domain.source}, about {found.people:,} people, {_promise(plan)}.", class_="quiet"),
        tag("section", *(tag("p", sentence) for sentence in summary(found)), class_="lead", aria_label="In short"),
        tag("h2", "How far off numbers will be"),
        _errors(found),
        tag("h2", "What would be shown"),
        _shown(found),
        tag("h2", "What epsilon buys"),
        _epsilons(found),
    ]
    if years is not None:
        sections += [tag("h2", "What the cap pays for"), _years(years)]
    sections += [tag("h2", "What would help"), _helpful(helpful), tag("footer", tag("p", _footer()))]
    return document("What a release would be worth", *sections)


def _promise(plan: ReleasePlan) -> str:
    text = f"epsilon {plan.epsilon:g} and delta {plan.delta:.2g} for one person token"
    if plan.max_tokens_per_person > 1:
        text += f", epsilon {plan.epsilon_per_person:.2f} for a person behind {plan.max_tokens_per_person}"
    return text


def summary(found: Feasibility) -> tuple[str, ...]:
    """Return what matters most, in sentences."""
    longest = found.lengths[-1]
    names = LENGTH_NAMES[len(found.lengths) - 1]
    size = SIZE if found.people > SIZE else int(max(found.people, 10))
    first = (
        f"A count of {size:,} people for a combination of {names} would be off by at most about {longest.error(size):.0f} in 19 of 20 cases."
        if longest.error(size) < size
        else f"Noise would drown a count of {size:,} people for a combination of {names}."
    )
    second = f"Combinations of {names} would be shown from about {longest.shown_from:,} people on."
    if not found.useful:
        second += (
            " That is more than one in twenty of all people: such a release says little. See what would help, below."
        )
    if found.extrapolated:
        second += " The noise is outside of what expectations were tried on: take them as a rough guide."
    return first, second


def _errors(found: Feasibility) -> Html:
    sizes = [size for size, _ in found.lengths[0].errors]
    rows = [(f"{size:,}", *(f"± {each.error(size):.0f}" for each in found.lengths)) for size in sizes]
    names = LENGTH_NAMES[: len(found.lengths)]
    numbers = table("How far off 19 of 20 estimates are at most, in people", ("a count of", *names), rows)
    if len(sizes) < 2:
        return numbers
    lines = [Curve(name=name, points=each.errors) for name, each in zip(names, found.lengths, strict=True)]
    plot = curves(
        "errors",
        lines,
        title="Expected error by the size of a count",
        description="One line per number of values; the table below has the numbers.",
        x_name="people in the count",
        y_name="people off, in 19 of 20 cases at most",
    )
    caption = f"Expected from public facts. On generated people the measured error was within a factor of {FACTOR:g} of this in 19 of 20 comparisons. The intervals that a release publishes are wider: they also cover what the model may have missed."
    return figure("errors-plot", plot, numbers, caption)


def _shown(found: Feasibility) -> Html:
    rows = [
        (name, f"{each.shown_from:,}", f"{each.share_shown:.0%}")
        for name, each in zip(LENGTH_NAMES, found.lengths, strict=False)
    ]
    return table(
        "A combination is shown when its estimate is at least 10 and its interval stays above 1",
        ("combinations of", "shown from about so many people", "share of those with 10 and more people"),
        rows,
    )


def epsilon_outlook(found: Feasibility) -> tuple[tuple[float, Feasibility], ...]:
    """Return what to expect at other epsilons, and at the one that was asked for."""
    plan, result = found.plan, []
    for epsilon in sorted({*STEPS, plan.epsilon}):
        try:
            other = ReleasePlan.make(
                plan.domain,
                epsilon=epsilon,
                people_cap=plan.people_cap,
                delta=plan.delta,
                max_tokens_per_person=plan.max_tokens_per_person,
            )
        except (PlanError, PrivacyLossError):
            continue
        result.append((epsilon, feasibility(other, found.people)))
    return tuple(result)


def _epsilons(found: Feasibility) -> Html:
    outlook = epsilon_outlook(found)
    names = LENGTH_NAMES[: len(found.lengths)]
    rows = [
        (
            f"{epsilon:g}",
            *(f"± {each.error(SIZE):.0f}" for each in at.lengths),
            f"{at.lengths[-1].shown_from:,}",
        )
        for epsilon, at in outlook
    ]
    heads = ("epsilon", *(f"{name}, off by" for name in names), f"{names[-1]}, shown from")
    numbers = table(f"A count of {SIZE} people at other epsilons", heads, rows)
    if len(outlook) < 2:
        return numbers
    lines = [
        Curve(name=name, points=tuple((epsilon, at.lengths[place].error(SIZE)) for epsilon, at in outlook))
        for place, name in enumerate(names)
    ]
    plot = curves(
        "epsilons",
        lines,
        title=f"Expected error of a count of {SIZE} people by epsilon",
        description="One line per number of values; the table below has the numbers.",
        x_name="epsilon of one release",
        y_name=f"people off, for a count of {SIZE}",
    )
    return figure("epsilons-plot", plot, numbers, "A smaller epsilon protects more.")


def _years(years: YearsOutlook) -> Html:
    rows = [(f"{epsilon:g}", f"{number:,}") for epsilon, number in years.table]
    numbers = table(
        f"Releases that a cap of epsilon {years.cap_epsilon:g} pays for", ("epsilon of one release", "releases"), rows
    )
    return tag("div", *(tag("p", sentence) for sentence in years_sentences(years)), numbers)


def years_sentences(years: YearsOutlook) -> tuple[str, ...]:
    """Return what a cap pays for, in sentences."""
    planned = (
        f"{years.planned} releases in {years.years} years" if years.years > 1 else f"{years.planned} releases in a year"
    )
    paid = f"The cap of epsilon {years.cap_epsilon:g} pays for {years.paid_for:,} releases of epsilon {years.epsilon:g}"
    enough = (
        f"{paid}: enough for the planned {planned}."
        if years.suffices
        else f"{paid}: too few for the planned {planned}."
    )
    even = (
        f"Shared evenly, each of them may have epsilon {math.floor(years.even_epsilon * 1000) / 1000:g}."
        if years.even_epsilon is not None
        else "Shared evenly, nothing is left for any of them."
    )
    people = "The people of the first year are in every release. A release charges the accounts of all years, so later years begin with what was spent before them."
    return enough, even, people


def _helpful(helpful: Sequence[Suggestion]) -> Html:
    rows = [(each.text, f"{1 - each.ratio:.0%}", f"{each.shown_from[-1]:,}") for each in helpful]
    return table(
        "Each by itself. The error is that of the longest combinations, in parts of the count",
        ("change", "smaller error", "shown from"),
        rows,
    )


def _footer() -> str:
    return f"No record was read for this page. An expectation is no promise; the release states its own errors. Made by {software()}."
