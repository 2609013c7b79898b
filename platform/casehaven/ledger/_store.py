"""The ledger's file: how it is created, opened, checked, and locked. `casehaven.ledger._postgres` does the same on a server.

1. SQLite in WAL mode with `synchronous=FULL`: a commit is on disk before it returns.
2. Writers take the lock at the start of the transaction (`BEGIN IMMEDIATE`), so that what a charge read is still true when it writes (privacy rule 15).
3. A connection is opened for each transaction and closed after it, which leaves one whole file that can be copied. A process that charges all day keeps
   its connections (`keep_open`): closing the last one makes SQLite write the file anew, which costs several times as much as a charge.
   A fork never uses, and never closes, what its parent opened.
4. Nobody opens the file but SQLite while this process may have a connection to it: closing a descriptor of our own would take the locks of that
   connection away (POSIX), and another process could then take its write-ahead log away with a charge in it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from casehaven.ledger import models
from casehaven.ledger._checks import check_sums
from casehaven.ledger._migrate import make_tables, upgrade
from casehaven.ledger._triggers import triggers
from casehaven.ledger.errors import (
    DamagedLedgerError,
    LedgerBusyError,
    LedgerError,
    LedgerExistsError,
    LedgerMissingError,
    LedgerStorageError,
    LedgerVersionError,
    NotALedgerError,
)

Connector = Callable[[Path], sqlite3.Connection]
"""Opens one database connection to an existing ledger file."""

_WAIT_SECONDS = 60.0
"""How long a transaction waits for the others; then it gives up with nothing charged."""

_WRITES = "casehaven_writes"

_INHERITED: list[Engine] = []
"""Engines of a parent process, kept from being closed."""


class _HasErrorName(Protocol):
    sqlite_errorname: str


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing database file, with every promise of this module switched on. Never creates a file."""
    uri = f"file:{quote(str(path.absolute()))}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "fullfsync = ON",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "wal_autocheckpoint = 8000",
        ):
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()
        raise
    return connection


def pool_options(keep_open: bool) -> dict[str, Any]:
    """Return how an engine keeps connections: as many as threads ever worked at once, or none."""
    return {"poolclass": QueuePool, "max_overflow": -1} if keep_open else {"poolclass": NullPool}


class Store(Protocol):
    """A ledger's database, that transactions run on."""

    where: str
    """The file, or the server without a password; for messages."""
    path: Path | None
    """The file of SQLite; None on a server."""

    def transaction(self, *, writes: bool) -> AbstractContextManager[Connection]:
        """Run one transaction: committed to disk when the block ends, rolled back whole when it raises.

        Raises:
            LedgerBusyError: the lock was not to be had in time.
            LedgerStorageError: the disk is full, failing or read-only.
            DamagedLedgerError: the database found a page that it cannot read.
        """
        ...

    def check(self) -> None:
        """Read the whole ledger and trust it only when everything fits; an earlier version is brought to this one first.

        Raises:
            LedgerMissingError: there is none, or it may not be opened.
            NotALedgerError: it is something else.
            LedgerVersionError: the format is another one.
            DamagedLedgerError: a page is damaged, or a balance is not the sum of its charges.
        """
        ...

    def close(self) -> None:
        """Close the connections that were kept."""
        ...


class SqliteStore:
    """A ledger in a file."""

    def __init__(self, path: Path, connector: Connector = connect, *, keep_open: bool = False) -> None:
        self.path: Path | None = path
        self.where = str(path)
        self._file = path
        self._connector = connector
        self._pool = pool_options(keep_open)
        self._engine = self._new_engine()
        self._process = os.getpid()

    def _new_engine(self) -> Engine:
        made = create_engine("sqlite://", creator=lambda: self._connector(self._file), **self._pool)
        event.listen(made, "begin", _begin)
        self._writers = made.execution_options(**{_WRITES: True})
        return made

    def close(self) -> None:
        """Close the connections that were kept."""
        if self._process == os.getpid():
            self._engine.dispose()

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Connection]:
        """Run one transaction."""
        if self._process != os.getpid():
            _INHERITED.append(self._engine)  # closing a parent's connection would take its locks away
            self._engine, self._process = self._new_engine(), os.getpid()
        engine = self._writers if writes else self._engine
        with _translated(self._file), engine.connect() as connection, connection.begin():
            yield connection

    def check(self) -> None:
        """Read the whole file and trust it only when everything fits."""
        _check_readable(self._file)
        self._upgrade()
        with self.transaction(writes=False) as connection:
            application = connection.scalar(text("PRAGMA application_id"))
            version = connection.scalar(text("PRAGMA user_version"))
            if application != models.APPLICATION_ID:
                raise NotALedgerError(f"{self.where} is a database, but not a ledger")
            if version != models.SCHEMA_VERSION:
                raise LedgerVersionError(
                    f"{self.where} has ledger version {version}, this software knows version {models.SCHEMA_VERSION}"
                )
            if connection.scalars(text("PRAGMA integrity_check(1)")).all() != ["ok"]:
                raise DamagedLedgerError(f"{self.where} is damaged: the database's own check fails")
            if connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
                raise DamagedLedgerError(f"{self.where} is damaged: a charge refers to an account that is not there")
            there = connection.scalars(text("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")).all()
            if sorted(map(str, there)) != sorted(triggers("sqlite")):  # a flipped bit can make a text bytes
                raise DamagedLedgerError(f"{self.where} is damaged: the rules that protect its balances are not there")
            check_sums(self.where, connection)

    def _upgrade(self) -> None:
        """Bring a file of an earlier version to this one, in one transaction; no amount changes."""
        with self.transaction(writes=False) as connection:
            if not _older(connection):
                return
        with self.transaction(writes=True) as connection:
            if older := _older(connection):  # another process may have been first
                upgrade(connection, older)


def _older(connection: Connection) -> int:
    """Return the version of a ledger of an earlier one; 0 where it is none, or of this version."""
    if connection.scalar(text("PRAGMA application_id")) != models.APPLICATION_ID:
        return 0
    found = connection.scalar(text("PRAGMA user_version")) or 0
    return found if 1 <= found < models.SCHEMA_VERSION else 0


def create_file(path: Path, fill: Callable[[Connection], None]) -> None:
    """Create a ledger file with permissions 0600, its tables, and the first rows, in one transaction.

    Args:
        path: where; nothing may be there.
        fill: writes the first rows.

    Raises:
        LedgerExistsError: something is there already.
        LedgerStorageError: the folder is missing or read-only, or the disk is full.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise LedgerExistsError(f"{path} exists already") from None
    except OSError as error:
        raise LedgerStorageError(f"{path} cannot be created: {error.strerror}") from None
    try:
        os.chmod(path, 0o600)  # whatever the umask
        with SqliteStore(path).transaction(writes=True) as connection:
            make_tables(connection)
            fill(connection)
        folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        for leftover in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            leftover.unlink(missing_ok=True)
        raise


def _begin(connection: Connection) -> None:
    driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)
    driver.execute("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN").close()


def _check_readable(path: Path) -> None:
    """Tell a missing or foreign file apart from a damaged ledger: by the file's own bytes, but only where SQLite cannot read them (rule 4)."""
    try:
        if path.stat().st_size:
            connect(path).close()
            return
    except OSError:
        pass
    except sqlite3.Error as error:
        if not error.sqlite_errorname.startswith(("SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_CORRUPT")):
            return  # in use, or the disk fails: the check that follows says so
    except UnicodeError:  # the database's own message names what is damaged, and that is no text
        raise DamagedLedgerError(f"{path} is damaged: the database cannot read it") from None
    check_header(path)


def check_header(path: Path) -> None:
    """Tell a missing or foreign file apart from a damaged ledger; never of a file that a connection of this process may have open (rule 4)."""
    if path.exists() and not path.is_file():
        raise NotALedgerError(f"{path} is not a regular file")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise LedgerMissingError(f"there is no ledger at {path}") from None
    except OSError as error:
        raise LedgerMissingError(f"{path} cannot be opened: {error.strerror}") from None
    if not head:
        raise NotALedgerError(f"{path} is empty: its creation was interrupted, or it was cut off")
    if head != b"SQLite format 3\x00":
        raise NotALedgerError(f"{path} is not a ledger, or its first bytes are damaged")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn the database's errors into the ledger's; the library's message stays behind (privacy rule 23)."""
    try:
        yield
    except DBAPIError as error:
        raise _cause(path, error.orig) from None
    except sqlite3.Error as error:
        raise _cause(path, error) from None
    except UnicodeError:  # a damaged page can make a text, or the database's own message, no text at all
        raise DamagedLedgerError(f"{path} is damaged: the database cannot read it") from None


def _cause(path: Path, error: BaseException | None) -> LedgerError:
    name = cast(_HasErrorName, error).sqlite_errorname if hasattr(error, "sqlite_errorname") else "unknown"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerBusyError(
            f"{path} was in use by others for more than {_WAIT_SECONDS:g} seconds; nothing was charged"
        )
    if name.startswith("SQLITE_FULL"):
        return LedgerStorageError(f"there is no space left to write {path}; nothing was charged")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")):
        return DamagedLedgerError(f"{path} is damaged: the database cannot read it")
    if name.startswith("SQLITE_CANTOPEN"):
        return LedgerMissingError(f"{path} cannot be opened, or its folder may not be written")
    if name.startswith("SQLITE_READONLY"):
        return LedgerStorageError(f"{path} may not be written; nothing was charged")
    return LedgerStorageError(f"{path} could not be read or written ({name}); nothing was charged by halves")
