"""`casehaven intake`: case files into the vault."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._progress import PhaseLine
from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.intake.uploads import take_in
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import DatasetMissingError, SchemaDiffersError
from casehaven.vault.store import Vault
from caseschemas import load_schema
from casesynth.persons import PeopleCapError

_ANOTHER_DATASET = "for more people than that make another dataset with --dataset, which has a budget of its own"


@click.command("intake")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--organisation", required=True, help="Whose records they are.")
@click.option("--dataset", "name", help="Name of the dataset.  [default: the schema's id]")
@click.option("--schema", "schema_name", required=True, help="Id of a shipped schema, or a schema file.")
@click.option(
    "--people-cap",
    type=click.IntRange(min=1),
    help="The dataset is new: make it, with this public bound on its number of people.",
)
@click.option(
    "--keep",
    multiple=True,
    help="An identifier, or a column of free text, to keep, sealed; by default both are dropped.",
)
@click.option(
    "--ignore-column", "ignored", multiple=True, help="A column beside the schema's that may be there; it is not read."
)
@vault_option
@root_key_option
def command(
    files: tuple[Path, ...],
    organisation: str,
    name: str | None,
    schema_name: str,
    people_cap: int | None,
    keep: tuple[str, ...],
    ignored: tuple[str, ...],
    vault_path: Path,
    root_spec: str,
) -> None:
    """Take case FILEs into the vault, each of them whole or not at all.

    The files are not changed. Once they are in the vault, destroy them where they are.
    """
    vault = open_vault(vault_path, root_spec)
    dataset = _dataset(vault, organisation, name, schema_name, people_cap)
    line = PhaseLine()
    for path in files:
        try:
            upload = take_in(vault, dataset, path, keep=keep, ignored=ignored, check=lambda: line("seal", None))
        except PeopleCapError as error:
            empty = vault.dataset(dataset.organisation, dataset.name).version == 0
            error.add_note(
                "declare a larger --people-cap: nothing is in this dataset yet" if empty else _ANOTHER_DATASET
            )
            raise
        finally:
            line.close()
        if upload.repeated:
            click.echo(f"there      {path.name}: {dataset.id} has this file already; nothing was added")
        else:
            click.echo(f"taken in   {path.name}: {dataset.id}, version {upload.version}")


def _dataset(vault: Vault, organisation: str, name: str | None, schema_name: str, people_cap: int | None) -> Dataset:
    schema = load_schema(schema_name)
    name = schema.id if name is None else name
    try:
        dataset = vault.dataset(organisation, name)
    except DatasetMissingError as error:
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
        fixed.add_note(f"leave --people-cap away; {_ANOTHER_DATASET}")
        raise fixed
    return vault.declare_cap(
        dataset, people_cap
    )  # nothing was ever taken in: the first declaration may have been a slip
