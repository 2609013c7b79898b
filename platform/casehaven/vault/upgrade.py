"""Bringing a vault that an earlier version wrote to today's: its tables, and what has to be made with keys.

1. Everything happens in one transaction, after the tables' own migrations: all of it, or nothing. The organisations are held alone meanwhile.
2. To version 0003: rows get the codes that bind them (`bound_rows`).
3. To version 0005: everybody's block is fixed (`blocks`): the earliest year among all of the person's records, corrected ones included. Chunk files are written anew, each
   record with its person's block. Before, every charge was made to all blocks alike, so whichever block a person gets has paid for all that was asked about them.
4. A vault that an anchor vouches for is compared with it first, so that no earlier copy becomes today's; afterwards the anchor is raised to what was done.
5. A vault from before there were anchors gets one: nothing could have been rolled back. A `vault.json` from before it was signed is signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, bindparam, func, select, update

from casehaven.core.audit_models import audit
from casehaven.core.db import Database
from casehaven.core.migrate import HEAD, migrate, version_of
from casehaven.vault import models
from casehaven.vault.anchor import Anchor
from casehaven.vault.audit_reasons import audit_log
from casehaven.vault.blocks import BLOCK_KEY, UNKNOWN, BlockCodes, Places, earlier, earliest_by_person, record_places
from casehaven.vault.bound_rows import bind_rows
from casehaven.vault.chunk_store import ChunkStore
from casehaven.vault.datasets import Dataset, dataset_of_row
from casehaven.vault.folder import SIGNED, VaultFolder
from casehaven.vault.keystore import Keystore
from casehaven.vault.locks import held
from casehaven.vault.rootkeys import RootKey

BOUND: Final = "0003"
"""From this version on rows carry codes that are made with keys."""

BLOCKS: Final = "0005"
"""From this version on everybody's block is fixed."""

_LOGGED: Final = "0002"
"""From this version on there is an audit log, and an anchor."""

_ACTION: Final = "dataset.blocks"
"""Of the audit log's entry for a dataset whose people's blocks were fixed by an upgrade."""


def upgrade_vault(folder: VaultFolder, root: RootKey, *, keystore: Path | None = None) -> None:
    """Bring a vault to today's version, all of it or nothing; does nothing when it is there.

    Args:
        folder: of the vault.
        root: its root key.
        keystore: where the keystore is now, if it was moved.

    Raises:
        ChangedVaultFileError: `vault.json` was changed.
        RolledBackError: the vault is older than its anchor.
        DamagedChunkError, SealBrokenError: something in it is not what was written; nothing was changed.
    """
    keys = Keystore.open(folder.keystore_path if keystore is None else keystore, root)
    store = folder.open_database()
    with store.transaction(writes=False) as connection:
        found = version_of(connection)
        signs = (found or HEAD) < SIGNED and not folder.unverified_mac
    if not signs:
        VaultFolder.open(folder.path).verify(keys)
    anchor = Anchor(folder.anchor_path, keys, folder.vault_id)
    with _held(folder, keys):
        if found is not None and _LOGGED <= found < HEAD and folder.anchor_path.exists():
            with store.transaction(writes=False) as connection:
                anchor.check(connection)  # rule 4
        migrate(store, bind=lambda connection, found: _upgraded(connection, found, folder, store, keys))
        if signs:
            folder.write(keys)
        with store.transaction(writes=False) as connection:
            if folder.anchor_path.exists():
                anchor.raise_from(connection)
            elif _is_new(connection):
                Anchor.create(folder.anchor_path, keys, folder.vault_id, connection)


def bind_with_keys(
    connection: Connection, found: str, folder: VaultFolder, store: Database, keys: Keystore
) -> tuple[Dataset, ...]:
    """Do what the migrations after a version cannot do without keys, and return the datasets whose chunk files were written anew.

    Args:
        connection: of the transaction that made the tables of today.
        found: the version before.
        folder: of the vault.
        store: its database.
        keys: its keystore.
    """
    if found < BOUND:
        bind_rows(connection, keys)
    if found >= BLOCKS:
        return ()
    chunks = ChunkStore(folder, store)
    datasets = [dataset_of_row(row) for row in connection.execute(select(models.dataset)).all()]
    return tuple(dataset for dataset in datasets if _fix_blocks(connection, chunks, dataset, keys))


def _upgraded(connection: Connection, found: str, folder: VaultFolder, store: Database, keys: Keystore) -> None:
    log = audit_log(keys)
    for dataset in bind_with_keys(connection, found, folder, store, keys):
        this = models.dataset.c.dataset_id == dataset.dataset_id
        connection.execute(update(models.dataset).where(this).values(version=dataset.version + 1))
        log.append(
            connection,
            action=_ACTION,
            object_kind="dataset",
            object_id=dataset.id,
            organisation=dataset.organisation,
        )


def _fix_blocks(connection: Connection, chunks: ChunkStore, dataset: Dataset, keystore: Keystore) -> bool:
    """Fix the block of everybody in a dataset (rule 3); return whether it had people."""
    chunks.sweep(dataset)
    keys = keystore.organisation(dataset.organisation)
    codes = BlockCodes(keys.index_key(BLOCK_KEY), dataset.dataset_id, dataset.schema)
    person, chunk = models.person, models.chunk
    numbers = np.array(
        sorted(connection.scalars(select(person.c.person_id).where(person.c.dataset_id == dataset.dataset_id))),
        np.int64,
    )
    rows = connection.execute(select(chunk).where(chunk.c.dataset_id == dataset.dataset_id)).all()
    blocks: Places = np.full(len(numbers), UNKNOWN, np.int16)
    for row in rows:
        content = chunks.read_chunk(dataset, keys, row, before_blocks=True)
        there = np.isin(content.persons, numbers)
        said = record_places(dataset.schema, dataset.domain, content.columns)[there]
        persons = np.searchsorted(numbers, content.persons[there])
        blocks = earlier(blocks, earliest_by_person(len(numbers), persons, said))
    changed: list[dict[str, Any]] = [
        {"this": number, "code": codes.code(number, block)}
        for number, block in zip(numbers.tolist(), blocks.tolist(), strict=True)
    ]
    if changed:
        statement = update(person).where(person.c.person_id == bindparam("this"))
        connection.execute(statement.values(block_code=bindparam("code")), changed)
    for row in rows:
        content = chunks.read_chunk(dataset, keys, row, before_blocks=True)
        content = content.only(np.isin(content.persons, numbers))
        content = replace(content, blocks=blocks[np.searchsorted(numbers, content.persons)])
        again = chunks.write_chunk(
            dataset, keys, content, version=row.version, chunk_id=row.chunk_id, generation=row.generation + 1
        )
        connection.execute(update(chunk).where(chunk.c.chunk_id == row.chunk_id).values(again))
    return bool(rows) or bool(changed)


def _is_new(connection: Connection) -> bool:
    """Whether nothing but this upgrade is in the audit log: the vault had no log, and so no anchor (rule 5)."""
    others = select(func.count()).select_from(audit).where(audit.c.action != _ACTION)
    return not connection.scalar(others)


@contextmanager
def _held(folder: VaultFolder, keys: Keystore) -> Iterator[None]:
    with ExitStack() as stack:
        for organisation in sorted(keys.organisations):
            stack.enter_context(held(folder.lock(f"organisation-{organisation}"), alone=True, what=organisation))
        yield
