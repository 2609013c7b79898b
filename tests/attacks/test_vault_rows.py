"""Whoever can write to the database and the files of a vault, and has no key, changes single rows: nobody is read, erased or counted who is not meant.

What such a writer can still do is in `docs/threat-model.md`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Table, delete, func, insert, select, update

from casehaven.vault import models
from casehaven.vault.bound_rows import entry_mac
from casehaven.vault.errors import DamagedChunkError, RolledBackError, SealBrokenError
from casehaven.vault.snapshots import snapshot
from casehaven.vault.store import Vault
from casesynth.privacy import PrivacyLoss, Receipt

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

RECEIPT = Receipt(charge_id="none", loss=PrivacyLoss(nano_rho=1))
WHY = ("--reason", "a test")


@pytest.fixture
def full(house: SafeHouse, people: MakePeople) -> SafeHouse:
    """Twelve people who agreed to everything."""
    house.take_in([{**record, "mayRelease": "yes", "mayCare": "yes"} for record in people(12)])
    return house


def counted(vault: Vault) -> int:
    return snapshot(vault, [vault.dataset("north", "cases")], "synthetic_release").open(RECEIPT).people


def change(vault: Vault, statement: Any) -> None:
    with vault.database.transaction(writes=True) as connection:
        connection.execute(statement)


def rows_of(vault: Vault, table: Table, person_id: int) -> list[Mapping[str, Any]]:
    with vault.database.transaction(writes=False) as connection:
        found = connection.execute(select(table).where(table.c.person_id == person_id))
        return [dict(row._mapping) for row in found]


def number_of(vault: Vault, token: str) -> int:
    person = vault.person_by_token(vault.dataset("north", "cases"), token)
    assert person is not None
    return person.person_id


# --- consent (A1, A6) ---


def test_a_withdrawal_that_is_deleted_or_turned_into_a_yes_still_counts(full: SafeHouse) -> None:
    person = full.open().person(number_of(full.open(), "p00003"))
    assert counted(full.open()) == 12
    full.people().record_consent("p00003", "synthetic_release", given=False, reason="the person said so")
    assert counted(full.open()) == 11
    consent = models.consent
    refusal = (consent.c.person_id == person.person_id, consent.c.given.is_(False))
    change(full.open(), update(consent).where(*refusal).values(given=True))
    assert counted(full.open()) == 11
    change(full.open(), delete(consent).where(consent.c.person_id == person.person_id))
    assert counted(full.open()) == 11


def test_a_refusal_in_the_anchor_keeps_a_shared_token_out_though_no_row_says_so(
    full: SafeHouse, people: MakePeople
) -> None:
    full.add_dataset("cases", organisation="south")
    full.take_in([{**record, "mayRelease": "yes"} for record in people(12)], organisation="south")
    full.people().record_consent("p00003", "synthetic_release", given=False, reason="the person said so")
    vault = full.open()
    change(vault, delete(models.consent).where(models.consent.c.person_id == number_of(vault, "p00003")))
    both = [vault.dataset("north", "cases"), vault.dataset("south", "cases")]
    assert snapshot(vault, both, "synthetic_release", tokens_are="shared").open(RECEIPT).people == 11


def test_a_refusal_outlives_the_last_day(full: SafeHouse, people: MakePeople) -> None:
    """North refused and its last day is over; south has a yes for the same token: not counted."""
    full.add_dataset("cases", organisation="south")
    full.take_in([{**record, "mayRelease": "yes"} for record in people(14)], organisation="south")
    full.take_in([{**people(1, start=13)[0], "mayRelease": "no"}])
    vault = full.open()
    over = datetime.now(UTC).date() - timedelta(days=1)
    change(
        vault,
        update(models.person).where(models.person.c.person_id == number_of(vault, "p00013")).values(retain_until=over),
    )
    both = [vault.dataset("north", "cases"), vault.dataset("south", "cases")]
    assert snapshot(vault, both, "synthetic_release", tokens_are="shared").open(RECEIPT).people == 13


# --- somebody else under a reference (A2) ---


def swap_tokens(vault: Vault, one: int, other: int) -> None:
    person = models.person
    with vault.database.transaction(writes=True) as connection:
        index = {row.person_id: bytes(row.token_index) for row in connection.execute(select(person))}
        for number, value in ((one, b"\0" * 16), (other, index[one]), (one, index[other])):
            connection.execute(update(person).where(person.c.person_id == number).values(token_index=value))


def test_exchanged_token_indexes_lead_to_nobody(full: SafeHouse, people: MakePeople) -> None:
    vault = full.open()
    swap_tokens(vault, number_of(vault, "p00001"), number_of(vault, "p00002"))
    for command in (("show", "p00001"), ("erase", "p00002", "--yes"), ("export", "p00001", "-o", "x.json")):
        result = full.run("person", *command, *WHY)
        assert result.exit_code != 0
        assert "woman" not in result.output
    with vault.database.transaction(writes=False) as connection:
        assert connection.scalar(select(func.count()).select_from(models.person)) == 12
    with pytest.raises(SealBrokenError):
        full.take_in([{**people(1, start=1)[0], "year": "2022"}])


def test_an_entry_of_the_index_that_was_moved_leads_to_nobody() -> None:
    """The code covers dataset, field, value and person."""
    right = entry_mac(b"k" * 32, 1, "reference", b"v" * 8, 2)
    others = {
        entry_mac(b"k" * 32, 1, "reference", b"v" * 8, 3),
        entry_mac(b"k" * 32, 2, "reference", b"v" * 8, 2),
        entry_mac(b"k" * 32, 1, "name-birth", b"v" * 8, 2),
        entry_mac(b"k" * 32, 1, "reference", b"w" * 8, 2),
        entry_mac(b"l" * 32, 1, "reference", b"v" * 8, 2),
    }
    assert len(others) == 5
    assert right not in others


# --- an erased person (A3, B13) ---


@pytest.mark.parametrize("with_version", [False, True], ids=["rows", "rows and a higher version"])
def test_chunk_and_consent_of_an_erased_person_that_are_put_back_are_not_counted(
    full: SafeHouse, with_version: bool
) -> None:
    vault = full.open()
    number = number_of(vault, "p00005")
    consents = rows_of(vault, models.consent, number)
    with vault.database.transaction(writes=False) as connection:
        before = dict(connection.execute(select(models.chunk)).one()._mapping)
    shutil.copytree(vault.folder.chunks, full.folder / "kept")
    full.people().erase("p00005", reason="asked for by the person")
    vault = full.open()
    assert counted(vault) == 11
    with vault.database.transaction(writes=True) as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.execute(update(models.chunk).values(**before))
        if with_version:
            connection.execute(update(models.dataset).values(version=models.dataset.c.version + 1))
    with vault.database._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as raw:
        raw.exec_driver_sql("PRAGMA foreign_keys = OFF")
        for row in consents:
            raw.execute(insert(models.consent).values(**row))
        raw.exec_driver_sql("PRAGMA foreign_keys = ON")
    shutil.rmtree(vault.folder.chunks)
    shutil.copytree(full.folder / "kept", vault.folder.chunks)
    with pytest.raises(RolledBackError):
        counted(vault)
    with pytest.raises(RolledBackError):
        full.open()


def test_rows_of_a_chunk_without_their_record_or_person_do_not_count(full: SafeHouse) -> None:
    """The second line, if the anchor were put back too."""
    vault = full.open()
    number = number_of(vault, "p00005")
    change(vault, delete(models.record).where(models.record.c.person_id == number))
    assert counted(vault) == 11
    full.open().anchor.add_erasures(number_of(vault, "p00006"))
    assert counted(vault) == 10


def test_an_erasure_finds_the_person_in_every_chunk_whatever_the_records_say(
    full: SafeHouse, people: MakePeople
) -> None:
    full.take_in([{**record, "mayRelease": "yes"} for record in people(3, start=20)])
    vault = full.open()
    number, record = number_of(vault, "p00005"), models.record
    with vault.database.transaction(writes=False) as connection:
        mine = connection.scalar(select(record.c.chunk_id).where(record.c.person_id == number))
        other = connection.scalar(select(models.chunk.c.chunk_id).where(models.chunk.c.chunk_id != mine))
    change(vault, update(record).where(record.c.person_id == number).values(chunk_id=other))
    full.people().erase("p00005", reason="asked for by the person")
    vault = full.open()
    dataset = vault.dataset("north", "cases")
    with vault.database.transaction(writes=False) as connection:
        rows = connection.execute(select(models.chunk)).all()
    for row in rows:
        assert number not in vault.read_chunk(dataset, vault.keys_of(dataset), row).persons
    assert len(rows) == 2


# --- what a dataset is (A4) ---


@pytest.mark.parametrize("column", ["people_cap", "schema_document", "schema_sha256", "name", "mac"])
def test_a_datasets_row_that_was_changed_does_not_open(full: SafeHouse, column: str) -> None:
    vault, dataset = full.open(), models.dataset
    with vault.database.transaction(writes=False) as connection:
        row = connection.execute(select(dataset)).one()
    changed: dict[str, Any] = {
        "people_cap": row.people_cap * 10,
        "schema_document": row.schema_document.replace("Notes", "Other"),
        "schema_sha256": "0" * 64,
        "name": "other",
        "mac": None,
    }
    assert changed[column] != getattr(row, column)
    change(vault, update(dataset).values({column: changed[column]}))
    with pytest.raises((SealBrokenError, RolledBackError)):
        full.open().datasets()


# --- files (B12, B14) ---


@pytest.mark.parametrize("aside", ["../../outside.chunk", "/etc/hostname", "{folder}/../{folder}/{name}"])
def test_a_chunks_row_that_names_another_file_is_refused_and_that_file_stays(full: SafeHouse, aside: str) -> None:
    vault = full.open()
    with vault.database.transaction(writes=False) as connection:
        (path,) = connection.scalars(select(models.chunk.c.path)).all()
    folder, name = path.split("/")
    named = aside.format(folder=folder, name=name)
    outside = full.folder / "outside.chunk"
    shutil.copy(vault.folder.chunks / path, outside)
    change(vault, update(models.chunk).values(path=named))
    with pytest.raises(DamagedChunkError):
        counted(vault)
    with pytest.raises(DamagedChunkError):
        vault.destroy_person(vault.dataset("north", "cases"), vault.person(number_of(vault, "p00001")))
    assert outside.is_file()


def test_a_chunk_with_a_number_that_is_a_path_is_refused(full: SafeHouse) -> None:
    vault = full.open()
    number = vault.dataset("north", "cases").dataset_id
    with vault.database._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as raw:
        raw.exec_driver_sql("PRAGMA foreign_keys = OFF")
        raw.execute(update(models.chunk).values(chunk_id="../../../x", path=f"{number:016x}/../../../x-0.chunk"))
        raw.exec_driver_sql("PRAGMA foreign_keys = ON")
    with pytest.raises((DamagedChunkError, RolledBackError)):
        counted(vault)
    with pytest.raises(DamagedChunkError), vault.database.transaction(writes=False) as connection:
        vault.chunk_file(connection.execute(select(models.chunk)).one())


def test_a_reader_during_an_erasure_reads_again_and_is_told_nothing(full: SafeHouse) -> None:
    vault = full.open()
    opened = snapshot(vault, [vault.dataset("north", "cases")], "synthetic_release")

    before, calls = counted(vault), list[int]()

    def erased_meanwhile() -> None:
        calls.append(1)
        if len(calls) == 2:  # the versions are read, and no chunk
            full.people().erase("p00005", reason="asked for by the person")

    assert opened.open(RECEIPT, check=erased_meanwhile).people == before - 1 and len(calls) == 4


def test_a_missing_file_of_an_unchanged_dataset_is_damage(full: SafeHouse) -> None:
    vault = full.open()
    for path in vault.folder.chunks.glob("*/*"):
        Path(path).unlink()
    with pytest.raises(DamagedChunkError, match="missing"):
        counted(vault)


# --- what is kept (B22), and what is swept away (C24) ---


def test_free_text_is_kept_only_when_it_is_asked_for(house: SafeHouse, tmp_path: Path) -> None:
    file = tmp_path / "free.csv"
    file.write_text("token,notes,mayRelease,year,gender,age,means\nA,said so,yes,2021,woman,22,\n", encoding="utf-8")
    again = tmp_path / "again.csv"
    again.write_text("token,notes,mayRelease,year,gender,age,means\nB,said so,yes,2021,woman,22,\n", encoding="utf-8")
    at = ("--yes", "--organisation", "north", "--dataset", "cases", "--schema", house_schema(house, tmp_path))
    for more in ((file,), (again, "--keep", "notes")):
        result = house.run("intake", *more, *at)
        assert result.exit_code == 0, result.output
    assert "said so" not in house.run("person", "show", "A", *WHY).stdout
    assert "said so" in house.run("person", "show", "B", *WHY).stdout


def house_schema(house: SafeHouse, tmp_path: Path) -> Path:
    """The schema of the dataset as a file."""
    path = tmp_path / "house.json"
    path.write_bytes(house.open().dataset("north", "cases").schema.canonical())
    return path


def test_what_a_killed_change_left_is_gone_when_the_vault_opens_and_what_somebody_writes_now_is_not(
    full: SafeHouse,
) -> None:
    vault = full.open()
    dataset = vault.dataset("north", "cases")
    left = vault.folder.chunks / f"{dataset.dataset_id:016x}" / f"{'a' * 32}-0.chunk"
    left.write_bytes(b"sealed")
    with vault.locked(dataset):
        full.open()
        assert left.is_file()
    full.open()
    assert not left.exists()
    assert counted(full.open()) == 12
