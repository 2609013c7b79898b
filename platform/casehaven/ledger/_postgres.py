"""The ledger on a Postgres server: the same tables, triggers and promises as the file, in a schema of its own, `casehaven_ledger`.

1. A commit is on disk before it returns (`synchronous_commit=on`).
2. A writer locks the one row of the ledger first, and the account rows that it charges in the order of their ids after it (privacy rule 15): what it read
   is still true when it writes, and two writers never wait for each other.
3. Where connections are kept, one that broke since, because the server was started anew, is opened again before anything is asked of it.
4. That a line of a charge has its charge and its account is seen when the ledger is opened; the server does not look it up at each charge.
5. The rules of the database are compared whole, as on SQLite: the condition of each and what it does, and that it is asked of everybody.
6. The server's own messages quote rows and never reach anyone (privacy rule 23).
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, RootTransaction, create_engine, inspect, make_url, select, text
from sqlalchemy.exc import DBAPIError

from casehaven.core.db import without_password
from casehaven.ledger import models
from casehaven.ledger._checks import check_sums
from casehaven.ledger._migrate import EARLIER, HEAD, make_tables, upgrade
from casehaven.ledger._store import pool_options
from casehaven.ledger._triggers import REFUSALS, Refusal
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

_WRITER = "BEGIN; SELECT id FROM ledger FOR UPDATE"
_READER = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""What a transaction begins with: one way to the server and back. The driver begins none by itself (`AUTOCOMMIT`)."""

_RULES = text(
    "SELECT pg_get_triggerdef(t.oid), f.prosrc FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND n.nspname = :name"
)
"""The rules that are asked at every change of a row, by whomever: a rule for replicas alone is none."""


def _rule(refusal: Refusal) -> tuple[str, str]:
    """Return what the server says of a rule that is as it was made: its trigger, and the body of its function."""
    function, trigger = refusal.sql("postgresql")
    return _plain(trigger), function.split("$$")[1]


def _plain(definition: str) -> str:
    """Return the statement of a trigger without what the server writes in its own way.

    >>> _plain("CREATE TRIGGER a BEFORE DELETE ON casehaven_ledger.b FOR EACH ROW WHEN (((new.c)::text = old.d))")
    'createtriggerabeforedeleteonbforeachrowwhennew.c=old.d'
    """
    return re.sub(rf"::\w+|[\s()]|\b{models.SCHEMA}\.", "", definition.lower())


class PostgresStore:
    """A ledger on a server."""

    def __init__(self, url: str, *, keep_open: bool = False) -> None:
        if importlib.util.find_spec("psycopg") is None:
            raise LedgerMissingError(
                "a Postgres ledger needs the driver psycopg: pip install 'casehaven[server,postgres]'"
            )
        import psycopg

        self._driver = psycopg
        self.path: Path | None = None
        self.where = without_password(url)
        self._url = url
        self._pool = pool_options(keep_open)
        self._engine, self._process = self._new_engine(), os.getpid()

    def _new_engine(self) -> Engine:
        return create_engine(
            make_url(self._url).set(drivername="postgresql+psycopg"),
            **self._pool,
            isolation_level="AUTOCOMMIT",
            connect_args={
                "options": f"-c synchronous_commit=on -c lock_timeout={int(_WAIT_SECONDS * 1000)} -c search_path={models.SCHEMA} "
                "-c plan_cache_mode=force_generic_plan -c default_transaction_isolation=read\\ committed",
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
        with self._faults():
            connection, began = self._begun(_WRITER if writes else _READER)
            with connection, began:
                yield connection

    def _begun(self, first: str) -> tuple[Connection, RootTransaction]:
        """Begin a transaction with a statement; where a connection that was kept broke since, on a new one (rule 3)."""
        connection = self._engine.connect()
        try:
            began = connection.begin()
            try:
                self._driver_of(connection).execute(first, prepare=False)
            except self._driver.OperationalError:
                if not self._driver_of(connection).closed:
                    raise
                connection.invalidate()
                began.rollback()
                self._engine.dispose()
                began = connection.begin()
                self._driver_of(connection).execute(first, prepare=False)
            return connection, began
        except BaseException:
            connection.close()
            raise

    @staticmethod
    def _driver_of(connection: Connection) -> Any:
        return connection.connection.dbapi_connection

    def create(self, fill: Callable[[Connection], None]) -> None:
        """Make the schema, its tables and the first rows, in one transaction.

        Raises:
            LedgerExistsError: a ledger is there already.
        """
        with self._faults(), self._engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN")
            if connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": models.SCHEMA}):
                raise LedgerExistsError(f"{self.where} holds a ledger already")
            connection.exec_driver_sql(f"CREATE SCHEMA {models.SCHEMA}")
            make_tables(connection)
            fill(connection)

    def check(self) -> None:
        """Read the whole ledger and trust it only when everything fits."""
        self._upgrade()
        with self.transaction(writes=False) as connection:
            version = self._version(connection)
            if version != HEAD:
                raise LedgerVersionError(
                    f"{self.where} has ledger version {version}, this software knows version {models.SCHEMA_VERSION}"
                )
            there = [
                (_plain(definition), body) for definition, body in connection.execute(_RULES, {"name": models.SCHEMA})
            ]
            if sorted(there) != sorted(_rule(refusal) for refusal in REFUSALS):
                raise DamagedLedgerError(f"{self.where} is damaged: the rules that protect its balances are not there")
            lines = models.charge_line.outerjoin(models.charge).outerjoin(models.account)
            lost = models.charge.c.charge_id.is_(None) | models.account.c.account_id.is_(None)
            if connection.execute(
                select(models.charge_line.c.charge_id).select_from(lines).where(lost).limit(1)
            ).first():
                raise DamagedLedgerError(f"{self.where} is damaged: a charge refers to an account that is not there")
            check_sums(self.where, connection)

    def _version(self, connection: Connection) -> str:
        if not inspect(connection).has_table("ledger", schema=models.SCHEMA):
            raise NotALedgerError(f"{self.where} holds no ledger")
        return connection.scalar(select(models.version.c.version_num)) or ""

    def _upgrade(self) -> None:
        """Bring the tables of an earlier version to this one, in one transaction; no amount changes."""
        with self.transaction(writes=False) as connection:
            if self._version(connection) not in EARLIER:
                return
        with self.transaction(writes=True) as connection:
            if (found := self._version(connection)) in EARLIER:  # another process may have been first
                upgrade(connection, int(found))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _cause(self.where, error.orig) from None
        except self._driver.Error as error:  # of a statement that ran beneath SQLAlchemy
            raise _cause(self.where, error) from None


def _cause(where: str, error: BaseException | None) -> LedgerError:
    """Return what the driver's error means; its message stays behind."""
    state = str(getattr(error, "sqlstate", None) or "")
    if state in ("55P03", "40P01"):
        return LedgerBusyError(
            f"{where} was in use by others for more than {_WAIT_SECONDS:g} seconds; nothing was charged"
        )
    if state == "53100":
        return LedgerStorageError(f"there is no space left to write {where}; nothing was charged")
    if state.startswith("XX00"):
        return DamagedLedgerError(f"{where} is damaged: the database cannot read it")
    if not state and type(error).__name__ in (
        "OperationalError",
        "InterfaceError",
    ):  # the driver is not always installed
        return LedgerMissingError(f"{where} does not answer")
    return LedgerStorageError(f"{where} refused a statement ({state or 'unknown'}); nothing was charged by halves")
