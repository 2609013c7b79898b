"""The words of a name, as two writings of it are compared: in person tokens and in the index of possible duplicates.

1. Case does not matter, nor does the order of words, nor what stands between them.
2. Accents are forgiven only in scripts where they are additions. Elsewhere marks are vowels, and two names that differ in them are two names.
3. This form is part of the format of person tokens (docs/spec/prepare.md) and of stored index entries: it does not change.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

__all__ = ["name_words"]

_ADDED_MARKS: Final = frozenset({"LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW"})
"""Scripts, as names of letters begin, whose combining marks are additions to a letter."""


def name_words(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the words of names in the order of code points, without case; empty where one cell has none.

    >>> name_words(["Zoé", "da SILVA-Souza"]), name_words(["राम", "x"]) == name_words(["रोम", "x"]), name_words(["Zoé", "-"])
    (('da', 'silva', 'souza', 'zoe'), False, ())
    """
    words: list[str] = []
    for cell in cells:
        found = _words(cell)
        if not found:
            return ()
        words += found
    return tuple(sorted(words))


def _words(cell: str) -> list[str]:
    """Letters, digits and marks stay together; of Latin, Greek, Cyrillic, Arabic and Hebrew letters the added marks go."""
    kept, script = [], ""
    for mark in unicodedata.normalize("NFKD", cell.casefold()):
        category = unicodedata.category(mark)
        if category[0] == "M":
            if not (unicodedata.combining(mark) and script in _ADDED_MARKS):
                kept.append(mark)
        elif category[0] in "LN":
            script = unicodedata.name(mark, "").split(" ", 1)[0]
            kept.append(mark)
        elif category != "Cf":  # joiners and marks of direction are no end of a word
            kept.append(" ")
    return "".join(kept).split()
