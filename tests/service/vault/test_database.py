"""One database layer, the same promises on SQLite and on Postgres."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, select, text

from casehaven.core.db import Database, insert_many
from casehaven.core.errors import (
    DatabaseDamagedError,
    DatabaseError,
    DatabaseExistsError,
    DatabaseMissingError,
)
from casehaven.core.migrate import migrate
from casehaven.vault import models

if TYPE_CHECKING:
    from tests.service.vault.conftest import Databases

CANARY = "canary-Amina-73"


@pytest.fixture
def tables(database: Databases, tmp_path: Path) -> Database:
    """A database with today's tables."""
    made = Database.create(database() or tmp_path / "x.sqlite")
    migrate(made)
    return made


def _names(database: Database) -> list[str]:
    with database.transaction(writes=False) as connection:
        return list(connection.scalars(select(models.organisation.c.name).order_by(models.organisation.c.name)))


def _add(database: Database, name: str) -> None:
    with database.transaction(writes=True) as connection:
        connection.execute(insert(models.organisation).values(name=name, created_at="now"))


def test_a_transaction_that_raises_leaves_nothing(tables: Database) -> None:
    with pytest.raises(ZeroDivisionError), tables.transaction(writes=True) as connection:
        connection.execute(insert(models.organisation).values(name="north", created_at="now"))
        raise ZeroDivisionError
    assert _names(tables) == []


def test_writers_follow_one_another_and_read_what_the_one_before_wrote(tables: Database) -> None:
    """Eight threads add 1 to a number twenty times: no addition is lost."""
    _add(tables, "0")

    def count() -> None:
        for _ in range(20):
            with tables.transaction(writes=True) as connection:
                found = connection.scalars(select(models.organisation.c.created_at)).one()
                number = 0 if found == "now" else int(found)
                connection.execute(models.organisation.update().values(created_at=str(number + 1)))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tables.transaction(writes=False) as connection:
        assert connection.scalars(select(models.organisation.c.created_at)).one() == "160"


def test_a_reader_sees_one_moment_and_waits_for_no_writer(tables: Database) -> None:
    _add(tables, "north")
    with tables.transaction(writes=False) as reader:
        before = reader.scalars(select(models.organisation.c.name)).all()
        _add(tables, "south")
        assert reader.scalars(select(models.organisation.c.name)).all() == before == ["north"]
    assert _names(tables) == ["north", "south"]


def test_a_reading_transaction_on_a_server_writes_nothing(tables: Database) -> None:
    if tables.dialect == "sqlite":
        return  # there is no such switch; code alone keeps it
    with pytest.raises(DatabaseError), tables.transaction(writes=False) as connection:
        connection.execute(insert(models.organisation).values(name="north", created_at="now"))


def test_many_rows_come_back_as_they_went_in(tables: Database) -> None:
    odd = ["a\tb\nc\\d", "", "\u202eé\U0001f600", "\\N", "NULL", "'; DROP TABLE organisation; --"]
    with tables.transaction(writes=True) as connection:
        insert_many(connection, models.organisation, ("name", "created_at"), [(name, name) for name in odd])
    with tables.transaction(writes=False) as connection:
        rows = connection.execute(select(models.organisation)).all()
    assert sorted(row.name for row in rows) == sorted(row.created_at for row in rows) == sorted(odd)


def test_bytes_and_numbers_and_nothing_come_back_as_they_went_in(tables: Database) -> None:
    with tables.transaction(writes=True) as connection:
        insert_many(connection, models.organisation, ("name", "created_at"), [("north", "now")])
        dataset = (2**63 - 1, "north", "cases", "s", "0", "{}", 1, 0, "now", bytes(32))
        names = [column.name for column in models.dataset.c]
        insert_many(connection, models.dataset, names, [dataset])
        upload = (1, 2**63 - 1, bytes(range(256)), "committed", "now", None, None)
        insert_many(connection, models.upload, [column.name for column in models.upload.c], [upload])
    with tables.transaction(writes=False) as connection:
        assert tuple(connection.execute(select(models.dataset)).one()) == dataset
        assert tuple(connection.execute(select(models.upload)).one()) == upload


def test_an_error_quotes_no_row(tables: Database) -> None:
    _add(tables, CANARY)
    with pytest.raises(DatabaseError) as refusal:
        _add(tables, CANARY)
    assert CANARY not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_row_that_refers_to_nothing_is_refused(tables: Database) -> None:
    with pytest.raises(DatabaseError), tables.transaction(writes=True) as connection:
        insert_many(
            connection,
            models.dataset,
            [column.name for column in models.dataset.c],
            [(1, "nobody", "cases", "s", "0", "{}", 1, 0, "now")],
        )


def test_a_new_database_is_made_where_nothing_is(tables: Database, database: Databases) -> None:
    if tables.path is not None:
        with pytest.raises(DatabaseExistsError):
            Database.create(tables.path)
        assert tables.path.stat().st_mode & 0o777 == 0o600
        return
    with pytest.raises(DatabaseExistsError, match="holds tables already"):
        Database.create(tables.where)


def test_what_is_not_there_is_said_without_a_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError, match="there is no database"):
        Database.open(tmp_path / "none.sqlite")
    with pytest.raises(DatabaseMissingError, match="does not answer") as refusal:
        Database.open("postgresql://clerk:secret@127.0.0.1:1/cases")
    assert "secret" not in str(refusal.value)


def test_deleted_bytes_are_gone_from_the_files_of_sqlite_once_it_is_scrubbed(tmp_path: Path) -> None:
    database = Database.create(tmp_path / "x.sqlite")
    migrate(database)
    _add(database, CANARY)
    files = (database.path, tmp_path / "x.sqlite-wal")
    assert any(CANARY.encode() in path.read_bytes() for path in files if path is not None and path.exists())
    with database.transaction(writes=True) as connection:
        connection.execute(models.organisation.delete())
    database.scrub()
    assert not any(CANARY.encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_dead_rows_are_gone_from_a_server_once_it_is_scrubbed(tables: Database) -> None:
    if tables.dialect == "sqlite":
        return  # the test above
    _add(tables, CANARY)
    with tables.transaction(writes=True) as connection:
        connection.execute(models.organisation.delete())
    tables.scrub()
    with tables.transaction(writes=False) as connection:
        left = connection.scalar(text("SELECT pg_relation_size('organisation')"))
    assert left == 0


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    database = Database.create(tmp_path / "x.sqlite")
    migrate(database)
    with database.transaction(writes=True) as connection:
        rows = [(f"organisation-{i:04d}-{'x' * 100}", "now") for i in range(300)]
        insert_many(connection, models.organisation, ("name", "created_at"), rows)
    database.scrub()
    assert database.path is not None
    content = bytearray(database.path.read_bytes())
    start = content.index(b"organisation-0100")
    content[start - 400 : start] = bytes(400)
    database.path.write_bytes(bytes(content))
    with pytest.raises(DatabaseDamagedError, match="damaged"):
        database.check()
