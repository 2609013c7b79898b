"""The vault: sealed case records of several organisations, and the only door to them.

1. A vault is a folder, a keystore beside it and a root key elsewhere. The folder alone opens nothing.
2. Every person has a key. A record is opened with it, for a reason, and the audit log's entry is committed before anything is shown.
3. Nothing here shows how many people there are (privacy rule 5).
4. What changes a dataset holds its lock, raises its version, and is one transaction: it happened or it did not. Chunk files are written before the transaction
   that names them and removed after the one that forgets them; a file that no transaction names is swept away by the next change.
5. A person is erased by destroying the key with the person's row, in the same transaction as the record of it; the chunks that held the person are rewritten
   without the person under new keys, and the old files are removed.
"""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Row, delete, insert, select, update

from casehaven.core.audit import AuditLog
from casehaven.core.db import Database
from casehaven.vault import chunks, models
from casehaven.vault.anchor import Anchor
from casehaven.vault.audit_reasons import audit_log
from casehaven.vault.context import SealContext, prefixed
from casehaven.vault.datasets import Dataset, Person, Record, check_name, now, this_month
from casehaven.vault.erasure import ErasureReceipt
from casehaven.vault.errors import (
    DatasetExistsError,
    DatasetMissingError,
    SchemaDiffersError,
    SnapshotChangedError,
    UnknownPersonError,
    UnknownRecordError,
)
from casehaven.vault.folder import VaultFolder
from casehaven.vault.keystore import Keystore, OrganisationKeys
from casehaven.vault.locks import held
from casehaven.vault.records import json_texts, open_record, random_ids, seal_record, stored_columns
from casehaven.vault.rootkeys import RootKey
from casehaven.vault.sealed import new_key, seal, unseal
from caseschemas import CaseSchema, parse_schema
from casesynth.encode import encode

Also = Callable[[Connection], None]
"""Something that happens in the same transaction."""


def _nothing(_: Connection) -> None:
    pass


class Vault:
    """An open vault. Holds keys; `create` and `open` make one."""

    def __init__(self, folder: VaultFolder, database: Database, keystore: Keystore) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        """Where it is, and what its own file says."""
        self.database = database
        self.keystore = keystore
        self.audit: AuditLog = audit_log(keystore)
        """Who did what, and why."""
        self.anchor = Anchor(folder.anchor_path, keystore, folder.vault_id)
        """What remembers how far the vault is."""
        self._schemas: dict[str, CaseSchema] = {}

    @property
    def vault_id(self) -> str:
        """Name of the vault, the same in every copy."""
        return self.folder.vault_id

    @property
    def chunks_folder(self) -> Path:
        """Folder of the chunk files."""
        return self.folder.chunks

    def __repr__(self) -> str:
        return f"Vault({str(self.folder.path)!r})"

    @classmethod
    def create(
        cls,
        folder: Path,
        root: RootKey,
        *,
        database: str | None = None,
        keystore: Path | None = None,
        anchor: Path | None = None,
    ) -> Vault:
        """Make an empty vault.

        Args:
            folder: nothing may be there.
            root: the root key; kept elsewhere.
            database: `postgresql://...` of an empty database; by default a file in the folder.
            keystore: folder of the wrapped keys; by default beside the vault, `VAULT.keys`.
            anchor: file on other storage; by default beside the vault, `VAULT.anchor`.

        Raises:
            VaultExistsError: something is there already.
        """
        made, store, keys = VaultFolder.create(folder, root, database=database, keystore=keystore, anchor=anchor)
        return cls(made, store, keys)

    @classmethod
    def open(cls, folder: Path, root: RootKey, *, keystore: Path | None = None, check_anchor: bool = True) -> Vault:
        """Open a vault with its root key; finish an erasure that was cut short.

        Args:
            folder: of the vault.
            root: its root key.
            keystore: where the keystore is now, if it was moved.
            check_anchor: refuse a vault that is older than its anchor; restoring looks for itself.

        Raises:
            VaultMissingError: there is no vault.
            VaultFormatError: a vault of another format, or its database is another vault's.
            DatabaseVersionError: its tables are of another version.
            RootKeyError: this is not its root key.
            RolledBackError: somebody put an earlier copy back.
            AnchorMissingError: the storage of the anchor is not there.
        """
        there = VaultFolder.open(folder)
        vault = cls(there, *there.unlock(root, keystore=keystore))
        if check_anchor:
            with vault.database.transaction(writes=False) as connection:
                vault.anchor.check(connection)
                unfinished = vault.anchor.unfinished_erasures(connection)
            for person_id in unfinished:
                with suppress(UnknownPersonError):  # another process was faster
                    vault.finish_erasure(person_id)
        return vault

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run a transaction that writes, and raise the anchor to it when it is committed.

        Raises:
            DatabaseError: nothing was written.
            AnchorMissingError: it was written, and the anchor's storage is not there.
        """
        with self.database.transaction(writes=True) as connection:
            yield connection
        with self.database.transaction(writes=False) as connection:
            self.anchor.raise_from(connection)

    # --- datasets ------------------------------------------------------------------------------------------------------

    def add_dataset(self, organisation: str, name: str, schema: CaseSchema, people_cap: int) -> Dataset:
        """Add an empty dataset, and the organisation with keys of its own when it is new.

        Raises:
            DatasetNameError: a name is written in another way.
            DatasetExistsError: the organisation has one of that name.
        """
        check_name(organisation)
        check_name(name)
        if people_cap < 1:
            raise ValueError("people_cap must be positive")
        with self.organisation_lock(organisation, alone=True):
            if organisation not in self.keystore.organisations:
                self.keystore.add_organisation(organisation)
            with self.writing() as connection:
                there = select(models.organisation.c.name).where(models.organisation.c.name == organisation)
                if connection.scalar(there) is None:
                    connection.execute(insert(models.organisation).values(name=organisation, created_at=now()))
                if self._find(connection, organisation, name) is not None:
                    raise DatasetExistsError(f"{organisation}/{name} is in the vault already")
                number = random_ids(1)[0]
                connection.execute(
                    insert(models.dataset).values(
                        dataset_id=number,
                        organisation=organisation,
                        name=name,
                        schema_id=schema.id,
                        schema_sha256=schema.digest(),
                        schema_document=schema.canonical().decode("utf-8"),
                        people_cap=people_cap,
                        version=0,
                        created_at=now(),
                    )
                )
                self.audit.append(
                    connection,
                    action="dataset.create",
                    object_kind="dataset",
                    object_id=f"{organisation}/{name}",
                    organisation=organisation,
                )
        return self.dataset(organisation, name)

    def datasets(self) -> tuple[Dataset, ...]:
        """Return every dataset, by name."""
        order = (models.dataset.c.organisation, models.dataset.c.name)
        with self.database.transaction(writes=False) as connection:
            return tuple(self._dataset(row) for row in connection.execute(select(models.dataset).order_by(*order)))

    def dataset(self, organisation: str, name: str) -> Dataset:
        """Return a dataset as it is now.

        Raises:
            DatasetMissingError: there is none of that name.
        """
        with self.database.transaction(writes=False) as connection:
            row = self._find(connection, organisation, name)
        if row is None:
            raise DatasetMissingError(f"the vault has no dataset {organisation}/{name}")
        return self._dataset(row)

    def dataset_of(self, person: Person) -> Dataset:
        """Return the dataset of a person as it is now."""
        with self.database.transaction(writes=False) as connection:
            return self._dataset_by_id(connection, person.dataset_id)

    def keys_of(self, dataset: Dataset) -> OrganisationKeys:
        """Return the keys of a dataset's organisation as they are now."""
        return self.keystore.organisation(dataset.organisation)

    @contextmanager
    def locked(self, dataset: Dataset) -> Iterator[Dataset]:
        """Hold a dataset: nobody else changes its persons, records or chunks, and nobody rotates its organisation's keys.

        Yields the dataset as it is now. A process holds it once: what is called inside takes the dataset that was yielded.

        Raises:
            VaultBusyError: others held it for too long.
        """
        with (
            self.organisation_lock(dataset.organisation, alone=False),
            held(self.folder.lock(f"dataset-{dataset.dataset_id:016x}"), alone=True, what=dataset.id),
        ):
            yield self.dataset(dataset.organisation, dataset.name)

    @contextmanager
    def organisation_lock(self, organisation: str, *, alone: bool) -> Iterator[None]:
        """Hold an organisation: alone to rotate its keys or to copy its files, with others to change one of its datasets.

        Raises:
            VaultBusyError: others held it for too long.
        """
        with held(self.folder.lock(f"organisation-{organisation}"), alone=alone, what=organisation):
            yield

    # --- persons -------------------------------------------------------------------------------------------------------

    def token_index(self, dataset: Dataset, token: str) -> bytes:
        """Return what stands for a person token in a dataset: an HMAC that no other dataset shares (models, rule 2)."""
        key = self.keys_of(dataset).index_key("person-token")
        return token_index(key, dataset, token)

    def linkage_token(self, token: str) -> bytes:
        """Return a person token keyed again with the vault's linkage key (privacy rule 2)."""
        return hmac.digest(self.keystore.linkage_key(), token.encode("utf-8"), "sha256")[: chunks.TOKEN_BYTES]

    def person_by_token(self, dataset: Dataset, token: str) -> Person | None:
        """Return the person of a token; None when the dataset has no such person."""
        index = self.token_index(dataset, token.strip())
        where = (models.person.c.dataset_id == dataset.dataset_id, models.person.c.token_index == index)
        with self.database.transaction(writes=False) as connection:
            row = connection.execute(select(models.person).where(*where)).first()
        return None if row is None else _person(row)

    def person(self, person_id: int) -> Person:
        """Return a person by number.

        Raises:
            UnknownPersonError: there is none.
        """
        with self.database.transaction(writes=False) as connection:
            return self._person_by_id(connection, person_id)

    def read_records(
        self,
        person: Person,
        *,
        reason: str,
        actor: str | None = None,
        action: str = "person.read",
        also: Also = _nothing,
    ) -> list[Record]:
        """Open all records of a person, corrected ones included, oldest first; the audit log's entry is on disk before.

        Args:
            person: whose.
            reason: why, in the reader's words; sealed in the audit log.
            actor: who; the user of this process unless given.
            action: what it is for, such as `person.export`.
            also: something for the same transaction.

        Raises:
            UnknownPersonError: the person is not in the vault, or no longer.
        """
        with self.writing() as connection:
            fresh = self._person_by_id(connection, person.person_id)
            dataset = self._dataset_by_id(connection, fresh.dataset_id)
            order = (models.record.c.version, models.record.c.record_id)
            rows = connection.execute(
                select(models.record).where(models.record.c.person_id == fresh.person_id).order_by(*order)
            ).all()
            self._note_person(connection, dataset, fresh, action, reason, actor)
            also(connection)
        dek = self.dek_of(dataset, fresh)
        return [_record(dek, dataset, row) for row in rows]

    def append_record(
        self,
        dataset: Dataset,
        person: Person,
        cells: Mapping[str, str],
        *,
        reason: str,
        supersedes: int | None = None,
        actor: str | None = None,
        action: str = "person.correct",
        also: Also = _nothing,
    ) -> int:
        """Add a record of a person who is in the vault, and let it stand for an earlier one.

        Args:
            dataset: held with `locked`.
            person: whose.
            cells: as text, by attribute of the schema; identifiers are kept only if given here.
            reason: why.
            supersedes: the record that it corrects; that one stays, and counts no more.
            actor: who; the user of this process unless given.
            action: the audit log's word for it.
            also: something for the same transaction.

        Returns:
            The number of the new record.

        Raises:
            SchemaDiffersError: a cell is of no attribute of the schema.
            UnknownPersonError: the person is no longer there.
            UnknownRecordError: the record to be corrected is not the person's, or was corrected already.
        """
        unknown = sorted(set(cells) - {attribute.name for attribute in dataset.schema.attributes})
        if unknown:
            raise SchemaDiffersError(f"{dataset.schema.id} has no attribute {', '.join(unknown)[:200]}")
        self.sweep(dataset)
        version, keys = dataset.version + 1, self.keys_of(dataset)
        fresh = self.person(person.person_id)
        table = pa.table({name: pa.array([cells.get(name, "")], pa.string()) for name in _names(dataset)})
        token = table.column(dataset.schema.person_key)[0].as_py().strip() if dataset.schema.person_key else ""
        if dataset.schema.person_key and self.token_index(dataset, token) != self._index_of(fresh):
            raise SchemaDiffersError("a record keeps the person token of its person")
        coded = encode(table, dataset.domain, person=None)
        record_id = random_ids(1)[0]
        rows = chunks.ChunkRows(
            persons=np.array([fresh.person_id], np.int64),
            tokens=pa.array([self.linkage_token(token)], pa.binary(chunks.TOKEN_BYTES)),
            records=np.array([record_id], np.int64),
            columns=coded.columns,
        )
        columns = stored_columns(dataset.schema, keep=cells.keys())
        sealed = seal_record(self.dek_of(dataset, fresh), dataset, version, record_id, json_texts(table, columns)[0])
        chunk = self.write_chunk(dataset, keys, rows, version=version)
        with self.writing() as connection:
            self._person_by_id(connection, fresh.person_id)
            connection.execute(insert(models.chunk).values(**chunk))
            connection.execute(
                insert(models.record).values(
                    record_id=record_id,
                    person_id=fresh.person_id,
                    dataset_id=dataset.dataset_id,
                    version=version,
                    chunk_id=chunk["chunk_id"],
                    sealed=sealed,
                )
            )
            if supersedes is not None:
                self._supersede(connection, fresh, supersedes, record_id)
            self.raise_version(connection, dataset)
            self._note_person(connection, dataset, fresh, action, reason, actor)
            also(connection)
        return record_id

    def destroy_person(self, dataset: Dataset, person: Person, *, also: Also = _nothing) -> None:
        """Destroy a person's key, and everything of the person with it (rule 5).

        Args:
            dataset: held with `locked`.
            person: who.
            also: something for the same transaction: the record of the erasure, the audit log's entry.

        Raises:
            UnknownPersonError: the person is not there.
            DamagedChunkError: a chunk cannot be read; nothing was destroyed.
        """
        self.sweep(dataset)
        keys = self.keys_of(dataset)
        record, chunk = models.record, models.chunk
        with self.database.transaction(writes=False) as connection:
            self._person_by_id(connection, person.person_id)
            held_in = select(record.c.chunk_id).where(record.c.person_id == person.person_id)
            rows = connection.execute(select(chunk).where(chunk.c.chunk_id.in_(held_in))).all()
        rewritten: list[tuple[Row[Any], dict[str, Any] | None]] = []
        for row in rows:
            content = self.read_chunk(dataset, keys, row)
            left = content.only(content.persons != person.person_id)
            again = None
            if len(left):
                again = self.write_chunk(
                    dataset, keys, left, version=row.version, chunk_id=row.chunk_id, generation=row.generation + 1
                )
            rewritten.append((row, again))
        self.anchor.add_erasures(person.person_id)  # from here on it is finished, whatever happens
        with self.writing() as connection:
            self._person_by_id(connection, person.person_id)
            for table in (models.blind_index, models.consent, models.record):
                connection.execute(delete(table).where(table.c.person_id == person.person_id))
            connection.execute(delete(models.person).where(models.person.c.person_id == person.person_id))
            for row, again in rewritten:
                this = chunk.c.chunk_id == row.chunk_id
                connection.execute(
                    delete(chunk).where(this) if again is None else update(chunk).where(this).values(again)
                )
            self.raise_version(connection, dataset)
            self.audit.forget_reasons(connection, object_kind="person", object_id=str(person.person_id))
            also(connection)
        for row, _ in rewritten:
            (self.folder.chunks / row.path).unlink(missing_ok=True)
        self.database.scrub()

    def finish_erasure(self, person_id: int) -> None:
        """Destroy a person whom the anchor knows as erased: after an erasure that was cut short, or in a copy from before it."""

        def told(connection: Connection) -> None:
            there = select(models.erasure.c.person_id).where(models.erasure.c.person_id == person_id)
            if connection.scalar(there) is None:
                receipt = ErasureReceipt(
                    vault_id=self.vault_id, dataset=dataset.id, person_id=person_id, erased_month=this_month()
                )
                connection.execute(
                    insert(models.erasure).values(
                        person_id=person_id,
                        dataset_id=dataset.dataset_id,
                        erased_month=receipt.erased_month,
                        receipt_sha256=receipt.sha256(),
                    )
                )
            self.audit.append(
                connection,
                action="person.erase",
                object_kind="person",
                object_id=str(person_id),
                organisation=dataset.organisation,
            )

        with self.locked(self.dataset_of(self.person(person_id))) as dataset:
            self.destroy_person(dataset, self.person(person_id), also=told)

    def dek_of(self, dataset: Dataset, person: Person) -> bytes:
        """Return the key of a person's records.

        Raises:
            SealBrokenError: the row was changed, or moved from another person.
            EpochError: the epoch that wraps it is gone.
        """
        context = person_key_context(dataset, person.person_id)
        return self.keys_of(dataset).unwrap_dek(person.wrapped_dek, person.epoch, context)

    # --- chunks --------------------------------------------------------------------------------------------------------

    def write_chunk(
        self,
        dataset: Dataset,
        keys: OrganisationKeys,
        rows: chunks.ChunkRows,
        *,
        version: int,
        chunk_id: str | None = None,
        generation: int = 0,
    ) -> dict[str, Any]:
        """Write rows as a new sealed file, and return the row that names it; nothing names it yet.

        Raises:
            OSError: the disk is full or failing; nothing is left.
        """
        chunk_id = uuid.uuid4().hex if chunk_id is None else chunk_id
        dek = new_key()
        context = dataset.context("chunk", f"{chunk_id}/{generation}", version=version)
        path = f"{dataset.dataset_id:016x}/{chunk_id}-{generation}.chunk"
        sha256 = chunks.write_file(self.folder.chunks / path, seal(dek, chunks.pack(rows, dataset.domain), context))
        return {
            "chunk_id": chunk_id,
            "dataset_id": dataset.dataset_id,
            "version": version,
            "generation": generation,
            "path": path,
            "wrapped_dek": keys.wrap_dek(dek, chunk_key_context(dataset, chunk_id, generation)),
            "epoch": keys.epoch,
            "sealed_sha256": sha256,
            "created_at": now(),
        }

    def read_chunk(self, dataset: Dataset, keys: OrganisationKeys, row: Row[Any]) -> chunks.ChunkRows:
        """Open the chunk that a row names.

        Raises:
            DamagedChunkError: the file is missing or another one.
            SealBrokenError: it does not open at this place.
        """
        sealed = chunks.read_file(self.folder.chunks / row.path, bytes(row.sealed_sha256))
        key_context = chunk_key_context(dataset, row.chunk_id, row.generation)
        dek = keys.unwrap_dek(bytes(row.wrapped_dek), row.epoch, key_context)
        context = dataset.context("chunk", f"{row.chunk_id}/{row.generation}", version=row.version)
        return chunks.unpack(unseal(dek, sealed, context), dataset.domain)

    def sweep(self, dataset: Dataset) -> None:
        """Remove chunk files that no transaction names: what an interrupted change left (rule 4). The dataset is held."""
        place = self.folder.chunks / f"{dataset.dataset_id:016x}"
        if not place.is_dir():
            return
        with self.database.transaction(writes=False) as connection:
            query = select(models.chunk.c.path).where(models.chunk.c.dataset_id == dataset.dataset_id)
            named = {Path(path).name for path in connection.scalars(query)}
        for path in place.iterdir():
            if path.name not in named:
                path.unlink()

    # --- inside a transaction ------------------------------------------------------------------------------------------

    def raise_version(self, connection: Connection, dataset: Dataset) -> int:
        """Give a held dataset its next version, and return it.

        Raises:
            SnapshotChangedError: it has another version than its holder thinks.
        """
        this = (models.dataset.c.dataset_id == dataset.dataset_id, models.dataset.c.version == dataset.version)
        found = connection.execute(update(models.dataset).where(*this).values(version=dataset.version + 1))
        if found.rowcount != 1:
            raise SnapshotChangedError(f"{dataset.id} was changed by another process")
        return dataset.version + 1

    def _supersede(self, connection: Connection, person: Person, old: int, new: int) -> None:
        record = models.record
        this = (record.c.record_id == old, record.c.person_id == person.person_id, record.c.superseded_by.is_(None))
        if connection.execute(update(record).where(*this).values(superseded_by=new)).rowcount != 1:
            raise UnknownRecordError(f"person {person.person_id} has no record {old} that counts")

    def _note_person(
        self, connection: Connection, dataset: Dataset, person: Person, action: str, reason: str, actor: str | None
    ) -> None:
        self.audit.append(
            connection,
            action=action,
            object_kind="person",
            object_id=str(person.person_id),
            organisation=dataset.organisation,
            actor=actor,
            reason=reason,
        )

    def _find(self, connection: Connection, organisation: str, name: str) -> Row[Any] | None:
        where = (models.dataset.c.organisation == organisation, models.dataset.c.name == name)
        return connection.execute(select(models.dataset).where(*where)).first()

    def _dataset_by_id(self, connection: Connection, dataset_id: int) -> Dataset:
        return self._dataset(
            connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == dataset_id)).one()
        )

    def _dataset(self, row: Row[Any]) -> Dataset:
        if row.schema_sha256 not in self._schemas:
            self._schemas[row.schema_sha256] = parse_schema(json.loads(row.schema_document))
        return Dataset(
            dataset_id=row.dataset_id,
            organisation=row.organisation,
            name=row.name,
            schema=self._schemas[row.schema_sha256],
            people_cap=row.people_cap,
            version=row.version,
        )

    def _person_by_id(self, connection: Connection, person_id: int) -> Person:
        row = connection.execute(select(models.person).where(models.person.c.person_id == person_id)).first()
        if row is None:
            raise UnknownPersonError(f"the vault has no person {person_id}")
        return _person(row)

    def _index_of(self, person: Person) -> bytes:
        query = select(models.person.c.token_index).where(models.person.c.person_id == person.person_id)
        with self.database.transaction(writes=False) as connection:
            return bytes(connection.scalars(query).one())


def token_index(key: bytes, dataset: Dataset, token: str) -> bytes:
    """`Vault.token_index` with the key at hand."""
    named = prefixed(dataset.name.encode("utf-8")) + token.encode("utf-8")
    return hmac.digest(key, named, "sha256")[: models.TOKEN_INDEX_BYTES]


def _names(dataset: Dataset) -> list[str]:
    return [attribute.name for attribute in dataset.schema.attributes]


def person_key_context(dataset: Dataset, person_id: int) -> SealContext:
    """The place that a person's key is wrapped for."""
    return dataset.context("person-key", str(person_id))


def chunk_key_context(dataset: Dataset, chunk_id: str, generation: int) -> SealContext:
    """The place that a chunk's key is wrapped for."""
    return dataset.context("chunk-key", f"{chunk_id}/{generation}")


def _person(row: Row[Any]) -> Person:
    return Person(
        person_id=row.person_id,
        dataset_id=row.dataset_id,
        wrapped_dek=bytes(row.wrapped_dek),
        epoch=row.epoch,
        retain_until=row.retain_until,
        created_month=row.created_month,
    )


def _record(dek: bytes, dataset: Dataset, row: Row[Any]) -> Record:
    return Record(
        record_id=row.record_id,
        person_id=row.person_id,
        version=row.version,
        cells=open_record(dek, dataset, row.version, row.record_id, bytes(row.sealed)),
        superseded_by=row.superseded_by,
    )
