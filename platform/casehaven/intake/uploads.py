"""A case file into the vault: checked, coded, sealed per person, and there whole or not at all.

1. The file is read once. Nothing of it is written in the clear, and no copy of it is kept.
2. A person who is known by token keeps key and block; a new one gets a key, and a block for good. More people than the dataset's people cap are refused before
   anything is written (`file_people`, privacy rules 8 and 12).
3. Cells of identifiers and of free text are not kept unless the steward names them; where the schema has two that tell people apart, an index for possible duplicates is made
   of them before they are dropped.
4. Consent is read per purpose from the schema's columns. One refusal in the file keeps the person out, also one in a row that is not taken in. A file may refuse for a person who had agreed; it
   never agrees for a person who had refused: a file that is exported again must not undo a withdrawal.
5. The same file twice adds nothing. It is known by an HMAC under a key of the organisation.
6. Sealed chunks are on disk before the one transaction that writes all rows. Killed before it ends, nothing was taken in, and the next change
   removes the chunks; once it is committed, everything is there.
7. Of a file under a mapping, a record that is there already adds nothing, and another one under its record key corrects it; a key that another person holds
   refuses the file (`record_keys`).
8. Memory: the sealed and the coded records of one file and the keys of its people, about 1.1 KB a record.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, func, insert, select

from casehaven.core.collection import no_search
from casehaven.core.db import insert_many
from casehaven.intake.errors import ChangedCaseFileError, PersonColumnError
from casehaven.intake.file_consents import FileConsents
from casehaven.intake.file_people import PERSON_COLUMNS, FilePeople, Numbers, PersonRow
from casehaven.intake.files import open_case_file, unguarded
from casehaven.intake.mapped_file import FORMER_KEY, RECORD_KEY, MappedFile
from casehaven.intake.record_keys import RecordKeys
from casehaven.intake.upload import CaseRecords, Upload, known_upload, upload_index
from casehaven.people.matching import CachedIndexKeys, blind_values, matching_columns
from casehaven.vault import models
from casehaven.vault.blocks import UNSETTLED, record_places
from casehaven.vault.bound_rows import ENTRY_KEY, entry_mac
from casehaven.vault.chunks import ROWS_FULL, TOKEN_BYTES, ChunkRows, join
from casehaven.vault.datasets import Dataset, now
from casehaven.vault.errors import SchemaDiffersError
from casehaven.vault.keystore import OrganisationKeys
from casehaven.vault.mac import MacKey
from casehaven.vault.records import json_texts_of, random_ids, seal_record, stored_columns
from casehaven.vault.store import Vault
from caseschemas import CaseSchema
from casesynth.encode import encode, text_column
from casesynth.persons import PeopleCapError, PersonKeyError, first_without_token

Check = Callable[[], None]
Within = Callable[[Connection], None]

_AT_ONCE = 500


@dataclass(kw_only=True)
class _Intake:
    """One file on its way into a held dataset."""

    vault: Vault
    dataset: Dataset
    keys: OrganisationKeys
    file: CaseRecords
    version: int
    stored: tuple[str, ...]
    identifying: tuple[str, ...]
    records: list[tuple[int, int, int, int, str, bytes]] = field(default_factory=list)
    chunks: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[ChunkRows] = field(default_factory=list)
    joined: list[tuple[str, ChunkRows]] = field(default_factory=list)
    """Chunks with their numbers, until the blocks of their people are fixed."""
    chunk_id: str = ""
    blind: set[tuple[str, bytes, int]] = field(default_factory=set)
    persons: list[PersonRow] = field(default_factory=list)
    same_people: bool = False
    moved: dict[int, set[int]] = field(default_factory=dict)
    """Places of persons, and who they were under another token (`record_keys`, rule 4)."""

    def __post_init__(self) -> None:
        self.consents = FileConsents.of(self.dataset.schema, self.file.columns)
        self.index_keys = CachedIndexKeys(self.keys)
        with self.vault.database.transaction(writes=False) as connection:
            self.known = _people(connection, self.dataset)
        self.people = FilePeople(vault=self.vault, dataset=self.dataset, keys=self.keys, known=self.known)
        self.record_keys = (
            RecordKeys(
                vault=self.vault,
                dataset=self.dataset,
                keys=self.keys,
                file=self.file.path.name,
                known=bool(self.known),
                same_people=self.same_people,
            )
            if RECORD_KEY in self.file.columns
            else None
        )

    def read(self, check: Check) -> None:
        """Read the file, and seal everything but the rows of the database."""
        row = 1  # the header
        for batch in self.file.batches(self._columns()):
            check()
            self._batch(pa.Table.from_batches([batch]), row)
            row += batch.num_rows
        self._flush()
        self.people.settle_blocks(self.moved)
        self._write_chunks()
        if self.known and isinstance(self.file, MappedFile):
            self._refuse_behind(self.file.refused_behind())
        self.persons = sorted(self.people.rows())

    def _columns(self) -> list[str]:
        wanted = {*self.stored, *self.identifying, *self.consents.columns, RECORD_KEY, FORMER_KEY}
        wanted |= {attribute.name for attribute in self.dataset.domain.attributes} | {_key(self.dataset.schema)}
        return [name for name in self.file.columns if name in wanted]

    def _batch(self, table: pa.Table, row: int) -> None:
        table = table if self.record_keys is not None else unguarded(table)
        coded = encode(table, self.dataset.domain, person=_key(self.dataset.schema))
        assert coded.persons is not None
        blank = first_without_token(coded.persons)
        if blank is not None:
            raise PersonKeyError(f"{self.file.path.name}: row {row + 1 + blank} has no person key")
        persons, columns = coded.persons, coded.columns
        if self.record_keys is not None:
            told, texts = json_texts_of(table, (self.stored, {*self.stored, *self.identifying}))
            keys = table.column(RECORD_KEY).to_pylist()
            former = table.column(FORMER_KEY).to_pylist() if FORMER_KEY in table.column_names else None
            kept = self.record_keys.new_rows(keys, persons.to_pylist(), texts, former)
            if len(kept) < len(persons):
                table, persons = table.take(pa.array(kept)), persons.take(pa.array(kept))
                columns = tuple(column[kept] for column in columns)
                told = [told[place] for place in kept.tolist()]
        else:
            (told,) = json_texts_of(table, (self.stored,))
        tokens = pc.dictionary_encode(persons)
        places = self.people.places_of(tokens.dictionary.to_pylist())[np.asarray(tokens.indices)]
        if not len(places):
            return
        records = self._seal(told, places)
        self.waiting.append(
            ChunkRows(
                persons=np.array(self.people.numbers, np.int64)[places],
                tokens=pa.array(self.people.linkage, pa.binary(TOKEN_BYTES)).take(pa.array(places)),
                records=records,
                blocks=np.full(len(places), UNSETTLED, np.int16),
                columns=columns,
            )
        )
        self.people.add_records(places, record_places(self.dataset.schema, self.dataset.domain, columns))
        if self.record_keys is not None:
            self.record_keys.add([self.people.numbers[place] for place in places.tolist()], records.tolist())
            for place, number in zip(places.tolist(), self.record_keys.moved, strict=True):
                if number is not None:
                    self.moved.setdefault(place, set()).add(number)
        self.consents.add(table, places)
        self._index(table, places)
        if sum(map(len, self.waiting)) >= ROWS_FULL:
            self._flush()

    def _refuse_behind(self, refusals: Mapping[str, Sequence[str]]) -> None:
        """Hear the refusals of persons whom the dataset knows, and none of whose rows is taken in (rule 4)."""
        for name, tokens in refusals.items():
            self.consents.refuse(name, self.people.known_places_of(tokens))

    def _seal(self, texts: Sequence[str], places: Numbers) -> Numbers:
        """Seal each record under its person's key, and return their numbers."""
        self.chunk_id = self.chunk_id or os.urandom(16).hex()
        numbers = random_ids(len(places))
        dataset, version, chunk_id, dataset_id = self.dataset, self.version, self.chunk_id, self.dataset.dataset_id
        people, deks = self.people.numbers, self.people.deks
        for place, number, text in zip(places.tolist(), numbers, texts, strict=True):
            sealed = seal_record(deks[place], dataset, version, number, text)
            self.records.append((number, people[place], dataset_id, version, chunk_id, sealed))
        return np.array(numbers, np.int64)

    def _index(self, table: pa.Table, places: Numbers) -> None:
        """Make the index for possible duplicates from columns that are then dropped (rule 3)."""
        columns = [name for name in self.identifying if name in table.column_names]
        if not columns:
            return
        cells = [text_column(table.column(name), name).dictionary_decode().to_pylist() for name in columns]
        for place, row in zip(places.tolist(), zip(*cells, strict=True), strict=True):
            known = {name: cell for name, cell in zip(columns, row, strict=True) if cell}
            for name, value in blind_values(self.index_keys, self.dataset.schema, known).items():
                self.blind.add((name, value, self.people.numbers[place]))

    def _flush(self) -> None:
        """Put what waits together as one chunk."""
        if self.waiting:
            self.joined.append((self.chunk_id, join(self.waiting)))
            self.waiting, self.chunk_id = [], ""

    def _write_chunks(self) -> None:
        """Write the chunks as sealed files, each record with its person's block."""
        while self.joined:
            chunk_id, rows = self.joined.pop(0)
            rows = replace(rows, blocks=self.people.blocks_of_rows(rows.persons))
            self.chunks.append(
                self.vault.write_chunk(self.dataset, self.keys, rows, version=self.version, chunk_id=chunk_id)
            )

    # --- the transaction -----------------------------------------------------------------------------------------------

    @property
    def adds(self) -> bool:
        """Whether the dataset changes: a file with record keys all of which are there changes nothing."""
        return self.record_keys is None or bool(self.records)

    def write(self, connection: Connection, upload_id: int, digest: bytes, started: str) -> None:
        """Write all rows (rule 6)."""
        dataset = self.dataset
        if _people(connection, dataset) != self.known:
            raise PeopleCapError(f"{dataset.id} changed while the file was read")
        insert_many(connection, models.person, PERSON_COLUMNS, self.persons)
        insert_many(
            connection, models.chunk, [*_CHUNK], [tuple(chunk[name] for name in _CHUNK) for chunk in self.chunks]
        )
        self.records.sort(key=lambda record: record[0])
        insert_many(connection, models.record, _RECORD, self.records)
        pairs = [(place, number) for place, numbers in self.moved.items() for number in sorted(numbers)]
        if pairs:
            self.consents.take_over(connection, dataset.schema, *map(list, zip(*pairs, strict=True)))
        consents = self.consents.rows(self.vault, connection, self.people.numbers, self.people.fresh)
        insert_many(connection, models.consent, _CONSENT, consents)
        insert_many(
            connection,
            models.blind_index,
            ("dataset_id", "field", "value", "person_id", "mac"),
            sorted(self._entries(self.blind - self._indexed(connection))),
        )
        if self.record_keys is not None:
            self.record_keys.write(connection)
        if self.adds or consents:
            self.vault.raise_version(connection, dataset)
        else:
            self.version = dataset.version
        connection.execute(
            insert(models.upload).values(
                upload_id=upload_id,
                dataset_id=dataset.dataset_id,
                file_sha256_hmac=digest,
                state="committed",
                started_at=started,
                committed_at=now(),
                version=self.version,
            )
        )

    def _entries(self, new: set[tuple[str, bytes, int]]) -> Iterator[tuple[int, str, bytes, int, bytes]]:
        key, dataset_id = MacKey(self.keys.index_key(ENTRY_KEY)), self.dataset.dataset_id
        for name, value, number in new:
            yield dataset_id, name, value, number, entry_mac(key, dataset_id, name, value, number)

    def _indexed(self, connection: Connection) -> set[tuple[str, bytes, int]]:
        """Return the entries that the index has of persons who were there before."""
        fresh, blind = {*self.people.fresh}, models.blind_index.c
        there = [number for place, number in enumerate(self.people.numbers) if place not in fresh]
        found: set[tuple[str, bytes, int]] = set()
        for start in range(0, len(there) if self.blind else 0, _AT_ONCE):
            where = blind.person_id.in_(there[start : start + _AT_ONCE])
            for name, value, number in connection.execute(
                select(blind.field, blind.value, blind.person_id).where(where)
            ):
                found.add((name, bytes(value), number))
        return found


_RECORD = ("record_id", "person_id", "dataset_id", "version", "chunk_id", "sealed")
_CONSENT = ("person_id", "purpose", "version", "given", "language", "recorded_at")
_CHUNK = tuple(column.name for column in models.chunk.c)


def take_in(
    vault: Vault,
    dataset: Dataset,
    source: Path | CaseRecords,
    *,
    keep: Collection[str] = (),
    ignored: Collection[str] = (),
    actor: str | None = None,
    same_people: bool = False,
    check: Check = lambda: None,
    within: Within = lambda connection: None,
) -> Upload:
    """Take a case file into a dataset.

    Args:
        vault: where.
        dataset: which; its schema says what the columns mean.
        source: a .csv or .parquet file with the schema's own columns, or what has them: a file under a mapping, or a prepared one.
        keep: identifiers and columns of free text whose cells are to be kept, sealed like the rest.
        ignored: columns beside the schema's that may be there; they are not read.
        actor: who; the user of this process unless given.
        same_people: a record key that another person holds is one of the same person, whose refusals are taken over.
        check: called per batch; raises to cancel.
        within: called in the transaction that takes the file in; raises to cancel.

    Raises:
        CaseFileError: the file cannot be used as it is; says where and why.
        PersonColumnError: the schema has no person key.
        PersonKeyError: a record has no person key; names file and row.
        PeopleCapError: there would be more people than the dataset's people cap.
        RecordOfAnotherError: another person of the dataset holds a record key of the file.
        SealBrokenError: the row of a person who is there already was changed; nothing was taken in.
        VaultError, DatabaseError, OSError: nothing was taken in.
    """
    schema = dataset.schema
    unknown = sorted(set(keep) - {attribute.name for attribute in schema.attributes})
    if unknown:
        raise SchemaDiffersError(f"{schema.id} has no attribute {', '.join(unknown)[:200]}")
    key = _key(schema)
    needed = {attribute.name for attribute in schema.recorded} | {key}
    file = open_case_file(source, schema, needed=needed, ignored=ignored) if isinstance(source, Path) else source
    with no_search(), vault.locked(dataset) as held:
        vault.sweep(held)
        keys, started = vault.keys_of(held), now()
        sha256 = file.digest()
        digest = upload_index(keys, held, sha256)
        there = known_upload(vault, held, sha256)
        if there is not None:
            return there
        intake = _Intake(
            vault=vault,
            dataset=held,
            keys=keys,
            file=file,
            version=held.version + 1,
            stored=stored_columns(schema, keep={*keep, key}),
            identifying=matching_columns(schema),
            same_people=same_people,
        )
        upload_id = random_ids(1)[0]
        try:
            intake.read(check)
            if file.digest() != sha256:
                raise ChangedCaseFileError(f"{file.path.name} changed while it was being read")
            with vault.writing() as connection:
                intake.write(connection, upload_id, digest, started)
                within(connection)
                vault.audit.append(
                    connection,
                    action="upload.commit",
                    object_kind="upload",
                    object_id=str(upload_id),
                    organisation=held.organisation,
                    actor=actor,
                )
        except BaseException:
            vault.sweep(held)
            raise
    keyed = intake.record_keys
    return Upload(
        upload_id=upload_id,
        version=intake.version,
        repeated=False,
        records=len(intake.records),
        corrected=0 if keyed is None else keyed.corrected,
        unchanged=0 if keyed is None else keyed.unchanged,
        changed=intake.version > held.version,
    )


def _key(schema: CaseSchema) -> str:
    if schema.person_key is None:
        raise PersonColumnError(f"{schema.id} names no person key; the vault keeps records by person")
    return schema.person_key


def _people(connection: Connection, dataset: Dataset) -> int:
    query = select(func.count()).where(models.person.c.dataset_id == dataset.dataset_id)
    return int(connection.scalar(query) or 0)
