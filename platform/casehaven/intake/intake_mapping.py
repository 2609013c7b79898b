"""An intake mapping: which column of an organisation's file fills which attribute of the schema, and how.

1. Every column of the file is accounted for: it fills an attribute, identifies the record, or is dropped with a reason.
2. A *guess* is a proposal that nobody has confirmed. A mapping with guesses is used only after somebody said yes.
3. Words of cells stand here only for attributes with a public list of values, and only as words that are short, few, and in several rows: `codes` says what each means. No cell of an
   identifier and no free text is ever written into a mapping.
4. One source column may fill several attributes, and several source columns one: of a multi attribute their values come together, of others the first answer counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from casehaven.intake.dates import DateReading

FORMAT: Final = "casehaven-intake-mapping/1"

How = Literal["copy", "read", "age", "birth", "any"]
"""`copy`: the cell as it is (identifiers, free text, the person token). `read`: by the schema's list and `codes`. `age`: from a date of birth at another date.
`birth`: a date of birth from an age at another date. `any`: yes where the cell holds one of `codes`."""

Status = Literal["exact", "guess", "decided"]
Minors = Literal["keep", "not-shared", "leave-out"]
"""What becomes of records of minors: kept as they are; kept, but refused for pooled statistics and synthetic release; not taken in."""


@dataclass(frozen=True, kw_only=True)
class AttributeMapping:
    """How one attribute of the schema is filled."""

    to: str
    """Name of the attribute."""
    source: tuple[str, ...]
    """Names of the columns that are read."""
    how: How = "read"
    status: Status = "decided"
    why: str = ""
    """Of a guess: what it rests on."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Word of a cell, in normal form, to the code that it means; beside the words of the schema."""
    guesses: Mapping[str, str] = field(default_factory=dict)
    """The same, but nobody has said yes to these."""
    not_understood: tuple[str, ...] = ()
    """Words that mean nothing yet; to be moved into `codes` by hand."""
    dates: DateReading = field(default_factory=DateReading)
    """How its dates are read."""
    at: str | None = None
    """For age and birth: name of the column with the date at which the age is counted."""
    at_dates: DateReading = field(default_factory=DateReading)
    """How that column is read."""

    @property
    def guessed(self) -> bool:
        """Whether somebody has to say yes before it is used."""
        return self.status == "guess" or bool(self.guesses)

    def accepted(self) -> AttributeMapping:
        """Return it with every guess taken."""
        status: Status = "decided" if self.guessed else self.status
        return replace(self, status=status, codes={**self.guesses, **self.codes}, guesses={})


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A column that fills nothing."""

    column: str
    why: str


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Records that are not taken in: those that hold one of some codes."""

    attribute: str
    codes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MinorsRule:
    """The public rule for records of minors."""

    rule: Minors
    attribute: str
    """Number attribute that holds the age."""
    below: int = 18
    """Years. A band that begins below is one of minors: where it cannot be told, the person is protected."""


@dataclass(frozen=True, kw_only=True)
class IntakeMapping:
    """A whole mapping."""

    schema_id: str
    schema_version: str
    tool: str
    columns: tuple[str, ...]
    """Names of the columns of the file that it was made for."""
    attributes: tuple[AttributeMapping, ...]
    """In the order of the schema."""
    dropped: tuple[Dropped, ...] = ()
    row_is_person: bool = False
    """Nobody is in the file twice, and no column tells people apart."""
    record_key: str | None = None
    """Name of the column that identifies a record; None: a record is its content."""
    left_out: tuple[LeftOut, ...] = ()
    minors: MinorsRule | None = None

    def attribute(self, name: str) -> AttributeMapping | None:
        """Return how an attribute is filled; None where it is not."""
        return next((entry for entry in self.attributes if entry.to == name), None)

    @property
    def guesses(self) -> tuple[AttributeMapping, ...]:
        """What somebody has to say yes to."""
        return tuple(entry for entry in self.attributes if entry.guessed)

    @property
    def read(self) -> tuple[str, ...]:
        """Names of the columns that are read, each once."""
        names = [name for entry in self.attributes for name in (*entry.source, *([entry.at] if entry.at else []))]
        return tuple(dict.fromkeys([*names, *([self.record_key] if self.record_key else [])]))

    def accepted(self) -> IntakeMapping:
        """Return it with every guess taken."""
        return replace(self, attributes=tuple(entry.accepted() for entry in self.attributes))

    def document(self) -> dict[str, Any]:
        """Return it as a document of the format."""
        made: dict[str, Any] = {
            "format": FORMAT,
            "schema": {"id": self.schema_id, "version": self.schema_version},
            "tool": self.tool,
            "columns": list(self.columns),
            "person": "row" if self.row_is_person else "column",
        }
        if self.record_key is not None:
            made["recordKey"] = self.record_key
        made["attributes"] = [_entry(entry) for entry in self.attributes]
        made["dropped"] = [{"column": entry.column, "why": entry.why} for entry in self.dropped]
        if self.left_out:
            made["leaveOut"] = [{"attribute": entry.attribute, "codes": list(entry.codes)} for entry in self.left_out]
        if self.minors is not None:
            rule = self.minors
            made["minors"] = {"rule": rule.rule, "attribute": rule.attribute, "below": rule.below}
        return made

    def text(self) -> str:
        """Return it as a file for people to read and edit: JSON with a line for each part."""
        return json.dumps(self.document(), ensure_ascii=False, indent=2) + "\n"

    def digest(self) -> bytes:
        """SHA-256 of what it does; guesses and reasons are no part of it."""
        plain = [
            replace(
                entry, why="", guesses={}, not_understood=(), status="decided", codes=dict(sorted(entry.codes.items()))
            )
            for entry in self.attributes
        ]
        document = replace(self, columns=(), dropped=(), attributes=tuple(plain)).document()
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).digest()


def _entry(entry: AttributeMapping) -> dict[str, Any]:
    made: dict[str, Any] = {"to": entry.to, "from": list(entry.source), "how": entry.how, "status": entry.status}
    if entry.why:
        made["why"] = entry.why
    if entry.at is not None:
        made["at"] = entry.at
    for name, reading in (("dates", entry.dates), ("atDates", entry.at_dates)):
        if reading != DateReading():
            made[name] = {"calendar": reading.calendar, "pivot": reading.pivot}
            if reading.order is not None:
                made[name]["order"] = reading.order
    if entry.codes:
        made["codes"] = dict(entry.codes)
    if entry.guesses:
        made["guesses"] = dict(entry.guesses)
    if entry.not_understood:
        made["notUnderstood"] = list(entry.not_understood)
    return made
