"""The restore drill tells the truth: it says yes to a backup that brings the vault back, and no to every other; it changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, select, text, update

from casehaven.cli import main
from casehaven.errors import CasehavenError
from casehaven.vault import models
from casehaven.vault.backup import write_backup
from casehaven.vault.drill import CHECKS, check_chunks, check_erased, check_log, check_people, drill
from casehaven.vault.erasure import erase_person
from casehaven.vault.errors import AnchorMissingError, BackupEpochError, DrillError
from casehaven.vault.rootkeys import file_key
from casehaven.vault.rotation import rotate_epoch
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse


@pytest.fixture
def full(house: SafeHouse, people: MakePeople) -> SafeHouse:
    """A vault with people, of whom one was erased after the backup `backup`."""
    house.take_in([{**record, "mayCare": "yes"} for record in people(25)])
    house.take_in([{**record, "mayCare": "yes"} for record in people(5, start=80)])
    write_backup(house.open(), house.folder / "backup")
    vault = house.open()
    with vault.locked(vault.dataset("north", "cases")) as dataset:
        person = vault.person_by_token(dataset, "p00003")
        assert person is not None
        erase_person(vault, dataset, person, reason="asked for it")
    return house


def places(house: SafeHouse) -> dict[str, Any]:
    return {"keystore": house.folder / "vault.keys", "anchor": house.folder / "vault.anchor"}


def drilled(house: SafeHouse) -> Any:
    work = house.folder / "work"
    work.mkdir(exist_ok=True)
    result = drill(house.folder / "backup", file_key(house.folder / "root.key"), work=work, **places(house))
    assert not [*work.iterdir()]
    return result


def run(house: SafeHouse, *more: str) -> Result:
    arguments = ["drill", str(house.folder / "backup"), "--root-key", f"file:{house.folder / 'root.key'}"]
    for name, path in places(house).items():
        arguments += [f"--{name}", str(path)]
    return CliRunner().invoke(main, [*arguments, *more])


def everything(folder: Path) -> dict[str, bytes]:
    ignored = ("-wal", "-shm", ".lock")
    return {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.endswith(ignored)
    }


def test_a_good_backup_passes_and_nothing_changes(full: SafeHouse) -> None:
    full.open().database.scrub()
    before = everything(full.folder)
    result = run(full)
    assert result.exit_code == 0, result.output
    assert result.output.count("ok: ") == 1 + len(CHECKS)
    assert everything(full.folder) == before
    assert full.open().datasets()


def test_a_drill_says_no_number_of_people(full: SafeHouse, people: MakePeople) -> None:
    first = run(full).output
    full.take_in([{**record, "mayCare": "yes"} for record in people(400, start=200)])
    shutil.rmtree(full.folder / "backup")
    write_backup(full.open(), full.folder / "backup")
    assert run(full).output == first


def test_the_temporary_vault_goes_also_when_the_drill_fails(full: SafeHouse) -> None:
    part = next((full.folder / "backup").glob("*.part"))
    part.write_bytes(part.read_bytes()[1:])
    with pytest.raises(CasehavenError):
        drilled(full)
    assert not [*(full.folder / "work").iterdir()]
    assert run(full).exit_code == 1


def test_a_drill_without_the_anchor_fails(full: SafeHouse) -> None:
    (full.folder / "vault.anchor").unlink()
    with pytest.raises(AnchorMissingError):
        drilled(full)


def test_a_drill_of_a_backup_whose_epoch_is_gone_fails(full: SafeHouse) -> None:
    rotate_epoch(full.open(), "north")
    with pytest.raises(BackupEpochError):
        drilled(full)


def _log(vault: Vault) -> None:
    with vault.database.transaction(writes=True) as connection:
        connection.execute(text("DROP TRIGGER audit_update"))
        connection.execute(text("UPDATE audit SET actor = 'somebody' WHERE position = 1"))


def _chunk_bytes(vault: Vault) -> None:
    path = next(vault.folder.chunks.rglob("*.chunk"))
    path.write_bytes(path.read_bytes()[::-1])


def _chunk_rows(vault: Vault) -> None:
    """Records name another chunk than the one that holds them."""
    with vault.database.transaction(writes=True) as connection:
        first, second = connection.scalars(select(models.chunk.c.chunk_id)).all()
        this = models.record.c.record_id == connection.scalar(
            select(models.record.c.record_id).where(models.record.c.chunk_id == first).limit(1)
        )
        connection.execute(update(models.record).where(this).values(chunk_id=second))


def _keys(vault: Vault) -> None:
    """Every person has another person's key."""
    with vault.database.transaction(writes=True) as connection:
        found = connection.execute(select(models.person)).all()
        for row, other in zip(found, [*found[1:], found[0]], strict=True):
            this = models.person.c.person_id == row.person_id
            connection.execute(update(models.person).where(this).values(wrapped_dek=other.wrapped_dek))


def _records(vault: Vault) -> None:
    with vault.database.transaction(writes=True) as connection:
        connection.execute(update(models.record).values(sealed=b"CHSEALED"))


def _erased(vault: Vault) -> None:
    """The anchor knows somebody as erased who is there."""
    with vault.database.transaction(writes=False) as connection:
        number = connection.scalar(select(models.person.c.person_id).limit(1))
    assert number is not None
    vault.anchor.add_erasures(number)


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (_log, check_log),
        (_chunk_bytes, check_chunks),
        (_chunk_rows, check_chunks),
        (_keys, check_people),
        (_records, check_people),
        (_erased, check_erased),
    ],
    ids=lambda function: function.__name__,
)
def test_each_check_finds_what_it_is_for(full: SafeHouse, damage: Callable[[Vault], None], check: Any) -> None:
    vault = full.open()
    with vault.database.transaction(writes=False) as connection:
        assert check(vault, connection, vault.anchor.read())
    damage(vault)
    with vault.database.transaction(writes=False) as connection, pytest.raises(DrillError):
        check(vault, connection, vault.anchor.read())


def test_a_withdrawn_consent_that_is_back_is_found(full: SafeHouse) -> None:
    vault = full.open()
    with vault.database.transaction(writes=True) as connection:
        row = connection.execute(select(models.consent).where(models.consent.c.given)).first()
        assert row is not None
        again = {**row._mapping, "version": row.version + 1, "given": True}
        connection.execute(insert(models.consent).values(**again))
    state = replace(vault.anchor.read(), withdrawn=frozenset({(row.person_id, row.purpose)}))
    with vault.database.transaction(writes=False) as connection, pytest.raises(DrillError, match="withdrawn"):
        check_erased(vault, connection, state)
