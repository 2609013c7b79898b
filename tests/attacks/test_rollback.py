"""Somebody puts an earlier copy back: of the database, of a chunk, of the keystore, of the anchor, of everything (threats 3 and 5, privacy rule 20).

The attacker here may write every file. What no file of the vault can notice, a checkpoint that was kept outside does.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, update

from casehaven.core.audit_checkpoint import close_periods
from casehaven.errors import CasehavenError
from casehaven.intake.uploads import take_in
from casehaven.vault import models
from casehaven.vault.anchor import Anchor
from casehaven.vault.backup import Backup, write_backup
from casehaven.vault.erasure import erase_person
from casehaven.vault.errors import (
    AnchorExistsError,
    AnchorMissingError,
    BackupEpochError,
    BrokenAnchorError,
    ChangedVaultFileError,
    DamagedChunkError,
    RolledBackError,
)
from casehaven.vault.folder import VaultFolder
from casehaven.vault.keystore import Keystore
from casehaven.vault.restore import restore
from casehaven.vault.rootkeys import file_key
from casehaven.vault.rotation import rotate_epoch
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

ERASED = "p00007"


@pytest.fixture
def full(house: SafeHouse, people: MakePeople) -> SafeHouse:
    """A vault with people."""
    house.take_in([{**record, "mayCare": "yes"} for record in people(30)])
    return house


def erase(house: SafeHouse, token: str = ERASED) -> int:
    vault = house.open()
    with vault.locked(vault.dataset("north", "cases")) as dataset:
        person = vault.person_by_token(dataset, token)
        assert person is not None
        erase_person(vault, dataset, person, reason="the person asked for it")
    return person.person_id


def copied(house: SafeHouse, *names: str) -> dict[str, Path]:
    """Copy parts of the vault aside, as an attacker does."""
    kept = {}
    for name in names:
        source, target = house.folder / name, house.folder / f"kept-{name}"
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        kept[name] = target
    return kept


def put_back(house: SafeHouse, kept: dict[str, Path]) -> None:
    for name, source in kept.items():
        target = house.folder / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)


def in_two_days() -> datetime:
    return datetime.now(UTC) + timedelta(days=2)


def is_there(vault: Vault, token: str = ERASED) -> bool:
    return vault.person_by_token(vault.dataset("north", "cases"), token) is not None


def again(house: SafeHouse, **more: Path) -> Vault:
    where: dict[str, Any] = {"keystore": house.folder / "vault.keys", "anchor": house.folder / "vault.anchor", **more}
    root = file_key(house.folder / "root.key")
    return restore(house.folder / "backup", house.folder / "again", root, reason="a try", **where)


def test_an_earlier_vault_does_not_open(full: SafeHouse) -> None:
    kept = copied(full, "vault")
    erase(full)
    put_back(full, kept)
    with pytest.raises(RolledBackError):
        full.open()


def test_an_earlier_vault_from_before_one_reading_does_not_open(full: SafeHouse) -> None:
    """Dropping the entry of one reading is enough: the anchor rises with every entry."""
    kept = copied(full, "vault")
    vault = full.open()
    person = vault.person_by_token(vault.dataset("north", "cases"), ERASED)
    assert person is not None
    vault.read_records(person, reason="curious")
    put_back(full, kept)
    with pytest.raises(RolledBackError):
        full.open()


def test_an_earlier_version_number_of_a_dataset_is_noticed(full: SafeHouse) -> None:
    with full.open().database.transaction(writes=True) as connection:
        connection.execute(update(models.dataset).values(version=0))
    with pytest.raises(RolledBackError, match="north/cases"):
        full.open()


def test_an_earlier_chunk_does_not_open_in_a_later_ones_place(full: SafeHouse) -> None:
    (chunk,) = (full.path / "chunks").rglob("*.chunk")
    earlier = chunk.read_bytes()
    erase(full)
    (now,) = (full.path / "chunks").rglob("*.chunk")
    now.write_bytes(earlier)
    vault = full.open()
    dataset = vault.dataset("north", "cases")
    with vault.database.transaction(writes=False) as connection:
        (row,) = connection.execute(select(models.chunk)).all()
    with pytest.raises(DamagedChunkError):
        vault.read_chunk(dataset, vault.keys_of(dataset), row)


def test_an_earlier_keystore_does_not_bring_a_destroyed_epoch_back(full: SafeHouse) -> None:
    kept = copied(full, "vault.keys")
    rotate_epoch(full.open(), "north")
    put_back(full, kept)
    with pytest.raises(RolledBackError, match="keystore"):
        full.open()


def test_a_vault_without_its_anchor_does_not_open(full: SafeHouse) -> None:
    (full.folder / "vault.anchor").unlink()
    with pytest.raises(AnchorMissingError):
        full.open()


def test_an_anchor_with_any_changed_byte_is_refused(full: SafeHouse) -> None:
    path = full.folder / "vault.anchor"
    whole, anchor = path.read_bytes(), full.open().anchor
    for place in [*range(60), *range(60, len(whole) - 120, 499), *range(len(whole) - 120, len(whole))]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BrokenAnchorError):
            anchor.read()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenAnchorError):
            anchor.read()


def test_the_anchor_of_another_vault_is_refused(full: SafeHouse) -> None:
    root = file_key(full.folder / "root.key")
    Vault.create(full.folder / "other", root)
    shutil.copy(full.folder / "other.anchor", full.folder / "vault.anchor")
    with pytest.raises(BrokenAnchorError):
        full.open()


def test_an_earlier_vault_with_its_earlier_anchor_is_found_by_a_checkpoint_outside(full: SafeHouse) -> None:
    """Who may write the other storage too sets everything back. A partner's checkpoint still tells."""
    kept = copied(full, "vault", "vault.anchor")
    erase(full)
    vault = full.open()
    with vault.writing() as connection:
        closed = close_periods(connection, vault.audit, vault.keystore.signing_key(), clock=in_two_days)
    assert closed is not None
    checkpoint = full.folder / "partner.txt"
    checkpoint.write_text(closed.note)
    assert full.run("audit", "verify", "--checkpoint", checkpoint).exit_code == 0
    put_back(full, kept)
    full.open()  # nothing here can notice
    found = full.run("audit", "verify", "--checkpoint", checkpoint)
    assert found.exit_code == 1
    assert "set back" in found.output


def test_a_restored_backup_does_not_bring_an_erased_person_back(full: SafeHouse) -> None:
    write_backup(full.open(), full.folder / "backup")
    number = erase(full)
    vault = again(full)
    assert not is_there(vault)
    assert is_there(vault, "p00008")
    with vault.database.transaction(writes=False) as connection:
        for table in (models.person, models.record, models.consent, models.blind_index):
            assert number not in connection.scalars(select(table.c.person_id)).all()
        rows = connection.execute(select(models.chunk)).all()
    dataset = vault.dataset("north", "cases")
    for row in rows:
        assert number not in vault.read_chunk(dataset, vault.keys_of(dataset), row).persons


def test_an_anchor_set_back_to_before_the_backup_restores_nothing(full: SafeHouse) -> None:
    kept = copied(full, "vault.anchor")
    write_backup(full.open(), full.folder / "backup")
    erase(full)
    with pytest.raises(RolledBackError, match="anchor is older"):
        again(full, anchor=kept["vault.anchor"])


def test_an_anchor_set_back_to_before_an_erasure_learns_of_it_when_the_vault_opens(full: SafeHouse) -> None:
    write_backup(full.open(), full.folder / "backup")
    kept = copied(full, "vault.anchor")
    erase(full)
    put_back(full, kept)
    with full.open().writing():
        pass
    assert not is_there(again(full))


def test_old_backup_old_anchor_and_todays_keys_open_nothing_after_the_epoch_ended(full: SafeHouse) -> None:
    """The worst case: everything from before the erasure, and the living keystore with its root key."""
    write_backup(full.open(), full.folder / "backup")
    kept = copied(full, "vault", "vault.anchor")
    number = erase(full)
    rotate_epoch(full.open(), "north")
    with pytest.raises(CasehavenError):
        again(full, anchor=kept["vault.anchor"])
    keys = Keystore.open(full.folder / "vault.keys", file_key(full.folder / "root.key"))
    backup = Backup.open(full.folder / "backup", keys)
    for part in backup.contents.parts:
        if part.organisation:
            with pytest.raises(BackupEpochError):
                backup.data(part)
    old = VaultFolder.open(kept["vault"])
    vault = Vault(old, old.open_database(), keys)
    with pytest.raises(CasehavenError, match="epoch"):
        vault.dek_of(vault.dataset("north", "cases"), vault.person(number))


def test_an_erasure_that_was_cut_short_is_finished_when_the_vault_opens(full: SafeHouse) -> None:
    vault = full.open()
    person = vault.person_by_token(vault.dataset("north", "cases"), ERASED)
    assert person is not None
    vault.anchor.add_erasures(person.person_id)  # and then the power fails
    assert not is_there(full.open())


def test_the_anchor_never_forgets(full: SafeHouse) -> None:
    anchor = full.open().anchor
    first = erase(full)
    second = erase(full, "p00008")
    anchor.add_withdrawals((5, "care"))
    with full.open().writing():
        pass
    state = anchor.read()
    assert {first, second} <= state.erased
    assert (5, "care") in state.withdrawn
    versions = state.datasets["north/cases"]
    assert versions >= 3


def test_the_size_of_the_anchor_says_nothing_of_one_erasure(full: SafeHouse) -> None:
    before = (full.folder / "vault.anchor").stat().st_size
    erase(full)
    assert (full.folder / "vault.anchor").stat().st_size == before


def _lists(house: SafeHouse) -> str:
    """The lists as they are sealed; sealed again, they would be other bytes."""
    found = json.loads((house.folder / "vault.anchor").read_text())["lists"]
    assert isinstance(found, str)
    return found


def test_an_entry_leaves_the_lists_of_the_anchor_as_they_are_and_reads_no_erasures(full: SafeHouse) -> None:
    erase(full)
    vault, before, asked = full.open(), _lists(full), list[str]()
    with event_heard(vault, asked), vault.writing() as connection:
        vault.audit.append(connection, action="test.note", object_kind="vault", object_id="x")
    assert _lists(full) == before
    about = [statement for statement in asked if "erasure" in statement]
    assert about
    assert all("count(*)" in statement for statement in about)
    erase(full, "p00008")
    assert _lists(full) != before


@contextmanager
def event_heard(vault: Vault, asked: list[str]) -> Iterator[None]:
    """Write down every statement that the vault sends to its database."""

    def heard(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(vault.database._engine, "before_cursor_execute", heard)
    try:
        yield
    finally:
        event.remove(vault.database._engine, "before_cursor_execute", heard)


def test_an_anchor_with_very_many_withdrawals_stays_small_and_forgets_none(full: SafeHouse) -> None:
    many = {(number, purpose) for number in range(1, 30_001) for purpose in ("care", "own_statistics")}
    anchor = full.open().anchor
    anchor.add_withdrawals(*many)
    assert (full.folder / "vault.anchor").stat().st_size < 1 << 20
    with full.open().writing():
        pass
    assert many <= anchor.read().withdrawn


def test_earlier_lists_in_a_later_anchor_are_noticed(full: SafeHouse) -> None:
    before = _lists(full)
    erase(full)
    path = full.folder / "vault.anchor"
    path.write_text(path.read_text().replace(_lists(full), before))
    with pytest.raises(BrokenAnchorError):
        full.open()


def test_when_the_anchor_is_lost_meanwhile_the_error_says_that_the_file_is_in_the_vault(
    full: SafeHouse, people: MakePeople
) -> None:
    vault, anchor = full.open(), full.folder / "vault.anchor"
    file = full.folder / "more.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, [*people(1)[0]])
        writer.writeheader()
        writer.writerows(people(2, start=90))
    anchor.rename(full.folder / "elsewhere")
    with pytest.raises(AnchorMissingError, match="it is in the vault, and the anchor is not raised"):
        take_in(vault, vault.dataset("north", "cases"), file)
    (full.folder / "elsewhere").rename(anchor)
    assert is_there(full.open(), "p00091")


def test_a_new_anchor_is_made_only_where_the_old_one_is_lost_and_it_knows_who_was_erased(full: SafeHouse) -> None:
    number = erase(full)
    refused = full.run("audit", "anchor", "--reason", "lost")
    assert (refused.exit_code, "exists already" in refused.output) == (1, True)
    (full.folder / "vault.anchor").unlink()
    made = full.run("audit", "anchor", "--reason", "the stick is broken")
    assert made.exit_code == 0, made.output
    vault = full.open()
    assert number in vault.anchor.read().erased
    report = full.run("audit", "report", "--reason", "looking")
    assert "anchor.create" in report.output
    with vault.database.transaction(writes=False) as connection, pytest.raises(AnchorExistsError):
        Anchor.create(vault.anchor.path, vault.keystore, vault.vault_id, connection)


def test_a_vault_file_that_names_an_old_copy_of_the_anchor_does_not_open(full: SafeHouse) -> None:
    """Else the copy of vault and anchor from before an erasure could be put back, and the real anchor left alone."""
    kept = copied(full, "vault", "vault.anchor")
    erase(full)
    put_back(full, {"vault": kept["vault"]})
    file = full.path / "vault.json"
    written = json.loads(file.read_text())
    for change in (
        {"anchor": str(kept["vault.anchor"])},
        {"anchor": str(kept["vault.anchor"]), "mac": ""},
        {"keystore": str(full.folder / "vault.keys")},
        {"database": "postgresql://elsewhere/cases"},
    ):
        file.write_text(json.dumps({**written, **change}))
        with pytest.raises(ChangedVaultFileError):
            full.open()
        assert full.run("audit", "verify").exit_code == 1
        assert full.run("audit", "anchor", "--reason", "lost").exit_code == 1
    del written["mac"]
    file.write_text(json.dumps({**written, "anchor": str(kept["vault.anchor"])}))
    with pytest.raises(ChangedVaultFileError):
        full.open()


def test_an_anchor_is_moved_by_a_command_and_forgets_nothing(full: SafeHouse) -> None:
    number, place = erase(full), full.folder / "stick" / "anchor"
    place.parent.mkdir()
    full.open().anchor.add_withdrawals((5, "care"))  # the database alone could not tell
    moved = full.run("audit", "anchor", "--at", place, "--reason", "a second machine")
    assert moved.exit_code == 0, moved.output
    assert not (full.folder / "vault.anchor").exists()
    vault = full.open()
    assert vault.anchor.path == place
    assert number in vault.anchor.read().erased
    assert "anchor.move" in full.run("audit", "report", "--reason", "looking").output
    again = full.run("audit", "anchor", "--at", place, "--reason", "a second machine")
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    state = full.open().anchor.read()
    assert state.erased == frozenset({number})
    assert state.withdrawn == frozenset({(5, "care")})
