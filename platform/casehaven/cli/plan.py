"""`casehaven plan`: what a release would be worth, from public facts only. It opens no record, no vault and no ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from casehaven.blocks import parse_blocks
from casehaven.cli._registered import parse_registered, registered_option
from casehaven.errors import CasehavenError
from casehaven.plan_document import plan_document
from caseschemas import load_schema
from casesynth._files import write_whole
from casesynth.domain import Domain
from casesynth.feasibility import (
    Feasibility,
    Suggestion,
    YearsOutlook,
    feasibility,
    feasibility_html,
    suggestions,
    years_outlook,
)
from casesynth.feasibility.advice import SIZE
from casesynth.feasibility.page import summary, years_sentences
from casesynth.named import named_tables
from casesynth.notes import registered_words
from casesynth.plan import ReleasePlan
from casesynth.report.precision import LENGTH_NAMES

_BAR = 40
"""Characters of the longest bar."""


class PlanOptionsError(CasehavenError):
    """Options of a plan that contradict each other."""


class ExistingPageError(CasehavenError):
    """A page would replace a file."""


@click.command("plan")
@click.option("--schema", "schema_name", required=True, help="Id of a shipped schema, or a schema file.")
@click.option("--people-cap", type=int, required=True, help="Public bound on the number of people.")
@click.option("--people", type=int, help="About how many people there are.  [default: the people cap]")
@registered_option
@click.option("--epsilon", type=float, required=True, help="Privacy loss for one person token, 0.001 to 100.")
@click.option("--delta", type=float, help="Default: the smaller of 1e-6 and 1 / (10 people cap).")
@click.option("--tokens", type=int, default=1, show_default=True, help="How many person tokens one person may have.")
@click.option("--cap-epsilon", type=float, help="The most that one person token may lose in all; of the ledger.")
@click.option("--years", type=int, default=5, show_default=True, help="How long the cap is to last.")
@click.option(
    "--releases-per-year", type=int, default=1, show_default=True, help="Releases of the same people in a year."
)
@click.option("--json", "as_json", is_flag=True, help="Everything as one document, for programs.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML page with plots as well."
)
@click.option("--replace", is_flag=True, help="Replace a page that is there.")
def command(
    schema_name: str,
    people_cap: int,
    people: int | None,
    registered: tuple[str, ...],
    epsilon: float,
    delta: float | None,
    tokens: int,
    cap_epsilon: float | None,
    years: int,
    releases_per_year: int,
    as_json: bool,
    out: Path | None,
    replace: bool,
) -> None:
    """Say what a release would be worth before anything is charged or opened.

    Everything follows from the schema, the people cap and the budget. No record is read: --people is a figure that you know, such as that of your yearly report.
    """
    if people is not None and not 1 <= people <= people_cap:
        raise PlanOptionsError(f"--people must be from 1 to the people cap of {people_cap}, got {people}")
    if out is not None and not replace and (out.exists() or out.is_symlink()):
        raise ExistingPageError(f"{out} is there already")
    schema = load_schema(schema_name)
    blocks = parse_blocks(schema, parse_registered(registered)) if registered else ()
    named = named_tables(schema)
    plan = ReleasePlan.make(
        Domain.from_schema(schema),
        epsilon=epsilon,
        people_cap=people_cap,
        delta=delta,
        max_tokens_per_person=tokens,
        tables=named.tables,
        table_share=named.share,
    )
    found = feasibility(plan, people or people_cap)
    helpful = suggestions(found)
    outlook = None
    if cap_epsilon is not None:
        outlook = years_outlook(
            nano_rho=plan.loss.nano_rho,
            epsilon=plan.epsilon,
            delta=plan.delta,
            cap_epsilon=cap_epsilon,
            years=years,
            releases_per_year=releases_per_year,
        )
    if as_json:
        click.echo(json.dumps(plan_document(found, helpful, outlook, blocks), indent=2))
    else:
        click.echo("\n".join(_lines(found, helpful, outlook, blocks)))
    if out is not None:
        write_whole(out, feasibility_html(found, helpful, outlook).encode(), mode=0o644, replace=replace)
        click.echo(f"wrote      {out}", err=as_json)


def _lines(
    found: Feasibility, helpful: Sequence[Suggestion], outlook: YearsOutlook | None, blocks: Sequence[str]
) -> Iterator[str]:
    plan = found.plan
    yield f"plan       {plan.domain.source}, about {found.people:,} people, epsilon {plan.epsilon:g}, delta {plan.delta:.2g} for one person token"
    if plan.max_tokens_per_person > 1:
        yield f"           epsilon {plan.epsilon_per_person:.2f} for a person behind {plan.max_tokens_per_person} person tokens"
    if blocks:
        yield f"charged    people first registered in {registered_words(blocks)} alone: --people is how many they are; the budget of people of other years stays as it is"
    yield f"measured   {len(plan.tables):,} tables with {plan.cells:,} noisy numbers"
    for sentence in summary(found):
        yield f"in short   {sentence}"
    yield ""
    yield "how far off 19 of 20 estimates are at most, in people"
    names = LENGTH_NAMES[: len(found.lengths)]
    yield "a count of  " + "".join(f"{name:>14}" for name in names)
    for size, _ in found.lengths[0].errors:
        yield f"{size:>10,}  " + "".join(f"{each.error(size):>14.0f}" for each in found.lengths)
    yield ""
    longest = max(min(each.error(SIZE), SIZE) for each in found.lengths)
    yield f"a count of {SIZE} people is off by"
    for name, each in zip(names, found.lengths, strict=True):
        error = each.error(SIZE)
        bar = "#" * max(round(_BAR * min(error, SIZE) / longest), 1)
        yield f"{name:<14} {bar:<{_BAR}} {error:.0f}" + ("  drowned" if error >= SIZE else "")
    yield ""
    yield "shown, at an estimate of at least 10 and an interval above 1"
    for name, each in zip(names, found.lengths, strict=True):
        share = f"about {each.share_shown:.0%} of those with 10 and more people" if each.share_shown else "hardly any"
        yield f"{name:<14} from about {each.shown_from:,} people on, {share}"
    if outlook is not None:
        yield ""
        for sentence in years_sentences(outlook):
            yield f"cap        {sentence}"
        yield "           " + ", ".join(f"{number:,} of epsilon {epsilon:g}" for epsilon, number in outlook.table)
    yield ""
    yield "what would help, each by itself: how much smaller the error is in parts of the count, and from how many people on combinations are shown"
    for change in helpful:
        yield f"{1 - change.ratio:>5.0%} smaller, from {change.shown_from[-1]:,}: {change.text}"
