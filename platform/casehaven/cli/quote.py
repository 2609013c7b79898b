"""`casehaven quote`: what a question would cost, before it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import click

from casehaven.cli._queries import opened_queries, source_options
from casehaven.cli._question import UNKNOWN, question_document, question_options


@click.command("quote")
@source_options
@question_options
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document, for programs.")
def command(
    sources: tuple[str, ...],
    tokens_are: Literal["shared", "separate"],
    analyst: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what a question would cost and how exact its answer would be. Reads no record and charges nothing."""
    queries = opened_queries(sources, tokens_are, analyst, vault_path, root_spec, path)
    question = queries.parse(question_document(queries.facts.schema, options))
    found = queries.quote(question)
    plan = found.plan
    nano_rho = 0 if found.free else plan.nano_rho
    epsilon, person = (0.0, 0.0) if found.free else (plan.epsilon, plan.epsilon_per_person)
    if as_json:
        stated = {
            "format": "casehaven-quote/1",
            "question": question.canonical,
            "nano_rho": nano_rho,
            "epsilon": epsilon,
            "delta": plan.delta,
            "epsilon_per_person": person,
            "within": plan.within,
            "cells": sum(table.cells for table in plan.tables),
            "free": found.free,
            "earlier_tables": found.earlier_tables,
            "alone_nano_rho": found.alone_nano_rho,
            "asked_on": list(found.asked_on),
            "registered": list(queries.facts.charged(question)),
            "allowances": [[state.dataset, state.left_nano_rho] for state in found.allowances],
        }
        click.echo(json.dumps(stated, ensure_ascii=False, indent=2))
        return
    if found.free:
        click.echo(
            f"price      nothing: {'a stored answer is as exact' if found.free == 'stored' else 'it follows from earlier answers'}"
        )
    else:
        click.echo(
            f"price      epsilon {epsilon:.4g} at delta {plan.delta:.2g} for one person token ({nano_rho / 1e9:.9f} rho)"
        )
        if plan.tokens > 1:
            click.echo(f"           epsilon {person:.4g} for a person behind {plan.tokens} tokens")
    click.echo(f"accuracy   every count within {plan.within:,.1f} {question.counted}, 95 times in 100")
    if not found.free:
        click.echo(
            f"cells      {sum(table.cells for table in plan.tables):,} noisy cells in {len(plan.tables):,} tables"
        )
    if found.earlier_tables:
        click.echo(
            f"earlier    {found.earlier_tables:,} noisy tables that are paid for help; without them {found.alone_nano_rho / 1e9:.9f} rho"
        )
    if not found.free and question.registered is not None:
        years = ", ".join(year or UNKNOWN for year in question.registered)
        click.echo(f"charged    people first registered in {years}; nobody else is counted")
    if found.asked_on and found.free != "stored":
        day = found.asked_on[0]
        click.echo(
            f"asked      on {day}: free as of that day with `casehaven ask --as-of {day}`; the price is for a new count today"
        )
    for state in found.allowances:
        left = "no limit" if state.left_nano_rho is None else f"{state.left_nano_rho / 1e9:.9f} rho left"
        click.echo(f"allowance  {state.dataset}: {left}")
    click.echo("a quote fixes price and accuracy; it reserves nothing")
