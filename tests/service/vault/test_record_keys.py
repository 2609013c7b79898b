"""Record keys on SQLite and on Postgres: the same record adds nothing, another one under its key stands for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from sqlalchemy import func, select

from casehaven.intake.errors import RecordOfAnotherError, RefusedRowsError
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.upload import Upload
from casehaven.intake.uploads import take_in
from casehaven.vault import models
from casehaven.vault.snapshots import snapshot

if TYPE_CHECKING:
    from tests.service.vault.conftest import Store

    from casesynth.privacy import Receipt

HEADER = ("token", "mayRelease", "year", "gender", "age", "means", RECORD_KEY)


@dataclass(frozen=True, kw_only=True)
class Records:
    """Records in memory, under record keys."""

    rows: Sequence[Mapping[str, str]]

    @property
    def path(self) -> Path:
        """Where they would be."""
        return Path("records")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return HEADER

    def digest(self) -> str:
        """What they are known by."""
        return hashlib.sha256(json.dumps([dict(row) for row in self.rows]).encode()).hexdigest()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The records, one batch for each."""
        for row in self.rows:
            cells = [pa.array([row.get(name, "")], pa.string()) for name in columns]
            yield pa.RecordBatch.from_arrays(cells, names=list(columns))


def _take_in(store: Store, *rows: Mapping[str, str]) -> Upload:
    return take_in(store.open(), store.dataset(), Records(rows=rows))


def _row(key: str, token: str, gender: str) -> dict[str, str]:
    return {RECORD_KEY: key, "token": token, "mayRelease": "yes", "gender": gender}


def test_the_same_record_adds_nothing_and_another_one_under_its_key_stands_for_it(
    store: Store, receipt: Receipt
) -> None:
    first = _take_in(store, _row("r1", "p1", "woman"), _row("r2", "p2", "man"))
    assert (first.records, first.corrected, first.unchanged) == (2, 0, 0)
    second = _take_in(store, _row("r2", "p2", "woman"), _row("r1", "p1", "woman"), _row("r3", "p3", "man"))
    assert (second.records, second.corrected, second.unchanged) == (2, 1, 1)
    with pytest.raises(RecordOfAnotherError):
        _take_in(store, _row("r9", "p9", "man"), _row("r2", "p4", "woman"))
    with pytest.raises(RefusedRowsError, match="two contents"):
        _take_in(store, _row("r8", "p8", "man"), _row("r8", "p8", "woman"))
    record, key = models.record.c, models.record_key
    with store.open().database.transaction(writes=False) as connection:
        after = {row.record_id: row.superseded_by for row in connection.execute(select(models.record))}
        kept = connection.scalar(select(func.count()).select_from(key))
        latest = set(connection.scalars(select(key.c.record_id)))
        counted = set(connection.scalars(select(record.record_id).where(record.superseded_by.is_(None))))
    assert (len(after), kept, latest) == (4, 3, counted)
    assert snapshot(store.open(), [store.dataset()], "synthetic_release").open(receipt).people == 3


def test_nothing_new_leaves_the_version_as_it_is(store: Store) -> None:
    _take_in(store, _row("r1", "p1", "woman"), _row("r2", "p2", "man"))
    again = _take_in(store, _row("r2", "p2", "man"))
    assert (again.repeated, again.records, again.unchanged, store.dataset().version) == (False, 0, 1, 1)


def test_who_is_said_to_be_the_same_person_under_another_token_stays_in_their_block(store: Store) -> None:
    """Else a person whose token was made anew would have a second budget; of two former tokens the earlier year is kept."""
    _take_in(
        store,
        {**_row("r1", "p1", "woman"), "year": "2022"},
        {**_row("r2", "p2", "man"), "year": ""},
        {**_row("r3", "p3", "man"), "year": "2023"},
    )
    renamed = [
        {**_row("r1", "n1", "woman"), "year": "2020"},
        {**_row("r2", "n2", "woman"), "year": "2020"},
        {**_row("r3", "n1", "woman"), "year": "2019"},
        {**_row("r4", "n4", "woman"), "year": "2021"},
    ]
    take_in(store.open(), store.dataset(), Records(rows=renamed), same_people=True)
    vault, found = store.open(), {}
    for token in ("p1", "n1", "p2", "n2", "p3", "n4"):
        person = vault.person_by_token(store.dataset(), token)
        assert person is not None
        found[token] = vault.block_of(store.dataset(), person)
    assert found == {"p1": "2022", "n1": "2022", "p2": "", "n2": "", "p3": "2023", "n4": "2021"}
