"""The flows as a picture: places as boxes in columns, steps as arrows; the table beside it says the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from casesynth.report.markup import Html, tag

_WIDE: Final = 170
_HIGH: Final = 44
_GAP: Final = 46
_ROW: Final = 62
_LINE: Final = 24
"""Letters of a line in a box."""


def flow_plot(steps: Sequence[tuple[str, str]]) -> Html:
    """Return a drawing of steps.

    Args:
        steps: names of where each begins and ends. A place stands one column to the right of the furthest that leads to it; a step must not lead back.
    """
    places = [*dict.fromkeys(name for step in steps for name in step)]
    column = dict.fromkeys(places, 0)
    for _ in places:
        for source, target in steps:
            column[target] = max(column[target], column[source] + 1)
    if max(column.values(), default=0) >= len(places) > 0:
        raise ValueError("the steps lead back to where they began")
    at: dict[str, tuple[int, int]] = {}
    for name in places:
        row = sum(1 for other in at if column[other] == column[name])
        at[name] = (column[name] * (_WIDE + _GAP) + 1, row * _ROW + 1)
    width = max((x for x, _ in at.values()), default=0) + _WIDE + 1
    height = max((y for _, y in at.values()), default=0) + _HIGH + 1
    return tag(
        "svg",
        *(_arrow(at[source], at[target]) for source, target in steps),
        *(_box(name, *place) for name, place in at.items()),
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label="; ".join(f"{source} to {target}" for source, target in steps),
        style=f"max-width:{width}px",
    )


def _box(name: str, x: int, y: int) -> Html:
    lines = _lines(name)
    first = y + _HIGH // 2 + 4 - 8 * (len(lines) - 1)
    written = (
        tag("text", line, x=str(x + _WIDE // 2), y=str(first + 16 * number), class_="middle small")
        for number, line in enumerate(lines)
    )
    box = tag(
        "rect",
        x=str(x),
        y=str(y),
        width=str(_WIDE),
        height=str(_HIGH),
        rx="6",
        fill="var(--soft)",
        stroke="var(--edge)",
    )
    return tag("g", box, *written)


def _arrow(source: tuple[int, int], target: tuple[int, int]) -> Html:
    x1, y1 = source[0] + _WIDE, source[1] + _HIGH // 2
    x2, y2 = target[0], target[1] + _HIGH // 2
    bend = (x1 + x2) // 2
    line = tag("path", d=f"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2 - 7} {y2}", fill="none", stroke="var(--quiet)")
    head = tag("path", d=f"M{x2 - 8} {y2 - 5}L{x2} {y2}L{x2 - 8} {y2 + 5}Z", fill="var(--quiet)")
    return tag("g", line, head)


def _lines(name: str) -> list[str]:
    lines: list[str] = []
    for word in name.split():
        if lines and len(lines[-1]) + 1 + len(word) <= _LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
