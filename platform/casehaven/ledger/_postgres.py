"""The ledger on a Postgres server: the same tables, triggers and promises as the file, in a schema of its own, `casehaven_ledger`.

1. A commit is on disk before it returns (`synchronous_commit=on`).
2. A writer locks the one row of the ledger first, and the account rows that it charges in the order of their ids after it (privacy rule 15): what it read
   is still true when it writes, and two writers never wait for each other.
3. The server's own messages quote rows and never reach anyone (privacy rule 23).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool, Pool, QueuePool

from casehaven.core.db import without_password
from casehaven.ledger import models
from casehaven.ledger._checks import check_sums
from casehaven.ledger._migrate import HEAD, make_tables
from casehaven.ledger._triggers import REFUSALS
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

_WAIT_SECONDS = 60.0


class PostgresStore:
    """A ledger on a server."""

    def __init__(self, url: str, *, keep_open: bool = False) -> None:
        if importlib.util.find_spec("psycopg") is None:
            raise LedgerMissingError(
                "a Postgres ledger needs the driver psycopg: pip install 'casehaven[server,postgres]'"
            )
        self.path: Path | None = None
        self.where = without_password(url)
        self._url = url
        self._pool: type[Pool] = QueuePool if keep_open else NullPool
        self._engine, self._process = self._new_engine(), os.getpid()

    def _new_engine(self) -> Engine:
        return create_engine(
            make_url(self._url).set(drivername="postgresql+psycopg"),
            poolclass=self._pool,
            connect_args={
                "options": f"-c synchronous_commit=on -c lock_timeout={int(_WAIT_SECONDS * 1000)} -c search_path={models.SCHEMA}",
                "application_name": "casehaven-ledger",
            },
        )

    def close(self) -> None:
        """Close the connections that were kept."""
        self._engine.dispose(close=self._process == os.getpid())

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Connection]:
        """Run one transaction."""
        if self._process != os.getpid():
            self._engine.dispose(close=False)  # the parent goes on with its connections
            self._engine, self._process = self._new_engine(), os.getpid()
        level = "READ COMMITTED" if writes else "REPEATABLE READ"
        with (
            self._faults(),
            self._engine.connect().execution_options(isolation_level=level) as connection,
            connection.begin(),
        ):
            if writes:
                connection.execute(select(models.ledger.c.id).with_for_update())
            else:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield connection

    def create(self, fill: Callable[[Connection], None]) -> None:
        """Make the schema, its tables and the first rows, in one transaction.

        Raises:
            LedgerExistsError: a ledger is there already.
        """
        with self._faults(), self._engine.connect() as connection, connection.begin():
            if connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": models.SCHEMA}):
                raise LedgerExistsError(f"{self.where} holds a ledger already")
            connection.exec_driver_sql(f"CREATE SCHEMA {models.SCHEMA}")
            make_tables(connection)
            fill(connection)

    def check(self) -> None:
        """Read the whole ledger and trust it only when everything fits."""
        with self.transaction(writes=False) as connection:
            if not inspect(connection).has_table("ledger", schema=models.SCHEMA):
                raise NotALedgerError(f"{self.where} holds no ledger")
            version = connection.scalar(select(models.version.c.version_num))
            if version != HEAD:
                raise LedgerVersionError(
                    f"{self.where} has ledger version {version}, this software knows version {models.SCHEMA_VERSION}"
                )
            there = connection.scalars(
                text(
                    "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace "
                    "WHERE NOT tgisinternal AND tgenabled <> 'D' AND n.nspname = :name"
                ),
                {"name": models.SCHEMA},
            ).all()
            if sorted(there) != sorted(refusal.name for refusal in REFUSALS):
                raise DamagedLedgerError(f"{self.where} is damaged: the rules that protect its balances are not there")
            check_sums(self.where, connection)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _cause(self.where, error) from None


def _cause(where: str, error: DBAPIError) -> LedgerError:
    """Return what the driver's error means; its message stays behind."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state in ("55P03", "40P01"):
        return LedgerBusyError(
            f"{where} was in use by others for more than {_WAIT_SECONDS:g} seconds; nothing was charged"
        )
    if state == "53100":
        return LedgerStorageError(f"there is no space left to write {where}; nothing was charged")
    if state.startswith("XX00"):
        return DamagedLedgerError(f"{where} is damaged: the database cannot read it")
    if not state and isinstance(error, OperationalError | InterfaceError):
        return LedgerMissingError(f"{where} does not answer")
    return LedgerStorageError(f"{where} refused a statement ({state or 'unknown'}); nothing was charged by halves")
