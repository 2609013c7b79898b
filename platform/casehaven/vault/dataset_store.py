"""The datasets of a vault, who holds them, and how a change of one is written.

1. A change holds the dataset's lock alone and the organisation's with others; keys are rotated, and files copied, by whoever holds the organisation alone.
2. Every change of a dataset raises its version in the transaction that makes it.
3. The anchor is raised to what a transaction wrote as soon as it is committed.
4. A dataset whose row nobody with the keys wrote does not open: schema, people cap and whose it is are as they were declared.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from casehaven.core.audit import AuditLog
from casehaven.core.db import Database
from casehaven.vault import models
from casehaven.vault.anchor import Anchor
from casehaven.vault.audit_reasons import audit_log
from casehaven.vault.bound_rows import dataset_mac
from casehaven.vault.chunk_store import ChunkStore
from casehaven.vault.datasets import Dataset, Person, check_name, dataset_of_row, now
from casehaven.vault.errors import (
    DatasetExistsError,
    DatasetMissingError,
    SchemaDiffersError,
    SealBrokenError,
    SnapshotChangedError,
)
from casehaven.vault.folder import VaultFolder
from casehaven.vault.keystore import Keystore, OrganisationKeys
from casehaven.vault.locks import held
from casehaven.vault.records import random_ids
from caseschemas import CaseSchema


class DatasetStore(ChunkStore):
    """The datasets of a vault."""

    def __init__(self, folder: VaultFolder, database: Database, keystore: Keystore) -> None:
        """A vault makes one of itself."""
        super().__init__(folder, database)
        self.keystore = keystore
        self.audit: AuditLog = audit_log(keystore)
        """Who did what, and why."""
        self.anchor = Anchor(folder.anchor_path, keystore, folder.vault_id)
        """What remembers how far the vault is."""

    @property
    def vault_id(self) -> str:
        """Name of the vault, the same in every copy."""
        return self.folder.vault_id

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

    def add_dataset(
        self, organisation: str, name: str, schema: CaseSchema, people_cap: int, *, actor: str | None = None
    ) -> Dataset:
        """Add an empty dataset, and the organisation with keys of its own when it is new.

        Args:
            organisation: whose.
            name: of the dataset.
            schema: of its records.
            people_cap: declared bound on its people.
            actor: who, for the audit log; the user of this process unless given.

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
                made = Dataset(
                    dataset_id=random_ids(1)[0],
                    organisation=organisation,
                    name=name,
                    schema=schema,
                    people_cap=people_cap,
                    version=0,
                )
                connection.execute(
                    insert(models.dataset).values(
                        dataset_id=made.dataset_id,
                        organisation=organisation,
                        name=name,
                        schema_id=schema.id,
                        schema_sha256=schema.digest(),
                        schema_document=schema.canonical().decode("utf-8"),
                        people_cap=people_cap,
                        version=0,
                        created_at=now(),
                        mac=dataset_mac(self.keys_of(made), made),
                    )
                )
                self.audit.append(
                    connection,
                    action="dataset.create",
                    object_kind="dataset",
                    object_id=f"{organisation}/{name}",
                    organisation=organisation,
                    actor=actor,
                )
        return self.dataset(organisation, name)

    def declare_cap(self, dataset: Dataset, people_cap: int) -> Dataset:
        """Declare another people cap for a dataset that never took anything in; afterwards it stays for good (privacy rule 8).

        Raises:
            SchemaDiffersError: the dataset took something in before.
        """
        if people_cap < 1:
            raise ValueError("people_cap must be positive")
        with self.organisation_lock(dataset.organisation, alone=True):
            now_there = self.dataset(dataset.organisation, dataset.name)
            if now_there.version:
                raise SchemaDiffersError(
                    f"{dataset.id} has the people cap {now_there.people_cap}, which was declared for good"
                )
            declared = replace(now_there, people_cap=people_cap)
            with self.writing() as connection:
                connection.execute(
                    update(models.dataset)
                    .where(models.dataset.c.dataset_id == declared.dataset_id)
                    .values(people_cap=people_cap, mac=dataset_mac(self.keys_of(declared), declared))
                )
                self.audit.append(
                    connection,
                    action="dataset.cap",
                    object_kind="dataset",
                    object_id=declared.id,
                    organisation=declared.organisation,
                )
        return self.dataset(dataset.organisation, dataset.name)

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
    def locked(self, dataset: Dataset, *, wait_seconds: float | None = None) -> Iterator[Dataset]:
        """Hold a dataset: nobody else changes its persons, records or chunks, and nobody rotates its organisation's keys.

        Yields the dataset as it is now. A process holds it once: what is called inside takes the dataset that was yielded.

        Raises:
            VaultBusyError: others held it for too long.
        """
        with (
            self.organisation_lock(dataset.organisation, alone=False, wait_seconds=wait_seconds),
            held(
                self.folder.lock(f"dataset-{dataset.dataset_id:016x}"),
                alone=True,
                what=dataset.id,
                wait_seconds=wait_seconds,
            ),
        ):
            yield self.dataset(dataset.organisation, dataset.name)

    @contextmanager
    def organisation_lock(self, organisation: str, *, alone: bool, wait_seconds: float | None = None) -> Iterator[None]:
        """Hold an organisation: alone to rotate its keys or to copy its files, with others to change one of its datasets.

        Raises:
            VaultBusyError: others held it for too long.
        """
        lock = self.folder.lock(f"organisation-{organisation}")
        with held(lock, alone=alone, what=organisation, wait_seconds=wait_seconds):
            yield

    # --- inside a transaction ---

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

    def _find(self, connection: Connection, organisation: str, name: str) -> Row[Any] | None:
        where = (models.dataset.c.organisation == organisation, models.dataset.c.name == name)
        return connection.execute(select(models.dataset).where(*where)).first()

    def _dataset_by_id(self, connection: Connection, dataset_id: int) -> Dataset:
        return self._dataset(
            connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == dataset_id)).one()
        )

    def _dataset(self, row: Row[Any]) -> Dataset:
        """Return the dataset of a row that somebody with the keys wrote (rule 4)."""
        dataset = dataset_of_row(row)
        if not hmac.compare_digest(dataset_mac(self.keys_of(dataset), dataset), bytes(row.mac or b"")):
            raise SealBrokenError(f"the row of dataset {dataset.id} is not what was written; restore a backup")
        return dataset
