"""An answer and a quote as lines of a terminal: numbers with intervals, and a bar for each count with its error bar."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from casesynth.report.markup import visible
from casesynth.report.words import cut

_LABEL: Final = 28
_BAR: Final = 30
_UNIT: Final = {"count": "", "change": "", "percentage": " %", "mean": "", "quantile": ""}
_BLANK = "(not known)"


def answer_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the table of an answer's rows: the axes, the number, its interval, and a bar where numbers are counts or percentages."""
    for kind, group in itertools.groupby(rows, key=lambda row: row["kind"]):
        part = list(group)
        heads = [name for name, _ in part[0]["cell"]]
        cells = [[cut(visible(label or _BLANK), _LABEL) for _, label in row["cell"]] for row in part]
        if any("level" in row for row in part):
            heads.append("quantile")
            cells = [[*cell, f"{row['level']:g}"] for cell, row in zip(cells, part, strict=True)]
        widths = [
            max([len(cut(visible(head), _LABEL)), *(len(cell[place]) for cell in cells)])
            for place, head in enumerate(heads)
        ]
        drawn = kind in ("count", "percentage")
        top = max([float(row["high"]) for row in part if "high" in row], default=0.0) if drawn else 0.0
        yield "  ".join(
            [
                *(cut(visible(head), _LABEL).ljust(width) for head, width in zip(heads, widths, strict=True)),
                f"{kind:>12}",
                "95 % interval",
            ]
        ).rstrip()
        for row, cell in zip(part, cells, strict=True):
            label = "  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True))
            if row.get("hidden"):
                yield f"{label}  {'hidden':>12}".rstrip()
                continue
            unit = _UNIT[kind]
            interval = f"{_number(row['low'])} to {_number(row['high'])}{unit}"
            bar = (
                f"  {_bar(float(row['low']), float(row['estimate']), float(row['high']), top)}"
                if drawn and top > 0
                else ""
            )
            yield f"{label}  {_number(row['estimate']) + unit:>12}  {interval:<22}{bar}".rstrip()


def _bar(low: float, estimate: float, high: float, top: float) -> str:
    """Return a bar up to the estimate with its interval drawn over it.

    >>> _bar(40, 50, 60, 100)
    '############|-|---'
    """
    at = [min(round(number / top * _BAR), _BAR) for number in (low, estimate, high)]
    drawn = ["#"] * at[1]
    drawn += [" "] * (at[2] - len(drawn))
    for place in range(at[0], at[2]):
        drawn[place] = "-"
    if at[1] > 0:
        drawn[at[1] - 1] = "|"
    if at[0] < at[1] - 1:
        drawn[at[0]] = "|"
    return "".join(drawn)


def _number(found: float | str) -> str:
    if isinstance(found, str):
        return visible(found)
    return f"{found:,.0f}" if float(found).is_integer() else f"{found:,.1f}"


def guarantee_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an answer cost and what it protects (privacy rule 26)."""
    guarantee = answer["guarantee"]
    person = guarantee["max_tokens_per_person"]
    yield (
        f"guarantee  epsilon {guarantee['epsilon']:.4g} at delta {guarantee['delta']:.2g} for one {guarantee['unit']}"
        + (f"; {guarantee['epsilon_per_person']:.4g} for a person behind {person}" if person > 1 else "")
        + f"; {guarantee['mechanism']}"
    )
    yield f"not        {guarantee['not_protected']}"
    below = answer["hidden_below"]
    yield (
        f"hidden     counts below the larger of {below['count']:g} and {below['standard_deviations']:g} standard deviations of their noise, what rests on them, "
        "and a part that a shown total would tell; not the same as nobody"
    )
    yield "intervals  each holds in 95 of 100 cases for itself; among numbers that are shown because they passed the limit, somewhat fewer do"
    if answer["earlier_tables"]:
        yield f"sharper    by {answer['earlier_tables']} noisy tables of earlier answers, at no further cost"
