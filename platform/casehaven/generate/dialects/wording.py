"""How a tool writes one answer down: codes or labels, its way with dates, several values in a cell, yes and no.

1. Work is done on each distinct answer once; only numbers in bands, dates and defects are drawn per row.
2. A number in a band is drawn evenly from the band, a date from the year that the record holds: a reader that understands the cell gives back
   band and year.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casehaven.generate.dialects.columns import Column
from casehaven.generate.dialects.defects import Defect
from caseschemas import SchemaAttribute, Value

__all__ = ["Wording", "birth_days", "days_in", "drawn_numbers"]

Random = np.random.Generator
_OPEN_BAND = 27
"""How far a band without an upper end is drawn."""
_LOCAL = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_YEAR_DAYS = 365


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How a tool writes answers down."""

    language: str | None = None
    """Labels of this language; None for codes."""
    separator: str = ";"
    """What stands between several values in a cell."""
    dates: str = "%Y-%m-%d"
    """How a date is written, as for `strftime`."""
    whole_dates: bool = True
    """Whether a whole date is written where the record holds a year."""
    yes: str = "yes"
    """How a flag says yes."""
    no: str = "no"
    """How a flag says no."""
    plain: bool = False
    """Whether codes may hold letters, digits, `-`, `+`, `.` and `_` only, as in XLSForm."""
    defects: frozenset[Defect] = field(default_factory=frozenset)
    """How files go wrong."""

    def value(self, attribute: SchemaAttribute, value: Value) -> str:
        """Return one value as this tool writes it; nothing for the blank value."""
        if value.code == "":
            return ""
        if attribute.kind == "flag":
            return self.no if value.missing == "no" else self.yes
        if self.language is not None:
            return value.labels.get(self.language, value.code)
        return re.sub(r"[^\w.+-]", "_", value.code) if self.plain else value.code

    def column(self, attribute: SchemaAttribute, cells: pa.Array, random: Random) -> Column:
        """Return the cells of an attribute as this tool writes them, below the attribute's name.

        Args:
            attribute: which.
            cells: a dictionary of the schema's own cells, or plain text for identifiers and free text.
            random: draws what the record does not say.
        """
        if not attribute.values:
            return Column(name=attribute.name, cells=cells)
        if attribute.kind == "number":
            return self.number_column(attribute.name, drawn_numbers(attribute, cells, random))
        if attribute.kind == "date" and self.whole_dates and attribute.periods is not None:
            return self.date_column(attribute.name, days_in(cells, random), random)
        written = _each(cells, lambda text: self._cell(attribute, text))
        if Defect.NBSP in self.defects and attribute.kind != "flag":
            spaced = _joined(written, "\u00a0")
            chosen = (random.random(len(written)) < 0.2) & np.asarray(pa.compute.not_equal(written, ""))
            written = pa.compute.if_else(pa.array(chosen), spaced, written)
        return Column(name=attribute.name, cells=written)

    def number_column(self, name: str, numbers: NDArray[np.int64]) -> Column:
        """Return whole numbers as cells; -1 is no answer."""
        shown, places = np.unique(numbers, return_inverse=True)
        texts = ["" if number < 0 else self._digits(str(number)) for number in shown.tolist()]
        return Column(name=name, cells=pa.array(texts, pa.string()).take(pa.array(places)), kind="number")

    def date_column(self, name: str, days: NDArray[Any], random: Random) -> Column:
        """Return dates as cells; NaT is no answer."""
        shown, places = np.unique(days, return_inverse=True)
        dates = [None if np.isnat(day) else day.item() for day in shown]
        places = pa.array(places)

        def taken(form: str) -> pa.Array:
            return pa.array([self._digits(_date_text(day, form)) for day in dates], pa.string()).take(places)

        form = "%d/%m/%y" if Defect.TWO_DIGIT_YEARS in self.defects else self.dates
        written = taken(form)
        if Defect.PARTIAL_DATES in self.defects:
            share = random.random(len(written))
            written = pa.compute.if_else(pa.array(share < 0.2), taken("%Y"), written)
            written = pa.compute.if_else(pa.array(share > 0.8), taken("%m/%Y"), written)
        return Column(name=name, cells=written, kind="date" if form == "%Y-%m-%d" else "text")

    def _cell(self, attribute: SchemaAttribute, text: str) -> str:
        values = (attribute.values[position] for position in attribute.codes_of(text) or ())
        return self.separator.join(written for value in values if (written := self.value(attribute, value)))

    def _digits(self, text: str) -> str:
        return text.translate(_LOCAL) if Defect.LOCAL_DIGITS in self.defects else text


def drawn_numbers(attribute: SchemaAttribute, cells: pa.Array, random: Random) -> NDArray[np.int64]:
    """Return a whole number in the band of each cell, -1 where there is no answer."""
    texts = cells.dictionary.to_pylist()
    lows, widths = np.full(len(texts), -1), np.ones(len(texts), np.int64)
    for place, text in enumerate(texts):
        position = attribute.code_of(text)
        if position is not None and position >= attribute.first_known:
            band = attribute.bands[position - attribute.first_known]
            lows[place] = band.low or 0
            widths[place] = _OPEN_BAND if band.high is None else band.high - lows[place] + 1
    codes = np.asarray(cells.indices)
    return np.asarray(lows[codes] + (random.random(len(codes)) * widths[codes]).astype(np.int64))


def days_in(cells: pa.Array, random: Random) -> NDArray[Any]:
    """Return a day in the year of each cell, NaT where there is no answer."""
    years = np.array(
        [f"{text}-01-01" if text.isdecimal() else "NaT" for text in cells.dictionary.to_pylist()], "datetime64[D]"
    )
    codes = np.asarray(cells.indices)
    return np.asarray(years[codes] + (random.random(len(codes)) * _YEAR_DAYS).astype("timedelta64[D]"))


def birth_days(registered: NDArray[Any], ages: NDArray[np.int64], random: Random) -> NDArray[Any]:
    """Return a birth date that gives each age on the day of registration, NaT where either is not known."""
    months = registered.astype("datetime64[M]") - (12 * np.maximum(ages, 0)).astype("timedelta64[M]")
    birthday = months.astype("datetime64[D]") + (
        registered - registered.astype("datetime64[M]").astype("datetime64[D]")
    )
    born = birthday - (1 + random.random(len(ages)) * 360).astype("timedelta64[D]")
    return np.where(ages < 0, np.datetime64("NaT", "D"), born)


def _date_text(day: date | None, form: str) -> str:
    return "" if day is None else day.strftime(form)


def _each(cells: pa.Array, change: Callable[[str], str]) -> pa.Array:
    """Return the cells of a dictionary with every distinct one changed; a dictionary may hold thousands that no cell has."""
    places = np.asarray(cells.indices)
    held = np.flatnonzero(np.bincount(places, minlength=len(cells.dictionary)))
    changed = pa.array([change(text) for text in cells.dictionary.take(pa.array(held)).to_pylist()], pa.string())
    return changed.take(pa.array(np.searchsorted(held, places)))


def _joined(cells: pa.Array, after: str) -> pa.Array:
    return pa.compute.binary_join_element_wise(cells, pa.scalar(after), "")
