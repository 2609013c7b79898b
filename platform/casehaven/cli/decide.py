"""`casehaven decide`: publish or withhold a drawn release, for good, and say so in the ledger and in a signed file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from casehaven.cli._ledger import ledger_option
from casehaven.cli.keys import key_option, load_signing_key
from casehaven.ledger import DecisionKind, Ledger
from casehaven.releases.decision import decide_release, decision_path


@click.command("decide")
@click.argument("decision", type=click.Choice(["publish", "withhold"]))
@click.argument("bundle", type=click.Path(path_type=Path))
@ledger_option
@key_option
def command(decision: Literal["publish", "withhold"], bundle: Path, path: Path, key_path: Path) -> None:
    """Decide whether a drawn release is published or withheld. The decision is final.

    Decide from public facts and from what the release says of itself: its report, intervals and residual. The private report (`casehaven evaluate`) opens afterwards.
    """
    kind = DecisionKind.PUBLISHED if decision == "publish" else DecisionKind.WITHHELD
    made = decide_release(bundle, Ledger.open(path), load_signing_key(key_path), kind)
    click.echo(f"decided    {kind.value}: {bundle}")
    if made.used_private_data:
        click.echo("mark       the decision used private data: not covered; the bundle and the ledger say so for good")
    click.echo(f"wrote      {decision_path(bundle)}, signed")
