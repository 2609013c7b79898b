"""An answer and a quote as lines of a terminal: numbers with intervals, and a bar for each count with its error bar.

1. What is shown was read by `casehaven.client` before, whether it comes from a server or from here: every field has its type, and both look alike.
2. No label, name or sentence steers the terminal (`casehaven.client.plain_text`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from casehaven.client import Quote
from casehaven.client.answers import NANO
from casehaven.client.plain_text import one_line

_LABEL: Final = 28
_BAR: Final = 30
_UNIT: Final = {"count": "", "change": "", "percentage": " %", "mean": "", "quantile": ""}
_BLANK = "(not known)"


def answer_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the table of an answer's rows: the axes, the number, its interval, and a bar where numbers are counts or percentages."""
    for kind, group in itertools.groupby(rows, key=lambda row: row["kind"]):
        part = list(group)
        heads = [name for name, _ in part[0]["cell"]]
        cells = [[one_line(label or _BLANK, _LABEL) for _, label in row["cell"]] for row in part]
        if any("level" in row for row in part):
            heads.append("quantile")
            cells = [[*cell, f"{row['level']:g}"] for cell, row in zip(cells, part, strict=True)]
        widths = [
            max([len(one_line(head, _LABEL)), *(len(cell[place]) for cell in cells)])
            for place, head in enumerate(heads)
        ]
        drawn = kind in ("count", "percentage")
        top = max([float(row["high"]) for row in part if "high" in row], default=0.0) if drawn else 0.0
        yield "  ".join(
            [
                *(one_line(head, _LABEL).ljust(width) for head, width in zip(heads, widths, strict=True)),
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


def quote_lines(quote: Quote) -> Iterator[str]:
    """Yield what a question would cost and how exact its answer would be."""
    if quote.free:
        why = "a stored answer is as exact" if quote.free == "stored" else "it follows from earlier answers"
        yield f"price      nothing: {why}"
    else:
        yield (
            f"price      epsilon {quote.epsilon:.4g} at delta {quote.delta:.2g} for one person token ({quote.nano_rho / NANO:.9f} rho)"
        )
        if quote.max_tokens_per_person > 1:
            yield f"           epsilon {quote.epsilon_per_person:.4g} for a person behind {quote.max_tokens_per_person} tokens"
    yield f"accuracy   every count within {quote.within:,.1f} {one_line(quote.counted)}, 95 times in 100"
    if not quote.free:
        yield f"cells      {quote.cells:,} noisy cells in {quote.tables:,} tables"
    if quote.earlier_tables:
        yield f"earlier    {quote.earlier_tables:,} noisy tables that are paid for help; without them {quote.alone_nano_rho / NANO:.9f} rho"
    if not quote.free and quote.some_registered:
        years = ", ".join(one_line(year) or "unknown" for year in quote.registered)
        yield f"charged    people first registered in {years}; nobody else is counted"
    if quote.asked_on and quote.free != "stored":
        day = one_line(quote.asked_on[0])
        yield f"asked      on {day}: free as of that day with `casehaven ask --as-of {day}`; the price is for a new count today"
    for dataset, left in quote.left_nano_rho.items():
        amount = "no limit" if left is None else f"{left / NANO:.9f} rho left"
        yield f"allowance  {one_line(dataset)}: {amount}"
    yield "a quote fixes price and accuracy; it reserves nothing"


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
        return one_line(found, _LABEL)
    return f"{found:,.0f}" if float(found).is_integer() else f"{found:,.1f}"


def guarantee_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an answer cost and what it protects (privacy rule 26)."""
    guarantee = answer["guarantee"]
    person = guarantee["max_tokens_per_person"]
    yield (
        f"guarantee  epsilon {guarantee['epsilon']:.4g} at delta {guarantee['delta']:.2g} for one {one_line(guarantee['unit'])}"
        + (f"; {guarantee['epsilon_per_person']:.4g} for a person behind {person}" if person > 1 else "")
        + f"; {one_line(guarantee['mechanism'])}"
    )
    yield f"not        {one_line(guarantee['not_protected'])}"
    below = answer["hidden_below"]
    yield (
        f"hidden     counts below the larger of {below['count']:g} and {below['standard_deviations']:g} standard deviations of their noise, what rests on them, "
        "and a part that a shown total would tell; not the same as nobody"
    )
    yield "intervals  each holds in 95 of 100 cases for itself; among numbers that are shown because they passed the limit, somewhat fewer do"
    if answer["earlier_tables"]:
        yield f"sharper    by {answer['earlier_tables']} noisy tables of earlier answers, at no further cost"
