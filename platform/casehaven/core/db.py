"""One database behind the service: a SQLite file or a Postgres server, with the same promises.

1. A transaction that returned is on disk: SQLite in WAL mode with `synchronous=FULL`, Postgres with `synchronous_commit=on`.
2. Writers follow one another: `BEGIN IMMEDIATE` on SQLite, one advisory lock on Postgres. What a writer read in its transaction is still true
   when it writes, so that a chain of audit entries or the number of a version never has two authors. A writer that locks its rows itself says so (`alone=False`).
3. A reader sees one moment, however long it reads.
4. What is deleted is overwritten where the database can: `secure_delete` on SQLite. `Database.scrub` empties the write-ahead log of SQLite and vacuums the
   tables of Postgres, so that a destroyed key does not wait there. Copies that a disk or a backup keeps are a named limit.
5. The database's own messages quote rows and never reach anyone (privacy rule 23).
6. Connections are opened per transaction: a fork or a thread shares none.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool

from casehaven.core.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseExistsError,
    DatabaseMissingError,
    DatabaseStorageError,
)

Dialect = Literal["sqlite", "postgresql"]

metadata = MetaData()
"""Every table of the service; the migrations make them, and a test holds both together."""

Identifier = BigInteger().with_variant(Integer, "sqlite")
"""A whole number of 63 bits; on SQLite, where `INTEGER` has 64, the row's own key."""

_WAIT_SECONDS = 60.0
_WRITER_LOCK = 0x6361736568617665
"""Advisory lock that a writer on Postgres holds until its transaction ends: `casehave` in ASCII."""

SERVICE_WRITER_LOCK = 0x6361736573727663
"""The same of the service store, `casesrvc`: whoever signs in never waits for an intake, also where one server holds both."""

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "fullfsync = ON",
    "secure_delete = ON",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cache_size = -65536",  # KiB; rows arrive in random order
    "temp_store = MEMORY",  # a sorted or joined row never lands in a temporary file
)


class Database:
    """A database that transactions run on.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> database = Database.create(Path(folder.name) / "vault.sqlite")
    >>> with database.transaction(writes=True) as connection:
    ...     _ = connection.execute(text("CREATE TABLE note (body TEXT)"))
    >>> database.dialect
    'sqlite'
    >>> folder.cleanup()
    """

    def __init__(self, engine: Engine, where: str, path: Path | None, *, writer_lock: int = _WRITER_LOCK) -> None:
        """Use `open` or `create`."""
        self._engine = engine
        self._writer_lock = writer_lock
        self.where = where
        """The file, or the server without a password; for messages."""
        self.path = path
        """The file of SQLite; None on Postgres."""

    @property
    def dialect(self) -> Dialect:
        """Which database it is."""
        return "postgresql" if self.path is None else "sqlite"

    @classmethod
    def open(cls, url_or_path: str | Path, *, writer_lock: int = _WRITER_LOCK) -> Database:
        """Open a database that is there.

        Args:
            url_or_path: a SQLite file, or `postgresql://user@host/name`; the password comes from `PGPASSWORD` or libpq's password file.
            writer_lock: on Postgres, the number of the lock that writers take; stores that share a server have their own.

        Raises:
            DatabaseMissingError: there is no such file, or the server does not answer.
        """
        if is_postgres(url_or_path):
            return _postgres(str(url_or_path), writer_lock)
        path = Path(url_or_path)
        if not path.is_file():
            raise DatabaseMissingError(f"there is no database at {path}")
        return _sqlite(path)

    @classmethod
    def create(cls, url_or_path: str | Path, *, mode: int = 0o600, writer_lock: int = _WRITER_LOCK) -> Database:
        """Make an empty SQLite file that only its owner may read, or open an empty Postgres database.

        Args:
            url_or_path: as for `open`.
            mode: permissions of the SQLite file; SQLite gives its log the same.
            writer_lock: as for `open`.

        Raises:
            DatabaseExistsError: the file is there already, or the server's database holds tables.
            DatabaseStorageError: the folder is missing or read-only, or the disk is full.
        """
        if is_postgres(url_or_path):
            database = _postgres(str(url_or_path), writer_lock)
            with database.transaction(writes=False) as connection:
                if connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")):
                    raise DatabaseExistsError(f"{database.where} holds tables already")
            return database
        path = Path(url_or_path)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, mode))
            os.chmod(path, mode)  # whatever the umask
        except FileExistsError:
            raise DatabaseExistsError(f"{path} exists already") from None
        except OSError as error:
            raise DatabaseStorageError(f"{path} cannot be created: {error.strerror}") from None
        return _sqlite(path)

    @contextmanager
    def transaction(self, *, writes: bool, alone: bool = True) -> Iterator[Connection]:
        """Run one transaction: on disk when the block ends, rolled back whole when it raises.

        Args:
            writes: whether it may write; a writer waits for the writer before it.
            alone: False for a writer that locks each row that it reads: on Postgres it waits for nobody.

        Raises:
            DatabaseError: the lock was not to be had, the disk is full, a page is damaged; nothing was written.
        """
        with self._faults(), self._engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.info["casehaven_writes"] = writes
                with connection.begin():
                    yield connection
                return
            level = "READ COMMITTED" if writes else "REPEATABLE READ"
            with connection.execution_options(isolation_level=level).begin():
                if writes and alone:
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({self._writer_lock})"))
                elif not writes:
                    connection.execute(text("SET TRANSACTION READ ONLY"))
                yield connection

    def scrub(self, *tables: Table) -> None:
        """Overwrite what was deleted as far as the database can; waits for nobody, so what others still read goes next time.

        Args:
            tables: on a server, only these; all of them by default.
        """
        with self._faults(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
            else:
                connection.execute(text(f"VACUUM {', '.join(table.name for table in tables)}"))

    def check(self) -> None:
        """Let the database look for damage in the whole file.

        Raises:
            DatabaseDamagedError: a page is damaged, or a row refers to one that is not there.
        """
        if self.dialect != "sqlite":
            return  # a server checks its pages as it reads them
        with self.transaction(writes=False) as connection:
            if connection.scalars(text("PRAGMA integrity_check(1)")).all() != ["ok"]:
                raise DatabaseDamagedError(f"{self.where} is damaged: the database's own check fails")
            if connection.execute(text("PRAGMA foreign_key_check")).first() is not None:
                raise DatabaseDamagedError(f"{self.where} is damaged: a row refers to one that is not there")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _cause(self.where, error, error.orig) from None
        except sqlite3.Error as error:
            raise _cause(self.where, error, error) from None
        except UnicodeEncodeError:
            raise DatabaseError(f"{self.where} was given a text that is no Unicode; nothing was written") from None
        except UnicodeDecodeError as error:
            if not _is_drivers(error):
                raise
            # a damaged page can make a text, or the database's own message, no text at all
            raise DatabaseDamagedError(f"{self.where} is damaged: the database cannot read it") from None
        except Exception as error:
            if not any(base.__module__ == "psycopg" and base.__name__ == "Error" for base in type(error).__mro__):
                raise
            raise _cause(self.where, error, error) from None  # `COPY` runs on the driver itself


def insert_many(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert many rows as fast as the database takes them: one prepared statement on SQLite, `COPY` on Postgres.

    Args:
        connection: of a writing transaction.
        table: where.
        columns: names, in the order of the cells; every other column takes its default.
        rows: plain values as the driver takes them (whole numbers, text, bytes, None).
    """
    names = ", ".join(table.c[name].name for name in columns)
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    driver = connection.connection.driver_connection
    driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(columns))})", rows)


def is_postgres(url_or_path: str | Path) -> bool:
    """Tell a server's address from a file.

    >>> is_postgres("postgresql://archive.example/cases"), is_postgres("vault/vault.sqlite")
    (True, False)
    """
    return isinstance(url_or_path, str) and url_or_path.startswith(("postgresql://", "postgresql+psycopg://"))


def without_password(url: str) -> str:
    """Return a server's address as it may be stored and shown.

    >>> without_password("postgresql://clerk:secret@archive.example/cases")
    'postgresql://clerk@archive.example/cases'
    """
    found = make_url(url)
    shown = URL.create("postgresql", found.username, None, found.host, found.port, found.database, found.query)
    return shown.render_as_string(hide_password=False)


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing file with every promise of this module switched on. Never creates a file."""
    uri = f"file:{quote(str(path.absolute()))}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()
        raise
    return connection


def _sqlite(path: Path) -> Database:
    engine = create_engine("sqlite://", creator=lambda: _connect(path), poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return Database(engine, str(path), path)


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("casehaven_writes") else "BEGIN")


def _postgres(url: str, writer_lock: int) -> Database:
    if importlib.util.find_spec("psycopg") is None:
        raise DatabaseError("a Postgres database needs the driver psycopg: pip install 'casehaven[server,postgres]'")
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        connect_args={
            "options": f"-c synchronous_commit=on -c lock_timeout={int(_WAIT_SECONDS * 1000)}",
            "application_name": "casehaven",
        },
    )
    database = Database(engine, without_password(url), None, writer_lock=writer_lock)
    with database.transaction(writes=False):
        return database


def _is_drivers(error: BaseException) -> bool:
    """Whether an error comes from where statements run: the driver, or SQLAlchemy on top of it."""
    frame, module = error.__traceback__, ""
    while frame is not None:
        module = str(frame.tb_frame.f_globals.get("__name__", ""))
        frame = frame.tb_next
    return module == __name__ or module.partition(".")[0] in ("sqlalchemy", "sqlite3", "psycopg")


def _cause(where: str, error: Exception, driver: BaseException | None) -> DatabaseError:
    """Return what the driver's error means; its message stays behind."""
    name = str(getattr(driver, "sqlite_errorname", None) or getattr(driver, "sqlstate", None) or "unknown")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or name in ("55P03", "40P01"):
        return DatabaseBusyError(f"{where} was in use by others for more than {_WAIT_SECONDS:g} seconds")
    if name.startswith("SQLITE_FULL") or name == "53100":
        return DatabaseStorageError(f"there is no space left to write {where}; nothing was written by halves")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "XX00")):
        return DatabaseDamagedError(f"{where} is damaged: the database cannot read it")
    if name.startswith("SQLITE_CANTOPEN"):
        return DatabaseMissingError(f"{where} cannot be opened, or its folder may not be written")
    if name.startswith("SQLITE_READONLY"):
        return DatabaseStorageError(f"{where} may not be written")
    if name.startswith("SQLITE_IOERR"):
        return DatabaseStorageError(f"{where} could not be read or written")
    if name == "unknown" and isinstance(error, OperationalError | InterfaceError):
        return DatabaseMissingError(f"{where} does not answer")
    return DatabaseError(f"{where} refused a statement ({name})")
