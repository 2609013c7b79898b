"""The options of a command that maps files, and what they say about a mapping: the same for `casehaven intake` and `casehaven prepare`.

1. An option changes what it names and nothing else of a mapping.
2. Dates that a tool keeps about a record are Gregorian: `--calendar` and `--date-order` are about answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import click

from casehaven.cli import _intake_screen as screen
from casehaven.intake.calendars import CALENDARS, Calendar
from casehaven.intake.dates import ORDERS, DateReading, Order
from casehaven.intake.errors import CaseFileError
from casehaven.intake.headers import concept
from casehaven.intake.held import HeldSource
from casehaven.intake.intake_mapping import Dropped, IntakeMapping, LeftOut, Minors, MinorsRule
from caseschemas import CaseSchema

__all__ = ["MappingWishes", "mapping_options"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_IGNORED = "by --ignore-column"

_OPTIONS = (
    click.option("--ignore-column", "ignored", multiple=True, help="A column that is not read, whatever it is called."),
    click.option("--dry-run", is_flag=True, help="Show what would be taken in, and stop."),
    click.option("--yes", is_flag=True, help="Ask nothing; refuse what is guessed, unless --mapping names a mapping."),
    click.option("--mapping", type=_FILE, help="A saved mapping to use."),
    click.option("--save-mapping", type=_FILE, help="Save the mapping here."),
    click.option("--person-key", multiple=True, help="The column that tells people apart; several together may."),
    click.option(
        "--row-is-person", is_flag=True, help="Nobody is in the file twice, and no column tells people apart."
    ),
    click.option("--record-key", help="The column that identifies a record, or `none`.  [default: the tool's own]"),
    click.option("--leave-out", multiple=True, metavar="ATTRIBUTE=CODE", help="Records with this code stay behind."),
    click.option("--leave-out-nothing", "keep_all", is_flag=True, help="Take in also who is not a victim."),
    click.option(
        "--minors",
        type=click.Choice(["keep", "not-shared", "leave-out"]),
        help="The rule for records of people under 18.  [default: keep]",
    ),
    click.option(
        "--date-order", type=click.Choice(ORDERS), help="How dates are written where the file does not show it."
    ),
    click.option("--calendar", type=click.Choice(CALENDARS), help="The calendar of the file's dates."),
    click.option("--password-file", type=_FILE, help="Holds the password of a ZIP in its first line."),
    click.option("--encoding", help="Of a text file, such as cp1252.  [default: told by rule]"),
    click.option("--separator", help="Of a text file: one character, or `tab`.  [default: told by rule]"),
    click.option("--sheet", help="Of a workbook.  [default: the first with a table]"),
    click.option("--form", type=_FILE, help="The XLSForm behind an export."),
)


def mapping_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options; `MappingWishes.take` takes what they said out of its arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True)
class MappingWishes:
    """What the options say about a file and its mapping."""

    ignored: tuple[str, ...]
    dry_run: bool
    yes: bool
    mapping: Path | None
    save_mapping: Path | None
    person_key: tuple[str, ...]
    row_is_person: bool
    record_key: str | None
    leave_out: tuple[str, ...]
    keep_all: bool
    minors: Minors | None
    date_order: Order | None
    calendar: Calendar | None
    password_file: Path | None
    encoding: str | None
    separator: str | None
    sheet: str | None
    form: Path | None

    @classmethod
    def take(cls, options: dict[str, Any]) -> Self:
        """Return the wishes among some options, and take them out."""
        return cls(**{one.name: options.pop(one.name) for one in fields(cls)})

    @property
    def about_rows(self) -> bool:
        """Whether any of them says something about a mapping or about which rows are taken in."""
        others = ("dry_run", "yes", "password_file", "encoding", "separator", "sheet", "form")
        return any(value for name, value in vars(self).items() if name not in others)

    @property
    def password(self) -> str | None:
        """The password in the password file.

        Raises:
            CaseFileError: the file cannot be read.
        """
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
        except (OSError, UnicodeDecodeError):
            raise CaseFileError(f"{self.password_file}: the file with the password cannot be read") from None

    def applied(self, mapping: IntakeMapping, held: HeldSource, schema: CaseSchema) -> IntakeMapping:
        """Return a mapping with what the options say.

        Raises:
            CaseFileError: the file has no such column.
            click.UsageError: the schema has no such attribute, code or calendar.
        """
        mapping = self._without_ignored(mapping, held)
        if self.row_is_person:
            mapping = screen.without_person(mapping, schema)
        elif self.person_key:
            mapping = screen.with_person(mapping, schema, self.person_key)
        if self.record_key is not None:
            if self.record_key != "none" and self.record_key not in {column.name for column in held.columns}:
                raise CaseFileError(f"{held.source.path.name}: there is no column of the name given with --record-key")
            mapping = replace(mapping, record_key=None if self.record_key == "none" else self.record_key)
        if self.keep_all:
            mapping = replace(mapping, left_out=())
        for text in self.leave_out:
            mapping = replace(mapping, left_out=(*mapping.left_out, _left_out(text, schema)))
        if self.minors is not None:
            mapping = replace(mapping, minors=MinorsRule(rule=self.minors, attribute=_age(schema)))
        return self._with_dates(mapping, held, schema)

    def _with_dates(self, mapping: IntakeMapping, held: HeldSource, schema: CaseSchema) -> IntakeMapping:
        named = schema.calendars
        if named and self.calendar not in (None, "gregorian", *named):
            raise click.UsageError(f"--calendar {self.calendar}: {schema.id} names {', '.join(named)}")
        if self.date_order is None and self.calendar is None:
            return mapping
        reading = DateReading(order=self.date_order, calendar=self.calendar or "gregorian")
        answers = (column.name for column in held.columns if column.role == "answer")
        readings = dict.fromkeys(answers, reading)
        return screen.with_readings(mapping, readings, calendar=self.calendar is not None)

    def _without_ignored(self, mapping: IntakeMapping, held: HeldSource) -> IntakeMapping:
        """Return a mapping that reads none of the columns that are ignored."""
        there = [column.name for column in held.columns if column.name in self.ignored]
        if not there:
            return mapping
        kept = []
        for entry in mapping.attributes:
            source = tuple(name for name in entry.source if name not in there)
            if source and (entry.at is None or entry.at not in there):
                kept.append(replace(entry, source=source))
        filled = {entry.to for entry in kept}
        dropped = [one for one in mapping.dropped if one.column not in there]
        return replace(
            mapping,
            attributes=tuple(kept),
            dropped=(*dropped, *(Dropped(column=name, why=_IGNORED) for name in there)),
            record_key=None if mapping.record_key in there else mapping.record_key,
            left_out=tuple(entry for entry in mapping.left_out if entry.attribute in filled),
        )


def _left_out(text: str, schema: CaseSchema) -> LeftOut:
    name, _, code = text.partition("=")
    attribute = next((found for found in schema.attributes if found.name == name), None)
    place = None if attribute is None else attribute.code_of(code)
    if attribute is None or place is None:
        raise click.UsageError(f"--leave-out {name}: {schema.id} has no such attribute, or it has no such code")
    return LeftOut(attribute=name, codes=(attribute.values[place].code,))


def _age(schema: CaseSchema) -> str:
    for attribute in schema.attributes:
        if attribute.bands and concept((attribute.name, *attribute.labels.values())) == "age":
            return attribute.name
    raise click.UsageError(f"--minors: {schema.id} has no attribute with an age")
