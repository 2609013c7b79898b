"""The words of the pages: one file for each family and language below `words/`, and which language a reader gets.

1. Every key is there in every language, with the same places to be filled in (`tests/web/test_words.py`).
2. The language is the one of `?lang=`, then of the cookie, then of `Accept-Language`, then English.
3. What is filled in is escaped and isolated (`<bdi>`), so that a name or number of another direction moves nothing around it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from fastapi import Request
from markupsafe import Markup, escape

LANGUAGE_COOKIE: Final = "__Host-casehaven-language"


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language of the pages."""

    code: str
    """Language tag."""
    name: str
    """The language's name for itself."""
    direction: Literal["ltr", "rtl"]
    reviewed: bool
    """Whether a person who speaks it has reviewed the words."""


LANGUAGES: Final = {
    "en": Language(code="en", name="English", direction="ltr", reviewed=True),
    "ar": Language(code="ar", name="العربية", direction="rtl", reviewed=False),
}
"""In the order in which readers choose."""

_PLACE: Final = re.compile(r"\{(\w+)\}")


@cache
def all_words(code: str) -> Mapping[str, str]:
    """Return every text of a language, by family and key: `home.title`."""
    found: dict[str, str] = {}
    for file in files("casehaven.web").joinpath("words").iterdir():
        family, _, rest = file.name.partition(".")
        if rest == f"{code}.json":
            found.update(
                {f"{family}.{key}": text for key, text in json.loads(file.read_text(encoding="utf-8")).items()}
            )
    return found


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of one language, as templates ask for them."""

    language: Language

    def text(self, key: str, /, **fill: object) -> str:
        """Return a text for an attribute or a title: filled in, neither escaped nor isolated.

        Raises:
            KeyError: there is no such text.
        """
        words = all_words(self.language.code)[key]
        return _PLACE.sub(lambda found: str(fill[found[1]]), words)

    def markup(self, key: str, /, **fill: object) -> Markup:
        """Return a text for a page: what is filled in is escaped and isolated (rule 3).

        >>> Words(language=LANGUAGES["en"]).markup("base.signed_in_as", handle="<ana>")
        Markup('Signed in as <bdi>&lt;ana&gt;</bdi>')
        """
        words = str(escape(all_words(self.language.code)[key]))
        return Markup(_PLACE.sub(lambda found: f"<bdi>{escape(fill[found[1]])}</bdi>", words))

    def has(self, key: str) -> bool:
        """Tell whether there is a text of this name."""
        return key in all_words(self.language.code)


def words_of(request: Request) -> Words:
    """Return the words that the reader gets (rule 2)."""
    chosen = [request.query_params.get("lang", ""), request.cookies.get(LANGUAGE_COOKIE, "")]
    for code in (*chosen, *_accepted(request.headers.get("accept-language", ""))):
        if code in LANGUAGES:
            return Words(language=LANGUAGES[code])
    return Words(language=LANGUAGES["en"])


def _accepted(header: str) -> list[str]:
    """Return the languages of a header, the best first.

    >>> _accepted("fr;q=0.3, ar-EG, en;q=0.8, de;q=x")
    ['ar', 'en', 'fr']
    """
    found = []
    for part in header[:400].split(","):
        name, _, weight = part.strip().partition(";q=")
        try:
            found.append((float(weight) if weight else 1.0, name.partition("-")[0].lower()))
        except ValueError:
            continue
    return [name for weight, name in sorted(found, key=lambda pair: -pair[0]) if weight > 0]
