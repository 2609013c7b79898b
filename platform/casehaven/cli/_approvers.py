"""How a command names the people who may approve raises."""

from __future__ import annotations

from pathlib import Path

import click

from casehaven.cli.keys import load_trust_store
from casesynth.signing import TrustStore

approver_option = click.option(
    "--approver",
    "approver_names",
    multiple=True,
    metavar="NAME",
    help="Who may approve raises: a name of your trust store. Give at least two.",
)
"""It arrives as `approver_names`."""


def approvers_named(names: tuple[str, ...], trust_path: Path) -> TrustStore:
    """Return names and keys of people in a trust store.

    Raises:
        BudgetRaiseError: one of them is not in it.
    """
    from casehaven.ledger import BudgetRaiseError

    if not names:
        return TrustStore()
    known = {signer.name: signer for signer in load_trust_store(trust_path).signers}
    missing = sorted({*names} - {*known})
    if missing:
        raise BudgetRaiseError(f"{', '.join(missing)} is not in the trust store {trust_path.name}")
    return TrustStore(signers=tuple(known[name] for name in dict.fromkeys(names)))
