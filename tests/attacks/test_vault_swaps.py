"""Threat 4 on a real vault: whoever can write to its database and files moves sealed things about; nothing that was moved opens.

The vault has three datasets of two organisations, and people who came in with two versions. Every pair of rows is exchanged.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Row, Table, select, update

from casehaven.vault import models
from casehaven.vault.errors import VaultError
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test leaves the vault that the others copy."""
    return tmp_path_factory.mktemp("swaps") / "made"


@pytest.fixture
def vault(house: SafeHouse, people: MakePeople, _made: Path) -> Vault:
    """Two people in one dataset and a third in its second version, and one in each of two others."""
    if not _made.exists():
        house.add_dataset("other")
        house.add_dataset("cases", organisation="south")
        house.take_in(people(2))
        house.take_in(people(1), name="other")
        house.take_in(people(1), organisation="south")
        house.take_in([{**record, "token": f"later-{record['token']}"} for record in people(1)])
        shutil.copytree(house.folder, _made)
    else:
        shutil.rmtree(house.folder)
        shutil.copytree(_made, house.folder)
    return house.open()


def _rows(vault: Vault, table: Table) -> list[Row[Any]]:
    with vault.database.transaction(writes=False) as connection:
        return list(connection.execute(select(table)).all())


def _set(vault: Vault, table: Table, row: Row[Any], **values: object) -> None:
    key = next(iter(table.primary_key.columns))
    with vault.database.transaction(writes=True) as connection:
        connection.execute(update(table).where(key == row[0]).values(**values))


def _read_person(vault: Vault, person_id: int) -> None:
    assert vault.read_records(vault.person(person_id), reason="to see whether it opens")


def _read_chunk(vault: Vault, chunk_id: str) -> None:
    row = next(row for row in _rows(vault, models.chunk) if row.chunk_id == chunk_id)
    dataset = next(dataset for dataset in vault.datasets() if dataset.dataset_id == row.dataset_id)
    vault.read_chunk(dataset, vault.keys_of(dataset), row)


def _pairs(rows: list[Row[Any]]) -> Iterator[tuple[Row[Any], Row[Any]]]:
    assert len(rows) > 3
    yield from itertools.permutations(rows, 2)


def test_everything_opens_before_it_is_moved(vault: Vault) -> None:
    _everything_opens(vault)


def _everything_opens(vault: Vault) -> None:
    assert len(_rows(vault, models.person)) == 5
    for person in _rows(vault, models.person):
        _read_person(vault, person.person_id)
    for chunk in _rows(vault, models.chunk):
        _read_chunk(vault, chunk.chunk_id)


@pytest.mark.parametrize("moved", [("sealed",), ("sealed", "version"), ("person_id",), ("version",)], ids="+".join)
def test_a_record_opens_in_no_other_place(vault: Vault, moved: tuple[str, ...]) -> None:
    for here, there in _pairs(_rows(vault, models.record)):
        changed = {name: getattr(there, name) for name in moved}
        if changed == {name: getattr(here, name) for name in moved}:
            continue  # both came in with the same version, say
        _set(vault, models.record, here, **changed)
        with pytest.raises(VaultError):
            _read_person(vault, changed.get("person_id", here.person_id))
        _set(vault, models.record, here, **{name: getattr(here, name) for name in moved})
    _everything_opens(vault)


@pytest.mark.parametrize("moved", [("wrapped_dek",), ("wrapped_dek", "epoch"), ("dataset_id",)], ids="+".join)
def test_a_persons_key_opens_for_nobody_else(vault: Vault, moved: tuple[str, ...]) -> None:
    for here, there in _pairs(_rows(vault, models.person)):
        changed = {name: getattr(there, name) for name in moved}
        if changed == {name: getattr(here, name) for name in moved}:
            continue
        token = {"token_index": hashlib.sha256(repr((here[0], there[0])).encode()).digest()[:16]}  # stays unique
        _set(vault, models.person, here, **changed, **token)
        with pytest.raises(VaultError):
            _read_person(vault, here.person_id)
        _set(vault, models.person, here, **{name: getattr(here, name) for name in (*moved, "token_index")})
    _everything_opens(vault)


@pytest.mark.parametrize(
    "moved",
    [("wrapped_dek",), ("path", "sealed_sha256"), ("wrapped_dek", "path", "sealed_sha256"), ("dataset_id",)],
    ids="+".join,
)
def test_a_chunk_opens_in_no_other_place(vault: Vault, moved: tuple[str, ...]) -> None:
    for here, there in _pairs(_rows(vault, models.chunk)):
        changed = {name: getattr(there, name) for name in moved}
        if changed == {name: getattr(here, name) for name in moved}:
            continue
        _set(vault, models.chunk, here, **changed)
        with pytest.raises(VaultError):
            _read_chunk(vault, here.chunk_id)
        _set(vault, models.chunk, here, **{name: getattr(here, name) for name in moved})
    _everything_opens(vault)


@pytest.mark.parametrize("field", ["version", "generation"])
def test_a_chunk_of_an_older_version_or_generation_does_not_pass_for_this_one(vault: Vault, field: str) -> None:
    for chunk in _rows(vault, models.chunk):
        _set(vault, models.chunk, chunk, **{field: getattr(chunk, field) + 1})
        with pytest.raises(VaultError):
            _read_chunk(vault, chunk.chunk_id)


def test_a_chunk_file_that_is_cut_flipped_or_another_is_refused_even_with_its_digest(vault: Vault) -> None:
    chunk = _rows(vault, models.chunk)[0]
    path: Path = vault.chunks_folder / chunk.path
    whole = path.read_bytes()
    step = max(1, len(whole) // 13)
    for changed in (
        *(whole[:length] for length in range(0, len(whole), step)),
        *(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :] for at in range(0, len(whole), step)),
        whole + b"\0",
    ):
        path.write_bytes(changed)
        for digest in (bytes(chunk.sealed_sha256), hashlib.sha256(changed).digest()):
            _set(vault, models.chunk, chunk, sealed_sha256=digest)
            with pytest.raises(VaultError):
                _read_chunk(vault, chunk.chunk_id)


def test_a_token_index_opens_for_nobody_else(vault: Vault) -> None:
    """What a reference leads to: else a read or an erasure would be another person's."""
    for here, there in _pairs(_rows(vault, models.person)):
        if here.dataset_id == there.dataset_id:
            aside = hashlib.sha256(repr(there[0]).encode()).digest()[:16]
            _set(vault, models.person, there, token_index=aside)
            _set(vault, models.person, here, token_index=there.token_index)
            with pytest.raises(VaultError):
                _read_person(vault, here.person_id)
            _set(vault, models.person, here, token_index=here.token_index)
            _set(vault, models.person, there, token_index=there.token_index)
    _everything_opens(vault)
