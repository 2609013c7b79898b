"""Where a table's header is, what its columns are called, and which rows are no records.

1. Blank rows and rows of one cell above the header (a title) are passed over. A header over merged cells is two rows: `group/name`.
2. A row of HXL tags (`#...`) after the header is no record and is dropped.
3. A column without a name and without text is dropped; one with text is `column F`. A column that only counts its rows is no answer; if it has no name it is dropped.
4. A row without text is no record; neither is one that has only its running number, or results of formulas.
5. In a text file a row has as many cells as the header; empty ones at its end may be more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise

from casehaven.intake.sandbox.clean import clean_cell
from casehaven.intake.sandbox.faults import FaultError
from casehaven.intake.sandbox.htcds import is_template, named_by_label
from casehaven.intake.sandbox.tables import RawTable, Row, column_letters

SAMPLE = 2_000
"""Rows after the header that decide what a column is."""
_HEAD = 12
_TITLE_CELLS = 1
_REAL_HEADER = 3
_NAME_LENGTH = 300


@dataclass(kw_only=True)
class Laid:
    """A table with its header found."""

    name: str
    names: list[str]
    """Cleaned header of each position; empty where the column is dropped."""
    labels: list[tuple[str, ...]]
    rows: Iterator[Row]
    """Records, each as wide as the header."""
    sample: list[Row]
    """The first of them; `rows` has them too."""
    notes: list[str]
    template: bool = False
    """The header is that of an HTCDS template."""
    multiple: set[str] = field(default_factory=set)
    """Names of columns that the file itself marks as holding several values."""

    def position(self, *names: str) -> int | None:
        """Return the place of the first of some names, or None."""
        return next((self.names.index(name) for name in names if name in self.names), None)


def clean_name(cell: str) -> str:
    """Return a header as it may be shown: cleaned, single spaces, not endless.

    >>> clean_name("  Gender\\u00a0 of\\nvictim ")
    'Gender of victim'
    """
    return " ".join(clean_cell(cell).split())[:_NAME_LENGTH]


def lay_out(table: RawTable) -> Laid:
    """Find the header of a table.

    Raises:
        FaultError: there is none, or a row does not fit it.
    """
    head = list(islice(table.rows, _HEAD))
    notes = list(table.notes)
    body = [row for row in head if _filled(row[1])]
    widest = max((_filled(cells) for _, cells in body), default=0)
    while body and _filled(body[0][1]) <= _TITLE_CELLS and widest >= _REAL_HEADER:
        notes.append(f"row {body[0][0]} is a title and was passed over")
        body = body[1:]
    if not body:
        raise FaultError("header", "no header row; expected the names of columns in the first row")
    number, cells = body[0]
    names = [clean_name(cell) for cell in cells]
    labels: list[tuple[str, ...]] = [()] * len(names)
    used, template = 1, False
    below = [clean_name(cell) for cell in body[1][1]] if len(body) > 1 else []
    if is_template(names, below):
        found = named_by_label(names, below, notes)
        names, labels, used, template = found.names, found.labels, found.rows, True
    elif len(body) > 1 and (spans := _groups(table, number)):
        names = _grouped(names, below, spans)
        labels, used = [()] * len(names), 2
        notes.append("the header has merged cells over a second row of names; columns are group/name")
    if len(body) > used and _is_tags(body[used][1]):
        notes.append(f"row {body[used][0]} holds HXL tags and was dropped")
        used += 1
    following = chain(body[used:], table.rows)
    width = len(names)
    sample = list(islice(following, SAMPLE))
    names, labels = _named(names, labels, sample, table.even, notes)
    width = len(names)
    counter = _counter(names, sample)
    if counter is not None:
        letter = f"column {column_letters(counter)}"
        called = letter if names[counter] == letter else f"column {names[counter]}"
        notes[:] = [note for note in notes if note != f"{letter} has no header"]
        notes.append(f"{called} only counts rows; rows without anything else are no records")
    ignored = {position for position in table.formulas if position < width}
    if ignored:
        shown = ", ".join(_called(names, position) for position in sorted(ignored)[:12])
        notes.append(f"formulas are not evaluated: what was last stored as their result was read ({shown})")
    if counter is not None:
        ignored.add(counter)
        if not labels[counter] and names[counter] == f"column {column_letters(counter)}":
            names[counter] = ""
    if len(ignored) >= sum(1 for name in names if name):
        ignored = set()
    counting = [position not in ignored for position in range(width)] if ignored else None
    rows = _records(chain(sample, following), width, counting, table.even)
    kept = list(islice(rows, SAMPLE))
    return Laid(
        name=table.name,
        names=names,
        labels=labels,
        rows=chain(kept, rows),
        sample=kept,
        notes=notes,
        template=template,
    )


def _records(rows: Iterator[Row], width: int, counting: list[bool] | None, even: bool) -> Iterator[Row]:
    """Yield the rows that hold a record, each of the header's width."""
    for number, cells in rows:
        if len(cells) != width:
            if even and (len(cells) < width or _filled(cells[width:])):
                if not _filled(cells):
                    continue
                raise FaultError(
                    "ragged",
                    f"row {number} has {len(cells)} cells, the header has {width}; correct the row, or check its quotes",
                )
            cells = cells[:width] + [""] * (width - len(cells))
        if counting is None:
            if not "".join(cells).strip():
                continue
        elif not any(counts and cell and cell.strip() for counts, cell in zip(counting, cells, strict=True)):
            continue
        yield number, cells


def _named(
    names: list[str], labels: list[tuple[str, ...]], sample: Sequence[Row], even: bool, notes: list[str]
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Name what has no name and text; leave the rest of what has no name empty."""
    width = len(names)
    while width and not names[width - 1] and not labels[width - 1]:
        width -= 1
    if even:
        width = max(width, len(names))
    outside = False
    with_text: set[int] = set()
    for _, cells in sample:
        outside = outside or (len(cells) > width and _filled(cells[width:]) > 0)
        if len(with_text) < width:
            with_text.update(position for position, cell in enumerate(cells[:width]) if cell.strip())
    if outside and not even:
        notes.append("cells beside the last header were not read")
    names, labels = names[:width], labels[:width]
    blank = False
    for position, name in enumerate(names):
        if not name and position in with_text:
            names[position] = f"column {column_letters(position)}"
            notes.append(f"column {column_letters(position)} has no header")
        elif not name:
            blank = True
    if blank:
        notes.append("blank columns were dropped")
    return names, labels


def _groups(table: RawTable, header: int) -> list[tuple[int, int, int, int]]:
    """Return the merged areas that group names in the row below the header."""
    spans = [area for area in table.merged if area[0] == header and area[3] > area[1]]
    return spans if all(area[2] == header for area in spans) else []


def _grouped(above: list[str], below: list[str], spans: list[tuple[int, int, int, int]]) -> list[str]:
    width = max(len(above), len(below))
    above += [""] * (width - len(above))
    below += [""] * (width - len(below))
    for _, first, _, last in spans:
        for position in range(first, min(last, width - 1) + 1):
            above[position] = above[first]
    return [f"{group}/{name}" if group and name else group or name for group, name in zip(above, below, strict=True)]


def _counter(names: Sequence[str], sample: Sequence[Row]) -> int | None:
    """Return the first column if it holds a running number, and at least one row has nothing else or it has no name of its own."""
    first = next((position for position, name in enumerate(names) if name), None)
    if first is None or len(sample) < 2:
        return None
    numbers = [cells[first].strip() if first < len(cells) else "" for _, cells in sample]
    filled = [int(number) for number in numbers if number.isdigit() and len(number) < 10]
    if len(filled) < 2 or len(filled) != sum(1 for number in numbers if number):
        return None
    if any(later - earlier != 1 for earlier, later in pairwise(filled)):
        return None
    alone = any(_filled(cells) == 1 and number for number, (_, cells) in zip(numbers, sample, strict=True))
    return first if alone or names[first] == f"column {column_letters(first)}" else None


def _called(names: Sequence[str], position: int) -> str:
    return names[position] or column_letters(position)


def _is_tags(cells: Sequence[str]) -> bool:
    texts = [cell.strip() for cell in cells if cell.strip()]
    return bool(texts) and all(text.startswith("#") and len(text) > 1 and text[1].isalpha() for text in texts)


def _filled(cells: Sequence[str]) -> int:
    return sum(1 for cell in cells if cell and cell.strip())
