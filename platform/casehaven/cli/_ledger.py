"""The option that every command with a ledger shares. It loads no ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

DEFAULT_LEDGER = Path("casehaven-ledger.sqlite")
"""In the working folder, when neither --ledger nor CASEHAVEN_LEDGER names another."""


class LedgerPlace(click.Path):
    """A ledger file, or the address of a Postgres server, which stays the text that it is."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path for a file, and text for a server."""
        if isinstance(value, str) and "://" in value:
            from casehaven.core.db import is_postgres  # rarely needed

            if is_postgres(value):
                return value
        return super().convert(value, param, ctx)


ledger_option = click.option(
    "--ledger",
    "path",
    type=LedgerPlace(path_type=Path, dir_okay=False),
    envvar="CASEHAVEN_LEDGER",
    default=DEFAULT_LEDGER,
    show_default=True,
    show_envvar=True,
    help="The ledger file, or postgresql://user@host/name.",
)
"""The option that every command with a ledger shares; it arrives as `path`."""
