"""`casehaven tables`: exact tables of an organisation's own people, for its donor report. Not for release."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._person_server import There
from casehaven.cli._server import chosen_server, connected, job_progress, server_option, sign_in_option
from casehaven.cli._tables_server import read_tables
from casehaven.cli._vault import chosen_dataset, dataset_option, open_vault, root_key_option, vault_option
from casehaven.client.statistics import Kind
from casehaven.people.service import check_reason
from casehaven.releases.indicators import Roles, RolesNeededError, read_roles, shipped_roles
from casehaven.statistics import check_target, own_statistics, screen, write_tables
from casehaven.statistics.errors import ExistingTableFileError
from caseschemas import CaseSchema
from casesynth._files import write_whole

_KEEP = "it holds exact numbers about real people: NOT FOR RELEASE"


@click.command("tables")
@server_option
@sign_in_option
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
    server: str | None,
    handle: str | None,
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
    asked = chosen_server("vault_path", "root_spec", "roles_path")
    if asked is not None:
        with connected(asked, handle) as client:
            _of_server(There.open(client, dataset_id), years, output, reason, replace=replace)
        return
    vault = open_vault(vault_path, root_spec)
    dataset = chosen_dataset(vault, dataset_id)
    roles = _roles(dataset.schema, roles_path)
    why = _why(reason)
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
    click.echo(_KEEP, err=True)


def _why(reason: str | None) -> str:
    return check_reason(reason if reason is not None else click.prompt("What for (no names)", err=True))


def _of_server(there: There, years: tuple[int, ...], output: Path | None, reason: str | None, *, replace: bool) -> None:
    """Show a server's tables, or write the workbook or the page that it made."""
    kind: Kind = "json" if output is None else "xlsx" if output.suffix.lower() == ".xlsx" else "html"
    with job_progress() as progress:
        found = there.client.statistics.tables(
            there.dataset, reason=_why(reason), years=years, kind=kind, progress=progress
        )
    if output is None:
        facts, tables = read_tables(there.dataset, found.document)
        for line in screen(facts, tables):
            click.echo(line)
        return
    try:
        write_whole(output, found.content, mode=0o600, replace=replace)
    except FileExistsError:
        raise ExistingTableFileError(f"{output} is there already") from None
    click.echo(f"wrote      {output}")
    click.echo(_KEEP, err=True)


def _roles(schema: CaseSchema, path: Path | None) -> Roles | None:
    if path is not None:
        return read_roles(path, schema)
    try:
        return shipped_roles(schema)
    except RolesNeededError:
        return None
