"""What the words of a file mean in the words of the schema, and how its dates are written: proposed.

1. The file's own list of options says what its codes mean. A code whose label is a word of the schema is exact; a likeness is a guess.
2. Words that are not understood are listed for a person to place, but only of attributes with a public list, and only where they are short, few, and in several rows: a
   column of free text that was taken for something else lists nothing. The others are shown on the screen alone.
3. The order of day and month is taken from the whole column, where its cells allow one alone. The calendar is never taken from cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from casehaven.intake import bikram_sambat
from casehaven.intake.calendars import Calendar
from casehaven.intake.cell_reading import CellReader, map_column
from casehaven.intake.dates import DateReading, ascii_digits, order_of
from casehaven.intake.headers import compact, likeness, misspelt
from casehaven.intake.held import HeldSource
from casehaven.intake.intake_mapping import AttributeMapping
from casehaven.intake.source import JOINED_BY, SourceColumn
from caseschemas import CaseSchema, SchemaAttribute
from caseschemas.words import normal

WORDS_MOST: Final = 40
"""A column with more words that are not understood lists none of them."""

LETTERS_MOST: Final = 48
"""A longer word is not listed."""

PARTS_MOST: Final = 3
"""A phrase of more words is not listed: it may be a sentence about somebody."""

ROWS_LEAST: Final = 2
"""A word that stands in fewer rows is not listed: it may be about one person."""

_ALIKE: Final = 0.5
_LOOKED_AT: Final = 2_000
_PLACED: Final = frozenset({"category", "multi", "flag", "country"})


def with_values(held: HeldSource, attribute: SchemaAttribute, entry: AttributeMapping) -> AttributeMapping:
    """Return an entry with what its words mean: `codes` that are certain, `guesses`, and words that mean nothing yet."""
    if attribute.kind not in _PLACED or entry.how != "read":
        return entry
    options = {code: label for name in entry.source for code, label in held.source.column(name).options.items()}
    codes, guesses = _of_options(attribute, entry, options)
    entry = replace(entry, codes={**codes, **entry.codes}, guesses={**guesses, **entry.guesses})
    unknown = map_column(held, entry.accepted(), attribute).unknown
    if any(len(word) > LETTERS_MOST or "@" in word for word in unknown) or len(unknown) > WORDS_MOST:
        return entry
    words = [word for word, rows in unknown.items() if rows >= ROWS_LEAST and len(word.split()) <= PARTS_MOST]
    likely = [] if attribute.role == "consent" else words  # nobody consents by a likeness
    more = {normal(word): code for word in likely if (code := _alike(attribute, word)) is not None}
    left = tuple(sorted(normal(word) for word in words if normal(word) not in more))
    return replace(entry, guesses={**entry.guesses, **more}, not_understood=left)


def _of_options(
    attribute: SchemaAttribute, entry: AttributeMapping, options: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    reader = CellReader(attribute, entry)
    exact: dict[str, str] = {}
    guessed: dict[str, str] = {}
    for code, label in options.items():
        word = normal(code)
        if not word or reader.position(code) is not None:
            continue
        place = reader.position(label)
        if place is not None:
            exact[word] = attribute.values[place].code
        elif attribute.role != "consent" and (found := _alike(attribute, label) or _alike(attribute, code)) is not None:
            guessed[word] = found
    return exact, guessed


def _alike(attribute: SchemaAttribute, word: str) -> str | None:
    """Return the code of the one value that a word is most like."""
    scores: dict[str, float] = {}
    for value in attribute.values[attribute.first_known :]:
        best = max((2.0 if misspelt(word, other) else likeness(word, other) for other in value.words), default=0.0)
        if best >= _ALIKE:
            scores[value.code] = best
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def words_of(held: HeldSource, column: SourceColumn) -> dict[str, str]:
    """Return the words that a column's cells are made of, each with its label where the file says one; empty where they are too many."""
    if column.options:
        return dict(column.options)
    cells = held.column(column.name).first(_LOOKED_AT)
    words = {part.strip(): part.strip() for cell in cells for part in cell.split(JOINED_BY) if part.strip()}
    return words if len(words) <= WORDS_MOST else {}


def named_flags(attribute: SchemaAttribute, words: Mapping[str, str]) -> dict[str, str]:
    """Return the words that are the very name of a flag, each with the flag's code."""
    yes, form = attribute.values[attribute.first_known].code, compact(attribute.name)
    return {normal(word): yes for word, label in words.items() if form in (compact(word), compact(label))}


def proposed_flags(attribute: SchemaAttribute, column: SourceColumn, words: Mapping[str, str]) -> dict[str, str]:
    """Return the words that a flag may stand for, each with the flag's code."""
    yes = attribute.values[attribute.first_known].code
    alike = _ALIKE if column.multiple or column.options else 1.0
    ends = [label.rpartition(":")[2].strip() for label in attribute.labels.values()]
    return {
        normal(word): yes
        for word, label in words.items()
        if any(compact(text) == compact(end) or likeness(text, end) >= alike for text in (word, label) for end in ends)
    }


# --- dates -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DateQuestion:
    """Something about the dates of a column that only a person knows."""

    entry: AttributeMapping
    column: str
    order_open: bool
    """Day and month, or day and year, cannot be told apart in some cells, and it matters."""
    year_open: bool
    """The year may stand in front or behind."""
    calendars: tuple[Calendar, ...]
    """The years are not of our calendar; they would fit one of these."""


def _dated(schema: CaseSchema, entry: AttributeMapping) -> Iterator[tuple[str, str]]:
    """Yield the columns of an entry that hold dates, and which of its readings is theirs."""
    attribute = schema.attribute(entry.to)
    if entry.how == "age" or (entry.how == "read" and attribute.kind == "date"):
        for name in entry.source:
            yield name, "dates"
    if entry.at is not None:
        yield entry.at, "at_dates"


def proposed_dates(held: HeldSource, schema: CaseSchema, entry: AttributeMapping) -> AttributeMapping:
    """Return an entry with the order of day and month that its columns prove."""
    for name, member in _dated(schema, entry):
        evidence = order_of(cell for cell in held.column(name).cells)
        reading: DateReading = getattr(entry, member)
        if evidence.order is not None and reading.order is None:
            changed = replace(reading, order=evidence.order)
            entry = replace(entry, dates=changed) if member == "dates" else replace(entry, at_dates=changed)
    return entry


def date_questions(held: HeldSource, schema: CaseSchema, entry: AttributeMapping) -> Iterator[DateQuestion]:
    """Yield what has to be asked about the dates of an entry."""
    attribute = schema.attribute(entry.to)
    for name, member in _dated(schema, entry):
        reading: DateReading = getattr(entry, member)
        cells = held.column(name).cells
        matters = entry.how != "read" or (attribute.periods is not None and attribute.periods.granularity != "year")
        evidence = order_of(cells)
        order_open = reading.order is None and (evidence.open and matters or evidence.year_open)
        fitting = _calendars(cells) if reading.calendar == "gregorian" else ()
        calendars = tuple(one for one in fitting if not schema.calendars or one in schema.calendars)
        if order_open or calendars:
            year_open = order_open and evidence.year_open
            yield DateQuestion(
                entry=entry, column=name, order_open=order_open, year_open=year_open, calendars=calendars
            )


def _calendars(cells: tuple[str, ...]) -> tuple[Calendar, ...]:
    """Return the calendars that the years of most cells would fit, where they do not fit ours."""
    years = [int(digits) for cell in cells[:_LOOKED_AT] if (digits := _year_digits(ascii_digits(cell))) is not None]
    if not years:
        return ()
    hijri = sum(1250 <= year <= 1500 for year in years)
    nepali = sum(date.today().year < year <= bikram_sambat.LAST + 10 for year in years)
    thai = sum(2440 <= year <= 2640 for year in years)
    if 2 * hijri > len(years):
        return ("solar-hijri", "islamic")
    if 2 * nepali > len(years):  # years that have not come yet
        return ("bikram-sambat",)
    return ("buddhist",) if 2 * thai > len(years) else ()


def _year_digits(text: str) -> str | None:
    for start in (0, len(text) - 4):
        piece = text[max(start, 0) : max(start, 0) + 4]
        if len(piece) == 4 and piece.isdigit():
            return piece
    return None
