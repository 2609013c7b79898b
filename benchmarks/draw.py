"""One chart as SVG: lines or single marks over two logarithmic axes. Readable on light and dark pages; marks differ in shape, not in colour alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 470, 40, 330
COLOURS = ("#1b6ca8", "#c2571a", "#3a7d44", "#8a4fbf", "#a8324a", "#666666", "#b08a00")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 2")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line, or the marks of one kind where it is not joined."""

    name: str
    points: Sequence[tuple[float, float]]
    """x and y, both positive."""
    joined: bool = True


def chart(lines: Sequence[Line], *, title: str, x_name: str, y_name: str) -> str:
    """Return the chart as a whole SVG file."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    (x0, x1), (y0, y1) = _ends(xs), _ends(ys)

    def x(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * math.log(value / x0) / math.log(x1 / x0)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * math.log(value / y0) / math.log(y1 / y0)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" fill="#222">{escape(title)}</text>',
        f'<text x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 40}" text-anchor="middle" fill="#222">{escape(x_name)}</text>',
        f'<text transform="translate(14 {(TOP + BOTTOM) / 2}) rotate(-90)" text-anchor="middle" fill="#222">{escape(y_name)}</text>',
    ]
    for tick in _ticks(x0, x1):
        parts.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{BOTTOM}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{x(tick):.1f}" y="{BOTTOM + 18}" text-anchor="middle" fill="#444">{_short(tick)}</text>'
        )
    for tick in _ticks(y0, y1):
        parts.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#444">{_short(tick)}</text>')
    for place, line in enumerate(lines):
        colour, dash = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
        at = [(x(a), y(b)) for a, b in line.points]
        if line.joined:
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in at)
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
            )
        parts += [_mark(place, a, b, colour) for a, b in at]
        height = TOP + 10 + 22 * place
        parts.append(_mark(place, RIGHT + 18, height, colour))
        parts.append(f'<text x="{RIGHT + 30}" y="{height + 4}" fill="#222">{escape(line.name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _mark(kind: int, x: float, y: float, colour: str) -> str:
    """Return one of several shapes."""
    shape = kind % 4
    if shape == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    if shape == 1:
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{colour}"/>'
    if shape == 2:
        return f'<path d="M{x:.1f} {y - 5:.1f} l5 9 h-10 z" fill="{colour}"/>'
    return f'<path d="M{x - 4:.1f} {y - 4:.1f} l8 8 m0 -8 l-8 8" stroke="{colour}" stroke-width="2.5"/>'


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis: a little beyond the values, and a factor of four apart at least."""
    low, high = min(values) / 1.25, max(values) * 1.25
    wanted = max(4.0, high / low)
    middle = math.sqrt(low * high)
    return middle / math.sqrt(wanted), middle * math.sqrt(wanted)


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if high / low > 200 else (1, 2, 5)
    return [s * 10.0**d for d, s in itertools.product(decades, steps) if low <= s * 10.0**d <= high]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"
