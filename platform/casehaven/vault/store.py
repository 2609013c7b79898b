"""The vault: sealed case records of several organisations, and the only door to them.

1. A vault is a folder, a keystore beside it and a root key elsewhere. The folder alone opens nothing.
2. Every person has a key. A record is opened with it, for a reason, and the audit log's entry is committed before anything is shown.
3. Nothing here shows how many people there are (privacy rule 5).
4. What changes a dataset holds its lock, raises its version, and is one transaction: it happened or it did not. Chunk files are written before the transaction
   that names them and removed after the one that forgets them; a file that no transaction names is swept away when the vault is opened the next time.
5. A person is erased by destroying the key with the person's row, in the same transaction as the record of it; the chunks that held the person are rewritten
   without the person under new keys, and the old files are removed.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Row, delete, insert, select, update

from casehaven.blocks import schema_blocks
from casehaven.vault import chunks, models
from casehaven.vault.blocks import BLOCK_KEY, BlockCodes
from casehaven.vault.bound_rows import person_key_context
from casehaven.vault.context import prefixed
from casehaven.vault.dataset_store import DatasetStore
from casehaven.vault.datasets import Dataset, Person, Record, this_month
from casehaven.vault.erasure import ErasureReceipt
from casehaven.vault.errors import (
    SchemaDiffersError,
    UnknownPersonError,
    UnknownRecordError,
    VaultBusyError,
)
from casehaven.vault.folder import VaultFolder
from casehaven.vault.mac import MacKey
from casehaven.vault.records import json_texts, open_record, random_ids, seal_record, stored_columns
from casehaven.vault.rootkeys import RootKey
from casesynth.encode import encode

_ROWS_OF_A_PERSON = (models.blind_index, models.consent, models.record_key, models.record, models.person)
"""In the order in which they go."""

Also = Callable[[Connection], None]
"""Something that happens in the same transaction."""


def _nothing(_: Connection) -> None:
    pass


class Vault(DatasetStore):
    """An open vault. Holds keys; `create` and `open` make one."""

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
        """Open a vault with its root key; finish an erasure that was cut short, and remove what other changes left.

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
            vault.sweep_left()
        return vault

    def sweep_left(self) -> None:
        """Remove chunk files that no transaction names, but for datasets that somebody is changing now."""
        for dataset_id in self.unswept():
            there = select(models.dataset).where(models.dataset.c.dataset_id == dataset_id)
            with self.database.transaction(writes=False) as connection:
                row = connection.execute(there).first()
            if row is not None:
                with suppress(VaultBusyError), self.locked(self._dataset(row), wait_seconds=0) as held:
                    self.sweep(held)
                    self.database.scrub(*_ROWS_OF_A_PERSON, models.chunk)

    # --- persons ---

    def token_index(self, dataset: Dataset, token: str) -> bytes:
        """Return what stands for a person token in a dataset: an HMAC that no other dataset shares (models, rule 2)."""
        key = self.keys_of(dataset).index_key("person-token")
        return token_index(key, dataset, token)

    def linkage_token(self, token: str) -> bytes:
        """Return a person token keyed again with the vault's linkage key (privacy rule 2)."""
        return hmac.digest(self.keystore.linkage_key(), token.encode("utf-8"), "sha256")[: chunks.TOKEN_BYTES]

    def person_by_token(self, dataset: Dataset, token: str) -> Person | None:
        """Return the person of a token; None when the dataset has no such person.

        Raises:
            SealBrokenError: the row that is there under the token is another person's, or was changed.
        """
        index = self.token_index(dataset, token.strip())
        where = (models.person.c.dataset_id == dataset.dataset_id, models.person.c.token_index == index)
        with self.database.transaction(writes=False) as connection:
            row = connection.execute(select(models.person).where(*where)).first()
        return None if row is None else self._bound(dataset, _person(row))

    def person(self, person_id: int) -> Person:
        """Return a person by number.

        Raises:
            UnknownPersonError: there is none.
            SealBrokenError: the row is not what was written.
        """
        with self.database.transaction(writes=False) as connection:
            person = self._person_by_id(connection, person_id)
            dataset = self._dataset_by_id(connection, person.dataset_id)
        return self._bound(dataset, person)

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
        if dataset.schema.person_key and self.token_index(dataset, token) != fresh.token_index:
            raise SchemaDiffersError("a record keeps the person token of its person")
        coded = encode(table, dataset.domain, person=None)
        record_id = random_ids(1)[0]
        rows = chunks.ChunkRows(
            persons=np.array([fresh.person_id], np.int64),
            tokens=pa.array([self.linkage_token(token)], pa.binary(chunks.TOKEN_BYTES)),
            records=np.array([record_id], np.int64),
            blocks=np.array([self._block_place(dataset, fresh)], np.int16),
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
        chunk = models.chunk
        with self.database.transaction(writes=False) as connection:
            self._person_by_id(connection, person.person_id)
            rows = connection.execute(select(chunk).where(chunk.c.dataset_id == dataset.dataset_id)).all()
        rewritten: list[tuple[Row[Any], dict[str, Any] | None]] = []
        for row in rows:  # all of them: no seal says which chunk a record is in
            content = self.read_chunk(dataset, keys, row)
            left = content.only(content.persons != person.person_id)
            again = None
            if len(left) == len(content):
                continue
            if len(left):
                again = self.write_chunk(
                    dataset, keys, left, version=row.version, chunk_id=row.chunk_id, generation=row.generation + 1
                )
            rewritten.append((row, again))
        self.anchor.add_erasures(person.person_id)  # from here on it is finished, whatever happens
        with self.writing() as connection:
            self._person_by_id(connection, person.person_id)
            for table in _ROWS_OF_A_PERSON:
                connection.execute(delete(table).where(table.c.person_id == person.person_id))
            for row, again in rewritten:
                this = chunk.c.chunk_id == row.chunk_id
                connection.execute(
                    delete(chunk).where(this) if again is None else update(chunk).where(this).values(again)
                )
            self.raise_version(connection, dataset)
            self.audit.forget_reasons(connection, object_kind="person", object_id=str(person.person_id))
            also(connection)
        for row, _ in rewritten:
            self.chunk_file(row).unlink(missing_ok=True)
        self.database.scrub(*_ROWS_OF_A_PERSON, chunk)

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

        with self.database.transaction(writes=False) as connection:
            person = self._person_by_id(connection, person_id)  # by number, whatever became of the row
            found = self._dataset_by_id(connection, person.dataset_id)
        with self.locked(found) as dataset:
            self.destroy_person(dataset, person, also=told)

    def dek_of(self, dataset: Dataset, person: Person) -> bytes:
        """Return the key of a person's records.

        Raises:
            SealBrokenError: the row was changed, or moved from another person.
            EpochError: the epoch that wraps it is gone.
        """
        context = person_key_context(dataset, person.person_id, person.token_index)
        return self.keys_of(dataset).unwrap_dek(person.wrapped_dek, person.epoch, context)

    def block_of(self, dataset: Dataset, person: Person) -> str:
        """Return the block that a person is in for good: a year of first registration, or "" where it is unknown.

        Raises:
            SealBrokenError: the row was changed.
        """
        return schema_blocks(dataset.schema)[self._block_place(dataset, person)]

    def block_codes(self, dataset: Dataset) -> BlockCodes:
        """Return what makes and reads the codes of people's blocks in a dataset."""
        return BlockCodes(self.keys_of(dataset).index_key(BLOCK_KEY), dataset.dataset_id, dataset.schema)

    def _block_place(self, dataset: Dataset, person: Person) -> int:
        return self.block_codes(dataset).place(person.person_id, person.block_code)

    def _bound(self, dataset: Dataset, person: Person) -> Person:
        """Return a person whose key opens and whose block can be read: the row is the one that was written for this token."""
        self.dek_of(dataset, person)
        self._block_place(dataset, person)
        return person

    # --- inside a transaction ---

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

    def _person_by_id(self, connection: Connection, person_id: int) -> Person:
        row = connection.execute(select(models.person).where(models.person.c.person_id == person_id)).first()
        if row is None:
            raise UnknownPersonError(f"the vault has no person {person_id}")
        return _person(row)


def token_index(key: bytes, dataset: Dataset, token: str) -> bytes:
    """`Vault.token_index` with the key at hand."""
    return token_indices(key, dataset, [token])[0]


def token_indices(key: bytes, dataset: Dataset, tokens: Iterable[str]) -> list[bytes]:
    """`token_index` of many tokens."""
    mac, named = MacKey(key), prefixed(dataset.name.encode("utf-8"))
    return [mac.digest(named + token.encode("utf-8"))[: models.TOKEN_INDEX_BYTES] for token in tokens]


def _names(dataset: Dataset) -> list[str]:
    return [attribute.name for attribute in dataset.schema.attributes]


def _person(row: Row[Any]) -> Person:
    return Person(
        person_id=row.person_id,
        dataset_id=row.dataset_id,
        token_index=bytes(row.token_index),
        wrapped_dek=bytes(row.wrapped_dek),
        epoch=row.epoch,
        retain_until=row.retain_until,
        created_month=row.created_month,
        block_code=bytes(row.block_code or b""),
    )


def _record(dek: bytes, dataset: Dataset, row: Row[Any]) -> Record:
    return Record(
        record_id=row.record_id,
        person_id=row.person_id,
        version=row.version,
        cells=open_record(dek, dataset, row.version, row.record_id, bytes(row.sealed)),
        superseded_by=row.superseded_by,
    )
