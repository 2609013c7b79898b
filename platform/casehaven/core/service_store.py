"""The service store: what the web-facing process may read and write, apart from vault, keystore and ledger.

    SERVICE/service.sqlite   the store, unless it is on a Postgres server
    SERVICE/uploads/         raw uploads, sealed to an organisation's public key while they arrive; gone when they are taken in
    SERVICE/releases/        signed bundles that the worker published

1. The api opens this store and nothing else. Whatever needs a key, a case record or the ledger is a job (`casehaven.core.jobs`), which the worker does.
2. A writer here holds the store for milliseconds. An intake that writes to the vault for a minute never keeps anybody from signing in: the two are two databases, and on
   one Postgres server two locks.
3. In split mode api and worker are two users of the operating system with one group: the folder and the files are for the group too, and nothing is for others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from casehaven.core.db import SERVICE_WRITER_LOCK, Database
from casehaven.core.migrate import Migrations

SERVICE_HEAD: Final = "0005"
"""Version of the tables that this software reads and writes."""

STORE: Final = Migrations(folder=Path(__file__).with_name("service_migrations"), head=SERVICE_HEAD)

_FILE_MODE: Final = 0o660
_FOLDER_MODE: Final = 0o2770  # files in it belong to its group


@dataclass(frozen=True, kw_only=True)
class ServiceStore:
    """The folder and the database that api and worker share."""

    folder: Path
    database: Database

    @property
    def uploads(self) -> Path:
        """Folder of sealed uploads."""
        return self.folder / "uploads"

    @property
    def releases(self) -> Path:
        """Folder of published bundles."""
        return self.folder / "releases"

    @classmethod
    def create(cls, folder: Path, database: str | None = None) -> ServiceStore:
        """Make the folder and an empty store.

        Args:
            folder: new or empty of a store.
            database: address of an empty Postgres database; None: a file in the folder.

        Raises:
            DatabaseExistsError: there is a store already.
            DatabaseStorageError: the folder cannot be written.
        """
        made = cls(folder=folder, database=_create(folder, database))
        STORE.migrate(made.database)
        return made

    @classmethod
    def open(cls, folder: Path, database: str | None = None) -> ServiceStore:
        """Open the store of a folder.

        Raises:
            DatabaseMissingError: there is none.
            DatabaseVersionError: its tables are of another version.
        """
        found = Database.open(_place(folder, database), writer_lock=SERVICE_WRITER_LOCK)
        STORE.check(found)
        return cls(folder=folder, database=found)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run a transaction that reads."""
        with self.database.transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = True) -> Iterator[Connection]:
        """Run a transaction that writes; `alone=False` where each row that is read is locked."""
        with self.database.transaction(writes=True, alone=alone) as connection:
            yield connection


def _create(folder: Path, database: str | None) -> Database:
    for part in (folder, folder / "uploads", folder / "releases"):
        fresh = not part.exists()
        part.mkdir(parents=True, exist_ok=True)
        if fresh:
            os.chmod(part, _FOLDER_MODE)  # whatever the umask
    return Database.create(_place(folder, database), mode=_FILE_MODE, writer_lock=SERVICE_WRITER_LOCK)


def _place(folder: Path, database: str | None) -> str | Path:
    return folder / "service.sqlite" if database is None else database
