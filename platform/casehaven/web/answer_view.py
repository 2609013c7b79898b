"""An answer as people read it: labels in their language, numbers with their intervals, and a file for a spreadsheet.

1. A number never stands without its interval. What is hidden has no number, and says so.
2. A part is shown by its label where it is exactly one value or one group of the schema; otherwise by the words that the question gave it.
3. In the file, what a spreadsheet would take for a formula is text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from casehaven.web.charts import Bar
from casehaven.web.words import Words
from caseschemas import CaseSchema
from casesynth.answers.question import ALL, REST
from casesynth.tables import safe_cell

BARS_MOST: Final = 60
"""Longer answers have a table alone."""
NANO: Final = 10**9
_SHOWS: Final = {
    "counts": "answers.shows_counts_people",
    "records": "answers.shows_counts_records",
    "percentages": "answers.shows_percentages",
    "mean": "answers.shows_mean",
    "quantiles": "answers.shows_quantiles",
    "changes": "answers.shows_changes",
}
"""What an answer shows, and the words that say it."""


@dataclass(frozen=True, kw_only=True)
class ReadRow:
    """One number, as it is read."""

    parts: tuple[str, ...]
    kind: str
    said: str
    """The number as it is written; empty where it is hidden."""
    interval: str
    hidden: bool
    answered: bool
    level: str
    """Of a quantile."""
    bar: Bar | None


@dataclass(frozen=True, kw_only=True)
class ReadAnswer:
    """An answer, as it is read."""

    document: Mapping[str, Any]
    axes: tuple[str, ...]
    rows: tuple[ReadRow, ...]
    about: str
    """What was counted by what, in one line."""
    only: tuple[str, ...]
    """The conditions, each in one line."""

    @property
    def hidden(self) -> int:
        """How many numbers are hidden."""
        return sum(row.hidden for row in self.rows)

    @property
    def bars(self) -> tuple[Bar, ...]:
        """What a picture shows; nothing where there is too much or too little to see."""
        found = tuple(row.bar for row in self.rows if row.bar is not None)
        kinds = {row.kind for row in self.rows}
        return found if len(kinds) == 1 and 0 < len(found) <= BARS_MOST else ()

    @property
    def levels(self) -> bool:
        """Whether rows are of several quantiles."""
        return any(row.level for row in self.rows)

    @property
    def rho(self) -> float:
        """The loss of one person token by this answer; a question to a published release adds none."""
        return 0.0 if "release" in self.document else float(self.document["guarantee"]["nano_rho"]) / NANO


def read(document: Mapping[str, Any], schema: CaseSchema | None, words: Words) -> ReadAnswer:
    """Return an answer as it is read.

    Args:
        document: `casehaven-answer/1`.
        schema: of what was asked about; None where it is not known, and everything stands as the answer writes it.
        words: of the reader.
    """
    question = document["question"]
    labels = _Labels(question, schema, words)
    rows = tuple(_row(row, labels, words) for row in document["rows"])
    axes = tuple(dict.fromkeys(name for row in document["rows"] for name, _ in row["cell"]))
    return ReadAnswer(
        document=document,
        axes=tuple(labels.axis(name) for name in axes),
        rows=rows,
        about=_about(question, labels, words),
        only=tuple(_only(question, labels, words)),
    )


def csv_bytes(document: Mapping[str, Any], found: ReadAnswer) -> bytes:
    """Return an answer as CSV: a row for each number, with codes and labels of every axis; a hidden number is left empty."""
    names = list(dict.fromkeys(name for row in document["rows"] for name, _ in row["cell"]))
    heads = [text for name in names for text in (name, f"{name} (label)")]
    out = io.StringIO(newline="")
    write = csv.writer(out, lineterminator="\r\n")
    own = ["kind", "level", "estimate", "low", "high", "hidden", "answered", "day", "rho of the whole answer"]
    day = document["release"]["published"][:10] if "release" in document else document["snapshot"]["day"]
    write.writerow([safe_cell(head) for head in [*heads, *own]])
    for row, shown in zip(document["rows"], found.rows, strict=True):
        parts = [
            safe_cell(text) for (_, code), label in zip(row["cell"], shown.parts, strict=True) for text in (code, label)
        ]
        numbers = ["" if shown.hidden else _cell(row[name]) for name in ("estimate", "low", "high")]
        flags = ["yes" if flag else "no" for flag in (shown.hidden, shown.answered)]
        write.writerow(
            [
                *parts,
                row["kind"],
                row.get("level", ""),
                *numbers,
                *flags,
                day,
                f"{found.rho:.9f}",
            ]
        )
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def _cell(value: Any) -> Any:
    return safe_cell(value) if isinstance(value, str) else value


class _Labels:
    """What axes and parts are called."""

    def __init__(self, question: Mapping[str, Any], schema: CaseSchema | None, words: Words) -> None:
        self.schema, self.words, self.language = schema, words, words.language.code
        self.axes: dict[str, str] = {}
        self.parts: dict[tuple[str, str], str] = {}
        for axis in question["by"]:
            if "facts" in axis:
                self._fact_axis(axis)
            else:
                self._split(axis)

    def axis(self, name: str) -> str:
        """Return what an axis is called."""
        return self.axes.get(name, name)

    def part(self, axis: str, label: str) -> str:
        """Return what a part of an axis is called."""
        if label == ALL:
            return self.words.text("answers.all")
        if label == REST:
            return self.words.text("answers.rest")
        return self.parts.get((axis, label), label or self.words.text("answers.not_known"))

    def attribute(self, name: str) -> str:
        """Return what an attribute is called."""
        known = None if self.schema is None else {one.name: one for one in self.schema.attributes}.get(name)
        return name if known is None else known.labels.text(self.language) or name

    def values(self, name: str, codes: Sequence[str]) -> list[str]:
        """Return what values are called; groups of the schema by their own name."""
        if self.schema is None:
            return [code or self.words.text("answers.not_known") for code in codes]
        for level in self.schema.hierarchies:
            if level.attribute == name:
                for parent in level.parents:
                    if len(codes) > 1 and set(parent.members) == set(codes):
                        return [parent.labels.text(self.language)]
        attribute = self.schema.attribute(name)
        return [attribute.values[attribute.position(code)].labels.text(self.language) or code for code in codes]

    def _split(self, axis: Mapping[str, Any]) -> None:
        name = axis["attribute"]
        self.axes[name] = self.attribute(name)
        if self.schema is None:
            return
        codes = [value.code for value in self.schema.attribute(name).values]
        levels = [level for level in self.schema.hierarchies if level.attribute == name]
        groups = {
            (parent.code, frozenset(parent.members)): (level, parent) for level in levels for parent in level.parents
        }
        for label, places in axis["parts"]:
            members = [codes[place] for place in places]
            found = groups.get((label, frozenset(members)))
            if found is not None:
                self.axes[name] = found[0].labels.text(self.language) or name
                self.parts[name, label] = found[1].labels.text(self.language)
            elif members == [label]:
                self.parts[name, label] = self.values(name, members)[0]

    def _fact_axis(self, axis: Mapping[str, Any]) -> None:
        name = axis["facts"]
        level = None if self.schema is None else {one.name: one for one in self.schema.hierarchies}.get(name)
        self.axes[name] = self.attribute(name) if level is None else level.labels.text(self.language) or name
        if self.schema is None:
            return
        for label, (attribute, places) in axis["parts"]:
            values = self.schema.attribute(attribute).values
            members = [values[place].code for place in places]
            parents = () if level is None else level.parents
            parent = next((one for one in parents if one.code == label and set(one.members) == set(members)), None)
            if parent is not None:
                self.parts[name, label] = parent.labels.text(self.language)
            elif members == [label]:
                self.parts[name, label] = self.values(attribute, members)[0]
            elif label == self.schema.attribute(attribute).labels.text("en"):
                self.parts[name, label] = self.attribute(attribute)


def _row(row: Mapping[str, Any], labels: _Labels, words: Words) -> ReadRow:
    hidden, kind = bool(row.get("hidden", False)), str(row["kind"])
    parts = tuple(labels.part(axis, part) for axis, part in row["cell"])
    name = " · ".join(parts) or words.text("answers.everybody")
    said = interval = ""
    bar = None
    if not hidden:
        said = _said(row["estimate"], kind)
        interval = words.text("answers.from_to", low=_said(row["low"], kind), high=_said(row["high"], kind))
        if not isinstance(row["estimate"], str):
            low, high = float(row["low"]), float(row["high"])
            bar = Bar(label=name, value=float(row["estimate"]), low=low, high=high, shown=said)
    level = f"{100 * row['level']:g} %" if "level" in row else ""
    return ReadRow(
        parts=parts,
        kind=kind,
        said=said,
        interval=interval,
        hidden=hidden,
        answered=bool(row.get("answered", True)),
        level=level,
        bar=bar,
    )


def _said(value: float | str, kind: str) -> str:
    if isinstance(value, str):
        return value
    places = 0 if kind in ("count", "change") else 1
    written = f"{value:,.{places}f}".replace("-", "−")
    return f"{written} %" if kind == "percentage" else written


def _about(question: Mapping[str, Any], labels: _Labels, words: Words) -> str:
    show, by = question["show"], question["by"]
    of = ""
    if isinstance(show, Mapping) and "changes" not in show:
        by = by[:-1]
        of = labels.attribute(str(show.get("mean") or show.get("of")))
    kind = show if isinstance(show, str) else next(kind for kind in _SHOWS if kind in show)
    if kind == "counts" and question["count"] != "people":
        kind = "records"
    shown = words.text(_SHOWS[kind], of=of)
    names = [labels.axis(axis.get("attribute") or axis["facts"]) for axis in by]
    return words.text("answers.about_by", shown=shown, by=words.text("home.comma").join(names)) if names else shown


def _only(question: Mapping[str, Any], labels: _Labels, words: Words) -> list[str]:
    found = []
    if question["where"] != {"all": []}:
        found += _conditions(question["where"], labels, words)
    if "registered" in question:
        years = [year or words.text("answers.not_known") for year in question["registered"]]
        found.append(words.text("answers.registered_in", years=", ".join(years)))
    return found


def _conditions(where: Mapping[str, Any], labels: _Labels, words: Words) -> list[str]:
    if "attribute" in where:
        values = labels.values(where["attribute"], where["in"])
        more = words.text("answers.and_more", count=len(values) - 8) if len(values) > 8 else ""
        return [f"{labels.attribute(where['attribute'])}: {', '.join(values[:8])}{more}"]
    if "all" in where:
        return [line for part in where["all"] for line in _conditions(part, labels, words)]
    return [words.text("answers.or").join(line for part in where["any"] for line in _conditions(part, labels, words))]
