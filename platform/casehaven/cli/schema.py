"""`casehaven schema`: list the shipped case schemas, show one, write its codebook, check a file of your own, and map records between schemas."""

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
    codebook,
    load_mapping,
    load_mapping_file,
    load_schema,
    markdown,
    page,
    parse_schema,
    quoted,
    read_schema_file,
    schema_faults,
    shipped_mapping_ids,
    shipped_schema_ids,
)

SHOWN_FAULTS = 200
"""`check` prints this many faults; `check --json` prints all."""


class UnknownAttributeError(CaseschemasError):
    """The schema has no attribute of the name that was asked for."""


class ExistingCodebookError(CaseschemasError):
    """A file of that name exists; it is only replaced on demand."""


@click.group("schema")
def command() -> None:
    """List, show, document and check case schemas, and map case records between them."""


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


@command.command("docs")
@click.argument("schema_id", metavar="ID")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write: .md or .html.  [default: Markdown on the screen]",
)
@click.option("--language", default="en", show_default=True, help="Language of labels and headings.")
@click.option("--replace", is_flag=True, help="Replace a file that exists.")
def docs(schema_id: str, output: Path | None, language: str, replace: bool) -> None:
    """Write a codebook: every attribute and value of the schema ID, what leaves the vault, and where it all comes from."""
    schema = load_schema(schema_id)
    own = schema_id in shipped_schema_ids()
    mappings = tuple(
        load_mapping(*mapping_id.split("_to_"))
        for mapping_id in shipped_mapping_ids()
        if own and mapping_id.startswith(f"{schema.id}_to_")
    )
    blocks = codebook(schema, language=language, mappings=mappings)
    if output is None:
        click.echo(markdown(blocks), nl=False)
        return
    suffix = output.suffix.lower()
    if suffix not in (".md", ".html"):
        raise click.BadParameter(
            f"suffix {output.suffix!r} is not written, expected .md or .html", param_hint="--output"
        )
    text = markdown(blocks) if suffix == ".md" else page(blocks, language=language)
    try:
        with output.open("w" if replace else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise ExistingCodebookError(f"{output}: exists already; nothing was written") from None
    click.echo(f"wrote {output}")


@command.command("map")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "source", help="Id of the schema of FILE.")
@click.option("--to", "target", help="Id of the schema of the new file.")
@click.option(
    "--mapping",
    "mapping_path",
    type=click.Path(path_type=Path),
    help="A mapping of your own, instead of --from and --to.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write: .csv or .parquet.",
)
@click.option("--replace", is_flag=True, help="Replace a file that exists.")
def map_records(
    file: Path, source: str | None, target: str | None, mapping_path: Path | None, output: Path, replace: bool
) -> None:
    """Write the case records of FILE in the columns of another schema. The new file holds case records, too: keep it as safe."""
    from casehaven.intake.mapping import map_file  # reads frames; the other commands need no such library

    if mapping_path is not None and source is None and target is None:
        mapping = load_mapping_file(mapping_path)
    elif mapping_path is None and source is not None and target is not None:
        mapping = load_mapping(source, target)
    else:
        raise click.UsageError("give --from and --to, or --mapping alone")
    map_file(file, mapping, output, replace=replace)
    click.echo(
        f"wrote {output} ({mapping.target.id} {mapping.target.version}, by mapping {mapping.id} {mapping.version})"
    )


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
