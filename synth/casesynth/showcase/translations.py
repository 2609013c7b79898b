"""The words of the pages in every language that there is, and whether a speaker has reviewed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from casesynth.showcase._assets import asset_json

LANGUAGES = ("en", "ar", "fr", "es")
"""In the order in which readers choose."""


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The words of one language."""

    code: str
    """Language tag."""
    name: str
    """The language's name for itself."""
    direction: Literal["ltr", "rtl"]
    reviewed: bool
    """Whether a person who speaks it has reviewed the words."""
    words: Mapping[str, str]
    """Text by key; `{name}` stands for what is filled in."""


def translations() -> tuple[Translation, ...]:
    """Return every language of the pages.

    >>> [(t.code, t.direction) for t in translations()]
    [('en', 'ltr'), ('ar', 'rtl'), ('fr', 'ltr'), ('es', 'ltr')]
    """
    found = []
    for code in LANGUAGES:
        document = asset_json(f"words.{code}.json")
        found.append(
            Translation(
                code=code,
                name=document["name"],
                direction=document["direction"],
                reviewed=document["reviewed"],
                words=document["words"],
            )
        )
    return tuple(found)
