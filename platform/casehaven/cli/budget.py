"""`casehaven budget`: what may be spent, who may spend it, and what the public is told of it."""

from __future__ import annotations

import shlex
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from casehaven.cli._approvers import approver_option, approvers_named
from casehaven.cli._budget_server import hand_in_there, request_there, show_allowance
from casehaven.cli._ledger import ledger_option
from casehaven.cli._server import chosen_server, connected, server_option, sign_in_option
from casehaven.cli.keys import key_option, load_signing_key, load_trust_store, trust_option
from casehaven.client import UnexpectedAnswerError
from casehaven.errors import EXIT_UNKNOWN_SIGNER
from casehaven.ledger import AnalystId, BudgetRaiseError, Ledger, RaiseApproval, RaiseRequest
from casehaven.ledger.approvers import ApproverApproval, ApproverRequest
from casehaven.ledger.public import (
    SignedStatement,
    in_words,
    parse_statement,
    public_statement,
    read_statement,
    sign,
    words_path,
)
from casehaven.ledger.two_people import read_document, write_new

out_file = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file; must not exist."
)


@click.group("budget")
def command() -> None:
    """Say what may be spent, and what the public is told of it."""


@command.command("statement")
@server_option
@ledger_option
@key_option
@out_file
def statement_command(server: str | None, path: Path, key_path: Path, output: Path) -> None:
    """Write the signed public statement of cumulative loss, and the same in words beside it.

    It tells the state at the beginning of this month, in sixteenths of each budget. Raises, resumptions and releases are those of today.
    """
    asked = chosen_server("path", "key_path")
    if asked is None:
        signed = sign(public_statement(Ledger.open(path)), load_signing_key(key_path))
    else:
        signed = _from_server(asked)
    words = in_words(signed.document)
    signed.save(output)
    click.echo(words, nl=False)
    click.echo(f"\nstatement  {output}, in words {words_path(output)}, signed by {signed.public_key.fingerprint}")


def _from_server(server: str) -> SignedStatement:
    with connected(server) as client:
        found = parse_statement(client.budgets.statement().signed, "the server's statement")
    try:
        in_words(found.document)
    except (KeyError, TypeError, ValueError):
        raise UnexpectedAnswerError("the server's statement lacks what a statement says") from None
    return found


@command.command("verify")
@click.argument("statement_path", type=click.Path(path_type=Path, dir_okay=False), metavar="STATEMENT")
@trust_option
@click.pass_context
def verify_command(context: click.Context, statement_path: Path, trust_path: Path) -> None:
    """Check a public statement offline: the signature, and whether you know who signed. Then show it in words."""
    signed = read_statement(statement_path)
    signer = load_trust_store(trust_path).lookup(signed.public_key)
    who = f"by {signer.name}" if signer is not None else "by a signer that is not in your trust store"
    click.echo(f"signed     {who}, {signed.public_key.fingerprint}")
    click.echo(in_words(signed.document), nl=False)
    if signer is None:
        context.exit(EXIT_UNKNOWN_SIGNER)


@command.command("allowance")
@click.argument("analyst")
@click.argument("dataset", metavar="ORGANISATION/DATASET")
@click.option("--rho", help="The most that this analyst may charge to the dataset in all, as rho: a decimal number.")
@click.option("--no-limit", is_flag=True, help="Lift the allowance.")
@server_option
@sign_in_option
@ledger_option
def allowance_command(
    analyst: str,
    dataset: str,
    rho: str | None,
    no_limit: bool,
    server: str | None,
    handle: str | None,
    path: Path,
) -> None:
    """Show or set what one analyst may charge to one dataset. For fairness only: the budget that protects people is the dataset's."""
    if rho is not None and no_limit:
        raise click.UsageError("give --rho or --no-limit, not both")
    asked = chosen_server("path")
    if asked is not None:
        with connected(asked, handle) as client:
            if rho is not None or no_limit:
                client.budgets.allow(analyst, dataset, None if rho is None else _nano(rho))
            show_allowance(client, analyst, dataset)
        return
    ledger, who = Ledger.open(path), AnalystId(text=analyst)
    if rho is not None or no_limit:
        ledger.set_allowance(who, dataset, None if rho is None else _nano(rho))
    state = ledger.allowance(who, dataset)
    limit = "no limit" if state.limit_nano_rho is None else f"{state.limit_nano_rho / 10**9:.9f} rho"
    click.echo(f"allowance  {analyst} for {dataset}: {limit}, spent {state.spent_nano_rho / 10**9:.9f} rho")


@command.command("request-raise")
@click.option("--dataset", metavar="ORGANISATION/DATASET", help="Whose cap.  [default: the cap for one person]")
@click.option("--epsilon", required=True, help="The new one.")
@click.option("--reason", required=True, help="Why; it is published.")
@server_option
@ledger_option
@out_file
def request_command(
    dataset: str | None, epsilon: str, reason: str, server: str | None, path: Path, output: Path
) -> None:
    """Write the request that two people are asked to approve. Nothing is raised."""
    asked = chosen_server("path")
    if asked is not None:
        with connected(asked) as client:
            request_there(client, dataset, epsilon, reason, output)
        _say_next(output)
        return
    statement = Ledger.open(path).statement()
    present = {row.dataset: row.cap_epsilon for row in statement.rows}
    now = statement.policy.odometer_epsilon if dataset is None else present.get(dataset)
    if now is None:
        what = "this ledger has no cap for one person" if dataset is None else f"no account was opened for {dataset}"
        raise click.UsageError(what)
    made = RaiseRequest.draw_up(
        ledger=statement.ledger_id, dataset=dataset, epsilon_now=str(now), epsilon=epsilon, reason=reason
    )
    write_new(output, made.to_bytes(), BudgetRaiseError)
    click.echo(f"request    {output}: {made.what} from epsilon {now} to {epsilon}")
    _say_next(output)


@command.command("request-approvers")
@approver_option
@click.option("--reason", required=True, help="Why; it is published.")
@ledger_option
@trust_option
@out_file
def request_approvers_command(
    approver_names: tuple[str, ...], reason: str, path: Path, trust_path: Path, output: Path
) -> None:
    """Write the request that others approve raises from now on. Nothing is changed.

    Name everybody who is to approve then. Two of those who may approve now have to approve it; in a ledger of an earlier version, which names nobody, two of the new ones.
    """
    ledger = Ledger.open(path)
    people = approvers_named(approver_names, trust_path)
    made = ApproverRequest.draw_up(ledger=ledger.id, present=ledger.approvers(), people=people, reason=reason)
    write_new(output, made.to_bytes(), BudgetRaiseError)
    click.echo(f"request    {output}: raises are approved by two of {', '.join(name for name, _ in made.people)}")
    _say_next(output)


@command.command("approve-raise")
@click.argument("request_path", type=click.Path(path_type=Path, dir_okay=False), metavar="REQUEST")
@click.option("--yes", is_flag=True, help="Do not ask.")
@key_option
@out_file
def approve_command(request_path: Path, yes: bool, key_path: Path, output: Path) -> None:
    """Approve a request, to raise a cap or to name other approvers, with your own key, having read every line of what it says."""
    document = read_document(request_path, BudgetRaiseError)
    asked: RaiseRequest | ApproverRequest
    if isinstance(document, dict) and document.get("format") == ApproverRequest.FORMAT:
        asked = ApproverRequest.parse(document, request_path.name)
        said = [("approvers", f"{signer.name}, {signer.public_key.fingerprint}") for signer in asked.store().signers]
        warning = "two of these may raise caps from now on, or name others; it shows in the public statement"
    else:
        asked = RaiseRequest.parse(document, request_path.name)
        said = [("raise", f"{asked.what}: from epsilon {asked.epsilon_now} to {asked.epsilon}")]
        warning = "people in this dataset lose more protection, for good; it shows in the public statement"
    lines = [("request", f"{asked.number}, of {asked.created}"), ("ledger", asked.ledger), *said]
    for name, text in [*lines, ("reason", asked.reason)]:
        click.echo(f"{name:<10} {text}")
    click.echo(f"           {warning}")
    if not yes:
        click.confirm("Do you approve this?", abort=True)
    key = load_signing_key(key_path)
    signed = ApproverApproval.by(asked, key) if isinstance(asked, ApproverRequest) else RaiseApproval.by(asked, key)
    write_new(output, signed.to_bytes(), BudgetRaiseError)
    click.echo(f"approved   by {signed.public_key.fingerprint}, in {output}")


approvals_option = click.option(
    "--approval",
    "approval_paths",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Approval of one person; give two.",
)


@command.command("raise")
@approvals_option
@server_option
@sign_in_option
@ledger_option
def raise_command(approval_paths: tuple[Path, ...], server: str | None, handle: str | None, path: Path) -> None:
    """Raise a cap as two of the people whom the ledger names approved. It shows in the public statement for good."""
    approvals = tuple(RaiseApproval.read(approval, RaiseRequest) for approval in approval_paths)
    there = chosen_server("path")
    if there is not None:
        with connected(there, handle) as client:
            hand_in_there(client, approvals)
        return
    asked = Ledger.open(path).raise_cap(approvals)
    click.echo(f"raised     {asked.what} from epsilon {asked.epsilon_now} to {asked.epsilon}")


@command.command("name-approvers")
@approvals_option
@ledger_option
def name_approvers_command(approval_paths: tuple[Path, ...], path: Path) -> None:
    """Name other people who may approve raises, as two of the present ones approved. It shows in the public statement for good."""
    approvals = tuple(ApproverApproval.read(approval, ApproverRequest) for approval in approval_paths)
    asked = Ledger.open(path).name_approvers(approvals)
    click.echo(f"approvers  {', '.join(name for name, _ in asked.people)}")


def _say_next(request: Path) -> None:
    path = shlex.quote(str(request))
    click.echo(f"next       two people, each with a key of their own: casehaven budget approve-raise {path}")


def _nano(rho: str) -> int:
    try:
        amount = Decimal(rho) * 10**9
        whole = int(amount)
    except (InvalidOperation, ValueError, OverflowError):
        raise click.UsageError("--rho is a decimal number, for example 0.05") from None
    if whole != amount or not 0 <= whole < 1 << 62:
        raise click.UsageError("--rho has at most nine decimals, and is 0 or more")
    return whole
