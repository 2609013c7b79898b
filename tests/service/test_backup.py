"""Backup and restore: whole or refused, the same rows on every database, and no key that opens them (threats 2 and 3)."""

from __future__ import annotations

import base64
import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Connection, select

from casehaven.core.audit_verify import verify_log
from casehaven.core.db import metadata
from casehaven.errors import CasehavenError
from casehaven.vault import models
from casehaven.vault.backup import BACKUP_FILE, CONTENTS_FILE, Backup, write_backup
from casehaven.vault.errors import (
    AnchorMissingError,
    BackupEpochError,
    BackupError,
    BackupExistsError,
    BackupVersionError,
    DamagedBackupError,
    RolledBackError,
    RootKeyError,
    VaultError,
)
from casehaven.vault.keystore import Keystore
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import HeldKey, file_key
from casehaven.vault.rotation import rotate_epoch
from casehaven.vault.sealed import new_key
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

AUDIT = {"audit", "audit_log", "audit_checkpoint"}


@pytest.fixture
def full(house: SafeHouse, people: MakePeople) -> SafeHouse:
    """A vault with people, and its backup `backup`."""
    house.take_in(_agreeing(people(60)))
    write_backup(house.open(), house.folder / "backup")
    return house


def _agreeing(records: list[Any]) -> list[Any]:
    return [{**record, "mayCare": "yes", "mayCount": "yes"} for record in records]


def back(house: SafeHouse, name: str = "again", **more: Any) -> Vault:
    """Restore the backup beside the vault."""
    where: dict[str, Any] = {"keystore": house.folder / "vault.keys", "anchor": house.folder / "vault.anchor"}
    return restore(
        house.folder / "backup",
        house.folder / name,
        file_key(house.folder / "root.key"),
        reason="the disk failed",
        **{**where, **more},
    )


def rows(vault: Vault) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for the audit log and the versions that a restore raises."""
    found = {}
    with vault.database.transaction(writes=False) as connection:
        for table in metadata.sorted_tables:
            if table.name not in AUDIT:
                columns = [column for column in table.c if (table.name, column.name) != ("dataset", "version")]
                found[table.name] = sorted(map(tuple, connection.execute(select(*columns))), key=repr)
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_restored_vault_has_every_row_and_every_chunk(full: SafeHouse) -> None:
    before, chunks = rows(full.open()), files(full.path / "chunks")
    again = back(full)
    assert rows(again) == before
    assert files(again.folder.chunks) == chunks
    assert {"person", "record", "consent", "chunk", "upload"} <= {name for name, found in before.items() if found}


def test_a_restored_vault_opens_and_takes_part_again(full: SafeHouse, people: MakePeople) -> None:
    again = back(full)
    dataset = again.dataset("north", "cases")
    person = again.person_by_token(dataset, "p00007")
    assert person is not None
    assert again.read_records(person, reason="to see")[0].cells["token"] == "p00007"
    shutil.rmtree(full.path)
    again.folder.path.rename(full.path)
    full.take_in(_agreeing(people(3, start=90)))
    assert full.open().person_by_token(dataset, "p00091") is not None


def test_a_dataset_never_gets_a_version_twice(full: SafeHouse, people: MakePeople) -> None:
    full.take_in(_agreeing(people(3, start=90)))
    last = full.open().dataset("north", "cases").version
    assert back(full).dataset("north", "cases").version > last


def test_the_audit_log_goes_on_and_names_what_is_lost(full: SafeHouse) -> None:
    vault = full.open()
    person = vault.person_by_token(vault.dataset("north", "cases"), "p00007")
    assert person is not None
    vault.read_records(person, reason="after the backup")
    end = vault.anchor.read().head
    again = back(full)
    with again.database.transaction(writes=False) as connection:
        found = verify_log(connection, again.audit, again.keystore.verify_key, anchor=again.anchor.read().head)
    assert found.whole
    assert [(lost.last + 1, lost.chain) for lost in found.lost] == [(end.positions, end.chain)]


def test_the_vault_that_was_backed_up_does_not_open_after_the_restore(full: SafeHouse) -> None:
    back(full)
    with pytest.raises(RolledBackError):
        full.open()


def test_without_the_anchor_nothing_is_restored(full: SafeHouse) -> None:
    with pytest.raises(AnchorMissingError):
        back(full, anchor=full.folder / "nowhere")
    assert not (full.folder / "again").exists()


def test_without_the_root_key_nothing_is_restored(full: SafeHouse) -> None:
    other = HeldKey(key=new_key())
    with pytest.raises(RootKeyError):
        restore(
            full.folder / "backup",
            full.folder / "again",
            other,
            keystore=full.folder / "vault.keys",
            anchor=full.folder / "vault.anchor",
            reason="x",
        )


def test_another_keystore_opens_nothing_of_a_backup(full: SafeHouse) -> None:
    other = Keystore.create(full.folder / "other.keys", HeldKey(key=new_key()))
    with pytest.raises(DamagedBackupError):
        Backup.open(full.folder / "backup", other)


def test_a_backup_of_a_retired_epoch_does_not_open(full: SafeHouse) -> None:
    rotate_epoch(full.open(), "north")
    with pytest.raises(BackupEpochError, match="epoch"):
        back(full)
    write_backup(full.open(), full.folder / "newer")
    shutil.rmtree(full.folder / "backup")
    (full.folder / "newer").rename(full.folder / "backup")
    assert back(full).datasets()


def test_a_backup_names_nothing_and_nobody(full: SafeHouse) -> None:
    data = b"".join(files(full.folder / "backup").values()) + "".join(files(full.folder / "backup")).encode()
    for word in (b"north", b"cases", b"p000", b"woman", b"house", b"person", b"consent", b"record", b"epoch"):
        assert word not in data


def test_a_backup_holds_nothing_of_the_keystore(full: SafeHouse) -> None:
    backup = b"".join(files(full.folder / "backup").values())
    (document,) = [data for data in files(full.folder / "vault.keys").values() if data]
    wrapped = [base64.b64decode(text) for text in _texts(json.loads(document)) if len(text) >= 100]
    assert len(wrapped) >= 8  # linkage, audit, signing, document, and the organisation's
    for key in wrapped:
        assert len(key) >= 64
        for written in (key, key.hex().encode(), base64.b64encode(key)):
            assert written not in backup


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def test_the_sizes_of_the_parts_are_steps(make_house: Callable[[str], SafeHouse], people: MakePeople) -> None:
    sizes = []
    for name, count in (("one", 20), ("two", 45)):
        house = make_house(name)
        house.take_in(_agreeing(people(count)))
        write_backup(house.open(), house.folder / "backup")
        sizes.append(sorted(path.stat().st_size for path in (house.folder / "backup").glob("*.part")))
    assert sizes[0] == sizes[1]  # privacy rule 5


def _change(kind: str, folder: Path) -> None:
    part = folder / "000003.part"
    if kind == "flipped bit":
        data = bytearray(part.read_bytes())
        data[len(data) // 2] ^= 1
        part.write_bytes(data)
    elif kind == "cut off":
        part.write_bytes(part.read_bytes()[:-1])
    elif kind == "missing":
        part.unlink()
    elif kind == "one too many":
        (folder / "999999.part").write_bytes(b"")
    elif kind == "exchanged":
        other = folder / "000004.part"
        first, second = part.read_bytes(), other.read_bytes()
        part.write_bytes(second)
        other.write_bytes(first)
    elif kind == "a link":
        moved = folder.parent / "moved.part"
        part.rename(moved)
        part.symlink_to(moved)
    elif kind == "contents":
        (folder / CONTENTS_FILE).write_bytes((folder / CONTENTS_FILE).read_bytes()[::-1])
    elif kind == "no list":
        (folder / BACKUP_FILE).unlink()
    elif kind == "no json":
        (folder / BACKUP_FILE).write_bytes(b"\xff")
    else:
        document = json.loads((folder / BACKUP_FILE).read_text())
        field, _, value = kind.partition("=")
        document[field] = value
        (folder / BACKUP_FILE).write_text(json.dumps(document))


@pytest.mark.parametrize(
    "kind",
    [
        "flipped bit",
        "cut off",
        "missing",
        "one too many",
        "exchanged",
        "a link",
        "contents",
        "no list",
        "no json",
        "vault_id=0",
        "backup_id=0",
        "day=2020-01-01",
        "signature=",
        "signature=AAAA",
        "vault_key=00",
        "more=1",
    ],
)
def test_a_backup_with_any_change_is_refused_and_nothing_is_left(full: SafeHouse, kind: str) -> None:
    _change(kind, full.folder / "backup")
    there = {path.name for path in full.folder.iterdir()}
    with pytest.raises(DamagedBackupError):
        back(full)
    assert {path.name for path in full.folder.iterdir()} == there
    full.open()  # the anchor did not move


def test_a_backup_of_another_format_is_refused(full: SafeHouse) -> None:
    _change("format=casehaven-backup/2", full.folder / "backup")
    with pytest.raises(BackupVersionError):
        back(full)


def test_parts_of_two_backups_do_not_mix(full: SafeHouse) -> None:
    write_backup(full.open(), full.folder / "second")
    shutil.copy(full.folder / "second" / "000003.part", full.folder / "backup" / "000003.part")
    with pytest.raises(DamagedBackupError):
        back(full)


def test_a_backup_and_a_vault_are_never_overwritten(full: SafeHouse) -> None:
    with pytest.raises(BackupExistsError):
        write_backup(full.open(), full.folder / "backup")
    with pytest.raises(BackupExistsError):
        back(full, "vault")
    assert full.open().datasets()


def test_a_backup_that_cannot_be_written_leaves_nothing(full: SafeHouse) -> None:
    with pytest.raises(BackupError):
        write_backup(full.open(), full.folder / "no" / "such" / "folder")
    assert not [path for path in full.folder.rglob("*") if "partial" in path.name]


def test_a_damaged_chunk_is_not_backed_up_as_if_it_were_whole(full: SafeHouse) -> None:
    chunk = next((full.path / "chunks").rglob("*.chunk"))
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(BackupError, match="damaged"):
        write_backup(full.open(), full.folder / "second")
    assert not (full.folder / "second").exists()


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """No file may grow over so many bytes: the operating system refuses the write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [1_000, 70_000, 100_000, 200_000])
def test_a_restore_on_a_full_disk_leaves_nothing_and_can_be_repeated(full: SafeHouse, limit: int) -> None:
    there = {path.name for path in full.folder.iterdir()}
    with small_disk(limit), pytest.raises(CasehavenError):
        back(full)
    assert {path.name for path in full.folder.iterdir()} == there
    assert back(full).datasets()


def test_a_backup_on_a_full_disk_leaves_nothing_and_can_be_repeated(full: SafeHouse) -> None:
    there = {path.name for path in full.folder.iterdir()}
    vault = full.open()
    for limit in (1_000, 70_000):
        with small_disk(limit), pytest.raises(CasehavenError):
            write_backup(vault, full.folder / "second")
        assert {path.name for path in full.folder.iterdir()} == there
    write_backup(vault, full.folder / "second")


def test_consent_that_was_withdrawn_since_the_backup_stays_withdrawn(full: SafeHouse) -> None:
    vault = full.open()
    dataset = vault.dataset("north", "cases")
    person = vault.person_by_token(dataset, "p00007")
    assert person is not None
    vault.anchor.add_withdrawals((person.person_id, "own_statistics"))
    again = back(full)
    with again.database.transaction(writes=False) as connection:
        assert _given(connection, person.person_id, "own_statistics") == [True, False]
        assert _given(connection, person.person_id, "care") == [True]


def test_a_refusal_of_somebody_who_had_said_nothing_before_the_backup_holds_against_a_file(
    full: SafeHouse, people: MakePeople
) -> None:
    """Asked for the first time after the backup, and refused: a file with a yes is not believed after the restore."""
    said = full.run("person", "consent", "p00007", "--purpose", "pooled_statistics", "--refused", "--reason", "asked")
    assert said.exit_code == 0, said.output
    again = back(full)
    person = again.person_by_token(again.dataset("north", "cases"), "p00007")
    assert person is not None
    shutil.rmtree(full.path)
    again.folder.path.rename(full.path)
    full.take_in([{**people(8)[7], "mayCare": "yes", "mayPool": "yes"}])
    with full.open().database.transaction(writes=False) as connection:
        assert _given(connection, person.person_id, "pooled_statistics") == [False]


def _given(connection: Connection, number: int, purpose: str) -> list[bool]:
    consent = models.consent
    where = (consent.c.person_id == number, consent.c.purpose == purpose)
    return [*connection.scalars(select(consent.c.given).where(*where).order_by(consent.c.version))]


def test_a_restore_of_a_restore_works(full: SafeHouse) -> None:
    back(full, "first")
    second = back(full, "second")
    with second.database.transaction(writes=False) as connection:
        found = verify_log(connection, second.audit, second.keystore.verify_key, anchor=second.anchor.read().head)
    assert found.whole
    with pytest.raises(VaultError):
        Vault.open(full.folder / "first", file_key(full.folder / "root.key"))


def test_an_older_keystore_is_refused_unless_it_is_the_only_one_left(full: SafeHouse) -> None:
    full.open().keystore.backup(full.folder / "keys.copy")
    full.open().keystore.rotate_organisation("north")
    with full.open().writing():
        pass  # the anchor learns of it
    root = file_key(full.folder / "root.key")
    Keystore.restore(full.folder / "keys.copy", full.folder / "older.keys", root)
    with pytest.raises(RolledBackError, match="keystore"):
        back(full, keystore=full.folder / "older.keys")
    again = back(full, keystore=full.folder / "older.keys", older_keystore=True)
    assert again.datasets()


def test_the_commands_go_all_the_way(full: SafeHouse) -> None:
    made = full.run("backup", "-o", full.folder / "second")
    assert made.exit_code == 0, made.output
    again = full.run("backup", "-o", full.folder / "second")
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    places: list[str | Path] = ["--keystore", full.folder / "vault.keys", "--anchor", full.folder / "vault.anchor"]
    shutil.rmtree(full.path)
    restored = full.run("restore", full.folder / "second", *places, "--reason", "the disk failed")
    assert restored.exit_code == 0, restored.output
    assert full.run("audit", "verify").exit_code == 0
    report = full.run("audit", "report", "--reason", "asked for it")
    assert "the disk failed" in report.output
    assert "vault.restore" in report.output
