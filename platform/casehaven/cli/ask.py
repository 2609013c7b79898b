"""`casehaven ask`: the answer to a question, charged first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click

from casehaven.cli._answer_screen import answer_lines, guarantee_lines
from casehaven.cli._queries import HERE, opened_queries, refuse_agreement, source_options, target
from casehaven.cli._question import QuestionOptionsError, question_document, question_options
from casehaven.cli._server import chosen_server, connected, job_progress
from casehaven.cli.keys import load_trust_store, trust_option
from casehaven.client import Answer, new_key
from casehaven.client.answers import NANO, read_answer
from casehaven.client.plain_text import json_text, one_line


@click.command("ask")
@source_options
@question_options
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, file_okay=False),
    help="Ask a released bundle in place of a vault: it costs nothing.",
)
@click.option(
    "--schema", "schema_name", help="Of the bundle: id of a shipped schema, or a file.  [default: as the bundle says]"
)
@trust_option
@click.option(
    "--as-of",
    metavar="DAY",
    help="Show what was stored on this day (UTC, such as 2026-03-01). It costs nothing, and nobody is counted.",
)
@click.option("--open-accounts", is_flag=True, help="The datasets are new to this ledger: open their accounts.")
@click.option(
    "--idempotency-key", "request", help="The key of an attempt that did not finish: try again at no further charge."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as `casehaven-answer/1`, for programs.")
def command(
    sources: tuple[str, ...],
    tokens_are: Literal["shared", "separate"],
    analyst: str | None,
    agreement: str | None,
    server: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    bundle: Path | None,
    schema_name: str | None,
    trust_path: Path,
    as_of: str | None,
    open_accounts: bool,
    request: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask datasets of the vault a question, or a released bundle.

    The charge is committed to the ledger before a record is opened, and it stands whatever happens after. Counted are people whose latest consent to
    pooled statistics is a yes. Every count gets noise; what is shown has a 95 % interval.
    """
    if bundle is not None:
        if sources or agreement or request or as_of:
            raise QuestionOptionsError(
                "a bundle is asked by itself: leave --from, --agreement, --as-of and --idempotency-key away"
            )
        _ask_bundle(bundle, schema_name, trust_path, options, as_json)
        return
    asked = chosen_server(*HERE, "bundle", "schema_name", "open_accounts")
    if asked is not None:
        _say(_ask_server(asked, sources, tokens_are, agreement, request, as_of, options), as_json, as_of)
        return
    refuse_agreement(agreement)
    from casehaven.ledger import IdempotencyKey

    queries = opened_queries(sources, tokens_are, analyst, vault_path, root_spec, path)
    question = queries.parse(question_document(lambda: queries.facts.schema, options))
    if open_accounts:
        for dataset in queries.facts.datasets:
            queries.ledger.open_dataset(dataset.id, queries.facts.blocks, vault_id=queries.facts.vault_id)
    key = IdempotencyKey.create() if request is None else IdempotencyKey(text=request)
    if as_of is None:
        _say_key(key.text)
    found = queries.ask(question, key, as_of=as_of)
    charged = None if found.charged is None else found.charged.nano_rho
    _say(read_answer(found.answer, charged_nano_rho=charged, free=found.free), as_json, as_of)


def _ask_server(
    server: str,
    sources: tuple[str, ...],
    tokens_are: str,
    agreement: str | None,
    request: str | None,
    as_of: str | None,
    options: dict[str, Any],
) -> Answer:
    with connected(server) as client:
        about, schema = target(client, sources, tokens_are, agreement)
        document = question_document(schema, options)
        key = new_key() if request is None else request
        if as_of is None:
            _say_key(key)
        with job_progress() as progress:
            return client.queries.ask(document=document, as_of=as_of, key=key, progress=progress, **about)


def _say_key(key: str) -> None:
    click.echo(f"request    {key} (to finish it after a crash: --idempotency-key {key})", err=True)


def _say(found: Answer, as_json: bool, as_of: str | None) -> None:
    _show(found.document, as_json)
    if as_json:
        return
    if found.charged_nano_rho is None:
        click.echo(f"charge     none: {_FREE.get(found.free or '', one_line(found.free or ''))}")
        if as_of is not None:
            click.echo(f"counted    people as they were on {one_line(found.day)}")
    else:
        click.echo(f"charge     {found.charged_nano_rho / NANO:.9f} rho for one person token")
    for line in guarantee_lines(found.document):
        click.echo(line)


_FREE = {
    "stored": "this was asked before, and the answer is stored",
    "from earlier answers": "it follows from answers that are paid for",
    "asked before under this key": "this request was answered before",
}


def _show(answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json_text(answer))
        return
    for line in answer_lines(answer["rows"]):
        click.echo(line)
    click.echo()


def _ask_bundle(
    bundle: Path, schema_name: str | None, trust_path: Path, options: dict[str, Any], as_json: bool
) -> None:
    from casehaven.cli.verify import advising_how_to_trust
    from casehaven.releases.published import open_release, verified_facts
    from casehaven.releases.questions import released_rows
    from casehaven.schema_questions import parsed_question
    from casesynth.answers.document import row_document

    with advising_how_to_trust(bundle, trust_path):
        facts = verified_facts(bundle, load_trust_store(trust_path))
    release = open_release(facts, schema_name)
    document = question_document(lambda: release.schema, {**options, "within": options["within"] or 1.0})
    question = parsed_question(document, release.schema, release.estimates.domain)
    rows = [row_document(row) for row in released_rows(question, release)]
    answer = {"format": "casehaven-answer/1", "question": question.canonical, "bundle": facts.citation, "rows": rows}
    _show(answer, as_json)
    if not as_json:
        click.echo("charge     none: the release is published, and was paid for when it was made")
        click.echo(f"source     {facts.citation}")
