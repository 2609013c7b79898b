"""A comparison in a few sentences, and what to keep in mind about it."""

from __future__ import annotations

from casehaven.releases.comparison.changes import FALSE_ALARM, Change, Comparison
from casesynth.report.caveats import Caveat
from casesynth.report.words import SPACE, counted, signed, whole


def summary(comparison: Comparison) -> tuple[str, ...]:
    """Return what changed for a reader in a hurry, one paragraph each."""
    people = comparison.people
    opening = (
        f"From the first release ({comparison.first.created}) to the second ({comparison.second.created}), the number of "
        "people in the records "
    )
    if people.real:
        opening += f"{verb(people)} from about {people.first} to about {people.second} ({span(people)})."
    else:
        opening += (
            f"did not change by more than chance explains: about {people.first}, then about {people.second} "
            f"({span(people)})."
        )
    values = counted(len(comparison.values), "value")
    real = [change for change in comparison.values if change.real]
    if not real:
        return opening, f"Of {values} that were compared, none changed by more than chance explains."
    up = sum(change.rose for change in real)
    parts = [
        f"Of {values} that were compared, {up} rose and {len(real) - up} fell for real; what else differs may be chance."
    ]
    for word, wanted in (("rise", True), ("fall", False)):
        largest = max(
            (change for change in real if change.shown and change.telling and change.rose == wanted),
            key=lambda change: abs(change.difference),
            default=None,
        )
        if largest is not None:
            parts.append(
                f"The largest {word}: {largest.label}, from about {largest.first} to about {largest.second} people "
                f"({span(largest)})."
            )
    return opening, " ".join(parts)


def verb(change: Change) -> str:
    """Return what happened."""
    return "rose" if change.rose else "fell"


def verdict(change: Change) -> str:
    """Return what can be said of a change, in two words."""
    return f"{verb(change)}, real" if change.real else "may be chance"


def span(change: Change) -> str:
    """Return a difference with its interval in words; `hidden` where one of the numbers is."""
    if not change.shown:
        return "hidden"
    middle, low, high = ends(change)
    return f"{middle}, 95{SPACE}% interval {low} to {high}"


def ends(change: Change) -> tuple[str, str, str]:
    """Return a difference and the ends of its interval, rounded as far as it allows."""
    middle, low, high = (
        signed(round(end / change.step) * change.step) for end in (change.difference, change.low, change.high)
    )
    return middle, low, high


def caveats(comparison: Comparison) -> tuple[Caveat, ...]:
    """Return what the comparison does not say."""
    tested = len(comparison.values) + 1
    return (
        Caveat(
            head="Real means real in the records.",
            text="A real change is one of the numbers in the records, not of trafficking as a whole. Organisations join and leave, forms "
            "change, and services reach other people.",
        ),
        Caveat(
            head="How sure.",
            text=f"A change is called real when its difference is too large for chance although {whole(tested)} single numbers and "
            f"{whole(comparison.pairs_compared)} pairs were looked at (Holm's method). The probability that even one change is called real "
            f"and is not is at most about {whole(100 * FALSE_ALARM)} %. An interval alone, which leaves out zero, is wrong for about 1 in 20 "
            "of the numbers that did not change.",
        ),
        Caveat(
            head="Independent noise.",
            text="Each release has noise of its own, so the squares of the half widths add up. If both releases hold records of the same "
            "people, the differences are right all the same, but the people overlap: do not add the releases up.",
        ),
        Caveat(
            head="A number is not a share.",
            text="When the number of people changes, most numbers change with it. Compare a change with that of all people before calling "
            "it a trend.",
        ),
        Caveat(
            head="Hidden numbers.",
            text="A number that is hidden in one release (fewer than 10 people, or too uncertain) has no difference. Where such a change is real, "
            "only its direction is said.",
        ),
        Caveat(
            head="Two releases, two losses.",
            text=f"A person in both is protected by the sum of both guarantees: {comparison.first.protection}; and "
            f"{comparison.second.protection}. The comparison itself costs nothing.",
        ),
    )
