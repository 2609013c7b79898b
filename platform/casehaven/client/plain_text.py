"""Words from a server on their way to a screen: nothing in them steers a terminal, turns the reading direction or hides.

1. Control characters, escape sequences, marks that turn the reading direction, zero-width characters that no language needs, and lone surrogates become U+FFFD.
2. In JSON they are written as escapes, so that a program reads exactly what the server said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_MARKS: Final = (
    "\x7f-\x9f\u061c\u200b\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f"
)
_UNSAFE: Final = re.compile(f"[\x00-\x1f{_MARKS}]")
_UNSAFE_IN_JSON: Final = re.compile(f"[{_MARKS}]")


def one_line(text: str, most: int = 200) -> str:
    """Return a text as one line of at most so many characters.

    >>> one_line("a\\x1b[2Jb\\nc"), one_line("abcdef", 4)
    ('a\\ufffd[2Jb\\ufffdc', 'abc…')
    """
    shown = _UNSAFE.sub("\ufffd", text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def is_plain(document: Any) -> bool:
    """Tell whether every text in a document can be shown as it is.

    >>> is_plain({"a": ["b"]}), is_plain({"a": ["b\\x1b[2J"]})
    (True, False)
    """
    if isinstance(document, str):
        return _UNSAFE.search(document) is None
    if isinstance(document, Mapping):
        return all(is_plain(one) for pair in document.items() for one in pair)
    return not isinstance(document, list) or all(map(is_plain, document))


def json_text(document: Any, *, indent: int | None = 2) -> str:
    """Return a document as JSON that is safe on a screen and says the same.

    >>> json_text({"a": "é\\x9b"}, indent=None)
    '{"a": "é\\\\u009b"}'
    """
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    return _UNSAFE_IN_JSON.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1]
