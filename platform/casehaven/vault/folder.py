"""A vault on disk: what is where, and what its own file says.

    VAULT/vault.json      this file: format, the vault's id, where database, keystore and anchor are
    VAULT/vault.sqlite    the database, unless it is on a Postgres server
    VAULT/chunks/         sealed chunk files, a folder for each dataset
    VAULT/locks/          lock files, empty
    VAULT.keys/           the keystore: wrapped keys; never in a backup of the data
    VAULT.anchor          the anchor; better on other storage

1. `vault.json` is written last: a folder without it is no vault, and making one starts again.
2. Everything is readable by its owner alone.
3. Database and folder name the same vault, or it does not open.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import func, insert, select

from casehaven.core.audit_models import audit
from casehaven.core.db import Database, is_postgres, without_password
from casehaven.core.migrate import check_version, migrate
from casehaven.vault import models
from casehaven.vault.anchor import Anchor
from casehaven.vault.audit_reasons import audit_log
from casehaven.vault.bound_rows import bind_rows
from casehaven.vault.datasets import now
from casehaven.vault.errors import VaultExistsError, VaultFormatError, VaultMissingError
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import RootKey
from casesynth._files import write_whole

FORMAT: Final = "casehaven-vault/1"
FILE: Final = "vault.json"
EMBEDDED: Final = "embedded"
"""The database is the file in the folder."""


@dataclass(frozen=True, kw_only=True)
class VaultFolder:
    """Where the parts of a vault are."""

    path: Path
    """The folder."""
    vault_id: str
    database: str = EMBEDDED
    """`embedded`, or the address of a Postgres database without a password."""
    keystore: Path | None = None
    """The keystore's folder where it is not beside the vault."""
    anchor: Path | None = None
    """The anchor where it is not beside the vault."""

    @property
    def chunks(self) -> Path:
        """Folder of the chunk files."""
        return self.path / "chunks"

    @property
    def database_path(self) -> Path:
        """The embedded database."""
        return self.path / "vault.sqlite"

    @property
    def keystore_path(self) -> Path:
        """Folder of the keystore."""
        return _beside(self.path, "keys") if self.keystore is None else self.keystore

    @property
    def anchor_path(self) -> Path:
        """The anchor."""
        return _beside(self.path, "anchor") if self.anchor is None else self.anchor

    def lock(self, name: str) -> Path:
        """Return the lock file of that name."""
        return self.path / "locks" / f"{name}.lock"

    def write(self) -> None:
        """Write `vault.json`, whole or not at all."""
        document = {
            "format": FORMAT,
            "vault_id": self.vault_id,
            "database": self.database,
            "keystore": None if self.keystore is None else str(self.keystore),
            "anchor": None if self.anchor is None else str(self.anchor),
        }
        text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        write_whole(self.path / FILE, text.encode("utf-8"), mode=0o600, replace=True)

    @classmethod
    def open(cls, path: Path) -> VaultFolder:
        """Read `vault.json`.

        Raises:
            VaultMissingError: there is none.
            VaultFormatError: it has another format.
        """
        try:
            unverified = json.loads((path / FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise VaultMissingError(f"there is no vault at {path}") from None
        except ValueError:
            raise VaultFormatError(f"{path / FILE} cannot be read as what it is") from None
        if not isinstance(unverified, dict) or unverified.get("format") != FORMAT:
            raise VaultFormatError(f"{path} is no vault of the format {FORMAT}")
        parts = [unverified.get(name) for name in ("vault_id", "database", "keystore", "anchor")]
        if not all(isinstance(part, str) for part in parts[:2]) or not all(
            part is None or isinstance(part, str) for part in parts[2:]
        ):
            raise VaultFormatError(f"{path / FILE} cannot be read as what it is")
        vault_id, database, keystore, anchor = parts
        return cls(
            path=path,
            vault_id=str(vault_id),
            database=str(database),
            keystore=None if keystore is None else Path(keystore),
            anchor=None if anchor is None else Path(anchor),
        )

    @classmethod
    def create(
        cls, path: Path, root: RootKey, *, database: str | None, keystore: Path | None, anchor: Path | None
    ) -> tuple[VaultFolder, Database, Keystore]:
        """Make the folder, the keystore, the database and the anchor of an empty vault.

        Raises:
            VaultExistsError: something is there already; nothing was made.
        """
        made = cls(
            path=path,
            vault_id=uuid.uuid4().hex,
            database=EMBEDDED if database is None else without_password(database),
            keystore=None if keystore is None else keystore.absolute(),
            anchor=None if anchor is None else anchor.absolute(),
        )
        if path.is_dir() and (path / FILE).exists():
            raise VaultExistsError(f"{path} holds a vault already")
        for part in (path, made.keystore_path, made.anchor_path):
            if part.exists() and not (part.is_dir() and not any(part.iterdir())):
                raise VaultExistsError(f"{part} is there already; a new vault needs a place of its own")
        with _undone(made):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            made.chunks.mkdir(mode=0o700)
            if made.keystore_path.is_dir():
                made.keystore_path.rmdir()
            keys = Keystore.create(made.keystore_path, root)
            store = Database.create(made.database_path if database is None else database)
            migrate(store)
            log = audit_log(keys)
            with store.transaction(writes=True) as connection:
                connection.execute(insert(models.vault).values(vault_id=made.vault_id, created_at=now()))
                log.create(connection, made.vault_id)
                log.append(connection, action="vault.create", object_kind="vault", object_id=made.vault_id)
            with store.transaction(writes=False) as connection:
                Anchor.create(made.anchor_path, keys, made.vault_id, connection)
            made.write()
        return made, store, keys

    def unlock(self, root: RootKey, *, keystore: Path | None = None) -> tuple[Database, Keystore]:
        """Open the keystore with the root key, and the database that belongs to this folder.

        Raises:
            VaultFormatError: the database is another vault's.
            DatabaseVersionError: its tables are of another version.
        """
        keys = Keystore.open(self.keystore_path if keystore is None else keystore, root)
        store = self.open_database()
        check_version(store)
        with store.transaction(writes=False) as connection:
            if connection.scalars(select(models.vault.c.vault_id)).all() != [self.vault_id]:
                raise VaultFormatError(f"the database of {self.path} is another vault's")
        return store, keys

    def upgrade(self, root: RootKey, *, keystore: Path | None = None) -> None:
        """Bring the tables that an earlier version wrote to today's, all of it or nothing.

        A vault from before there were anchors gets one: its audit log is empty, so there is nothing that could be rolled back.
        """
        keys = Keystore.open(self.keystore_path if keystore is None else keystore, root)
        store = self.open_database()
        migrate(store, bind=lambda connection: bind_rows(connection, keys))
        if self.anchor_path.exists():
            return
        with store.transaction(writes=False) as connection:
            if connection.scalar(select(func.count()).select_from(audit)) == 0:
                Anchor.create(self.anchor_path, keys, self.vault_id, connection)

    def open_database(self) -> Database:
        """Open the database, whatever its version."""
        return Database.open(self.database if is_postgres(self.database) else self.database_path)

    def at(self, path: Path) -> VaultFolder:
        """The same vault in another folder, with everything beside it."""
        return replace(self, path=path, keystore=None, anchor=None)


def _beside(path: Path, suffix: str) -> Path:
    absolute = path.absolute()
    return absolute.with_name(f"{absolute.name}.{suffix}")


@contextmanager
def _undone(made: VaultFolder) -> Iterator[None]:
    """Remove what was made when making a vault fails; nothing was there before."""
    try:
        yield
    except BaseException:
        shutil.rmtree(made.path, ignore_errors=True)
        shutil.rmtree(made.keystore_path, ignore_errors=True)
        made.anchor_path.unlink(missing_ok=True)
        raise
