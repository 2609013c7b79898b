"""`casehaven schema`: list the shipped case schemas, show one, and check a file of your own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from caseschemas import (
    CaseSchema,
    CaseschemasError,
    Fault,
    SchemaAttribute,
    UnknownSchemaError,
    load_schema,
    parse_schema,
    quoted,
    read_schema_file,
    schema_faults,
    shipped_schema_ids,
)

SHOWN_FAULTS = 200
"""`check` prints this many faults; `check --json` prints all."""


class UnknownAttributeError(CaseschemasError):
    """The schema has no attribute of the name that was asked for."""


@click.group("schema")
def command() -> None:
    """List, show and check case schemas."""


@command.command("list")
def list_schemas() -> None:
    """List the schemas that come with Casehaven."""
    schemas = [load_schema(schema_id) for schema_id in shipped_schema_ids()]
    click.echo("\n".join(_table(("schema", "version", "columns", "title"), (_listed(schema) for schema in schemas))))


@command.command("show")
@click.argument("schema_id", metavar="ID")
@click.option("--attribute", "name", help="Show the list of values of one attribute.")
@click.option("--language", default="en", show_default=True, help="Language of the labels.")
@click.option("--json", "as_json", is_flag=True, help="The whole schema as one self-contained document, for programs.")
def show(schema_id: str, name: str | None, language: str, as_json: bool) -> None:
    """Show a schema: ID is the name of a shipped one or the path of a file."""
    try:
        schema = load_schema(schema_id)
    except UnknownSchemaError as error:
        error.add_note("see the shipped schemas with `casehaven schema list`, or give the path of a file")
        raise
    if as_json:
        click.echo(json.dumps(schema.document(), ensure_ascii=False, indent=2))
    elif name is None:
        click.echo("\n".join(_overview(schema, language)))
    else:
        click.echo("\n".join(_attribute(_named(schema, name), language)))


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Every fault, for programs.")
@click.pass_context
def check(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Check a schema file and explain every fault with its place. Ends with exit code 1 if there is any."""
    try:
        unverified_document = read_schema_file(file)
    except UnknownSchemaError as error:
        error.add_note("check the path and its permissions")
        raise
    faults = schema_faults(unverified_document)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(fault) for fault in faults], ensure_ascii=True, indent=2))
    elif faults:
        click.echo("\n".join(_explained(file, faults)))
    else:
        schema = parse_schema(unverified_document)
        counted = f"{_count(len(schema.attributes), 'attribute')}, {len(schema.analysis)} for analysis"
        click.echo(f"{file}: no faults ({schema.id} {schema.version}: {counted})")
    ctx.exit(1 if faults else 0)


def _listed(schema: CaseSchema) -> tuple[str, ...]:
    return schema.id, schema.version, str(len(schema.analysis)), schema.title.text("en")


def _explained(file: Path, faults: Sequence[Fault]) -> Iterator[str]:
    yield f"{file}: {_count(len(faults), 'fault')}"
    for fault in faults[:SHOWN_FAULTS]:
        yield ""
        yield f"line {fault.line}, {quoted(fault.pointer)[1:-1] or 'the document'}  [{fault.code}]"
        yield f"  found     {fault.found}"
        yield f"  expected  {fault.expected}"
        yield f"  do        {fault.advice}"
    if len(faults) > SHOWN_FAULTS:
        yield ""
        yield f"and {len(faults) - SHOWN_FAULTS} more; correct these first"


def _overview(schema: CaseSchema, language: str) -> Iterator[str]:
    yield f"{schema.id} {schema.version}: {schema.title.text(language)}"
    if schema.description:
        yield schema.description.text(language)
    yield f"digest: {schema.digest()}"
    reviewed = (f"{entry.code} ({'reviewed' if entry.reviewed else 'not reviewed'})" for entry in schema.languages)
    yield "languages: " + ", ".join(reviewed)
    yield f"person key: {schema.person_key or 'none; one row has to be declared one person'}"
    block = schema.block
    yield "blocks: " + ("none" if block is None else f"{block.granularity} of first registration, {block.attribute}")
    yield "consent: " + (", ".join(f"{purpose} in {name}" for purpose, name in schema.consent.items()) or "none")
    yield ""
    rows = (
        (
            attribute.name,
            attribute.kind,
            attribute.role,
            str(len(attribute.values) or "-"),
            attribute.merge or "-",
            attribute.labels.text(language),
        )
        for attribute in schema.attributes
    )
    yield from _table(("attribute", "kind", "role", "values", "merge", "label"), rows)
    if schema.groups:
        yield ""
        yield "groups (percent of those who answered)"
        for group in schema.groups:
            yield f"  {group.name}: {', '.join(group.members)}"
    if schema.hierarchies:
        yield ""
        yield "hierarchies"
        for hierarchy in schema.hierarchies:
            yield f"  {hierarchy.name}: {hierarchy.attribute} in {_count(len(hierarchy.parents), 'coarser value')}"
    if schema.logic:
        yield ""
        yield "logic"
        for rule in schema.logic:
            condition = f"{rule.only_with.attribute} is {' or '.join(map(quoted, rule.only_with.codes))}"
            yield f"  {', '.join(rule.attributes)}: only where {condition}"


def _attribute(attribute: SchemaAttribute, language: str) -> Iterator[str]:
    yield f"{attribute.name} ({attribute.kind}, {attribute.role}): {attribute.labels.text(language)}"
    if attribute.description:
        yield attribute.description.text(language)
    if not attribute.values:
        yield "no list of values; never leaves the vault"
        return
    yield f"merge rule: {attribute.merge}; a cell outside the list becomes {quoted(attribute.outside)}"
    yield ""
    rows = (
        (quoted(value.code), value.missing or "-", value.labels.text(language), ", ".join(value.synonyms))
        for value in attribute.values
    )
    yield from _table(("code", "missing", "label", "synonyms"), rows)


def _named(schema: CaseSchema, name: str) -> SchemaAttribute:
    for attribute in schema.attributes:
        if attribute.name == name:
            return attribute
    error = UnknownAttributeError(f"schema {schema.id} has no attribute {quoted(name)}")
    error.add_note(f"see its attributes with `casehaven schema show {schema.id}`")
    raise error


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Columns under their heads; the last one is not padded."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head) - 1)]
    for row in table:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
