"""`casehaven prepare`: what leaves an organisation, sealed.

1. A file goes through a mapping as for `casehaven intake` (`_mapping_session`): proposed, shown, confirmed, tried. Nothing guessed is used without a yes.
2. The public key's fingerprint was compared by somebody, or nothing is sealed.
3. What is shown of the file goes to the terminal of the organisation and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from casehaven.cli import _intake_screen as screen
from casehaven.cli._mapping_options import MappingWishes, mapping_options
from casehaven.cli._mapping_session import MappingSession
from casehaven.intake.errors import (
    PublicKeyFileError,
    RefusedRowsError,
    UnconfirmedMappingError,
)
from casehaven.intake.linkage_key import read_linkage_key
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.prepare import Preparation, prepare
from casehaven.intake.prepare_tokens import Numbers, token_columns
from casehaven.intake.public_key_file import OrganisationPublicKey, read_public_key
from caseschemas import load_schema

__all__ = ["command"]

_FILE = click.Path(path_type=Path, dir_okay=False)


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
@mapping_options
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
    wishes, schema = MappingWishes.take(options), load_schema(schema_name)
    to, key = read_public_key(to_file), read_linkage_key(key_file)
    how = Preparation(schema=schema, organisation=organisation, to=to, key=key, numbers=numbers)
    if not wishes.dry_run:
        _compare(to, fingerprint)
    by_names = "Whoever has a name and a full date of birth is known by those; what follows is for everybody else."
    session = MappingSession(
        schema=schema,
        wishes=wishes,
        nothing_done="nothing was written",
        before_person=by_names if token_columns(schema) else "",
    )
    mapped = [_mapped(session, path) for path in files]
    if wishes.dry_run:
        click.echo("dry run    nothing was written")
        return
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


def _mapped(session: MappingSession, path: Path) -> MappedFile:
    """Show what a file is taken for, have it confirmed, and return it under its mapping (rule 1)."""
    held = session.read(path)
    file, report = session.tried(held, session.decide(held))
    wishes = session.wishes
    if wishes.dry_run or not report.refused:
        return file
    asking = screen.is_terminal() and not wishes.yes
    if not asking or not click.confirm("Leave the refused rows behind?", default=False):
        refused = RefusedRowsError(f"{path.name}: some rows cannot be sealed; nothing was written")
        refused.add_note(
            "correct the rows that are named above in the file, or run it without --yes and leave them behind"
        )
        raise refused
    return file
