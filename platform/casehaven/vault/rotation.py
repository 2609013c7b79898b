"""A new epoch for an organisation: all data keys are wrapped anew, then the old epoch's key is destroyed.

1. The organisation is held alone: nobody wraps a key under the epoch that goes.
2. A new epoch begins; every person's key, every chunk's key and every key of a sealed reason is wrapped under it, some thousand per transaction.
   Between two transactions some keys are under the old epoch and some under the new one, and both epochs' keys are there: everything opens.
3. The old epoch's key is destroyed only when no row names it any more. Old backups of the database stay closed from then on.
4. Cut short at any point, the same call goes on where it ended.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, bindparam, select, update

from casehaven.vault import models
from casehaven.vault.bound_rows import person_key_context
from casehaven.vault.chunk_store import chunk_key_context
from casehaven.vault.datasets import Dataset
from casehaven.vault.keystore import OrganisationKeys
from casehaven.vault.store import Vault

_AT_ONCE = 5_000


def rotate_epoch(vault: Vault, organisation: str, name: str | None = None) -> str:
    """Wrap all data keys of an organisation under a new epoch, destroy the old ones, and return the new epoch's name.

    Args:
        vault: where.
        organisation: whose.
        name: such as `2026-12`; by default this month's.

    Raises:
        UnknownOrganisationError: the vault has no such organisation.
        EpochError: the name was in use before.
        VaultBusyError: others change the organisation's data.
        SealBrokenError: a key does not open; the old epoch stays.
    """
    with vault.organisation_lock(organisation, alone=True):
        keys = vault.keystore.organisation(organisation)
        if len(keys.epochs) == 1:  # else one was begun before, and this call goes on with it
            keys.begin_epoch(name)
        rewrap(vault, organisation)
        for epoch in keys.epochs[:-1]:
            keys.retire_epoch(epoch)
        with vault.writing() as connection:
            vault.audit.append(
                connection,
                action="epoch.rotate",
                object_kind="epoch",
                object_id=keys.epoch,
                organisation=organisation,
            )
        vault.database.scrub()
        return keys.epoch


def rewrap(vault: Vault, organisation: str) -> None:
    """Wrap every key that an organisation's old epochs wrap under its present one (rule 2). The organisation is held alone."""
    keys = vault.keystore.organisation(organisation)
    for dataset in vault.datasets():
        if dataset.organisation == organisation:
            while _some(vault, keys, dataset, models.person):
                pass
            while _some(vault, keys, dataset, models.chunk):
                pass
    with vault.writing() as connection:
        vault.audit.rewrap(connection, organisation)


def _some(vault: Vault, keys: OrganisationKeys, dataset: Dataset, table: Table) -> bool:
    """Wrap some keys of a table anew, in one transaction; return whether there were any."""
    epoch = keys.epoch
    key = next(iter(table.primary_key.columns))
    where = (table.c.dataset_id == dataset.dataset_id, table.c.epoch != epoch)
    with vault.database.transaction(writes=True) as connection:
        rows = connection.execute(select(table).where(*where).limit(_AT_ONCE)).all()
        changed = []
        for row in rows:
            context = _context(dataset, table, row)
            dek = keys.unwrap_dek(bytes(row.wrapped_dek), row.epoch, context)
            changed.append({"this": row[0], "wrapped_dek": keys.wrap_dek(dek, context)})
        if changed:
            _write(connection, table, key, epoch, changed)
    return bool(rows)


def _write(connection: Connection, table: Table, key: Any, epoch: str, changed: list[dict[str, Any]]) -> None:
    statement = update(table).where(key == bindparam("this")).values(wrapped_dek=bindparam("wrapped_dek"), epoch=epoch)
    connection.execute(statement, changed)


def _context(dataset: Dataset, table: Table, row: Any) -> Any:
    if table is models.person:
        return person_key_context(dataset, row.person_id, bytes(row.token_index))
    return chunk_key_context(dataset, row.chunk_id, row.generation)
