"""Where a reader can go: the pages of the menu, by what they may do. A page that is not there is in no menu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One page of the menu."""

    name: str
    """Its words are `nav.NAME`."""
    path: str
    operation: str | None
    """What the reader must be able to do; empty: whoever is signed in; None: everybody."""
    here: bool = False
    """Whether the reader is there, or below."""


MENU: Final = (
    Entry(name="home", path="/home", operation=""),
    Entry(name="datasets", path="/datasets", operation="upload.create"),
    Entry(name="people", path="/people", operation="person.find"),
    Entry(name="statistics", path="/statistics", operation="statistics.read"),
    Entry(name="agreements", path="/agreements", operation="agreement.list"),
    Entry(name="ledger", path="/ledger", operation="budget.allow"),
    Entry(name="grants", path="/grants", operation="grant.list"),
    Entry(name="ask", path="/ask", operation="question.ask"),
    Entry(name="answers", path="/answers", operation="answer.list"),
    Entry(name="releases", path="/releases", operation="release.plan"),
    Entry(name="officer", path="/officer", operation="release.approve"),
    Entry(name="registry", path="/registry", operation=None),
    Entry(name="members", path="/members", operation="member.read"),
    Entry(name="organisations", path="/organisations", operation="organisation.create"),
    Entry(name="jobs", path="/jobs", operation="job.read"),
    Entry(name="tokens", path="/tokens", operation="token.make"),
    Entry(name="training", path="/training", operation="question.ask"),
    Entry(name="account", path="/account", operation=""),
)
"""In the order of the menu."""


def entries(operations: frozenset[str], signed_in: bool, app: FastAPI, path: str) -> list[Entry]:
    """Return the menu of a reader.

    Args:
        operations: what they may do.
        signed_in: whether they are.
        app: whose pages there are.
        path: of the page that they read.
    """
    there = {getattr(route, "path", "") for route in app.routes}
    found = []
    for entry in MENU:
        open_to_them = entry.operation is None or (signed_in and (not entry.operation or entry.operation in operations))
        if open_to_them and entry.path in there:
            here = path == entry.path or path.startswith(f"{entry.path}/")
            found.append(Entry(name=entry.name, path=entry.path, operation=entry.operation, here=here))
    return found
