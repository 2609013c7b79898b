"""`casehaven refused`: the rows that an intake refused, from the file that they were sealed into."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.intake.refused_rows import read_refused_rows
from casehaven.people.service import check_reason


@click.command("refused")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--reason", help="Why. It is sealed in the audit log; write no names.  [asked for if not given]")
@vault_option
@root_key_option
def command(file: Path, reason: str | None, vault_path: Path, root_spec: str) -> None:
    """Show the rows in FILE that an intake refused: their numbers, why, and what they say."""
    vault = open_vault(vault_path, root_spec)
    reason = check_reason(reason if reason is not None else click.prompt("Reason"))
    dataset, found = read_refused_rows(vault, file)
    with vault.writing() as connection:
        vault.audit.append(
            connection,
            action="upload.refused",
            object_kind="dataset",
            object_id=dataset.id,
            organisation=dataset.organisation,
            reason=reason,
        )
    click.echo(f"file       {found['file']}")
    for entry in found["rows"]:
        click.echo(f"row {entry['row']}: {entry['reason']}")
        for name, cell in entry["cells"].items():
            click.echo(f"  {name}: {cell}")
