"""`casehaven indicators`: the tables that official statistics ask for, from a published release."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli.keys import load_trust_store, trust_option
from casehaven.cli.verify import advising_how_to_trust
from casehaven.releases.indicators import read_roles, shipped_roles, write_indicators
from casehaven.releases.published import open_release, verified_facts


@click.command("indicators")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--schema", "schema_name", help="Id of a shipped schema, or a schema file.  [default: as the bundle says]"
)
@click.option(
    "--roles",
    "roles_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that says which attributes are sex, age, form and so on.  [default: comes with a shipped schema]",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write to.",
)
@click.option("--replace", is_flag=True, help="Replace tables that are there.")
@trust_option
def command(
    bundle: Path, schema_name: str | None, roles_path: Path | None, folder: Path, replace: bool, trust_path: Path
) -> None:
    """Write the tables of SDG indicator 16.2.2 and of the EU directive from a release BUNDLE.

    The bundle is verified first. The tables come from its protected model alone, so they cost no privacy and need no ledger.
    """
    with advising_how_to_trust(bundle, trust_path):
        facts = verified_facts(bundle, load_trust_store(trust_path))
    release = open_release(facts, schema_name)
    roles = shipped_roles(release.schema) if roles_path is None else read_roles(roles_path, release.schema)
    written = write_indicators(release, roles, folder, replace=replace)
    for table in written.tables:
        click.echo(f"table      {table.name}: {len(table.cells) - table.hidden:,} cells shown, {table.hidden:,} hidden")
    for path in written.paths:
        click.echo(f"wrote      {path}")
