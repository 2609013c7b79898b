"""`casehaven quote`: what a question would cost, before it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from casehaven.cli._answer_screen import quote_lines
from casehaven.cli._queries import HERE, opened_queries, refuse_agreement, source_options, target
from casehaven.cli._question import question_document, question_options
from casehaven.cli._server import chosen_server, connected
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
    agreement: str | None,
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
        refuse_agreement(agreement)
        found = _here(sources, tokens_are, analyst, vault_path, root_spec, path, options)
    else:
        with connected(asked) as client:
            about, schema = target(client, sources, tokens_are, agreement)
            found = client.queries.quote(document=question_document(schema, options), **about)
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
