"""Restoring a backup: the rows and chunks of that moment, and then everything again that the anchor remembers since.

1. Without the anchor there is no restore: nobody could say who was erased since the backup (privacy rule 20).
2. The backup is verified whole before anything is written. It goes into a new folder, which is a vault only when all of the following is done.
3. People who were erased since are erased again; consents that were withdrawn since are withdrawn again (threat 3, privacy rule 35).
4. The audit log goes on where the anchor knows it ended. Its first new entry names the entries that are lost, and the periods that were closed keep the
   roots that outside checkpoints vouch for.
5. No dataset gets a version twice: each gets one that is higher than any it had.
6. The vault that was backed up does not open any more: the anchor is the restored one's. One vault, one story.
7. A database on a server is marked until all is done. Cut short, the same restore empties a database with the mark and begins again; one without it holds
   something else, and is left alone.
"""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, MetaData, func, insert, inspect, select, text, update

from casehaven.core.audit import LostEntries
from casehaven.core.audit_checkpoint import LogSettings, add_period, closed_periods
from casehaven.core.db import Database, insert_many, without_password
from casehaven.core.errors import DatabaseExistsError
from casehaven.core.migrate import migrate
from casehaven.vault import models
from casehaven.vault.anchor import Anchor
from casehaven.vault.anchor_state import AnchorState
from casehaven.vault.backup import Backup, partial_folder
from casehaven.vault.datasets import now
from casehaven.vault.errors import BackupError, BackupExistsError, DamagedBackupError, RolledBackError
from casehaven.vault.folder import EMBEDDED, VaultFolder
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import RootKey
from casehaven.vault.store import Vault
from casehaven.vault.upgrade import bind_with_keys
from casesynth._files import sync_folder, write_whole

_MARK = "casehaven_restore_unfinished"
"""Name of the table that marks a database (rule 7)."""


def restore(
    backup_folder: Path,
    folder: Path,
    root: RootKey,
    *,
    keystore: Path,
    anchor: Path,
    reason: str,
    database: str | None = None,
    older_keystore: bool = False,
    actor: str | None = None,
) -> Vault:
    """Make a vault from a backup.

    Args:
        backup_folder: what `write_backup` wrote.
        folder: of the restored vault; nothing may be there.
        root: the root key of the keystore.
        keystore: the keystore's folder; it stays where it is.
        anchor: the anchor; it stays where it is, and is the restored vault's from now on.
        reason: why; sealed in the audit log.
        database: `postgresql://...` of an empty database; by default a file in the folder.
        older_keystore: accept a keystore that is older than the anchor says, because a newer one is lost.
        actor: who; the user of this process unless given.

    Raises:
        AnchorMissingError: there is no anchor: nothing is restored.
        RolledBackError: the anchor is older than the backup, or the keystore older than the anchor.
        DamagedBackupError: the backup is not what was written.
        BackupEpochError: the key of the backup's epoch is gone.
        BackupExistsError: something is at the folder already.
    """
    if folder.exists() or folder.is_symlink():
        raise BackupExistsError(f"{folder} exists already; a vault is restored into a new folder")
    keys = Keystore.open(keystore, root)
    backup = Backup.open(backup_folder, keys)
    remembered = Anchor(anchor, keys, backup.vault_id)
    state = remembered.read()  # rule 1
    _check(backup, state, keys, older_keystore)
    place = VaultFolder(
        path=partial_folder(folder),
        vault_id=backup.vault_id,
        database=EMBEDDED if database is None else without_password(database),
        keystore=keystore.absolute(),
        anchor=anchor.absolute(),
    )
    with _undone(place, database):
        place.path.mkdir(mode=0o700)
        place.chunks.mkdir(mode=0o700)
        store = Database.create(place.database_path if database is None else database)
        if database is not None:
            _mark(store)
        _fill(backup, place, store)
        migrate(store, bind=lambda connection, found: bind_with_keys(connection, found, place, store, keys))
        store.check()
        vault = Vault(place, store, keys)
        with store.transaction(writes=True) as connection:
            _go_on(vault, connection, backup, state, reason, actor)
        with store.transaction(writes=False) as connection:
            remembered.rebase(connection)
            unfinished = remembered.unfinished_erasures(connection)
        for person_id in unfinished:  # rule 3
            vault.finish_erasure(person_id)
        store.scrub()
        if database is not None:
            _unmark(store)
        place.write(keys)
        sync_folder(place.path)
        if folder.exists():
            raise BackupExistsError(f"{folder} exists already; a vault is restored into a new folder")
        place.path.rename(folder)
        sync_folder(folder.absolute().parent)
    return Vault.open(folder, root)


def _check(backup: Backup, state: AnchorState, keys: Keystore, older_keystore: bool) -> None:
    head = backup.contents.head
    if head.positions > state.head.positions:
        raise RolledBackError("the anchor is older than the backup: somebody put an earlier copy of it back")
    if head.positions == state.head.positions and head.chain != state.head.chain:
        raise RolledBackError("the audit log of the backup is not the one that the anchor knows")
    if keys.sequence < state.keystore_sequence and not older_keystore:
        raise RolledBackError("the keystore is older than the anchor says: keys that were destroyed since may be in it")
    for organisation in sorted({part.organisation for part in backup.contents.parts}):
        backup.check_epoch(organisation)


def _fill(backup: Backup, place: VaultFolder, store: Database) -> None:
    """Write the backup's rows, in the tables of its version, and its chunk files."""
    migrate(store, to=backup.contents.revision)
    tables = MetaData()
    counts: dict[str, int] = {}
    with store.transaction(writes=True) as connection:
        tables.reflect(connection)
        for part in backup.contents.parts:
            if part.kind == "rows":
                rows = backup.rows(part)
                counts[part.what] = counts.get(part.what, 0) + rows.num_rows
                insert_many(connection, tables.tables[part.what], rows.column_names, _values(connection, rows))
    if counts != dict(backup.contents.counts):
        raise DamagedBackupError(f"{backup.folder} does not hold the rows that its contents list")
    for part in backup.contents.parts:
        if part.kind == "chunk":
            path = place.chunks / part.what
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_whole(path, backup.data(part), mode=0o600, replace=False)


def _values(connection: Connection, rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Rows as the driver takes them."""
    columns = [column.to_pylist() for column in rows.columns]
    if connection.dialect.name == "sqlite":
        columns = [[_sqlite(value) for value in column] for column in columns]
    return zip(*columns, strict=True)


def _sqlite(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime.date) else value


def _go_on(
    vault: Vault, connection: Connection, backup: Backup, state: AnchorState, reason: str, actor: str | None
) -> None:
    """Take up the story where the anchor knows that it ended (rules 3 to 5)."""
    head = vault.audit.head(connection)
    if head != backup.contents.head:
        raise DamagedBackupError(f"{backup.folder} does not hold the audit log that its contents name")
    settings, closed = LogSettings.read(connection), closed_periods(connection)
    if state.first_period > len(closed):
        raise BackupError(f"{backup.folder} is too old: the anchor remembers only the last periods of the audit log")
    for number, one in enumerate(state.periods, start=state.first_period):
        if number < len(closed):
            if closed[number].root != one.root:
                raise RolledBackError("the audit log of the backup is not the one that the anchor knows")
            continue
        private = vault.keystore.signing_key()
        closed.append(add_period(connection, settings, closed, one.root, one.next_position, private))
    lost = None
    if state.head.positions > head.positions:
        lost = LostEntries(first=head.positions, last=state.head.positions - 1, chain=state.head.chain)
    for row in connection.execute(select(models.dataset)).all():
        known = state.datasets.get(f"{row.organisation}/{row.name}", 0)
        this = models.dataset.c.dataset_id == row.dataset_id
        connection.execute(update(models.dataset).where(this).values(version=max(row.version, known) + 1))
    _withdraw_again(connection, sorted(state.withdrawn))
    vault.audit.append_after_loss(connection, lost, actor=actor, reason=reason, not_before=state.head.at)


def _withdraw_again(connection: Connection, withdrawn: Sequence[tuple[int, str]]) -> None:
    consent = models.consent
    for person_id, purpose in withdrawn:
        there = select(models.person.c.person_id).where(models.person.c.person_id == person_id)
        if connection.scalar(there) is None:
            continue
        this = (consent.c.person_id == person_id, consent.c.purpose == purpose)
        last = connection.scalar(select(func.max(consent.c.version)).where(*this))
        if last is not None and not connection.scalar(select(consent.c.given).where(*this, consent.c.version == last)):
            continue  # whoever had not been asked yet gets the refusal too: else a file with a yes would be believed
        connection.execute(
            insert(consent).values(
                person_id=person_id,
                purpose=purpose,
                version=(last or 0) + 1,
                given=False,
                language="",
                dated=None,
                recorded_at=now(),
            )
        )


@contextmanager
def _undone(place: VaultFolder, database: str | None) -> Iterator[None]:
    """Remove what was made when a restore fails; nothing was there before."""
    made_here = False
    try:
        if database is not None:
            there = Database.open(database)
            if _is_marked(there):
                _empty(there)
            _check_empty(database)  # else its tables are not ours to drop
            made_here = True
        yield
    except BaseException as error:
        if database is not None and made_here:
            _empty(Database.open(database))
        shutil.rmtree(place.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise BackupError(f"the vault cannot be written: {error.strerror}") from None
        raise


def _check_empty(database: str) -> None:
    try:
        Database.create(database)
    except DatabaseExistsError as error:
        raise DatabaseExistsError(
            f"{error}; name an empty database, or empty this one if nobody needs what is in it"
        ) from None


def _mark(store: Database) -> None:
    with store.transaction(writes=True) as connection:
        connection.execute(text(f"CREATE TABLE {_MARK} (made_at TEXT)"))


def _unmark(store: Database) -> None:
    with store.transaction(writes=True) as connection:
        connection.execute(text(f"DROP TABLE {_MARK}"))


def _is_marked(store: Database) -> bool:
    with store.transaction(writes=False) as connection:
        return inspect(connection).has_table(_MARK)


def _empty(store: Database) -> None:
    with store.transaction(writes=True) as connection:
        tables = MetaData()
        tables.reflect(connection)
        tables.drop_all(connection)
        connection.execute(text("DROP FUNCTION IF EXISTS audit_only_grows()"))
