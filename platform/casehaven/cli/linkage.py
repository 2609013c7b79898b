"""`casehaven linkage`: the key under which the partners of an agreement make person tokens."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.intake.linkage_key import create_linkage_key, read_linkage_key
from casehaven.intake.prepare_tokens import reference_token

command = click.Group("linkage", help="Make an agreement's linkage key, and find what a reference became.")

_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@command.command("create")
@_file
def create(file: Path) -> None:
    """Make the linkage key of an agreement. One partner makes it and gives it to the others; the server never gets it."""
    key = create_linkage_key(file)
    click.echo(f"made {file}: give it to the partners of the agreement, on a way that nobody else reads")
    click.echo(f"fingerprint {key.fingerprint}")
    click.echo("compare the fingerprint with each partner: tokens under different keys never meet")


@command.command("show")
@_file
def show(file: Path) -> None:
    """Say the fingerprint of a linkage key; never the key."""
    click.echo(f"fingerprint {read_linkage_key(file).fingerprint}")


@command.command("reference")
@_file
@click.option("--organisation", required=True, help="Whose case reference it is.")
@click.option("--case-reference", "reference", prompt=True, help="As in the organisation's own files.")
def reference_(file: Path, organisation: str, reference: str) -> None:
    """Say what a case reference became in prepared files: the vault finds a person by it."""
    token = reference_token(read_linkage_key(file), organisation, reference)
    if not token:
        raise click.UsageError("the case reference is empty")
    click.echo(token)
