"""Plots as inline SVG: no script, no colour alone, a title and a description in each.

1. Marks differ in shape or line as well as in colour; colours come from the page's style, so light, dark and print each
   have theirs.
2. A plot never stands alone: `figure` puts the table behind it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from casesynth.report.markup import Html, tag, visible
from casesynth.report.words import Estimate, cut, short, signed

WIDTH = 440
_BAR_LEAST = 110
"""Least room for bars beside their labels; with less, labels stand above their bars."""
_LABEL_MOST = 60
_PITCH = 40.0
"""Height of one row of differences."""


def figure(ident: str, plot: Html, behind: Html, caption: str) -> Html:
    """Return a plot with a caption and the table behind it."""
    table = tag("details", tag("summary", "The same as a table"), behind)
    return tag("figure", tag("div", plot, class_="plot", id=ident), tag("figcaption", caption), table)


def _svg(ident: str, height: float, title: str, description: str, parts: Sequence[Html]) -> Html:
    return tag(
        "svg",
        tag("title", title, id=f"{ident}-title"),
        tag("desc", description, id=f"{ident}-desc"),
        *parts,
        viewBox=f"0 0 {WIDTH} {_n(height)}",
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
    )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _text(x: float, y: float, words: str, kind: str) -> Html:
    return tag("text", words, x=_n(x), y=_n(y), class_=kind)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return tag("line", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2), class_=kind)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar: a label and an estimate with its interval."""

    label: str
    estimate: Estimate


def bars(ident: str, bars_: Sequence[Bar], title: str, description: str) -> Html:
    """Return horizontal bars with 95 % intervals and the numbers written out."""
    labels = [cut(visible(bar.label), _LABEL_MOST) for bar in bars_]
    numbers = [f"{bar.estimate} ({bar.estimate.interval})" for bar in bars_]
    right = max(WIDTH - 10 - 6.9 * max(len(number) for number in numbers), 60.0)
    left = 14.0 + 7.6 * max(len(label) for label in labels)
    beside = left < right - _BAR_LEAST
    left = left if beside else 2.0
    top = max(bar.estimate.high for bar in bars_)
    pitch = 22 if beside else 38
    parts: list[Html] = []
    for place, (bar, label, number) in enumerate(zip(bars_, labels, numbers, strict=True)):
        y = 4.0 + place * pitch + (0 if beside else 17)

        def x(people: float) -> float:
            return left + (right - left) * people / top

        estimate = bar.estimate
        parts += [
            _text(left - 6, y + 13, label, "end") if beside else _text(left, y - 3, label, "start"),
            tag("rect", x=_n(left), y=_n(y), width=_n(max(x(estimate.value) - left, 0.5)), height="17", class_="bar"),
            _line(x(estimate.low), y + 8.5, x(estimate.high), y + 8.5, "whisker"),
            _line(x(estimate.low), y + 4.5, x(estimate.low), y + 12.5, "whisker"),
            _line(x(estimate.high), y + 4.5, x(estimate.high), y + 12.5, "whisker"),
            _text(right + 8, y + 13, number, "start small"),
        ]
    if beside:
        parts.append(_line(left, 2, left, len(bars_) * pitch + 2, "axis"))
    return _svg(ident, len(bars_) * pitch + 6, title, description, parts)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line of a plot."""

    name: str
    points: tuple[tuple[float, float], ...]
    """x and y, both positive."""


def curves(ident: str, lines: Sequence[Curve], *, title: str, description: str, x_name: str, y_name: str) -> Html:
    """Return lines with marks over two logarithmic axes, each line named at its end."""
    left, right, top, bottom = 52.0, WIDTH - 112.0, 26.0, 250.0
    xs = [point[0] for line in lines for point in line.points]
    ys = [point[1] for line in lines for point in line.points]
    x_ends, y_ends = _ends(min(xs), max(xs)), _ends(min(ys), max(ys))

    def x(value: float) -> float:
        return left + (right - left) * math.log(value / x_ends[0]) / math.log(x_ends[1] / x_ends[0])

    def y(value: float) -> float:
        return bottom - (bottom - top) * math.log(value / y_ends[0]) / math.log(y_ends[1] / y_ends[0])

    parts: list[Html] = [_text(2, 14, y_name, "start"), _text((left + right) / 2, bottom + 36, x_name, "middle")]
    for tick in _ticks(*y_ends):
        parts += [_line(left, y(tick), right, y(tick), "grid"), _text(left - 6, y(tick) + 4, short(tick), "end small")]
    for tick in _ticks(*x_ends):
        parts += [
            _line(x(tick), top, x(tick), bottom, "grid"),
            _text(x(tick), bottom + 17, short(tick), "middle small"),
        ]
    ends = _apart([y(line.points[-1][1]) for line in lines], 16)
    for place, (line, end) in enumerate(zip(lines, ends, strict=True)):
        marks = [_mark(place, x(a), y(b)) for a, b in line.points]
        path = " ".join(f"{_n(x(a))},{_n(y(b))}" for a, b in line.points)
        parts.append(tag("polyline", points=path, class_=f"curve c{place % 3}"))
        parts += marks
        parts += [_mark(place, right + 14, end), _text(right + 24, end + 4, line.name, "start small")]
    return _svg(ident, bottom + 44, title, description, parts)


def histogram(
    ident: str,
    shares: Sequence[float],
    expected: Sequence[float],
    names: Sequence[str],
    *,
    title: str,
    description: str,
    x_name: str,
) -> Html:
    """Return columns of observed shares with a stroke where each was expected."""
    left, right, top, bottom = 52.0, WIDTH - 10.0, 26.0, 220.0
    most = max(*shares, *expected)
    step = 10.0 ** math.floor(math.log10(most))
    step = next(width for width in (step / 2, step, 2 * step) if most / width <= 6)
    parts: list[Html] = [
        _text(2, 14, "share of numbers", "start"),
        _text((left + right) / 2, bottom + 36, x_name, "middle"),
    ]

    def y(share: float) -> float:
        return bottom - (bottom - top) * share / most

    for tick in range(math.floor(most / step) + 1):
        height = y(tick * step)
        parts += [
            _line(left, height, right, height, "grid"),
            _text(left - 6, height + 4, f"{100 * tick * step:g}\u00a0%", "end small"),
        ]
    pitch = (right - left) / len(shares)
    for place, (share, wanted, name) in enumerate(zip(shares, expected, names, strict=True)):
        x = left + place * pitch
        parts += [
            tag("rect", x=_n(x + 3), y=_n(y(share)), width=_n(pitch - 6), height=_n(bottom - y(share)), class_="bar"),
            _line(x + 1, y(wanted), x + pitch - 1, y(wanted), "wanted"),
        ]
        if name:
            parts.append(_text(x + pitch, bottom + 17, name, "middle small"))
    parts.append(_line(left, bottom, right, bottom, "axis"))
    return _svg(ident, bottom + 44, title, description, parts)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One row of a plot of differences."""

    label: str
    value: float
    low: float
    high: float
    real: bool
    """Whether it is larger than chance explains."""


def changes(ident: str, rows: Sequence[Change], *, title: str, description: str, x_name: str) -> Html:
    """Return differences with their intervals around a line at zero, in the order given.

    Filled round marks stand for what is real, hollow square ones for what may be chance.
    """
    left, right, top = 14.0, WIDTH - 14.0, 30.0
    bottom = top + _PITCH * len(rows)
    low, high = min(0.0, *(row.low for row in rows)), max(0.0, *(row.high for row in rows))

    def x(people: float) -> float:
        return left + (right - left) * (people - low) / ((high - low) or 1.0)

    parts: list[Html] = [_text((left + right) / 2, 14, x_name, "middle")]
    for tick in _even_ticks(low, high):
        parts += [
            _line(x(tick), top, x(tick), bottom, "axis" if tick == 0 else "grid"),
            _text(x(tick), bottom + 17, signed(tick), "middle small"),
        ]
    for place, row in enumerate(rows):
        y = top + place * _PITCH
        at = y + 25
        parts += [
            _text(2, y + 13, cut(visible(row.label), _LABEL_MOST), "start over"),
            _line(x(row.low), at, x(row.high), at, "whisker"),
            _line(x(row.low), at - 4, x(row.low), at + 4, "whisker"),
            _line(x(row.high), at - 4, x(row.high), at + 4, "whisker"),
            tag("circle", cx=_n(x(row.value)), cy=_n(at), r="4.5", class_="mark c0")
            if row.real
            else tag("rect", x=_n(x(row.value) - 4), y=_n(at - 4), width="8", height="8", class_="hollow"),
        ]
    return _svg(ident, bottom + 24, title, description, parts)


def _mark(place: int, x: float, y: float) -> Html:
    kind = f"mark c{place % 3}"
    if place % 3 == 0:
        return tag("circle", cx=_n(x), cy=_n(y), r="4", class_=kind)
    if place % 3 == 1:
        return tag("rect", x=_n(x - 3.5), y=_n(y - 3.5), width="7", height="7", class_=kind)
    return tag("path", d=f"M{_n(x)} {_n(y - 4.5)}l4.5 8h-9z", class_=kind)


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten within the ends; only powers of ten when there are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [
        digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high * 1.0001
    ]
    if len(fine) <= 7:
        return fine
    return [tick for tick in fine if math.log10(tick) % 1 == 0]


def _even_ticks(low: float, high: float) -> list[float]:
    """Return at most seven round numbers between the ends, zero among them; the ends lie on both sides of zero."""
    size = high - low
    steps = [digit * 10.0**power for power in range(-1, 13) for digit in (1, 2, 5)]
    step = next((step for step in steps if size <= 6 * step), steps[-1])
    return [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _ends(low: float, high: float) -> tuple[float, float]:
    """Return ends on 1, 2 or 5 times a power of ten that hold all values, and never the same one."""
    steps = [digit * 10.0**power for power in range(-3, 12) for digit in (1, 2, 5)]
    first = max((step for step in steps if step <= low * 1.0001), default=steps[0])
    last = min((step for step in steps if step >= high * 0.9999 and step > first), default=steps[-1])
    return max(first, 1e-3), last


def _apart(heights: Sequence[float], least: float) -> list[float]:
    """Return heights moved down where two would overlap."""
    result = list(heights)
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    for before, place in itertools.pairwise(order):
        result[place] = max(result[place], result[before] + least)
    return result
