"""Rows that whoever can write to the database cannot make, change or move unseen.

1. A dataset's row carries an HMAC over its number, organisation, name, schema and people cap; without the right one the dataset does not open.
2. An entry of the blind index carries an HMAC over dataset, field, value and person; without the right one nobody is found by it.
3. A person's key is wrapped for the person's number and token index: a row that got another token index does not open.
4. The keys are derived from the index secret of the organisation, which rotation does not change.
5. Consents that are not refused in the anchor, last days of retention and which record stands for which are bound to nothing: `docs/threat-model.md` says so.
"""

from __future__ import annotations

import hmac
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, update

from casehaven.vault import models
from casehaven.vault.context import SealContext, prefixed
from casehaven.vault.datasets import Dataset, dataset_of_row
from casehaven.vault.errors import SealBrokenError
from casehaven.vault.keystore import Keystore, OrganisationKeys
from casehaven.vault.mac import MacKey

DATASET_KEY: Final = "row/dataset"
ENTRY_KEY: Final = "row/blind-index"
ENTRY_MAC_BYTES: Final = 16
"""Of the HMAC that an entry of the blind index carries."""


def dataset_mac(keys: OrganisationKeys, dataset: Dataset) -> bytes:
    """Return what a dataset's row carries (rule 1)."""
    parts = (dataset.organisation, dataset.name, dataset.schema.id, dataset.schema.digest(), str(dataset.people_cap))
    bound = _number(dataset.dataset_id) + b"".join(prefixed(part.encode("utf-8")) for part in parts)
    return hmac.digest(keys.index_key(DATASET_KEY), bound, "sha256")


def entry_mac(key: bytes | MacKey, dataset_id: int, field: str, value: bytes, person_id: int) -> bytes:
    """Return what an entry of the blind index carries (rule 2); the key is the organisation's `ENTRY_KEY`."""
    bound = _number(dataset_id) + prefixed(field.encode("utf-8")) + prefixed(value) + _number(person_id)
    mac = MacKey(key) if isinstance(key, bytes) else key
    return mac.digest(bound)[:ENTRY_MAC_BYTES]


def verify_entry(key: bytes, row: Row[Any]) -> None:
    """Refuse an entry of the blind index that nobody with the keys wrote.

    Raises:
        SealBrokenError: it was changed, or moved from another person.
    """
    right = entry_mac(key, row.dataset_id, row.field, bytes(row.value), row.person_id)
    if not hmac.compare_digest(right, bytes(row.mac or b"")):
        raise SealBrokenError("an entry of the index of identifiers is not what was written; restore a backup")


def person_key_context(dataset: Dataset, person_id: int, token_index: bytes) -> SealContext:
    """The place that a person's key is wrapped for (rule 3)."""
    return dataset.context("person-key", f"{person_id}/{token_index.hex()}")


def bind_rows(connection: Connection, keystore: Keystore) -> None:
    """Bind the rows that a version before 0003 wrote; once, in the transaction that makes the columns."""
    for row in connection.execute(select(models.dataset)).all():
        dataset = dataset_of_row(row)
        keys = keystore.organisation(dataset.organisation)
        this = models.dataset.c.dataset_id == dataset.dataset_id
        connection.execute(update(models.dataset).where(this).values(mac=dataset_mac(keys, dataset)))
        _bind_persons(connection, keys, dataset)
        _bind_entries(connection, keys.index_key(ENTRY_KEY), dataset)


def _bind_persons(connection: Connection, keys: OrganisationKeys, dataset: Dataset) -> None:
    person, changed = models.person, list[dict[str, Any]]()
    for row in connection.execute(select(person).where(person.c.dataset_id == dataset.dataset_id)):
        dek = keys.unwrap_dek(bytes(row.wrapped_dek), row.epoch, dataset.context("person-key", str(row.person_id)))
        context = person_key_context(dataset, row.person_id, bytes(row.token_index))
        epoch, wrapped = keys.wrap_dek_with_epoch(dek, context)
        changed.append({"this": row.person_id, "wrapped": wrapped, "under": epoch})
    if changed:
        statement = update(person).where(person.c.person_id == bindparam("this"))
        connection.execute(statement.values(wrapped_dek=bindparam("wrapped"), epoch=bindparam("under")), changed)


def _bind_entries(connection: Connection, key: bytes, dataset: Dataset) -> None:
    entry, changed = models.blind_index.c, list[dict[str, Any]]()
    for row in connection.execute(select(models.blind_index).where(entry.dataset_id == dataset.dataset_id)):
        mac = entry_mac(key, row.dataset_id, row.field, bytes(row.value), row.person_id)
        changed.append({"of": row.person_id, "named": row.field, "valued": row.value, "code": mac})
    if changed:
        where = (
            entry.person_id == bindparam("of"),
            entry.field == bindparam("named"),
            entry.value == bindparam("valued"),
        )
        here = entry.dataset_id == dataset.dataset_id
        connection.execute(update(models.blind_index).where(here, *where).values(mac=bindparam("code")), changed)


def _number(number: int) -> bytes:
    return number.to_bytes(8, "big")
