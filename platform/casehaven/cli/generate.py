"""``casehaven generate``: made-up case records to try things with."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import click

from casehaven.generate.dialects import DIALECTS, Defect, write_dialect
from casehaven.generate.errors import ExistingFileError, OutputError, RequestError
from casehaven.generate.files import SUFFIXES, write_records
from casehaven.generate.records import LARGEST_ORGANISATIONS, LARGEST_PEOPLE
from caseschemas import load_schema

__all__ = ["command"]


def _known_suffix(context: click.Context, parameter: click.Parameter, value: Path) -> Path:
    known = SUFFIXES if not context.params.get("dialect") else DIALECTS[context.params["dialect"]].suffixes
    if value.suffix.lower() not in known:
        raise click.BadParameter(f"suffix {value.suffix!r} is not written, expected one of {', '.join(known)}")
    return value


@click.command("generate")
@click.option(
    "--schema",
    "schema_name",
    default="ctdc-global",
    show_default=True,
    help="Id of a shipped schema, or a schema file.",
)
@click.option(
    "--people", type=click.IntRange(0, LARGEST_PEOPLE), required=True, help="Number of people, over all files."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed gives the same records."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_known_suffix,
    required=True,
    help="File to write: .csv or .parquet, or what the dialect is written to.",
)
@click.option(
    "--dialect",
    type=click.Choice([*DIALECTS]),
    is_eager=True,
    help="Write one file as this tool exports it.",
)
@click.option(
    "--template",
    type=click.Path(dir_okay=False, path_type=Path),
    help="IOM's own file, for the dialects htcds-template and htcds-xlsform.",
)
@click.option("--password", help="Password of the file, for the dialect primero-zip; it protects nothing real.")
@click.option("--language", help="Language of labels, where the dialect has some to choose from.")
@click.option(
    "--defect",
    "defects",
    multiple=True,
    type=click.Choice([one.value for one in Defect]),
    help="How the file goes wrong; more than once.",
)
@click.option(
    "--organisations",
    type=click.IntRange(1, LARGEST_ORGANISATIONS),
    help="Write one file per organisation (stem-1, stem-2, ...); 5 to 10 % of the people are known to two of them.",
)
@click.option("--replace", is_flag=True, help="Replace files that exist.")
def command(
    schema_name: str,
    people: int,
    seed: int,
    output: Path,
    dialect: str | None,
    template: Path | None,
    password: str | None,
    language: str | None,
    defects: tuple[str, ...],
    organisations: int | None,
    replace: bool,
) -> None:
    """Write made-up case records for a schema. No real person is behind any of them."""
    schema = load_schema(schema_name)
    if dialect is None and (template or password or language or defects):
        raise RequestError("--template, --password, --language and --defect describe a --dialect; none was named")
    if dialect is not None:
        if organisations is not None:
            raise RequestError("a dialect is one file of one organisation; leave --organisations away")
        try:
            write_dialect(
                dialect,
                schema,
                people,
                seed,
                output,
                template=template,
                password=password,
                language=language,
                defects=frozenset(map(Defect, defects)),
                replace_existing=replace,
            )
        except ExistingFileError as error:
            error.add_note("name another file, or add --replace if the old one may go")
            raise
        click.echo(f"wrote {output}")
        return
    with click.progressbar(length=people, label="making people up", file=sys.stderr) as bar:
        try:
            paths = write_records(
                schema, people, seed, output, organisations=organisations, replace=replace, progress=bar.update
            )
        except ExistingFileError as error:
            error.add_note("name another file, or add --replace if the old one may go")
            raise
        except OutputError as error:
            full = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT)
            error.add_note(
                "free some space on the disk" if full else "check that the folder exists and may be written to"
            )
            raise
    for path in paths:
        click.echo(f"wrote {path}")
