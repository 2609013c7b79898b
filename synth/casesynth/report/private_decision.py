"""What the files of a release say where the decision about it used private data (privacy rule 33): the same sentence at the top of each.

1. `ReleaseNotes.decision_used_private_data` writes it from the start.
2. A release whose decision used private data later gets it put in: the text becomes what rule 1 would have written, to the letter.
3. A text that is not as this version writes it is refused.
"""

from __future__ import annotations

import json

from casesynth.errors import CasesynthError
from casesynth.report.markup import Html, tag

SENTENCE = (
    "The decision about this release used private data: somebody compared it, or another release of the same people, with real records first, "
    "or withheld it after doing so. "
    "The guarantee does not cover that decision."
)


class NotAsWrittenError(CasesynthError):
    """A file of a release that is not as this version writes it."""


def report_notice() -> Html:
    """Return what the report shows first."""
    return tag("section", tag("p", tag("strong", SENTENCE)), class_="lead", aria_label="Not covered")


def datasheet_notice() -> str:
    """Return the datasheet's first paragraph."""
    return f"**{SENTENCE}**"


def mark_report(text: str) -> str:
    """Put the sentence into a report.

    Raises:
        NotAsWrittenError: there is no one place for it.
    """
    return put_after(text, "<main>", str(report_notice()), name="the report")


def mark_datasheet(text: str) -> str:
    """Put the sentence into a datasheet, below its title."""
    head, _, rest = text.partition("\n")
    return f"{head}\n\n{datasheet_notice()}\n{rest}"


def mark_datapackage(text: str) -> str:
    """Put the sentence into the description of a data package; sizes and digests of the other files are the caller's."""
    package = json.loads(text)
    package["description"] += f" {SENTENCE}"
    return json.dumps(package, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def put_after(text: str, place: str, more: str, *, name: str) -> str:
    """Return a text with more behind a place that it has once.

    Raises:
        NotAsWrittenError: it has no such place, or several.
    """
    if text.count(place) != 1:
        raise NotAsWrittenError(f"{name} is not as this version writes it: {place!r} must occur once")
    return text.replace(place, place + more)
