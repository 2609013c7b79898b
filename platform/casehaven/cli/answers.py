"""`casehaven answers`: what was asked before, to be shown again at no charge."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from casehaven.cli._answer_screen import answer_lines, guarantee_lines
from casehaven.cli._queries import HERE, named, opened_queries, refuse_agreement, source_options
from casehaven.cli._server import chosen_server, connected
from casehaven.client import Answer
from casehaven.client.answers import read_answer
from casehaven.client.plain_text import json_text, one_line


@click.command("answers")
@source_options
@click.option("--show", "number", type=int, metavar="N", help="Show the answer with this number, all of it.")
@click.option("--all", "every_day", is_flag=True, help="Those of earlier days as well, whatever changed since.")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON, for programs.")
def command(
    sources: tuple[str, ...],
    tokens_are: Literal["shared", "separate"],
    analyst: str | None,
    agreement: str | None,
    server: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    number: int | None,
    every_day: bool,
    as_json: bool,
) -> None:
    """List the stored answers about datasets, or under an agreement, of today or of every day. Costs nothing, and does not say who asked."""
    asked = chosen_server(*HERE)
    found: tuple[Answer, ...]
    if asked is None:
        refuse_agreement(agreement)
        from casehaven.queries import shown_answer

        queries = opened_queries(sources, tokens_are, analyst, vault_path, root_spec, path)
        found = tuple(read_answer(shown_answer(stored)) for stored in queries.answers(every_day=every_day))
    elif agreement is not None:
        if sources:
            raise click.UsageError("an agreement names its datasets itself: leave --from away")
        with connected(asked) as client:
            found = client.answers.list(agreement=agreement, every_day=every_day)
    else:
        datasets = named(sources)
        if len(datasets) > 1:
            raise click.UsageError("a server lists the answers about one dataset at a time")
        with connected(asked) as client:
            found = client.answers.list(datasets[0], every_day=every_day)
    if number is not None:
        if not 1 <= number <= len(found):
            raise click.UsageError(f"there are {len(found)} stored answers, numbered from 1")
        answer = found[number - 1]
        if as_json:
            click.echo(json_text(answer.document))
            return
        for line in (*answer_lines(answer.document["rows"]), "", *guarantee_lines(answer.document)):
            click.echo(line)
        return
    if as_json:
        click.echo(json_text([answer.document for answer in found]))
        return
    if not found:
        what = "under this agreement" if agreement else "about these datasets"
        click.echo(f"no answer is stored {what}" + ("" if every_day else " today; --all lists earlier days"))
    for place, answer in enumerate(found, start=1):
        about = _about(answer.document["question"])
        click.echo(f"{place:>3}  {one_line(answer.day, 10)}  within {answer.within:,.1f}  {about}")


def _about(question: dict[str, Any]) -> str:
    """Return a canonical question in a few words."""
    by = ", ".join(_axis(axis) for axis in question.get("by", [])) or "one number"
    show = question.get("show", "counts")
    kind = (
        show
        if isinstance(show, str)
        else next((word for word in ("mean", "quantiles", "changes") if word in show), "?")
    )
    some = "" if question.get("where") == {"all": []} else ", under a condition"
    return one_line(f"{kind} by {by}{some}")


def _axis(axis: Any) -> str:
    return str(axis.get("attribute") or axis.get("facts")) if isinstance(axis, dict) else str(axis)
