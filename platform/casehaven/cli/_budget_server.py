"""Budgets of a server on the command line: your organisation's ledger, allowances, and raises of a cap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from casehaven.client import Client, OwnAccount
from casehaven.client.fields import Fields
from casehaven.client.plain_text import json_text, one_line
from casehaven.ledger import BudgetRaiseError, RaiseApproval, RaiseRequest
from casehaven.ledger.two_people import write_new
from casesynth.canonical import parse_json
from casesynth.privacy.loss import NANO


def show_ledger(client: Client, *, as_json: bool) -> None:
    """Show the ledger of the own organisation, in sixteenths of each budget."""
    found = client.budgets.ledger(client.principal().organisation)
    if as_json:
        click.echo(json_text(dict(found.document)))
        return
    click.echo(f"what was charged before {one_line(found.before)}, rounded up to sixteenths of each budget")
    if not found.accounts:
        click.echo("no account is open")
    for account in found.accounts:
        click.echo(_account_line(account))
    allowances = Fields(found.document, "ledger").each("allowances", lambda one: one)
    for share in allowances:
        click.echo(_allowance_line(share))


def show_allowance(client: Client, analyst: str, dataset: str) -> None:
    """Show one analyst's allowance for a dataset of the own organisation."""
    found = client.budgets.ledger(client.principal().organisation)
    for share in Fields(found.document, "ledger").each("allowances", lambda one: one):
        if (share.maybe_text("analyst"), share.text("dataset")) == (analyst, dataset):
            click.echo(_allowance_line(share))
            return
    click.echo(f"allowance  {analyst} for {dataset}: none, or set just now")


def request_there(client: Client, dataset: str | None, epsilon: str, reason: str, output: Path) -> None:
    """Have a request drawn up, and write it into a new file.

    Raises:
        BudgetRaiseError: the server drew up another one, or the file is there.
    """
    if dataset is None:
        raise click.UsageError(
            "--server raises the cap of a dataset; the cap for one person is raised beside the ledger"
        )
    made = client.budgets.ask_raise(dataset, epsilon=epsilon, reason=reason)
    request = RaiseRequest.parse(parse_json(made.to_bytes(), "the server's request"), "the server's request")
    if (request.dataset, request.epsilon, request.reason, request.digest()) != (dataset, epsilon, reason, made.id):
        raise BudgetRaiseError("the server drew up another request than was asked for")
    write_new(output, request.to_bytes(), BudgetRaiseError)
    click.echo(f"request    {output}: {request.what} from epsilon {request.epsilon_now} to {epsilon}")


def hand_in_there(client: Client, approvals: Sequence[RaiseApproval]) -> None:
    """Hand approvals in, one after the other; with the second the server's ledger raises the cap.

    Raises:
        BudgetRaiseError: they are of the cap for one person, which no server raises.
    """
    for approval in approvals:
        request = approval.request
        if request.dataset is None:
            raise BudgetRaiseError("the cap for one person is raised beside the ledger")
        organisation = request.dataset.partition("/")[0]
        found = client.budgets.hand_in(organisation, request.digest(), approval.to_bytes())
        if found.state == "raised":
            click.echo(f"raised     {request.what} from epsilon {request.epsilon_now} to {request.epsilon}")
            return
        click.echo(f"handed in  the approval of {approval.public_key.fingerprint}; one of another person is needed")


def _account_line(account: OwnAccount) -> str:
    block = account.block or "unknown year"
    where = f"account    {one_line(account.dataset)}, {one_line(block)}"
    if account.spent_parts is None or account.epsilon_at_most is None:
        return f"{where}: NO BOUND"
    purposes = ", ".join(
        f"{one_line(name, 60)} {part}" for name, part in account.purposes.items() if isinstance(part, int)
    )
    uses = f" ({purposes})" if purposes else ""
    return f"{where}: {account.spent_parts}/16, epsilon at most {account.epsilon_at_most:g} of {one_line(account.epsilon_cap)}{uses}"


def _allowance_line(share: Fields) -> str:
    agreement, limit, used = (
        share.maybe_text("agreement"),
        share.maybe_whole("limit_nano_rho"),
        share.maybe_whole("used_parts"),
    )
    who = f"agreement {agreement}" if agreement is not None else share.text("analyst")
    most = "no limit" if limit is None else f"{limit / NANO:.9f} rho"
    part = "" if used is None else f", at most {used}/16 used"
    return f"allowance  {one_line(who)} for {one_line(share.text('dataset'))}: {most}{part}"
