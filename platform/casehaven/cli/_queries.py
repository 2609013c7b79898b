"""The options that name what is asked about, and how a command opens it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from casehaven.cli._ledger import ledger_option
from casehaven.cli._server import server_option
from casehaven.cli._vault import open_vault, root_key_option, vault_option

if TYPE_CHECKING:
    from casehaven.queries import Queries

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
    server_option,
    vault_option,
    root_key_option,
    ledger_option,
)

HERE = ("vault_path", "root_spec", "path", "analyst")
"""Parameters that name what lies here, and nothing of a server."""


def source_options(command: F) -> F:
    """Add the options; they arrive as `sources`, `tokens_are`, `analyst`, `server`, `vault_path`, `root_spec` and `path`."""
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


def named(sources: Sequence[str]) -> list[str]:
    """Return the datasets that are named, each once.

    Raises:
        click.UsageError: there are none.
    """
    if not sources:
        raise click.UsageError("name at least one dataset with --from")
    return list(dict.fromkeys(sources))
