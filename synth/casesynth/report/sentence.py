"""The first lines that anybody reads: how many people, what is promised, how far numbers are off.

Where the noise drowns what there is to count, they say that instead of a distance that nobody can use.
"""

from __future__ import annotations

from casesynth.notes import ReleaseNotes
from casesynth.report.guarantee import Guarantee
from casesynth.report.precision import typical
from casesynth.report.words import SPACE, ceiling, counted, people_of, short, whole
from casesynth.synthesis import Synthesis


def summary(synthesis: Synthesis, notes: ReleaseNotes) -> tuple[str, ...]:
    """Return the release in a few sentences for a reader in a hurry, one paragraph each."""
    people = people_of(synthesis.model)
    guarantee = Guarantee.of(synthesis.plan, notes)
    return (
        (
            f"This release describes about {people} people (95{SPACE}% interval {people.interval}) in the records of "
            f"{counted(notes.organisations, 'organisation')}."
        ),
        (
            f"It protects each of them: any conclusion that anybody draws from it is at most {guarantee.odds} times "
            f"as likely with {'one record' if guarantee.unit == 'record' else 'a person’s records'} in the data as "
            f"without, plus a chance of {guarantee.delta_words} (epsilon "
            f"{short(guarantee.epsilon, 6)}).{_several(guarantee)}"
        ),
        _price(synthesis),
    )


def _price(synthesis: Synthesis) -> str:
    usual = typical(synthesis)
    if usual:
        return (
            f"The price is that numbers are estimates: a count of about {whole(usual[0].size)} people with two values in "
            f"common is within {whole(usual[0].half_widths[1])} of the number in the records in 19 of 20 cases."
        )
    more = "A release of more people, with a larger epsilon or with fewer attributes would show more."
    shown = synthesis.aggregates
    if shown.known:
        return (
            "The price is high here: the noise drowns most of what there is to count. Only "
            f"{counted(shown.known, 'combination')} of up to three values can be shown; smaller ones are lost in the "
            f"noise, in the synthetic records too. {more}"
        )
    missing = " and for how many some value is missing" if shown.missing_values else ""
    return (
        "The price is too high here: the noise drowns all that there is to count. How many people there are can be "
        f"shown{missing}, but not how many have any value or combination of values, and the synthetic records follow "
        f"little but noise. {more}"
    )


def _several(guarantee: Guarantee) -> str:
    if guarantee.tokens == 1:
        return ""
    return (
        f" For a person who was counted under {guarantee.tokens} {guarantee.unit}s the factor is up to "
        f"{guarantee.odds_person} (epsilon {ceiling(guarantee.epsilon_person)})."
    )
