"""Backup, restore and audit log on SQLite and on Postgres: the same, and from one to the other."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from casehaven.core.audit import entries
from casehaven.core.audit_verify import verify_log
from casehaven.core.db import metadata
from casehaven.core.errors import DatabaseError
from casehaven.vault.backup import write_backup
from casehaven.vault.drill import drill
from casehaven.vault.errors import BackupError, DamagedBackupError, RolledBackError
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import key_text
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import MakePeople
    from tests.service.vault.conftest import Store

AUDIT = {"audit", "audit_log", "audit_checkpoint"}


def rows(vault: Vault) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for the audit log and the versions that a restore raises."""
    with vault.database.transaction(writes=False) as connection:
        return {
            table.name: sorted(
                (
                    tuple(row)
                    for row in connection.execute(select(*(c for c in table.c if str(c) != "dataset.version")))
                ),
                key=repr,
            )
            for table in metadata.sorted_tables
            if table.name not in AUDIT
        }


def back(store: Store, address: str | None, name: str = "again") -> Vault:
    return restore(
        store.folder / "backup",
        store.folder / name,
        store.root,
        keystore=store.folder / "vault.keys",
        anchor=store.folder / "vault.anchor",
        database=address,
        reason="the server is gone",
    )


@pytest.fixture
def full(store: Store, people: MakePeople) -> Store:
    """A vault with people of two organisations, and a backup of it."""
    yes = {"mayCare": "yes", "mayRelease": "yes"}
    store.take_in([{**record, **yes} for record in people(30)])
    store.take_in([{**record, **yes} for record in people(20, start=10)], organisation="south")
    write_backup(store.open(), store.folder / "backup")
    return store


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_backup_is_restored_on_the_same_database_and_on_the_other(
    full: Store, postgres: Callable[[], str], target: str
) -> None:
    before = rows(full.open())
    again = back(full, None if target == "sqlite" else postgres())
    assert again.database.dialect == target
    assert rows(again) == before
    with again.database.transaction(writes=False) as connection:
        head = again.anchor.read().head
        assert verify_log(connection, again.audit, again.keystore.verify_key, anchor=head).whole
    with pytest.raises(RolledBackError):
        full.open()
    dataset = again.dataset("south", "cases")
    person = again.person_by_token(dataset, "p00012")
    assert person is not None
    assert again.read_records(person, reason="a test")[0].cells["token"] == "p00012"


def test_a_drill_needs_no_server(full: Store) -> None:
    result = drill(
        full.folder / "backup", full.root, keystore=full.folder / "vault.keys", anchor=full.folder / "vault.anchor"
    )
    assert result.checks
    assert full.open().datasets()


def test_a_restore_that_fails_leaves_the_database_empty(full: Store, postgres: Callable[[], str]) -> None:
    address = postgres()
    part = max((full.folder / "backup").glob("0*.part"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-1])
    with pytest.raises(DamagedBackupError):
        back(full, address)
    part.write_bytes(whole)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # the rows are on the server when a chunk finds no room
    try:
        with pytest.raises(BackupError):
            back(full, address)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert back(full, address).datasets()


RESTORE = """
import os, signal, sys
from pathlib import Path
from casehaven.vault.anchor import Anchor
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import environment_key

folder = Path(sys.argv[1])
rising = Anchor.rebase
def killed(anchor, connection):
    rising(anchor, connection)
    os.kill(os.getpid(), signal.SIGKILL)  # the old vault does not open any more, and the new one is not there yet
Anchor.rebase = killed
restore(folder / "backup", folder / "again", environment_key("RESTORE_KEY"), keystore=folder / "vault.keys",
        anchor=folder / "vault.anchor", database=sys.argv[2], reason="the server is gone")
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_restore_to_a_server_that_was_killed_can_be_repeated(
    full: Store, postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres()
    monkeypatch.setenv("RESTORE_KEY", key_text(full.root))
    run = subprocess.run([sys.executable, "-c", RESTORE, str(full.folder), address], check=False, capture_output=True)
    assert run.returncode == -9, run.stderr.decode()[-1500:]
    again = back(full, address)
    assert again.datasets()
    with again.database.transaction(writes=False) as connection:
        tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
    assert {*tables} == {*metadata.tables, "alembic_version"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_restore_leaves_a_database_alone_that_holds_something_else(full: Store, postgres: Callable[[], str]) -> None:
    address = postgres()
    live = back(full, address, "live")
    with pytest.raises(DatabaseError, match="empty this one if nobody needs"):
        back(full, address, "second")
    assert live.datasets()


def test_the_database_refuses_to_change_the_log(store: Store) -> None:
    store.dataset()
    vault = store.open()
    for statement in (
        "DELETE FROM audit WHERE position = 1",
        "UPDATE audit SET actor = 'somebody' WHERE position = 1",
        "UPDATE audit SET position = 90 WHERE position = 1",
        "UPDATE audit_log SET leaves_per_period = 4",
        "DELETE FROM audit_log",
    ):
        with pytest.raises(DatabaseError), vault.database.transaction(writes=True) as connection:
            connection.execute(text(statement))
    with vault.database.transaction(writes=False) as connection:
        assert verify_log(connection, vault.audit, vault.keystore.verify_key).whole


WRITER = """
import os, sys
from pathlib import Path
from casehaven.vault.rootkeys import environment_key
from casehaven.vault.store import Vault
vault = Vault.open(Path(sys.argv[1]), environment_key("WRITER_KEY"))
for number in range(15):
    with vault.writing() as connection:
        vault.audit.append(connection, action="test.write", object_kind="test", object_id=f"{sys.argv[2]}-{number}")
"""


def test_entries_of_many_processes_are_one_chain(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dataset()
    monkeypatch.setenv("WRITER_KEY", key_text(store.root))
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.path), str(writer)], stderr=subprocess.PIPE)
        for writer in range(4)
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()[-1500:]
    vault = store.open()
    with vault.database.transaction(writes=False) as connection:
        found = verify_log(connection, vault.audit, vault.keystore.verify_key, anchor=vault.anchor.read().head)
        written = [entry.object_id for entry in entries(connection) if entry.action == "test.write"]
    assert found.whole
    assert sorted(written) == sorted(f"{writer}-{number}" for writer in range(4) for number in range(15))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_no_word_of_a_record_is_in_the_files_of_a_postgres_server(store: Store, people: MakePeople) -> None:
    """Tables, indexes and the write-ahead log; the whole way is in `tests/spec/test_canary.py`."""
    record = {**people(1)[0], "token": "CanaryTokenPg9", "notes": "CanaryNotePg7", "mayCare": "yes"}
    store.take_in([record])
    assert store.cells("CanaryTokenPg9")
    vault = store.open()
    with vault.database.transaction(writes=False) as connection:
        data = Path(str(connection.scalar(text("SHOW data_directory"))))
        number = connection.scalar(text("SELECT oid FROM pg_database WHERE datname = current_database()"))
        (reason,) = (e.reason.sealed for e in entries(connection) if e.reason is not None)
    vault.database.scrub()
    files = [path for place in (data / "base" / str(number), data / "pg_wal") for path in place.rglob("*")]
    contents = [path.read_bytes() for path in files if path.is_file()]
    assert any(reason in content for content in contents)  # what is there is found
    for content in contents:
        assert b"CanaryTokenPg9" not in content
        assert b"CanaryNotePg7" not in content
