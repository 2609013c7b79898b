"""`casehaven vault keys`: show, rotate and back up the keys of a vault, and put them into escrow."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.cli.vault_escrow import escrow
from casehaven.intake.public_key_file import OrganisationPublicKey, write_public_key
from casehaven.vault.datasets import check_name
from casehaven.vault.envelope import key_id
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import NEW_PASSPHRASE_VARIABLE, create_root, parse_root
from casehaven.vault.rotation import rotate_epoch
from casehaven.vault.store import Vault

organisation_argument = click.argument("organisation")

command = click.Group("keys", help="Show, rotate and back up the vault's keys, and put them into escrow.")
rotate = click.Group("rotate", help="Put a new key in place of an old one; no record is read or written.")
command.add_command(rotate)
command.add_command(escrow)


@command.command("show")
@vault_option
@root_key_option
def show(vault_path: Path, root_spec: str) -> None:
    """Say which keys there are, and how old; never a key."""
    keystore = open_vault(vault_path, root_spec).keystore
    click.echo(f"keystore   {keystore.keystore_id}, changed {keystore.sequence} times")
    click.echo(f"root key   version {keystore.root_version}, kept in: {keystore.root_kind}")
    for name in keystore.organisations:
        keys = keystore.organisation(name)
        old = "" if len(keys.epochs) == 1 else f" (not retired yet: {keys.epochs[0]})"
        click.echo(
            f"{name}: version {keys.version}, epoch {keys.epoch}{old}, uploads to {key_id(keys.public_key).hex()}"
        )


@command.command("public")
@organisation_argument
@vault_option
@root_key_option
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; no old one is replaced.",
)
@click.option("--new", is_flag=True, help="The organisation is new to the vault; make its keys.")
def public(organisation: str, vault_path: Path, root_spec: str, output: Path, new: bool) -> None:
    """Write an organisation's public key to a file, for `casehaven prepare`. It is no secret."""
    vault = open_vault(vault_path, root_spec)
    if new and organisation not in vault.keystore.organisations:
        check_name(organisation)
        with vault.organisation_lock(organisation, alone=True):
            _note(vault, "organisation_key.create", "organisation-key", "1", organisation)
            vault.keystore.add_organisation(organisation)
        _raise_anchor(vault)
    keys = vault.keystore.organisation(organisation)
    key = OrganisationPublicKey(organisation=organisation, public_key=keys.public_key)
    write_public_key(output, key)
    click.echo(f"wrote {output}: files can be sealed to {organisation} with it, and not opened")
    click.echo(f"fingerprint {key.fingerprint}")
    click.echo(
        "read the fingerprint to the organisation over another channel: whoever swaps the file reads what is sealed to it"
    )


@rotate.command("root")
@vault_option
@root_key_option
@click.option("--new-root-key", required=True, help="Where the new root key is to be; written like --root-key.")
@click.option("--existing-key", is_flag=True, help="The new root key is there already; make none.")
def rotate_root(vault_path: Path, root_spec: str, new_root_key: str, existing_key: bool) -> None:
    """Wrap the vault's keys with another root key. The old one opens nothing afterwards."""
    vault = open_vault(vault_path, root_spec)
    make = parse_root if existing_key else create_root
    new = make(new_root_key, NEW_PASSPHRASE_VARIABLE)
    _note(vault, "root_key.rotate", "root-key", str(vault.keystore.root_version + 1))
    vault.keystore.rotate_root(new)
    _raise_anchor(vault)
    click.echo(f"the root key is now of version {vault.keystore.root_version}; the old one does not open this keystore")
    click.echo(
        "destroy the old root key, or older copies of the keystore still open with it; then make a new backup of keys"
    )


@rotate.command("organisation")
@organisation_argument
@vault_option
@root_key_option
def rotate_organisation(organisation: str, vault_path: Path, root_spec: str) -> None:
    """Put a new key in place of an organisation's, and wrap what hangs below it anew."""
    vault = open_vault(vault_path, root_spec)
    version = vault.keystore.organisation(organisation).version + 1
    with vault.organisation_lock(organisation, alone=True):
        _note(vault, "organisation_key.rotate", "organisation-key", str(version), organisation)
        vault.keystore.rotate_organisation(organisation)
    _raise_anchor(vault)
    click.echo(f"the key of {organisation} is now of version {vault.keystore.organisation(organisation).version}")


@rotate.command("epoch")
@organisation_argument
@vault_option
@root_key_option
@click.option("--name", help="Name of the new epoch, YYYY-MM or YYYY-MM.N.  [default: this month]")
def rotate_epoch_(organisation: str, vault_path: Path, root_spec: str, name: str | None) -> None:
    """Begin a new epoch, wrap all of an organisation's data keys under it, and destroy the old epoch's key.

    Once a month: backups of the data from before do not open any more. Cut short, the same command goes on.
    """
    vault = open_vault(vault_path, root_spec)
    epoch = rotate_epoch(vault, organisation, name)
    click.echo(f"{organisation} is in the epoch {epoch}; the key of the one before is destroyed")
    click.echo(
        f"no earlier backup of {organisation}'s data opens any more: run `casehaven backup` and `casehaven drill` now"
    )
    click.echo("then make a new backup of keys over the old one, and new escrow packets")


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@vault_option
@root_key_option
def backup(file: Path, vault_path: Path, root_spec: str) -> None:
    """Write a copy of the wrapped keys, over an older copy. Keep it apart from the backups of the data."""
    vault = open_vault(vault_path, root_spec)
    _note(vault, "keys.backup", "keystore", vault.keystore.keystore_id)
    vault.keystore.backup(file)
    click.echo(f"wrote {file}: wrapped keys, which open with the root key only")
    click.echo("write over it after every rotation: a key that was destroyed here is still in older copies")


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--keystore", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the keystore."
)
@root_key_option
def restore(file: Path, keystore: Path, root_spec: str) -> None:
    """Make a keystore from a copy that `backup` wrote. The root key is the one of that day."""
    made = Keystore.restore(file, keystore, parse_root(root_spec))
    click.echo(f"restored {made.path}, keystore {made.keystore_id}, changed {made.sequence} times")


def _note(vault: Vault, action: str, kind: str, object_id: str, organisation: str = "") -> None:
    """Write what is about to be done into the audit log: a key that is changed without an entry would be worse than the reverse."""
    with vault.writing() as connection:
        vault.audit.append(connection, action=action, object_kind=kind, object_id=object_id, organisation=organisation)


def _raise_anchor(vault: Vault) -> None:
    """Let the anchor know how far the keystore is."""
    with vault.database.transaction(writes=False) as connection:
        vault.anchor.raise_from(connection)
