"""What the cells of a column say in the words of the schema: each distinct cell once.

1. A cell is read through the mapping's codes, then as the schema reads it, then by its letters and digits alone. What is understood becomes a code of the schema.
2. What is not understood becomes what the schema says of a cell outside the list: its outside value, or the blank value. Of a consent it becomes a refusal.
3. Of a cell with several values, each part is read by itself. Commas, and spaces in files of survey tools, part values only where every part is then understood.
4. A date counts where all days that it may mean lie in one period. An age counts where all ages that its dates allow lie in one band.
5. Numbers may have digits of any script, a decimal comma, and a unit: an age is in years, a duration in what its attribute says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casehaven.intake.calendars import Span
from casehaven.intake.dates import ascii_digits
from casehaven.intake.headers import compact, words
from casehaven.intake.held import HeldColumn, HeldSource
from casehaven.intake.intake_mapping import AttributeMapping
from casehaven.intake.sandbox.columns import NONE_CHOSEN
from casehaven.intake.source import JOINED_BY
from caseschemas import SchemaAttribute
from caseschemas.words import normal

BLANK: Final = 0
UNDERSTOOD: Final = 1
NOT_UNDERSTOOD: Final = 2

SPACED: Final = frozenset({"kobo", "odk-central", "xlsform"})
_JOINS: Final = re.compile(rf"\|\|\||\n|{re.escape(JOINED_BY)}")
_DECIMAL: Final = re.compile(r"(?<=\d)[,٫](?=\d{1,2}$)")
_THOUSANDS: Final = re.compile(r"(?<=\d)[ ٬'](?=\d{3}(\D|$))")
_UNIT: Final = re.compile(
    r"(\d+(?:\.\d+)?) ?(?:(y|yr|yrs|year|years|yo|y/o|years old|an|ans|ano|anos|año|años|سنه|سنة|سنوات|عام|عاما)"
    r"|(mo|mos|month|months|mois|mes|meses|شهر|اشهر|أشهر))\.?"
)
OLDEST: Final = 130
"""No age above this is read, in years."""

_TOKEN_LABEL: Final = b"casehaven-joined-token/1"


@dataclass(frozen=True, kw_only=True)
class MappedColumn:
    """One attribute of every record, in the words of the schema."""

    name: str
    places: NDArray[np.int32] = field(repr=False)
    """Of each row: which distinct cell it holds."""
    texts: pa.Array = field(repr=False)
    """Every distinct cell as it is stored, as Arrow holds it; several may be the same."""
    states: NDArray[np.int8] = field(repr=False)
    """Of each distinct cell: BLANK, UNDERSTOOD or NOT_UNDERSTOOD."""
    unknown: dict[str, int] = field(default_factory=dict, repr=False)
    """Words that were not understood, and how many rows hold each."""

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """Every distinct cell as it is stored."""
        return tuple(self.texts.to_pylist())

    def array(self) -> pa.DictionaryArray:
        """Return the cell of every row."""
        return pa.DictionaryArray.from_arrays(pa.array(self.places), self.texts)

    def row_states(self) -> NDArray[np.int8]:
        """Return BLANK, UNDERSTOOD or NOT_UNDERSTOOD of each row."""
        found: NDArray[np.int8] = self.states[self.places] if len(self.states) else np.zeros(0, np.int8)
        return found


Read = tuple[str, int, tuple[str, ...]]
"""What is stored, how it was understood, and the words that were not."""


def map_column(held: HeldSource, entry: AttributeMapping, attribute: SchemaAttribute) -> MappedColumn:
    """Read one attribute from a source."""
    if entry.how == "copy" and len(entry.source) == 1:
        held_column = held.column(entry.source[0])
        return MappedColumn(
            name=attribute.name,
            places=held_column.places,
            texts=pc.utf8_trim_whitespace(held_column.texts),
            states=np.where(held_column.filled(), UNDERSTOOD, BLANK).astype(np.int8),
        )
    names = [*entry.source, *([entry.at] if entry.at is not None else [])]
    places, cells = _together([held.column(name) for name in names])
    reader = CellReader(attribute, entry, spaced=held.source.tool.value in SPACED)
    found = [reader.read(cell) for cell in cells]
    unknown: dict[str, int] = {}
    counts: NDArray[np.int64] = np.bincount(places, minlength=len(cells))
    for (_, state, parts), count in zip(found, counts, strict=True):
        if state == NOT_UNDERSTOOD:
            for part in parts:
                unknown[part] = unknown.get(part, 0) + int(count)
    return MappedColumn(
        name=attribute.name,
        places=places,
        texts=pa.array([cell for cell, _, _ in found], pa.string()),
        states=np.array([state for _, state, _ in found], np.int8),
        unknown=unknown,
    )


def _together(columns: Sequence[HeldColumn]) -> tuple[NDArray[np.int32], list[tuple[str, ...]]]:
    """Return the distinct rows of some columns, and which of them each row is."""
    first, *others = columns
    places = first.places.astype(np.int64)
    cells: list[tuple[str, ...]] = [(cell,) for cell in first.cells]
    for column in others:
        width = max(len(column.cells), 1)
        pairs, places = np.unique(places * width + column.places, return_inverse=True)
        cells = [(*cells[pair // width], column.cells[pair % width]) for pair in pairs.tolist()]
    return places.astype(np.int32), cells


class CellReader:
    """Reads the cells of one attribute as one entry of a mapping says."""

    def __init__(self, attribute: SchemaAttribute, entry: AttributeMapping, *, spaced: bool = False) -> None:
        self.attribute, self.entry, self.spaced = attribute, entry, spaced
        self.read: Callable[[tuple[str, ...]], Read] = {
            "copy": self._token if attribute.role == "person" and len(entry.source) > 1 else self._copied,
            "read": self._several if attribute.kind == "multi" else self._one,
            "age": self._age,
            "birth": self._birth,
            "any": self._any,
        }[entry.how]

    # --- as it is ---

    def _copied(self, cells: tuple[str, ...]) -> Read:
        text = " ".join(cell.strip() for cell in cells if cell.strip())
        return text, UNDERSTOOD if text else BLANK, ()

    def _token(self, cells: tuple[str, ...]) -> Read:
        """Return a person token of several columns: a digest, because the columns may name the person. Each of them is needed."""
        parts = [normal(cell).encode() for cell in cells]
        if not all(parts):
            return "", BLANK, ()
        joined = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hashlib.sha256(_TOKEN_LABEL + joined).hexdigest()[:32], UNDERSTOOD, ()

    # --- through a list ---

    def position(self, cell: str) -> int | None:
        """Return the position of one value in the attribute's list; None where it is not understood."""
        word, attribute = normal(cell), self.attribute
        if not word:
            return attribute.blank
        if word == NONE_CHOSEN:  # answered, and with nothing: no, where the schema tells it from unknown
            return next((at for at, value in enumerate(attribute.values) if value.missing == "no"), attribute.blank)
        code = self.entry.codes.get(word)
        if code is not None:
            return attribute.position(code)
        if attribute.kind == "date":
            return self._date(cell)
        if attribute.kind == "number":
            return attribute.code_of(self._number(word))
        if attribute.kind == "country":
            cell = cell.partition("::")[0]  # a place with its parts, the largest first
        found = attribute.code_of(cell)
        if found is not None or attribute.role == "consent":  # an empty box before a yes is no yes
            return found
        return self._compact_words.get(compact(cell))

    def _date(self, cell: str) -> int | None:
        missing = self.attribute.code_of(cell)
        if missing is not None and missing < self.attribute.first_known:
            return missing
        found = self.entry.dates.span(cell)
        return None if found is None else self._period(found)

    def _period(self, days: Span) -> int | None:
        periods = self.attribute.periods
        if periods is None:
            return None
        first, last = (periods.position(day.year, day.month, day.day) for day in days)
        return None if first is None or first != last else self.attribute.first_known + first

    def _number(self, word: str) -> str:
        """Return a number as the schema reads it (rule 5)."""
        text = _THOUSANDS.sub("", _DECIMAL.sub(".", ascii_digits(word)))
        match = _UNIT.fullmatch(text)
        if match is None or not self._unit:
            return text
        number, years = float(match[1]), self._unit == "years"
        if match[2]:
            return str(int(number if years else 12 * number))
        return str(int(number / 12 if years else number))

    @cached_property
    def _unit(self) -> str:
        labels = (self.attribute.name, *self.attribute.labels.values())
        said = {word for text in labels for word in words(text).split()}
        if said & {"month", "months", "mois", "meses"}:
            return "months"
        return "years" if said & {"age", "year", "years"} else ""

    @cached_property
    def _compact_words(self) -> dict[str, int]:
        """Every word of the list by its letters and digits; what would stand for two values is left out."""
        found: dict[str, set[int]] = {}
        for place, value in enumerate(self.attribute.values):
            for word in value.words:
                if len(form := compact(word)) > 1:
                    found.setdefault(form, set()).add(place)
        return {form: places.pop() for form, places in found.items() if len(places) == 1}

    @cached_property
    def _outside(self) -> str:
        """What is stored for a cell that is not understood (rule 2)."""
        if self.attribute.role == "consent":
            no = next((value.code for value in self.attribute.values if value.missing == "no"), None)
            return "?" if no is None else no  # a word that no list has is a refusal
        return self.attribute.outside or ""

    @cached_property
    def _blank(self) -> str:
        return self.attribute.values[self.attribute.blank].code

    def _one(self, cells: tuple[str, ...]) -> Read:
        """The first answer of the cells; else what is not understood; else what is missing."""
        attribute, best = self.attribute, self.attribute.blank
        if attribute.role == "consent":
            return self._consent(cells)
        unknown: list[str] = []
        for cell in cells:
            found = self.position(cell)
            if found is None:
                unknown.append(cell)
            elif found >= attribute.first_known:
                return attribute.values[found].code, UNDERSTOOD, ()
            else:
                best = found or best
        if unknown:
            return self._outside, NOT_UNDERSTOOD, tuple(unknown)
        return attribute.values[best].code, UNDERSTOOD if any(cell.strip() for cell in cells) else BLANK, ()

    def _consent(self, cells: tuple[str, ...]) -> Read:
        """One refusal wins over every yes, and what is not understood is a refusal."""
        found = [(cell, self.position(cell)) for cell in cells if cell.strip()]
        unknown = tuple(cell for cell, place in found if place is None)
        if unknown:
            return self._outside, NOT_UNDERSTOOD, unknown
        values = [self.attribute.values[place] for _, place in found if place is not None]
        refused = next((value.code for value in values if value.missing == "no"), None)
        given = next((value.code for value in values if value.missing is None), None)
        said = refused if refused is not None else given
        return self._blank if said is None else said, UNDERSTOOD if found else BLANK, ()

    def _several(self, cells: tuple[str, ...]) -> Read:
        attribute = self.attribute
        read = [part for cell in cells for part in self._parts(cell)]
        unknown = tuple(part for part, place in read if place is None)
        places = {attribute.outside_position if place is None else place for _, place in read}
        known = sorted(place for place in places if place >= attribute.first_known)
        kept = known or sorted(places)[-1:] or [attribute.blank]
        text = attribute.separators[0].join(attribute.values[place].code for place in kept)
        if unknown:
            return text, NOT_UNDERSTOOD, unknown
        return text, UNDERSTOOD if any(cell.strip() for cell in cells) else BLANK, ()

    def _parts(self, cell: str) -> list[tuple[str, int | None]]:
        """Return the values of one cell and what each means (rule 3)."""
        whole = self.position(cell)
        if whole is not None:
            return [(cell, whole)] if cell.strip() else []
        read: list[tuple[str, int | None]] = []
        for part in (piece.strip() for chunk in _JOINS.split(cell) for piece in self.attribute.parts(chunk)):
            place = self.position(part)
            for splitter in ((",", None) if self.spaced else (",",)) if place is None else ():
                pieces = [piece.strip() for piece in part.split(splitter) if piece.strip()]
                places = [self.position(piece) for piece in pieces]
                if len(pieces) > 1 and None not in places:
                    read += zip(pieces, places, strict=True)
                    break
            else:
                if part:
                    read.append((part, place))
        return read

    def _any(self, cells: tuple[str, ...]) -> Read:
        """Yes where one of the codes is among the values; where none is, no, if the schema tells no apart."""
        parts = [normal(part) for cell in cells for part in _JOINS.split(cell) if part.strip()]
        if not parts:
            return self._blank, BLANK, ()
        for part in (*parts, *(piece for several in parts for piece in several.split())):
            if part in self.entry.codes:
                return self.entry.codes[part], UNDERSTOOD, ()
        no = next((value.code for value in self.attribute.values if value.missing == "no"), self._blank)
        return no, UNDERSTOOD, ()

    # --- ages ---

    def _age(self, cells: tuple[str, ...]) -> Read:
        """The band of the age at a date (rule 4)."""
        *births, at = cells
        born = next((cell for cell in births if cell.strip()), "")
        if not born or not at.strip():
            return self._blank, BLANK, ()
        birth, day = self.entry.dates.span(born), self.entry.at_dates.span(at)
        if birth is not None and day is not None and birth[0] <= day[1]:
            ages = (max(completed_years(birth[1], day[0]), 0), completed_years(birth[0], day[1]))
            first, last = (_band(self.attribute, age) for age in ages)
            if first is not None and first == last:
                return self.attribute.values[self.attribute.first_known + first].code, UNDERSTOOD, ()
        return self._outside, NOT_UNDERSTOOD, ()

    def _birth(self, cells: tuple[str, ...]) -> Read:
        """The period of birth of somebody who had an age at a date."""
        *ages, at = cells
        age = next((cell for cell in ages if cell.strip()), "")
        if not age or not at.strip():
            return self._blank, BLANK, ()
        day, years = self.entry.at_dates.span(at), ascii_digits(normal(age)).partition(".")[0]
        if day is not None and years.isdigit() and int(years) <= OLDEST:
            days = (_years_before(day[0], int(years) + 1, after=True), _years_before(day[1], int(years)))
            place = self._period(days)
            if place is not None:
                return self.attribute.values[place].code, UNDERSTOOD, ()
        return self._outside, NOT_UNDERSTOOD, ()


def _band(attribute: SchemaAttribute, age: int) -> int | None:
    return (
        next((place for place, band in enumerate(attribute.bands) if band.holds(age)), None) if age <= OLDEST else None
    )


def completed_years(born: date, day: date) -> int:
    """Return the age on a day; negative before birth.

    >>> completed_years(date(2000, 2, 29), date(2018, 2, 28)), completed_years(date(2000, 2, 29), date(2018, 3, 1))
    (17, 18)
    """
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _years_before(day: date, years: int, *, after: bool = False) -> date:
    """Return the same day some years before, or the day after it."""
    same = date(day.year - years, day.month, 28 if (day.month, day.day) == (2, 29) else day.day)
    return date.fromordinal(same.toordinal() + 1) if after else same
