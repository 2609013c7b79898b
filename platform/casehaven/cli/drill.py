"""`casehaven drill`: would this backup bring the vault back?"""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._vault import root_key_option
from casehaven.cli.restore import anchor_option, backup_argument, keystore_option
from casehaven.vault.drill import drill
from casehaven.vault.rootkeys import parse_root


@click.command("drill")
@backup_argument
@root_key_option
@keystore_option
@anchor_option
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder for the temporary vault.  [default: the system's]",
)
def command(backup: Path, root_spec: str, keystore: Path, anchor: Path, work: Path | None) -> None:
    """Restore a backup into a temporary folder, check everything, and remove it again. Nothing else changes."""
    result = drill(backup, parse_root(root_spec), keystore=keystore, anchor=anchor, work=work)
    for check in result.checks:
        click.echo(f"ok: {check}")
    click.echo(f"the backup of {result.day} brings the vault back")
