"""`casehaven answers`: what was asked before, to be shown again at no charge."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click

from casehaven.cli._queries import opened_queries, source_options
from casehaven.queries.screen import answer_lines, guarantee_lines


@click.command("answers")
@source_options
@click.option("--show", "number", type=int, metavar="N", help="Show the answer with this number, all of it.")
@click.option("--all", "every_day", is_flag=True, help="Those of earlier days as well, whatever changed since.")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON, for programs.")
def command(
    sources: tuple[str, ...],
    tokens_are: Literal["shared", "separate"],
    analyst: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    number: int | None,
    every_day: bool,
    as_json: bool,
) -> None:
    """List the stored answers about datasets, of today or of every day. Costs nothing, and does not say who asked."""
    from casehaven.queries import shown_answer

    queries = opened_queries(sources, tokens_are, analyst, vault_path, root_spec, path)
    found = queries.answers(every_day=every_day)
    if number is not None:
        if not 1 <= number <= len(found):
            raise click.UsageError(f"there are {len(found)} stored answers, numbered from 1")
        answer = shown_answer(found[number - 1])
        if as_json:
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
            return
        for line in (*answer_lines(answer["rows"]), "", *guarantee_lines(answer)):
            click.echo(line)
        return
    answers = [shown_answer(stored) for stored in found]
    if as_json:
        click.echo(json.dumps(answers, ensure_ascii=False, indent=2))
        return
    if not found:
        click.echo(
            "no answer is stored about these datasets" + ("" if every_day else " today; --all lists earlier days")
        )
    for place, (stored, answer) in enumerate(zip(found, answers, strict=True), start=1):
        day = datetime.fromtimestamp(stored.stored_at, UTC).date().isoformat()
        click.echo(f"{place:>3}  {day}  within {answer['within']:,.1f}  {_about(answer['question'])}")


def _about(question: dict[str, Any]) -> str:
    by = ", ".join(axis.get("attribute") or axis.get("facts") for axis in question["by"]) or "one number"
    show = question["show"]
    kind = show if isinstance(show, str) else next(word for word in ("mean", "quantiles", "changes") if word in show)
    some = "" if question["where"] == {"all": []} else ", under a condition"
    return f"{kind} by {by}{some}"
