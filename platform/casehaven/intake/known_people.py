"""Which rows of a file may be about somebody whom the dataset knows under another person token.

1. It is told in the dry run, by the index of possible duplicates (`casehaven.people.matching`): names, date of birth and telephone in common, two at a time. Nothing is decided by it: two people may share them.
2. Whoever comes in under another token counts twice, and a refusal does not follow, unless a record key shows it (`record_keys`, rule 4).
3. Where a schema has no two fields that tell people apart, or the file fills none, nobody can know, and nothing is said.
"""

from __future__ import annotations

import pyarrow as pa
from sqlalchemy import select

from casehaven.intake.mapped_file import MappedFile
from casehaven.people.duplicates import PEOPLE_MOST
from casehaven.people.matching import CachedIndexKeys, blind_values, matching_fields
from casehaven.vault import models
from casehaven.vault.datasets import Dataset
from casehaven.vault.store import Vault, token_indices
from casesynth.encode import person_tokens

__all__ = ["known_otherwise"]

_AT_ONCE = 500


def known_otherwise(vault: Vault, dataset: Dataset, file: MappedFile) -> list[int]:
    """Return the places of those records that are taken in and may be of a person who is there under another token.

    Args:
        vault: where.
        dataset: which.
        file: under its mapping.
    """
    read = {column for field in matching_fields(dataset.schema) for column in field.columns}
    columns = [name for name in file.columns if name in read]
    if not columns or not dataset.version:
        return []
    person, keys = str(dataset.schema.person_key), vault.keys_of(dataset)
    cached, token_key = CachedIndexKeys(keys), keys.index_key("person-token")
    found: list[int] = []
    start = 0
    for batch in file.batches([person, *columns]):
        table = pa.Table.from_batches([batch])
        tokens = token_indices(token_key, dataset, person_tokens(table.column(person), person).to_pylist())
        rows = table.select(columns).to_pylist()
        values = [
            blind_values(cached, dataset.schema, {name: cell or "" for name, cell in row.items()}) for row in rows
        ]
        there = _there(vault, dataset, {pair for each in values for pair in each.items()})
        for place, (token, each) in enumerate(zip(tokens, values, strict=True)):
            people = set().union(*(there.get(pair, ()) for pair in each.items()))
            if people and token not in people:
                found.append(start + place)
        start += batch.num_rows
    return found


def _there(vault: Vault, dataset: Dataset, pairs: set[tuple[str, bytes]]) -> dict[tuple[str, bytes], set[bytes]]:
    """Return who is in the index under each field and value, as token indices; not what very many share."""
    index, person = models.blind_index.c, models.person.c
    values = sorted({value for _, value in pairs})
    found: dict[tuple[str, bytes], set[bytes]] = {}
    with vault.database.transaction(writes=False) as connection:
        for start in range(0, len(values), _AT_ONCE):
            where = (
                index.dataset_id == dataset.dataset_id,
                index.value.in_(values[start : start + _AT_ONCE]),
                person.person_id == index.person_id,
            )
            for field, value, token in connection.execute(
                select(index.field, index.value, person.token_index).where(*where)
            ):
                found.setdefault((field, bytes(value)), set()).add(bytes(token))
    return {pair: tokens for pair, tokens in found.items() if len(tokens) <= PEOPLE_MOST}
