"""The options that name what is asked about, and how a command opens it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.core import ParameterSource

from casehaven.cli._ledger import ledger_option
from casehaven.cli._server import schema_of, schema_of_agreement, server_option
from casehaven.cli._vault import open_vault, root_key_option, vault_option

if TYPE_CHECKING:
    from casehaven.client import Client
    from casehaven.queries import Queries
    from caseschemas import CaseSchema

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--from",
        "sources",
        multiple=True,
        metavar="ORGANISATION/DATASET",
        help="A dataset of the vault, or of the server. Can be repeated: the question is about all of them together.",
    ),
    click.option(
        "--person-tokens",
        "tokens_are",
        type=click.Choice(["shared", "separate"]),
        default="separate",
        show_default=True,
        help="Of several organisations: shared, equal tokens mean the same person; separate, tokens are each organisation's own.",
    ),
    click.option("--analyst", help="Whose allowance pays a fair share.  [default: nobody's]"),
    click.option(
        "--agreement",
        metavar="ID",
        help="Of the server: ask under this agreement, about all its datasets together, in the place of --from.",
    ),
    server_option,
    vault_option,
    root_key_option,
    ledger_option,
)

HERE = ("vault_path", "root_spec", "path", "analyst")
"""Parameters that name what lies here, and nothing of a server."""


def source_options(command: F) -> F:
    """Add the options; they arrive as `sources`, `tokens_are`, `analyst`, `agreement`, `server`, `vault_path`, `root_spec` and `path`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def opened_queries(
    sources: Sequence[str],
    tokens_are: Literal["shared", "separate"],
    analyst: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
) -> Queries:
    """Open vault and ledger for questions.

    Raises:
        VaultError, LedgerError: one of them is not there, or a dataset is not.
    """
    from casehaven.ledger import AnalystId, Ledger
    from casehaven.queries import Queries
    from casehaven.vault.datasets import parse_dataset_id

    named(sources)
    vault = open_vault(vault_path, root_spec)
    datasets = [vault.dataset(*parse_dataset_id(source)) for source in dict.fromkeys(sources)]
    return Queries(
        vault=vault,
        ledger=Ledger.open(path),
        datasets=datasets,
        tokens_are=tokens_are,
        analyst=None if analyst is None else AnalystId(text=analyst),
    )


def target(
    client: Client, sources: Sequence[str], tokens_are: str, agreement: str | None
) -> tuple[dict[str, Any], Callable[[], CaseSchema]]:
    """Return how a question to a server names what it is about, and what fetches the schema of that.

    Raises:
        click.UsageError: neither datasets nor an agreement are named, or both.
    """
    if agreement is None:
        datasets = named(sources)
        return {"datasets": datasets, "person_tokens": tokens_are}, schema_of(client, datasets)
    context = click.get_current_context()
    if sources or context.get_parameter_source("tokens_are") is ParameterSource.COMMANDLINE:
        raise click.UsageError("an agreement names its datasets itself: leave --from and --person-tokens away")
    return {"agreement": agreement}, schema_of_agreement(client, agreement)


def refuse_agreement(agreement: str | None) -> None:
    """Refuse an agreement where no server is asked.

    Raises:
        click.UsageError: one is named.
    """
    if agreement is not None:
        raise click.UsageError("an agreement is asked under at a server: name it with --server or CASEHAVEN_SERVER")


def named(sources: Sequence[str]) -> list[str]:
    """Return the datasets that are named, each once.

    Raises:
        click.UsageError: there are none.
    """
    if not sources:
        raise click.UsageError("name at least one dataset with --from")
    return list(dict.fromkeys(sources))
