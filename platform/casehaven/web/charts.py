"""Charts as inline SVG with a table beside them: readable without a script, by a screen reader, and on paper.

1. A chart never stands alone: the numbers are in the table of the same figure, and the picture is hidden from assistive technology.
2. Colours come from the style sheet by class; no colour alone carries a meaning.
3. Text runs from right to left where the page does, and so do the bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

WIDTH: Final = 640
_ROW: Final = 46
_BAR: Final = 12

_escape = Markup.escape


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar: an estimate with its interval, or a plain number."""

    label: str
    value: float
    low: float | None = None
    """Lower end of the interval; None: a number that is not uncertain."""
    high: float | None = None
    shown: str = ""
    """The value as it is written; by default with groups of three digits."""
    chosen: bool = False
    """Whether it stands out."""

    @property
    def said(self) -> str:
        """The value as it is written."""
        return self.shown or f"{self.value:,.0f}".replace("-", "−")

    @property
    def interval(self) -> str:
        """The interval as it is written; empty without one."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:,.0f} – {self.high:,.0f}".replace("-", "−")


def bar_chart(
    title: str,
    bars: Sequence[Bar],
    *,
    headings: tuple[str, str, str],
    direction: str = "ltr",
    note: str = "",
    scale: float | None = None,
) -> Markup:
    """Return a figure of horizontal bars, with whiskers where there are intervals, and its table.

    Args:
        title: caption of the figure.
        bars: in their order.
        headings: of the table's columns: label, value, interval.
        direction: of the page.
        note: one sentence below.
        scale: as for `bar_picture`.
    """
    with_intervals = any(bar.interval for bar in bars)
    rows = Markup("").join(_table_row(bar, with_intervals) for bar in bars)
    third = Markup('<th scope="col">{}</th>').format(headings[2]) if with_intervals else Markup("")
    head = Markup('<tr><th scope="col">{}</th><th scope="col">{}</th>{}</tr>').format(headings[0], headings[1], third)
    said = Markup('<p class="quiet">{}</p>').format(note) if note else Markup("")
    return Markup(
        '<figure class="chart"><figcaption>{}</figcaption>{}'
        '<div class="wide"><table><thead>{}</thead><tbody>{}</tbody></table></div>{}</figure>'
    ).format(title, bar_picture(bars, direction, scale), head, rows, said)


def meter(title: str, value: float, most: float, *, said: str, direction: str = "ltr") -> Markup:
    """Return how much of something is used, as a picture beside the words that say it.

    Args:
        title: what it is.
        value: how much is used.
        most: how much there is; above zero.
        said: the same in words.
        direction: of the page.
    """
    share = min(max(value / most, 0.0), 1.0) if most > 0 else 0.0
    width = round(WIDTH * share, 1)
    start = WIDTH - width if direction == "rtl" else 0
    picture = Markup(
        '<svg class="meter" viewBox="0 0 {w} 16" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="track" x="0.5" y="0.5" width="{inner}" height="15"></rect>'
        '<rect class="bar-chosen" x="{x}" y="0" width="{width}" height="16"></rect></svg>'
    ).format(w=WIDTH, inner=WIDTH - 1, x=start, width=width)
    return Markup('<div class="meter-box"><span>{}</span>{}<span class="quiet">{}</span></div>').format(
        title, picture, said
    )


def _table_row(bar: Bar, with_intervals: bool) -> Markup:
    third = Markup('<td class="number"><bdi>{}</bdi></td>').format(bar.interval) if with_intervals else Markup("")
    return Markup('<tr><th scope="row">{}</th><td class="number"><bdi>{}</bdi></td>{}</tr>').format(
        bar.label, bar.said, third
    )


def bar_picture(bars: Sequence[Bar], direction: str, scale: float | None = None) -> Markup:
    """Return the picture of horizontal bars alone, for a page that shows its numbers in a table of its own (rule 1).

    Args:
        bars: in their order.
        direction: of the page.
        scale: a number that the whole width stands for, so that pictures of one page can be compared; without it the largest of these.
    """
    if not bars:
        return Markup("")
    least = min(0.0, *(min(bar.value, bar.value if bar.low is None else bar.low) for bar in bars))
    most = max(scale or 0.0, *(max(bar.value, bar.value if bar.high is None else bar.high) for bar in bars))
    span = (most - least) or 1.0
    rtl = direction == "rtl"

    def across(value: float) -> float:
        found = (value - least) / span * WIDTH
        return round(WIDTH - found if rtl else found, 1)

    parts = []
    for place, bar in enumerate(bars):
        top = place * _ROW
        anchor, at = ("end", WIDTH) if rtl else ("start", 0)
        parts.append(Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(at, top + 18, anchor, bar.label))
        left, right = sorted((across(0.0), across(bar.value)))
        kind = "bar-chosen" if bar.chosen else "bar"
        parts.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"></rect>').format(
                kind, left, top + 25, round(right - left, 1), _BAR
            )
        )
        if bar.low is not None and bar.high is not None:
            middle = top + 25 + _BAR / 2
            ends = Markup('<path class="whisker" d="M{0} {2}H{1}M{0} {3}V{4}M{1} {3}V{4}"></path>')
            parts.append(ends.format(across(bar.low), across(bar.high), middle, middle - 5, middle + 5))
    return Markup('<svg viewBox="0 0 {} {}" aria-hidden="true" focusable="false">{}</svg>').format(
        WIDTH, len(bars) * _ROW, Markup("").join(parts)
    )
