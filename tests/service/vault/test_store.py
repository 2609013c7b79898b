"""The vault: what it holds, what it opens, and what of it a person's erasure leaves; on SQLite and on Postgres."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select, text, update

from casehaven.core.audit_models import audit
from casehaven.core.db import is_postgres
from casehaven.core.errors import DatabaseVersionError
from casehaven.vault import models
from casehaven.vault.datasets import Dataset, Person
from casehaven.vault.errors import (
    DamagedChunkError,
    DatasetExistsError,
    DatasetMissingError,
    DatasetNameError,
    EpochError,
    RootKeyError,
    SchemaDiffersError,
    SealBrokenError,
    SnapshotChangedError,
    UnknownPersonError,
    UnknownRecordError,
    VaultBusyError,
    VaultExistsError,
    VaultFormatError,
    VaultMissingError,
)
from casehaven.vault.locks import held
from casehaven.vault.rootkeys import HeldKey
from casehaven.vault.rotation import rotate_epoch
from casehaven.vault.sealed import new_key
from casehaven.vault.snapshots import snapshot
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import MakePeople
    from tests.service.vault.conftest import Databases, MakeStore, Store

    from casesynth.privacy import Receipt

CANARY = "canary-Amina-73"
AMINA = {"token": CANARY, "notes": f"met {CANARY} at the shelter", "mayRelease": "yes", "gender": "woman", "age": "22"}


def _person(store: Store, token: str = CANARY) -> tuple[Vault, Dataset, Person]:
    vault, dataset = store.open(), store.dataset()
    person = vault.person_by_token(dataset, token)
    assert person is not None
    return vault, dataset, person


# --- making and opening ----------------------------------------------------------------------------------------------------


def test_a_new_vault_is_empty_and_its_owners_alone(store: Store) -> None:
    vault = store.open()
    assert vault.datasets() == ()
    for path in (store.path, vault.folder.keystore_path):
        assert path.stat().st_mode & 0o077 == 0
    for path in (*store.path.rglob("*"), *vault.folder.keystore_path.rglob("*"), vault.folder.anchor_path):
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_says_where_the_database_is_holds_no_password(store: Store) -> None:
    document = json.loads((store.path / "vault.json").read_text(encoding="utf-8"))
    assert document["format"] == "casehaven-vault/1"
    assert document["database"] == "embedded" or is_postgres(document["database"])


def test_nobody_opens_it_with_another_root_key(store: Store) -> None:
    with pytest.raises(RootKeyError):
        Vault.open(store.path, HeldKey(key=new_key()))


def test_nothing_is_made_where_something_is(store: Store, database: Databases) -> None:
    with pytest.raises(VaultExistsError):
        Vault.create(store.path, store.root, database=database())
    before = store.open().vault_id
    other = store.folder / "other"
    other.with_name("other.keys").mkdir()
    (other.with_name("other.keys") / "x").touch()
    with pytest.raises(VaultExistsError):
        Vault.create(other, store.root, database=database())
    assert not other.exists()
    assert store.open().vault_id == before


def test_a_vault_that_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="does not answer"):
        Vault.create(tmp_path / "vault", HeldKey(key=new_key()), database="postgresql://nobody@127.0.0.1:1/none")
    assert [*tmp_path.iterdir()] == []


def test_where_no_vault_is_none_is_opened(store: Store, tmp_path: Path) -> None:
    with pytest.raises(VaultMissingError):
        Vault.open(tmp_path / "none", store.root)


@pytest.mark.parametrize(
    "content", ["{}", "[]", "not JSON", '{"format": "casehaven-vault/2"}', '{"format": "casehaven-vault/1"}']
)
def test_a_vault_of_another_format_is_refused(store: Store, content: str) -> None:
    (store.path / "vault.json").write_text(content, encoding="utf-8")
    with pytest.raises(VaultFormatError):
        store.open()


def test_a_folder_with_another_vaults_database_is_refused(make_store: MakeStore) -> None:
    one, two = make_store("one"), make_store("two")
    vault = one.open()
    if vault.database.dialect == "sqlite":
        shutil.copy(two.path / "vault.sqlite", one.path / "vault.sqlite")
    else:
        replace(vault.folder, database=two.open().folder.database).write(vault.keystore)
    with pytest.raises(VaultFormatError, match="another vault's"):
        one.open()


def test_tables_of_another_version_are_refused(store: Store) -> None:
    with store.open().database.transaction(writes=True) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseVersionError, match="9999"):
        store.open()


# --- datasets --------------------------------------------------------------------------------------------------------------


def test_a_dataset_keeps_its_schema_and_its_people_cap(store: Store) -> None:
    made = store.open().add_dataset("north", "cases", store.schema, 500)
    found = store.open().dataset("north", "cases")
    assert found == made
    assert (found.schema, found.people_cap, found.version, found.id) == (store.schema, 500, 0, "north/cases")


def test_a_dataset_is_made_once_and_its_name_is_checked(store: Store) -> None:
    store.dataset()
    with pytest.raises(DatasetExistsError):
        store.open().add_dataset("north", "cases", store.schema, 1)
    for name in ("", "North", "a/b", "../x", "x" * 65, "é"):
        with pytest.raises(DatasetNameError):
            store.open().add_dataset("north", name, store.schema, 1)
        with pytest.raises(DatasetNameError):
            store.open().add_dataset(name, "cases", store.schema, 1)
    with pytest.raises(DatasetMissingError):
        store.open().dataset("north", "none")


def test_two_datasets_of_one_organisation_cannot_be_compared_by_their_token_indexes(store: Store) -> None:
    store.take_in([AMINA], name="cases")
    store.take_in([AMINA], name="archive")
    store.take_in([AMINA], organisation="south", name="cases")
    with store.open().database.transaction(writes=False) as connection:
        indexes = [bytes(index) for index in connection.scalars(select(models.person.c.token_index))]
    assert len(set(indexes)) == 3


# --- reading ---------------------------------------------------------------------------------------------------------------


def test_a_person_is_found_by_token_and_the_records_open(store: Store) -> None:
    store.take_in([AMINA, {**AMINA, "year": "2021"}, {"token": "someone else"}])
    assert store.cells(CANARY) == [AMINA, {**AMINA, "year": "2021"}] or store.cells(CANARY) == [
        {**AMINA, "year": "2021"},
        AMINA,
    ]
    vault, dataset, _ = _person(store)
    assert vault.person_by_token(dataset, f"  {CANARY} ") is not None
    assert vault.person_by_token(dataset, "nobody") is None


def test_reading_is_in_the_audit_log_before_anything_is_shown(store: Store) -> None:
    store.take_in([AMINA])
    vault, _, person = _person(store)
    vault.read_records(person, reason=f"asked by {CANARY}", actor="clerk")
    with vault.database.transaction(writes=False) as connection:
        row = connection.execute(select(audit).order_by(audit.c.position.desc()).limit(1)).one()
    assert (row.action, row.actor, row.object_id) == ("person.read", "clerk", str(person.person_id))
    assert CANARY.encode() not in bytes(row.reason_sealed)


def test_a_reading_whose_entry_cannot_be_written_shows_nothing(store: Store) -> None:
    store.take_in([AMINA])
    vault, _, person = _person(store)
    with vault.database.transaction(writes=True) as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO elsewhere"))
    with pytest.raises(Exception, match="refused a statement|could not be read"):
        vault.read_records(person, reason="none")


@pytest.mark.parametrize("place", ["person", "record", "version"])
def test_a_row_that_is_moved_to_another_place_does_not_open(store: Store, place: str) -> None:
    """Threat 4: the ciphertext of one person, put where another's is."""
    store.take_in([AMINA, {"token": "second", "gender": "man"}])
    vault, dataset, person = _person(store)
    other = vault.person_by_token(dataset, "second")
    assert other is not None
    with vault.database.transaction(writes=True) as connection:
        if place == "person":
            key = select(models.person.c.wrapped_dek).where(models.person.c.person_id == other.person_id)
            change = update(models.person).where(models.person.c.person_id == person.person_id)
            connection.execute(change.values(wrapped_dek=connection.scalars(key).one()))
        elif place == "record":
            moved = select(models.record.c.sealed).where(models.record.c.person_id == other.person_id)
            change = update(models.record).where(models.record.c.person_id == person.person_id)
            connection.execute(change.values(sealed=connection.scalars(moved).one()))
        else:
            connection.execute(update(models.record).values(version=2))
    with pytest.raises(SealBrokenError):
        vault.read_records(person, reason="a test")


def test_nothing_on_disk_holds_a_cell(sqlite_store: Store) -> None:
    """The database, its log, the chunks, the keystore and the anchor, right after a file was taken in and read."""
    sqlite_store.take_in([AMINA])
    sqlite_store.cells(CANARY)
    for path in sqlite_store.written:
        path.unlink()
    for path in sqlite_store.folder.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path


def test_records_are_padded_and_lengths_say_little(store: Store) -> None:
    store.take_in([{"token": "a"}, {"token": "b", "notes": "x" * 300}, {"token": "c", "notes": "x" * 700}])
    with store.open().database.transaction(writes=False) as connection:
        sizes = sorted(len(bytes(sealed)) for sealed in connection.scalars(select(models.record.c.sealed)))
    assert sizes[0] == sizes[1] == sizes[2] - 512


# --- correcting ------------------------------------------------------------------------------------------------------------


def test_a_correction_adds_a_record_and_the_old_one_stays(store: Store, receipt: Receipt) -> None:
    store.take_in([AMINA])
    vault, dataset, person = _person(store)
    old = vault.read_records(person, reason="look")[0]
    with vault.locked(dataset) as here:
        number = vault.append_record(
            here, person, {**old.cells, "gender": "man"}, supersedes=old.record_id, reason="as the person said"
        )
    records = vault.read_records(person, reason="look")
    assert {(r.record_id, r.superseded_by, r.cells["gender"]) for r in records} == {
        (old.record_id, number, "woman"),
        (number, None, "man"),
    }
    table = snapshot(vault, [store.dataset()], "synthetic_release").open(receipt)
    gender = [column.name for column in dataset.domain.columns].index("gender")
    assert table.people == 1
    assert dataset.domain.columns[gender].values[table.columns[gender][0]] == "man"


def test_a_record_is_corrected_once_and_by_its_own_person(store: Store) -> None:
    store.take_in([AMINA, {"token": "second"}])
    vault, dataset, person = _person(store)
    old = vault.read_records(person, reason="look")[0]
    other = vault.person_by_token(dataset, "second")
    assert other is not None
    foreign = vault.read_records(other, reason="look")[0]
    for supersedes in (foreign.record_id, 7):
        with vault.locked(dataset) as here, pytest.raises(UnknownRecordError):
            vault.append_record(here, person, old.cells, supersedes=supersedes, reason="x")
    with vault.locked(dataset) as here:
        vault.append_record(here, person, old.cells, supersedes=old.record_id, reason="x")
    with vault.locked(dataset) as here, pytest.raises(UnknownRecordError):
        vault.append_record(here, person, old.cells, supersedes=old.record_id, reason="x")
    assert len(vault.read_records(person, reason="look")) == 2


def test_a_correction_keeps_the_token_and_the_schema(store: Store) -> None:
    store.take_in([AMINA])
    vault, dataset, person = _person(store)
    with vault.locked(dataset) as here, pytest.raises(SchemaDiffersError):
        vault.append_record(here, person, {**AMINA, "token": "second"}, reason="x")
    with vault.locked(dataset) as here, pytest.raises(SchemaDiffersError):
        vault.append_record(here, person, {**AMINA, "passport": "x"}, reason="x")


def test_a_change_by_somebody_who_does_not_hold_the_dataset_as_it_is_fails_whole(store: Store) -> None:
    store.take_in([AMINA])
    vault, dataset, person = _person(store)
    store.take_in([{"token": "second"}])
    with pytest.raises(SnapshotChangedError):
        vault.append_record(dataset, person, AMINA, reason="x")
    assert len(store.cells(CANARY)) == 1


# --- erasing ---------------------------------------------------------------------------------------------------------------


def test_an_erased_person_is_nowhere_and_everybody_else_is(store: Store, people: MakePeople, receipt: Receipt) -> None:
    store.take_in([*people(40), AMINA])
    vault, dataset, person = _person(store)
    kept = dict(_chunk_files(store))
    copy = vault.dek_of(dataset, person)
    with vault.locked(dataset) as here:
        vault.destroy_person(here, person)
    assert vault.person_by_token(store.dataset(), CANARY) is None
    with pytest.raises(UnknownPersonError):
        vault.read_records(person, reason="x")
    with vault.database.transaction(writes=False) as connection:
        for table in (models.person, models.record, models.consent, models.blind_index):
            left = select(func.count()).select_from(table).where(table.c.person_id == person.person_id)
            assert connection.scalar(left) == 0
    assert snapshot(vault, [store.dataset()], "synthetic_release").open(receipt).people == 40
    assert store.cells("p00007")
    assert not set(kept) & set(dict(_chunk_files(store))), "the chunk was written anew"
    assert copy  # the key in this process's memory is all that is left of it


def test_a_person_alone_in_a_chunk_takes_the_chunk_with_them(store: Store) -> None:
    store.take_in([AMINA])
    vault, dataset, person = _person(store)
    with vault.locked(dataset) as here:
        vault.destroy_person(here, person)
    assert _chunk_files(store) == []


def test_an_erasure_whose_chunk_is_damaged_destroys_nothing(store: Store) -> None:
    store.take_in([AMINA, {"token": "second"}])
    vault, dataset, person = _person(store)
    name, content = _chunk_files(store)[0]
    path = next(store.path.rglob(name))
    path.write_bytes(content[:-1])
    with vault.locked(dataset) as here, pytest.raises(DamagedChunkError):
        vault.destroy_person(here, person)
    path.write_bytes(content)
    assert len(store.cells(CANARY)) == 1


def test_an_old_chunk_in_place_of_the_rewritten_one_is_noticed(store: Store, receipt: Receipt) -> None:
    store.take_in([AMINA, {"token": "second", "mayRelease": "yes"}])
    vault, dataset, person = _person(store)
    _, old = _chunk_files(store)[0]
    with vault.locked(dataset) as here:
        vault.destroy_person(here, person)
    name, _ = _chunk_files(store)[0]
    next(store.path.rglob(name)).write_bytes(old)
    with pytest.raises(DamagedChunkError):
        snapshot(vault, [store.dataset()], "synthetic_release").open(receipt)


def test_files_that_no_transaction_names_are_swept_away_by_the_next_change(store: Store) -> None:
    store.take_in([AMINA])
    left = store.path / "chunks" / f"{store.dataset().dataset_id:016x}"
    (left / "0-0.chunk").write_bytes(b"left")
    (left / "1-0.chunk.partial").write_bytes(b"left")
    store.take_in([{"token": "second"}])
    assert {path.name for path in left.iterdir()} == {name for name, _ in _chunk_files(store)}
    assert len(_chunk_files(store)) == 2


def _chunk_files(store: Store) -> list[tuple[str, bytes]]:
    """Chunk files that rows name: name and content."""
    with store.open().database.transaction(writes=False) as connection:
        paths = connection.scalars(select(models.chunk.c.path)).all()
    return [(Path(path).name, (store.path / "chunks" / path).read_bytes()) for path in paths]


# --- epochs ----------------------------------------------------------------------------------------------------------------


def test_after_a_new_epoch_everything_opens_and_the_old_rows_do_not(
    store: Store, people: MakePeople, receipt: Receipt
) -> None:
    store.take_in([*people(40), AMINA])
    vault, dataset, before = _person(store)
    vault.read_records(before, reason="a reason under the old epoch")
    sealed = dict(_chunk_files(store))
    name = rotate_epoch(vault, "north")
    _, _, after = _person(store)
    assert after.epoch == name != before.epoch
    assert vault.keystore.organisation("north").epochs == (name,)
    assert store.cells(CANARY) == [AMINA]
    assert snapshot(vault, [store.dataset()], "synthetic_release").open(receipt).people == 41
    assert dict(_chunk_files(store)) == sealed, "data is not touched"
    with pytest.raises(EpochError):
        vault.dek_of(dataset, before)  # the row of an old backup
    with vault.database.transaction(writes=False) as connection:
        epochs = connection.scalars(select(audit.c.reason_epoch).where(audit.c.reason_epoch.is_not(None))).all()
    assert set(epochs) == {name}


def test_a_rotation_that_was_cut_short_goes_on(store: Store, people: MakePeople) -> None:
    store.take_in([*people(10), AMINA])
    vault, _, before = _person(store)
    vault.keystore.organisation("north").begin_epoch()
    assert store.cells(CANARY) == [AMINA]
    name = rotate_epoch(vault, "north")
    assert vault.keystore.organisation("north").epochs == (name,)
    assert store.cells(CANARY) == [AMINA]
    assert before.epoch != name


def test_another_organisations_keys_stay_as_they_are(store: Store) -> None:
    store.take_in([AMINA])
    store.take_in([AMINA], organisation="south")
    vault = store.open()
    epoch = vault.keystore.organisation("south").epoch
    rotate_epoch(vault, "north")
    assert vault.keystore.organisation("south").epoch == epoch
    assert store.cells(CANARY, organisation="south") == [AMINA]


# --- locks -----------------------------------------------------------------------------------------------------------------


def test_two_processes_do_not_change_one_dataset_at_once(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "x.lock"
    with held(path, alone=True, what="x"):
        for alone in (True, False):
            with pytest.raises(VaultBusyError), held(path, alone=alone, what="x", wait_seconds=0.1):
                pass
    shared = held(path, alone=False, what="x", wait_seconds=0.1), held(path, alone=False, what="x", wait_seconds=0.1)
    with shared[0], shared[1], pytest.raises(VaultBusyError), held(path, alone=True, what="x", wait_seconds=0.1):
        pass
    with held(path, alone=True, what="x", wait_seconds=0.1):
        pass


def test_the_vaults_row_is_one(store: Store) -> None:
    with store.open().database.transaction(writes=True) as connection:
        connection.execute(insert(models.vault).values(vault_id="second", created_at="now"))
    with pytest.raises(VaultFormatError):
        store.open()
