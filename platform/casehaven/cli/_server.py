"""The option that sends a command to a server, and what such a command has in common with one that works here.

1. `--server`, or CASEHAVEN_SERVER, in the place of a vault and a ledger here. An option on the command line that names something here beats the variable; both on the command line contradict each other.
2. What a server answers is shown by the same functions as what was found here. Its words reach the terminal in one line and without anything that steers it.
3. A token does what needs no second factor. For the rest `--sign-in` begins a session, which ends with the command.
4. A problem of the server ends with the exit code that the same error has here (`casehaven.errors`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from casehaven.cli._progress import PhaseLine
from casehaven.client.plain_text import one_line

if TYPE_CHECKING:
    from casehaven.client import Client, Job
    from caseschemas import CaseSchema

server_option = click.option(
    "--server",
    metavar="URL",
    envvar="CASEHAVEN_SERVER",
    show_envvar=True,
    help="Ask this server, with the token of CASEHAVEN_TOKEN_FILE, in the place of what lies here.",
)
"""It arrives as `server`."""


sign_in_option = click.option(
    "--sign-in",
    "handle",
    metavar="HANDLE",
    help="Sign in at the server as this member, for what needs a second factor; asks for password and code.",
)
"""It arrives as `handle`. The session lasts for this one command."""


def chosen_server(*here: str) -> str | None:
    """Return the server that this command is for; None where it works here (rule 1).

    Args:
        here: parameters that name what lies here.
    """
    context = click.get_current_context()
    server: str | None = context.params.get("server")
    if not server:
        if context.params.get("handle"):
            raise click.UsageError("--sign-in is for a server; name it with --server or CASEHAVEN_SERVER")
        return None
    named = [name for name in here if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if not named:
        return server
    if context.get_parameter_source("server") is not ParameterSource.COMMANDLINE:
        return None
    options = ", ".join(option.opts[0] for option in context.command.params if option.name in named)
    raise click.UsageError(f"{options} is for what lies here; leave it or --server away")


@contextmanager
def connected(server: str, handle: str | None = None) -> Iterator[Client]:
    """Open a client for the token of the environment, or sign in.

    Args:
        server: its address.
        handle: of the member who signs in for this command; None: the token.

    Raises:
        ServerAddressError, TokenError: one of them is missing or has another form.
        SignInNeededError: handle, password and code do not fit.
    """
    from casehaven.client import Client, Token

    if handle is None:
        client = Client(server, Token.from_env(os.environ))
    else:
        password = click.prompt(f"Password of {handle}", hide_input=True, err=True)
        code = click.prompt("Code of the app, or a recovery code", hide_input=True, err=True)
        client = Client.sign_in(server, handle, password, code)
    with client:
        yield client


def needed(server: str | None) -> str:
    """Return the server of a command that works against one alone."""
    if not server:
        raise click.UsageError("name the server with --server or CASEHAVEN_SERVER")
    return server


def schema_of(client: Client, datasets: Sequence[str]) -> Callable[[], CaseSchema]:
    """Return what fetches the schema of the first dataset, for the few questions that need it."""

    def fetch() -> CaseSchema:
        from caseschemas import parse_schema

        return parse_schema(client.datasets.schema(datasets[0]), name="the server's schema")

    return fetch


def schema_of_agreement(client: Client, agreement: str) -> Callable[[], CaseSchema]:
    """Return what finds the schema of an agreement: the shipped one that it names by its digest."""

    def find() -> CaseSchema:
        from caseschemas import shipped_schema, shipped_schema_ids

        digests = {one.schema_sha256 for one in client.agreements.list() if one.id == agreement}
        for name in shipped_schema_ids():
            if shipped_schema(name).digest() in digests:
                return shipped_schema(name)
        raise click.UsageError("the agreement's schema is not known here; write the question with --by or --question")

    return find


@contextmanager
def job_progress() -> Iterator[Callable[[Job], None]]:
    """Show the phases of a job while it lasts."""
    line = PhaseLine()

    def show(job: Job) -> None:
        if not job.ended:
            line(one_line(job.phase, 40), job.share)

    try:
        yield show
    finally:
        line.close()
