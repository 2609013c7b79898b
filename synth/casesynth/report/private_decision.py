"""What the files of a release say where the decision about it used private data (privacy rule 33): the same sentence at the top of each.

1. `ReleaseNotes.decision_used_private_data` writes it from the start.
2. A release whose decision used private data later gets it put in: the text becomes what rule 1 would have written, to the letter.
3. A text of another version gets it too, at a place that every page has: marking never fails for want of a place, because the ledger is marked already by then.
"""

from __future__ import annotations

import json
import re

from casesynth.report.markup import Html, tag

SENTENCE = (
    "The decision about this release used private data: somebody compared it, or another release of the same people, with real records first, "
    "or withheld it after doing so. "
    "The guarantee does not cover that decision."
)


def report_notice() -> Html:
    """Return what the report shows first."""
    return tag("section", tag("p", tag("strong", SENTENCE)), class_="lead", aria_label="Not covered")


def datasheet_notice() -> str:
    """Return the datasheet's first paragraph."""
    return f"**{SENTENCE}**"


def mark_report(text: str) -> str:
    """Put the sentence into a report."""
    return put_behind(text, "<main>", str(report_notice()))


def mark_datasheet(text: str) -> str:
    """Put the sentence into a datasheet, below its title."""
    head, _, rest = text.partition("\n")
    return f"{head}\n\n{datasheet_notice()}\n{rest}"


def mark_datapackage(text: str) -> str:
    """Put the sentence into the description of a data package; sizes and digests of the other files are the caller's."""
    package = json.loads(text)
    package["description"] = f"{package.get('description', '')} {SENTENCE}".lstrip()
    return json.dumps(package, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def put_behind(page: str, place: str, more: str) -> str:
    """Return a page with more behind a place; where it has no such place, at the begin of its body, or in front of everything.

    >>> put_behind("<body class=x><p>a</p>", "<main>", "<b>!</b>")
    '<body class=x><b>!</b><p>a</p>'
    """
    found = re.search(re.escape(place), page) or re.search(r"<body\b[^>]*>", page)
    end = found.end() if found else 0
    return page[:end] + more + page[end:]
