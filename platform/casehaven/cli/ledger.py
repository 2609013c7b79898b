"""`casehaven ledger`: create the ledger, show what has been spent, and look after its anchor."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import click

from casehaven.cli._approvers import approver_option, approvers_named
from casehaven.cli._budget_server import show_ledger
from casehaven.cli._ledger import ledger_option
from casehaven.cli._server import chosen_server, connected, server_option
from casehaven.cli.keys import trust_option
from casehaven.ledger import (
    BudgetPolicy,
    Ledger,
    LedgerPolicy,
    Odometer,
    ReleaseDecision,
    Statement,
    StatementRaise,
    StatementRow,
)
from casehaven.ledger.anchoring import default_place
from casehaven.ledger.backup import drill, write_backup


@click.group("ledger")
def command() -> None:
    """Create the privacy ledger and show what has been spent."""


@command.command("create")
@ledger_option
@click.option(
    "--epsilon", required=True, help="The most that any account may ever spend, as epsilon for one person token."
)
@click.option("--delta", default="1e-6", show_default=True, help="The delta at which that epsilon holds.")
@click.option(
    "--max-tokens-per-person",
    type=click.IntRange(1, 1000),
    help="In how many datasets one person may be.  [default: in all of them]",
)
@click.option(
    "--epsilon-per-person",
    help="The most that one person in that many datasets may lose in all.  [default: what the accounts together allow]",
)
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The anchor file, best on other storage.  [default: NAME.anchor beside the ledger]",
)
@approver_option
@trust_option
def create(
    path: Path,
    epsilon: str,
    delta: str,
    max_tokens_per_person: int | None,
    epsilon_per_person: str | None,
    anchor: Path | None,
    approver_names: tuple[str, ...],
    trust_path: Path,
) -> None:
    """Create a ledger and its anchor. A ledger is never replaced.

    With --approver, name at least two people: two of them together may raise a cap, or name others in their place. Without, no cap is ever raised.
    """
    account = BudgetPolicy.of(epsilon, delta)
    policy = LedgerPolicy(
        account=account,
        max_tokens_per_person=max_tokens_per_person,
        odometer_epsilon=None if epsilon_per_person is None else _epsilon(epsilon_per_person, delta),
    )
    people = approvers_named(approver_names, trust_path)
    made = Ledger.create(path, policy, anchor=anchor, approvers=people)
    cap = policy.account.cap_nano_rho()
    click.echo(f"created {made.where}")
    if anchor is None:
        name = default_place(path).name
        click.echo(f"its anchor is {name} beside it; move it to other storage with `casehaven ledger anchor`")
    click.echo(
        f"every account may spend {_rho(cap)} rho in all: epsilon {epsilon} at delta {delta} for one person token"
    )
    names = ", ".join(signer.name for signer in people.signers)
    click.echo(
        f"raises are approved by two of {names}"
        if names
        else "nobody was named with --approver: no cap of this ledger is ever raised"
    )


@command.command("anchor")
@click.argument("place", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE]")
@click.option(
    "--first-anchor",
    metavar="LEDGER",
    help="Make the first anchor of a ledger of an earlier version; its id says that it is meant. The statements say since when, for good.",
)
@ledger_option
def anchor_command(place: Path | None, first_anchor: str | None, path: Path) -> None:
    """Show where the anchor is, or move it to FILE.

    The anchor remembers, outside the ledger, up to where it may have spent. Keep it on storage that is not restored together with the ledger. Where
    somebody moved the file already, the command says to the ledger where it is now.
    """
    ledger = Ledger.open(path)
    if place is not None:
        ledger.set_anchor(place, first=first_anchor)
    click.echo(f"anchor {ledger.anchor_path or 'none; this ledger spends nothing before it has one'}")
    ledger.check_anchor()
    click.echo("the ledger and its anchor agree")


@command.command("resume")
@click.option("--yes", is_flag=True, help="Do not ask.")
@ledger_option
def resume_command(yes: bool, path: Path) -> None:
    """Take an earlier copy of the ledger into use: everything that may have been spent since counts as spent, for good."""
    ledger = Ledger.open(path)
    if not yes:
        click.confirm("Everything up to the anchored ceilings counts as spent from now on. Go on?", abort=True)
    if ledger.resume():
        click.echo("resumed; `casehaven ledger show` says what is left")
    else:
        click.echo("the ledger and its anchor agree; nothing to resume")


@command.command("backup")
@ledger_option
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; must not exist. Better on another disk than the ledger, and on another than the anchor.",
)
def backup_command(path: Path, output: Path) -> None:
    """Write a whole, checked copy of the ledger, while it is in use. The anchor is not in it.

    Put back, it is an earlier copy: it spends nothing until `casehaven ledger resume` counts as spent whatever may have been spent since. `casehaven ledger drill` says beforehand what would be left.
    """
    write_backup(Ledger.open(path), output)
    click.echo(f"wrote {output}; keep it as you keep the ledger, and the anchor elsewhere")


@command.command("drill")
@click.argument("backup", type=click.Path(path_type=Path, dir_okay=False))
@ledger_option
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The anchor file.  [default: where the backup knows it]",
)
def drill_command(backup: Path, path: Path, anchor: Path | None) -> None:
    """Show what would be left if a backup were put back in the ledger's place and resumed today. Nothing is changed."""
    found = drill(backup, path, anchor)
    click.echo("\n".join(_lines(found.statement)))
    click.echo("")
    if found.behind:
        click.echo("the backup is whole, and older than its anchor: put it back and resume it, and the above is left")
    else:
        click.echo("the backup is whole, and misses nothing that the anchor knows")


@command.command("show")
@server_option
@ledger_option
@click.option("--json", "as_json", is_flag=True, help="Every account, exactly, for programs.")
def show(server: str | None, path: Path, as_json: bool) -> None:
    """Show what every dataset and block has spent, and the worst total for one person. Of a server: your organisation's, in sixteenths, as of the beginning of this month."""
    asked = chosen_server("path")
    if asked is not None:
        with connected(asked) as client:
            show_ledger(client, as_json=as_json)
        return
    statement = Ledger.open(path).statement()
    if as_json:
        click.echo(json.dumps(statement_json(statement), indent=2, sort_keys=True))
        return
    click.echo("\n".join(_lines(statement)))


def statement_json(statement: Statement) -> dict[str, object]:
    """The statement as `casehaven-ledger-statement/1`; amounts are integers, epsilons are rounded up."""
    account, worst = statement.policy.account, statement.odometer
    return {
        "format": "casehaven-ledger-statement/1",
        "ledger": statement.ledger_id,
        "policy": {
            "epsilon": str(account.epsilon),
            "delta_units": account.delta_units,
            "additive_delta_units": account.additive_delta_units,
            "max_tokens_per_person": statement.policy.max_tokens_per_person,
            "epsilon_per_person": None
            if statement.policy.odometer_epsilon is None
            else str(statement.policy.odometer_epsilon),
        },
        "accounts": [
            {
                "dataset": row.dataset,
                "block": row.block,
                "cap_nano_rho": row.cap_nano_rho,
                "spent_nano_rho": row.spent_nano_rho,
                "remaining_nano_rho": row.remaining_nano_rho,
                "cap_delta_units": row.cap_delta_units,
                "spent_delta_units": row.spent_delta_units,
                "epsilon": None if row.unbounded_since else _up(row.epsilon),
                "unbounded_since": row.unbounded_since,
                "cap_epsilon": row.cap_epsilon,
                "delta_units": row.delta_units,
            }
            for row in statement.rows
        ],
        "odometer": {
            "tokens": worst.tokens,
            "nano_rho": worst.nano_rho,
            "epsilon": None if worst.epsilon is None else _up(worst.epsilon),
            "delta_units": worst.delta_units,
            "unbounded": worst.unbounded,
        },
        "releases": [
            {
                "charge": release.charge_id,
                "datasets": list(release.datasets),
                "measurements_sha256": release.result_sha256,
                "decision": None if release.decision is None else release.decision.value,
                "report_opened": release.report_opened,
                "decision_used_private_data": release.used_private_data,
            }
            for release in statement.releases
        ],
        "raises": [
            {
                "dataset": each.dataset_id,
                "epsilon": each.epsilon,
                "cap_nano_rho": each.cap_nano_rho,
                "reason": each.reason,
                "approvers": each.approvers,
                "raised_at": each.raised_at,
            }
            for each in statement.raises
        ],
        "approvers": [
            {
                "named_at": each.named_at,
                "people": [
                    {"name": signer.name, "public_key": signer.public_key.text} for signer in each.people.signers
                ],
                "approved_by": list(each.approved_by),
                "reason": each.reason,
            }
            for each in statement.approvers
        ],
        "vaults": dict(statement.vaults),
        "created_at": statement.created_at,
        "anchored_since": statement.anchored_since,
        "resumed": list(statement.resumed),
    }


def _lines(statement: Statement) -> list[str]:
    if not statement.rows:
        return [
            "no dataset has an account yet; nothing is spent",
            f"ledger {statement.ledger_id}",
            _approver_line(statement),
        ]
    table: list[tuple[str, ...]] = [("dataset", "blocks", "spent rho", "left", "cap", "epsilon spent", "of", "delta")]
    for dataset, rows in groupby(statement.rows, key=lambda row: row.dataset):
        ordered = sorted(rows, key=lambda row: (row.block == "", row.block))  # unknown year last
        for _, equal in groupby(ordered, key=lambda row: (row.spent_nano_rho, row.cap_nano_rho)):
            table.append(_cells(dataset, list(equal)))
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return [
        *lines,
        "",
        f"ledger {statement.ledger_id}",
        _odometer_line(statement.odometer),
        *(_release_line(each) for each in statement.releases),
        *(_raise_line(each) for each in statement.raises),
        _approver_line(statement),
        *(
            []
            if statement.anchored_since == statement.created_at
            else [f"anchored since {statement.anchored_since or 'never'}"]
        ),
        *(f"resumed on {at[:10]} from its ceilings: an earlier copy was put back" for at in statement.resumed),
    ]


def _approver_line(statement: Statement) -> str:
    if not statement.approvers:
        return "raises: nobody is named yet who may approve one"
    people = statement.approvers[-1].people.signers
    names = ", ".join(f"{signer.name} ({signer.public_key.fingerprint})" for signer in people)
    return f"raises: approved by two of {names}" if names else "raises: nobody may approve one, for good"


def _raise_line(raised: StatementRaise) -> str:
    what = raised.dataset_id or "the cap for one person"
    return f"raised on {raised.raised_at[:10]}: {what} to epsilon {raised.epsilon}, reason: {raised.reason}"


def _release_line(release: ReleaseDecision) -> str:
    decided = "nothing decided yet" if release.decision is None else release.decision.value
    mark = "; decision used private data: not covered" if release.used_private_data else ""
    return f"release {release.charge_id[:12]} of {', '.join(release.datasets)}: {decided}{mark}"


def _cells(dataset: str, rows: list[StatementRow]) -> tuple[str, ...]:
    """One line for neighbouring blocks that spent the same."""
    first, last = rows[0], rows[-1]
    names = [row.block or "unknown" for row in (first, last)]
    return (
        dataset,
        names[0] if len(rows) == 1 else f"{names[0]} to {names[1]}",
        _rho(first.spent_nano_rho),
        _rho(first.remaining_nano_rho),
        _rho(first.cap_nano_rho),
        f"{_up(first.epsilon):.4f}" if first.unbounded_since is None else f"UNBOUNDED since {first.unbounded_since}",
        first.cap_epsilon,
        _delta(first.delta_units),
    )


def _odometer_line(worst: Odometer) -> str:
    if worst.unbounded:
        return (
            "worst total for one person: UNBOUNDED. A dataset was released without differential privacy; what was charged\n"
            "before and after bounds nothing for the people in it"
        )
    datasets = "1 dataset" if worst.tokens == 1 else f"{worst.tokens} datasets"
    epsilon = (
        "not stated" if worst.epsilon is None else f"{_up(worst.epsilon):.4f} at delta {_delta(worst.delta_units)}"
    )
    return (
        f"worst total for one person in {datasets}: {_rho(worst.nano_rho)} rho, epsilon {epsilon}\n"
        "rho adds up over releases; the epsilons of releases do not: their sum is converted from rho"
    )


def _rho(nano_rho: int) -> str:
    return f"{nano_rho // 10**9}.{nano_rho % 10**9:09d}"


def _up(epsilon: float) -> float:
    """Four decimals, rounded up: a loss is never shown smaller than it is."""
    return math.ceil(epsilon * 10_000) / 10_000


def _epsilon(text: str, delta: str) -> Decimal:
    return BudgetPolicy.of(text, delta).epsilon


def _delta(units: int) -> str:
    return f"{units / 10**15:g}"
