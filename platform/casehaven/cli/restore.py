"""`casehaven restore`: a vault from a backup, with every erasure and withdrawal since done again."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._vault import root_key_option, vault_option
from casehaven.cli.audit import reason_option
from casehaven.people.service import check_reason
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import parse_root

backup_argument = click.argument("backup", type=click.Path(path_type=Path, file_okay=False))
"""The backup's folder."""

keystore_option = click.option(
    "--keystore",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the keystore; it stays where it is.",
)
"""It arrives as `keystore`."""

anchor_option = click.option(
    "--anchor",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The anchor; it stays where it is.",
)
"""It arrives as `anchor`."""


@click.command("restore")
@backup_argument
@vault_option
@root_key_option
@keystore_option
@anchor_option
@click.option("--database", help="postgresql://... of an empty database.  [default: a file in the vault]")
@click.option(
    "--older-keystore", is_flag=True, help="Accept a keystore older than the anchor knows; a newer one is lost."
)
@reason_option
def command(
    backup: Path,
    vault_path: Path,
    root_spec: str,
    keystore: Path,
    anchor: Path,
    database: str | None,
    older_keystore: bool,
    reason: str,
) -> None:
    """Make a vault from a backup. Without the anchor nothing is restored: it knows who was erased since."""
    vault = restore(
        backup,
        vault_path,
        parse_root(root_spec),
        keystore=keystore,
        anchor=anchor,
        database=database,
        older_keystore=older_keystore,
        reason=check_reason(reason),
    )
    click.echo(f"restored {vault.folder.path}")
    click.echo("people who were erased since the backup, and consents that were withdrawn, are gone from it again")
    click.echo("the vault that was backed up does not open any more; destroy its folder")
