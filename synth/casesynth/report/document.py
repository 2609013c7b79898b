"""The frame of every page that a release or its readers' tools write: one file, no script, no address, nothing to load."""

from __future__ import annotations

from casesynth.report.markup import Html, tag
from casesynth.report.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""The page's own security policy; it forbids to load or run anything."""


def document(title: str, *content: Html) -> str:
    """Return a whole page.

    Args:
        title: shown by the browser; escaped.
        content: the children of the body's one `main`.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", tag("main", *content)), lang="en") + "\n"
