"""Tables for notebooks: every text is escaped, so no label of a server becomes markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from casehaven.client.plain_text import one_line

T = TypeVar("T")

ROWS_SHOWN = 200


class Listing(tuple[T, ...]):
    """What a server listed: a tuple that a notebook shows as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        if not self:
            return html_table("nothing", [], [])
        heads = [one.name for one in fields(self[0]) if one.repr]  # type: ignore[arg-type]  # listed are dataclasses
        rows = [[shown(getattr(entry, head)) for head in heads] for entry in self]
        return html_table("", heads, rows)


def html_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Return a table as HTML.

    >>> html_table("a < b", ["x"], [["<script>"]])
    '<table><caption>a &lt; b</caption><thead><tr><th>x</th></tr></thead><tbody><tr><td>&lt;script&gt;</td></tr></tbody></table>'

    Args:
        caption: above it.
        heads: of the columns.
        rows: cells; those beyond `ROWS_SHOWN` are left out, and a note says so.
        notes: lines below it.
    """
    every = list(rows)
    head = "".join(f"<th>{_safe(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>" for row in every[:ROWS_SHOWN])
    below = [*notes, *([f"and {len(every) - ROWS_SHOWN:,} more rows"] if len(every) > ROWS_SHOWN else [])]
    return (
        "<table>"
        + (f"<caption>{_safe(caption)}</caption>" if caption else "")
        + f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + "".join(f"<p>{_safe(line)}</p>" for line in below)
    )


def shown(value: Any) -> str:
    """Return a value as a person reads it.

    >>> shown(12345), shown(1.25), shown(None), shown("x")
    ('12,345', '1.2', '', 'x')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if isinstance(value, float) else str(value)


def _safe(text: str) -> str:
    return html.escape(one_line(text, 300))
