"""How two spellings of a word are known to be the same: the one normal form of cells, codes, labels and synonyms.

1. Unicode form NFC, case folded.
2. Typographic apostrophes and dashes become plain ones.
3. Invisible marks (zero-width characters, text direction marks, byte order mark) are dropped.
4. White space of every kind is trimmed at the ends and becomes one space inside.
"""

from __future__ import annotations

import unicodedata

_PLAIN = {
    **dict.fromkeys([0x2018, 0x2019, 0x02BC, 0x02B9, 0xFF07], "'"),
    **dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE63, 0xFF0D], "-"),
    **dict.fromkeys([0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF], None),
}


def normal(text: str) -> str:
    r"""Bring a text into normal form; two texts with the same normal form are one word.

    >>> normal("  Côte\u00a0d\u2019Ivoire "), normal("CO\u0302TE D'IVOIRE"), normal("18\u201320")
    ("côte d'ivoire", "côte d'ivoire", '18-20')
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(unicodedata.normalize("NFC", folded.translate(_PLAIN)).split())
