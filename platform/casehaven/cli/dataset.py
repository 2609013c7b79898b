"""`casehaven dataset`: which datasets there are, making one, how it stands, and which files were taken in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from casehaven.cli._person_server import There
from casehaven.cli._server import chosen_server, connected, server_option
from casehaven.cli._vault import chosen_dataset, dataset_option, open_vault, root_key_option, vault_option
from casehaven.client.plain_text import json_text, one_line
from casehaven.core.training import refuse_training
from casehaven.people.consent import PURPOSE_LABELS, PURPOSES, parse_purpose
from casehaven.people.standing import dataset_standing, taken_in
from casehaven.vault.datasets import parse_dataset_id
from caseschemas import load_schema

json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group("dataset")
def command() -> None:
    """List and make datasets, and say how one stands."""


@command.command("list")
@server_option
@vault_option
@root_key_option
@json_option
def list_command(server: str | None, vault_path: Path, root_spec: str, as_json: bool) -> None:
    """List datasets by public facts alone: schema and people cap, never how many people."""
    asked = chosen_server("vault_path", "root_spec")
    if asked is not None:
        with connected(asked) as client:
            rows = [(one.id, one.schema, one.schema_version, one.people_cap) for one in client.datasets.list()]
    else:
        found = open_vault(vault_path, root_spec).datasets()
        rows = [(one.id, one.schema.id, one.schema.version, one.people_cap) for one in found]
    if as_json:
        names = ("dataset", "schema", "schema_version", "people_cap")
        click.echo(json_text([dict(zip(names, row, strict=True)) for row in rows]))
        return
    for name, schema, version, cap in rows:
        click.echo(f"{one_line(name)}  {one_line(schema)} {one_line(version)}, people cap {cap:,}")
    if not rows:
        click.echo("there is none")


@command.command("create")
@click.argument("dataset", metavar="ORGANISATION/DATASET")
@click.option("--schema", "schema_name", required=True, help="Id of a shipped schema; here also a schema file.")
@click.option(
    "--people-cap", type=click.IntRange(1), required=True, help="Public bound on its number of people, for good."
)
@server_option
@vault_option
@root_key_option
def create_command(
    dataset: str, schema_name: str, people_cap: int, server: str | None, vault_path: Path, root_spec: str
) -> None:
    """Make an empty dataset."""
    asked = chosen_server("vault_path", "root_spec")
    if asked is not None:
        with connected(asked) as client:
            client.datasets.create(dataset, schema=schema_name, people_cap=people_cap)
    else:
        organisation, name = parse_dataset_id(dataset)
        refuse_training([dataset])
        open_vault(vault_path, root_spec).add_dataset(organisation, name, load_schema(schema_name), people_cap)
    click.echo(f"made       {dataset}: people cap {people_cap:,}")


@command.command("status")
@server_option
@vault_option
@root_key_option
@dataset_option
@json_option
def status_command(server: str | None, vault_path: Path, root_spec: str, dataset_id: str | None, as_json: bool) -> None:
    """Say how a dataset stands, in exact numbers that are for its own organisation alone: people, records, consent, last days, and the files that were taken in."""
    asked = chosen_server("vault_path", "root_spec")
    if asked is not None:
        with connected(asked) as client:
            there = There.open(client, dataset_id)
            standing = asdict(client.statistics.standing(there.dataset))
            intakes = [asdict(each) for each in client.statistics.intakes(there.dataset)]
            standing["consent"] = {parse_purpose(each.pop("purpose")): each for each in standing["consent"]}
            name = there.dataset
    else:
        vault = open_vault(vault_path, root_spec)
        dataset = chosen_dataset(vault, dataset_id)
        with vault.database.transaction(writes=False) as connection:
            standing = asdict(dataset_standing(connection, dataset))
            intakes = [asdict(each) for each in taken_in(connection, dataset)]
        day = standing["next_last_day"]
        standing["next_last_day"] = None if day is None else day.isoformat()
        name = dataset.id
    if as_json:
        click.echo(json_text({**standing, "dataset": name, "intakes": intakes}))
        return
    click.echo("\n".join(_lines(name, standing, intakes)))


def _lines(name: str, standing: dict[str, object], intakes: list[dict[str, object]]) -> list[str]:
    consent = standing["consent"]
    assert isinstance(consent, dict)
    lines = [
        f"dataset    {name}: {standing['people']:,} people of at most {standing['people_cap']:,}, {standing['records']:,} records",
        f"corrected  {standing['replaced']:,} records; erased {standing['erased']:,} people",
    ]
    for purpose in PURPOSES:
        said = consent[purpose]
        lines.append(
            f"consent    {PURPOSE_LABELS[purpose]}: {said['given']:,} yes, {said['refused']:,} no, {said['never_asked']:,} not asked, so no"
        )
    soon = standing["next_last_day"]
    lines.append(
        f"kept       {standing['without_last_day']:,} without a last day, {standing['due']:,} past theirs"
        + ("" if soon is None else f"; the next is {one_line(str(soon))}")
    )
    lines += [
        f"taken in   {one_line(str(each['committed_at']))}: {each['records']:,} records, of which {each['replaced']:,} were corrected since"
        for each in intakes
    ]
    return [*lines, "these are exact numbers about real people: for your organisation alone"]
