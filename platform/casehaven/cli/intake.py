"""`casehaven intake`: case files into the vault.

1. A file with the schema's own columns is taken in as it is. Any other file goes through a mapping: proposed, shown, confirmed, tried, and only then sealed.
2. Nothing guessed is used without a yes: of a person at the terminal, or `--yes` with a mapping file that somebody looked at. `--yes` alone takes what is
   certain and refuses guesses.
3. What is shown of the file goes to the terminal of the organisation and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from casehaven.cli import _intake_screen as screen
from casehaven.cli._progress import PhaseLine
from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.intake.calendars import CALENDARS, Calendar
from casehaven.intake.check import CheckReport, check_file
from casehaven.intake.dates import ORDERS, DateReading, Order
from casehaven.intake.errors import (
    CaseFileError,
    ExistingMappedFileError,
    PersonUndecidedError,
    RefusedRowsError,
    UnconfirmedMappingError,
)
from casehaven.intake.files import file_digest, open_case_file
from casehaven.intake.headers import schema_names
from casehaven.intake.held import HeldSource, hold
from casehaven.intake.intake_mapping import IntakeMapping, LeftOut, Minors, MinorsRule
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.mapping_document import load_intake_mapping
from casehaven.intake.proposal import propose
from casehaven.intake.readers import open_form, open_source
from casehaven.intake.record_keys import held_by_others
from casehaven.intake.refused_rows import write_refused_rows
from casehaven.intake.remembered import marks, remember, remembered
from casehaven.intake.sealed_upload import is_prepared, open_prepared
from casehaven.intake.upload import CaseRecords, Upload, known_upload
from casehaven.intake.uploads import take_in
from casehaven.intake.value_proposal import date_questions
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import DatasetMissingError, SchemaDiffersError
from casehaven.vault.store import Vault
from caseschemas import CaseSchema, load_schema
from casesynth._files import write_whole
from casesynth.persons import PeopleCapError

_ANOTHER_DATASET = "for more people than that make another dataset with --dataset, which has a budget of its own"
_PLAIN = (".csv", ".parquet")


@dataclass(frozen=True, kw_only=True)
class _Wishes:
    """What the options say about a mapping and what becomes of it."""

    mapping: Path | None
    save_mapping: Path | None
    dry_run: bool
    yes: bool
    refused: Path | None
    again: bool
    person_key: tuple[str, ...]
    row_is_person: bool
    record_key: str | None
    leave_out: tuple[str, ...]
    keep_all: bool
    minors: Minors | None
    date_order: Order | None
    calendar: Calendar | None
    keep: tuple[str, ...]
    password_file: Path | None
    encoding: str | None
    separator: str | None
    sheet: str | None
    form: Path | None

    @property
    def mapped(self) -> bool:
        """Whether any of them needs a mapping, whatever the columns of the file are."""
        plain = ("yes", "keep", "password_file", "encoding", "separator", "sheet", "form")
        return any(value for name, value in vars(self).items() if name not in plain)


@click.command("intake")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--organisation", required=True, help="Whose records they are.")
@click.option("--dataset", "name", help="Name of the dataset.  [default: the schema's id]")
@click.option("--schema", "schema_name", required=True, help="Id of a shipped schema, or a schema file.")
@click.option(
    "--people-cap",
    type=click.IntRange(min=1),
    help="The dataset is new: make it, with this public bound on its number of people.",
)
@click.option(
    "--keep",
    multiple=True,
    help="An identifier, or a column of free text, to keep, sealed; by default both are dropped.",
)
@click.option(
    "--ignore-column", "ignored", multiple=True, help="A column beside the schema's that may be there; it is not read."
)
@click.option("--dry-run", is_flag=True, help="Show what would be taken in, and stop.")
@click.option("--yes", is_flag=True, help="Ask nothing; refuse what is guessed, unless --mapping names a mapping.")
@click.option("--mapping", type=click.Path(path_type=Path, dir_okay=False), help="A saved mapping to use.")
@click.option("--save-mapping", type=click.Path(path_type=Path, dir_okay=False), help="Save the mapping here.")
@click.option("--person-key", multiple=True, help="The column that tells people apart; several together may.")
@click.option("--row-is-person", is_flag=True, help="Nobody is in the file twice, and no column tells people apart.")
@click.option("--record-key", help="The column that identifies a record, or `none`.  [default: the tool's own]")
@click.option("--leave-out", multiple=True, metavar="ATTRIBUTE=CODE", help="Records with this code are not taken in.")
@click.option("--leave-out-nothing", "keep_all", is_flag=True, help="Take in also who is not a victim.")
@click.option(
    "--minors",
    type=click.Choice(["keep", "not-shared", "leave-out"]),
    help="The rule for records of people under 18.  [default: keep]",
)
@click.option("--date-order", type=click.Choice(ORDERS), help="How dates are written where the file does not show it.")
@click.option("--calendar", type=click.Choice(CALENDARS), help="The calendar of the file's dates.")
@click.option("--refused", type=click.Path(path_type=Path, dir_okay=False), help="Seal refused rows into this file.")
@click.option("--again", is_flag=True, help="The mapping was corrected: take in a file that is there already.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Holds the password of a ZIP in its first line.",
)
@click.option("--encoding", help="Of a text file, such as cp1252.  [default: told by rule]")
@click.option("--separator", help="Of a text file: one character, or `tab`.  [default: told by rule]")
@click.option("--sheet", help="Of a workbook.  [default: the first with a table]")
@click.option("--form", type=click.Path(path_type=Path, dir_okay=False), help="The XLSForm behind an export.")
@vault_option
@root_key_option
def command(
    files: tuple[Path, ...],
    organisation: str,
    name: str | None,
    schema_name: str,
    people_cap: int | None,
    ignored: tuple[str, ...],
    vault_path: Path,
    root_spec: str,
    **options: Any,
) -> None:
    """Take case FILEs into the vault, each of them whole or not at all.

    The files are not changed. Once they are in the vault, destroy them where they are.
    """
    wishes = _Wishes(**options)
    vault = open_vault(vault_path, root_spec)
    dataset = _dataset(vault, organisation, name, schema_name, people_cap, dry_run=wishes.dry_run)
    schema = load_schema(schema_name) if dataset is None else dataset.schema
    intake = _Intake(vault=vault, dataset=dataset, schema=schema, wishes=wishes, ignored=ignored)
    for path in files:
        try:
            intake.take(path)
        except PeopleCapError as error:
            if dataset is not None:
                empty = vault.dataset(dataset.organisation, dataset.name).version == 0
                error.add_note(
                    "declare a larger --people-cap: nothing is in this dataset yet" if empty else _ANOTHER_DATASET
                )
            raise


@dataclass(frozen=True, kw_only=True)
class _Intake:
    """One run of the command."""

    vault: Vault
    dataset: Dataset | None
    """None: a dry run for a dataset that is not there yet."""
    schema: CaseSchema
    wishes: _Wishes
    ignored: tuple[str, ...]

    def take(self, path: Path) -> None:
        """Take one file in, or say what that would do."""
        if self.dataset is not None and path.is_file() and is_prepared(path):
            if replace(self.wishes, dry_run=False).mapped:
                raise click.UsageError(f"{path.name} is a prepared file: it takes no mapping and no rule for its rows")
            prepared = open_prepared(path, self.vault.keys_of(self.dataset), self.schema)
            click.echo(f"prepared   {path.name}: {prepared.token_rule} under the linkage key {prepared.linkage_key}")
            if self.wishes.dry_run:
                click.echo(f"dry run    {path.name}: nothing was taken in")
            else:
                self._say(path, self._seal(prepared))
        elif self._plain(path):
            screen.note_plain(path.name, self.schema)
            self._say(path, self._seal(path))
        else:
            self._take_mapped(path)

    def _plain(self, path: Path) -> bool:
        """Whether the file has the schema's own columns, and nothing was asked for that needs a mapping."""
        if self.ignored:
            if self.wishes.mapped:
                raise click.UsageError(
                    "--ignore-column is for files with the schema's own columns, without a mapping or a dry run"
                )
            return True
        if self.wishes.mapped or path.suffix.lower() not in _PLAIN or self.schema.person_key is None:
            return False
        needed = {attribute.name for attribute in self.schema.analysis} | {self.schema.person_key}
        try:
            open_case_file(path, self.schema, needed=needed)
        except CaseFileError:
            return not path.is_file()
        return True

    # --- through a mapping ---

    def _take_mapped(self, path: Path) -> None:
        if self.dataset is not None and not (self.wishes.dry_run or self.wishes.again) and path.is_file():
            there = known_upload(self.vault, self.dataset, file_digest(path))
            if there is not None:
                self._say(path, there)
                return
        held = self._hold(path)
        rows = f"{len(held.rows):,} row" + ("" if len(held.rows) == 1 else "s")
        click.echo(f"file       {path.name}: {held.source.tool.value}, {len(held.columns)} columns, {rows}")
        mapping, where = self._mapping(held)
        screen.show_mapping(mapping, where=where)
        decided = self._decided(held, mapping, confirmed=self.wishes.mapping is not None)
        if decided is None:
            raise UnconfirmedMappingError(f"{path.name}: stopped before anything was used; nothing was taken in")
        used = decided.accepted()
        if not self._person_known(used):  # a dry run
            click.echo("person     no column is known to tell people apart; say --person-key COLUMN or --row-is-person")
            used = replace(used, row_is_person=True)
        file = MappedFile(held=held, mapping=used, schema=self.schema, again=self.wishes.again)
        with _phase("understand"):
            report = check_file(file, keep=self.wishes.keep)
        screen.show_report(file, report)
        screen.show_others(file, [] if self.dataset is None else held_by_others(self.vault, self.dataset, file))
        self._save(decided)
        if self.wishes.dry_run or self.dataset is None:
            click.echo(f"dry run    {path.name}: nothing was taken in")
            return
        self._refuse_rows(self.dataset, file, report)
        if not self.wishes.yes and not click.confirm("Take it in?", default=False):
            raise UnconfirmedMappingError(f"{path.name}: nobody said yes; nothing was taken in")
        upload = self._seal(file)
        remember(self.vault, self.dataset, file.mapping, marks(held))
        self._say(path, upload)

    def _hold(self, path: Path) -> HeldSource:
        wishes = self.wishes
        with _phase("read") as check:
            source = open_source(
                path,
                password=_password(wishes.password_file),
                encoding=wishes.encoding,
                separator="\t" if wishes.separator == "tab" else wishes.separator,
                sheet=wishes.sheet,
                form=None if wishes.form is None else open_form(wishes.form),
                apart=schema_names(self.schema),
            )
            return hold(source, check=check)

    def _mapping(self, held: HeldSource) -> tuple[IntakeMapping, str]:
        """Return the mapping to begin with, and in words where it comes from."""
        wishes = self.wishes
        names = marks(held)
        if wishes.mapping is not None:
            mapping, where = load_intake_mapping(wishes.mapping, self.schema), f"from {wishes.mapping.name}"
        else:
            before = None if self.dataset is None else remembered(self.vault, self.dataset, names)
            with _phase("understand"):
                mapping = propose(held, self.schema) if before is None else before
            where = "proposed" if before is None else "as for the last file with these columns"
        return self._wished(mapping, held), where

    def _wished(self, mapping: IntakeMapping, held: HeldSource) -> IntakeMapping:
        """Return the mapping with what the options say."""
        wishes = self.wishes
        if wishes.row_is_person:
            rest = tuple(entry for entry in mapping.attributes if entry.to != self.schema.person_key)
            mapping = replace(mapping, attributes=rest, row_is_person=True)
        elif wishes.person_key:
            mapping = screen.with_person(mapping, self.schema, wishes.person_key)
        if wishes.record_key is not None:
            if wishes.record_key != "none" and wishes.record_key not in {column.name for column in held.columns}:
                raise CaseFileError(f"{held.source.path.name}: there is no column of the name given with --record-key")
            mapping = replace(mapping, record_key=None if wishes.record_key == "none" else wishes.record_key)
        if wishes.keep_all:
            mapping = replace(mapping, left_out=())
        for text in wishes.leave_out:
            mapping = replace(mapping, left_out=(*mapping.left_out, self._left_out(text)))
        if wishes.minors is not None:
            mapping = replace(mapping, minors=MinorsRule(rule=wishes.minors, attribute=self._age()))
        named = self.schema.calendars
        if named and wishes.calendar not in (None, "gregorian", *named):
            raise click.UsageError(f"--calendar {wishes.calendar}: {self.schema.id} names {', '.join(named)}")
        if wishes.date_order is not None or wishes.calendar is not None:
            reading = DateReading(order=wishes.date_order, calendar=wishes.calendar or "gregorian")
            answers = (column.name for column in held.columns if column.role == "answer")
            mapping = screen.with_readings(mapping, dict.fromkeys(answers, reading))
        return mapping

    def _left_out(self, text: str) -> LeftOut:
        name, _, code = text.partition("=")
        attribute = next((found for found in self.schema.attributes if found.name == name), None)
        place = None if attribute is None else attribute.code_of(code)
        if attribute is None or place is None:
            raise click.UsageError(
                f"--leave-out {name}: {self.schema.id} has no such attribute, or it has no such code"
            )
        return LeftOut(attribute=name, codes=(attribute.values[place].code,))

    def _age(self) -> str:
        from casehaven.intake.headers import concept  # only where a rule for minors is asked for

        for attribute in self.schema.attributes:
            if attribute.bands and concept((attribute.name, *attribute.labels.values())) == "age":
                return attribute.name
        raise click.UsageError(f"--minors: {self.schema.id} has no attribute with an age")

    def _decided(self, held: HeldSource, mapping: IntakeMapping, *, confirmed: bool) -> IntakeMapping | None:
        """Return the mapping with what a person decided; None: stop."""
        wishes, asking = self.wishes, screen.is_terminal() and not self.wishes.yes
        if wishes.dry_run and not asking:
            return mapping
        if asking:
            answered = screen.ask_guesses(mapping, self.schema)
            if answered is None:
                return None
            questions = [q for entry in answered.attributes for q in date_questions(held, self.schema, entry)]
            return screen.ask_person(screen.ask_dates(answered, questions), self.schema)
        if mapping.guesses and not (wishes.yes and confirmed):
            self._save(mapping)
            raise UnconfirmedMappingError(
                f"{held.source.path.name}: {len(mapping.guesses)} attributes rest on guesses, and nobody said yes to them"
            )
        screen.refuse_open_years(held, mapping, self.schema)
        if not self._person_known(mapping):
            self._save(mapping)
            raise PersonUndecidedError(f"{held.source.path.name}: no column is known to tell people apart")
        if not wishes.yes:
            raise UnconfirmedMappingError(
                f"{held.source.path.name}: there is nobody to ask; --yes takes it in as shown"
            )
        return mapping

    def _person_known(self, mapping: IntakeMapping) -> bool:
        key = self.schema.person_key
        return key is None or mapping.row_is_person or mapping.attribute(key) is not None

    def _save(self, mapping: IntakeMapping) -> None:
        if self.wishes.save_mapping is None:
            return
        try:
            write_whole(self.wishes.save_mapping, mapping.text().encode(), mode=0o600, replace=False)
        except FileExistsError:
            raise ExistingMappedFileError(f"{self.wishes.save_mapping}: exists already; nothing was written") from None
        click.echo(f"saved      {self.wishes.save_mapping.name}: look at it, correct it, and use it with --mapping")

    def _refuse_rows(self, dataset: Dataset, file: MappedFile, report: CheckReport) -> None:
        """Put refused rows where somebody finds them, or ask whether they may stay behind."""
        if not report.refused:
            return
        if self.wishes.refused is not None:
            write_refused_rows(self.vault, dataset, file, report, self.wishes.refused)
            click.echo(f"sealed     {self.wishes.refused.name}: the refused rows; `casehaven refused` shows them")
        elif self.wishes.yes or not click.confirm(
            "Take in the others, and leave the refused rows behind?", default=False
        ):
            raise RefusedRowsError(f"{file.path.name}: some rows cannot be taken in; nothing was taken in")

    # --- into the vault ---

    def _seal(self, source: Path | CaseRecords) -> Upload:
        if self.dataset is None:
            raise DatasetMissingError("the dataset is not there yet")
        with _phase("seal", source.steps if isinstance(source, MappedFile) else None) as check:
            return take_in(self.vault, self.dataset, source, keep=self.wishes.keep, ignored=self.ignored, check=check)

    def _say(self, path: Path, upload: Upload) -> None:
        name = "" if self.dataset is None else self.dataset.id
        if upload.repeated:
            click.echo(f"there      {path.name}: {name} has this file already; nothing was added")
        elif upload.unchanged and not upload.records:
            click.echo(f"there      {path.name}: {name} has all of its records already; nothing was added")
        else:
            click.echo(f"taken in   {path.name}: {name}, version {upload.version}")
            if upload.unchanged or upload.corrected:
                new = upload.records - upload.corrected
                said = f"{new:,} new, {upload.corrected:,} corrected, {upload.unchanged:,} there already"
                click.echo(f"           records: {said}")


@contextmanager
def _phase(phase: str, steps: int | None = None) -> Iterator[Callable[[], None]]:
    """Show a phase while it lasts; what is yielded is called before each of its steps."""
    line, done = PhaseLine(), 0

    def tick() -> None:
        nonlocal done
        line(phase, None if steps is None else min(done / steps, 1.0))
        done += 1

    try:
        if steps is None:
            tick()
        yield tick
    finally:
        line.close()


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError):
        raise CaseFileError(f"{path}: the file with the password cannot be read") from None


def _dataset(
    vault: Vault, organisation: str, name: str | None, schema_name: str, people_cap: int | None, *, dry_run: bool
) -> Dataset | None:
    schema = load_schema(schema_name)
    name = schema.id if name is None else name
    try:
        dataset = vault.dataset(organisation, name)
    except DatasetMissingError as error:
        if dry_run:
            return None
        if people_cap is None:
            error.add_note("correct the name; if the dataset is new, add --people-cap: a public bound on its people")
            raise
        return vault.add_dataset(organisation, name, schema, people_cap)
    if dataset.schema.digest() != schema.digest():
        raise SchemaDiffersError(
            f"{dataset.id} has the schema {dataset.schema.id} {dataset.schema.version}, and {schema_name} is another one"
        )
    if people_cap is None or people_cap == dataset.people_cap:
        return dataset
    if dataset.version:
        fixed = SchemaDiffersError(f"{dataset.id} has the people cap {dataset.people_cap}, which was declared for good")
        fixed.add_note(f"leave --people-cap away; {_ANOTHER_DATASET}")
        raise fixed
    return vault.declare_cap(
        dataset, people_cap
    )  # nothing was ever taken in: the first declaration may have been a slip
