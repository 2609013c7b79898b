"""Several tables of one record folded into one row: repeats, subforms, and records that are spread over rows.

A column of a folded table holds the values of all its rows that belong to the record, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice

from casehaven.intake.sandbox.clean import clean_cell
from casehaven.intake.sandbox.columns import PlanColumn, joined
from casehaven.intake.sandbox.headers import SAMPLE, Laid
from casehaven.intake.sandbox.tables import Row

_BLOCK = 2_000


def folded(
    root: Laid,
    root_key: int,
    child: Laid,
    planned: Sequence[PlanColumn],
    owner: Callable[[list[str]], str],
    prefix: str,
    *,
    repeats: bool,
) -> bool:
    """Add the columns of a child table to a root; tell whether one of them holds several values.

    Args:
        root: changed in place.
        root_key: position of what a child's row refers to.
        child: read to its end.
        planned: the child's columns to add.
        owner: the root's key that a row of the child belongs to.
        prefix: of the new columns' names.
        repeats: the child's rows are repeats by nature: its columns hold several values even if they never do.
    """
    held: dict[str, list[list[str]]] = {}
    rows = child.rows
    while block := list(islice(rows, _BLOCK)):
        columns = list(zip(*(cells for _, cells in block), strict=True))
        made = [column.make(columns) for column in planned]
        for place, (_, cells) in enumerate(block):
            kept = held.setdefault(owner(cells), [[] for _ in planned])
            for values, column, cells_made in zip(kept, planned, made, strict=True):
                if cell := cells_made[place]:
                    values.extend(cell.split(";") if column.multiple else [cell])
    several = [
        repeats or column.multiple or any(len(set(lists[place])) > 1 for lists in held.values())
        for place, column in enumerate(planned)
    ]
    texts = {
        key: [
            joined(values) if multiple else "".join(values[:1]) for values, multiple in zip(lists, several, strict=True)
        ]
        for key, lists in held.items()
    }
    blank = [""] * len(planned)
    root.rows = _added(root.rows, root_key, texts, blank)
    root.sample = list(islice(root.rows, SAMPLE))
    root.rows = chain(root.sample, root.rows)
    for column, multiple in zip(planned, several, strict=True):
        name = f"{prefix}{column.name}"
        while name in root.names:
            name = f"{name} ({child.name})"
        root.names.append(name)
        root.labels.append(tuple(dict.fromkeys(text for text in (column.name, *column.labels) if text != name)))
        if multiple:
            root.multiple.add(name)
    return any(several)


def _added(rows: Iterator[Row], key: int, texts: dict[str, list[str]], blank: list[str]) -> Iterator[Row]:
    for number, cells in rows:
        yield number, cells + texts.get(clean_cell(cells[key]), blank)


def spread_rows_joined(laid: Laid, key: int) -> None:
    """Join rows that follow each other under one key into one record: its differing cells hold several values."""
    several: set[int] = set()

    def records(rows: Iterator[Row]) -> Iterator[Row]:
        number, lists = 0, [[""]]
        for row, cells in rows:
            if number and cells[key].strip() and cells[key] == lists[key][0]:
                for position, cell in enumerate(cells):
                    if cell.strip() and cell not in lists[position]:
                        lists[position].append(cell)
                        several.add(position)
                continue
            if number:
                yield number, [_one(values) for values in lists]
            number, lists = row, [[cell] for cell in cells]
        if number:
            yield number, [_one(values) for values in lists]

    rows = records(laid.rows)
    laid.sample = list(islice(rows, SAMPLE))
    laid.rows = chain(laid.sample, rows)
    if several:
        laid.notes.append("records that are spread over rows were joined: their differing cells are several answers")


def _one(values: list[str]) -> str:
    filled = [value for value in values if value.strip()]
    return " ||| ".join(filled) if len(filled) > 1 else (filled[0] if filled else "")
