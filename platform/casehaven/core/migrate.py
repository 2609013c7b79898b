"""Bringing a database to the tables of today, one version after the other.

1. There is one way to today's tables, for a new database as for an old one: the migrations in a folder's `versions`, in order. The vault's are in `migrations`, the
   service store's in `service_migrations`.
2. All of them run in one transaction. A migration that fails, or is killed, leaves the version that was there.
3. A database of another version is never read or written by guess: `check_version` refuses it, older or newer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from casehaven.core.db import Database
from casehaven.core.errors import DatabaseVersionError

HEAD = "0005"
"""The version that this software reads and writes."""

Bind = Callable[[Connection, str], object]
"""Does with keys what migrations cannot, in the same transaction, for a database that had the version named."""


@dataclass(frozen=True, kw_only=True)
class Migrations:
    """The way to today's tables of one kind of database."""

    folder: Path
    """Holds `versions`."""
    head: str
    """The version that this software reads and writes."""

    def migrate(
        self,
        database: Database,
        *,
        to: str | None = None,
        bind: Bind | None = None,
    ) -> None:
        """Bring a database to a version, by default today's; does nothing when it is there.

        Args:
            database: new, or of an earlier version.
            to: a version; tests stop on the way.
            bind: called for a database that had tables.

        Raises:
            DatabaseVersionError: it is of a later version than this software knows.
        """
        target = self.head if to is None else to
        with database.transaction(writes=True) as connection:
            found = version_of(connection)
            if found is not None and found > self.head:
                raise self._foreign(database, found)
            if found != target:
                _run(connection, self.folder, target)
                if bind is not None and found is not None:
                    bind(connection, found)

    def check(self, database: Database) -> None:
        """Refuse a database whose tables are not today's.

        Raises:
            DatabaseVersionError: says which version it has.
        """
        with database.transaction(writes=False) as connection:
            found = version_of(connection)
        if found != self.head:
            raise self._foreign(database, found)

    def _foreign(self, database: Database, found: str | None) -> DatabaseVersionError:
        have = "has no tables" if found is None else f"has tables of version {found}"
        return DatabaseVersionError(f"{database.where} {have}; this software knows version {self.head}")


_VAULT = Migrations(folder=Path(__file__).with_name("migrations"), head=HEAD)


def migrate(database: Database, *, to: str = HEAD, bind: Bind | None = None) -> None:
    """Bring a vault's database to a version, by default today's; see `Migrations.migrate`."""
    _VAULT.migrate(database, to=to, bind=bind)


def check_version(database: Database) -> None:
    """Refuse a vault's database whose tables are not today's.

    Raises:
        DatabaseVersionError: says which version it has.
    """
    _VAULT.check(database)


def version_of(connection: Connection) -> str | None:
    """Return the version of the tables; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _run(connection: Connection, folder: Path, to: str) -> None:
    from alembic.config import Config  # migrations are rare; a command that only reads stays small
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(folder))
    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script, fn=lambda rev, _: script._upgrade_revs(to, rev)) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()
