"""`casehaven backup`: every row and chunk of the vault, sealed, in one folder."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.vault.backup import write_backup


@click.command("backup")
@vault_option
@root_key_option
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the backup; it must not exist. Better on another disk.",
)
def command(vault_path: Path, root_spec: str, output: Path) -> None:
    """Write a backup. It holds no key that opens it: keep keystore, root key and anchor apart."""
    vault = open_vault(vault_path, root_spec)
    backup_id = write_backup(vault, output)
    click.echo(f"wrote {output}: backup {backup_id}")
    click.echo("it opens with the keystore, the root key and the anchor only, as long as its epochs are not retired")
    click.echo("the ledger is not in it: `casehaven ledger backup`")
