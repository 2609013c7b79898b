"""The options that every command with a vault shares, and how such a command opens it."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.vault.datasets import Dataset, parse_dataset_id
from casehaven.vault.errors import DatasetMissingError, DatasetNameError
from casehaven.vault.rootkeys import parse_root
from casehaven.vault.store import Vault

DEFAULT_VAULT = Path("casehaven-vault")
"""In the working folder, when neither --vault nor CASEHAVEN_VAULT names another."""

vault_option = click.option(
    "--vault",
    "vault_path",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CASEHAVEN_VAULT",
    default=DEFAULT_VAULT,
    show_default=True,
    show_envvar=True,
    help="Folder of the vault.",
)
"""It arrives as `vault_path`."""

root_key_option = click.option(
    "--root-key",
    "root_spec",
    envvar="CASEHAVEN_ROOT_KEY",
    default="passphrase",
    show_default=True,
    show_envvar=True,
    help="Where the root key is: file:PATH, passphrase, env:NAME or pkcs11:library=..;token=..;label=..",
)
"""It arrives as `root_spec`."""

dataset_option = click.option(
    "--dataset",
    "dataset_id",
    metavar="ORGANISATION/DATASET",
    envvar="CASEHAVEN_DATASET",
    show_envvar=True,
    help="Which dataset.  [default: the only one there is]",
)
"""It arrives as `dataset_id`."""


def open_vault(path: Path, root_spec: str) -> Vault:
    """Open the vault that the options name.

    Raises:
        VaultError: it is not there, or this is not its root key.
    """
    return Vault.open(path, parse_root(root_spec))


def chosen_dataset(vault: Vault, dataset_id: str | None) -> Dataset:
    """Return the dataset that the option names, or the only one.

    Raises:
        DatasetNameError: several are there and none is named; lists them.
        DatasetMissingError: there is none, or none of that name.
    """
    if dataset_id is not None:
        return vault.dataset(*parse_dataset_id(dataset_id))
    there = vault.datasets()
    if not there:
        raise DatasetMissingError("the vault has no dataset yet")
    if len(there) > 1:
        names = ", ".join(dataset.id for dataset in there[:12])
        raise DatasetNameError(f"the vault has several datasets; name one with --dataset: {names}")
    return there[0]
