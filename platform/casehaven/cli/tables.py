"""`casehaven tables`: exact tables of an organisation's own people, for its donor report. Not for release."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._vault import chosen_dataset, dataset_option, open_vault, root_key_option, vault_option
from casehaven.people.service import check_reason
from casehaven.releases.indicators import Roles, RolesNeededError, read_roles, shipped_roles
from casehaven.statistics import check_target, own_statistics, screen, write_tables
from caseschemas import CaseSchema


@click.command("tables")
@vault_option
@root_key_option
@dataset_option
@click.option(
    "--year", "years", type=int, multiple=True, help="Only people registered in this year; several times if need be."
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
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a workbook (.xlsx) or a page (.html) instead of showing the tables.",
)
@click.option("--replace", is_flag=True, help="Replace a file that is there.")
@click.option("--reason", help="What for. It is sealed in the audit log; write no names.  [asked for if not given]")
def command(
    vault_path: Path,
    root_spec: str,
    dataset_id: str | None,
    years: tuple[int, ...],
    roles_path: Path | None,
    output: Path | None,
    replace: bool,
    reason: str | None,
) -> None:
    """Count your own people exactly: by sex, age and form of exploitation, and every group of the schema with its percentages.

    Only people whose recorded consent for own statistics is yes are counted. The numbers are exact, so the tables are marked NOT FOR RELEASE: keep them
    like the case files. What others may see is made by `casehaven release`.
    """
    if output is not None:
        check_target(output, replace=replace)
    vault = open_vault(vault_path, root_spec)
    dataset = chosen_dataset(vault, dataset_id)
    roles = _roles(dataset.schema, roles_path)
    why = check_reason(reason if reason is not None else click.prompt("What for (no names)", err=True))
    statistics = own_statistics(vault, dataset, roles, years=years, reason=why)
    if roles is None:
        click.echo(
            f"note: {dataset.schema.id} does not say which attributes are sex, age and form; name a file with --roles to cross them",
            err=True,
        )
    if output is None:
        for line in screen(statistics.facts, statistics.tables):
            click.echo(line)
        return
    write_tables(statistics, output, replace=replace)
    for table in statistics.tables:
        click.echo(f"table      {table.name}: {table.title}")
    click.echo(f"wrote      {output}")
    click.echo("it holds exact numbers about real people: NOT FOR RELEASE", err=True)


def _roles(schema: CaseSchema, path: Path | None) -> Roles | None:
    if path is not None:
        return read_roles(path, schema)
    try:
        return shipped_roles(schema)
    except RolesNeededError:
        return None
