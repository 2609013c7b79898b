"""`casehaven vault`: make a vault, and say how it is."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.cli.vault_keys import command as keys
from casehaven.core.migrate import HEAD
from casehaven.vault import models
from casehaven.vault.folder import VaultFolder
from casehaven.vault.rootkeys import create_root, parse_root
from casehaven.vault.store import Vault
from casehaven.vault.upgrade import upgrade_vault

command = click.Group("vault", help="Keep case records sealed: make a vault, look after it and its keys.")
command.add_command(keys)


@command.command("create")
@vault_option
@root_key_option
@click.option("--existing-key", is_flag=True, help="The root key is there already; make none.")
@click.option(
    "--database", help="An empty Postgres database, postgresql://USER@HOST/NAME.  [default: a file in the folder]"
)
@click.option(
    "--keystore",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the wrapped keys.  [default: VAULT.keys]",
)
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File on other storage that remembers how far the vault is.  [default: VAULT.anchor]",
)
def create(
    vault_path: Path,
    root_spec: str,
    existing_key: bool,
    database: str | None,
    keystore: Path | None,
    anchor: Path | None,
) -> None:
    """Make an empty vault.

    Its keys are wrapped with the root key, which is kept elsewhere: without it nobody opens the vault again, you included.
    """
    root = parse_root(root_spec) if existing_key else create_root(root_spec)
    made = Vault.create(vault_path, root, database=database, keystore=keystore, anchor=anchor).folder
    click.echo(f"made       {made.path}")
    click.echo(f"keystore   {made.keystore_path} (wrapped keys: back it up, apart from the vault)")
    click.echo(f"anchor     {made.anchor_path} (better on other storage, so that an older copy is noticed)")
    click.echo("root key   keep it away from the vault and from its backups; without it nothing opens again")


@command.command("status")
@vault_option
@root_key_option
@click.option(
    "--check", is_flag=True, help="Read every chunk file, and compare them and the audit log with the anchor."
)
def status(vault_path: Path, root_spec: str, check: bool) -> None:
    """Say what is in a vault: datasets, schemas, versions and epochs; never how many people."""
    vault = open_vault(vault_path, root_spec)
    click.echo(f"vault      {vault.vault_id}")
    click.echo(f"database   {vault.database.where} (tables of version {HEAD})")
    click.echo(f"keystore   {vault.folder.keystore_path}")
    click.echo(f"anchor     {vault.folder.anchor_path}")
    for name in vault.keystore.organisations:
        click.echo(f"keys       {name}: epoch {vault.keystore.organisation(name).epoch}")
    for dataset in vault.datasets():
        click.echo(
            f"dataset    {dataset.id}: {dataset.schema.id} {dataset.schema.version}, version {dataset.version}, "
            f"people cap {dataset.people_cap:,}"
        )
    if check:
        _check(vault)
        click.echo(
            "checked    the database is whole in itself, and chunk files and audit log are those that the anchor knows"
        )


@command.command("upgrade")
@vault_option
@root_key_option
def upgrade(vault_path: Path, root_spec: str) -> None:
    """Bring the tables of a vault that an earlier version wrote to today's; all of it or nothing. Make a backup before."""
    folder = VaultFolder.open(vault_path)
    upgrade_vault(folder, parse_root(root_spec))
    open_vault(vault_path, root_spec)
    click.echo(f"upgraded   {folder.path} to tables of version {HEAD}")


def _check(vault: Vault) -> None:
    vault.database.check()
    with vault.database.transaction(writes=False) as connection:
        rows = connection.execute(models.chunk.select()).all()
    datasets = {dataset.dataset_id: dataset for dataset in vault.datasets()}
    for row in rows:
        vault.read_chunk(datasets[row.dataset_id], vault.keys_of(datasets[row.dataset_id]), row)
