"""The options that every command with a vault shares, and how such a command opens it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # a command for a server loads no vault
    from casehaven.vault.datasets import Dataset
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
    from casehaven.vault.rootkeys import parse_root
    from casehaven.vault.store import Vault

    return Vault.open(path, parse_root(root_spec))


def chosen_dataset(vault: Vault, dataset_id: str | None) -> Dataset:
    """Return the dataset that the option names, or the only one.

    Raises:
        DatasetNameError: several are there and none is named; lists them.
        DatasetMissingError: there is none, or none of that name.
    """
    from casehaven.vault.datasets import parse_dataset_id
    from casehaven.vault.errors import DatasetMissingError, DatasetNameError

    if dataset_id is not None:
        return vault.dataset(*parse_dataset_id(dataset_id))
    there = vault.datasets()
    if not there:
        raise DatasetMissingError("the vault has no dataset yet")
    if len(there) > 1:
        names = ", ".join(dataset.id for dataset in there[:12])
        raise DatasetNameError(f"the vault has several datasets; name one with --dataset: {names}")
    return there[0]


def open_or_declare(
    vault: Vault,
    organisation: str,
    name: str | None,
    schema_name: str,
    people_cap: int | None,
    *,
    dry_run: bool,
    another: str,
) -> Dataset | None:
    """Return the dataset that a file is for, made where it is new; None in a dry run for one that is not there.

    Args:
        vault: where.
        organisation: whose.
        name: of the dataset; the schema's id by default.
        schema_name: id of a shipped schema, or a schema file.
        people_cap: declared bound on its people.
        dry_run: make nothing.
        another: advice where the declared bound cannot be changed any more.

    Raises:
        DatasetMissingError: it is new, and no bound on its people was declared.
        SchemaDiffersError: it has another schema, or another bound that stays.
    """
    from casehaven.core.training import refuse_training
    from casehaven.vault.errors import DatasetMissingError, SchemaDiffersError
    from caseschemas import load_schema

    schema = load_schema(schema_name)
    name = schema.id if name is None else name
    refuse_training([f"{organisation}/{name}"])  # the name is kept for made-up people of a service
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
        fixed.add_note(f"leave --people-cap away; {another}")
        raise fixed
    return vault.declare_cap(dataset, people_cap)  # nothing was taken in: the first declaration may have been a slip
