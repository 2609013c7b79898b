"""Which records of a file the dataset has: the same ones add nothing, and others under a known record key are corrections.

1. The vault holds two HMACs of a record under keys of the organisation: one of its record key, one of its cells with person token and record key. So it knows a record
   again, and nobody without the keys learns which records are alike.
2. A record whose key and content are there adds nothing.
3. A record whose key is there with other content is a correction: it stands for the record that counted until now, also where that was a correction made in the
   vault. What was there stays, and can be read.
4. One record key has one person. A file that brings a key which another person of the dataset holds is refused, whole: either the files count their records alike, or the person is written
   in another way than before. Taken in, it would replace a stranger's record, or count a person twice and lose a refusal. Nobody can tell which from here.
5. When the person of a record is erased, what is held of its record key goes too.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, select, update

from casehaven.core.db import insert_many
from casehaven.intake.errors import RecordOfAnotherError, RefusedRowsError
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.upload import CaseRecords
from casehaven.vault import models
from casehaven.vault.context import prefixed
from casehaven.vault.datasets import Dataset
from casehaven.vault.keystore import OrganisationKeys
from casehaven.vault.mac import MacKey
from casehaven.vault.store import Vault, token_index
from casesynth.encode import person_tokens

INDEX_BYTES = 16

_AT_ONCE = 500
_COLUMNS = ("dataset_id", "key_index", "person_id", "record_id", "content")


@dataclass(kw_only=True)
class RecordKeys:
    """The record keys of one file on its way into a held dataset."""

    vault: Vault
    dataset: Dataset
    keys: OrganisationKeys
    file: str
    """Name of the file."""
    known: bool
    """Whether anybody is in the dataset."""
    corrected: int = 0
    unchanged: int = 0
    replaced: dict[int, int] = field(default_factory=dict)
    """Record that counted, and the one that stands for it now."""
    _rows: dict[bytes, tuple[int, int, bytes]] = field(default_factory=dict)
    """By key index: person, record, content."""
    _stored: dict[bytes, tuple[int, bytes, bytes]] = field(default_factory=dict)
    """What the database has of the batch: record, content, token index of the person."""

    def __post_init__(self) -> None:
        name = prefixed(self.dataset.name.encode("utf-8"))
        self._key, self._content = (MacKey(self.keys.index_key(field)) for field in ("record-key", "record-content"))
        self._named, self._token = name, self.keys.index_key("person-token")

    def new_rows(self, keys: Sequence[str], tokens: Sequence[str], texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of the records that the dataset has not as they are.

        Args:
            keys: record key of each.
            tokens: person token of each.
            texts: cells of each, as JSON.

        Raises:
            RecordOfAnotherError: another person of the dataset holds one of the record keys (rule 4).
            RefusedRowsError: one record key has two contents in the file.
        """
        self._batch = [
            (index := self._index(key), self._content_of(index, token, text))
            for key, token, text in zip(keys, tokens, texts, strict=True)
        ]
        self._stored = self._look_up([index for index, _ in self._batch]) if self.known else {}
        if self._others([index for index, _ in self._batch], tokens):
            raise RecordOfAnotherError(
                f"{self.file}: record keys of this file are held by other people of the dataset; nothing was taken in"
            )
        kept = []
        for place, (index, content) in enumerate(self._batch):
            there, before = self._stored.get(index), self._rows.get(index)
            if before is not None and not hmac.compare_digest(before[2], content):
                raise RefusedRowsError(f"{self.file}: one record key has two contents in this file")
            if before is not None or (there is not None and hmac.compare_digest(there[1], content)):
                self.unchanged += 1
            else:
                self._rows[index] = (0, 0, content)
                kept.append(place)
        self._batch = [self._batch[place] for place in kept]
        return np.array(kept, np.int64)

    def others(self, keys: Sequence[str], tokens: Sequence[str]) -> list[int]:
        """Return the places of those records whose key another person of the dataset holds (rule 4)."""
        indices = [self._index(key) for key in keys]
        self._stored = self._look_up(indices) if self.known else {}
        return self._others(indices, tokens)

    def _others(self, indices: Sequence[bytes], tokens: Sequence[str]) -> list[int]:
        found = []
        for place, index in enumerate(indices):
            there = self._stored.get(index)
            if there is not None and there[2] != token_index(self._token, self.dataset, tokens[place]):
                found.append(place)
        return found

    def add(self, persons: Sequence[int], records: Sequence[int]) -> None:
        """Remember the records of `new_rows` under their numbers."""
        for (index, content), person, record in zip(self._batch, persons, records, strict=True):
            self._rows[index] = (person, record, content)
            if index in self._stored:
                self.replaced[self._stored[index][0]] = record
                self.corrected += 1

    def write(self, connection: Connection) -> None:
        """Write what was added, and let corrections stand for what they correct."""
        table, dataset_id = models.record_key, self.dataset.dataset_id
        self._supersede(connection)
        indices = sorted(self._rows)
        if self.replaced:
            for start in range(0, len(indices), _AT_ONCE):
                some = table.c.key_index.in_(indices[start : start + _AT_ONCE])
                connection.execute(delete(table).where(table.c.dataset_id == dataset_id, some))
        rows = [(dataset_id, index, *self._rows[index]) for index in indices]
        insert_many(connection, table, _COLUMNS, rows)

    def _supersede(self, connection: Connection) -> None:
        """Mark the record that counts under each key (rule 3)."""
        record = models.record.c
        waiting = dict(self.replaced)
        tips: dict[int, int] = {}
        while waiting:
            later: dict[int, int] = {}
            numbers = sorted(waiting)
            for start in range(0, len(numbers), _AT_ONCE):
                where = record.record_id.in_(numbers[start : start + _AT_ONCE])
                for number, after in connection.execute(select(record.record_id, record.superseded_by).where(where)):
                    if after is None:
                        tips[number] = waiting[number]
                    else:
                        later[after] = waiting[number]
            waiting = later
        if tips:
            statement = update(models.record).where(
                record.record_id == bindparam("old"), record.superseded_by.is_(None)
            )
            changes = [{"old": old, "new": new} for old, new in sorted(tips.items())]
            connection.execute(statement.values(superseded_by=bindparam("new")), changes)

    def _index(self, key: str) -> bytes:
        return self._key.digest(self._named + key.encode("utf-8"))[:INDEX_BYTES]

    def _content_of(self, index: bytes, token: str, text: str) -> bytes:
        said = index + prefixed(token.encode("utf-8")) + text.encode("utf-8")
        return self._content.digest(said)[:INDEX_BYTES]

    def _look_up(self, indices: Sequence[bytes]) -> dict[bytes, tuple[int, bytes, bytes]]:
        table, person = models.record_key.c, models.person.c
        found: dict[bytes, tuple[int, bytes, bytes]] = {}
        with self.vault.database.transaction(writes=False) as connection:
            for start in range(0, len(indices), _AT_ONCE):
                some = indices[start : start + _AT_ONCE]
                where = (
                    table.dataset_id == self.dataset.dataset_id,
                    table.key_index.in_(some),
                    person.person_id == table.person_id,
                )
                columns = (table.key_index, table.record_id, table.content, person.token_index)
                for index, record, content, token in connection.execute(select(*columns).where(*where)):
                    found[bytes(index)] = record, bytes(content), bytes(token)
        return found


def held_by_others(vault: Vault, dataset: Dataset, file: CaseRecords) -> list[int]:
    """Return the places of those records of a file whose key another person of the dataset holds: such a file is refused (rule 4).

    Args:
        vault: where.
        dataset: which.
        file: with record keys.
    """
    keys = RecordKeys(vault=vault, dataset=dataset, keys=vault.keys_of(dataset), file=file.path.name, known=True)
    found, start, person = list[int](), 0, str(dataset.schema.person_key)
    for batch in file.batches([RECORD_KEY, person]):
        table = pa.Table.from_batches([batch])
        tokens = person_tokens(table.column(person), person).to_pylist()
        found += [start + place for place in keys.others(table.column(RECORD_KEY).to_pylist(), tokens)]
        start += batch.num_rows
    return found
