"""From the columns of a file to the columns of a source: copied, cleaned, and several columns of one question joined into one.

1. Values of one cell are joined by `;`. A `;` inside a value becomes a comma; a value that is there twice is kept once.
2. A question of several answers that was answered with none of them is not a question that was not asked: its cell is `NONE_CHOSEN`, not empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from casehaven.intake.sandbox.clean import clean_cell, clean_cells

JOIN = ";"
NONE_CHOSEN = "∅"
"""Cell of a question that was answered, and of whose answers none was chosen."""

Cells = Sequence[str]
Block = Sequence[Cells]
"""Some rows, column by column."""

YES = frozenset(("1", "1.0", "TRUE", "True", "true"))
"""Cells of a column of 0 and 1 that mean: chosen."""


@dataclass(frozen=True, kw_only=True)
class PlanColumn:
    """One column of a source, and how its cells are made from a file's columns."""

    name: str
    make: Callable[[Block], Cells]
    labels: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    multiple: bool = False
    role: str = "answer"

    def document(self) -> dict[str, object]:
        """Return what is said of the column."""
        return {
            "name": self.name,
            "labels": list(self.labels),
            "options": dict(self.options),
            "multiple": self.multiple,
            "role": self.role,
        }


def joined(values: Iterable[str]) -> str:
    """Return several values as one cell.

    >>> joined(["threats", "debt", "", "threats", "a;b"])
    'threats;debt;a,b'
    """
    kept = dict.fromkeys(value.replace(JOIN, ",") for value in values if value)
    return JOIN.join(kept)


def copied(position: int) -> Callable[[Block], Cells]:
    """Make cells as they are, cleaned."""
    return lambda block: clean_cells(block[position])


def split(position: int, split_cell: Callable[[str], Iterable[str]]) -> Callable[[Block], Cells]:
    """Make cells of several values; each distinct cell is split once."""

    def make(block: Block) -> Cells:
        made: dict[str, str] = {}
        out = []
        for cell in clean_cells(block[position]):
            text = made.get(cell)
            if text is None:
                text = made[cell] = joined(split_cell(cell))
            out.append(text)
        return out

    return make


def by_spaces(cell: str) -> list[str]:
    """Split as ODK and Kobo join."""
    return cell.split()


def by_bars(cell: str) -> list[str]:
    """Split as Primero joins: ` ||| `, or a list in brackets.

    >>> by_bars("a ||| b"), by_bars('["a", "b"]'), by_bars("a")
    (['a', 'b'], ['a', 'b'], ['a'])
    """
    if cell.startswith("[") and cell.endswith("]"):
        try:
            values = json.loads(cell)
        except ValueError:
            values = None
        if isinstance(values, list) and all(isinstance(value, str | None) for value in values):
            return [clean_cell(value or "") for value in values]
    return [part.strip() for part in cell.split("|||")]


def by_semicolons(cell: str) -> list[str]:
    """Split as Salesforce joins."""
    return [part.strip() for part in cell.split(JOIN)]


def from_flags(text: int | None, flags: Sequence[tuple[int, str]]) -> Callable[[Block], Cells]:
    """Make cells of several values from columns of 0 and 1, and from the column of codes beside them if there is one.

    Where the column of codes holds known codes only, they are taken in the order chosen; else the flags decide. Where nothing is chosen, a flag
    that is not empty says that the question was answered (rule 2).
    """
    known = {option for _, option in flags}

    def make(block: Block) -> Cells:
        rows = len(block[flags[0][0]])
        texts = clean_cells(block[text]) if text is not None else [""] * rows
        chosen: list[list[str]] = [[] for _ in range(rows)]
        for position, option in flags:
            for row, cell in enumerate(block[position]):
                if cell == "1" or (cell != "0" and cell and cell.strip() in YES):
                    chosen[row].append(option)
        out = []
        for row, (cell, options) in enumerate(zip(texts, chosen, strict=True)):
            codes = cell.split()
            text_of = joined(codes if codes and (not options or known.issuperset(codes)) else options)
            if not text_of and any(block[position][row].strip() for position, _ in flags):
                text_of = NONE_CHOSEN
            out.append(text_of)
        return out

    return make


_CASES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SHORT_ID = re.compile(r"[A-Za-z0-9]{15}")


def salesforce_id(cell: str) -> str:
    """Return an Id in its form of 18 characters: the last three tell the case of the others.

    >>> salesforce_id("0015000000Gv7qJ"), salesforce_id("0015000000Gv7qJAAR")
    ('0015000000Gv7qJAAR', '0015000000Gv7qJAAR')
    """
    if not _SHORT_ID.fullmatch(cell):
        return cell
    ends = ""
    for part in (cell[0:5], cell[5:10], cell[10:15]):
        ends += _CASES[sum(1 << place for place, letter in enumerate(part) if letter.isupper())]
    return cell + ends


def without_scheme(position: int) -> Callable[[Block], Cells]:
    """Make identifiers without `uuid:` in front: versions of a tool differ in that."""
    return lambda block: [cell.removeprefix("uuid:") for cell in clean_cells(block[position])]


def whole_ids(position: int) -> Callable[[Block], Cells]:
    """Make Salesforce Ids of 18 characters."""
    return lambda block: [salesforce_id(cell) for cell in clean_cells(block[position])]
