"""One file at the terminal, from its bytes to a mapping that somebody decided: the same for `casehaven intake` and `casehaven prepare`.

1. Every file goes this way, also one with the schema's own columns: read, shown, confirmed, tried. Nothing is sealed before the dry run was on the screen.
2. Nothing guessed is used without a yes: of a person at the terminal, or `--yes` with a mapping file that somebody looked at. `--yes` alone takes what is
   certain and refuses guesses.
3. What is shown of the file goes to the terminal of the organisation and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import click

from casehaven.cli import _intake_screen as screen
from casehaven.cli._mapping_options import MappingWishes
from casehaven.cli._progress import PhaseLine
from casehaven.intake.check import CheckReport, check_file
from casehaven.intake.errors import (
    ExistingMappedFileError,
    PersonUndecidedError,
    UnconfirmedMappingError,
)
from casehaven.intake.headers import schema_names
from casehaven.intake.held import HeldSource, hold
from casehaven.intake.intake_mapping import IntakeMapping
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.mapping_document import load_intake_mapping
from casehaven.intake.proposal import propose
from casehaven.intake.readers import open_form, open_source
from casehaven.intake.value_proposal import date_questions
from caseschemas import CaseSchema
from casesynth._files import write_whole

__all__ = ["MappingSession", "phase"]


class Tick(Protocol):
    """What a step of a phase calls."""

    def __call__(self, share: float | None = None, /) -> None:
        """Show how far it is; `share` is the part that is done, where it is known."""
        ...


class Memory(Protocol):
    """What knows the mapping of the last file with the same columns."""

    def __call__(self, held: HeldSource, /) -> IntakeMapping | None:
        """Return it; None where there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class MappingSession:
    """One run of a command that maps files."""

    schema: CaseSchema
    wishes: MappingWishes
    memory: Memory = lambda held: None
    keep: tuple[str, ...] = ()
    """Identifiers and columns of free text whose cells are kept."""
    nothing_done: str = "nothing was taken in"
    """What is said of a run that stops."""
    before_person: str = ""
    """What is said before somebody is asked what tells people apart."""

    def read(self, path: Path) -> HeldSource:
        """Read a file, and say what it is.

        Raises:
            CaseFileError: it cannot be read; says where.
        """
        wishes = self.wishes
        with phase("read") as tick:
            source = open_source(
                path,
                password=wishes.password,
                encoding=wishes.encoding,
                separator="\t" if wishes.separator == "tab" else wishes.separator,
                sheet=wishes.sheet,
                form=None if wishes.form is None else open_form(wishes.form),
                apart=schema_names(self.schema),
            )
            held = hold(source, check=tick)
        rows = f"{len(held.rows):,} row" + ("" if len(held.rows) == 1 else "s")
        click.echo(f"file       {path.name}: {held.source.tool.value}, {len(held.columns)} columns, {rows}")
        return held

    def decide(self, held: HeldSource) -> IntakeMapping:
        """Show a mapping for a file, and return what was decided; in a dry run guesses may be left in it.

        Raises:
            UnconfirmedMappingError: nobody said yes to its guesses.
            PersonUndecidedError: nobody said what tells people apart.
        """
        wishes = self.wishes
        if wishes.mapping is not None:
            mapping, where = load_intake_mapping(wishes.mapping, self.schema), f"from {wishes.mapping.name}"
        else:
            before = self.memory(held)
            with phase("understand"):
                mapping = propose(held, self.schema) if before is None else before
            where = "proposed" if before is None else "as for the last file with these columns"
        mapping = wishes.applied(mapping, held, self.schema)
        screen.show_mapping(mapping, where=where)
        return self._decided(held, mapping)

    def tried(self, held: HeldSource, decided: IntakeMapping, *, again: bool = False) -> tuple[MappedFile, CheckReport]:
        """Try a mapping on every row, show what became of them, and save the mapping where that was asked for."""
        used = decided.accepted()
        if not screen.person_known(used, self.schema):  # a dry run
            click.echo("person     no column is known to tell people apart; say --person-key COLUMN or --row-is-person")
            used = replace(used, row_is_person=True)
        file = MappedFile(held=held, mapping=used, schema=self.schema, again=again)
        with phase("understand"):
            report = check_file(file, keep=self.keep)
        screen.show_report(file.mapping, report)
        self.save(decided)
        return file, report

    def save(self, mapping: IntakeMapping) -> None:
        """Save a mapping where `--save-mapping` says so.

        Raises:
            ExistingMappedFileError: there is a file of that name.
        """
        place = self.wishes.save_mapping
        if place is None:
            return
        try:
            write_whole(place, mapping.text().encode(), mode=0o600, replace=False)
        except FileExistsError:
            raise ExistingMappedFileError(f"{place}: exists already; {self.nothing_done}") from None
        click.echo(f"saved      {place.name}: look at it, correct it, and use it with --mapping")

    def _decided(self, held: HeldSource, mapping: IntakeMapping) -> IntakeMapping:
        wishes, name = self.wishes, held.source.path.name
        asking = screen.is_terminal() and not wishes.yes
        if wishes.dry_run and not asking:
            return mapping
        if asking:
            return self._asked(held, mapping)
        if mapping.guesses and not (wishes.yes and wishes.mapping is not None):
            self.save(mapping)
            raise UnconfirmedMappingError(
                f"{name}: {len(mapping.guesses)} attributes rest on guesses, and nobody said yes to them"
            )
        screen.refuse_open_years(held, mapping, self.schema)
        if not screen.person_known(mapping, self.schema):
            self.save(mapping)
            raise PersonUndecidedError(f"{name}: no column is known to tell people apart")
        return mapping

    def _asked(self, held: HeldSource, mapping: IntakeMapping) -> IntakeMapping:
        answered = screen.ask_guesses(mapping, self.schema)
        if answered is None:
            raise UnconfirmedMappingError(
                f"{held.source.path.name}: stopped before anything was used; {self.nothing_done}"
            )
        questions = [q for entry in answered.attributes for q in date_questions(held, self.schema, entry)]
        if self.before_person:
            click.echo(self.before_person)
        return screen.ask_person(screen.ask_dates(answered, questions), self.schema)


@contextmanager
def phase(name: str, steps: int | None = None) -> Iterator[Tick]:
    """Show a phase while it lasts; what is yielded is called before each of its steps, with the share that is done where it is known."""
    line, done = PhaseLine(), 0

    def tick(share: float | None = None, /) -> None:
        nonlocal done
        line(name, share if steps is None else min(done / steps, 1.0))
        done += 1

    try:
        if steps is None:
            tick()
        yield tick
    finally:
        line.close()
