"""`casehaven compare`: two releases side by side, with intervals, and which changes are real."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from casehaven.cli.keys import load_trust_store, trust_option
from casehaven.cli.verify import advising_how_to_trust
from casehaven.errors import CasehavenError
from casehaven.releases.comparison import (
    Change,
    Comparison,
    caveats,
    check_comparable,
    compare,
    comparison_facts,
    ends,
    page,
    summary,
    verdict,
)
from casehaven.releases.published import ReleaseFacts, open_release, verified_facts
from casesynth._files import write_whole
from casesynth.report.markup import visible
from casesynth.report.words import SPACE, Estimate, cut

_LABEL = 60
_NUMBER = 24
_DIFFERENCE = 28


class ExistingPageError(CasehavenError):
    """A file is where the page should go, and nobody said that it may be replaced."""


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option(
    "--schema", "schema_name", help="Id of a shipped schema, or a schema file.  [default: as the bundles say]"
)
@click.option(
    "--pairs", type=click.IntRange(min=0), default=20, show_default=True, help="Pairs of values to name at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document, for programs.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML page as well.")
@click.option("--replace", is_flag=True, help="Replace a page that is there.")
@trust_option
def command(
    first: Path,
    second: Path,
    schema_name: str | None,
    pairs: int,
    as_json: bool,
    output: Path | None,
    replace: bool,
    trust_path: Path,
) -> None:
    """Set two release bundles side by side: the FIRST, usually the earlier one, and the SECOND.

    Both are verified first. They must describe people by the same attributes and values. Differences stand with 95 % intervals, and
    a change is called real only when chance does not explain it although many were looked at.
    """
    if output is not None and not replace and (output.exists() or output.is_symlink()):
        raise ExistingPageError(f"{output} is there already")
    ends = [_verified(bundle, trust_path) for bundle in (first, second)]
    check_comparable(*ends)
    one, other = (open_release(facts, schema_name) for facts in ends)
    comparison = compare(one, other, pairs=pairs)
    if output is not None:
        write_whole(output, page(comparison).encode(), mode=0o644, replace=replace)
    if as_json:
        click.echo(json.dumps(comparison_facts(comparison), ensure_ascii=False, indent=2))
    else:
        _print(comparison)
    if output is not None:
        click.echo(f"wrote {output}", err=True)


def _verified(bundle: Path, trust_path: Path) -> ReleaseFacts:
    with advising_how_to_trust(bundle, trust_path):
        return verified_facts(bundle, load_trust_store(trust_path))


def _print(comparison: Comparison) -> None:
    for name, facts in (("first", comparison.first), ("second", comparison.second)):
        click.echo(f"{name:<8} {visible(facts.title)}, {facts.created}, {facts.protection}")
    if comparison.first.created > comparison.second.created:
        click.echo("note: the first release is the later one; a rise is a rise from later to earlier", err=True)
    click.echo()
    for line in summary(comparison):
        click.echo(visible(line.replace(SPACE, " ")))
    _print_rows("value", comparison, (comparison.people, *comparison.values))
    click.echo(f"\n{comparison.pairs_compared:,} pairs of values compared, {comparison.pairs_real:,} changed for real")
    if comparison.pairs:
        _print_rows("pair", comparison, comparison.pairs)
    click.echo()
    for caveat in caveats(comparison):
        click.echo(f"{caveat.head} {caveat.text}")


def _print_rows(kind: str, comparison: Comparison, rows: Sequence[Change]) -> None:
    label = min(max(len(visible(change.label)) for change in rows), _LABEL)
    heads = (f"first ({comparison.first.created})", f"second ({comparison.second.created})", "difference")
    click.echo(f"\n{kind:<{label}} {heads[0]:>{_NUMBER}} {heads[1]:>{_NUMBER}} {heads[2]:>{_DIFFERENCE}}  verdict")
    for change in rows:
        middle, low, high = ends(change)
        difference = f"{middle} ({low} to {high})" if change.shown else "hidden"
        click.echo(
            f"{cut(visible(change.label), label):<{label}} {_number(change.first):>{_NUMBER}} {_number(change.second):>{_NUMBER}} "
            f"{difference:>{_DIFFERENCE}}  {verdict(change)}"
        )


def _number(estimate: Estimate) -> str:
    return f"{estimate} ({estimate.interval})" if estimate.shown else "hidden"
