"""`casehaven quote`: what a question would cost, before it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from casehaven.cli._answer_screen import quote_lines
from casehaven.cli._queries import HERE, named, opened_queries, source_options
from casehaven.cli._question import question_document, question_options
from casehaven.cli._server import chosen_server, connected, schema_of
from casehaven.client import Quote
from casehaven.client.plain_text import json_text
from casehaven.client.questions import read_quote


@click.command("quote")
@source_options
@question_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document, for programs.")
def command(
    sources: tuple[str, ...],
    tokens_are: Literal["shared", "separate"],
    analyst: str | None,
    server: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what a question would cost and how exact its answer would be. Reads no record and charges nothing."""
    asked = chosen_server(*HERE)
    if asked is None:
        found = _here(sources, tokens_are, analyst, vault_path, root_spec, path, options)
    else:
        with connected(asked) as client:
            datasets = named(sources)
            document = question_document(schema_of(client, datasets), options)
            found = client.queries.quote(datasets, document, person_tokens=tokens_are)
    if as_json:
        click.echo(json_text(found.document))
        return
    for line in quote_lines(found):
        click.echo(line)


def _here(
    sources: tuple[str, ...],
    tokens_are: Literal["shared", "separate"],
    analyst: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    options: dict[str, Any],
) -> Quote:
    from casehaven.queries.quoted import quote_document

    queries = opened_queries(sources, tokens_are, analyst, vault_path, root_spec, path)
    question = queries.parse(question_document(lambda: queries.facts.schema, options))
    return read_quote(quote_document(queries, question, queries.quote(question)))
