"""The registry as a JSON Feed (version 1.1): one item for each entry of the public log, newest first.

1. An item's name is the log's position: an item never changes, and a withdrawal is an item of its own.
2. Its text is made from what is public in the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from casehaven.registry.log import SignedEntry

VERSION: Final = "https://jsonfeed.org/version/1.1"
MEDIA_TYPE: Final = "application/feed+json"
ITEMS: Final = 50


def feed(entries: Sequence[SignedEntry], *, publisher: str, origin: str, page: str) -> dict[str, Any]:
    """Return the feed.

    Args:
        entries: of the log, oldest first; the last `ITEMS` are shown.
        publisher: who runs this registry.
        origin: of the service.
        page: path below which people read records.
    """
    return {
        "version": VERSION,
        "title": f"Releases of {publisher}",
        "home_page_url": f"{origin}{page}",
        "feed_url": f"{origin}/v1/registry/feed.json",
        "description": "What was published and withdrawn.",
        "language": "en",
        "items": [_item(each, origin, page) for each in reversed(entries[-ITEMS:])],
    }


def _item(signed: SignedEntry, origin: str, page: str) -> dict[str, Any]:
    entry = signed.entry
    withdrawn = entry["kind"] == "withdrawn"
    text = (
        f"Withdrawn: {entry['record']}, {entry['title']}. {entry['reason']}"
        if withdrawn
        else f"Published: {entry['record']}, {entry['title']}."
    )
    return {
        "id": f"{origin}/v1/registry/log#{entry['position']}",
        "url": f"{origin}{page}/{entry['record']}",
        "title": f"{'Withdrawn: ' if withdrawn else ''}{entry['title']}",
        "content_text": text,
        "date_published": entry["at"],
        "tags": [entry["kind"]],
        "_casehaven": {"record": entry["record"], "manifest_sha256": entry["manifest_sha256"]},
    }
