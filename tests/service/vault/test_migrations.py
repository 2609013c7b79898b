"""Migrations: one way to today's tables, on both databases, and data that every earlier version wrote still opens."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner
from sqlalchemy import CheckConstraint, inspect, select, text

import casehaven.core.migrate
import casehaven.vault.folder
from casehaven.cli._root import main
from casehaven.core.audit_models import audit, triggers
from casehaven.core.db import Database, insert_many, metadata
from casehaven.core.errors import DatabaseError, DatabaseVersionError
from casehaven.core.migrate import HEAD, check_version, migrate, version_of
from casehaven.vault import models
from casehaven.vault.errors import ChangedVaultFileError, DamagedChunkError, RolledBackError, VaultError
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import HeldKey
from casehaven.vault.snapshots import snapshot
from casehaven.vault.store import Vault
from casehaven.vault.upgrade import upgrade_vault

if TYPE_CHECKING:
    from tests.service.vault.conftest import Databases

    from casesynth.privacy import Receipt

WRITTEN = Path(__file__).resolve().parents[2] / "vectors" / "store"
ROOT = HeldKey(key=bytes(range(32)))


@pytest.fixture
def empty(database: Databases, tmp_path: Path) -> Database:
    """A database without a table."""
    return Database.create(database() or tmp_path / "x.sqlite")


# --- one way ---------------------------------------------------------------------------------------------------------------


def test_migrations_make_the_tables_that_the_models_describe(empty: Database) -> None:
    migrate(empty)
    with empty.transaction(writes=False) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        for table in metadata.sorted_tables:
            checks = {check["name"] for check in inspect(connection).get_check_constraints(table.name)}
            described = {*table.constraints, *(made for column in table.c for made in column.constraints)}
            assert checks == {made.name for made in described if isinstance(made, CheckConstraint)}, table.name


def test_migrations_make_the_triggers_that_the_models_describe(empty: Database) -> None:
    migrate(empty)
    with empty.transaction(writes=False) as connection:
        if empty.dialect == "sqlite":
            found = connection.scalars(text("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")).all()
            assert sorted(found) == sorted(triggers("sqlite"))
        else:
            names = connection.scalars(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")).all()
            assert len(names) == len(triggers("postgresql")) - 1


def test_the_version_that_the_code_names_is_the_last_one() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(casehaven.core.migrate.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_migration_that_fails_leaves_the_version_that_was_there(empty: Database) -> None:
    migrate(empty, to="0001")
    with empty.transaction(writes=True) as connection:
        connection.execute(text("CREATE TABLE audit_checkpoint (x INTEGER)"))  # in the way of the last step
    with pytest.raises(DatabaseError):
        migrate(empty)
    with empty.transaction(writes=False) as connection:
        assert version_of(connection) == "0001"
        assert not inspect(connection).has_table("audit")


def test_a_database_of_a_later_version_is_left_alone(empty: Database) -> None:
    migrate(empty)
    with empty.transaction(writes=True) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (migrate, check_version):
        with pytest.raises(DatabaseVersionError, match=f"9999; this software knows version {HEAD}"):
            refused(empty)


def test_an_empty_database_is_no_vaults(empty: Database) -> None:
    with pytest.raises(DatabaseVersionError, match="no tables"):
        check_version(empty)


# --- what earlier versions wrote -------------------------------------------------------------------------------------------


Unpack = Callable[[str], Path]


@pytest.fixture
def unpack(tmp_path: Path, database: Databases) -> Unpack:
    """Put a vault that an earlier version wrote on disk, and its rows into the database of this test."""

    def unpacked(version: str) -> Path:
        shutil.copytree(WRITTEN / version, tmp_path / version)
        folder = tmp_path / version / "vault"
        source = folder / "vault.sqlite"
        with sqlite3.connect(source) as connection:
            connection.executescript((WRITTEN / version / "vault.sql").read_text(encoding="utf-8"))
        connection.close()
        address = database()
        if address is not None:
            _copy_rows(source, address, version)
            document = json.loads((folder / "vault.json").read_text(encoding="utf-8"))
            (folder / "vault.json").write_text(json.dumps({**document, "database": address}), encoding="utf-8")
            if "mac" in document:
                there = casehaven.vault.folder.VaultFolder.open(folder)
                there.write(Keystore.open(there.keystore_path, ROOT))
        return folder

    return unpacked


def _copy_rows(source: Path, address: str, version: str) -> None:
    """Make the tables of a version on a server, and fill them."""
    target = Database.create(address)
    migrate(target, to=version)
    with target.transaction(writes=True) as connection, sqlite3.connect(source) as rows:
        rows.row_factory = sqlite3.Row
        for table in metadata.sorted_tables:
            if inspect(connection).has_table(table.name):
                found = rows.execute(f"SELECT * FROM {table.name}").fetchall()
                if found:
                    names = found[0].keys()
                    kinds = [table.c[name].type.python_type for name in names]
                    cells = [tuple(_cell(kind, cell) for kind, cell in zip(kinds, row, strict=True)) for row in found]
                    insert_many(connection, table, names, cells)
    rows.close()


def _cell(kind: type, cell: object) -> object:
    return bool(cell) if kind is bool else cell


@pytest.mark.parametrize("version", sorted(path.name for path in WRITTEN.iterdir() if path.is_dir()))
def test_what_a_version_wrote_opens_today(unpack: Unpack, version: str, receipt: Receipt) -> None:
    """Three people with four records; the third was corrected where the version could."""
    folder = unpack(version)
    if version != HEAD:
        with pytest.raises(DatabaseVersionError, match=f"version {version}"):
            Vault.open(folder, ROOT)
        environment = {"CASEHAVEN_VAULT_KEY": f"casehaven-root-key/1:{ROOT.key.hex()}"}
        arguments = ["vault", "upgrade", "--vault", str(folder), "--root-key", "env:CASEHAVEN_VAULT_KEY"]
        upgraded = CliRunner().invoke(main, arguments, env=environment)
        assert upgraded.exit_code == 0, upgraded.output
    vault = Vault.open(folder, ROOT)
    dataset = vault.dataset("north", "cases")
    written = json.loads((WRITTEN / version / "people.json").read_text(encoding="utf-8"))
    for token, block in (("first", "2019"), ("second", "2021"), ("third", "2022")):
        person = vault.person_by_token(dataset, token)
        assert person is not None
        assert vault.block_of(dataset, person) == block
        counted = snapshot(vault, [dataset], "synthetic_release", blocks=[block]).open(receipt).people
        assert counted == (token != "second")
        cells = [dict(record.cells) for record in vault.read_records(person, reason="a test")]
        for record in written:
            assert (record in cells) == (record["personToken"] == token)
    assert snapshot(vault, [dataset], "synthetic_release").open(receipt).people == 2


def test_every_version_has_a_vault_that_it_wrote() -> None:
    folder = Path(casehaven.core.migrate.__file__).with_name("migrations") / "versions"
    versions = {path.name[1:5] for path in folder.glob("v*.py")}
    assert {path.name for path in WRITTEN.iterdir() if path.is_dir()} == versions


def test_an_upgraded_vault_has_a_log_that_begins_today_and_an_anchor(unpack: Unpack) -> None:
    folder = unpack("0001")
    vault_folder = casehaven.vault.folder.VaultFolder.open(folder)
    upgrade_vault(vault_folder, ROOT)
    upgrade_vault(vault_folder, ROOT)  # twice is once
    vault = Vault.open(folder, ROOT)
    assert vault_folder.anchor_path.is_file()
    dataset = vault.dataset("north", "cases")
    person = vault.person_by_token(dataset, "first")
    assert person is not None
    vault.read_records(person, reason="a test")
    with vault.database.transaction(writes=False) as connection:
        assert sorted(connection.scalars(select(audit.c.position))) == [0, 1]  # the upgrade, and the reading
        assert connection.scalars(select(models.vault.c.vault_id)).one() == vault.vault_id


def test_an_upgrade_signs_no_file_of_places_that_should_have_been_signed(unpack: Unpack) -> None:
    """Else whoever takes the HMAC away could have any places vouched for."""
    folder = unpack(HEAD)
    document = json.loads((folder / "vault.json").read_text(encoding="utf-8"))
    del document["mac"]
    (folder / "vault.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ChangedVaultFileError):
        upgrade_vault(casehaven.vault.folder.VaultFolder.open(folder), ROOT)


def test_an_upgrade_gives_no_new_anchor_to_a_vault_that_had_one(unpack: Unpack) -> None:
    """Else whoever takes the anchor away could put an older copy of the vault back."""
    folder = unpack(HEAD)
    vault_folder = casehaven.vault.folder.VaultFolder.open(folder)
    vault_folder.anchor_path.unlink()
    upgrade_vault(vault_folder, ROOT)
    with pytest.raises(VaultError, match="anchor"):
        Vault.open(folder, ROOT)


BEFORE_BLOCKS = "0004"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_earlier_copy_does_not_become_todays_by_an_upgrade(unpack: Unpack) -> None:
    folder = unpack(BEFORE_BLOCKS)
    there = casehaven.vault.folder.VaultFolder.open(folder)
    before = there.database_path.read_bytes()
    upgrade_vault(there, ROOT)
    for suffix in ("", "-wal", "-shm"):
        there.database_path.with_name(f"vault.sqlite{suffix}").unlink(missing_ok=True)
    there.database_path.write_bytes(before)
    with pytest.raises(RolledBackError):
        upgrade_vault(there, ROOT)
    with pytest.raises(DatabaseVersionError):
        Vault.open(folder, ROOT)


def test_an_upgrade_that_cannot_open_everything_changes_nothing(unpack: Unpack) -> None:
    folder = unpack(BEFORE_BLOCKS)
    there = casehaven.vault.folder.VaultFolder.open(folder)
    for chunk in there.chunks.glob("*/*.chunk"):
        sealed = chunk.read_bytes()
        chunk.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(DamagedChunkError):
        upgrade_vault(there, ROOT)
    for chunk in there.chunks.glob("*/*.chunk"):
        chunk.write_bytes(chunk.read_bytes()[:-1] + bytes([chunk.read_bytes()[-1] ^ 1]))
    upgrade_vault(there, ROOT)  # as it was, and a second attempt makes it whole
    dataset = Vault.open(folder, ROOT).dataset("north", "cases")
    assert dataset.version > 0
