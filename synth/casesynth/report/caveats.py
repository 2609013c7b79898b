"""What a reader must know before using a release (privacy rules 25, 26, 35, 37); report and datasheet say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from casesynth.aggregates import MINIMUM
from casesynth.near import NearPair
from casesynth.notes import ReleaseNotes
from casesynth.report.guarantee import Guarantee
from casesynth.report.words import counted, whole

GROUP = 40
"""Size of the group that the text takes as its example."""

NO_PROTECTION = 10
"""An epsilon from which on the text speaks of no protection in practice."""


@dataclass(frozen=True, kw_only=True)
class Caveat:
    """One limit of the release, in a few words and in full."""

    head: str
    text: str


HIDDEN = (
    f"A combination is shown when its estimate is at least {whole(MINIMUM)} people and the lower end of its interval "
    "is at least 1. What is not shown is hidden by this rule. Hidden does not mean zero: there may be nobody, or a "
    "few people."
)


def reading_caveats(near: Sequence[NearPair] = (), apart: Sequence[str] = ()) -> tuple[Caveat, ...]:
    """Return what can go wrong when numbers are read.

    Args:
        near: pairs of columns that noisy numbers link.
        apart: what is said of pairs of columns that are further off than others.
    """
    return (
        *(Caveat(head=f"{pair.column} and {pair.source} say nearly the same.", text=pair.sentence()) for pair in near),
        *(Caveat(head="Some numbers of two facts are further off.", text=text) for text in apart),
        Caveat(
            head="Not a random sample of all victims.",
            text=(
                "The records are of people whom the organisations came to know and registered. Who is found depends "
                "on where services are, whom they serve and what they look for. Shares and trends in the release are "
                "those of the records, not of trafficking as a whole."
            ),
        ),
        Caveat(head="Hidden does not mean zero.", text=HIDDEN),
        Caveat(
            head="Not recorded does not mean no.",
            text=(
                "A fact that nobody asked about, or that nobody wrote down, counts as missing. A number for a fact "
                "is the number of people for whom it was recorded."
            ),
        ),
        Caveat(
            head="Every number is an estimate.",
            text=(
                "The intervals say how far a number may be from the number in the records, at 95 %: about 1 in 20 "
                "true numbers lies outside its interval. They do not cover errors in the records themselves."
            ),
        ),
        Caveat(
            head="Synthetic records are not people.",
            text=(
                "No synthetic record stands for a person. A rare combination in them may not exist in reality, and a "
                "real one may be absent. Use them to explore and to try out methods; quote numbers from the "
                "aggregates, with their intervals."
            ),
        ),
        Caveat(
            head="A change over time may be a change in recording.",
            text="Organisations join and leave, and forms change. Compare years with care.",
        ),
    )


def privacy_caveats(guarantee: Guarantee, notes: ReleaseNotes) -> tuple[Caveat, ...]:
    """Return what the guarantee does not cover."""
    group = guarantee.group_epsilon(GROUP)
    found = [
        Caveat(
            head="Facts about groups are not protected.",
            text=(
                "The release is made to show what is true of many people together. If nearly everyone in a group "
                "shares a fact, the release may show it, and somebody who knows that a person belongs to the group "
                "learns that it is likely true of them, whether or not the person is in the data."
            ),
        ),
        Caveat(
            head="Groups who share one fate are protected less.",
            text=(
                f"The guarantee is for one person. For {GROUP} people who would be counted or left out together, such "
                f"as a group on one boat, it is epsilon {group} at the same "
                f"delta{': no protection in practice' if group >= NO_PROTECTION else ''}."
            ),
        ),
        Caveat(
            head="People who are not the ones counted are not protected.",
            text=(
                "Perpetrators who appear in many records, staff, shelters and organisations may stand behind a "
                "pattern that the release shows."
            ),
        ),
        Caveat(
            head="The guarantee is for this release alone.",
            text=(
                "Losses of privacy add up over all releases and answers from the same records. The ledger of the "
                "people who publish keeps the sum and refuses what would pass the limit."
            ),
        ),
        Caveat(
            head="What is published stays published.",
            text=(
                "Consent that is withdrawn, or a record that is erased, after the measurement changes later releases "
                "only."
            ),
        ),
    ]
    if guarantee.unit == "record":
        found.append(
            Caveat(
                head="The promise is for one record.",
                text=(
                    "The steward declared that one record is one person. A person with several records is protected "
                    "less."
                ),
            )
        )
    if notes.person_tokens == "separate":
        found.append(
            Caveat(
                head="A person known to several organisations counts several times.",
                text=(
                    "Each organisation told its own people apart, and nobody could tell who is known to two. Numbers of "
                    "people may be too high."
                ),
            )
        )
    if guarantee.tokens < notes.organisations:
        reason = f" The reason given: {notes.tokens_reason}" if notes.tokens_reason else ""
        found.append(
            Caveat(
                head="The promise assumes few identities per person.",
                text=(
                    f"{counted(notes.organisations, 'organisation')} contributed, and the guarantee is stated for up "
                    f"to {counted(guarantee.tokens, guarantee.unit)} of one person.{reason}"
                ),
            )
        )
    return tuple(found)


def counted_people(notes: ReleaseNotes) -> str:
    """Say on what ground people were counted."""
    if notes.consent_applied:
        return "Only people who consented to their records being used for a synthetic release were counted."
    return "No consent column was applied. The legal basis, in the words of the people who publish: " + (
        notes.legal_basis or ""
    )
