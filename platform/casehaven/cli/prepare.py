"""`casehaven prepare`: what leaves an organisation, sealed.

1. A file goes through a mapping as for `casehaven intake`: proposed, shown, confirmed, tried. Nothing guessed is used without a yes.
2. The public key's fingerprint was compared by somebody, or nothing is sealed.
3. What is shown of the file goes to the terminal of the organisation and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import click

from casehaven.cli import _intake_screen as screen
from casehaven.cli._progress import PhaseLine
from casehaven.intake.check import check_file
from casehaven.intake.dates import ORDERS, DateReading, Order
from casehaven.intake.errors import (
    CaseFileError,
    ExistingMappedFileError,
    PersonUndecidedError,
    PublicKeyFileError,
    RefusedRowsError,
    UnconfirmedMappingError,
)
from casehaven.intake.headers import schema_names
from casehaven.intake.held import HeldSource, hold
from casehaven.intake.intake_mapping import IntakeMapping
from casehaven.intake.linkage_key import read_linkage_key
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.mapping_document import load_intake_mapping
from casehaven.intake.prepare import Preparation, prepare
from casehaven.intake.prepare_tokens import Numbers, token_columns
from casehaven.intake.proposal import propose
from casehaven.intake.public_key_file import OrganisationPublicKey, read_public_key
from casehaven.intake.readers import open_form, open_source
from casehaven.intake.value_proposal import date_questions
from caseschemas import CaseSchema, load_schema
from casesynth._files import write_whole

__all__ = ["command"]

_FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, kw_only=True)
class _Wishes:
    """What the options say about a file and its mapping."""

    mapping: Path | None
    save_mapping: Path | None
    yes: bool
    person_key: tuple[str, ...]
    row_is_person: bool
    date_order: Order | None
    password_file: Path | None
    sheet: str | None
    form: Path | None


@click.command("prepare")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--schema", "schema_name", required=True, help="Id of a shipped schema, or a schema file.")
@click.option("--organisation", required=True, help="Whose records they are, as the vault calls it.")
@click.option("--to", "to_file", required=True, type=_FILE, help="Its public key, from `casehaven vault keys public`.")
@click.option("--fingerprint", help="Of the public key, as you were told it on another way.  [default: asked]")
@click.option(
    "--linkage-key", "key_file", required=True, type=_FILE, help="The agreement's; it stays with the partners."
)
@click.option(
    "--person-numbers",
    "numbers",
    type=click.Choice(get_args(Numbers)),
    default="own",
    show_default=True,
    help="Whether person keys are the organisation's own, or numbers that all partners share.",
)
@click.option("--mapping", type=_FILE, help="A saved mapping to use.")
@click.option("--save-mapping", type=_FILE, help="Save the mapping here.")
@click.option("--yes", is_flag=True, help="Ask nothing; refuse what is guessed, unless --mapping names a mapping.")
@click.option("--person-key", multiple=True, help="The column that tells people apart; several together may.")
@click.option("--row-is-person", is_flag=True, help="Nobody is in the file twice, and no column tells people apart.")
@click.option("--date-order", type=click.Choice(ORDERS), help="How dates are written where the file does not show it.")
@click.option("--password-file", type=_FILE, help="Holds the password of a ZIP in its first line.")
@click.option("--sheet", help="Of a workbook.  [default: the first with a table]")
@click.option("--form", type=_FILE, help="The XLSForm behind an export.")
@click.option("-o", "--output", required=True, type=_FILE, help="The file that leaves the building.")
@click.option("--replace", "replace_output", is_flag=True, help="Replace the output file if it is there.")
def command(
    files: tuple[Path, ...],
    schema_name: str,
    organisation: str,
    to_file: Path,
    fingerprint: str | None,
    key_file: Path,
    numbers: Numbers,
    output: Path,
    replace_output: bool,
    **options: Any,
) -> None:
    """Seal what may leave the building: records without names and free text, under person tokens.

    Works offline and needs no vault. The files are not changed and stay where they are.
    """
    wishes, schema = _Wishes(**options), load_schema(schema_name)
    to, key = read_public_key(to_file), read_linkage_key(key_file)
    how = Preparation(schema=schema, organisation=organisation, to=to, key=key, numbers=numbers)
    _compare(to, fingerprint)
    mapped = [_mapped(_held(path, schema, wishes), schema, wishes) for path in files]
    if not wishes.yes and not click.confirm("Seal it?", default=False):
        raise UnconfirmedMappingError("nobody said yes; nothing was written")
    prepare(mapped, how, output, replace=replace_output)
    click.echo(f"sealed     {output}: send this file, and nothing else")
    click.echo(f"to         {organisation} (fingerprint {to.fingerprint})")
    click.echo(f"tokens     under the linkage key {key.fingerprint}")
    click.echo("stays here the case files and the linkage key; destroy copies of case files that are needed no more")


def _compare(to: OrganisationPublicKey, fingerprint: str | None) -> None:
    """Make sure that somebody compared the fingerprint (rule 2)."""
    said = f"the public key of {to.organisation} has the fingerprint {to.fingerprint}"
    if fingerprint is None:
        click.echo(said)
        if not click.confirm("Is that what you were told on another way?", default=False):
            raise PublicKeyFileError(f"{said}, and nobody compared it")
    elif fingerprint != to.fingerprint:
        raise PublicKeyFileError(f"{said}, not the one that was given")


def _held(path: Path, schema: CaseSchema, wishes: _Wishes) -> HeldSource:
    line = PhaseLine()
    try:
        form = None if wishes.form is None else open_form(wishes.form)
        password = _password(wishes.password_file)
        source = open_source(path, password=password, sheet=wishes.sheet, form=form, apart=schema_names(schema))
        return hold(source, check=lambda: line("read", None))
    finally:
        line.close()


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError):
        raise CaseFileError(f"{path}: the file with the password cannot be read") from None


def _mapped(held: HeldSource, schema: CaseSchema, wishes: _Wishes) -> MappedFile:
    """Show what a file is taken for, have it confirmed, and return it under its mapping (rule 1)."""
    name = held.source.path.name
    rows = f"{len(held.rows):,} row" + ("" if len(held.rows) == 1 else "s")
    click.echo(f"file       {name}: {held.source.tool.value}, {len(held.columns)} columns, {rows}")
    if wishes.mapping is None:
        mapping, where = propose(held, schema), "proposed"
    else:
        mapping, where = load_intake_mapping(wishes.mapping, schema), f"from {wishes.mapping.name}"
    mapping = _wished(mapping, held, schema, wishes)
    screen.show_mapping(mapping, where=where)
    decided = _decided(held, mapping, schema, wishes)
    file = MappedFile(held=held, mapping=decided.accepted(), schema=schema)
    report = check_file(file)
    screen.show_report(file, report)
    _save(decided, wishes)
    if report.refused and (wishes.yes or not click.confirm("Leave the refused rows behind?", default=False)):
        refused = RefusedRowsError(f"{name}: some rows cannot be sealed; nothing was written")
        refused.add_note(
            "correct the rows that are named above in the file, or run it without --yes and leave them behind"
        )
        raise refused
    return file


def _wished(mapping: IntakeMapping, held: HeldSource, schema: CaseSchema, wishes: _Wishes) -> IntakeMapping:
    if wishes.row_is_person:
        rest = tuple(entry for entry in mapping.attributes if entry.to != schema.person_key)
        mapping = replace(mapping, attributes=rest, row_is_person=True)
    elif wishes.person_key:
        mapping = screen.with_person(mapping, schema, wishes.person_key)
    if wishes.date_order is not None:
        reading = DateReading(order=wishes.date_order)
        mapping = screen.with_readings(mapping, dict.fromkeys((column.name for column in held.columns), reading))
    return mapping


def _decided(held: HeldSource, mapping: IntakeMapping, schema: CaseSchema, wishes: _Wishes) -> IntakeMapping:
    if screen.is_terminal() and not wishes.yes:
        answered = screen.ask_guesses(mapping, schema)
        if answered is None:
            raise UnconfirmedMappingError(f"{held.source.path.name}: stopped; nothing was written")
        questions = [q for entry in answered.attributes for q in date_questions(held, schema, entry)]
        if token_columns(schema):
            click.echo(
                "Whoever has a name and a full date of birth is known by those; what follows is for everybody else."
            )
        mapping = screen.ask_person(screen.ask_dates(answered, questions), schema)
    elif mapping.guesses and not (wishes.yes and wishes.mapping is not None):
        _save(mapping, wishes)
        raise UnconfirmedMappingError(
            f"{held.source.path.name}: {len(mapping.guesses)} attributes rest on guesses, and nobody said yes to them"
        )
    else:
        screen.refuse_open_years(held, mapping, schema)
    if not mapping.row_is_person and mapping.attribute(str(schema.person_key)) is None:
        _save(mapping, wishes)
        raise PersonUndecidedError(f"{held.source.path.name}: no column is known to tell people apart")
    return mapping


def _save(mapping: IntakeMapping, wishes: _Wishes) -> None:
    if wishes.save_mapping is None:
        return
    try:
        write_whole(wishes.save_mapping, mapping.text().encode(), mode=0o600, replace=False)
    except FileExistsError:
        raise ExistingMappedFileError(f"{wishes.save_mapping}: exists already; nothing was written") from None
    click.echo(f"saved      {wishes.save_mapping.name}: look at it, correct it, and use it with --mapping")
