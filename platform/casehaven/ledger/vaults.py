"""Which vault a dataset of the ledger is in: its accounts pay for the people of that vault and of no other.

1. The first charge, or the opening of accounts, for records of a vault binds the dataset to the vault's public id, for good. It is an entry of the chain, and
   in the anchor.
2. A charge for the same name in another vault is refused: those are other people, or a copy that ought to be told apart.
3. Records of a file carry no such id. They are charged to the dataset that the steward names.
4. The vault remembers the other half: which ledger has the accounts of its datasets. So a fresh ledger beside a vault is no fresh budget.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from casehaven.ledger import models
from casehaven.ledger.accounts import Charged
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.anchored import stored_state
from casehaven.ledger.chain import append
from casehaven.ledger.errors import ChargeRequestError, OtherVaultError

_VAULT = re.compile(r"[!-~]{1,64}")


def parse_vault_id(unverified: str | None) -> str | None:
    """Return the public id of a vault, or None for records of a file.

    >>> parse_vault_id("3f2a")
    '3f2a'

    Raises:
        ChargeRequestError: it is not written as one.
    """
    if unverified is None or (isinstance(unverified, str) and _VAULT.fullmatch(unverified)):
        return unverified
    raise ChargeRequestError("the id of a vault has 1 to 64 printable characters without spaces")


def refuse_other_vault(accounts: Sequence[Charged], vault_id: str | None) -> None:
    """Return only when no account is of a dataset that is in another vault (rule 2).

    Raises:
        OtherVaultError: one is.
    """
    for account in accounts:
        if vault_id is not None and account.vault_id not in (None, vault_id):
            raise _other(account.dataset_id)


def bind_vault(
    connection: Connection, anchor: LedgerAnchor, accounts: Sequence[Charged], vault_id: str | None, now: str
) -> None:
    """Bind the datasets of a charge that are in no vault yet (rule 1).

    Raises:
        OtherVaultError: the anchor knows another vault.
    """
    unbound = sorted({account.dataset_id for account in accounts if account.vault_id is None})
    if vault_id is not None and unbound:
        write_binding(connection, anchor, unbound, vault_id, now)


def bind_opened(connection: Connection, anchor: LedgerAnchor, dataset: str, vault_id: str | None, now: str) -> None:
    """Bind a dataset whose accounts are being opened.

    Raises:
        OtherVaultError: it is in another vault.
    """
    if vault_id is None:
        return
    known = vault_of(connection, dataset)
    if known is None:
        write_binding(connection, anchor, [dataset], vault_id, now)
    elif known != vault_id:
        raise _other(dataset)


def vault_of(connection: Connection, dataset: str) -> str | None:
    """Return the id of the vault that a dataset is bound to."""
    bound = models.vault_of_dataset.c
    return connection.scalar(select(bound.vault_id).where(bound.dataset_id == dataset))


def write_binding(
    connection: Connection, anchor: LedgerAnchor, datasets: Sequence[str], vault_id: str, now: str
) -> None:
    """Write down the vault of datasets that have none, here and in the anchor."""
    for dataset in datasets:
        values = {"dataset_id": dataset, "vault_id": vault_id, "since": now}
        connection.execute(insert(models.vault_of_dataset).values(**values))
        append(connection, f"vault {dataset} {vault_id}")
    known = anchor.raise_state(stored_state(connection)).datasets
    for dataset in datasets:
        if known[dataset].vault_id != vault_id:
            raise _other(dataset)


def _other(dataset: str) -> OtherVaultError:
    return OtherVaultError(
        f"this ledger has the accounts of {dataset} in another vault: what is spent for one vault's people is not spent for another's"
    )
