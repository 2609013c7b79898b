"""The first lines that anybody reads: how many people, what is promised, how far numbers are off.

Where the noise drowns what there is to count, they say that instead of a distance that nobody can use; where it drowns combinations of some length,
they say of which.
"""

from __future__ import annotations

from casesynth.notes import ReleaseNotes
from casesynth.report.guarantee import Guarantee
from casesynth.report.precision import drowned_words, typical
from casesynth.report.words import SPACE, ceiling, counted, people_of, short, whole
from casesynth.synthesis import Synthesis


def summary(synthesis: Synthesis, notes: ReleaseNotes) -> tuple[str, ...]:
    """Return the release in a few sentences for a reader in a hurry, one paragraph each."""
    people = people_of(synthesis.model)
    guarantee = Guarantee.of(synthesis.plan, notes)
    described = (
        f"This release describes about {people} people (95{SPACE}% interval {people.interval}) in the records of "
        f"{counted(notes.organisations, 'organisation')}."
    )
    promise = (
        f"The release protects each of these people: any conclusion that anybody draws from it is at most {guarantee.odds} times "
        f"as likely with {'one record' if guarantee.unit == 'record' else 'a person’s records'} in the data as "
        f"without, plus a chance of {guarantee.delta_words} (epsilon "
        f"{short(guarantee.epsilon, 6)}).{_several(guarantee)}"
    )
    usual = typical(synthesis)
    if not usual:
        return described, _drowned(synthesis), promise
    price = (
        f"The price is that numbers are estimates: a count of about {whole(usual[0].size)} people with two values in "
        f"common is within {whole(usual[0].half_widths[1])} of the number in the records in 19 of 20 cases."
    )
    drowned = drowned_words(synthesis)
    return (described, promise, price) if drowned is None else (described, promise, price, drowned)


def _drowned(synthesis: Synthesis) -> str:
    shown = synthesis.aggregates
    more = "More people, a larger epsilon or fewer attributes would be needed to show more."
    if shown.known:
        return (
            f"The noise drowns most of the rest: only {counted(shown.known, 'combination')} of up to three values can "
            f"be shown. Smaller ones are lost in the noise, in the synthetic records too. {more}"
        )
    but = " but for how many a value is missing" if shown.missing_values else ""
    return (
        f"The noise drowns everything else: no other number can be shown{but}, and the synthetic records follow "
        f"little but noise. {more}"
    )


def _several(guarantee: Guarantee) -> str:
    if guarantee.tokens == 1:
        return ""
    return (
        f" For a person who was counted under {guarantee.tokens} {guarantee.unit}s the factor is up to "
        f"{guarantee.odds_person} (epsilon {ceiling(guarantee.epsilon_person)})."
    )
