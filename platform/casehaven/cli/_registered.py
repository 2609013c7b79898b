"""The option that names years of first registration: whose people are counted, and whose accounts pay."""

from __future__ import annotations

from typing import Final

import click

UNKNOWN: Final = "unknown"
"""What people write for the block of those whose year is unknown."""

registered_option = click.option(
    "--registered",
    multiple=True,
    metavar="YEAR",
    help="Count and charge only people who were first registered in these years, such as 2021,2022, or `unknown`. Can be repeated.  [default: everybody]",
)


def parse_registered(written: tuple[str, ...]) -> tuple[str, ...]:
    """Return years as the ledger names them; which of them there are, the schema says.

    >>> parse_registered(("2021,2022", "unknown"))
    ('2021', '2022', '')

    Raises:
        click.BadParameter: one is empty.
    """
    years = [year.strip() for text in written for year in text.split(",")]
    if "" in years:
        raise click.BadParameter("it is empty; write a year, or `unknown`", param_hint="--registered")
    return tuple("" if year.lower() == UNKNOWN else year for year in years)
