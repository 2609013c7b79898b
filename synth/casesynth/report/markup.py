"""HTML built from values: what is not `Html` is escaped, so no name or note can become markup.

1. Text from outside (attribute names, values, titles) enters as `str` and is escaped by `tag`. Only `tag` and `join`
   make `Html`.
2. Control characters and marks that turn the reading direction become U+FFFD: they are not allowed in XML, or can make
   a text read as another.
3. Elements are written so that HTML and XML parsers read the same tree.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_EMPTY = frozenset({"circle", "line", "meta", "path", "polyline", "rect"})
"""Elements that never have content; written `<rect/>`."""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def visible(text: str) -> str:
    """Return text without characters that cannot be shown or that change how the rest is read.

    >>> visible("a\\x00b")
    'a\\ufffdb'
    """
    return _UNSAFE.sub("\ufffd", text)


def join(parts: Iterable[str], between: str = "") -> Html:
    """Join markup and text; text is escaped.

    >>> join(["<", tag("b", "x")])
    '&lt;<b>x</b>'
    """
    return Html(_escaped(between).join(_escaped(part) for part in parts))


def tag(name: str, /, *children: str, **attributes: str) -> Html:
    """Return an element. Attribute names lose a final `_`, and other `_` become `-`.

    >>> tag("td", "1 < 2", class_="n")
    '<td class="n">1 &lt; 2</td>'
    >>> tag("rect", width="3")
    '<rect width="3"/>'
    """
    listed = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{html.escape(visible(value))}"'
        for key, value in attributes.items()
    )
    if name in _EMPTY:
        return Html(f"<{name}{listed}/>")
    return Html(f"<{name}{listed}>{join(children)}</{name}>")


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[int] = ()) -> Html:
    """Return a table with a caption, a header of columns, and a row header in the first cell of each row.

    Args:
        caption: what the table shows.
        columns: one header per column.
        rows: cells; the first names the row.
        words: positions of columns that hold words; the others hold numbers and stand to the right.
    """
    kinds = ["w" if place == 0 or place in words else "n" for place in range(len(columns))]
    head = tag("tr", *(tag("th", name, scope="col", class_=kind) for name, kind in zip(columns, kinds, strict=True)))
    body = [
        tag(
            "tr",
            tag("th", tag("bdi", row[0]), scope="row"),
            *(tag("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    return tag("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _escaped(part: str) -> str:
    return part if isinstance(part, Html) else html.escape(visible(part))
