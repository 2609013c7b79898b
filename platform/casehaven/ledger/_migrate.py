"""Bringing a ledger to the tables of today.

1. All steps run in one transaction: a step that fails, or is killed, leaves the version that was there.
2. What was spent stays spent: a step adds tables and columns, and changes no amount.
3. A ledger of before version 3 has no anchor, and refuses to spend until it gets one (privacy rule 20).
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, text

from casehaven.ledger import models
from casehaven.ledger._triggers import REFUSALS, Dialect, triggers

HEAD = f"{models.SCHEMA_VERSION:04d}"
EARLIER = tuple(f"{number:04d}" for number in range(1, models.SCHEMA_VERSION))
"""Versions that are brought to today's."""

_FOLDER = Path(__file__).with_name("migrations")


def make_tables(connection: Connection) -> None:
    """Make today's tables and triggers in an empty database."""
    models.metadata.create_all(connection, checkfirst=False)
    loosen_lines(connection)
    connection.execute(insert(models.version).values(version_num=HEAD))
    make_triggers(connection)


def loosen_lines(connection: Connection) -> None:
    """Take the references of charge lines away on Postgres, which looks each of them up row by row, and makes a charge of many blocks twice as dear.

    Accounts are locked and charges written in the statement that writes the lines, and no row is ever deleted; `PostgresStore.check` looks all of them up.
    """
    if connection.dialect.name == "postgresql":
        for column in ("charge_id", "account_id"):
            connection.exec_driver_sql(f"ALTER TABLE charge_line DROP CONSTRAINT charge_line_{column}_fkey")


def make_triggers(connection: Connection) -> None:
    """Make today's triggers; in the place of those of an earlier version."""
    dialect: Dialect = "postgresql" if connection.dialect.name == "postgresql" else "sqlite"
    if dialect == "sqlite":
        for name in connection.scalars(text("SELECT name FROM sqlite_schema WHERE type = 'trigger'")).all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql(f"PRAGMA application_id = {models.APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version = {models.SCHEMA_VERSION}")
    else:
        for refusal in REFUSALS:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {refusal.name} ON {refusal.table}")
    for statement in triggers(dialect):
        connection.exec_driver_sql(statement)


def upgrade(connection: Connection, found: int) -> None:
    """Bring the tables of an earlier version to today's.

    Args:
        connection: of a writing transaction.
        found: the version that is there; 0 in an empty database.
    """
    from alembic.config import Config  # an upgrade is rare; a command that only charges stays small
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    models.version.create(connection, checkfirst=True)
    if found and connection.scalar(text("SELECT count(*) FROM alembic_version")) == 0:
        connection.execute(insert(models.version).values(version_num=f"{found:04d}"))
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script, fn=lambda at, _: script._upgrade_revs(HEAD, at)) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()
    make_triggers(connection)
