"""Mappings that a dataset remembers: a file with the same columns is mapped the same way.

1. What is remembered is sealed with a key of the organisation, and found by an HMAC of the names of the file's columns, in any order.
2. It holds no cell but words of public lists (`intake_mapping`, rule 3).
3. The latest one counts.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, insert, select

from casehaven.intake.held import HeldSource
from casehaven.intake.intake_mapping import IntakeMapping
from casehaven.intake.mapping_document import parse_intake_mapping
from casehaven.vault import models
from casehaven.vault.context import prefixed
from casehaven.vault.datasets import Dataset, now
from casehaven.vault.sealed import seal, unseal
from casehaven.vault.store import Vault

_KEY: Final = "intake-mapping"
_SMALLEST: Final = 4096


def remember(vault: Vault, dataset: Dataset, mapping: IntakeMapping, columns: Iterable[str]) -> None:
    """Remember a mapping for files with these columns."""
    key, index = vault.keys_of(dataset).index_key(_KEY), _index(vault, dataset, columns)
    text = mapping.text().encode()
    padded = text.ljust(max(_SMALLEST, 1 << (len(text) - 1).bit_length()))
    sealed = seal(key, padded, dataset.context("detail", f"{_KEY}/{index.hex()}"))
    table = models.intake_mapping
    with vault.writing() as connection:
        this = (table.c.dataset_id == dataset.dataset_id, table.c.columns_index == index)
        connection.execute(delete(table).where(*this))
        connection.execute(
            insert(table).values(dataset_id=dataset.dataset_id, columns_index=index, sealed=sealed, recorded_at=now())
        )


def remembered(vault: Vault, dataset: Dataset, columns: Iterable[str]) -> IntakeMapping | None:
    """Return the mapping that is remembered for files with these columns; None where there is none.

    Raises:
        SealBrokenError: it is not what was written.
        MappingFaultsError: it does not fit the schema any more.
    """
    index, table = _index(vault, dataset, columns), models.intake_mapping.c
    where = (table.dataset_id == dataset.dataset_id, table.columns_index == index)
    with vault.database.transaction(writes=False) as connection:
        sealed = connection.scalar(select(table.sealed).where(*where))
    if sealed is None:
        return None
    text = unseal(
        vault.keys_of(dataset).index_key(_KEY), bytes(sealed), dataset.context("detail", f"{_KEY}/{index.hex()}")
    )
    return parse_intake_mapping(text, dataset.schema, name="the remembered mapping")


def _index(vault: Vault, dataset: Dataset, columns: Iterable[str]) -> bytes:
    named = prefixed(dataset.name.encode()) + b"".join(prefixed(name.encode()) for name in sorted(set(columns)))
    return hmac.digest(vault.keys_of(dataset).index_key(f"{_KEY}/columns"), named, "sha256")[: models.TOKEN_INDEX_BYTES]


def marks(held: HeldSource) -> list[str]:
    """What a remembered mapping is known by: the tool, the names of the columns, and what their codes mean."""
    options = [
        f"{column.name}\x1f{code}\x1f{label}" for column in held.columns for code, label in column.options.items()
    ]
    return [f"tool\x1f{held.source.tool.value}", *(column.name for column in held.columns), *options]
