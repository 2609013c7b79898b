"""Which records of a file the dataset has: the same ones add nothing, and others under a known record key are corrections.

1. The vault holds two HMACs of a record under keys of the organisation: one of its record key, one of its cells with person token and record key. So it knows a record
   again, and nobody without the keys learns which records are alike.
2. A record whose key and content are there adds nothing.
3. A record whose key is there with other content is a correction: it stands for the record that counted until now, also where that was a correction made in the
   vault. What was there stays, and can be read.
4. One record key has one person. A file that brings a key which another person of the dataset holds is refused, whole: either the files count their records alike, or the person is written
   in another way than before. Taken in, it would replace a stranger's record, or count a person twice and lose a refusal. Nobody can tell which from here. Where somebody says that they are
   the same people (`same_people`), the record is a correction, and `moved` says whose refusals the new person takes over.
5. A record may have been known by another key before (`former`): one that the tool changes with every edit. It is looked up under that one too, and known by the present key from then on.
6. When the person of a record is erased, what is held of its record key goes too.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, select, update

from casehaven.core.db import insert_many
from casehaven.intake.errors import RecordOfAnotherError, RefusedRowsError
from casehaven.intake.mapped_file import FORMER_KEY, RECORD_KEY
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


class _Known(NamedTuple):
    """What the database has under a key."""

    record: int
    content: bytes
    token: bytes
    """Token index of the person."""
    person: int


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
    same_people: bool = False
    """A key that another person holds is one of the same person (rule 4)."""
    corrected: int = 0
    unchanged: int = 0
    replaced: dict[int, int] = field(default_factory=dict)
    """Record that counted, and the one that stands for it now."""
    _rows: dict[bytes, tuple[int, int, bytes]] = field(default_factory=dict)
    """By key index: person, record, content."""
    _stored: dict[bytes, _Known] = field(default_factory=dict)
    """What the database has of the batch, by the present key (rule 5)."""
    _adopted: dict[bytes, tuple[int, int, bytes]] = field(default_factory=dict)
    """By present key: person, record and content of a record that was known by its former key alone."""
    moved: list[int | None] = field(default_factory=list)
    """Of each record of the batch that is new: the other person who held its key (rule 4)."""

    def __post_init__(self) -> None:
        name = prefixed(self.dataset.name.encode("utf-8"))
        self._key, self._content = (MacKey(self.keys.index_key(field)) for field in ("record-key", "record-content"))
        self._named, self._token = name, self.keys.index_key("person-token")

    def new_rows(
        self, keys: Sequence[str], tokens: Sequence[str], texts: Sequence[str], former: Sequence[str] | None = None
    ) -> NDArray[np.int64]:
        """Return the places of the records that the dataset has not as they are.

        Args:
            keys: record key of each.
            tokens: person token of each.
            texts: cells of each, as JSON.
            former: record key by which each may have been known before; empty where there is none.

        Raises:
            RecordOfAnotherError: another person of the dataset holds one of the record keys (rule 4).
            RefusedRowsError: one record key has two contents in the file.
        """
        self._batch = [
            (index := self._index(key), self._content_of(index, token, text))
            for key, token, text in zip(keys, tokens, texts, strict=True)
        ]
        indices = [index for index, _ in self._batch]
        before_it = self._find(indices, former)
        others = set(self._others(indices, tokens))
        if others and not self.same_people:
            raise RecordOfAnotherError(
                f"{self.file}: record keys of this file are held by other people of the dataset; nothing was taken in"
            )
        kept, self.moved = [], []
        for place, (index, content) in enumerate(self._batch):
            there, before = self._stored.get(index), self._rows.get(index)
            old = before_it.get(index)
            if there is not None and old is not None and before is None:
                same = self._content_of(old, tokens[place], texts[place])
                if hmac.compare_digest(there.content, same):
                    there = self._stored[index] = there._replace(content=content)
                    self._adopted[index] = there.person, there.record, content
            if before is not None and not hmac.compare_digest(before[2], content):
                raise RefusedRowsError(f"{self.file}: one record key has two contents in this file")
            if before is not None or (there is not None and hmac.compare_digest(there.content, content)):
                self.unchanged += 1
            else:
                self._rows[index] = (0, 0, content)
                kept.append(place)
                self.moved.append(there.person if there is not None and place in others else None)
        self._batch = [self._batch[place] for place in kept]
        return np.array(kept, np.int64)

    def others(self, keys: Sequence[str], tokens: Sequence[str], former: Sequence[str] | None = None) -> list[int]:
        """Return the places of those records whose key another person of the dataset holds (rule 4)."""
        indices = [self._index(key) for key in keys]
        self._find(indices, former)
        return self._others(indices, tokens)

    def _find(self, indices: Sequence[bytes], former: Sequence[str] | None) -> dict[bytes, bytes]:
        """Look up what the database has of a batch; by present key, the former key under which it was found."""
        self._stored = self._look_up(indices) if self.known else {}
        if former is None or not self.known:
            return {}
        unknown = {
            index: self._index(key)
            for index, key in zip(indices, former, strict=True)
            if key and index not in self._stored
        }
        found = self._look_up(list(unknown.values()))
        self._stored |= {index: found[old] for index, old in unknown.items() if old in found}
        return {index: old for index, old in unknown.items() if old in found}

    def _others(self, indices: Sequence[bytes], tokens: Sequence[str]) -> list[int]:
        found = []
        for place, index in enumerate(indices):
            there = self._stored.get(index)
            if there is not None and there.token != token_index(self._token, self.dataset, tokens[place]):
                found.append(place)
        return found

    def add(self, persons: Sequence[int], records: Sequence[int]) -> None:
        """Remember the records of `new_rows` under their numbers."""
        for (index, content), person, record in zip(self._batch, persons, records, strict=True):
            self._rows[index] = (person, record, content)
            if index in self._stored:
                self.replaced[self._stored[index].record] = record
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
        rows = [(dataset_id, index, *self._rows[index]) for index in indices if index not in self._adopted]
        rows += [(dataset_id, index, *adopted) for index, adopted in sorted(self._adopted.items())]
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

    def _look_up(self, indices: Sequence[bytes]) -> dict[bytes, _Known]:
        table, person = models.record_key.c, models.person.c
        found: dict[bytes, _Known] = {}
        with self.vault.database.transaction(writes=False) as connection:
            for start in range(0, len(indices), _AT_ONCE):
                some = indices[start : start + _AT_ONCE]
                where = (
                    table.dataset_id == self.dataset.dataset_id,
                    table.key_index.in_(some),
                    person.person_id == table.person_id,
                )
                columns = (table.key_index, table.record_id, table.content, person.token_index, table.person_id)
                for index, record, content, token, number in connection.execute(select(*columns).where(*where)):
                    found[bytes(index)] = _Known(record, bytes(content), bytes(token), number)
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
    wanted = [RECORD_KEY, person, *([FORMER_KEY] if FORMER_KEY in file.columns else [])]
    for batch in file.batches(wanted):
        table = pa.Table.from_batches([batch])
        tokens = person_tokens(table.column(person), person).to_pylist()
        former = table.column(FORMER_KEY).to_pylist() if FORMER_KEY in wanted else None
        found += [start + place for place in keys.others(table.column(RECORD_KEY).to_pylist(), tokens, former)]
        start += batch.num_rows
    return found
