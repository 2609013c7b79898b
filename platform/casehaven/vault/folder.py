"""A vault on disk: what is where, and what its own file says.

    VAULT/vault.json      this file: format, the vault's id, where database, keystore and anchor are
    VAULT/vault.sqlite    the database, unless it is on a Postgres server
    VAULT/chunks/         sealed chunk files, a folder for each dataset
    VAULT/locks/          lock files, empty
    VAULT.keys/           the keystore: wrapped keys; never in a backup of the data
    VAULT.anchor          the anchor; better on other storage

1. `vault.json` is written last: a folder without it is no vault. What an attempt that was cut short left has to be removed by whoever knows that it is nothing
   else; the message says so.
2. Everything is readable by its owner alone.
3. Database and folder name the same vault, or it does not open.
4. `vault.json` carries an HMAC under a key of the keystore. Else whoever may write the folder could have an old copy of the anchor read, somewhere else. So
   places are changed by commands alone.
"""

from __future__ import annotations

import hmac
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import insert, select

from casehaven.core.db import Database, is_postgres, without_password
from casehaven.core.migrate import check_version, migrate
from casehaven.vault import models
from casehaven.vault.anchor import Anchor
from casehaven.vault.audit_reasons import audit_log
from casehaven.vault.datasets import now
from casehaven.vault.errors import ChangedVaultFileError, VaultExistsError, VaultFormatError, VaultMissingError
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import RootKey
from casesynth._files import write_whole
from casesynth.canonical import JsonValue, canonical_json

FORMAT: Final = "casehaven-vault/1"
FILE: Final = "vault.json"
EMBEDDED: Final = "embedded"
"""The database is the file in the folder."""

SIGNED: Final = "0003"
"""Version of the tables from which on `vault.json` is signed."""

_KEY: Final = b"casehaven-vault-file-key/1"


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
    unverified_mac: str = ""
    """The HMAC that the file carried when it was read; empty where it had none."""

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

    def write(self, keys: Keystore) -> VaultFolder:
        """Write `vault.json`, whole or not at all, and return it as it is then (rule 4)."""
        signed = replace(self, unverified_mac=self._mac(keys))
        document = {**self._document(), "mac": signed.unverified_mac}
        text = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        write_whole(self.path / FILE, text.encode("utf-8"), mode=0o600, replace=True)
        return signed

    def verify(self, keys: Keystore) -> None:
        """Refuse a `vault.json` that this vault's keys did not sign (rule 4).

        Raises:
            ChangedVaultFileError: somebody changed it.
        """
        if not hmac.compare_digest(self.unverified_mac.encode("utf-8"), self._mac(keys).encode("utf-8")):
            raise ChangedVaultFileError(
                f"{self.path / FILE} was changed, or is another keystore's: nobody vouches for the places that it names"
            )

    def _mac(self, keys: Keystore) -> str:
        key = hmac.digest(keys.audit_key(), _KEY, "sha256")
        return hmac.digest(key, canonical_json(self._document()), "sha256").hex()

    def _document(self) -> dict[str, JsonValue]:
        return {
            "format": FORMAT,
            "vault_id": self.vault_id,
            "database": self.database,
            "keystore": None if self.keystore is None else str(self.keystore),
            "anchor": None if self.anchor is None else str(self.anchor),
        }

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
        mac = unverified.get("mac", "")
        return cls(
            path=path,
            vault_id=str(vault_id),
            database=str(database),
            keystore=None if keystore is None else Path(keystore),
            anchor=None if anchor is None else Path(anchor),
            unverified_mac=mac if isinstance(mac, str) else "",
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
                raise VaultExistsError(
                    f"{part} is there already, and a new vault needs a place of its own; if an attempt to make this vault was cut short "
                    f"and left it, and nothing else uses it, remove {path}, {made.keystore_path} and {made.anchor_path}"
                )
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
            made = made.write(keys)
        return made, store, keys

    def unlock(self, root: RootKey, *, keystore: Path | None = None, signed: bool = True) -> tuple[Database, Keystore]:
        """Open the keystore with the root key, and the database that belongs to this folder.

        Args:
            root: the root key.
            keystore: where the keystore is now, if it was moved.
            signed: refuse a `vault.json` that its keys did not sign; only who names every place anew may do without.

        Raises:
            ChangedVaultFileError: `vault.json` was changed.
            VaultFormatError: the database is another vault's.
            DatabaseVersionError: its tables are of another version.
        """
        keys = Keystore.open(self.keystore_path if keystore is None else keystore, root)
        if signed and self.unverified_mac:
            self.verify(keys)
        store = self.open_database()
        check_version(store)
        if signed:  # without an HMAC it is of an earlier version, which has been said by now, or was changed
            self.verify(keys)
        with store.transaction(writes=False) as connection:
            if connection.scalars(select(models.vault.c.vault_id)).all() != [self.vault_id]:
                raise VaultFormatError(f"the database of {self.path} is another vault's")
        return store, keys

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
